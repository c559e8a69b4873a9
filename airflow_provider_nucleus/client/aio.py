"""The transport of triggers: httpx, in the event loop."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Self, TypeVar

import httpx

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
from airflow_provider_nucleus.client.retry import NoAnswer, RetryPolicy, tls_outcome
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.config import NucleusConfig
    from airflow_provider_nucleus.client.content import Content

__all__ = ["AsyncNucleusClient"]

T = TypeVar("T")

_LOCATION = "nucleus_location"

_GRACE = 1.0
"""Seconds that the time-outs of sockets have, which know better what is missing, before the deadline ends a request."""


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
        self._answered = False
        self._proxies = Proxies()
        self._clients: dict[tuple[str, str | None], httpx.AsyncClient] = {}

    async def send(self, call: Call[T], *, retry: RetryPolicy | None = None) -> T:
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
        http = await self._client_for(Address.parse(request.url))
        headers = dict(request.headers)
        if request.content is not None:
            headers["Content-Length"] = str(request.content.size)
        deadline = asyncio.timeout(request.timeout + _GRACE)
        try:
            async with deadline:
                moved = _Moved(deadline)
                async with http.stream(
                    request.method,
                    request.url,
                    headers=headers,
                    content=None if request.content is None else _chunks(request.content, moved),
                    timeout=request.timeout,
                ) as answer:
                    return await _read(answer, request.answer_limit, moved)
        except NucleusError:
            raise
        except Exception as error:  # ruff: ignore[blind-except] - bytes of others end in any error of four libraries
            if deadline.expired():
                late = TimeoutError(f"no complete answer within {request.timeout + _GRACE:.1f} s")
                return Failure(NoAnswer.LOST, late)
            return Failure(_outcome(error), error)

    async def _client_for(self, address: Address) -> httpx.AsyncClient:
        """Return the client for the requests of a scheme, through the proxy that the environment names if any."""
        key = address.scheme, self._proxies.proxy_for(address)
        if key not in self._clients:
            # Reading certificates blocks; the loop is shared with every other trigger.
            made = await asyncio.to_thread(_new_client, Authorities.of(self.config), *key)
            if self._clients.setdefault(key, made) is not made:
                await made.aclose()
        return self._clients[key]

    async def _opened(self) -> None:
        await self._client_for(Address.parse(self.config.endpoint))

    async def close(self) -> None:
        """Close the connections."""
        while self._clients:
            _, http = self._clients.popitem()
            await http.aclose()

    async def __aenter__(self) -> Self:
        await self._opened()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _hide_location(answer: httpx.Response) -> None:  # ruff: ignore[unused-async] - httpx awaits it
    """Keep the target of a redirect from httpx: it would read it, to offer the next request, and fail over odd ones."""
    if "location" in answer.headers:
        answer.extensions[_LOCATION] = {"location": answer.headers.pop("location")}


def _new_client(authorities: Authorities, scheme: str, proxy: str | None) -> httpx.AsyncClient:
    through_tls = proxy is not None and proxy.startswith("https:")
    context = authorities.context() if scheme == "https" or through_tls else None
    try:
        return httpx.AsyncClient(
            verify=False if context is None else context,
            proxy=None if proxy is None else httpx.Proxy(proxy, ssl_context=context if through_tls else None),
            trust_env=False,
            follow_redirects=False,
            event_hooks={"response": [_hide_location]},
        )
    except (ImportError, ValueError) as error:
        raise NucleusConfigError(
            f"The proxy in the environment cannot be used: {type(error).__name__}.",
            field="proxy",
            hint="Use an http proxy, or name the host in NO_PROXY.",
        ) from error


class _Moved:
    """Lengthens a deadline by the bytes that move."""

    def __init__(self, deadline: asyncio.Timeout) -> None:
        self._deadline = deadline
        self._ends = deadline.when() or 0.0

    def add(self, size: int) -> None:
        self._ends += size / SLOWEST_RATE
        if not self._deadline.expired():
            self._deadline.reschedule(self._ends)


async def _chunks(content: Content, moved: _Moved) -> AsyncIterator[bytes]:
    chunks = content.chunks()
    while True:
        # Chunks may come from disk.
        chunk = await asyncio.to_thread(next, chunks, None)
        if chunk is None:
            return
        moved.add(len(chunk))
        yield chunk


async def _read(answer: httpx.Response, limit: int, moved: _Moved) -> Response:
    found = {name.lower(): value for name, value in answer.headers.items()}
    found |= answer.extensions.get(_LOCATION, {})
    body = AnswerBody(
        found.get("content-encoding"), limit=limit, is_error=not 200 <= answer.status_code < 300
    )
    async for data in answer.aiter_raw():
        moved.add(len(data))
        if not body.feed(data):
            break
        # Where bytes come faster than they are read, nothing else would have its turn.
        await asyncio.sleep(0)
    content = body.content()
    return Response(answer.status_code, found, content, body.problem)


def _outcome(error: Exception) -> NoAnswer:
    tls = tls_outcome(error)
    if tls is not None:
        return tls
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)):
        return NoAnswer.NOT_SENT
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return NoAnswer.HOPELESS
    return NoAnswer.LOST
