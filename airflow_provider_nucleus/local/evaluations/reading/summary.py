"""The few numbers of an evaluation that are kept in the store: what leaderboards and lists need without the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.evaluation.readers.curves import f1_curve
from airflow_provider_nucleus.local.evaluations.reading.charts import charts
from airflow_provider_nucleus.local.evaluations.reading.selection import select
from airflow_provider_nucleus.local.requests.filters import NO_FILTERS

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult

__all__ = ["THRESHOLD", "summary_of"]

THRESHOLD: Final = 0.5
"""The overlap at which leaderboards count and stored examples are what they are."""


def summary_of(result: EvaluationResult) -> dict[str, Any]:
    """Return AP, AP by size, counts at an overlap of 0.5 and F1 against confidence, of the whole evaluation."""
    selection = select(None, result, NO_FILTERS, threshold=THRESHOLD)
    found = charts(result, selection)
    # Of the match above each confidence; an older key, "f1", held numbers of the match of everything.
    curve = f1_curve(
        result.ranked(THRESHOLD, ground_truth=result.f1_truth).rows(),
        threshold=THRESHOLD,
        without_confidence=len(result.curve_unscored),
    )
    return {
        "engine": f"airflow-provider-nucleus {result.about['engine_version']}",
        "items": int(result.items.size),
        "ground_truths": int(result.truth.counted.sum()),
        "predictions": len(result.predictions),
        "notes": result.about["notes"],
        **{name: found[name] for name in ("mapSummary", "apBySize", "totalCounts")},
        "f1_curve": {
            "best": None if curve.best is None else curve.best.f1.value,
            "best_confidence": None if curve.best is None else curve.best.confidence,
            "points": [[point.confidence, point.f1.value] for point in curve.points],
        },
    }
