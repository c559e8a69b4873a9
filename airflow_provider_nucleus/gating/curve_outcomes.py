"""Outcomes of operating points from a curve of the engine, in which every cut is matched anew."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_nucleus.gating.operating_point import Outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_nucleus.evaluation.readers.average_precision import RankedRows

__all__ = ["curve_outcomes"]


def curve_outcomes(rows: RankedRows, labels: Sequence[str], *, unscored: Iterable[int] = ()) -> Outcomes:
    """Read rows ranked at one overlap threshold; *labels* are the names of codes, *unscored* the codes of predictions without confidence."""
    ignored = [0] * len(rows) if rows.ignored is None else rows.ignored.tolist()
    found: dict[int, list[tuple[float, bool]]] = {}
    for code, confidence, hit, left_out in zip(
        rows.label.tolist(), rows.confidence.tolist(), rows.hit.tolist(), ignored, strict=True
    ):
        if not left_out & 1:
            found.setdefault(code, []).append((confidence, bool(hit & 1)))
    return Outcomes(
        predictions={labels[code]: outcomes for code, outcomes in found.items()},
        ground_truth={labels[code]: count for code, count in enumerate(rows.positives.tolist()) if count},
        method="exact",
        without_confidence={labels[code]: count for code, count in Counter(unscored).items()},
    )
