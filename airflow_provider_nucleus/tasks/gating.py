"""Gates in tasks: a candidate is judged, the evidence is stored, and only then a task fails or is skipped.

`gate` is for your own `@task`; `NucleusGateOperator` does the same as a task of its own. What must not be relaxed: nothing is raised
before the judgement is written, the proposal recorded and the result pushed, so that a report, an approval and the interface have them
whatever becomes of the task.

`outcome="skip"` raises AirflowSkipException in the task itself. Skipping what comes after it in any other way (`@task.branch`,
`@task.short_circuit`) does not hold inside a mapped task group on Airflow 3.2 and 3.3: the rejected model's next task runs.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from airflow.providers.common.compat.sdk import (
    Stats,
    get_current_context,
)

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError
from airflow_provider_nucleus.gating.baseline import confirm, measurement_id, propose
from airflow_provider_nucleus.gating.gate import assemble_gate, judge_gate
from airflow_provider_nucleus.gating.policy_reading import override_policy, read_policy
from airflow_provider_nucleus.gating.rule_table import rule_lines, worst_first
from airflow_provider_nucleus.tasks.baselines import baseline_store
from airflow_provider_nucleus.tasks.current_task import task_name
from airflow_provider_nucleus.tasks.documents import local_document, read_bytes, write_json
from airflow_provider_nucleus.tasks.gate_ends import GateStoppedError, stop
from airflow_provider_nucleus.tasks.gate_inputs import measurement_of, profile_of
from airflow_provider_nucleus.tasks.rendered_values import ArgumentError, decoded, is_blank
from airflow_provider_nucleus.tasks.reports import check_place, path_for_instance
from airflow_provider_nucleus.tasks.results import checked_xcom, shrink_to_xcom

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_nucleus.gating.baseline import BaselineRecord
    from airflow_provider_nucleus.gating.bounds import Interval
    from airflow_provider_nucleus.gating.confidence_cut import Cut
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.policy import Policy
    from airflow_provider_nucleus.gating.side_reading import Measure
    from airflow_provider_nucleus.gating.verdict import ChangeCounts, Judgement
    from airflow_provider_nucleus.tasks.baselines import BaselineStore

__all__ = ["GateRequest", "GateStoppedError", "ServerComparison", "decide", "gate", "policy_of", "stop"]

log = logging.getLogger(__name__)

Confirm = Literal["promotion", "auto"]

_OVERRIDES: Final = ("fail_on", "on_inconclusive", "on_missing_baseline")
_REASONS: Final = 10
_REASON_CHARS: Final = 300


@dataclass(frozen=True, kw_only=True)
class ServerComparison:
    """Intervals of the differences of candidate and baseline, by number and subject, and the objects that changed, from a server."""

    intervals: Mapping[tuple[str, str], Interval]
    changes: ChangeCounts


Compare: TypeAlias = "Callable[[Measurement, Measurement], ServerComparison | None]"


@dataclass(frozen=True, kw_only=True)
class GateRequest:
    """Everything that a gate is asked for; texts are rendered."""

    candidate: Any
    policy: Any
    baseline: Any = None
    numbers: Any = None
    baseline_numbers: Any = None
    profile: Any = None
    confidence: Cut = None
    judgement: Any = None
    baseline_record: Any = None
    baseline_asset: Any = None
    confirm: Confirm = "promotion"
    fail_on: str | None = None
    on_inconclusive: str | None = None
    on_missing_baseline: str | None = None


def gate(
    candidate: Any,
    *,
    policy: Any,
    baseline: Any = None,
    numbers: Mapping[str, float] | None = None,
    baseline_numbers: Mapping[str, float] | None = None,
    profile: Any = None,
    confidence: Cut = None,
    judgement: str | None = None,
    baseline_record: str | None = None,
    baseline_asset: Any = None,
    confirm: Confirm = "promotion",
    outcome: Literal["fail", "skip", "return"] = "fail",
    fail_on: str | None = None,
    on_inconclusive: str | None = None,
    on_missing_baseline: str | None = None,
) -> dict[str, Any]:
    """Judge *candidate* inside your own `@task`, and return what a gate's task returns; the arguments are those of NucleusGateOperator.

    A verdict that stops the pipeline raises: NucleusGateError, or AirflowSkipException with `outcome="skip"`; with `"return"` nothing is
    raised and `stopped` in the result says so. What is raised comes after the result was pushed as this task's own.
    """
    context = get_current_context()
    request = GateRequest(
        candidate=candidate,
        policy=policy,
        baseline=baseline,
        numbers=numbers,
        baseline_numbers=baseline_numbers,
        profile=profile,
        confidence=confidence,
        judgement=judgement,
        baseline_record=baseline_record,
        baseline_asset=baseline_asset,
        confirm=confirm,
        fail_on=fail_on,
        on_inconclusive=on_inconclusive,
        on_missing_baseline=on_missing_baseline,
    )
    if outcome not in {"fail", "skip", "return"}:
        raise ValueError(f"outcome must be 'fail', 'skip' or 'return', not {outcome!r}")
    found, result = decide(request, context)
    if found.verdict.stopped and outcome != "return":
        context["ti"].xcom_push(key="return_value", value=result)
        stop(found, result, outcome=outcome)
    return result


def decide(
    request: GateRequest,
    context: Mapping[str, Any],
    *,
    measure: Measure | None = None,
    compare: Compare | None = None,
) -> tuple[Judgement, dict[str, Any]]:
    """Judge, log, store; return the judgement and the result that the task pushes. Nothing is raised for a verdict.

    *measure* reads a model's numbers from a server; *compare* may have intervals of the differences from there. Raises NucleusConfigError for arguments that are wrong, before anything is stored.
    """
    policy = policy_of(request.policy, {name: getattr(request, name) for name in _OVERRIDES})
    place = path_for_instance(request.judgement, context)
    check_place(place, name="judgement")
    store = baseline_store(request.baseline_record, request.baseline_asset, context)
    record = None if store is None else store.read()
    candidate = measurement_of(
        request.candidate, name="candidate", measure=measure, confidence=request.confidence
    )
    if candidate is None:
        raise NucleusConfigError(
            "candidate is empty.",
            field="candidate",
            hint="If it is a template, look at what it renders to in the task's Rendered tab; task.output is the result of another task.",
        )
    baseline = measurement_of(
        request.baseline, name="baseline", measure=measure, confidence=request.confidence
    )
    assembled = assemble_gate(
        policy,
        candidate,
        baseline,
        record=record,
        profile=profile_of(request.profile, name="profile"),
        numbers=None if is_blank(request.numbers) else request.numbers,
        baseline_numbers=None if is_blank(request.baseline_numbers) else request.baseline_numbers,
    )
    sides = assembled.sides
    if store is not None and baseline is None and sides.baseline is not None:
        log.info(
            "No baseline was given: changes are measured from the last accepted measurement of %s",
            store.place,
        )
    for note in assembled.notes:
        log.warning("%s", note)
    compared = None if compare is None or sides.baseline is None else compare(sides.candidate, sides.baseline)
    judged = judge_gate(
        assembled,
        judged_at=_now(),
        intervals=None if compared is None else compared.intervals,
        changes=None if compared is None else compared.changes,
    )
    judgement = judged.judgement
    if judged.uncounted is not None:
        log.info("Changed objects are not counted: %s", judged.uncounted)
    if judgement.changes is not None:
        log.info(
            "Objects that the baseline missed and the candidate found: %d; the other way round: %d",
            judgement.changes.fixed,
            judgement.changes.broken,
        )
    log.info("%s", "\n".join(rule_lines(judgement.verdict)))
    written = _written(judgement, place)
    proposal = _proposed(
        judgement, store, request.confirm, context, assembled.record, evidence=written["judgement"]
    )
    _count(judgement)
    return judgement, _result(judgement, written=written, proposal=proposal, store=store)


def policy_of(value: Any, overrides: Mapping[str, Any] | None = None) -> Policy:
    """Return the policy that an argument is: typed, an object, text of one, or a path or URL of YAML; with *overrides* that are given.

    Raises NucleusPolicyError naming rule and field.
    """
    return override_policy(
        _policy(value), {name: None if is_blank(each) else each for name, each in (overrides or {}).items()}
    )


def _policy(value: Any) -> Policy:
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{"):
            try:
                value = decoded(text, "a policy")
            except ArgumentError as error:
                raise NucleusConfigError(f"policy {error}.", field="policy", hint=error.hint) from None
        elif "\n" not in text and local_document(text) is None:
            return _policy_at(text)
    if is_blank(value):
        raise NucleusConfigError(
            "policy is empty.",
            field="policy",
            hint='For example {"rules": [{"id": "f1", "metric": "f1", "min": 0.6}]}.',
        )
    return read_policy(value)


def _policy_at(url: str) -> Policy:
    try:
        text = read_bytes(url).decode()
    except FileNotFoundError:
        raise NucleusConfigError(f"There is no policy at {url}.", field="policy") from None
    return read_policy(f"{text}\n", name=PurePosixPath(url).stem)


def _written(judgement: Judgement, place: Any) -> dict[str, str | None]:
    """Write the document and return what the result says of it; a verdict stands whatever becomes of its file."""
    if place is None:
        return {"judgement": None, "judgement_error": None}
    try:
        write_json(place, judgement.model_dump(mode="json", by_alias=True))
    except Exception as error:  # file systems of any kind fail in any way
        log.exception("The judgement could not be written to %s; the verdict stands", place)
        return {"judgement": None, "judgement_error": f"{place}: {error}"[:_REASON_CHARS]}
    log.info("Wrote the judgement to %s", place)
    return {"judgement": str(place), "judgement_error": None}


def _proposed(
    judgement: Judgement,
    store: BaselineStore | None,
    confirming: Confirm,
    context: Mapping[str, Any],
    judged_with: BaselineRecord,
    *,
    evidence: str | None,
) -> str | None:
    """Put a candidate that passed forward as the next baseline, and accept it where the gate is to; return its id in the record.

    Raises NucleusSourceError instead of accepting it where another was accepted since *judged_with* was read.
    """
    if store is None or judgement.verdict.status != "pass":
        return None
    candidate, by, at = judgement.candidate, task_name(context), judgement.judged_at or _now()
    proposal = measurement_id(candidate)

    def step(record: BaselineRecord) -> BaselineRecord:
        if confirming == "auto" and _accepted_id(record) not in {_accepted_id(judged_with), proposal}:
            raise NucleusSourceError(
                f"{_accepted_id(record) or 'nothing'} was accepted while {proposal} was held against {_accepted_id(judged_with) or 'nothing'}",
                source=store.place,
                hint="Nothing was changed; a retry judges it against what is accepted now.",
            )
        record = propose(
            record, candidate, by=by, at=at, verdict="pass", evidence=evidence, judged_with=judged_with
        )
        if confirming == "auto":
            record = confirm(record, proposal, by=by, at=at)
        return record

    try:
        store.change(step)
    except NucleusSourceError as error:
        error.add_hint(
            f"The verdict is {judgement.verdict.status}; {f'all of it is at {evidence}' if evidence else 'it is in the log only'}."
        )
        raise
    log.info("%s %s in %s", "Accepted" if confirming == "auto" else "Proposed", proposal, store.place)
    return proposal


def _accepted_id(record: BaselineRecord) -> str | None:
    return None if record.accepted is None else record.accepted.id


def _result(
    judgement: Judgement,
    *,
    written: Mapping[str, str | None],
    proposal: str | None,
    store: BaselineStore | None,
) -> dict[str, Any]:
    verdict, baseline = judgement.verdict, judgement.baseline
    results = [each.model_dump(mode="json", exclude_none=True) for each in worst_first(verdict.results)]
    head = {
        "verdict": verdict.status,
        "stopped": verdict.stopped,
        "reasons": [reason[:_REASON_CHARS] for reason in verdict.reasons[:_REASONS]],
        **written,
        "policy": verdict.policy,
        "policy_digest": verdict.policy_digest,
        "score": verdict.score,
        "judged_at": judgement.judged_at,
        "candidate": judgement.candidate.subject.model_dump(mode="json", exclude_none=True),
        "baseline": None if baseline is None else baseline.subject.model_dump(mode="json", exclude_none=True),
        "changes": None if judgement.changes is None else judgement.changes.model_dump(mode="json"),
        "proposal": proposal,
        "baseline_record": None if store is None else store.place,
        "links": {
            side: measured.subject.url
            for side, measured in (("candidate", judgement.candidate), ("baseline", baseline))
            if measured is not None and measured.subject.url
        },
        "results_total": len(results),
    }
    return checked_xcom(shrink_to_xcom(len(results), lambda most: head | {"results": results[:most]}))


def _count(judgement: Judgement) -> None:
    verdict = judgement.verdict
    Stats.incr(f"nucleus.gate.{verdict.status}")
    if verdict.stopped:
        Stats.incr("nucleus.gate.stopped")
    if verdict.score is not None:
        Stats.gauge("nucleus.gate.score", verdict.score)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
