"""Operating points: the best cut per label and over all, its plateau, targets, support, and cuts that do not exist."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement
from airflow_provider_nucleus.gating.operating_point import (
    OperatingPoints,
    Outcomes,
    cut_for,
    operating_points,
    operating_points_of,
    outcomes_of,
)
from tests.unit.gating.match_rows import match_rows

HERE = {"fingerprint": Fingerprint(data="d"), "iou_threshold": 0.5}
ROWS = [
    (0.9, True),
    (0.8, True),
    (0.7, False),
    (0.6, True),
    (0.5, False),
    (0.4, False),
    (0.3, True),
    (0.2, False),
]


def points(rows=ROWS, truth=5, *, label="car", **options):
    """Choose cuts for one label with enough ground truth."""
    outcomes = Outcomes({label: rows} if rows else {}, {label: truth} if truth else {}, "exact")
    return operating_points(outcomes, **HERE, **{"min_support": 0, **options})


def test_the_cut_of_the_best_f1():
    """At 0.6: three of four right, three of five found: 2/3, computed by hand."""
    point = points().per_label["car"]

    assert (point.confidence, point.true_positives, point.predictions) == (0.6, 3, 4)
    assert (point.precision, point.recall) == (0.75, 0.6)
    assert point.f1 == pytest.approx(2 / 3)
    assert point.source == "own"


def test_the_plateau_is_where_f1_is_nearly_the_best():
    """0.3 reaches 2 * 4 / (7 + 5) = 2/3 too, but between them it falls to 0.6: the cut is known only as far as nothing lies between."""
    assert points(tolerance=0.01).per_label["car"].plateau == (0.6, 0.6)
    assert points(tolerance=0.1).per_label["car"].plateau == (0.5, 0.6)
    assert points(tolerance=0.15).per_label["car"].plateau == (0.2, 0.6)


def test_of_equal_f1_the_highest_cut_is_taken():
    """As in the engine's curve; and equal confidences are kept together."""
    assert points([(0.9, True), (0.5, False), (0.4, True)], 1).per_label["car"].confidence == 0.9
    tied = points([(0.5, True), (0.5, False), (0.5, True)], 2).per_label["car"]
    assert (tied.confidence, tied.predictions) == (0.5, 3)


@pytest.mark.parametrize(
    ("aim", "target", "confidence"),
    [
        ("precision", 0.75, 0.6),
        ("precision", 1.0, 0.8),
        ("precision", 0.0, 0.2),
        ("recall", 0.6, 0.6),
        ("recall", 0.61, 0.3),
        ("recall", 0.0, 0.9),
    ],
)
def test_targets(aim, target, confidence):
    """The lowest cut that is precise enough, the highest that finds enough."""
    assert points(aim=aim, target=target).per_label["car"].confidence == confidence


def test_targets_that_are_not_reached_say_how_far_it_goes():
    """No cut, no number; the reason has the best there is."""
    recall = points(aim="recall", target=0.9).per_label["car"]
    precision = points([(0.9, False), (0.5, True)], 5, aim="precision", target=0.9).per_label["car"]

    assert (recall.confidence, recall.f1) == (None, None)
    assert recall.reason == "recall 0.9 is not reached: 0.800 with all predictions"
    assert precision.reason == "precision 0.9 is not reached: at most 0.500, from confidence 0.500 on"


@pytest.mark.parametrize(
    ("rows", "truth", "reason"),
    [([], 5, "no predictions"), (ROWS, 0, "no ground truth")],
)
def test_undefined_cuts_have_a_reason(rows, truth, reason):
    """None, never 0."""
    point = points(rows, truth).per_label["car"]

    assert (point.confidence, point.reason) == (None, reason)


def test_labels_with_little_ground_truth_get_the_cut_over_all():
    """With what it does to them, and why."""
    outcomes = Outcomes(
        {"car": ROWS, "van": [(0.95, False), (0.65, True), (0.1, True)]},
        {"car": 40, "van": 3, "bus": 2},
        "exact",
    )

    found = operating_points(outcomes, **HERE, min_support=20)

    van, bus = found.per_label["van"], found.per_label["bus"]
    assert (van.source, van.confidence) == ("overall", found.overall.confidence)
    assert van.reason == "3 objects of ground truth, fewer than 20: the cut over all labels"
    kept = [hit for confidence, hit in outcomes.predictions["van"] if confidence >= found.overall.confidence]
    assert (van.predictions, van.true_positives) == (len(kept), sum(kept))
    assert (bus.confidence, bus.precision, bus.recall) == (found.overall.confidence, None, 0.0)
    assert found.per_label["car"].source == "own"


def test_a_missing_cut_over_all_is_no_cut_for_rare_labels():
    """Both reasons are said."""
    point = points(aim="recall", target=1.0, min_support=20).per_label["car"]

    assert point.confidence is None
    assert point.reason == (
        "5 objects of ground truth, fewer than 20: the cut over all labels, which does not exist (recall 1 is not reached: 0.800 with all "
        "predictions)"
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"aim": "f1", "target": 0.5}, "takes no target"),
        ({"aim": "recall"}, "recall needs a target from 0 to 1"),
        ({"aim": "precision", "target": 90.0}, "lies in 0 to 1, not 90"),
    ],
)
def test_targets_that_make_no_sense_are_refused(options, reason):
    """Before anything is chosen."""
    with pytest.raises(ValueError, match=reason):
        points(**options)


rows = st.lists(
    st.tuples(st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]), st.booleans()), min_size=1, max_size=30
)


@given(rows, st.integers(0, 5))
def test_no_other_cut_is_better(outcomes, more):
    """By trying all, from the definitions."""
    truth = sum(hit for _, hit in outcomes) + more
    if not truth:
        return
    tried = {}
    for cut in {confidence for confidence, _ in outcomes}:
        kept = [hit for confidence, hit in outcomes if confidence >= cut]
        tried[cut] = (2 * sum(kept) / (len(kept) + truth), sum(kept) / len(kept), sum(kept) / truth)
    best = max(f1 for f1, _, _ in tried.values())

    chosen = points(outcomes, truth).per_label["car"]
    precise = points(outcomes, truth, aim="precision", target=0.7).per_label["car"]
    complete = points(outcomes, truth, aim="recall", target=0.7).per_label["car"]

    assert chosen.f1 == pytest.approx(best)
    assert chosen.confidence == max(cut for cut, (f1, _, _) in tried.items() if f1 == best)
    assert chosen.plateau[0] <= chosen.confidence <= chosen.plateau[1]
    assert precise.confidence == min((cut for cut, (_, p, _) in tried.items() if p >= 0.7), default=None)
    assert complete.confidence == max((cut for cut, (_, _, r) in tried.items() if r >= 0.7), default=None)


def test_outcomes_of_stored_matches():
    """A true positive counts for its ground truth's label; predictions without a confidence are counted apart."""
    matches = match_rows(
        ("a", "car/1", "car/p1@0.9", 0.8),
        ("a", "car/2", "car/p2@0.6", 0.4),
        ("a", "van/3", "car/p3@0.7", 0.9),
        ("a", None, "car/p4@0.2"),
        ("a", None, "van/p5"),
        ("b", "bus/4", None),
    )

    outcomes = outcomes_of(matches, iou_threshold=0.5)

    assert outcomes.predictions == {"car": [(0.9, True), (0.6, False), (0.7, False), (0.2, False)]}
    assert outcomes.ground_truth == {"car": 2, "van": 1, "bus": 1}
    assert outcomes.without_confidence == {"van": 1}
    assert outcomes.labels == ["bus", "car", "van"]


def test_the_document_of_a_measurement_says_it_is_approximate():
    """And at which cut the measurement was made; a measurement without matches has none."""
    matches = match_rows(("a", "car/1", "car/p1@0.9", 0.8))
    measurement = Measurement(**HERE, confidence_threshold=0.3, matches=matches)

    found = operating_points_of(measurement, min_support=1)
    again = OperatingPoints.model_validate_json(found.model_dump_json(by_alias=True))

    assert (found.method, found.least_confidence, found.schema_) == (
        "approximate",
        0.3,
        "nucleus-operating-points/1",
    )
    assert again == found
    with pytest.raises(ValueError, match="without its matches"):
        operating_points_of(Measurement(**HERE))


def test_the_inference_job_finds_its_cut():
    """That of the label; that over all for a label nobody has seen."""
    found = points()

    assert cut_for(found, "car") == 0.6
    assert cut_for(found, "unicorn") == found.overall.confidence
