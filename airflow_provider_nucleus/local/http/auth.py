"""Authentication: a key as the user name of HTTP Basic or in `x-limited-access-key`, or the session of a browser that has shown one."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from airflow_provider_nucleus.local.errors import ForbiddenError, UnauthorizedError

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.requests import Request

    from airflow_provider_nucleus.local.keys import AccessKey, KeyRing

__all__ = ["READING", "check_key", "check_site", "session_name"]

READING: Final = frozenset({"GET", "HEAD"})
"""Methods that change nothing, unless a route says otherwise."""


def check_key(request: Request, keys: KeyRing, *, changes: bool) -> AccessKey:
    """Return the key that a request carries, itself or by a session.

    Raises `UnauthorizedError` without one, `ForbiddenError` if it may only read and the request `changes` something.
    """
    headers = request.headers
    offered = headers.get("x-limited-access-key") or _basic_user(headers.get("authorization", ""))
    session = None if offered else request.cookies.get(session_name(request))
    if not (offered or session):
        raise UnauthorizedError(
            "No API key: send it as the user name of HTTP Basic auth or as x-limited-access-key."
        )
    key = keys.find(offered) if offered else keys.signed_in(session or "")
    if key is None:
        raise UnauthorizedError("Invalid API key." if offered else "This browser is no longer signed in.")
    if changes and key.read_only:
        raise ForbiddenError(f"The key {key.name!r} is read-only: it opens pages and whatever only reads.")
    if changes and session:
        raise ForbiddenError("A signed-in browser only reads; send the API key itself to change something.")
    return key


def session_name(request: Request) -> str:
    """Return the name of the session's cookie: browsers share cookies between the servers on all ports of a host."""
    try:
        port = request.url.port
    except ValueError:
        port = None
    return f"nucleus_session_{port}" if port else "nucleus_session"


def check_site(headers: Headers) -> None:
    """Raise `ForbiddenError` if a page of another site makes a browser send this request.

    A browser that was given the key for the pages adds it to every request to this server, whoever asks for it. It
    also says who asked, in headers that other clients do not send.
    """
    origin = headers.get("origin")
    elsewhere = origin is not None and _host_of(origin) != headers.get("host")
    if elsewhere or headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        raise ForbiddenError("Requests that change something are not taken from pages of other sites.")


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _basic_user(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(token, validate=True).decode().partition(":")[0]
    except ValueError:
        return ""
