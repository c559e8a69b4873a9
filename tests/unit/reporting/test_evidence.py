"""Evidence that a report takes from the judgement: it says what the verdict says."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.policy_reading import read_policy
from airflow_provider_nucleus.gating.profile import CONFIDENCE_EDGES, OBJECTS_EDGES, Profile
from airflow_provider_nucleus.gating.rule_table import reason_of
from airflow_provider_nucleus.reporting.evidence import with_own_evidence
from airflow_provider_nucleus.reporting.extras import Extras
from airflow_provider_nucleus.reporting.limits import PageLimits
from airflow_provider_nucleus.reporting.page import report_page
from tests.unit.gating.measurements import measurement, numbers


def profiled(confidence: int, *, items: int = 100):
    """Return a measurement whose predictions all have one confidence; half of the items are empty."""
    bins = [0] * (len(CONFIDENCE_EDGES) + 1)
    bins[confidence] = 400
    profile = Profile(
        items=items,
        items_with_predictions=50,
        objects=400,
        objects_per_item=[0, 0, 0, 50] + [0] * (len(OBJECTS_EDGES) - 3),
        labels={"car": 400},
        confidence=bins,
    )
    return measurement().model_copy(update={"profile": profile.to_dict()})


def test_drift_is_what_the_rule_was_judged_by():
    """A rule against the pinned reference: the table has its number, not that against the production model."""
    rule = {"id": "drift", "metric": "confidence_psi", "scope": "profile", "max": 0.2, "against": "reference"}
    judgement = judge(read_policy({"rules": [rule]}), profiled(15), profiled(15), reference=profiled(3))
    (result,) = judgement.verdict.results
    rows = {row.name: row for row in with_own_evidence(judgement, Extras())[1].drift}

    assert result.status == "fail"
    assert (rows["confidence_psi"].effect, rows["confidence_psi"].drifted) == (result.value, True)
    assert result.text in rows["confidence_psi"].text
    assert rows["area_psi"].text != ""


def test_changes_of_a_profile_name_both_sides():
    """What changed, from what to what."""
    judgement = judge(
        read_policy({"rules": [{"id": "f1", "metric": "f1", "min": 0}]}),
        profiled(15),
        profiled(15, items=200),
    )
    rows = {row.name: row for row in with_own_evidence(judgement, Extras())[1].drift}

    change = rows["empty_share_change"]
    assert (change.value, change.reference, change.effect) == (0.5, 0.75, -0.25)
    assert (rows["objects_per_item_ratio"].value, rows["objects_per_item_ratio"].reference) == (4, 2)
    assert (rows["confidence_psi"].value, rows["confidence_psi"].reference) == (None, None)


@pytest.mark.parametrize("labels", [3, 30])
def test_the_top_of_the_page_has_the_worst_reasons(labels):
    """Five of those that a rule below repeats, and how many there are."""
    sides = [
        measurement(labels={f"label {n:02}": numbers(recall=value) for n in range(labels)})
        for value in (0.5, 0.9)
    ]
    policy = read_policy({"rules": [{"id": "r", "metric": "recall", "scope": "per_label", "max_drop": 0.1}]})
    judgement = judge(policy, *sides)
    page = report_page(judgement, Extras(), limits=PageLimits())

    assert judgement.verdict.reasons == [reason_of(each) for each in judgement.verdict.results]
    assert len(page.reasons) == min(labels, 6)
    assert labels < 6 or page.reasons[-1] == "and 25 more, below"
