"""From what a server answered to the error that says so, with the next action."""

from __future__ import annotations

import html
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.client.retry import NoAnswer, retry_after_seconds
from airflow_provider_nucleus.cloud import CLOUD_ENDPOINT
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusAPIError,
    NucleusAuthError,
    NucleusConnectionError,
    NucleusNotFoundError,
    NucleusRateLimitError,
    NucleusRequestError,
    NucleusServerError,
    NucleusValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.config import NucleusConfig

__all__ = ["answer_error", "api_error", "connection_error", "redacted_url", "refused_error"]

_TEXT_LIMIT = 600
_BODY_LIMIT = 4000

_HINTS = {
    400: "Correct the request; repeating it unchanged cannot help.",
    401: "Check the API key: it is missing, wrong or revoked.",
    403: "This key may not do that; use one with more rights, or ask the owner of the object.",
    404: "Check the id: the object may have been deleted, or belong to another account.",
    409: "The object is in another state than this request needs; look at it before repeating.",
    413: "Send smaller batches.",
    429: "Too many requests; try again later, with fewer tasks at once.",
    501: "This Nucleus does not implement the route.",
    507: "The disk of the Nucleus server is full and nothing of this request was stored: try again once there is room on it.",
}
_GENERIC = frozenset({400, 404, 409})
"""Statuses whose hint gives way to what the server itself says to do."""

_ADVICE = re.compile(r"[.!?]\s+[A-Z`]")
"""A second sentence: the first says what is wrong, and more is about what it means or what to do."""

_FAULT = "The fault is the server's; try again later."


def redacted_url(url: str, *, signed: bool) -> str:
    """Return a URL fit for messages: a signed one loses its query, because the signature is in there."""
    plain, mark, _ = url.partition("?")
    return f"{plain}?..." if signed and mark else url


def api_error(
    call: Call[Any],
    config: NucleusConfig,
    *,
    url: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    attempts: int,
) -> NucleusAPIError:
    """Return the error for an answer outside 2xx."""
    text = config.redact(body.decode("utf-8", "replace"))
    server_text, is_page = _error_text(text)
    where = redacted_url(url, signed=call.signed_url is not None)
    after = f" after {attempts} attempts" if attempts > 1 else ""
    message = f"Could not {call.name}: {call.method} {where} answered {status}{_phrase(status)}{after}"
    kind, hint = _classify(
        status, headers, url=url, is_page=is_page, config=config, signed=call.signed_url is not None
    )
    if not is_page and hint == _HINTS.get(status) and status in _GENERIC and _ADVICE.search(server_text):
        hint = None
    return kind(
        _sentence(message, server_text, config),
        status=status,
        method=call.method,
        url=where,
        body=text[:_BODY_LIMIT],
        retry_after=retry_after_seconds(headers),
        conn_id=config.conn_id,
        attempts=attempts,
        hint=hint,
    )


def _classify(
    status: int, headers: Mapping[str, str], *, url: str, is_page: bool, config: NucleusConfig, signed: bool
) -> tuple[type[NucleusAPIError], str | None]:
    if 300 <= status < 400:
        return NucleusRequestError, _redirect_hint(url, headers, signed=signed)
    if signed:
        if status >= 500:
            return NucleusServerError, _HINTS.get(status, _FAULT)
        return NucleusRequestError, "The signed upload address may have expired; ask for a new one."
    if status in {401, 403}:
        return NucleusAuthError, _HINTS[status]
    if status == 404:
        return NucleusNotFoundError, _endpoint_hint(config) if is_page else _HINTS[404]
    if status == 429:
        return NucleusRateLimitError, _HINTS[429]
    if status >= 500:
        return NucleusServerError, _HINTS.get(status, _FAULT)
    return NucleusRequestError, _endpoint_hint(config) if is_page else _HINTS.get(status, _HINTS[400])


def _redirect_hint(url: str, headers: Mapping[str, str], *, signed: bool) -> str:
    """Say where a redirect that was not followed leads; what cannot be read is not shown, for it may hold credentials."""
    try:
        target = Address.parse(url).resolve(headers.get("location", ""))
    except NucleusValidationError as error:
        return f"It redirects, which was not followed: the target {error.reason}."
    address = redacted_url(str(target), signed=True)
    if signed:
        return f"It redirects to {address}, which was not followed; ask for a new signed address."
    return f"It redirects to {address}; if that is right, use it as endpoint."


def answer_error(
    call: Call[Any], config: NucleusConfig, *, url: str, status: int, body: bytes, problem: str, attempts: int
) -> NucleusAnswerError:
    """Return the error for a 2xx answer that cannot be used."""
    text = config.redact(body.decode("utf-8", "replace"))
    server_text, is_page = _error_text(text)
    where = redacted_url(url, signed=call.signed_url is not None)
    acted = "" if call.method == "GET" else " The request may have taken effect."
    hint = (
        _endpoint_hint(config) if is_page else f"Check that client and server speak the same version.{acted}"
    )
    return NucleusAnswerError(
        _sentence(
            f"Could not {call.name}: {call.method} {where} answered {status}, but {problem}",
            server_text,
            config,
        ),
        status=status,
        method=call.method,
        url=where,
        body=text[:_BODY_LIMIT],
        conn_id=config.conn_id,
        attempts=attempts,
        hint=hint,
    )


def refused_error(
    call: Call[Any], config: NucleusConfig, *, url: str, status: int, text: str, attempts: int
) -> NucleusRequestError:
    """Return the error for a 2xx answer that says the request was refused."""
    server_text = _shortened(config.redact(text))
    return NucleusRequestError(
        _sentence(f"Could not {call.name}", server_text, config),
        status=status,
        method=call.method,
        url=url,
        body=server_text,
        conn_id=config.conn_id,
        attempts=attempts,
        hint=_HINTS[400],
    )


def connection_error(
    call: Call[Any], config: NucleusConfig, *, url: str, cause: Exception, outcome: NoAnswer, attempts: int
) -> NucleusConnectionError:
    """Return the error for a request without an answer."""
    where = redacted_url(url, signed=call.signed_url is not None)
    tried = f" in {attempts} attempts" if attempts > 1 else ""
    if outcome is NoAnswer.HOPELESS:
        hint = "Check the certificate, verify_tls and the proxy settings of this machine."
    elif outcome is NoAnswer.NOT_SENT:
        unsent = "" if call.method == "GET" else "Nothing was sent. "
        hint = f"{unsent}Check the endpoint, and that this machine can reach it."
    elif call.repeatable:
        hint = "Try again later."
    else:
        hint = "Whether the server acted on it is unknown: look before repeating it."
    return NucleusConnectionError(
        _sentence(
            f"Could not {call.name}: no answer from {call.method} {where}{tried} "
            f"({_cause(config, cause, signed=call.signed_url is not None)})",
            "",
            config,
        ),
        url=where,
        method=call.method,
        attempts=attempts,
        conn_id=config.conn_id,
        hint=hint,
    )


def _cause(config: NucleusConfig, cause: Exception, *, signed: bool) -> str:
    """Name the innermost reason; libraries put whole URLs into their messages, signatures included."""
    inner: BaseException = cause
    while inner.__cause__ is not None or (inner.__context__ is not None and not inner.__suppress_context__):
        inner = inner.__cause__ or inner.__context__ or inner
    text = str(inner) or str(cause)
    if signed:
        text = re.sub(r"\?[^\s'\")]+", "?...", text)
    return _shortened(config.redact(f"{type(inner).__name__}: {text}" if text else type(inner).__name__))


def _sentence(what: str, server_text: str, config: NucleusConfig) -> str:
    """Return what happened with what the server says of it, through which connection, and one full stop."""
    # What was shortened keeps its dots.
    server_text = server_text if server_text.endswith("...") else server_text.rstrip(". ")
    text = f"{what}: {server_text}" if server_text else what
    if config.conn_id:
        return f"{text} (connection {config.conn_id!r})."
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _endpoint_hint(config: NucleusConfig) -> str:
    return (
        f"The endpoint {config.endpoint} does not look like a Nucleus API: it answers with a web page. "
        f"It should end like {CLOUD_ENDPOINT}."
    )


def _error_text(text: str) -> tuple[str, bool]:
    """Return what the server says, short and without markup, and whether it is a web page."""
    stripped = text.strip()
    if re.match(r"(?i)(<!--.*?-->\s*)?<(!doctype html|html|head|body)", stripped, re.DOTALL):
        title = re.search(r"(?is)<title[^>]*>(.*?)</title>", stripped)
        plain = title.group(1) if title else re.sub(r"(?s)<[^>]+>", " ", stripped)
        return _shortened(f"a web page: {html.unescape(plain)}"), True
    try:
        members = json.loads(stripped)
    except ValueError:
        return _shortened(stripped), False
    if isinstance(members, dict):
        for key in ("error", "message", "detail"):
            if members.get(key):
                return _shortened(str(members[key])), False
    return _shortened(stripped), False


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT_LIMIT else f"{flat[: _TEXT_LIMIT - 3]}..."
