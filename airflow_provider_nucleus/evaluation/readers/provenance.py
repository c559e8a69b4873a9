"""Provenance of a number: engine version, options, labels, what was left out and why, and what it compares with.

Everything here is plain data, ready for JSON, stored beside the numbers it belongs to.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus import __version__
from airflow_provider_nucleus.evaluation.matching.coco import BOX_OPTIONS, KEYPOINT_OPTIONS

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.matching.coco import CocoOptions, CocoRows
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches
    from airflow_provider_nucleus.evaluation.sides.columns import Columns
    from airflow_provider_nucleus.evaluation.sides.labels import Vocabulary

__all__ = ["ENGINE_VERSION", "Exclusion", "Provenance", "coco_provenance", "nucleus_provenance"]

ENGINE_VERSION = __version__


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Objects that are not in a number: how many, what they are, why."""

    count: int
    objects: str
    reason: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """The origin of the numbers of one evaluation."""

    family: str
    """`nucleus` (matches by overlap) or `coco` (matches by confidence): never mixed under one name."""
    options: dict[str, Any]
    ground_truths: int
    predictions: int
    excluded: tuple[Exclusion, ...]
    remarks: tuple[str, ...]
    """Settings that keep the numbers from being compared with others of the same name."""
    labels: tuple[str, ...] | None = None
    engine_version: str = field(default=ENGINE_VERSION)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def nucleus_provenance(
    matches: Matches,
    *,
    threshold: float,
    minimum_confidence: float | None = None,
    vocabulary: Vocabulary | None = None,
) -> Provenance:
    """Describe numbers read from a Nucleus match at an overlap threshold."""
    rule, predictions = matches.rule, matches.predictions
    names = None if vocabulary is None else vocabulary.names

    def name(code: int) -> int | str:
        return code if names is None else names[code]

    excluded = _regions(matches.ground_truth)
    unscored = int((np.isnan(predictions.confidence) & predictions.counted).sum())
    low = 0
    if minimum_confidence is not None:
        low = int((predictions.confidence < minimum_confidence).sum())
    excluded += _some(unscored, "predictions", "no confidence: counted, but in no curve and no AP")
    excluded += _some(low, "predictions", f"confidence below {minimum_confidence}")
    remarks = [
        "AP read from these matches differs from COCO's: above each confidence the best overlap is the true positive"
    ]
    if rule.class_agnostic:
        remarks.append(
            "labels may differ when matching: a wrong label can take a ground truth away from a right one"
        )
    return Provenance(
        family="nucleus",
        options={
            "threshold": threshold,
            "minimum_confidence": minimum_confidence,
            "class_agnostic": rule.class_agnostic,
            "allowed_label_matches": [[name(gt), name(predicted)] for gt, predicted in sorted(rule.allowed)],
            "minimum_overlap": rule.minimum_overlap,
        },
        ground_truths=int(matches.ground_truth.counted.sum()),
        predictions=int(predictions.counted.sum()),
        excluded=excluded,
        remarks=tuple(remarks),
        labels=names,
    )


def coco_provenance(
    rows: CocoRows,
    ground_truth: Columns,
    predictions: Columns,
    *,
    options: CocoOptions,
    vocabulary: Vocabulary | None = None,
) -> Provenance:
    """Describe COCO numbers made from matched rows."""
    usable = int((predictions.counted & ~np.isnan(predictions.confidence)).sum())
    last = options.max_detections[-1]
    remarks = []
    if options not in {BOX_OPTIONS, KEYPOINT_OPTIONS}:
        remarks.append(
            "thresholds, size ranges or detection limits are not COCO's: not comparable with published AP"
        )
    unknown = set(np.unique(predictions.label).tolist()) - set(
        np.unique(ground_truth.label[ground_truth.counted]).tolist()
    )
    unexpected = int(np.isin(predictions.label, list(unknown)).sum()) if unknown else 0
    excluded = _regions(ground_truth)
    excluded += _some(rows.excluded, "predictions", "no confidence: no place in the order of confidence")
    excluded += _some(usable - len(rows), "predictions", f"beyond the first {last} of their image and label")
    excluded += _some(unexpected, "predictions", "label without any ground truth: no AP for that label")
    return Provenance(
        family="coco",
        options={
            "thresholds": list(options.thresholds),
            "areas": [[area.name, area.low, area.high] for area in options.areas],
            "max_detections": list(options.max_detections),
        },
        ground_truths=int(ground_truth.counted.sum()),
        predictions=len(predictions),
        excluded=excluded,
        remarks=tuple(remarks),
        labels=None if vocabulary is None else vocabulary.names,
    )


def _regions(ground_truth: Columns) -> tuple[Exclusion, ...]:
    crowds = int(ground_truth.crowd.sum())
    ignored = int((ground_truth.ignore & ~ground_truth.crowd).sum())
    return _some(crowds, "ground truths", "crowd region") + _some(
        ignored, "ground truths", "marked as ignored"
    )


def _some(count: int, objects: str, reason: str) -> tuple[Exclusion, ...]:
    return (Exclusion(count, objects, reason),) if count else ()
