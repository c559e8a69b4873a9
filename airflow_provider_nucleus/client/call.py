"""One request to Nucleus as a value: what to send and how to read the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

from airflow_provider_nucleus.dot_ids import DOT_IDS
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.checks import check_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_nucleus.client.content import Content

__all__ = [
    "ANSWER_LIMIT",
    "EXPORT_LIMIT",
    "LOOK_LIMIT",
    "Call",
    "Refused",
    "addressable",
    "path_segment",
    "path_tail",
]

T = TypeVar("T")

ANSWER_LIMIT: Final = 128 << 20
"""Bytes that an answer has at most, decoded: pages of an export, listings."""

EXPORT_LIMIT: Final = 1 << 30
"""Bytes of an answer that holds all of something at once."""

LOOK_LIMIT: Final = 4 << 20
"""Bytes of the answer to a look at one thing, which the event loop of a triggerer reads between others."""


class Refused(Exception):  # ruff: ignore[error-suffix-on-exception-name] - it never leaves the client
    """Raised by a `parse` when a 2xx answer says that the request was refused, with the server's text."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request that a client can send.

    `path` follows the endpoint and is percent-encoded already; with a slash before it, the server's own address. `parse` turns the decoded JSON of a 2xx answer into the result;
    with `reads_body` off it gets None and the body is ignored. `name` completes "Could not ..." in messages. `repeatable` says
    whether a request that may have been processed can be sent again blindly. `signed_url` replaces endpoint and path, and
    goes without credentials. An answer of more than `answer_limit` decoded bytes is an error.
    """

    method: str
    path: str
    parse: Callable[[Any], T]
    name: str
    body: Any = None
    params: Mapping[str, str] | None = None
    repeatable: bool = True
    reads_body: bool = True
    content: Content | None = None
    content_type: str | None = None
    signed_url: str | None = None
    answer_limit: int = ANSWER_LIMIT

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.params)}" if self.params else self.path


def path_segment(value: str, what: str = "id") -> str:
    """Return an id as one segment of a path: a slash becomes `%2F`, so that `../a.jpg` stays what it is."""
    return quote(addressable(value, what), safe="")


def path_tail(value: str, what: str = "id") -> str:
    """Return an id for the routes that do not encode slashes: each adds a segment, everything else is encoded.

    Slashes around a dot segment are encoded all the same, for no library would send `../a.jpg` as it is.
    """
    has_dots = not DOT_IDS.isdisjoint(addressable(value, what).split("/"))
    return quote(value, safe="" if has_dots else "/")


def addressable(value: str, what: str) -> str:
    """Return an id, unless HTTP libraries would silently turn its address into another.

    They resolve dot segments, so that deleting the item ".." of a dataset would delete the dataset.
    """
    try:
        return check_id(value)
    except ValueError as problem:
        raise NucleusValidationError(what, str(problem)) from None
