"""The page of a request that has no page: what is missing or wrong, and where to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.pages.layout import Link, PageFrame

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.errors import ApiError
    from airflow_provider_nucleus.local.pages.urls import Urls

__all__ = ["ProblemPage", "problem_page"]

_TITLES: Final = {
    400: "This request cannot be answered",
    401: "This server needs its API key",
    403: "This is not allowed",
    404: "Not found",
    405: "Pages are only read",
    500: "The server failed",
    503: "The server has no memory left for this page",
    507: "The disk of this server is full",
}
_HINTS: Final = {
    400: "Correct the address, or start from the list of everything.",
    401: "Sign in with a key of this server, or send one as the user name of HTTP Basic auth with an empty password.",
    403: "Use the REST API with a key that may change something.",
    404: "It may have been deleted, or it belongs to another data directory.",
    405: "Use the REST API to change something.",
    500: "The log of the server has the details.",
    503: "Reload in a moment.",
    507: "Make room on it, then reload.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemPage(PageFrame):
    """A page that says what happened and what to do next."""

    what: str
    hint: str


def problem_page(error: ApiError, urls: Urls) -> ProblemPage:
    """Describe an error to a reader."""
    status = error.status if error.status in _TITLES else 500
    return ProblemPage(
        title=_TITLES[status], trail=(Link("All", urls.home),), what=str(error), hint=_HINTS[status]
    )
