"""The protocol, written once: a generator that asks for requests and pauses and returns the result of a call.

Transports drive it: they perform each `Request`, sleep each `Pause`, and send back a `Response` or a `Failure`. Credentials,
redirects, retries, parsing and errors are decided here, so that both transports behave alike.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from airflow_provider_nucleus import __version__
from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.client.answer_body import ACCEPTED_ENCODINGS
from airflow_provider_nucleus.client.call import Call, Refused
from airflow_provider_nucleus.client.content import BytesContent, Content, json_bytes
from airflow_provider_nucleus.client.error_mapping import (
    answer_error,
    api_error,
    connection_error,
    is_foreign,
    is_web_page,
    redacted_url,
    refused_error,
)
from airflow_provider_nucleus.client.retry import NoAnswer, RetryPolicy, retry_delay
from airflow_provider_nucleus.exceptions import NucleusAPIError, NucleusError, NucleusValidationError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Generator, Mapping

    from airflow_provider_nucleus.client.config import NucleusConfig

__all__ = ["SLOWEST_RATE", "Failure", "Pause", "Reply", "Request", "Response", "exchange"]

T = TypeVar("T")

log = logging.getLogger(__name__)

SLOWEST_RATE = 16_384
"""Bytes a second, in both directions together, that lengthen the time which a request may take."""

_LOG_AGAIN = 20.0
"""Seconds of failures after which the log says that they go on."""

_MAX_REDIRECTS = 5

_SHORTEST_HOP = 1.0
"""Seconds that a redirect is given at least, however long those before it took."""

_UPLOAD_TIMEOUT = 600.0
"""Seconds to wait for a store to acknowledge a large file."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to perform; redirects must not be followed by the transport, nor headers be added.

    `timeout` is in seconds, for connecting, for each wait for bytes, and for the whole request beyond the bytes that move at
    `SLOWEST_RATE`. A body of more than `answer_limit` decoded bytes is not read.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    content: Content | None
    timeout: float
    answer_limit: int


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer; header names are lower-case. `problem` says why the body of a success cannot be used."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without an answer."""

    outcome: NoAnswer
    cause: Exception


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds to sleep."""

    seconds: float


Step: TypeAlias = Request | Pause
Reply: TypeAlias = Response | Failure | None


def exchange(
    call: Call[T],
    config: NucleusConfig,
    policy: RetryPolicy,
    *,
    rng: random.Random,
    clock: Callable[[], float],
    answered: bool = False,
) -> Generator[Step, Reply, T]:
    """Carry a call through; `clock` counts seconds and only its differences matter.

    `answered` says that a Nucleus has answered at this endpoint before: then an answer that is not a Nucleus' is an outage, which
    a policy may ride out, and else a wrong endpoint. Returns what the call's `parse` makes of the answer. Raises
    NucleusConnectionError or a NucleusAPIError.
    """
    started = logged = clock()
    attempt = 0
    while True:
        attempt += 1
        url, reply = yield from _follow(call, config, clock)
        outcome: int | NoAnswer
        error: NucleusError
        if isinstance(reply, Failure):
            outcome = reply.outcome
            error = connection_error(
                call, config, url=url, cause=reply.cause, outcome=reply.outcome, attempts=attempt
            )
        elif 200 <= reply.status < 300:
            try:
                result = _read(call, config, url, reply, attempt)
            except NucleusAPIError as unusable:
                outcome, error = reply.status, unusable
            else:
                if attempt > 1:
                    log.info("Could %s after %d attempts", call.name, attempt)
                return result  # ruff: ignore[return-in-generator]
        else:
            outcome = reply.status
            error = api_error(
                call,
                config,
                url=url,
                status=reply.status,
                headers=reply.headers,
                body=reply.body,
                attempts=attempt,
            )
        delay = retry_delay(
            attempt,
            outcome,
            reply.headers if isinstance(reply, Response) else {},
            policy,
            rng,
            repeatable=call.repeatable,
            elapsed=clock() - started,
            foreign=answered and is_foreign(error),
        )
        if delay is None:
            raise error
        # The first failure is news and its repetitions are not, but neither is there silence while they go on.
        quiet = attempt > 1 and clock() - logged < _LOG_AGAIN
        level = logging.DEBUG if quiet else logging.WARNING
        logged = logged if quiet else clock()
        limit = "" if policy.attempts is None else f" of {policy.attempts}"
        log.log(level, "%s Trying again in %.1f s (attempt %d%s)", error, delay, attempt + 1, limit)
        yield Pause(delay)


def _follow(
    call: Call[Any], config: NucleusConfig, clock: Callable[[], float]
) -> Generator[Step, Reply, tuple[str, Response | Failure]]:
    """Perform the request and the redirects that are safe, in the time of one; return the last address and its reply."""
    begun = clock()
    if call.signed_url is not None:
        address = Address.parse(call.signed_url, "signed_url")
    else:
        address = Address.parse(config.url(call.target), "path")
    hops = 0
    while True:
        reply = yield _request(call, config, address, spent=clock() - begun if hops else 0.0)
        assert isinstance(reply, Response | Failure)
        if isinstance(reply, Failure) or reply.status not in {301, 302, 303, 307, 308}:
            return str(address), reply
        target = _redirected(call, reply, address)
        if hops == _MAX_REDIRECTS or target is None:
            return str(address), reply  # ruff: ignore[return-in-generator]
        hops += 1
        log.debug("%s redirects to %s", call.name, redacted_url(str(target), signed=True))
        address = target


def _redirected(call: Call[Any], reply: Response, source: Address) -> Address | None:
    """Return where to follow, if neither credentials nor the method can change hands there.

    Ours go to our own origin, or from http to https of the same host, each on its own port. A signed address carries no
    credentials of ours, so the store may pass it on, but not from https to http.
    """
    if call.method != "GET" and reply.status not in {307, 308}:
        return None
    try:
        target = source.resolve(reply.headers.get("location", ""))
    except NucleusValidationError:
        return None
    if call.signed_url is not None:
        return None if (source.scheme, target.scheme) == ("https", "http") else target
    own = {source.origin} if source.secured is None else {source.origin, source.secured.origin}
    return target if target.origin in own else None


def _request(call: Call[Any], config: NucleusConfig, address: Address, *, spent: float) -> Request:
    url = str(address)
    headers = {
        "User-Agent": f"airflow-provider-nucleus/{__version__}",
        "Accept": "application/json",
        "Accept-Encoding": ACCEPTED_ENCODINGS,
    }
    content = call.content
    if content is None and call.body is not None:
        content = BytesContent(json_bytes(call.body))
        headers["Content-Type"] = "application/json"
    elif call.content_type is not None:
        headers["Content-Type"] = call.content_type
    if call.signed_url is not None:
        headers["Accept"] = "*/*"
        timeout = max(config.timeout, _UPLOAD_TIMEOUT)
    else:
        headers |= config.auth_headers() | config.task_headers()
        timeout = config.timeout
    left = min(timeout, max(timeout - spent, _SHORTEST_HOP))
    return Request(call.method, url, headers, content, left, call.answer_limit)


def _read(call: Call[T], config: NucleusConfig, url: str, reply: Response, attempts: int) -> T:
    def unusable(problem: str) -> Exception:
        return answer_error(
            call, config, url=url, status=reply.status, body=reply.body, problem=problem, attempts=attempts
        )

    if not call.reads_body:
        if call.signed_url is None and is_web_page(reply.body):
            raise unusable("with a web page")
        return call.parse(None)
    if reply.problem is not None:
        raise unusable(reply.problem)
    try:
        decoded = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise unusable("not in JSON" if reply.body.strip() else "without a body") from None
    try:
        return call.parse(decoded)
    except Refused as refused:
        raise refused_error(
            call, config, url=url, status=reply.status, text=str(refused), attempts=attempts
        ) from None
    except NucleusValidationError as error:
        raise unusable(f"not with what was expected ({error})") from None
    except Exception as error:
        raise unusable(f"not with what was expected ({type(error).__name__}: {error})") from error
