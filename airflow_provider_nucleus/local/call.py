"""One authenticated request, as handlers see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.http.messages import parse_json
from airflow_provider_nucleus.local.requests.casing import snake_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from airflow_provider_nucleus.local.http.messages import Form
    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.database import Database

__all__ = ["Call"]


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request: decoded path parameters, query, body.

    ``body`` is empty for raw routes, which read ``request``, and for multipart requests, which have a ``form``.
    """

    services: Services
    params: Mapping[str, str]
    query: Mapping[str, str]
    request: Request
    body: bytes = field(default=b"", repr=False)
    form: Form | None = field(default=None, repr=False)

    @property
    def db(self) -> Database:
        """The store."""
        return self.services.db

    @property
    def is_async(self) -> bool:
        """Whether the client asked for a job (``?async=1``)."""
        return self.query.get("async", "0") in {"1", "true"}

    def url(self, path: str) -> str:
        """Return the absolute URL of a path below the API prefix, as this client reaches the server."""
        address = self.request.url
        return f"{address.scheme}://{address.netloc}{self.request.scope['root_path']}/{path}"

    def json(self) -> dict[str, Any]:
        """Return the JSON object of the body, ``{}`` if there is none; raises :class:`BadRequestError` otherwise."""
        if not self.body.strip():
            return {}
        value = parse_json(self.body, what="The request body")
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

    def snake_json(self) -> dict[str, Any]:
        """Return the JSON object of the body with its keys in snake_case: Evaluations V2 come in two casings."""
        body: dict[str, Any] = snake_keys(self.json())
        return body
