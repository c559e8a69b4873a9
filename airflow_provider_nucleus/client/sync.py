"""The transport of tasks: requests, with pooled connections."""

from __future__ import annotations

import random
import time
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self, TypeVar

import requests
import requests.adapters
import urllib3.exceptions

from airflow_provider_nucleus.client.exchange import (
    ERROR_BODY_LIMIT,
    Failure,
    Pause,
    Reply,
    Request,
    Response,
    exchange,
)
from airflow_provider_nucleus.client.paging import Page, follow_pages
from airflow_provider_nucleus.client.retry import NoAnswer, RetryPolicy, tls_outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.config import NucleusConfig
    from airflow_provider_nucleus.client.content import Content

__all__ = ["NucleusClient"]

T = TypeVar("T")


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
        self._session = _Session()
        # Retrying is decided in one place, and it is not here.
        adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=pool_size, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def send(self, call: Call[T], *, retry: RetryPolicy | None = None) -> T:
        """Send a call and return its result.

        Raises NucleusConnectionError or a NucleusAPIError once retrying is over.
        """
        steps = exchange(call, self.config, retry or self._retry, rng=self._rng, clock=self.clock)
        reply: Reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as finished:
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
        try:
            with self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=_Body(request.content) if request.content is not None and request.content.size else None,
                timeout=request.timeout,
                verify=self.config.verify_tls,
                allow_redirects=False,
                stream=True,
                auth=_leave_alone,
            ) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                body = answer.content if answer.status_code < 300 else _start_of(answer)
                return Response(answer.status_code, headers, body)
        except requests.RequestException as error:
            return Failure(_outcome(error), error)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return Failure(NoAnswer.LOST, error)

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


def _leave_alone(request: Any) -> Any:
    """Stand in for an authentication, so that requests does not take one for the host from .netrc."""
    return request


def _start_of(answer: requests.Response) -> bytes:
    found = b""
    for chunk in answer.iter_content(8192):
        found += chunk
        if len(found) >= ERROR_BODY_LIMIT:
            break
    return found[:ERROR_BODY_LIMIT]


def _outcome(error: requests.RequestException) -> NoAnswer:
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

    def __init__(self, content: Content) -> None:
        self._size = content.size
        self._chunks = content.chunks()
        self._rest = b""

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
            self._rest = chunk
        if size is None or size < 0:
            everything, self._rest = self._rest + b"".join(self._chunks), b""
            return everything
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken
