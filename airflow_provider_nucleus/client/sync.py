"""The transport of tasks: requests, with pooled connections."""

from __future__ import annotations

import random
import time
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self, TypeVar

import requests
import requests.adapters
import urllib3.exceptions

from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.client.answer_body import AnswerBody
from airflow_provider_nucleus.client.certificates import Authorities
from airflow_provider_nucleus.client.exchange import (
    SLOWEST_RATE,
    Failure,
    Pause,
    Reply,
    Request,
    Response,
    exchange,
)
from airflow_provider_nucleus.client.paging import Page, follow_pages
from airflow_provider_nucleus.client.proxies import Proxies
from airflow_provider_nucleus.client.request_deadline import RequestDeadline, observe_connections
from airflow_provider_nucleus.client.retry import NoAnswer, RetryPolicy, tls_outcome
from airflow_provider_nucleus.exceptions import NucleusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.config import NucleusConfig
    from airflow_provider_nucleus.client.content import Content

__all__ = ["NucleusClient"]

T = TypeVar("T")

_READ = 1 << 16

_GRACE = 1.0
"""Seconds that the time-outs of sockets have, which know better what is missing, before the deadline ends a request."""


class NucleusClient:
    """Sends calls to one Nucleus over pooled connections; safe to share between threads.

    `sleep`, `clock` (seconds of the wall clock) and `rng` are replaceable for tests.
    """

    def __init__(
        self,
        config: NucleusConfig,
        *,
        retry: RetryPolicy | None = None,
        pool_size: int = 16,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self.config = config
        self.sleep = sleep
        self.clock = clock
        self._retry = retry or RetryPolicy()
        self._rng = rng or random.Random()  # ruff: ignore[suspicious-non-cryptographic-random-usage] - jitter
        self._answered = False
        self._proxies = Proxies()
        self._session = _Session()
        # Proxies and certificates are those that both transports find, and .netrc is nobody's business.
        self._session.trust_env = False
        adapter = _Adapter(Authorities.of(config), pool_size=pool_size)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def send(self, call: Call[T], *, retry: RetryPolicy | None = None) -> T:
        """Send a call and return its result.

        Raises NucleusConnectionError or a NucleusAPIError once retrying is over.
        """
        steps = exchange(
            call,
            self.config,
            retry or self._retry,
            rng=self._rng,
            clock=self.clock,
            answered=self._answered,
        )
        reply: Reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as finished:
                self._answered |= call.reads_body
                return finished.value  # type: ignore[no-any-return]
            if isinstance(step, Pause):
                self.sleep(step.seconds)
                reply = None
            else:
                reply = self._perform(step)

    def pages(self, first: Call[Page[T]]) -> Iterator[T]:
        """Yield the members of the first page and of all that follow it, fetching each page when it is needed."""
        steps = follow_pages(first)
        page: Page[T] | None = None
        while True:
            try:
                call = steps.send(page)
            except StopIteration:
                return
            page = self.send(call)
            yield from page.members

    def _perform(self, request: Request) -> Response | Failure:
        proxy = self._proxies.proxy_for(Address.parse(request.url))
        with RequestDeadline(request.timeout + _GRACE, rate=SLOWEST_RATE) as deadline:
            try:
                answer = self._session.request(
                    request.method,
                    request.url,
                    headers=dict(request.headers),
                    data=_Body(request.content, deadline)
                    if request.content is not None and request.content.size
                    else None,
                    timeout=request.timeout,
                    verify=self.config.verify_tls,
                    proxies={} if proxy is None else {"http": proxy, "https": proxy},
                    allow_redirects=False,
                    stream=True,
                    auth=_leave_alone,
                )
                with answer:
                    response = _read(answer, request.answer_limit, deadline)
            except NucleusError:
                raise
            except Exception as error:  # ruff: ignore[blind-except] - bytes of others end in any error of three libraries
                outcome = _outcome(error)
                if deadline.expired and outcome is not NoAnswer.NOT_SENT:
                    return Failure(NoAnswer.LOST, deadline.error())
                return Failure(outcome, error)
            # An answer without a length ends with its connection, also where it is we who ended that.
            return Failure(NoAnswer.LOST, deadline.error()) if deadline.expired else response

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Session(requests.Session):
    """A session that never looks where a redirect leads: it would, to offer the next request, and fail over odd targets."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # ruff: ignore[unused-method-argument]
        """Return None: where to go next is decided in the exchange."""
        return None


class _Adapter(requests.adapters.HTTPAdapter):
    """Pooled connections with our certificate authorities, which know their deadline."""

    def __init__(self, authorities: Authorities, *, pool_size: int) -> None:
        self._authorities = authorities
        # Retrying is decided in one place, and it is not here.
        super().__init__(pool_connections=4, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        observe_connections(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if proxy.startswith("https:"):
            options["proxy_ssl_context"] = self._authorities.context()
        manager = super().proxy_manager_for(proxy, **options)
        observe_connections(manager)
        return manager

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._authorities.context()} if host["scheme"] == "https" else {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # ruff: ignore[unused-method-argument] - requests'
        """Leave out the library's own authorities: they would be trusted besides ours."""
        if url.lower().startswith("https"):
            conn.cert_reqs = "CERT_REQUIRED" if verify else "CERT_NONE"


def _leave_alone(request: Any) -> Any:
    """Stand in for an authentication, so that requests does not take one for the host from .netrc."""
    return request


def _read(answer: requests.Response, limit: int, deadline: RequestDeadline) -> Response:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    body = AnswerBody(
        headers.get("content-encoding"), limit=limit, is_error=not 200 <= answer.status_code < 300
    )
    for data in answer.raw.stream(_READ, decode_content=False):
        deadline.moved += len(data)
        if not body.feed(data):
            break
    content = body.content()
    return Response(answer.status_code, headers, content, body.problem)


def _outcome(error: Exception) -> NoAnswer:
    tls = tls_outcome(error)
    if tls is not None:
        return tls
    if isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError)):
        return NoAnswer.NOT_SENT
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return NoAnswer.HOPELESS
    if isinstance(error, requests.exceptions.ConnectionError) and error.args:
        reason = getattr(error.args[0], "reason", error.args[0])
        if isinstance(reason, urllib3.exceptions.NewConnectionError):
            return NoAnswer.NOT_SENT
    return NoAnswer.LOST


class _Body:
    """A body of known length as the file-like object that http.client sends with Content-Length."""

    def __init__(self, content: Content, deadline: RequestDeadline) -> None:
        self._size = content.size
        self._chunks = content.chunks()
        self._deadline = deadline
        self._rest = memoryview(b"")

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, empty at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        if size is None or size < 0:
            taken, self._rest = b"".join((self._rest, *self._chunks)), memoryview(b"")
        else:
            # A slice of bytes would copy all that is left, for every few kilobytes.
            taken, self._rest = bytes(self._rest[:size]), self._rest[size:]
        self._deadline.moved += len(taken)
        return taken
