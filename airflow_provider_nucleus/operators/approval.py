"""Approval by a person, where the gate says that a model did not pass, or that the evidence does not tell.

What must not be relaxed:

- A `pass` is passed through and asks nobody; everything else asks, and silence is a rejection.
- A rejection ends this task itself (skipped, or failed). Skipping the tasks behind it, as Airflow's own `ApprovalOperator` does, does
  not stop them inside a mapped task group on Airflow 3.3.
- What was answered is recorded before anything is raised, and a try that follows finishes with it instead of asking again.
- An answer counts for the verdict that was shown: if another is there when it comes back, nothing is accepted.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, get_args

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_nucleus.assets.event_content import judgement_event
from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.baseline import confirm, reject
from airflow_provider_nucleus.lineage.facts import judgement_facts
from airflow_provider_nucleus.operators.announcing import NucleusAnnouncingOperator
from airflow_provider_nucleus.tasks.arguments import DOCUMENT, OBJECT, OBJECTS, TEXT, required
from airflow_provider_nucleus.tasks.baselines import baseline_store, record_decision
from airflow_provider_nucleus.tasks.deferring import seconds
from airflow_provider_nucleus.tasks.gating import GateStoppedError
from airflow_provider_nucleus.tasks.human_input import (
    HumanAnswer,
    HumanQuestion,
    ask,
    read_answer,
    wait_for_answer,
)
from airflow_provider_nucleus.tasks.judgements import is_whole, judgement_of, links_of
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, place_label, short_label
from airflow_provider_nucleus.tasks.results import checked_xcom
from airflow_provider_nucleus.tasks.state import clear_count, task_state
from airflow_provider_nucleus.tasks.verdict_text import verdict_headline, verdict_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Asset, BaseNotifier, Context

    from airflow_provider_nucleus.gating.verdict import Judgement
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind
    from airflow_provider_nucleus.tasks.baselines import BaselineStore

__all__ = ["NucleusApprovalOperator"]

Rejection = Literal["skip", "fail"]

_STATE_KEY: Final = "nucleus_answer"
_SUBJECT_CHARS: Final = 200


class NucleusApprovalOperator(NucleusAnnouncingOperator):
    """Ask a person whether a model is accepted that its gate did not let pass; a `pass` goes through without a question.

    A task of its own behind the gate, with `trigger_rule="all_done"` if the gate fails or skips. It shows the verdict, the rules that
    are no pass with their differences, the changed objects and the links, and waits in Airflow's own "required actions" (Airflow 3.1
    and later; 3.3 without a triggerer). Nobody's answer within `response_timeout` is a rejection. Who decided what, when and why is in
    the baseline record and in the result; the asset event of an `accepted` outlet is emitted on a pass and on an approval only.

    Returns `decision` (`approved`, `rejected`, `not_needed`), `verdict`, `by`, `by_id`, `at`, `answered`, `note`, `judgement`,
    `baseline_record`.

    :param judgement: the output of the gate's task, its judgement, or the place of that (templated)
    :param links: further links to show, by name, `{"report": "https://...", "crops": "https://..."}`; those of the gate are shown in
        any case (templated)
    :param subject: headline of the question; the default names verdict, model and batch (templated)
    :param on_reject: `skip` ends this task as skipped, `fail` as failed
    :param response_timeout: how long an answer is waited for, in seconds or as timedelta; then the model is rejected
    :param assigned_users: who may answer, each `{"id": ..., "name": ...}`; everybody who may edit the DAG if it is empty (templated)
    :param notifiers: what is called when the question is there, for example a `NucleusVerdictNotifier`; its failure fails nothing
    :param baseline_record: file of the baseline record that gets the decision; the default is the one that the gate names (templated)
    :param baseline_asset: asset whose state is the baseline record, instead of a file; it becomes an inlet of this task
    :param partition_key: partition of the asset events; see `NucleusAnnouncingOperator` (templated)
    :param nucleus_conn_id: the Nucleus connection; nothing here uses it (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "judgement": required(DOCUMENT),
        "links": OBJECT,
        "subject": TEXT,
        "assigned_users": OBJECTS,
        "baseline_record": TEXT,
        **NucleusAnnouncingOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "judgement": "json",
        "links": "json",
        "assigned_users": "json",
    }

    def __init__(
        self,
        *,
        judgement: Any,
        links: Mapping[str, str] | str | None = None,
        subject: str | None = None,
        on_reject: Rejection = "skip",
        response_timeout: float | timedelta = timedelta(days=1),
        assigned_users: Sequence[Mapping[str, str]] | str | None = None,
        notifiers: Sequence[BaseNotifier] | BaseNotifier | None = None,
        baseline_record: str | None = None,
        baseline_asset: Asset | None = None,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.judgement = judgement
        self.links = links
        self.subject = subject
        self.on_reject = on_reject
        self.response_timeout = response_timeout
        self.assigned_users = assigned_users
        self.notifiers = notifiers
        self.baseline_record = baseline_record
        self.baseline_asset = baseline_asset
        if on_reject not in get_args(Rejection):
            raise ValueError(f"on_reject must be one of {', '.join(get_args(Rejection))}, not {on_reject!r}")
        if seconds(response_timeout) <= 0:
            raise ValueError("response_timeout must be positive: nobody could answer")
        if baseline_asset is not None and baseline_asset not in self.inlets:
            self.inlets = [*self.inlets, baseline_asset]

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        if not isinstance(self.judgement, dict):
            return place_label(self.judgement)
        subject = self.judgement.get("candidate")
        names = subject.get("subject", subject) if isinstance(subject, dict) else {}
        return short_label(names.get("model_name") or names.get("model_id"))

    def execute(self, context: Context) -> dict[str, Any]:
        """Pass a pass through; for everything else ask, and wait."""
        self.read_arguments()
        judgement = judgement_of(self.judgement)
        self.lineage = judgement_facts(judgement)
        if judgement.verdict.status == "pass":
            self.log.info("The gate says pass: nobody is asked")
            return self._accept(context, judgement, self._result(judgement, "not_needed", None))
        store = self._store(context, judgement)
        if (known := self._answered(context, judgement)) is not None:
            self.log.info("An earlier try has the answer: %s", known)
            return self._decide(context, judgement, known, store)
        question = self._question(judgement)
        self.log.info("%s\n%s", question.subject, question.body)
        ask(context, question)
        self._notify(context)
        return wait_for_answer(
            self, context, question, method_name="execute_complete", kwargs={"digest": _digest(judgement)}
        )

    def execute_complete(
        self, context: Context, event: Any = None, digest: str | None = None
    ) -> dict[str, Any]:
        """Go on with the answer."""
        answer = read_answer(event)
        if digest is not None:
            # Before the judgement is read again: where it is out of reach, a retry finishes with this answer.
            self._keep(context, answer, digest)
        judgement = judgement_of(self.judgement)
        self.lineage = judgement_facts(judgement)
        if digest is None:
            self._keep(context, answer, _digest(judgement))
        elif digest != _digest(judgement):
            raise NucleusConfigError(
                f"{answer.by or 'Nobody'} answered for another verdict than the one that is there now ({verdict_headline(judgement)}).",
                hint="The gate ran again in the meantime. Nothing was accepted; start another run of the DAG.",
            )
        return self._decide(context, judgement, answer, self._store(context, judgement))

    def _question(self, judgement: Judgement) -> HumanQuestion:
        wait = timedelta(seconds=seconds(self.response_timeout))
        subject = self.subject or f"Accept it? {verdict_headline(judgement)}"
        text = verdict_markdown(judgement, links=self._links())
        silence = f"Without an answer within {_duration(wait)} it is rejected."
        return HumanQuestion(
            subject=" ".join(subject.split())[:_SUBJECT_CHARS],
            body=f"{text}\n\n{silence}",
            timeout=wait,
            assigned_users=self._users(),
        )

    def _users(self) -> list[dict[str, str]]:
        users: Any = self.assigned_users or []
        for user in users:
            if not all(isinstance(user.get(name), str) for name in ("id", "name")):
                raise NucleusConfigError(
                    f'Task {self.task_id!r}: assigned_users has a member without id and name: {user!r}. Each is {{"id": ..., "name": ...}}.',
                    field="assigned_users",
                )
        return [{"id": user["id"], "name": user["name"]} for user in users]

    def _links(self) -> dict[str, str]:
        own: Any = self.links or {}
        return links_of(self.judgement) | {str(name): str(url) for name, url in own.items() if url}

    def _notify(self, context: Context) -> None:
        notifiers: Any = self.notifiers or []
        for notifier in notifiers if isinstance(notifiers, list | tuple) else [notifiers]:
            try:
                notifier(context)
            except Exception as error:  # ruff: ignore[blind-except] - notifiers fail in any way, and the question stands
                self.log.warning(
                    "%s failed, the question stands: %s", type(notifier).__name__, type(error).__name__
                )

    def _store(self, context: Context, judgement: Judgement) -> BaselineStore | None:
        """Return the record that gets the decision; raises before anybody is asked where it is out of reach."""
        named = self.judgement.get("baseline_record") if isinstance(self.judgement, dict) else None
        place = self.baseline_record or (None if self.baseline_asset is not None else named)
        store = baseline_store(place, self.baseline_asset, context)
        if store is None:
            return None
        store.read()
        if not is_whole(judgement) and self._proposal is None:
            raise NucleusConfigError(
                f"The gate left neither its document nor a proposal in {store.place}: there are no numbers that an approval could make "
                "the baseline.",
                field="judgement",
                hint="Give the gate a place for its judgement, and clear it.",
            )
        return store

    @property
    def _proposal(self) -> str | None:
        """Id of the candidate in the baseline record, where the gate has put it forward."""
        found = self.judgement.get("proposal") if isinstance(self.judgement, dict) else None
        return found if isinstance(found, str) else None

    def _keep(self, context: Context, answer: HumanAnswer, digest: str) -> None:
        """Keep the answer to what *digest* stands for, where Airflow has a place for it."""
        if (state := task_state(context)) is not None:
            state.set(
                _STATE_KEY, {"clear_count": clear_count(context), "digest": digest, "answer": asdict(answer)}
            )

    def _answered(self, context: Context, judgement: Judgement) -> HumanAnswer | None:
        """Return the answer that an earlier try got for the same verdict, unless the task was cleared since."""
        state = task_state(context)
        record = state.get(_STATE_KEY) if state is not None else None
        if not isinstance(record, dict) or record.get("clear_count") != clear_count(context):
            return None
        return HumanAnswer(**record["answer"]) if record.get("digest") == _digest(judgement) else None

    def _decide(
        self, context: Context, judgement: Judgement, answer: HumanAnswer, store: BaselineStore | None
    ) -> dict[str, Any]:
        """Record the answer, then end this task as it says."""
        who = answer.by or f"nobody within {_duration(timedelta(seconds=seconds(self.response_timeout)))}"
        result = self._result(judgement, "approved" if answer.approved else "rejected", answer)
        if store is not None:
            self._record(store, judgement, answer, by=who)
            result["baseline_record"] = store.place
        if answer.approved:
            self.log.info("Approved by %s: %s", who, verdict_headline(judgement))
            return self._accept(context, judgement, result)
        text = f"Rejected by {who}: {verdict_headline(judgement)}"
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=result)
        if self.on_reject == "skip":
            raise AirflowSkipException(text)
        raise GateStoppedError(
            f"{text}.",
            verdict=judgement.verdict.status,
            reasons=judgement.verdict.reasons,
            judgement=result["judgement"],
            hint="The decision is in this task's result, and in the baseline record if there is one.",
        )

    def _record(self, store: BaselineStore, judgement: Judgement, answer: HumanAnswer, *, by: str) -> None:
        """Write the answer into the baseline record."""
        if is_whole(judgement):
            place = self.judgement if isinstance(self.judgement, str) else self.judgement.get("judgement")
            record_decision(
                store,
                judgement.candidate,
                approved=answer.approved,
                by=by,
                at=answer.at,
                verdict=judgement.verdict.status,
                evidence=place if isinstance(place, str) else None,
                note=answer.note,
            )
        elif answer.approved:
            store.change(
                lambda record: confirm(record, self._proposal, by=by, at=answer.at, note=answer.note)
            )
        else:
            store.change(
                lambda record: reject(record, self._proposal, by=by, at=answer.at, reason=answer.note)
            )

    def _accept(self, context: Context, judgement: Judgement, result: dict[str, Any]) -> dict[str, Any]:
        decision = {name: result[name] for name in ("decision", "by", "at", "note")}
        self.announce(
            context, judgement_event(judgement, links=self._links(), decision=decision), kind="accepted"
        )
        return result

    def _result(self, judgement: Judgement, decision: str, answer: HumanAnswer | None) -> dict[str, Any]:
        place = self.judgement if isinstance(self.judgement, str) else self.judgement.get("judgement")
        return checked_xcom({
            "decision": decision,
            "verdict": judgement.verdict.status,
            "by": answer.by if answer else None,
            "by_id": answer.by_id if answer else None,
            "at": answer.at if answer else datetime.now(UTC).isoformat(),
            "answered": answer is not None and answer.by is not None,
            "note": answer.note if answer else None,
            "judgement": place if isinstance(place, str) else None,
            "baseline_record": None,
        })


def _digest(judgement: Judgement) -> str:
    """Return a short name of what people are shown of *judgement*."""
    return hashlib.sha256(verdict_markdown(judgement).encode()).hexdigest()[:16]


def _duration(wait: timedelta) -> str:
    """Return a duration in the largest unit that it is a whole number of."""
    total = wait.total_seconds()
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if total >= size and total % size == 0:
            count = int(total // size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{total:g} seconds"
