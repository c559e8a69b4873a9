"""Facts of a task that lineage tells, as plain values: set by the method that finishes the task, so that a deferral loses nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.verdict import Judgement

__all__ = ["LineageFacts", "evaluation_facts", "judgement_facts", "upload_facts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageFacts:
    """Objects by id and places by address, with what is known of them. What is not known is None or empty."""

    dataset_id: str | None = None
    model_id: str | None = None
    slice_id: str | None = None
    benchmark_id: str | None = None
    evaluation_id: str | None = None
    sources: tuple[str, ...] = ()
    """Places that were read."""
    results: tuple[str, ...] = ()
    """Places that were written."""
    items: int | None = None
    rows: int | None = None
    """Rows that were stored."""
    writes: str | None = None
    """`items`, `annotations`, `predictions` or `numbers`: what this task made of its inputs; None for a task that only judges."""
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    iou_threshold: float | None = None
    judgement: Judgement | None = None


def upload_facts(kind: str, summary: Mapping[str, Any], *, sources: tuple[str, ...] = ()) -> LineageFacts:
    """Return the facts of an upload of *kind* (`items`, `annotations` or `predictions`) from its result."""
    return LineageFacts(
        dataset_id=summary.get("dataset_id"),
        model_id=summary.get("model_id") if kind == "predictions" else None,
        slice_id=summary.get("slice_id"),
        sources=sources,
        rows=summary.get("processed"),
        writes=kind,
    )


def evaluation_facts(measurement: Measurement, *, results: tuple[str, ...] = ()) -> LineageFacts:
    """Return the facts of a calculation or an evaluation."""
    subject = measurement.subject
    return LineageFacts(
        dataset_id=subject.dataset_id,
        model_id=subject.model_id,
        slice_id=subject.slice_id,
        benchmark_id=subject.benchmark_id,
        evaluation_id=subject.evaluation_id,
        results=results,
        items=measurement.coverage.items,
        writes="numbers",
        numbers=measurement.overall.values,
        iou_threshold=measurement.iou_threshold,
    )


def judgement_facts(judgement: Judgement, *, results: tuple[str, ...] = ()) -> LineageFacts:
    """Return the facts of a gate: the numbers it read are its input, the rules its tests."""
    candidate = judgement.candidate
    subject = candidate.subject
    return LineageFacts(
        dataset_id=subject.dataset_id,
        model_id=subject.model_id,
        slice_id=subject.slice_id,
        benchmark_id=subject.benchmark_id,
        evaluation_id=subject.evaluation_id,
        results=results,
        items=candidate.coverage.items,
        numbers=candidate.overall.values,
        iou_threshold=candidate.iou_threshold,
        judgement=judgement,
    )
