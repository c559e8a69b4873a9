"""Routing: the handler of each method and path template, and what it declares of requests and answers.

Templates are matched on the path as it was sent. Ids may contain slashes. Some routes send them percent-encoded, some
raw, so matching works on the undecoded path and parameters are decoded one by one afterwards. A parameter written
`{name*}` takes the rest of the path, slashes included. A slash at the end is no matter of taste: HTTP libraries resolve
an id of `..` before they send it, and what is left is the address of the parent, with a slash.

What a route declares (the model of its body and of its address, the parts of a form, the status and the type of its
answer) is what its handler gets, what the server answers with and what the OpenAPI document says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload
from urllib.parse import unquote_to_bytes

from airflow_provider_nucleus.dot_ids import DOT_ID_PROBLEM, DOT_IDS
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.exact_json import parse_request
from airflow_provider_nucleus.local.http.path_templates import template_pattern
from airflow_provider_nucleus.local.requests.base import read_address, read_body

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator

    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.errors import ApiError
    from airflow_provider_nucleus.local.http.messages import Form
    from airflow_provider_nucleus.local.requests.base import AddressModel, RequestModel

    B = TypeVar("B", bound=RequestModel)
    Q = TypeVar("Q", bound=AddressModel)

    Plain: TypeAlias = Callable[[RouteCall], Any]
    OfBody: TypeAlias = Callable[[RouteCall, B], Any]
    OfAddress: TypeAlias = Callable[[RouteCall, Q], Any]
    OfBoth: TypeAlias = Callable[[RouteCall, B, Q], Any]

__all__ = ["FormParts", "Match", "Route", "RouteTable"]

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class FormParts:
    """The parts of a multipart request: one of JSON, and files that belong to rows of it in order.

    `field` names the field of the body that the JSON part is; without it the part is the whole body.
    """

    json: str
    files: str
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method and path template with its handler and what it declares.

    `public` routes need no key (their path carries a secret token). `reads` says of a POST that it changes nothing, or of a
    GET that it does: a read-only key opens what reads. `raw` names the content of a body that the
    handler, a coroutine, reads itself. `errors` are those that only this route answers with.
    """

    method: str
    template: str
    pattern: re.Pattern[str]
    handler: Callable[..., Any]
    body: type[RequestModel] | None = None
    query: type[AddressModel] | None = None
    form: FormParts | None = None
    status: int = 200
    answers: str = JSON
    public: bool = False
    reads: bool | None = None
    raw: str | None = None
    errors: tuple[type[ApiError], ...] = ()

    @property
    def changes(self) -> bool:
        """True when a read-only key is not enough."""
        return self.method != "GET" if self.reads is None else not self.reads

    def run(self, call: RouteCall, body: bytes, form: Form | None) -> Any:
        """Return the handler's answer to a call, whose body and address are read as the route declares them."""
        arguments: list[Any] = []
        if self.body is not None:
            arguments.append(self._read(self.body, body, form))
        if self.query is not None:
            arguments.append(read_address(self.query, call.request.query_params))
        return self.handler(call, *arguments)

    def _read(self, model: type[B], body: bytes, form: Form | None) -> B:
        if form is None or self.form is None:
            value = parse_request(body, what="The request body") if body.strip() else {}
            return read_body(model, value)
        part = f"The part {self.form.json!r}"
        value = parse_request(form.fields.get(self.form.json, ""), what=part)
        return read_body(model, value if self.form.field is None else {self.form.field: value}, what=part)


@dataclass(frozen=True, slots=True)
class Match:
    """A route and the undecoded parameters of the path that chose it."""

    route: Route
    raw: dict[str, str]

    def params(self) -> dict[str, str]:
        """Decode the parameters; raises `BadRequestError` for what cannot be the id of anything."""
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
    """An ordered list of routes; the first that matches wins. `get`, `post` ... register the decorated handler."""

    def __init__(self) -> None:
        self._routes: list[Route] = []
        self.get = _MethodRoutes("GET", self._routes)
        self.post = _MethodRoutes("POST", self._routes)
        self.put = _MethodRoutes("PUT", self._routes)
        self.patch = _MethodRoutes("PATCH", self._routes)
        self.delete = _MethodRoutes("DELETE", self._routes)

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

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


class _MethodRoutes:
    """Registration of the handlers of one HTTP method: each gets the call, then the body and the address it declares."""

    def __init__(self, method: str, routes: list[Route]) -> None:
        self._method = method
        self._routes = routes

    @overload
    def __call__(
        self,
        template: str,
        *,
        status: int = ...,
        answers: str = ...,
        public: bool = ...,
        reads: bool = ...,
        raw: str | None = ...,
        errors: tuple[type[ApiError], ...] = ...,
    ) -> Callable[[Plain], Plain]: ...
    @overload
    def __call__(
        self,
        template: str,
        *,
        body: type[B],
        form: FormParts | None = ...,
        reads: bool = ...,
        status: int = ...,
        errors: tuple[type[ApiError], ...] = ...,
    ) -> Callable[[OfBody[B]], OfBody[B]]: ...
    @overload
    def __call__(self, template: str, *, query: type[Q]) -> Callable[[OfAddress[Q]], OfAddress[Q]]: ...
    @overload
    def __call__(
        self,
        template: str,
        *,
        body: type[B],
        query: type[Q],
        form: FormParts | None = ...,
        reads: bool = ...,
    ) -> Callable[[OfBoth[B, Q]], OfBoth[B, Q]]: ...
    def __call__(self, template: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def register(handler: Callable[..., Any]) -> Callable[..., Any]:
            pattern = template_pattern(template)
            self._routes.append(
                Route(method=self._method, template=template, pattern=pattern, handler=handler, **declared)
            )
            return handler

        return register
