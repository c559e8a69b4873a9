"""Judgements that other tasks made: the document itself, the place where it is, or the result of the gate's task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusError
from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement, Numbers, Subject
from airflow_provider_nucleus.gating.verdict import ChangeCounts, Judgement, RuleResult, Verdict
from airflow_provider_nucleus.tasks.documents import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_whole", "judgement_of", "judgement_or_summary", "links_of"]

_UNKNOWN = "unknown"


def judgement_of(value: Any) -> Judgement:
    """Return the judgement that *value* is, names or sums up; raises NucleusConfigError for what is none.

    The result of a gate names its document; one that could not be written is put together from the result, with the rules that it has
    and without the numbers of labels.
    """
    if isinstance(value, str):
        try:
            return _document(read_json(value), value)
        except FileNotFoundError:
            raise NucleusConfigError(
                f"There is no judgement at {value}.",
                hint="Give the output of the gate's task, or its judgement.",
            ) from None
    if not isinstance(value, dict):
        raise NucleusConfigError(
            f"A judgement is a document, its place, or the output of a gate; not {type(value).__name__}.",
            hint="If it is a template, look at what it renders to in the task's Rendered tab; gate.output is the gate's.",
        )
    if "schema" in value:
        return _document(value, "the judgement")
    if isinstance(place := value.get("judgement"), str):
        return judgement_of(place)
    return _from_result(value)


def judgement_or_summary(value: Any) -> tuple[Judgement, str | None]:
    """Return the judgement, and None; of a gate's result whose document is out of reach what the result says, and why it is no more."""
    try:
        return judgement_of(value), None
    except (NucleusError, OSError) as error:
        if not isinstance(value, dict) or not value.get("judgement"):
            raise
        return judgement_of({**value, "judgement": None}), f"The judgement cannot be read: {error}"


def is_whole(judgement: Judgement) -> bool:
    """Return whether *judgement* is a document, with numbers that can become a baseline, rather than put together from a result."""
    return judgement.candidate.fingerprint.data != _UNKNOWN


def links_of(value: Any) -> dict[str, str]:
    """Return the links that the result of a gate has, none of anything else."""
    links = value.get("links") if isinstance(value, dict) else None
    return {str(name): str(url) for name, url in links.items() if url} if isinstance(links, dict) else {}


def _document(document: Any, name: str) -> Judgement:
    try:
        return Judgement.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise NucleusConfigError(
            f"{name} is no judgement: {where}: {first['msg']}.",
            hint="A gate writes it; metrics and reports are other documents.",
        ) from error


def _from_result(result: Mapping[str, Any]) -> Judgement:
    """Put together what the result of a gate says of its judgement."""
    try:
        results = [RuleResult.model_validate(one) for one in result.get("results") or ()]
        verdict = Verdict(
            status=result["verdict"],
            stopped=result["stopped"],
            policy=result.get("policy") or "policy",
            policy_digest=result.get("policy_digest") or "",
            results=results,
            reasons=result.get("reasons") or [],
            score=result.get("score"),
        )
        changes = result.get("changes")
        return Judgement(
            candidate=_side(result.get("candidate"), {one.metric: one.value for one in _overall(results)}),
            baseline=_side(result["baseline"], {one.metric: one.baseline for one in _overall(results)})
            if result.get("baseline")
            else None,
            verdict=verdict,
            changes=ChangeCounts.model_validate(changes) if changes else None,
        )
    except (KeyError, ValidationError, TypeError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise NucleusConfigError(
            f"The result of a gate was expected: {type(error).__name__}: {reason}.",
            hint="Give the output of a NucleusGateOperator: gate.output, or its XCom.",
        ) from error


def _side(subject: Any, numbers: dict[str, float | None]) -> Measurement:
    return Measurement(
        subject=Subject.model_validate(subject or {}),
        fingerprint=Fingerprint(data=_UNKNOWN),
        overall=Numbers(values=numbers),
    )


def _overall(results: list[RuleResult]) -> list[RuleResult]:
    return [one for one in results if one.subject == "overall"]
