"""Objects that one model finds and the other does not: kinds, order, thresholds, and what is refused."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.gating.changed_objects import UncomparableError, changed_objects, changes_of
from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement
from airflow_provider_nucleus.gating.verdict import ChangeCounts
from tests.unit.gating.match_rows import match_rows

BASELINE = match_rows(
    ("a", "car/1", "car/p1@0.9", 0.8),
    ("a", "car/2", "car/p2@0.6", 0.7),
    ("a", "van/3", None),
    ("b", "car/1", "car/p3@0.95", 0.55),
    ("b", "van/4", "car/p4@0.8", 0.9),
    ("b", None, "car/p5@0.3"),
)
CANDIDATE = match_rows(
    ("b", "van/4", None),
    ("b", "car/1", "car/q1@0.7", 0.45),
    ("a", "van/3", "van/q2@0.4", 0.6),
    ("a", "car/2", None),
    ("a", "car/1", "car/q3@0.2", 0.9),
)


def kinds(changes):
    """Return (kind, item, truth id) of what is listed."""
    return [(each.kind, each.item, each.truth_id) for each in changes.objects]


def test_every_object_is_of_one_kind():
    """Ids are those of an item: object 1 of a and object 1 of b are two. The most confidently found of what broke is first."""
    changes = changed_objects(CANDIDATE, BASELINE)

    assert changes.counts == ChangeCounts(fixed=1, broken=2, both_found=1, both_miss=1)
    assert kinds(changes) == [
        ("broken", "b", "1"),
        ("broken", "a", "2"),
        ("fixed", "a", "3"),
        ("both_miss", "b", "4"),
    ]
    assert changes.per_label == {
        "car": ChangeCounts(broken=2, both_found=1),
        "van": ChangeCounts(fixed=1, both_miss=1),
    }


def test_what_either_model_has_there_is_said():
    """A pair below the threshold and one of another label explain a miss."""
    broken, *_, missed = changed_objects(CANDIDATE, BASELINE).objects

    assert broken.to_dict() == {
        "kind": "broken",
        "item": "b",
        "label": "car",
        "truth_id": "1",
        "candidate": {
            "prediction_id": "q1", "label": "car", "confidence": 0.7, "iou": 0.45, "found": False,
        },
        "baseline": {"prediction_id": "p3", "label": "car", "confidence": 0.95, "iou": 0.55, "found": True},
    }  # fmt: skip
    assert (missed.candidate, missed.baseline.label, missed.baseline.found) == (None, "car", False)


@pytest.mark.parametrize(
    ("thresholds", "counts"),
    [
        ({"iou_threshold": 0.45}, {"both_found": 2, "broken": 1, "fixed": 1, "both_miss": 1}),
        ({"iou_threshold": 0.75}, {"both_found": 1, "both_miss": 4}),
        ({"confidence_threshold": 0.5}, {"broken": 3, "both_miss": 2}),
    ],
)
def test_thresholds_decide_what_is_found(thresholds, counts):
    """Overlap and confidence, both inclusive."""
    assert changed_objects(CANDIDATE, BASELINE, **thresholds).counts == ChangeCounts(**counts)


def test_the_same_model_changes_nothing():
    """Nothing fixed, nothing broken; all that is found can be listed too."""
    changes = changed_objects(BASELINE, BASELINE, kinds=["both_found"])

    assert changes.counts == ChangeCounts(both_found=3, both_miss=2)
    assert len(changes.objects) == 3
    assert [each.truth_id for each in changes.of("broken")] == []


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("a", "car/1", None)], "1 objects only in the first match, 0 only in the second"),
        ([("a", "van/1", None)], "1 objects only in the first match, 1 only in the second"),
        ([("a", "car", None)], "an object of item 'a' has no id"),
        ([("a", "car/1", None), ("a", "car/1", None)], "item 'a' has two objects with the id '1'"),
    ],
)
def test_other_ground_truth_is_refused(rows, reason):
    """With the first object that differs; nothing is counted."""
    baseline = match_rows() if "0 only" in reason else match_rows(("a", "car/1", None))

    with pytest.raises(UncomparableError, match=reason):
        changed_objects(match_rows(*rows), baseline)


def measured(matches, **parts):
    """Return a measurement with matches."""
    return Measurement(**{
        "fingerprint": Fingerprint(data="d"),
        "iou_threshold": 0.5,
        "matches": matches,
        **parts,
    })


def test_measurements_are_compared_at_the_overlap_they_state():
    """And at no other."""
    assert changes_of(measured(CANDIDATE), measured(BASELINE)).counts.broken == 2
    with pytest.raises(UncomparableError, match=r"candidate states 0\.5, baseline 0\.75"):
        changes_of(measured(CANDIDATE), measured(BASELINE, iou_threshold=0.75))
    with pytest.raises(UncomparableError, match="the baseline was measured without its matches"):
        changes_of(measured(CANDIDATE), measured(None))
