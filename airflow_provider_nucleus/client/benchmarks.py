"""One benchmark of a name, whoever asks for it at the same time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.client.calls.benchmarks import (
    create_benchmark,
    delete_benchmark,
    get_benchmark,
    list_benchmarks,
)
from airflow_provider_nucleus.client.waiting import RIDE_OUT, Patience, WaitSubject, run, waiting
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusError,
    NucleusMetricsError,
    NucleusServerError,
)

if TYPE_CHECKING:
    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.schema.benchmarks import Benchmark

__all__ = ["SOURCE", "create_version", "ensure_benchmark"]

log = logging.getLogger(__name__)

SOURCE: Final = "nucleus_source"
"""Member of a benchmark's metadata: the slice or dataset that it was made of by a task."""

_READY = frozenset({"ready", None})
_BENCHMARKS: Final[WaitSubject[Benchmark]] = WaitSubject(
    "Benchmark",
    get_benchmark,
    ended=lambda benchmark: benchmark.status != "building",
    status=lambda benchmark: str(benchmark.status),
)
_AMBIGUOUS = (NucleusConnectionError, NucleusServerError, NucleusAnswerError)
"""After these the benchmark may have been created."""


def ensure_benchmark(
    client: NucleusClient,
    name: str,
    *,
    dataset_id: str | None = None,
    slice_id: str | None = None,
    poll_interval: float = 5.0,
    timeout: float = 3600.0,
    ride_out: float = RIDE_OUT,
) -> str:
    """Return the newest ready benchmark called *name*; if there is none, one is made of the slice or the dataset.

    Waits at most *timeout* seconds for one that is being made, looking every *poll_interval* seconds and riding out *ride_out*
    seconds of looks that fail in ways that may pass. Of several that begin to make one at the same time, the first wins, and the
    others delete theirs: a second one would split the history.

    Raises NucleusConfigError when there is nothing to make one of, NucleusMetricsError when it does not become ready.
    """
    patience = Patience(poll_interval, ride_out, timeout, not_found_grace=0.0)
    named = _named(client, name)
    if ready := [entry for entry in named if entry.status in _READY]:
        found = max(ready, key=lambda entry: (*_version(entry), entry.created_at or ""))
        log.info("Taking benchmark %s, version %s.%s", found.id, *_version(found))
        return found.id
    if building := [entry for entry in named if entry.status == "building"]:
        first = min(building, key=_age)
        log.info("Waiting for benchmark %s, which is being made", first.id)
        return _built(client, first.id, patience)
    if dataset_id is None and slice_id is None:
        raise NucleusConfigError(
            f"There is no ready benchmark called {name!r}, and nothing to make one of.",
            conn_id=client.config.conn_id,
            field="benchmark",
            hint="Give dataset_id or slice_id, or create the benchmark first.",
        )
    made = _made(client, name, {entry.id for entry in named}, dataset_id=dataset_id, slice_id=slice_id)
    return _built(client, made, patience)


def create_version(
    client: NucleusClient,
    parent: Benchmark,
    *,
    dataset_id: str | None = None,
    slice_id: str | None = None,
    poll_interval: float = 5.0,
    timeout: float = 3600.0,
    ride_out: float = RIDE_OUT,
) -> str:
    """Return the version after *parent*, with the items of slice or dataset added, made unless somebody is making it already.

    Waits as `ensure_benchmark` does, and of several that begin to make one at the same time the first wins.
    """
    patience = Patience(poll_interval, ride_out, timeout, not_found_grace=0.0)
    named = _named(client, parent.name)
    children = [entry for entry in named if entry.parent_benchmark_id == parent.id]
    if under_way := [entry for entry in children if entry.status in {*_READY, "building"}]:
        return _built(client, min(under_way, key=_age).id, patience)
    made = _made(
        client,
        parent.name,
        {entry.id for entry in named},
        dataset_id=dataset_id,
        slice_id=slice_id,
        parent_id=parent.id,
    )
    return _built(client, made, patience)


def _made(
    client: NucleusClient,
    name: str,
    known: set[str],
    *,
    dataset_id: str | None,
    slice_id: str | None,
    parent_id: str | None = None,
) -> str:
    """Create a benchmark, and return it or the one that somebody else created a moment earlier."""
    own: str | None = None
    trouble: NucleusError | None = None
    try:
        own = client.send(
            create_benchmark(
                name,
                dataset_ids=[dataset_id] if dataset_id and not slice_id else None,
                slice_ids=[slice_id] if slice_id else None,
                parent_benchmark_id=parent_id,
                # What later tasks compare it with: a benchmark does not say otherwise what it was made of.
                metadata={SOURCE: slice_id or dataset_id},
            )
        ).benchmark_id
    except _AMBIGUOUS as error:
        log.warning("%s Looking whether it was created", error)
        trouble = error
    else:
        log.info("Making benchmark %s of %s", own, slice_id or dataset_id)
    new = [
        entry
        for entry in _named(client, name)
        if entry.id not in known
        and entry.status != "failed"
        and parent_id in {None, entry.parent_benchmark_id}
    ]
    first = min(new, key=_age).id if new else own
    if first is None:
        assert trouble is not None
        raise trouble
    if own not in {None, first}:
        assert own is not None
        log.info("Benchmark %s of the same name was begun earlier: deleting %s", first, own)
        try:
            client.send(delete_benchmark(own))
        except NucleusError as error:
            log.warning("There are two benchmarks called %r now, %s and %s: %s", name, first, own, error)
    return first


def _built(client: NucleusClient, benchmark_id: str, patience: Patience) -> str:
    """Wait until the benchmark is ready, and return its id."""
    outcome = run(client, waiting(_BENCHMARKS, [benchmark_id], patience, clock=client.clock))
    if outcome.error is not None:
        raise outcome.error
    for gone in outcome.gone.values():
        raise NucleusMetricsError(
            f"Benchmark {benchmark_id} was deleted while it was being made.",
            conn_id=client.config.conn_id,
            hint="A retry takes the other one of its name, or makes one.",
        ) from gone
    if outcome.open:
        raise NucleusMetricsError(
            f"Benchmark {benchmark_id} was not ready in {patience.timeout:g} s.",
            conn_id=client.config.conn_id,
            hint="It goes on being made; a retry waits for it.",
        )
    found = outcome.seen[benchmark_id]
    if found.status not in _READY:
        raise NucleusMetricsError(
            f"Benchmark {benchmark_id} ended {found.status!r} instead of ready.",
            conn_id=client.config.conn_id,
            hint="Look at its job on the server; a retry makes a new benchmark.",
        )
    return benchmark_id


def _named(client: NucleusClient, name: str) -> list[Benchmark]:
    return [entry for entry in client.send(list_benchmarks()) if entry.name == name]


def _age(benchmark: Benchmark) -> tuple[str, str]:
    """Order benchmarks by their beginning, by the server's clock."""
    return benchmark.created_at or "", benchmark.id


def _version(benchmark: Benchmark) -> tuple[int, int]:
    return benchmark.version_major or 0, benchmark.version_minor or 0
