"""The table of labels on the evaluation page, and the ways it can be sorted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.pages.text import Figure, figure, whole
from airflow_provider_nucleus.undefined_reasons import (
    NO_GROUND_TRUTH,
    NO_OBJECTS,
    NO_PREDICTIONS,
    NO_TRUE_POSITIVES,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_nucleus.local.store.views.match_counts import ThresholdCounts

__all__ = ["Heading", "LabelTableRow", "headings", "label_rows"]

_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class Heading:
    """A column; `address` sorts by it, or the other way round if it does already. `sorted` is for screen readers."""

    text: str
    address: str
    sorted: str


@dataclass(frozen=True, slots=True)
class LabelTableRow:
    """The numbers of one label."""

    label: str
    ground_truth: str
    predictions: str
    tp: str
    fp: str
    fn: str
    precision: Figure
    recall: Figure
    f1: Figure
    mean_iou: Figure


_COLUMNS: Final[dict[str, tuple[str, Callable[[ThresholdCounts], Any]]]] = {
    "label": ("Label", lambda counts: counts.label),
    "ground_truth": ("Ground truth", lambda counts: counts.ground_truth),
    "predictions": ("Predictions", lambda counts: counts.predictions),
    "tp": ("TP", lambda counts: counts.tp),
    "fp": ("FP", lambda counts: counts.fp),
    "fn": ("FN", lambda counts: counts.fn),
    "precision": ("Precision", lambda counts: counts.precision),
    "recall": ("Recall", lambda counts: counts.recall),
    "f1": ("F1", lambda counts: counts.f1),
    "mean_iou": ("Mean IoU", lambda counts: counts.mean_iou),
}


def headings(sort: str, *, address: Callable[..., str]) -> tuple[Heading, ...]:
    """Return the columns with the addresses that sort by them; `-` before a name means largest first."""
    found = []
    for name, (text, _) in _COLUMNS.items():
        current = {"": "none", name: "ascending", f"-{name}": "descending"}.get(sort, "none")
        if not sort and name == "label":
            current = "ascending"
        # Numbers begin with the largest, names with A.
        following = f"-{name}" if current == "ascending" or (current == "none" and name != "label") else name
        found.append(Heading(text, address(sort=following), current))
    return tuple(found)


def label_rows(labels: Sequence[ThresholdCounts], *, sort: str) -> tuple[tuple[LabelTableRow, ...], str]:
    """Return the rows in the chosen order (undefined numbers last) and a note if there are too many to show."""
    name, backwards = sort.removeprefix("-") or "label", sort.startswith("-")
    if name not in _COLUMNS:
        raise BadRequestError(
            f"sort must be one of {', '.join(_COLUMNS)}, with - before it for largest first."
        )
    value = _COLUMNS[name][1]
    defined = sorted((counts for counts in labels if value(counts) is not None), key=value, reverse=backwards)
    ordered = [*defined, *(counts for counts in labels if value(counts) is None)]
    note = f"The first {whole(_ROWS)} of {whole(len(ordered))} labels." if len(ordered) > _ROWS else ""
    return tuple(_row(counts) for counts in ordered[:_ROWS]), note


def _row(counts: ThresholdCounts) -> LabelTableRow:
    return LabelTableRow(
        counts.label,
        whole(counts.ground_truth),
        whole(counts.predictions),
        whole(counts.tp),
        whole(counts.fp),
        whole(counts.fn),
        figure(counts.precision, reason=NO_PREDICTIONS),
        figure(counts.recall, reason=NO_GROUND_TRUTH),
        figure(counts.f1, reason=NO_OBJECTS),
        figure(counts.mean_iou, reason=NO_TRUE_POSITIVES),
    )
