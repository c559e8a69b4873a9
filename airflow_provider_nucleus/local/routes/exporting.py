"""Exports of datasets and slices: the item as it is written, pages, and answers of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import StreamingResponse

from airflow_provider_nucleus.local.http.paging import Pager, Position
from airflow_provider_nucleus.local.store.views.exports import export_page, export_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.responses import Response

    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.requests.paging import PageRequest
    from airflow_provider_nucleus.local.store.catalog.items import Item
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.views.exports import Export

__all__ = ["EXPORT_PAGE", "all_rows", "item_writer", "mirrored", "one_page"]

EXPORT_PAGE: Final = 10_000
_ROWS_AT_ONCE: Final = 200


def item_writer(call: RouteCall, *, mirrored_images: bool) -> Callable[[Item], dict[str, Any]]:
    """Return how items are written: with the address of the stored bytes as `processed_url` if asked for."""
    if not mirrored_images:
        return lambda item: item.to_wire()
    return lambda item: {**item.to_wire(), "processed_url": mirrored(call, item)}


def mirrored(call: RouteCall, item: Item) -> str | None:
    """Return where the bytes of an item can be fetched: from this server if it holds them, else where they came from."""
    if item.blob is not None:
        return call.url(f"files/{item.blob}")
    return item.image_url or item.pointcloud_url


def one_page(
    call: RouteCall,
    request: PageRequest,
    cursor: Cursor,
    export: Export,
    *,
    listing: tuple[Any, ...],
    limit: int = EXPORT_PAGE,
) -> dict[str, Any]:
    """Answer a `...Page` export; `listing` is what decides which rows there are."""
    pager = Pager(call.services.settings.api_key, ("export", export.dataset.id, export.set_no, *listing))
    position, size = pager.read(request.token), request.size_within(limit)
    rows, last = export_page(cursor, export, after=position.after, size=size)
    return {"data": rows, "nextPageToken": None if last is None else pager.token(Position(0, last))}


def all_rows(call: RouteCall, prepare: Callable[[Cursor], Export]) -> Response:
    """Answer an export of everything at once, row by row from one snapshot, so that memory stays flat."""
    # What can fail, fails here, while there is still a status to set.
    with call.db.read() as cursor:
        prepare(cursor)

    def blocks() -> Iterator[bytes]:
        with call.db.read() as cursor:
            yield b'{"exportedRows":['
            for place, row in enumerate(export_rows(cursor, prepare(cursor))):
                yield (b"," if place else b"") + orjson.dumps(row)
            yield b"]}"

    return StreamingResponse(_gathered(blocks()), media_type="application/json")


def _gathered(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Join blocks, because every chunk of a response costs a switch of threads."""
    held: list[bytes] = []
    for block in blocks:
        held.append(block)
        if len(held) >= _ROWS_AT_ONCE:
            yield b"".join(held)
            held.clear()
    yield b"".join(held)
