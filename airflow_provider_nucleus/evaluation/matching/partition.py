"""Evaluate whole images in partitions, on several workers, and merge: bit for bit the result of one run.

`map_partition` and `merge` are pure and their results are small and picklable, so that mapped tasks or a Spark
job can do the same with their own partitions. Memory follows the partition, not the dataset.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from multiprocessing import get_context
from operator import add
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import stable_order
from airflow_provider_nucleus.evaluation.matching.coco import (
    BOX_OPTIONS,
    CocoOptions,
    CocoRows,
    compact,
    match_coco,
    merge_rows,
)
from airflow_provider_nucleus.evaluation.matching.counts import LabelCounts, counts_by_label
from airflow_provider_nucleus.evaluation.matching.nucleus import CLASS_SENSITIVE, match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_nucleus.evaluation.sides.columns import Columns
    from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy

__all__ = [
    "ROWS_PER_PART",
    "PartitionPlan",
    "PartitionResult",
    "Pool",
    "Sides",
    "Source",
    "by_image",
    "map_partition",
    "map_partitions",
    "merge",
    "split",
]

ROWS_PER_PART = 100_000

Sides: TypeAlias = "tuple[Columns, Columns]"
Source: TypeAlias = "Sides | Callable[[], Sides]"
Pool = Literal["threads", "processes"]


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """The computation for every partition: the same for all of them.

    *labels* is the size of the vocabulary, *coco* the options of the COCO numbers, *rule* and *threshold* those of
    the Nucleus counts. Either family is left out when it is None.
    """

    labels: int
    coco: CocoOptions | None = BOX_OPTIONS
    rule: LabelMatchPolicy | None = CLASS_SENSITIVE
    threshold: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class PartitionResult:
    """The result of one partition, or of several merged ones."""

    coco: CocoRows | None
    counts: LabelCounts | None


def map_partition(ground_truth: Columns, predictions: Columns, *, plan: PartitionPlan) -> PartitionResult:
    """Evaluate the images of one partition; both sides must hold all rows of those images."""
    coco = counts = None
    if plan.coco is not None:
        rows = match_coco(ground_truth, predictions, labels=plan.labels, options=plan.coco)
        coco = compact(rows, options=plan.coco)
    if plan.rule is not None:
        matches = match(ground_truth, predictions, rule=plan.rule)
        counts = counts_by_label(matches, plan.threshold, labels=plan.labels)
    return PartitionResult(coco=coco, counts=counts)


def merge(parts: Iterable[PartitionResult]) -> PartitionResult:
    """Merge partitions given in the order of their images; raises ValueError when there is none."""
    given = list(parts)
    if not given:
        raise ValueError("there is no partition to merge")
    rows = [part.coco for part in given if part.coco is not None]
    counts = [part.counts for part in given if part.counts is not None]
    return PartitionResult(
        coco=merge_rows(rows) if rows else None, counts=reduce(add, counts) if counts else None
    )


def by_image(side: Columns) -> Columns:
    """Return the rows in the order of their images; rows of one image keep theirs."""
    if (np.diff(side.image) >= 0).all():
        return side
    return side.take(stable_order(side.image))


def split(ground_truth: Columns, predictions: Columns, *, rows: int = ROWS_PER_PART) -> Iterator[Sides]:
    """Cut both sides, sorted `by_image`, into parts of about *rows* rows; an image is never cut."""
    if rows < 1:
        raise ValueError(f"a part of {rows} rows is not possible")
    sides = (ground_truth, predictions)
    if any((np.diff(side.image) < 0).any() for side in sides):
        raise ValueError("rows must be in the order of their images: sort both sides with by_image first")
    images = 1 + max((int(side.image[-1]) for side in sides if len(side)), default=0)
    ends = [np.searchsorted(side.image, np.arange(images), side="right") for side in sides]
    total = ends[0] + ends[1]
    begin = [0, 0]
    done = 0
    while True:
        last = min(int(np.searchsorted(total, done + rows, side="left")), images - 1)
        end = [int(column[last]) for column in ends]
        yield (
            ground_truth.take(slice(begin[0], end[0])),
            predictions.take(slice(begin[1], end[1])),
        )
        if last == images - 1:
            return
        begin, done = end, sum(end)


def map_partitions(
    sources: Iterable[Source], *, plan: PartitionPlan, workers: int = 1, pool: Pool = "threads"
) -> Iterator[PartitionResult]:
    """Evaluate partitions as they come and yield the results in their order.

    A source is a pair of sides, or a function that returns one and is called by the worker (so that a process loads
    its own data). With *workers* > 1 at most two partitions per worker are under way, which bounds memory. Processes
    are started fresh (spawn), so the calling script must be importable.
    """
    if workers < 1:
        raise ValueError(f"{workers} workers are not possible")
    if workers == 1:
        for source in sources:
            yield _map_source(source, plan)
        return
    executor: Executor
    if pool == "threads":
        executor = ThreadPoolExecutor(workers, thread_name_prefix="evaluation")
    else:
        executor = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    waiting: deque[Future[PartitionResult]] = deque()
    with executor:
        try:
            for source in sources:
                waiting.append(executor.submit(_map_source, source, plan))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _map_source(source: Source, plan: PartitionPlan) -> PartitionResult:
    ground_truth, predictions = source() if callable(source) else source
    return map_partition(ground_truth, predictions, plan=plan)
