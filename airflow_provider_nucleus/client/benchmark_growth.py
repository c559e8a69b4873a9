"""Benchmarks whose source has grown since they were made: noticed, and followed by a new version, kept as they are, or refused."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from airflow_provider_nucleus.client.benchmarks import SOURCE, create_version, ensure_benchmark
from airflow_provider_nucleus.client.calls.benchmarks import benchmark_items, get_benchmark
from airflow_provider_nucleus.client.calls.items import items_page
from airflow_provider_nucleus.client.calls.query import query_ground_truth_page, query_items_page
from airflow_provider_nucleus.client.calls.slices import slice_info, slice_items_page
from airflow_provider_nucleus.client.waiting import RIDE_OUT
from airflow_provider_nucleus.exceptions import NucleusMetricsError

if TYPE_CHECKING:
    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.schema.benchmarks import Benchmark

__all__ = ["BenchmarkChoice", "OnNewItems", "choose_benchmark", "item_ids_of", "version_of"]

log = logging.getLogger(__name__)

OnNewItems = Literal["new_version", "keep", "fail"]
"""What becomes of a benchmark whose source has items with ground truth that it lacks."""

_PAGE: Final = 10_000
_MOST_VERSIONS: Final = 5
"""Versions that one task waits for or makes, while others add items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkChoice:
    """The version of a benchmark that is evaluated, and how it stands to its source.

    `source_items` counts the items of the source that have ground truth, `new_items` those of them that the version lacks; both are None
    where no source is known.
    """

    benchmark: Benchmark
    source_items: int | None = None
    new_items: int | None = None


def choose_benchmark(
    client: NucleusClient,
    name: str,
    *,
    dataset_id: str | None = None,
    slice_id: str | None = None,
    on_new_items: OnNewItems = "new_version",
    poll_interval: float = 5.0,
    timeout: float = 3600.0,
    ride_out: float = RIDE_OUT,
) -> BenchmarkChoice:
    """Return the newest ready version of the benchmark called *name*, made of slice or dataset if there is none, as `ensure_benchmark`.

    A version that lacks items with ground truth of its source is followed by a new one, kept, or refused with NucleusMetricsError, as
    *on_new_items* says. One that was not made of this dataset by a task is kept in any case: it may be a choice that somebody made by
    hand. Both counts are logged whenever they differ.
    """
    waits = {"poll_interval": poll_interval, "timeout": timeout, "ride_out": ride_out}
    found = ensure_benchmark(client, name, dataset_id=dataset_id, slice_id=slice_id, **waits)
    benchmark = client.send(get_benchmark(found))
    source = slice_id or dataset_id
    if source is None:
        return BenchmarkChoice(benchmark=benchmark)
    annotated = _annotated_items(client, dataset_id=dataset_id, slice_id=slice_id)
    for _ in range(_MOST_VERSIONS):
        new = annotated - item_ids_of(client, benchmark.id)
        choice = BenchmarkChoice(benchmark=benchmark, source_items=len(annotated), new_items=len(new))
        if not new:
            return choice
        followed = slice_id is not None or benchmark.metadata.get(SOURCE) == source
        if on_new_items == "fail":
            raise NucleusMetricsError(
                f"{_counts(choice, source)}: its numbers would be of old items.",
                conn_id=client.config.conn_id,
                hint="on_new_items='new_version' makes a version with them, 'keep' evaluates without them and says so.",
            )
        if on_new_items == "keep" or not followed:
            why = (
                ""
                if followed
                else ", and was not made of it by a task: give source_slice_id, or a name of its own, to have it follow"
            )
            log.warning("%s%s", _counts(choice, source), why)
            return choice
        log.info("%s: taking a new version", _counts(choice, source))
        made = create_version(client, benchmark, dataset_id=dataset_id, slice_id=slice_id, **waits)
        benchmark = client.send(get_benchmark(made))
    log.warning(
        "%s, after %d versions: it grows faster than versions are made",
        _counts(choice, source),
        _MOST_VERSIONS,
    )
    return choice


def version_of(benchmark: Benchmark) -> str:
    """Return the version of a benchmark as text."""
    return f"{benchmark.version_major or 0}.{benchmark.version_minor or 0}"


def item_ids_of(client: NucleusClient, benchmark_id: str) -> set[str]:
    """Return the ids of a benchmark's items."""
    found: set[str] = set()
    offset = 0
    while True:
        page = client.send(benchmark_items(benchmark_id, limit=_PAGE, offset=offset))
        found.update(page.item_ids)
        offset += len(page.item_ids)
        if not page.item_ids or offset >= page.total:
            return found


def _annotated_items(client: NucleusClient, *, dataset_id: str | None, slice_id: str | None) -> set[str]:
    """Return the ids of the items of slice or dataset that have ground truth."""
    of_slice = "" if slice_id is None else f'slice = "{slice_id}"'
    if slice_id is not None:
        dataset_id = client.send(slice_info(slice_id)).dataset_id or dataset_id
    dataset = str(dataset_id)
    query = " AND ".join(filter(None, ("annotations.count >= 1", of_slice)))
    if found := {str(item.dataset_item_id) for item in client.pages(query_items_page(dataset, query))}:
        return found
    # That count leaves categories out: where it finds nothing, there may be nothing but categories.
    references = {
        each.get("reference_id") for each in client.pages(query_ground_truth_page(dataset, of_slice))
    }
    listing = items_page(dataset) if slice_id is None else slice_items_page(slice_id)
    items = client.pages(listing) if references else ()
    return {str(item.dataset_item_id) for item in items if item.reference_id in references}


def _counts(choice: BenchmarkChoice, source: str) -> str:
    benchmark = choice.benchmark
    return (
        f"Benchmark {benchmark.name!r}, version {version_of(benchmark)} ({benchmark.id}), has {benchmark.item_count} items, its source "
        f"{source} now {choice.source_items} with ground truth, {choice.new_items} of them new"
    )
