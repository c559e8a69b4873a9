"""COCO's named numbers, read from its curves: AP, AP50, AR100 and their relatives.

Every number is a mean over thresholds and labels that have ground truth to be found in the size range; labels all of
whose predictions lack a confidence cannot be ranked and are left out. When none is left the number is undefined, with
the reason; it is never -1 or 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from airflow_provider_nucleus.evaluation.readers.average_precision import threshold_place
from airflow_provider_nucleus.undefined_reasons import no_confidence, no_ground_truth

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import FloatArray
    from airflow_provider_nucleus.evaluation.readers.accumulate import CocoTables

__all__ = ["SIZE_LETTERS", "average_precision", "average_recall", "summarize"]

SIZE_LETTERS = {"small": "s", "medium": "m", "large": "l"}


def summarize(tables: CocoTables) -> dict[str, Metric]:
    """Return the standard numbers in COCO's order: twelve for boxes and masks, ten for keypoints.

    Names: AP, AP50, AP75 and APs, APm, APl by size; AR1, AR10, AR100 by detections per image and ARs, ARm, ARl by
    size. With a single cut-off (keypoints) recall is AR, AR50, AR75 and by size.
    """
    options = tables.options
    sizes = {area.name: column for column, area in enumerate(options.areas) if area.name in SIZE_LETTERS}
    last = len(options.max_detections) - 1
    numbers = {"AP": average_precision(tables)}
    for threshold in (0.5, 0.75):
        if threshold in options.thresholds:
            numbers[f"AP{round(threshold * 100)}"] = average_precision(tables, threshold=threshold)
    for name, column in sizes.items():
        numbers[f"AP{SIZE_LETTERS[name]}"] = average_precision(tables, area=column)
    if last:
        for cut, most in enumerate(options.max_detections):
            numbers[f"AR{most}"] = average_recall(tables, cut=cut)
    else:
        numbers["AR"] = average_recall(tables, cut=0)
        for threshold in (0.5, 0.75):
            if threshold in options.thresholds:
                numbers[f"AR{round(threshold * 100)}"] = average_recall(tables, cut=0, threshold=threshold)
    for name, column in sizes.items():
        numbers[f"AR{SIZE_LETTERS[name]}"] = average_recall(tables, cut=last, area=column)
    return numbers


def average_precision(
    tables: CocoTables, *, threshold: float | None = None, area: int = 0, label: int | None = None
) -> Metric:
    """Mean precision over recall levels and labels (or one label), at one threshold or over all of them."""
    values = tables.precision[:, :, :, area]
    if threshold is not None:
        at = threshold_place(tables.options.thresholds, threshold)
        values = values[at : at + 1]
    if label is not None:
        values = values[:, :, label]
    return _mean(values, tables, area=area, label=label)


def average_recall(
    tables: CocoTables,
    *,
    cut: int = -1,
    threshold: float | None = None,
    area: int = 0,
    label: int | None = None,
) -> Metric:
    """Mean recall over labels (or one label) at the *cut*-th detection cut-off, at one threshold or over all."""
    values = tables.recall[:, :, area, cut]
    if threshold is not None:
        at = threshold_place(tables.options.thresholds, threshold)
        values = values[at : at + 1]
    if label is not None:
        values = values[:, label]
    return _mean(values, tables, area=area, label=label)


def _mean(values: FloatArray, tables: CocoTables, *, area: int, label: int | None) -> Metric:
    defined = values[~np.isnan(values)]
    if defined.size:
        return Metric(float(np.mean(defined)))
    if (tables.positives[:, area] > 0)[slice(None) if label is None else label].any():
        return undefined(no_confidence(of_label=label is not None))
    size = "" if area == 0 else tables.options.areas[area].name
    return undefined(no_ground_truth(size=size, of_label=label is not None, counted=True))
