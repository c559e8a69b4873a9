"""Questions to people, in Airflow's own words (human in the loop): asking, parking the task, and reading the answer.

Airflow keeps one question for each task instance, through retries and clears: it removes the answer, and leaves the words. What people
would read after a clear is then the question of before it, so the words that are stored are compared with ours before anybody waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusEventError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperator, Context

__all__ = ["APPROVE", "REJECT", "HumanAnswer", "HumanQuestion", "ask", "read_answer", "wait_for_answer"]

APPROVE: Final = "Approve"
REJECT: Final = "Reject"
_NOTE: Final = "note"


@dataclass(frozen=True, slots=True)
class HumanQuestion:
    """A question with two options, and a note for who likes; `REJECT` is taken when nobody answers."""

    subject: str
    body: str
    timeout: timedelta
    assigned_users: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True)
class HumanAnswer:
    """The option that was taken, by whom and when; `by` is None when nobody answered in time."""

    approved: bool
    by: str | None
    by_id: str | None
    at: str
    note: str | None = None


def ask(context: Context, question: HumanQuestion) -> None:
    """Put the question where people see it; raises AirflowOptionalProviderFeatureException below Airflow 3.1.

    Raises NucleusConfigError where Airflow keeps the words of an earlier question: nobody should answer those.
    """
    try:
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS
    except ImportError:
        raise _no_people() from None
    payload: dict[str, Any] = {
        "ti_id": context["ti"].id,
        "options": [APPROVE, REJECT],
        "subject": question.subject,
        "body": question.body,
        "defaults": [REJECT],
        "multiple": False,
        "params": _note_field(),
        "assigned_users": [dict(user) for user in question.assigned_users],
    }
    stored = SUPERVISOR_COMMS.send(
        msg=CreateHITLDetailPayload(**{
            name: value for name, value in payload.items() if name in CreateHITLDetailPayload.model_fields
        })
    )
    kept = (getattr(stored, "subject", question.subject), getattr(stored, "body", question.body))
    if kept != (question.subject, question.body):
        raise NucleusConfigError(
            f"Airflow keeps one question for each task instance, and that of before the clear is still there ({kept[0]!r}): people "
            "would answer for another verdict.",
            hint="Nobody was asked and nothing was decided. Start another run of the DAG.",
        )


def wait_for_answer(
    task: BaseOperator, context: Context, question: HumanQuestion, *, method_name: str, kwargs: dict[str, Any]
) -> NoReturn:
    """Park the task until an answer is there or the time is over; *method_name* goes on, with *kwargs* and the event."""
    try:
        from airflow.sdk.exceptions import TaskAwaitingInput
    except ImportError:
        _defer(task, context, question, method_name=method_name, kwargs=kwargs)
    else:
        raise TaskAwaitingInput(method_name=method_name, kwargs=kwargs, timeout=question.timeout)
    raise AssertionError("the task went on although it waits")


def _defer(
    task: BaseOperator, context: Context, question: HumanQuestion, *, method_name: str, kwargs: dict[str, Any]
) -> None:
    """Have the triggerer wait, as Airflow 3.1 and 3.2 do."""
    try:
        from airflow.providers.standard.triggers.hitl import HITLTrigger
    except ImportError as error:
        raise AirflowOptionalProviderFeatureException(
            "On Airflow 3.1 and 3.2 the trigger that waits for people is in apache-airflow-providers-standard, and that cannot be "
            f"imported ({error}). Install it where tasks and the triggerer run, or use Airflow 3.3."
        ) from error
    task.defer(
        trigger=HITLTrigger(
            ti_id=context["ti"].id,
            options=[APPROVE, REJECT],
            defaults=[REJECT],
            params=_note_field(),
            multiple=False,
            timeout_datetime=datetime.now(UTC) + question.timeout,
        ),
        method_name=method_name,
        kwargs=kwargs,
    )


def read_answer(event: Any) -> HumanAnswer:
    """Return the answer in an event of Airflow's; raises NucleusEventError for one that is neither answer nor default."""
    if isinstance(event, dict) and "error" not in event:
        chosen, user = event.get("chosen_options"), event.get("responded_by_user")
        if chosen in ([APPROVE], [REJECT]):
            note = (event.get("params_input") or {}).get(_NOTE)
            at = event.get("responded_at")
            return HumanAnswer(
                approved=chosen == [APPROVE],
                by=_of(user, "name") or _of(user, "id"),
                by_id=_of(user, "id"),
                at=at.isoformat() if isinstance(at, datetime) else str(at or datetime.now(UTC).isoformat()),
                note=str(note).strip() or None if note is not None else None,
            )
    reason = event.get("error") if isinstance(event, dict) else None
    raise NucleusEventError(
        f"No answer to the question came back: {reason or repr(event)[:200]}.",
        hint="Nothing was decided. Clear the task to ask again.",
    )


def _of(user: Any, name: str) -> str | None:
    value = user.get(name) if isinstance(user, dict) else getattr(user, name, None)
    return None if value is None else str(value)


def _note_field() -> dict[str, Any]:
    return {
        _NOTE: {
            "value": None,
            "description": "Why, for whoever reads the record later",
            "schema": {"type": ["string", "null"], "maxLength": 500},
        }
    }


def _no_people() -> AirflowOptionalProviderFeatureException:
    return AirflowOptionalProviderFeatureException(
        "Asking people needs Airflow 3.1 or later (human in the loop), and the verdict is no pass: nobody was asked, and nothing was "
        "accepted. Here, let the gate itself end the matter (it fails or skips); who accepts the model nevertheless marks this task as "
        "success, or runs the DAG again with another policy."
    )
