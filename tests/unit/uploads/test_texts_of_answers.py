"""Texts of a server's answers end up in Airflow's database: what PostgreSQL's JSON refuses must not be in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.exceptions import NucleusUploadError
from airflow_provider_nucleus.operators.uploads import NucleusUploadAnnotationsOperator
from airflow_provider_nucleus.tasks.results import checked_xcom
from airflow_provider_nucleus.tasks.state import TaskState
from airflow_provider_nucleus.triggers.events import WaitEvent
from tests.airflow.harness import connection_json
from tests.faults import Fault
from tests.unit.operators.fakes import StateStore, context
from tests.unit.uploads.conftest import box, boxes

if TYPE_CHECKING:
    from tests.unit.uploads.conftest import Stage

DIRTY = "no\x00 item\x1b[31m \ud800\x7f; second\tline\nthird \U0001f600"
CLEAN = "no\ufffd item\ufffd[31m \ufffd\ufffd; second\tline\nthird \U0001f600"


def refused(stored: Any) -> list[str]:
    """Characters in the JSON of a value that PostgreSQL's JSONB refuses, or that no text needs."""
    text = json.dumps(stored)
    lone = text.replace("\\ud83d\\ude00", "")
    return [name for name in ("\\u0000", "\\u001b", "\\u007f", "\x7f", "\\ud8") if name in lone]


def saying(body: bytes) -> bytes:
    """Let a job, or the errors of one, speak so."""
    answer = json.loads(body)
    if isinstance(answer, list):
        return json.dumps([json.dumps(json.loads(text) | {"error": DIRTY}) for text in answer]).encode()
    if answer.get("status") in {"Completed", "Errored_Partial"}:
        answer["status"] = "Errored_Partial"
        answer["message"] |= {"final_error": DIRTY, DIRTY: [DIRTY]}
    return json.dumps(answer).encode()


def upload(stage: Stage, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> tuple[Any, Any]:
    """Return a task whose second of three rows is for no item, and its context."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_NUCLEUS_DEFAULT",
        connection_json(endpoint=stage.proxy.url, api_key=stage.bench.api_key),
    )
    stage.proxy.arm(Fault("speaks", r"GET .*/job/job_", "edit-answer", times=999, edit=saying))
    task = NucleusUploadAnnotationsOperator(
        task_id="upload",
        dataset_id=stage.bench.dataset_id,
        source=[*boxes(2), box(2, reference_id="nowhere")],
        deferrable=False,
        **arguments,
    )
    return task, context(task, store=StateStore())


def test_a_result_and_a_record_hold_no_such_characters(stage: Stage, monkeypatch):
    """The reason of a refused row is in the XCom and in the state store, readable."""
    task, around = upload(stage, monkeypatch, max_error_rate=1)
    result = task.execute(around)

    assert (result["processed"], result["errored"]) == (2, 1)
    assert result["first_errors"] == [CLEAN]
    assert refused(result) == []
    values = around["task_state_store"].values
    assert "no\\ufffd item" in "".join(values.values())
    assert refused([json.loads(value) for value in values.values()]) == []


def test_the_account_of_a_failed_upload_holds_none_either(stage: Stage, monkeypatch):
    """It is an XCom of its own."""
    task, around = upload(stage, monkeypatch)
    with pytest.raises(NucleusUploadError, match="1 of 3 rows are bad"):
        task.execute(around)

    account = around["ti"].xcoms["failed_upload"]
    assert account["first_errors"] == [CLEAN]
    assert refused(account) == []


def test_an_event_holds_none():
    """Names of members and nested texts as well; what the task itself gave comes back as it was."""
    status = {"status": f"Completed{DIRTY}", "message": {DIRTY: [DIRTY, 1, None, True, 0.5]}}
    event = WaitEvent("unreachable", {"job_1": status}, {"label": "a"}, DIRTY)
    payload = event.to_payload()

    assert refused(payload) == []
    assert payload["message"] == CLEAN
    assert payload["jobs"]["job_1"]["message"] == {CLEAN: [CLEAN, 1, None, True, 0.5]}
    assert WaitEvent.from_payload(payload).jobs["job_1"]["status"] == f"Completed{CLEAN}"


def test_labels_and_other_results_hold_none():
    """One rule for every operator and sensor: they all return what `checked_xcom` returns."""
    result = checked_xcom({"per_class_ap": {DIRTY: 0.5}, "mAP": None, "jobs": [DIRTY]})

    assert result == {"per_class_ap": {CLEAN: 0.5}, "mAP": None, "jobs": [CLEAN]}


def test_a_state_store_gets_none():
    """Whatever is recorded."""
    store = StateStore()
    TaskState(store).set("record", {"refused": [DIRTY]})

    assert TaskState(store).get("record") == {"refused": [CLEAN]}
