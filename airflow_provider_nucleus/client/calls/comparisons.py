"""Comparison of two evaluations: a route that only an embedded Nucleus has, beside its API."""

from __future__ import annotations

from airflow_provider_nucleus.client.call import Call, path_segment
from airflow_provider_nucleus.schema.comparisons import EvaluationComparison

__all__ = ["compare_evaluations"]


def compare_evaluations(
    baseline_id: str, other_id: str, *, iou_threshold: float = 0.5, replicates: int = 1000
) -> Call[EvaluationComparison]:
    """Return the differences of an evaluation from another on the same items, with bootstrap intervals.

    NucleusRequestError where the two cannot be compared (other items, options or ground truth). Scale's cloud has no such route.
    """
    return Call(
        "GET",
        f"/ui/api/evaluations/{path_segment(baseline_id)}/compare/{path_segment(other_id)}",
        EvaluationComparison.from_wire,
        f"compare evaluation {other_id} with {baseline_id}",
        params={"iouThreshold": f"{iou_threshold:.10g}", "replicates": str(replicates)},
    )
