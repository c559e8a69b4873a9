"""COCO metrics (AP, AP50, AR100 and the rest) of one set of predictions, from columns to named numbers.

The pipeline has a file per step: `matching.coco` (matches), `accumulate` (curves),
`summarize` (numbers). All numbers agree with pycocotools 2.0.11 to 1e-12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_nucleus.evaluation.matching.coco import (
    BOX_OPTIONS,
    CocoOptions,
    CocoRows,
    match_coco,
)
from airflow_provider_nucleus.evaluation.readers.accumulate import CocoTables, accumulate
from airflow_provider_nucleus.evaluation.readers.average_precision import COCO_RECALLS, threshold_place
from airflow_provider_nucleus.evaluation.readers.summarize import average_precision, average_recall, summarize

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import FloatArray
    from airflow_provider_nucleus.evaluation.metric import Metric
    from airflow_provider_nucleus.evaluation.sides.columns import Columns

__all__ = ["CocoResult", "PrecisionRecall", "coco_result", "evaluate_coco"]


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionRecall:
    """One label's curve at the 101 recall levels: precision, and the confidence at which each level is reached.

    Beyond the reached recall precision is 0 and confidence NaN.
    """

    recall: FloatArray
    precision: FloatArray
    confidence: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class CocoResult:
    """The COCO numbers of one comparison; *excluded* predictions had no confidence and took no part."""

    tables: CocoTables
    excluded: int

    @property
    def numbers(self) -> dict[str, Metric]:
        """The named numbers in COCO's order."""
        return summarize(self.tables)

    def label_ap(self, label: int, *, threshold: float | None = None, area: int = 0) -> Metric:
        """Average precision of one label, over all thresholds or at one of them."""
        return average_precision(self.tables, threshold=threshold, area=area, label=label)

    def label_ar(self, label: int, *, threshold: float | None = None, area: int = 0) -> Metric:
        """Average recall of one label at the last detection cut-off."""
        return average_recall(self.tables, threshold=threshold, area=area, label=label)

    def curve(self, label: int, *, threshold: float = 0.5, area: int = 0) -> PrecisionRecall | None:
        """Precision against recall of one label; None without ground truth to be found or without any confidence."""
        if self.tables.positives[label, area] == 0 or self.tables.unscored[label]:
            return None
        at = threshold_place(self.tables.options.thresholds, threshold)
        return PrecisionRecall(
            recall=COCO_RECALLS,
            precision=self.tables.precision[at, :, label, area],
            confidence=self.tables.confidence[at, :, label, area],
        )


def evaluate_coco(
    ground_truth: Columns, predictions: Columns, *, labels: int, options: CocoOptions = BOX_OPTIONS
) -> CocoResult:
    """Evaluate predictions against the ground truth; *labels* is the size of the shared vocabulary.

    Images must be coded in the order of their ids: of predictions with equal confidence the one on the earlier
    image comes first.
    """
    return coco_result(match_coco(ground_truth, predictions, labels=labels, options=options), options=options)


def coco_result(rows: CocoRows, *, options: CocoOptions = BOX_OPTIONS) -> CocoResult:
    """Turn matched rows, of one run or merged from partitions, into numbers."""
    return CocoResult(tables=accumulate(rows, options=options), excluded=rows.excluded)
