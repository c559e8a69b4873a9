"""Authentication: HTTP Basic with the key as user name, or the `x-limited-access-key` header."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_nucleus.local.errors import ForbiddenError, UnauthorizedError

if TYPE_CHECKING:
    from starlette.datastructures import Headers

__all__ = ["check_key", "check_site"]


def check_key(headers: Headers, key: str) -> None:
    """Raise `UnauthorizedError` unless the request carries the server's key."""
    offered = headers.get("x-limited-access-key") or _basic_user(headers.get("authorization", ""))
    if not offered:
        raise UnauthorizedError(
            "No API key: send it as the user name of HTTP Basic auth or as x-limited-access-key."
        )
    if not hmac.compare_digest(offered.encode(), key.encode()):
        raise UnauthorizedError("Invalid API key.")


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
    except (binascii.Error, UnicodeDecodeError):
        return ""
