"""Signed URLs (flow B) and the bytes we serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from starlette.responses import FileResponse, Response

from airflow_provider_nucleus.local.disk.durable import DurableFile
from airflow_provider_nucleus.local.errors import GoneError, NotFoundError
from airflow_provider_nucleus.local.http.messages import limited_stream
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import datasets
from airflow_provider_nucleus.local.store.catalog.blob_records import content_type_of
from airflow_provider_nucleus.local.store.ingest import signed_uploads

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()
_BUFFER: Final = 4 << 20


@ROUTES.get("dataset/{ds}/signedUrl/{request_id}", reads=False)
def signed_url(call: RouteCall) -> Any:
    """Hand out a URL to which rows can be PUT without a key."""
    with call.db.write() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        lifetime = call.services.settings.signed_url_lifetime
        token = signed_uploads.expect(cursor, dataset, call.params["request_id"], lifetime=lifetime)
    return {"signed_url": call.url(f"uploads/{token}")}


@ROUTES.put("uploads/{token}", public=True, raw="application/x-ndjson", errors=(GoneError,))
async def put_rows(call: RouteCall) -> Any:
    """Stream the rows to disk; they count once the whole body is there and synced."""
    token = call.params["token"]
    await to_thread.run_sync(_take, call, token)
    # A name of its own for each body: the rows that came before stay what they are until these are committed.
    name = signed_uploads.new_file()
    file = await to_thread.run_sync(DurableFile, signed_uploads.spool_path(call.services.folder.spool, name))
    try:
        lines = await _receive(call, file)
        await to_thread.run_sync(_publish, call, token, name, file, lines)
    finally:
        file.discard()
    return {}


def _take(call: RouteCall, token: str) -> None:
    with call.db.read() as cursor:
        signed_uploads.require_open(cursor, token)


async def _receive(call: RouteCall, file: DurableFile) -> int:
    """Write the body and return the number of its lines."""
    lines, last = 0, b"\n"
    buffer = bytearray()

    def flush() -> None:
        file.write(buffer)
        buffer.clear()

    async for block in limited_stream(call.request, call.services.settings.upload_limit):
        lines += block.count(b"\n")
        last = block[-1:] or last
        buffer += block
        if len(buffer) >= _BUFFER:
            await to_thread.run_sync(flush)
    await to_thread.run_sync(flush)
    await to_thread.run_sync(file.finish)
    return lines + (last != b"\n")


def _publish(call: RouteCall, token: str, name: str, file: DurableFile, lines: int) -> None:
    folder = call.services.folder.spool
    with call.db.write() as cursor:
        # Again: a job may have started on an earlier upload while this one came in.
        signed_uploads.require_open(cursor, token)
        call.db.after_undo(lambda: signed_uploads.spool_path(folder, name).unlink(missing_ok=True))
        file.publish()
        former = signed_uploads.mark_received(cursor, token, file=name, lines=lines)
        if former is not None:
            call.db.after_commit(lambda: signed_uploads.spool_path(folder, former).unlink(missing_ok=True))


@ROUTES.get("files/{token}", public=True, answers="*/*")
def serve_file(call: RouteCall) -> Response:
    """Serve uploaded bytes; who knows the token may see them."""
    token = call.params["token"]
    with call.db.read() as cursor:
        content_type = content_type_of(cursor, token)
    path = call.services.blobs.path(token)
    if not path.is_file():
        raise NotFoundError("This file does not exist.")
    # Whatever a client uploaded must not run as a page of ours.
    safe = content_type if content_type.startswith("image/") else "application/octet-stream"
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
    return FileResponse(path, media_type=safe, headers=headers)
