"""Measurement of a model's matches on a batch, read from a server by what the contract has: items, ground truth, matches."""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from airflow_provider_nucleus import __version__
from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.cloud import is_scale
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusMetricsError, NucleusRequestError
from airflow_provider_nucleus.gating.fingerprint import data_name
from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement, Subject
from airflow_provider_nucleus.hooks.listing_ahead import ListingAhead
from airflow_provider_nucleus.tasks.batch_scope import BatchScope
from airflow_provider_nucleus.tasks.measurements import match_measurement, measure_matches
from airflow_provider_nucleus.tasks.population import Population, read_ground_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow_provider_nucleus.gating.measurement import Unannotated
    from airflow_provider_nucleus.hooks.nucleus import NucleusHook
    from airflow_provider_nucleus.schema.matches import EvaluationMatch
    from airflow_provider_nucleus.tasks.measurements import MeasuredMatches

__all__ = ["engine_of", "measure", "read_population", "subject_now"]

log = logging.getLogger(__name__)

_ENGINE: Final = f"airflow-provider-nucleus {__version__}"
_CLOUD_ENGINE: Final = "nucleus"
_Mode = Literal["iou", "false_positive", "false_negative"]
_READS: Final = 3
"""Times that matches are read from the start, when others calculate them anew in between."""


def measure(
    hook: NucleusHook,
    dataset_id: str,
    model_id: str | None = None,
    *,
    model_run_id: str | None = None,
    slice_id: str | None = None,
    query: str | None = None,
    iou_threshold: float = 0.5,
    unannotated: Unannotated = "count",
    slice_keys: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    subject: Subject | None = None,
    notes: Sequence[Mapping[str, Any]] = (),
    details: Mapping[str, Any] | None = None,
    keep_rows: bool = True,
) -> Measurement:
    """Read the matches of a run on the items of a slice or a query, and return their numbers with what they rest on.

    The matches are those of the last calculation, whose *options* the fingerprint states; nothing is calculated here. *subject* adds
    who measures. Raises NucleusConfigError for a slice of another dataset, NucleusMetricsError when the model has no run there, and
    NucleusRequestError when metrics were never calculated or the query is malformed.
    """
    scope = BatchScope(slice_id=slice_id, query=query)
    run_id = model_run_id or hook.find_model_run(dataset_id, str(model_id))
    named = _named(hook, dataset_id, model_id, scope) | {"model_run_id": run_id}
    items = _items(hook, dataset_id, scope, model_run_id=run_id, with_metadata=bool(slice_keys))

    def listings() -> dict[_Mode, ListingAhead[EvaluationMatch]]:
        return {mode: _matches(hook, dataset_id, run_id, mode, items.listed_by) for mode in get_args(_Mode)}

    with ExitStack() as threads:
        # What is counted first is under way while the ground truth is read; the server works on one page while another is counted.
        ahead = [_entered(threads, listings())]
        population = _population(hook, dataset_id, items)

        def read() -> MeasuredMatches:
            listed = ahead.pop() if ahead else _entered(threads, listings())
            return measure_matches(
                listed["iou"],
                false_positives=listed["false_positive"],
                false_negatives=listed["false_negative"],
                population=population,
                iou_threshold=iou_threshold,
                unannotated=unannotated,
                slice_keys=slice_keys,
                keep_rows=keep_rows,
            )

        measured = _undisturbed(read)
    return match_measurement(
        measured,
        subject=(subject or subject_now()).model_copy(update=named),
        fingerprint=Fingerprint(
            data=data_name("dataset", dataset_id),
            scope=scope.name,
            ground_truth=population.ground_truth.digest,
            options={
                "match": "nucleus",
                "iou_threshold": iou_threshold,
                "unannotated": unannotated,
                **(options or {}),
            },
            engine=engine_of(hook),
        ),
        notes=notes,
        details=details,
    )


def _matches(
    hook: NucleusHook, dataset_id: str, run_id: str, mode: _Mode, scope: BatchScope
) -> ListingAhead[EvaluationMatch]:
    def listing(query: str) -> Iterator[EvaluationMatch]:
        return hook.iter_matches(dataset_id, run_id, mode=mode, query=query)

    return ListingAhead(_selected(listing, scope), name=mode)


def _entered(
    threads: ExitStack, listed: dict[_Mode, ListingAhead[EvaluationMatch]]
) -> dict[_Mode, ListingAhead[EvaluationMatch]]:
    for each in listed.values():
        threads.enter_context(each)
    return listed


def _undisturbed(read: Callable[[], MeasuredMatches]) -> MeasuredMatches:
    """Return what *read* reads; once more from the start where matches were calculated anew while they were read."""
    for _ in range(_READS - 1):
        try:
            return read()
        except NucleusRequestError as error:
            if "pageToken" not in str(error):
                raise
            log.warning("The matches changed while they were read, reading them again: %s", error)
    return read()


def _named(
    hook: NucleusHook, dataset_id: str, model_id: str | None, scope: BatchScope
) -> dict[str, str | None]:
    """Return ids and names of what is measured; NucleusConfigError for a slice of another dataset."""
    slice_name = None
    if scope.slice_id is not None:
        found = hook.slice_info(scope.slice_id)
        slice_name = found.name
        if found.dataset_id not in {None, dataset_id}:
            raise NucleusConfigError(
                f"Slice {scope.slice_id} belongs to dataset {found.dataset_id}, not to {dataset_id}.",
                conn_id=hook.nucleus_conn_id,
                field="slice_id",
                hint="Numbers of a slice are read from the matches of its own dataset.",
            )
    return {
        "dataset_id": dataset_id,
        "dataset_name": hook.dataset_name(dataset_id),
        "model_id": model_id,
        "model_name": hook.get_model(model_id).name if model_id else None,
        "slice_id": scope.slice_id,
        "slice_name": slice_name,
        "query": scope.query,
    }


def read_population(
    hook: NucleusHook,
    dataset_id: str,
    scope: BatchScope,
    *,
    model_run_id: str | None = None,
    with_metadata: bool = False,
) -> Population:
    """Read the items of a batch and the ground truth on them."""
    items = _items(hook, dataset_id, scope, model_run_id=model_run_id, with_metadata=with_metadata)
    return _population(hook, dataset_id, items)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Items:
    """Items of a batch, and the scope by which a server lists what is on them: an empty one where it cannot select them."""

    names: dict[str, str]
    metadata: dict[str, Any]
    listed_by: BatchScope


def _items(
    hook: NucleusHook, dataset_id: str, scope: BatchScope, *, model_run_id: str | None, with_metadata: bool
) -> _Items:
    if scope.query is not None:
        # Only a query about predictions depends on the run, and only one that there are several of.
        run_id = model_run_id if "predictions." in scope.query else None
        items = hook.iter_queried_items(dataset_id, scope.condition, model_run_id=run_id)
    elif scope.slice_id is not None:
        items = hook.iter_slice_items(scope.slice_id)
    else:
        items = hook.iter_items(dataset_id)
    names: dict[str, str] = {}
    metadata: dict[str, Any] = {}
    for item in items:
        if item.dataset_item_id is None:
            raise NucleusMetricsError(
                f"The listing of the items of {scope.slice_id or dataset_id} does not name the id of {item.reference_id!r}.",
                dataset_id=dataset_id,
                conn_id=hook.nucleus_conn_id,
                hint="Matches are listed by the ids of items: without them it cannot be known which are of this batch.",
            )
        names[item.dataset_item_id] = str(item.reference_id)
        if with_metadata:
            metadata[item.dataset_item_id] = item.metadata or {}
    listed_by = scope if _lists_by_slice(hook, dataset_id, scope, names) else BatchScope()
    return _Items(names=names, metadata=metadata, listed_by=listed_by)


def _population(hook: NucleusHook, dataset_id: str, items: _Items) -> Population:
    references = set(items.names.values())

    def listing(condition: str) -> Iterator[dict[str, Any]]:
        return hook.iter_ground_truth(dataset_id, condition)

    with ListingAhead(_selected(listing, items.listed_by), name="ground_truth") as objects:
        ground_truth = read_ground_truth(
            each for each in objects if str(each.get("reference_id")) in references
        )
    return Population(
        names=items.names,
        ground_truth=ground_truth,
        metadata=items.metadata,
        condition=items.listed_by.condition,
    )


def _lists_by_slice(hook: NucleusHook, dataset_id: str, scope: BatchScope, names: Mapping[str, str]) -> bool:
    """Return whether a query selects the items of a slice, all of them; True without a slice, or of an embedded Nucleus.

    The cloud takes a minute until what is new can be queried, and does not say how a slice is written in a query.
    """
    if scope.slice_id is None or scope.query is not None or engine_of(hook) != _CLOUD_ENGINE:
        return True
    try:
        found = {item.dataset_item_id for item in hook.iter_queried_items(dataset_id, scope.condition)}
    except NucleusRequestError as error:
        log.warning("The server cannot select by slice, reading everything instead: %s", error)
        return False
    if found == names.keys():
        return True
    log.warning(
        "The query for slice %s selects %d items and it has %d, reading everything instead",
        scope.slice_id,
        len(found),
        len(names),
    )
    return False


def _selected(listing: Callable[[str], Iterator[Any]], scope: BatchScope) -> Iterator[Any]:
    """Yield what *listing* has for the scope; all of it from a server that cannot select by a slice, for callers to pick from."""
    found = listing(scope.condition)
    try:
        first = next(found)
    except StopIteration:
        return
    except NucleusRequestError as error:
        if scope.query is not None or scope.slice_id is None:
            raise
        log.warning("The server cannot list by slice, reading everything instead: %s", error)
        yield from listing("")
        return
    yield from chain((first,), found)


def engine_of(hook: NucleusHook) -> str:
    """Return what computes numbers at the other end: the cloud, or an embedded Nucleus of this package."""
    return _CLOUD_ENGINE if is_scale(Address.parse(hook.config.endpoint).host) else _ENGINE


def subject_now() -> Subject:
    """Return a subject that says when, and nothing else."""
    return Subject(measured_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"))
