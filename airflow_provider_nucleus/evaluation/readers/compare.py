"""Two or more models on the same items: differences with paired bootstrap intervals, and the objects that changed.

The first model is the baseline; every other one is compared with it, and a positive difference means the other one
is higher. Intervals are percentiles of the differences over `bootstrap` replicates; replicates in which a
number is not defined (no ground truth was drawn, say) are left out and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from airflow_provider_nucleus.evaluation.readers.bootstrap import WeightedPrecision, draw
from airflow_provider_nucleus.evaluation.readers.changes import Changes, changed_objects, same_ground_truth
from airflow_provider_nucleus.evaluation.readers.image_counts import image_counts, numbers_of, quotients
from airflow_provider_nucleus.evaluation.readers.slicing import coco_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.evaluation.arrays import FloatArray
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches
    from airflow_provider_nucleus.evaluation.readers.ranked import RankedCoco

__all__ = ["BOOTSTRAP", "BootstrapOptions", "Difference", "Entry", "ModelComparison", "compare"]

_BLOCK = 64
"""Replicates resampled at a time: bounds the memory at 64 weights per item."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One model: its name, its Nucleus match, and its COCO rows when AP is to be compared."""

    name: str
    matches: Matches
    coco: RankedCoco | None = None


@dataclass(frozen=True, slots=True)
class BootstrapOptions:
    """Options of resampling: the number of replicates (AP costs more, so it has its own), the width of the interval, the seed."""

    replicates: int = 1000
    ap_replicates: int = 200
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.replicates, self.ap_replicates) < 0:
            raise ValueError(
                f"{self.replicates} and {self.ap_replicates} replicates: neither can be negative"
            )
        if not 0.0 < self.level < 1.0:
            raise ValueError(
                f"level is {self.level}, the share of replicates inside the interval lies in (0, 1)"
            )


@dataclass(frozen=True, slots=True)
class Difference:
    """One number of both models: other less baseline, with its interval."""

    baseline: Metric
    other: Metric
    difference: Metric
    low: Metric
    high: Metric
    higher: Metric
    """Share of replicates in which the other model is higher; equal ones count half."""
    replicates: int
    """Replicates in which the difference is defined."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelComparison:
    """One model against the baseline: precision, recall, f1, mean_iou, and AP, AP50, AP75 when COCO rows were given."""

    baseline: str
    other: str
    threshold: float
    minimum_confidence: float | None
    items: int
    bootstrap: BootstrapOptions
    differences: dict[str, Difference]
    changes: Changes


BOOTSTRAP = BootstrapOptions()


def compare(
    entries: Sequence[Entry],
    *,
    images: int,
    threshold: float = 0.5,
    minimum_confidence: float | None = None,
    bootstrap: BootstrapOptions = BOOTSTRAP,
) -> list[ModelComparison]:
    """Compare every model after the first with the first, at an overlap threshold, over *images* items.

    With a *minimum_confidence*, counts, AP and the changed objects are those of the predictions left, matched as if there
    were no others. AP is compared when all entries have COCO rows. Raises ValueError with fewer than two models, with two
    of one name, or when they were not matched against the same ground truth.
    """
    if len(entries) < 2:
        raise ValueError(f"a comparison needs two models or more, not {len(entries)}")
    names = [entry.name for entry in entries]
    if len(set(names)) != len(names):
        raise ValueError(f"the models to compare need different names, not {names}")
    for entry in entries[1:]:
        same_ground_truth(entries[0].matches, entry.matches)
    matches = [entry.matches.above(minimum_confidence) for entry in entries]
    tables = [image_counts(found, threshold, images=images) for found in matches]
    values = [numbers_of(table.total()) for table in tables]
    replicated = _count_replicates([table.table for table in tables], images=images, options=bootstrap)
    coco = [entry.coco.above(minimum_confidence) for entry in entries if entry.coco is not None]
    if len(coco) == len(entries):
        for own, ranked in zip(values, coco, strict=True):
            own.update(coco_numbers(ranked))
        replicated |= _ap_replicates(coco, images=images, options=bootstrap)
    return [
        ModelComparison(
            baseline=names[0],
            other=names[place],
            threshold=threshold,
            minimum_confidence=minimum_confidence,
            items=images,
            bootstrap=bootstrap,
            differences=_differences(
                values[0], values[place], replicated, place=place, images=images, options=bootstrap
            ),
            changes=changed_objects(matches[0], matches[place], threshold=threshold),
        )
        for place in range(1, len(entries))
    ]


def _count_replicates(
    tables: list[FloatArray], *, images: int, options: BootstrapOptions
) -> dict[str, FloatArray]:
    """Return per number an array [replicate, model], NaN where it is not defined."""
    together = np.concatenate(tables, axis=1) if images else np.zeros((0, 4 * len(tables)))
    totals = np.zeros((options.replicates, len(tables), 4))
    for begin in range(0, options.replicates if images else 0, _BLOCK):
        end = min(begin + _BLOCK, options.replicates)
        weights = np.stack([
            draw(images, seed=options.seed, replicate=replicate) for replicate in range(begin, end)
        ]).astype(np.float64)
        totals[begin:end] = (weights @ together).reshape(end - begin, len(tables), 4)
    return {
        name: np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)
        for name, (numerator, denominator) in quotients(totals).items()
    }


def _ap_replicates(
    coco: list[RankedCoco], *, images: int, options: BootstrapOptions
) -> dict[str, FloatArray]:
    readers = [WeightedPrecision(ranked) for ranked in coco]
    thresholds = readers[0].thresholds
    table = np.full((options.ap_replicates, len(coco), len(thresholds)), np.nan)
    for replicate in range(options.ap_replicates if images else 0):
        weights = draw(images, seed=options.seed, replicate=replicate)
        for place, reader in enumerate(readers):
            table[replicate, place] = reader.mean(weights)
    named = {"AP": table.mean(axis=2)}
    for threshold in (0.5, 0.75):
        if threshold in thresholds:
            named[f"AP{round(threshold * 100)}"] = table[:, :, thresholds.index(threshold)]
    return named


def _differences(
    baseline: Mapping[str, Metric],
    other: Mapping[str, Metric],
    replicated: Mapping[str, FloatArray],
    *,
    place: int,
    images: int,
    options: BootstrapOptions,
) -> dict[str, Difference]:
    result = {}
    for name, first in baseline.items():
        second = other[name]
        gaps = replicated[name][:, place] - replicated[name][:, 0]
        gaps = gaps[~np.isnan(gaps)]
        difference = second.minus(first)
        reason = difference.reason
        if images < 2:
            reason = reason or "a single item cannot be resampled"
        elif gaps.size == 0:
            reason = reason or "no replicate in which both numbers are defined"
        if reason is not None:
            low = high = higher = undefined(reason)
        else:
            edge = (1 - options.level) / 2
            low, high = (Metric(float(value)) for value in np.quantile(gaps, [edge, 1 - edge]))
            higher = Metric(float(np.mean((gaps > 0) + 0.5 * (gaps == 0))))
        result[name] = Difference(first, second, difference, low, high, higher, int(gaps.size))
    return result
