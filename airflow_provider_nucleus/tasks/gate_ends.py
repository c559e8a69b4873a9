"""Ends of a gate whose policy stops the pipeline: the exception, and the sentences in it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_nucleus.exceptions import NucleusGateError
from airflow_provider_nucleus.gating.rule_table import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.gating.verdict import Judgement

__all__ = ["GateStoppedError", "stop"]

log = logging.getLogger(__name__)

_REASONS: Final = 10


class GateStoppedError(NucleusGateError, AirflowFailException):
    """A NucleusGateError that ends the task at once, whatever its retries: they would come to the same verdict."""


def stop(judgement: Judgement, result: Mapping[str, Any], *, outcome: str) -> None:
    """Raise what stops the pipeline: AirflowSkipException where *outcome* is `skip`, else GateStoppedError."""
    verdict, place = judgement.verdict, result["judgement"]
    evidence = (
        f"The whole evidence is at {place}."
        if place
        else "The task's result has the evidence; judgement= keeps all of it as a file."
    )
    error = GateStoppedError(
        _message(judgement),
        verdict=verdict.status,
        reasons=list(verdict.reasons),
        judgement=place,
        hint=f"{evidence} {_next_step(judgement)}",
    )
    if outcome == "skip":
        log.warning("Skipping this task, and what needs its success: %s", error)
        raise AirflowSkipException(str(error))
    raise error


def _message(judgement: Judgement) -> str:
    """Say what was found, of which model; what could not be decided reads differently from what is worse."""
    verdict, subject = judgement.verdict, judgement.candidate.subject
    model = subject.model_name or subject.model_id or subject.model_run_id or "the candidate"
    batch = (
        subject.slice_name
        or subject.slice_id
        or subject.query
        or subject.benchmark_name
        or subject.dataset_name
    )
    whom = one_line(f"{model} on {batch}" if batch else str(model))
    reasons = "; ".join(reason.rstrip(".") for reason in verdict.reasons[:_REASONS]) or "no rule was met"
    more = len(verdict.reasons) - _REASONS
    tail = f"; and {more} more" if more > 0 else ""
    if verdict.status == "fail":
        return f"FAIL: {whom} breaks policy {verdict.policy!r}: {reasons}{tail}."
    return (
        f"INCONCLUSIVE: policy {verdict.policy!r} could not be decided for {whom}, which is neither shown to be good enough nor to be worse: "
        f"{reasons}{tail}."
    )


def _next_step(judgement: Judgement) -> str:
    if judgement.verdict.status == "fail":
        return "A retry would come to the same verdict: this model is not for what comes next; after another upload, clear the tasks from there on."
    return (
        "A retry would come to the same verdict: give it what it lacks (more items or ground truth, a baseline on the same items), then clear "
        "the tasks from there on; on_inconclusive='pass' lets undecided models through."
    )
