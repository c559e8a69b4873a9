"""One request as handlers see it, and how answers are written: compact JSON, always."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

from airflow_provider_nucleus.local.errors import ApiError, BadRequestError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request

    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.database import Database

__all__ = ["Answer", "Call", "error_response", "json_response", "limited_stream", "read_limited"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A handler's result when its status is not 200."""

    value: Any
    status: int


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request: decoded path parameters, query, body.

    ``body`` is empty for raw routes and for multipart requests; those read ``request``.
    """

    services: Services
    params: Mapping[str, str]
    query: Mapping[str, str]
    request: Request
    body: bytes = field(default=b"", repr=False)

    @property
    def db(self) -> Database:
        """The store."""
        return self.services.db

    def json(self) -> dict[str, Any]:
        """Return the JSON object of the body, ``{}`` if there is none; raises :class:`BadRequestError` otherwise."""
        if not self.body.strip():
            return {}
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise BadRequestError(f"The request body is not valid JSON: {error}.") from error
        if not isinstance(value, dict):
            raise BadRequestError("The request body must be a JSON object.")
        return value

    def fields(self, *names: str, needed: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the named fields that the body has; raises if one of ``needed`` is missing."""
        body = self.json()
        for name in needed:
            if name not in body:
                raise BadRequestError(f"The request body lacks {name!r}.")
        return {name: body[name] for name in names if name in body}


async def limited_stream(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body piece by piece; raises :class:`TooLargeError` as soon as it exceeds ``limit`` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLargeError(f"The request body has {declared} bytes; this route takes at most {limit}.")
    seen = 0
    async for piece in request.stream():
        seen += len(piece)
        if seen > limit:
            raise TooLargeError(f"The request body is larger than the {limit} bytes this route takes.")
        yield piece


async def read_limited(request: Request, limit: int) -> bytes:
    """Return the whole body, at most ``limit`` bytes of it."""
    return b"".join([piece async for piece in limited_stream(request, limit)])


def json_response(value: Any, status: int = 200) -> Response:
    """Return compact JSON."""
    return Response(orjson.dumps(value), status, media_type="application/json")


def error_response(error: ApiError) -> Response:
    """Return the answer an error stands for."""
    return Response(
        orjson.dumps({"error": str(error)}),
        error.status,
        headers=error.headers,
        media_type="application/json",
    )
