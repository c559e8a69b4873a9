"""One slice of a name in a dataset, with the items that belong into it, whoever adds them at the same time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.client.calls.datasets import dataset_slices
from airflow_provider_nucleus.client.calls.items import items_page
from airflow_provider_nucleus.client.calls.slices import (
    MAX_SLICE_ITEMS,
    append_to_slice,
    create_slice,
    delete_slice,
    slice_items_page,
)
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusError,
    NucleusNotFoundError,
    NucleusRequestError,
    NucleusServerError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.schema.models import Slice

__all__ = ["FilledSlice", "ensure_slice"]

log = logging.getLogger(__name__)

_AMBIGUOUS: Final = (NucleusConnectionError, NucleusServerError, NucleusAnswerError)
"""After these the slice may have been created."""

_OF_ITEMS: Final = frozenset({None, "dataset_item"})
_LOOKS: Final = 3
_PAUSE: Final = 1.0
"""Seconds between two looks at slices of one name: one of them may be the second of two tasks, which deletes it."""

_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledSlice:
    """A slice that holds what it should: how many items it has, how many were added now, whether it was created now."""

    slice_id: str
    items: int
    added: int
    created: bool
    unknown: int = 0
    """Reference ids that the dataset does not know, and that were passed over."""


def ensure_slice(
    client: NucleusClient,
    dataset_id: str,
    name: str,
    reference_ids: Iterable[str],
    *,
    skip_unknown: bool = False,
) -> FilledSlice:
    """Return the slice called *name*, created if there is none, with the items of *reference_ids* that it lacked added.

    Names of slices are not unique, so of several tasks that create one at the same time the first wins, and the others delete theirs,
    which is still empty. Items are added 10,000 at a time; those that are in the slice stay once.

    Raises NucleusConfigError for reference ids that the dataset does not know, unless *skip_unknown*, and when there are several slices
    of the name, or one of objects or scenes.
    """
    wanted = list(dict.fromkeys(reference_ids))
    named = _settled(client, dataset_id, name)
    found = named[0] if named else None
    slice_id = found.id if found else _made(client, dataset_id, name)
    created = found is None
    present = {str(item.reference_id) for item in client.pages(slice_items_page(slice_id))}
    missing = [reference for reference in wanted if reference not in present]
    added, unknown = _add(
        client, dataset_id, missing, slice_id=slice_id, name=name, skip_unknown=skip_unknown
    )
    log.info(
        "%s slice %s (%r): %d items, %d of them added now, %d that were there and are none of those given",
        "Created" if created else "Using",
        slice_id,
        name,
        len(present) + added,
        added,
        len(present.difference(wanted)),
    )
    return FilledSlice(
        slice_id=slice_id, items=len(present) + added, added=added, created=created, unknown=unknown
    )


def _named(client: NucleusClient, dataset_id: str, name: str) -> list[Slice]:
    """Return the slices of the name, oldest first."""
    found = [one for one in client.send(dataset_slices(dataset_id, name=name)) if one.name == name]
    for one in found:
        if one.type not in _OF_ITEMS:
            raise NucleusConfigError(
                f"Slice {one.id} of dataset {dataset_id} is called {name!r} too, and is one of {one.type}s, not of items.",
                conn_id=client.config.conn_id,
                field="name",
                hint="Take another name, or delete that slice.",
            )
    return sorted(found, key=lambda one: (one.created_at or "", one.id))


def _settled(client: NucleusClient, dataset_id: str, name: str) -> list[Slice]:
    """Return the only slice of the name, or none; several are looked at again, because one may be about to be deleted."""
    for look in range(_LOOKS):
        found = _named(client, dataset_id, name)
        if len(found) <= 1:
            return found
        if look < _LOOKS - 1:
            client.sleep(_PAUSE)
    raise NucleusConfigError(
        f"{len(found)} slices of dataset {dataset_id} are called {name!r}: {', '.join(one.id for one in found[:10])}.",
        conn_id=client.config.conn_id,
        field="name",
        hint="Delete all but one of them: which is the batch cannot be known.",
    )


def _made(client: NucleusClient, dataset_id: str, name: str) -> str:
    """Create a slice without items, and return it or the one that somebody else created a moment earlier."""
    own: str | None = None
    trouble: NucleusError | None = None
    try:
        own = client.send(create_slice(dataset_id, name, reference_ids=()))
    except _AMBIGUOUS as error:
        log.warning("%s Looking whether it was created", error)
        trouble = error
    named = _named(client, dataset_id, name)
    first = named[0].id if named else own
    if first is None:
        assert trouble is not None
        raise trouble
    if own not in {None, first}:
        assert own is not None
        log.info("Slice %s of the same name was created earlier: deleting %s", first, own)
        try:
            client.send(delete_slice(own))
        except NucleusError as error:
            log.warning("There are two slices called %r now, %s and %s: %s", name, first, own, error)
    return first


def _add(
    client: NucleusClient,
    dataset_id: str,
    references: list[str],
    *,
    slice_id: str,
    name: str,
    skip_unknown: bool,
) -> tuple[int, int]:
    """Add items that are missing; return how many were, and how many reference ids were passed over as unknown."""
    for start, chunk in _chunks(references):
        try:
            client.send(append_to_slice(slice_id, dataset_id, chunk))
        except NucleusNotFoundError:
            raise
        except NucleusRequestError as error:
            rest = references[start:]
            unknown = _unknown(client, dataset_id, rest)
            if not unknown:
                raise
            if not skip_unknown:
                raise _unknown_items(
                    client, unknown, dataset_id, slice_id=slice_id, name=name, added=start
                ) from error
            known = [reference for reference in rest if reference not in unknown]
            log.warning("%d items of slice %r are not in dataset %s", len(unknown), name, dataset_id)
            added, _ = _add(client, dataset_id, known, slice_id=slice_id, name=name, skip_unknown=False)
            return start + added, len(unknown)
    return len(references), 0


def _chunks(references: list[str]) -> Iterator[tuple[int, list[str]]]:
    rest = iter(references)
    start = 0
    while chunk := list(islice(rest, MAX_SLICE_ITEMS)):
        yield start, chunk
        start += len(chunk)


def _unknown(client: NucleusClient, dataset_id: str, references: list[str]) -> dict[str, None]:
    """Return those of *references* that the dataset does not have, in their order; all its items are listed for that."""
    left = dict.fromkeys(references)
    for item in client.pages(items_page(dataset_id)):
        left.pop(str(item.reference_id), None)
    return left


def _unknown_items(
    client: NucleusClient,
    unknown: Iterable[str],
    dataset_id: str,
    *,
    slice_id: str,
    name: str,
    added: int,
) -> NucleusConfigError:
    listed = list(unknown)
    more = f" and {len(listed) - _NAMED:,} more" if len(listed) > _NAMED else ""
    return NucleusConfigError(
        f"Dataset {dataset_id} does not have {len(listed):,} of the items of slice {name!r}: "
        f"{', '.join(map(repr, listed[:_NAMED]))}{more}.",
        conn_id=client.config.conn_id,
        field="reference_ids",
        hint=f"Append the items first, or take those ids out. Slice {slice_id} is there, with {added:,} items added now; a retry adds "
        "what is missing.",
    )
