"""From what a server answered to the error that says so, with the next action."""

from __future__ import annotations

import html
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.client.answer_body import ERROR_BODY_LIMIT
from airflow_provider_nucleus.client.certificates import Authorities
from airflow_provider_nucleus.client.retry import (
    NoAnswer,
    is_certificate_error,
    is_plain_answer,
    retry_after_seconds,
)
from airflow_provider_nucleus.cloud import CLOUD_ENDPOINT
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusAPIError,
    NucleusAuthError,
    NucleusCertificateError,
    NucleusConnectionError,
    NucleusError,
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

__all__ = [
    "answer_error",
    "api_error",
    "connection_error",
    "is_foreign",
    "is_web_page",
    "redacted_url",
    "refused_error",
]

_TEXT_LIMIT = 600
_BODY_LIMIT = 4000
_URL_LIMIT = 1000
_PAGE_LIMIT = 16_384
"""Characters of a web page that are searched for its title."""

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

_OWN_REFUSALS = frozenset({413, 414, 431})
"""Statuses that say something of the request whoever answers it."""

_LATER = frozenset({408, 425})
"""Statuses below 500 that mean nothing but "again, later"."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_LONGEST_CHAIN = 30
"""Causes of causes that are looked at."""

_TEXT_KEYS = ("error", "message", "detail")
_PAGE_START = re.compile(r"(?i)<(!--|!doctype html|html|head|body|title|meta)")

_ADVICE = re.compile(r"[.!?]\s+[A-Z`]")
"""A second sentence: the first says what is wrong, and more is about what it means or what to do."""

_FAULT = "The fault is the server's; try again later."


def redacted_url(url: str, *, signed: bool) -> str:
    """Return a URL fit for messages: a signed one loses its query, because the signature is in there, a long one its end."""
    plain, mark, _ = url.partition("?")
    text = f"{plain}?..." if signed and mark else url
    return text if len(text) <= _URL_LIMIT else f"{text[:_URL_LIMIT]}..."


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
    text = _body_text(config, body)
    server_text, is_page = _error_text(text)
    where = redacted_url(url, signed=call.signed_url is not None)
    after = f" after {attempts} attempts" if attempts > 1 else ""
    message = f"Could not {call.name}: {call.method} {where} answered {status}{_phrase(status)}{after}"
    kind, hint = _classify(
        status,
        headers,
        url=url,
        text=text,
        is_page=is_page,
        config=config,
        signed=call.signed_url is not None,
    )
    if kind is NucleusAnswerError and not server_text:
        server_text = "without a body"
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
    status: int,
    headers: Mapping[str, str],
    *,
    url: str,
    text: str,
    is_page: bool,
    config: NucleusConfig,
    signed: bool,
) -> tuple[type[NucleusAPIError], str | None]:
    """Return the error for a status and what to do; a refusal counts as the server's own only if its body is a Nucleus'."""
    if signed:
        if 300 <= status < 400:
            return NucleusRequestError, _redirect_hint(url, headers, signed=signed)
        if status >= 500 or status in _LATER:
            return NucleusServerError, _HINTS.get(status, _FAULT)
        return NucleusRequestError, "The signed upload address may have expired; ask for a new one."
    if 300 <= status < 400 and headers.get("location"):
        return (
            NucleusAnswerError,
            f"{_redirect_hint(url, headers, signed=signed)} {_foreign_hint(config, url)}",
        )
    if status == 429:
        return NucleusRateLimitError, _HINTS[429]
    if 500 <= status < 600 or status in _LATER:
        return NucleusServerError, _HINTS.get(status, _FAULT)
    if status in {401, 403} and not is_page:
        return NucleusAuthError, _HINTS[status]
    if status in _OWN_REFUSALS:
        return NucleusRequestError, _HINTS.get(status, _HINTS[400])
    if status == 404 and _has_nucleus_shape(text, status):
        return NucleusNotFoundError, _HINTS[404]
    if status != 404 and 400 <= status < 500 and _is_json_error(text):
        return NucleusRequestError, _HINTS.get(status, _HINTS[400])
    return NucleusAnswerError, _foreign_hint(config, url)


def is_foreign(error: NucleusError) -> bool:
    """Return whether an error says that somebody else than a Nucleus answered, or nothing that can be read as a Nucleus' answer."""
    return isinstance(error, NucleusAnswerError)


def is_web_page(body: bytes) -> bool:
    """Return whether a body is that of a web page, for people to read."""
    return (
        _PAGE_START.match(body[:_PAGE_LIMIT].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")) is not None
    )


def _has_nucleus_shape(text: str, status: int) -> bool:
    """Return whether a text is an error as a Nucleus writes it: an object of `error`, with `status_code` perhaps, and nothing else.

    Gateways write `{"message": ...}`, `{"detail": ...}`, `{"timestamp": ..., "error": "Not Found", "path": ...}`, or plain text.
    """
    members = _members(text)
    error = members.get("error")
    return (
        isinstance(error, str)
        and bool(error.strip())
        and members.keys() <= {"error", "status_code"}
        and members.get("status_code", status) == status
    )


def _is_json_error(text: str) -> bool:
    """Return whether a text is an error of some API, Nucleus' in another form among them."""
    return any(_members(text).get(key) for key in _TEXT_KEYS)


def _members(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


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
    text = _body_text(config, body)
    server_text, is_page = _error_text(text)
    where = redacted_url(url, signed=call.signed_url is not None)
    acted = "" if call.method == "GET" else " The request may have taken effect."
    hint = (
        f"{_foreign_hint(config, url)}{acted}"
        if is_page or not server_text
        else f"Check that client and server speak the same version, and that no proxy answers in between.{acted}"
    )
    problem = _shortened(config.redact(problem))
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
    kind = NucleusConnectionError
    if is_certificate_error(cause):
        kind = NucleusCertificateError
        hint = (
            f"It was checked against the authorities of {Authorities.of(config).description}. Set ca_bundle of the connection, or "
            "REQUESTS_CA_BUNDLE or SSL_CERT_FILE of workers and triggerers, to the PEM file of the authority that issued it."
        )
    elif is_plain_answer(cause):
        hint = (
            f"The server at {where.partition('://')[2].partition('/')[0]} does not speak TLS: if it is a plain http server, write "
            "http:// in the endpoint; if a proxy is in between, check HTTPS_PROXY and NO_PROXY."
        )
    elif outcome is NoAnswer.HOPELESS:
        hint = "Check whether the endpoint begins with http:// or https:// rightly, and the proxy settings of this machine."
    elif outcome is NoAnswer.NOT_SENT:
        unsent = "" if call.method == "GET" else "Nothing was sent. "
        hint = f"{unsent}Check the endpoint, and that this machine can reach it."
    elif call.repeatable:
        hint = "Try again later."
    else:
        hint = "Whether the server acted on it is unknown: look before repeating it."
    return kind(
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
    for _ in range(_LONGEST_CHAIN):
        if inner.__cause__ is None and (inner.__context__ is None or inner.__suppress_context__):
            break
        inner = inner.__cause__ or inner.__context__ or inner
    text = (str(inner) or str(cause))[:_BODY_LIMIT]
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


def _foreign_hint(config: NucleusConfig, url: str) -> str:
    """Say that this was no answer of a Nucleus, and what to look at."""
    address = redacted_url(url, signed=True)
    at = "" if address.startswith(config.endpoint) else f" (it came from {address})"
    return (
        f"This does not look like a Nucleus API{at}: a proxy, a gateway or a login page may have answered in its place, or the endpoint "
        f"{config.endpoint} is not that of a Nucleus API, which ends like {CLOUD_ENDPOINT}. It says nothing about the object."
    )


def _body_text(config: NucleusConfig, body: bytes) -> str:
    """Return the beginning of a body as text that can be logged and stored, without our keys."""
    return config.redact(body[:ERROR_BODY_LIMIT].decode("utf-8", "replace").replace("\x00", "\ufffd"))


def _error_text(text: str) -> tuple[str, bool]:
    """Return what the server says, short and without markup, and whether it is a web page."""
    stripped = text.strip().lstrip("\ufeff")
    if _PAGE_START.match(stripped):
        return _shortened(f"a web page: {html.unescape(_page_title(stripped[:_PAGE_LIMIT]))}"), True
    members = _members(stripped)
    for key in _TEXT_KEYS:
        if members.get(key):
            return _shortened(str(members[key])), False
    return _shortened(stripped), False


def _page_title(page: str) -> str:
    """Return the title of a page, or its text without markup."""
    lower = page.lower()
    if (
        len(lower) == len(page)
        and (start := lower.find("<title")) >= 0
        and (begin := lower.find(">", start)) >= 0
    ):
        end = lower.find("</title", begin)
        return page[begin + 1 : end if end >= 0 else begin + 1 + _TEXT_LIMIT]
    return " ".join(part.rpartition(">")[2] for part in page.split("<"))


def _shortened(text: str) -> str:
    flat = _UNPRINTABLE.sub("\ufffd", " ".join(text[: 4 * ERROR_BODY_LIMIT].split()))
    return flat if len(flat) <= _TEXT_LIMIT else f"{flat[: _TEXT_LIMIT - 3]}..."
