"""Which handler answers which route, matched on the path as it was sent.

Ids may contain slashes. Some routes send them percent-encoded, some raw, so matching works on the undecoded path
and parameters are decoded one by one afterwards. A parameter written ``{name*}`` takes the rest of the path, slashes
included. A slash at the end is no matter of taste: HTTP libraries resolve an id of ``..`` before they send it, and what
is left is the address of the parent, with a slash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from airflow_provider_nucleus.dot_ids import DOT_ID_PROBLEM, DOT_IDS
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.http.path_templates import template_pattern

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator

    from airflow_provider_nucleus.local.call import Call

__all__ = ["Match", "Route", "RouteTable"]


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path template with its handler.

    ``public`` routes need no key (their path carries a secret token); ``raw`` handlers are coroutines that read
    the request body themselves.
    """

    method: str
    template: str
    handler: Callable[[Call], Any]
    pattern: re.Pattern[str]
    public: bool = False
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """A route and the undecoded parameters of the path that chose it."""

    route: Route
    raw: dict[str, str]

    def params(self) -> dict[str, str]:
        """Decode the parameters; raises :class:`BadRequestError` for what cannot be the id of anything."""
        found = {}
        for name, raw in self.raw.items():
            try:
                found[name] = unquote_to_bytes(raw.encode("latin-1")).decode()
            except UnicodeDecodeError:
                raise BadRequestError(f"{raw} in the path is not text in percent-encoded UTF-8.") from None
            if found[name] in DOT_IDS:
                raise BadRequestError(f"An id in the path {DOT_ID_PROBLEM}; nothing was changed.")
        return found


class RouteTable:
    """An ordered list of routes; the first that matches wins."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def route(
        self, method: str, template: str, *, public: bool = False, raw: bool = False
    ) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
        """Register the decorated handler for a method and a path template."""

        def register(handler: Callable[[Call], Any]) -> Callable[[Call], Any]:
            pattern = template_pattern(template)
            self._routes.append(Route(method, template, handler, pattern, public=public, raw=raw))
            return handler

        return register

    def get(self, template: str) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
        """Register a GET handler."""
        return self.route("GET", template)

    def post(self, template: str) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
        """Register a POST handler."""
        return self.route("POST", template)

    def patch(self, template: str) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
        """Register a PATCH handler."""
        return self.route("PATCH", template)

    def delete(self, template: str) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
        """Register a DELETE handler."""
        return self.route("DELETE", template)

    def include(self, other: RouteTable) -> None:
        """Append all routes of another table."""
        self._routes.extend(other)

    def match(self, method: str, path: str) -> Match | None:
        """Return the first route for this method and undecoded path, or None."""
        for route in self._routes:
            if route.method == method and (found := route.pattern.fullmatch(path)):
                return Match(route, found.groupdict())
        return None

    def methods(self, path: str) -> list[str]:
        """Return the methods that this undecoded path answers to."""
        return sorted({route.method for route in self._routes if route.pattern.fullmatch(path)})
