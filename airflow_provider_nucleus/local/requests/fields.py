"""Reading what many requests share: fields of bodies, numbers of addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.local.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["flag", "object_list", "page_request", "query_number", "request_id", "strings", "text"]


def flag(body: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """Return a true-or-false field; null means the default."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise BadRequestError(f"{name} must be true or false.")
    return value


def text(body: Mapping[str, Any], name: str) -> str | None:
    """Return a field of text; absent means null."""
    value = body.get(name)
    if not isinstance(value, str | None):
        raise BadRequestError(f"{name} must be a string or null.")
    return value


def query_number(query: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    """Return a whole number of the address, 0 to *most*; absent or empty means the default."""
    given = query.get(name, "")
    if not given:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > len(str(most)) or int(given) > most:
        raise BadRequestError(f"{name} must be a whole number from 0 to {most}.")
    return int(given)


def strings(body: Mapping[str, Any], name: str) -> list[str]:
    """Return a list of strings; absent or null means empty."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise BadRequestError(f"{name} must be a list of strings.")
    return value


def object_list(body: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list whose entries are checked row by row later; absent means empty."""
    value = body.get(name, [])
    if not isinstance(value, list):
        raise BadRequestError(f"{name} must be a list.")
    return value


def request_id(body: Mapping[str, Any]) -> str:
    """Return the id under which rows were uploaded."""
    value = body.get("requestId")
    if not isinstance(value, str) or not value:
        raise BadRequestError("requestId must name the upload: a non-empty string.")
    return value


def page_request(body: Mapping[str, Any], *, default: int, most: int = 100_000) -> tuple[int, int]:
    """Return (number to continue after, page size) of a ``...Page`` request."""
    token, size = body.get("pageToken"), body.get("pageSize", default)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise BadRequestError("pageSize must be a positive integer.")
    if token is None:
        return -1, min(size, most)
    if not isinstance(token, str) or not token.isascii() or not token.isdigit() or len(token) > 18:
        raise BadRequestError("pageToken must be the nextPageToken of the page before.")
    return int(token), min(size, most)
