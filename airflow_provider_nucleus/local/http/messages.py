"""Messages: bodies and forms as they are read, answers as they are written, which is compact JSON always."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import orjson
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import Response

from airflow_provider_nucleus.local.disk.full_disk import full_disk_named
from airflow_provider_nucleus.local.errors import ApiError, BadRequestError, TooLargeError
from airflow_provider_nucleus.local.exact_json import dump_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from starlette.requests import Request


__all__ = [
    "Form", "ReceivedFile", "error_response", "json_response", "limited_stream", "read_form", "read_limited",
]  # fmt: skip

_FILES_LIMIT: Final = 10
"""Files and fields of one multipart request: the hard limit of the official client."""


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """One file of a multipart request, spooled to disk if it is large."""

    field: str
    content_type: str
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart request: text fields by name, files in the order sent."""

    fields: Mapping[str, str]
    files: Sequence[ReceivedFile]


async def limited_stream(request: Request, limit: int) -> AsyncGenerator[bytes]:
    """Yield the body block by block; raises `TooLargeError` as soon as it exceeds `limit` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLargeError(f"The request body has {declared} bytes; this route takes at most {limit}.")
    seen = 0
    async for block in request.stream():
        seen += len(block)
        if seen > limit:
            raise TooLargeError(f"The request body is larger than the {limit} bytes this route takes.")
        yield block


async def read_limited(request: Request, limit: int) -> bytes:
    """Return the whole body, at most `limit` bytes of it."""
    return b"".join([block async for block in limited_stream(request, limit)])


async def read_form(request: Request, limit: int, *, field_limit: int) -> Form:
    """Read a multipart body of at most `limit` bytes; large files go to disk, not to memory."""
    parser = MultiPartParser(
        request.headers,
        limited_stream(request, limit),
        max_files=_FILES_LIMIT,
        max_fields=_FILES_LIMIT,
        max_part_size=field_limit,
    )
    try:
        with full_disk_named(tempfile.gettempdir):
            data = await parser.parse()
    except MultiPartException as error:
        raise BadRequestError(f"The multipart body cannot be read: {error.message}") from error
    fields: dict[str, str] = {}
    files: list[ReceivedFile] = []
    for name, value in data.multi_items():
        if isinstance(value, UploadFile):
            files.append(ReceivedFile(name, value.content_type or "application/octet-stream", value.file))
        else:
            fields[name] = value
    return Form(fields, files)


def json_response(value: Any, status: int = 200) -> Response:
    """Return compact JSON."""
    return Response(dump_json(value), status, media_type="application/json")


def error_response(error: ApiError) -> Response:
    """Return the answer an error stands for."""
    return Response(
        orjson.dumps({"error": str(error)}),
        error.status,
        headers=error.headers,
        media_type="application/json",
    )
