"""The transport of triggers: httpx, in the event loop."""

from __future__ import annotations

import asyncio
import functools
import random
import ssl
import time
from typing import TYPE_CHECKING, Self, TypeVar

import httpx

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
    from collections.abc import AsyncIterator, Awaitable, Callable

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.config import NucleusConfig
    from airflow_provider_nucleus.client.content import Content

__all__ = ["AsyncNucleusClient"]

T = TypeVar("T")

_LOCATION = "nucleus_location"


class AsyncNucleusClient:
    """The asynchronous twin of `NucleusClient`; use it as `async with`, one per event loop."""

    def __init__(
        self,
        config: NucleusConfig,
        *,
        retry: RetryPolicy | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self.config = config
        self.sleep = sleep
        self.clock = clock
        self._retry = retry or RetryPolicy()
        self._rng = rng or random.Random()  # ruff: ignore[suspicious-non-cryptographic-random-usage] - jitter
        self._http: httpx.AsyncClient | None = None

    async def send(self, call: Call[T], *, retry: RetryPolicy | None = None) -> T:
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
                await self.sleep(step.seconds)
                reply = None
            else:
                reply = await self._perform(step)

    async def pages(self, first: Call[Page[T]]) -> AsyncIterator[T]:
        """Yield the members of the first page and of all that follow it, fetching each page when it is needed."""
        steps = follow_pages(first)
        page: Page[T] | None = None
        while True:
            try:
                call = steps.send(page)
            except StopIteration:
                return
            page = await self.send(call)
            for member in page.members:
                yield member

    async def _perform(self, request: Request) -> Response | Failure:
        http = await self._opened()
        headers = dict(request.headers)
        if request.content is not None:
            headers["Content-Length"] = str(request.content.size)
        try:
            async with http.stream(
                request.method,
                request.url,
                headers=headers,
                content=None if request.content is None else _chunks(request.content),
                timeout=request.timeout,
            ) as answer:
                found = {name.lower(): value for name, value in answer.headers.items()}
                found |= answer.extensions.get(_LOCATION, {})
                body = await answer.aread() if answer.status_code < 300 else await _start_of(answer)
                return Response(answer.status_code, found, body)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            return Failure(_outcome(error), error)

    async def _opened(self) -> httpx.AsyncClient:
        if self._http is None:
            # Reading certificates blocks; the loop is shared with every other trigger.
            verify = await asyncio.to_thread(_tls, self.config.verify_tls)
            self._http = httpx.AsyncClient(
                verify=verify, follow_redirects=False, event_hooks={"response": [_hide_location]}
            )
        return self._http

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def __aenter__(self) -> Self:
        await self._opened()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _hide_location(answer: httpx.Response) -> None:  # ruff: ignore[unused-async] - httpx awaits it
    """Keep the target of a redirect from httpx: it would read it, to offer the next request, and fail over odd ones."""
    if "location" in answer.headers:
        answer.extensions[_LOCATION] = {"location": answer.headers.pop("location")}


@functools.lru_cache(maxsize=8)
def _tls(verify: bool | str) -> ssl.SSLContext:
    """Read the certificates of a configuration, once per process."""
    if isinstance(verify, str):
        return ssl.create_default_context(cafile=verify)
    return httpx.create_ssl_context(verify=verify)


async def _chunks(content: Content) -> AsyncIterator[bytes]:
    chunks = content.chunks()
    while True:
        # Chunks may come from disk.
        chunk = await asyncio.to_thread(next, chunks, None)
        if chunk is None:
            return
        yield chunk


async def _start_of(answer: httpx.Response) -> bytes:
    found = b""
    async for chunk in answer.aiter_bytes():
        found += chunk
        if len(found) >= ERROR_BODY_LIMIT:
            break
    return found[:ERROR_BODY_LIMIT]


def _outcome(error: Exception) -> NoAnswer:
    tls = tls_outcome(error)
    if tls is not None:
        return tls
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)):
        return NoAnswer.NOT_SENT
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return NoAnswer.HOPELESS
    return NoAnswer.LOST
