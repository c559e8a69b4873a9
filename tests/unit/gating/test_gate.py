"""A gate put together and judged, without Airflow and without the command: whose numbers are compared with whose, and what is refused."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.baseline import BaselineRecord, confirm, measurement_id, propose
from airflow_provider_nucleus.gating.gate import assemble_gate, judge_gate
from airflow_provider_nucleus.gating.policy_reading import override_policy, read_policy
from airflow_provider_nucleus.gating.side_reading import LABELS_LEFT_OUT
from airflow_provider_nucleus.gating.verdict import ChangeCounts
from tests.unit.gating.match_rows import match_rows
from tests.unit.gating.measurements import measurement, numbers

DROP = read_policy({"rules": [{"id": "drop", "metric": "f1", "max_drop": 0.05}]})
LABELS = read_policy({"rules": [{"id": "each", "metric": "f1", "scope": "per_label", "min": 0.5}]})
WEEKS = [measurement(f1=0.6 + week / 100) for week in range(4)]


def lived(*measurements):
    """Return a record that accepted these, one after the other."""
    record = BaselineRecord()
    for each in measurements:
        record = propose(record, each, by="ci", at="now")
        record = confirm(record, measurement_id(each), by="anna", at="now")
    return record


def test_what_is_not_given_is_the_record_s():
    """Reference, accepted and window; and changes are measured from what was accepted last."""
    sides = assemble_gate(DROP, WEEKS[3], record=lived(*WEEKS[:3])).sides

    assert (sides.reference, sides.accepted, sides.baseline) == (WEEKS[0], WEEKS[2], WEEKS[2])
    assert sides.history == tuple(WEEKS[:3])


def test_what_is_given_is_not_taken_from_the_record():
    """Each for itself; an accepted one that was given is a baseline, too."""
    record = lived(WEEKS[0])
    given = assemble_gate(DROP, WEEKS[3], accepted=WEEKS[1], reference=WEEKS[2], record=record).sides
    beside = assemble_gate(DROP, WEEKS[3], WEEKS[2], record=record).sides

    assert (given.baseline, given.accepted, given.reference) == (WEEKS[1], WEEKS[1], WEEKS[2])
    assert (beside.baseline, beside.accepted) == (WEEKS[2], WEEKS[0])


def test_a_candidate_is_not_held_against_itself():
    """The gate runs again after its candidate was accepted, whose number of the user's own is a part of it."""
    own = {"latency_ms": 40}
    accepted = assemble_gate(DROP, WEEKS[1], numbers=own).sides.candidate
    again = assemble_gate(DROP, WEEKS[1], numbers=own, record=lived(WEEKS[0], accepted)).sides

    assert (again.baseline, again.accepted, again.history) == (WEEKS[0], WEEKS[0], (WEEKS[0],))


def test_numbers_and_profile_are_added_to_their_side():
    """The accepted one, which is the baseline here, stays as it is."""
    sides = assemble_gate(
        DROP, WEEKS[1], accepted=WEEKS[0], numbers={"ms": 12}, baseline_numbers={"ms": 10}, profile={"objects": 3}
    ).sides  # fmt: skip

    assert (sides.candidate.supplied, sides.baseline.supplied, sides.accepted.supplied) == (
        {"ms": 12},
        {"ms": 10},
        {},
    )
    assert (sides.candidate.profile, sides.baseline.profile) == ({"objects": 3}, None)


@pytest.mark.parametrize("wrong", [{"ms": True}, {"ms": "fast"}, {"ms": float("inf")}, [12]])
def test_numbers_that_are_none_are_refused(wrong):
    """By the name of the argument."""
    with pytest.raises(NucleusConfigError, match="baseline_numbers"):
        assemble_gate(DROP, WEEKS[1], WEEKS[0], baseline_numbers=wrong)


def test_labels_that_a_result_was_too_small_for_are_not_missing():
    """On either side; a rule that names what is there, or is not about labels, is judged."""
    whole = measurement(f1=0.7, labels={"car": numbers(f1=0.7)})
    cut = whole.model_copy(update={"notes": [{"note": LABELS_LEFT_OUT, "count": 79}]})

    for sides in ((cut,), (whole, cut)):
        with pytest.raises(NucleusConfigError, match=r"numbers of 1 labels, and lacks 79 .* rule each would"):
            assemble_gate(LABELS, *sides)
    named = read_policy({
        "rules": [{"id": "car", "metric": "f1", "scope": "per_label", "labels": ["car"], "min": 0.5}]
    })
    assert [assemble_gate(policy, cut).policy for policy in (named, DROP)] == [named, DROP]


def test_changes_are_counted_or_not_with_a_reason():
    """From the rows of both; those of a server are taken as they are; without a baseline there are none."""
    rows = match_rows(("a", "car/1", "car/p@0.9", 0.8), ("b", "car/2", None))
    less = match_rows(("a", "car/1", None), ("b", "car/2", None))
    one, other = (measurement(f1=0.5).model_copy(update={"matches": each}) for each in (rows, less))
    counted = judge_gate(assemble_gate(DROP, other, one), judged_at="now")
    rowless = judge_gate(assemble_gate(DROP, WEEKS[1], WEEKS[0]), judged_at="now")
    server = ChangeCounts(fixed=1, broken=2, both_found=3, both_miss=4)
    known = judge_gate(assemble_gate(DROP, WEEKS[1], WEEKS[0]), judged_at="now", changes=server)
    alone = judge_gate(assemble_gate(DROP, one), judged_at="now")

    assert (counted.judgement.changes.broken, len(counted.changes.objects)) == (1, 2)
    assert (rowless.judgement.changes, rowless.changes) == (None, None)
    assert "match" in rowless.uncounted
    assert (known.judgement.changes, known.changes, known.uncounted) == (server, None, None)
    assert (alone.judgement.changes, alone.uncounted, alone.judgement.judged_at) == (None, None, "now")


def test_a_policy_is_overridden_by_what_is_given():
    """And only by that; a word that it does not know is refused."""
    assert override_policy(DROP, {"fail_on": None}) is DROP
    assert override_policy(DROP, {"fail_on": "never", "on_inconclusive": None}).fail_on == "never"
    with pytest.raises(Exception, match="on_inconclusive"):
        override_policy(DROP, {"on_inconclusive": "maybe"})
