"""Content of asset events: one layout, small, JSON, and the summary that Airflow's data-quality provider reads."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.assets.event_content import (
    MAX_EVENT_BYTES,
    QUALITY_RESULT,
    judgement_event,
    measurement_event,
    quality_result,
    upload_event,
)
from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement, Numbers, Subject
from airflow_provider_nucleus.gating.verdict import Judgement, RuleResult, Verdict

SUBJECT = Subject(
    model_id="prj_1",
    model_name="detector v3",
    model_run_id="run_1",
    dataset_id="ds_1",
    dataset_name="street",
    slice_id="slc_1",
    slice_name="day 2",
    job_id="job_1",
)
MEASUREMENT = Measurement(
    subject=SUBJECT,
    fingerprint=Fingerprint(data="ds_1"),
    coverage=Coverage(
        items=40, with_ground_truth=30, without_ground_truth=10, ground_truth=344, predictions=261
    ),
    iou_threshold=0.5,
    overall=Numbers(
        values={"precision": 0.53, "recall": None, "tp": 139}, undefined={"recall": "no ground truth"}
    ),
)


def result(rule_id: str, status: str, subject: str = "overall") -> RuleResult:
    """Return a result of one rule."""
    return RuleResult(
        rule_id=rule_id, metric="f1", subject=subject, bound="min", status=status, text=f"{rule_id}: {status}"
    )


def judgement(*results: RuleResult, status: str = "fail", stopped: bool = True, reasons=None) -> Judgement:
    """Return a judgement with these results."""
    texts = [one.text for one in results if one.status != "pass"] if reasons is None else reasons
    verdict = Verdict(
        status=status,
        stopped=stopped,
        policy="street",
        policy_digest="0" * 8,
        results=list(results),
        reasons=texts,
    )
    return Judgement(candidate=MEASUREMENT, verdict=verdict)


def test_an_event_of_a_measurement_says_what_was_measured_on_what():
    """Model, data set, batch, numbers and coverage; no verdict."""
    event = measurement_event(MEASUREMENT, links={"nucleus": "http://n/x", "report": None})

    assert event["model"] == {"id": "prj_1", "name": "detector v3", "run_id": "run_1"}
    assert event["dataset"] == {"id": "ds_1", "name": "street"}
    assert event["slice"] == {"id": "slc_1", "name": "day 2", "query": None}
    assert event["benchmark"] is None
    assert event["numbers"] == {"precision": 0.53, "recall": None, "tp": 139}
    assert event["coverage"]["with_ground_truth"] == 30
    assert event["links"] == {"nucleus": "http://n/x"}
    assert event["verdict"] is None
    assert QUALITY_RESULT not in event


def test_an_event_of_a_judgement_has_the_verdict_and_why():
    """The worst sentences, at most five."""
    event = judgement_event(
        judgement(result("f1", "pass"), *(result(f"rule-{n}", "fail") for n in range(9))),
        decision={"decision": "approved", "by": "ada"},
    )

    assert (event["verdict"], event["stopped"]) == ("fail", True)
    assert event["reasons"] == [f"rule-{n}: fail" for n in range(5)]
    assert event["decision"] == {"decision": "approved", "by": "ada"}


def test_all_events_have_one_layout():
    """A consumer reads one shape, whatever happened."""
    plain = measurement_event(MEASUREMENT)
    judged = judgement_event(judgement(result("f1", "pass"), status="pass", stopped=False))
    upload = upload_event({"rows": 3, "processed": 3, "quarantine": "/tmp/q"}, subject=SUBJECT)

    assert set(judged) - {QUALITY_RESULT} == set(plain) == set(upload)
    assert upload["rows"] == {"rows": 3, "processed": 3}
    assert upload["numbers"] is None


@pytest.mark.parametrize(
    ("statuses", "score", "counts"),
    [
        (["pass", "pass"], 1.0, (2, 0, 0, 0)),
        (["pass", "warn"], 0.875, (1, 1, 0, 0)),
        (["pass", "fail"], 0.5, (1, 0, 1, 0)),
        (["pass", "insufficient"], 0.5, (1, 0, 0, 1)),
        (["missing", "error"], 0.0, (0, 0, 0, 2)),
        ([], None, (0, 0, 0, 0)),
    ],
)
def test_the_summary_is_that_of_the_data_quality_provider(statuses, score, counts):
    """Same keys, same weights; what could not be judged is no pass: `require_quality(min_score=1)` stops on it."""
    found = quality_result(
        judgement(*(result(f"r{n}", status) for n, status in enumerate(statuses))).verdict, SUBJECT
    )

    assert set(found) == {
        "run_uid", "ruleset", "table", "score", "passed", "warned", "failed", "errored", "failed_rules", "warned_rules",
    }  # fmt: skip
    assert found["score"] == score
    assert (found["passed"], found["warned"], found["failed"], found["errored"]) == counts
    assert (found["ruleset"], found["table"], found["run_uid"]) == ("street", "street", "job_1")


def test_a_rule_over_many_labels_counts_once_with_its_worst_result():
    """Eighty classes are one rule."""
    results = [result("per-class", "pass", f"label {n}") for n in range(79)] + [
        result("per-class", "fail", "label x")
    ]
    found = quality_result(judgement(*results).verdict, SUBJECT)

    assert (found["passed"], found["failed"], found["failed_rules"]) == (0, 1, ["per-class"])


def test_an_event_stays_small_and_storable():
    """Whatever texts and numbers there are."""
    many = {f"number {n}": 0.5 for n in range(2000)}
    measurement = MEASUREMENT.model_copy(update={"overall": Numbers(values=many)})
    event = judgement_event(
        judgement(
            *(result(f"rule {'x' * 60} {n}", "fail") for n in range(300)), reasons=["a\x00" * 400] * 9
        ).model_copy(update={"candidate": measurement})
    )

    assert len(json.dumps(event, allow_nan=False).encode()) <= MAX_EVENT_BYTES
    assert event["verdict"] == "fail"
    assert "\x00" not in json.dumps(event)
    assert next(iter(event["numbers"])) == "number 0"
