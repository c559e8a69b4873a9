"""Approval by a person: who is asked, what an answer does, and what is left when something goes wrong in between."""

from __future__ import annotations

import importlib.util
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException, AirflowSkipException

import airflow_provider_nucleus
from airflow_provider_nucleus.assets.factories import accepted
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusEventError, NucleusGateError
from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement, Numbers, Subject
from airflow_provider_nucleus.gating.verdict import Judgement, RuleResult, Verdict
from airflow_provider_nucleus.operators.approval import NucleusApprovalOperator
from airflow_provider_nucleus.tasks.baselines import FileBaseline
from tests.unit.operators.fakes import StateStore, context

try:
    from airflow.sdk.execution_time.context import OutletEventAccessors
except ImportError:  # Airflow 2
    from airflow.utils.context import OutletEventAccessors

ASSET = accepted(dataset="street", model="detector")
AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def judged(status: str = "fail", *, value: float = 0.51) -> dict[str, Any]:
    """Return a judgement's document."""
    result = RuleResult(
        rule_id="f1",
        metric="f1",
        subject="overall",
        bound="max_drop",
        status="fail",
        value=value,
        text="f1 fell",
    )
    candidate = Measurement(
        subject=Subject(model_name="v3", dataset_name="street", job_id="job_1"),
        fingerprint=Fingerprint(data="dataset:ds_1"),
        overall=Numbers(values={"f1": value}),
    )
    verdict = Verdict(
        status=status,
        stopped=status != "pass",
        policy="street",
        policy_digest="0",
        results=[result],
        reasons=["f1 fell"],
    )
    return Judgement(candidate=candidate, verdict=verdict).model_dump(mode="json", by_alias=True)


def answer(option: str, *, user: str | None = "ada", note: str | None = None) -> dict[str, Any]:
    """Return the event with which Airflow wakes the task."""
    return {
        "chosen_options": [option],
        "params_input": {"note": note},
        "responded_at": AT,
        "responded_by_user": {"id": "7", "name": user} if user else None,
        "timedout": user is None,
    }


class People:
    """Airflow's side of a question: keeps the first words it was given for a task instance, as Airflow does."""

    def __init__(self) -> None:
        self.questions: list[Any] = []
        self.kept: Any = None

    def send(self, msg: Any) -> Any:
        """Take a question; return the one that is kept."""
        self.questions.append(msg)
        self.kept = self.kept or msg
        return SimpleNamespace(subject=self.kept.subject, body=self.kept.body)


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> People:
    """A running Airflow that has people; the test is skipped below 3.1."""
    runner = pytest.importorskip("airflow.sdk.execution_time.task_runner")
    pytest.importorskip("airflow.sdk.execution_time.hitl", reason="people are asked from Airflow 3.1 on")
    made = People()
    monkeypatch.setattr(runner, "SUPERVISOR_COMMS", made, raising=False)
    return made


def running(task: NucleusApprovalOperator, **more: Any) -> dict[str, Any]:
    """Return the context of a running task with its outlets."""
    made = context(task, **more)
    made["ti"].id = "01900000-0000-7000-8000-000000000000"
    made["outlet_events"] = OutletEventAccessors()
    return made


def approval(**more: Any) -> NucleusApprovalOperator:
    """Return the task."""
    return NucleusApprovalOperator(**{"task_id": "approve", "judgement": judged(), "outlets": [ASSET]} | more)


def park(task: NucleusApprovalOperator, made: dict[str, Any]) -> BaseException:
    """Run the task until it waits; return what it raised to say so."""
    with pytest.raises(BaseException) as raised:
        task.execute(made)
    assert type(raised.value).__name__ in {"TaskAwaitingInput", "TaskDeferred"}, raised.value
    return raised.value


def test_a_pass_asks_nobody():
    """On every Airflow; the event of the outlet is that of an acceptance."""
    task = approval(judgement=judged("pass"))
    made = running(task)
    result = task.execute(made)

    assert (result["decision"], result["by"], result["answered"]) == ("not_needed", None, False)
    assert made["outlet_events"][ASSET].extra["verdict"] == "pass"


@pytest.mark.parametrize("status", ["fail", "inconclusive"])
def test_everything_else_is_asked(people, status):
    """With the difference, what happens without an answer, and rejection as default."""
    task = approval(
        judgement=judged(status), links={"report": "https://r/1"}, response_timeout=timedelta(hours=2)
    )
    waits = park(task, running(task))
    (question,) = people.questions

    if hasattr(waits, "trigger"):  # Airflow 3.1 and 3.2
        rest = waits.trigger.serialize()[1]["timeout_datetime"] - datetime.now(UTC)
        assert timedelta(minutes=119) < rest <= timedelta(hours=2)
    else:
        assert waits.timeout == timedelta(hours=2)
    assert question.subject == f"Accept it? {status}: v3 on street"
    assert "[report](https://r/1)" in question.body
    assert "Without an answer within 2 hours it is rejected." in question.body
    assert question.defaults == ["Reject"]


def test_below_3_1_the_error_says_what_to_do_instead(monkeypatch):
    """Nobody was asked, and nothing was accepted."""
    import sys

    monkeypatch.setitem(sys.modules, "airflow.sdk.execution_time.comms", None)
    task = approval()
    with pytest.raises(
        AirflowOptionalProviderFeatureException, match=r"needs Airflow 3\.1.*let the gate itself end"
    ):
        task.execute(running(task))


def test_an_approval_is_recorded_and_announced(tmp_path):
    """Who, when, why: in the record, in the result, and in the event."""
    record = tmp_path / "baseline.json"
    task = approval(baseline_record=str(record))
    made = running(task)
    result = task.execute_complete(made, answer("Approve", note="known fog"))

    assert result == result | {
        "decision": "approved", "verdict": "fail", "by": "ada", "by_id": "7", "answered": True, "note": "known fog",
        "at": AT.isoformat(), "baseline_record": str(record),
    }  # fmt: skip
    stored = FileBaseline(str(record)).read()
    assert stored.accepted_measurement.overall.values == {"f1": 0.51}
    assert [(one.action, one.by) for one in stored.decisions][:2] == [("propose", "ada"), ("confirm", "ada")]
    assert made["outlet_events"][ASSET].extra["decision"]["by"] == "ada"


@pytest.mark.parametrize(("on_reject", "error"), [("skip", AirflowSkipException), ("fail", NucleusGateError)])
@pytest.mark.parametrize("user", ["ada", None])
def test_a_rejection_ends_this_task_and_is_recorded_before(tmp_path, on_reject, error, user):
    """By a person or by silence; what is accepted stays."""
    record = tmp_path / "baseline.json"
    task = approval(baseline_record=str(record), on_reject=on_reject)
    made = running(task)
    with pytest.raises(error, match=f"Rejected by {user or 'nobody within 1 day'}: fail: v3 on street"):
        task.execute_complete(made, answer("Reject", user=user))

    stored = FileBaseline(str(record)).read()
    assert stored.accepted is None
    assert stored.decisions[-1].action == "reject"
    assert made["ti"].xcoms["return_value"]["decision"] == "rejected"
    assert made["ti"].xcoms["return_value"]["answered"] is (user is not None)
    assert made["outlet_events"][ASSET].extra == {}


def test_an_answer_to_another_verdict_accepts_nothing(people, tmp_path):
    """The gate was cleared while somebody read the question."""
    record = tmp_path / "baseline.json"
    task = approval(baseline_record=str(record))
    kwargs = park(task, running(task)).kwargs
    task.judgement = judged(value=0.3)
    with pytest.raises(NucleusConfigError, match="ada answered for another verdict"):
        task.execute_complete(running(task), answer("Approve"), **kwargs)

    assert not record.exists()


def test_after_a_clear_the_words_of_before_are_not_answered(people):
    """Airflow keeps the first words of a task instance; the same words may be asked again."""
    task = approval()
    park(task, running(task))
    park(task, running(task, max_tries=1))
    task.judgement = judged(value=0.3)
    with pytest.raises(NucleusConfigError, match="before the clear is still there"):
        task.execute(running(task, max_tries=2))


def test_a_retry_finishes_with_the_answer_that_is_there(people, tmp_path):
    """The record was out of reach when the answer came: nobody is asked twice. A clear by the user asks again."""
    pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="task state comes with Airflow 3.3")
    store = StateStore()
    record = tmp_path / "baseline.json"
    task = approval(baseline_record=str(record))
    park(task, running(task, store=store))
    record.write_text("{not json")
    with pytest.raises(NucleusConfigError):
        task.execute_complete(running(task, store=store), answer("Approve"))
    record.unlink()

    assert task.execute(running(task, store=store))["by"] == "ada"
    assert len(people.questions) == 1
    park(task, running(task, store=store, max_tries=1))
    assert len(people.questions) == 2


def test_an_answer_outlives_a_judgement_that_is_out_of_reach(people, tmp_path):
    """Hours later the store does not answer: who answered is not asked again, and what comes back is what was shown."""
    pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="task state comes with Airflow 3.3")
    place, store = tmp_path / "judgement.json", StateStore()
    place.write_text(json.dumps(judged()))
    task = approval(judgement=str(place))
    kwargs = park(task, running(task, store=store)).kwargs
    hidden = place.rename(tmp_path / "gone.json")
    with pytest.raises(NucleusConfigError, match="There is no judgement"):
        task.execute_complete(running(task, store=store), answer("Approve"), **kwargs)

    hidden.rename(place)
    assert task.execute(running(task, store=store))["by"] == "ada"
    assert len(people.questions) == 1


def test_a_record_out_of_reach_is_found_before_anybody_is_asked(people, tmp_path):
    """Nobody answers in vain."""
    (tmp_path / "baseline.json").write_text("{not json")
    task = approval(baseline_record=str(tmp_path / "baseline.json"))
    with pytest.raises(NucleusConfigError):
        task.execute(running(task))

    assert people.questions == []


def test_a_gate_that_keeps_its_record_in_an_asset_needs_that_asset_here(people):
    """Airflow gives an asset's state to its own tasks only."""
    result = {"verdict": "fail", "stopped": True, "judgement": None, "baseline_record": "asset:street"}
    task = approval(judgement=result)
    with pytest.raises(NucleusConfigError, match="baseline_asset"):
        task.execute(running(task))

    assert people.questions == []


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        {"error": "x", "error_type": "timeout"},
        {"chosen_options": ["Approve", "Reject"]},
        {"chosen_options": ["yes"]},
    ],
)
def test_an_event_that_is_no_answer_decides_nothing(event):
    """Fail closed."""
    task = approval()
    with pytest.raises(NucleusEventError, match="Nothing was decided"):
        task.execute_complete(running(task), event)


def test_the_result_of_a_gate_is_enough(people, tmp_path):
    """Its document is read where there is one; else what the result says is shown."""
    place = tmp_path / "judgement.json"
    place.write_text(json.dumps(judged()))
    rule = judged()["verdict"]["results"][0]
    for given in ({"verdict": "fail", "stopped": True, "judgement": str(place)}, str(place)):
        task = approval(judgement=given)
        park(task, running(task))
        people.kept = None
    task = approval(judgement={
        "verdict": "fail", "stopped": True, "judgement": None, "candidate": {"model_name": "v3"}, "results": [rule],
        "links": {"crops": "https://c/1"},
    })  # fmt: skip
    park(task, running(task))

    assert people.questions[0].body == people.questions[1].body
    assert "| fail | f1 | f1 | 0.510 |" in people.questions[2].body
    assert "[crops](https://c/1)" in people.questions[2].body


def test_without_document_an_approval_needs_the_proposal_of_the_gate(people, tmp_path):
    """A baseline without numbers would be quietly wrong."""
    result = {"verdict": "fail", "stopped": True, "judgement": None, "candidate": {"model_name": "v3"}}
    task = approval(judgement=result, baseline_record=str(tmp_path / "b.json"))
    with pytest.raises(NucleusConfigError, match="neither its document nor a proposal"):
        task.execute(running(task))


def test_a_notifier_that_fails_fails_nothing(people):
    """The question stands."""

    def broken(_: Any) -> None:
        raise RuntimeError("chat is down")

    task = approval(notifiers=broken)
    park(task, running(task))


@pytest.mark.parametrize(("argument", "value"), [("on_reject", "branch"), ("response_timeout", 0)])
def test_impossible_arguments_are_refused_when_the_dag_is_parsed(argument, value):
    """Not when somebody has answered."""
    with pytest.raises(ValueError, match=argument):
        approval(**{argument: value})


def test_the_code_on_the_page_of_approvals_runs():
    """As it is written, with a gate before it."""
    page = Path(airflow_provider_nucleus.__file__).parents[1] / "docs/events-and-approval.md"
    consumer, behind_a_gate = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    if importlib.util.find_spec("airflow.sdk") is not None:
        names: dict[str, Any] = {}
        exec(compile(consumer, "documentation", "exec"), names)
        assert names["deploy_accepted"]().task_ids == ["deploy"]
    names = {"gate": SimpleNamespace(output=judged())}
    exec(compile(behind_a_gate, "documentation", "exec"), names)

    assert names["approve"].outlets == [ASSET]
