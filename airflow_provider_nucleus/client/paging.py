"""Pages: the one place that knows how a listing continues."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.base import require_object

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_nucleus.client.call import Call

__all__ = ["Page", "follow_pages", "read_page"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some members of a listing, and the token of the next page: None on the last."""

    members: list[T]
    next_token: str | None = None


def read_page(payload: Any, key: str, read: Callable[[Any], T]) -> Page[T]:
    """Read `{"nextPageToken": ..., key: [...]}`; a missing list is an error, an empty token the end."""
    answer = require_object(payload, "a page")
    members = answer.get(key)
    if not isinstance(members, list):
        raise NucleusValidationError(key, "is missing" if members is None else "must be a list")
    return Page([read(member) for member in members], answer.get("nextPageToken") or None)


def follow_pages(first: Call[Page[T]]) -> Generator[Call[Page[T]], Page[T] | None, None]:
    """Yield the call of each page, from the *first* on, and be sent the page, until the last.

    Raises NucleusValidationError when the server hands out a token twice, which would never end.
    """
    call = first
    seen: set[str] = set()
    while True:
        page = yield call
        assert page is not None
        token = page.next_token
        if token is None:
            return
        if token in seen:
            raise NucleusValidationError("nextPageToken", f"was handed out twice: {token!r}")
        seen.add(token)
        call = replace(first, body={**first.body, "pageToken": token})
