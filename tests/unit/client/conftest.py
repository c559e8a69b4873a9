"""Servers to talk to, and both transports behind one face."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.client import AsyncNucleusClient, NucleusClient, NucleusConfig, cancellation
from airflow_provider_nucleus.client import jobs as waiting
from tests.unit.client.scripted import ScriptedServer
from tests.virtual_time import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "live_0123456789abcdef"


class Transport:
    """One of the two transports, called alike; each call of an asynchronous one has its own event loop."""

    def __init__(self, kind: str, config: NucleusConfig, **options: Any) -> None:
        self.kind = kind
        self.clock = Clock()
        self._config = config
        self._options = {"rng": random.Random(1), "clock": self.clock} | options
        self._sync: NucleusClient | None = None
        if kind == "requests":
            self._sync = NucleusClient(config, sleep=self.clock.sleep, **self._options)

    def send(self, call: Any, **options: Any) -> Any:
        if self._sync is not None:
            return self._sync.send(call, **options)
        return self._in_loop(lambda client: client.send(call, **options))

    def pages(self, first: Any) -> list[Any]:
        if self._sync is not None:
            return list(self._sync.pages(first))

        async def collect(client: AsyncNucleusClient) -> list[Any]:
            return [member async for member in client.pages(first)]

        return self._in_loop(collect)

    def wait_for_job(self, job_id: str, **options: Any) -> Any:
        if self._sync is not None:
            return waiting.wait_for_job(self._sync, job_id, **options)
        return self._in_loop(lambda client: waiting.wait_for_job_async(client, job_id, **options))

    def wait_for_evaluation(self, evaluation_id: str, **options: Any) -> Any:
        if self._sync is not None:
            return waiting.wait_for_evaluation(self._sync, evaluation_id, **options)
        return self._in_loop(
            lambda client: waiting.wait_for_evaluation_async(client, evaluation_id, **options)
        )

    def cancel(self, call: Any) -> Any:
        if self._sync is not None:
            return cancellation.cancel(self._sync, call)
        return self._in_loop(lambda client: cancellation.cancel_async(client, call))

    def _in_loop(self, use: Callable[[AsyncNucleusClient], Any]) -> Any:
        async def run() -> Any:
            async with AsyncNucleusClient(self._config, sleep=self.clock.asleep, **self._options) as client:
                return await use(client)

        return asyncio.run(run())

    @property
    def sleeps(self) -> list[float]:
        return self.clock.sleeps

    def close(self) -> None:
        if self._sync is not None:
            self._sync.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers by script."""
    made = ScriptedServer()
    yield made
    made.stop()


@pytest.fixture
def other_server() -> Iterator[ScriptedServer]:
    """A second origin."""
    made = ScriptedServer()
    yield made
    made.stop()


@pytest.fixture(params=["requests", "httpx"])
def transport(request: pytest.FixtureRequest) -> Iterator[Callable[..., Transport]]:
    """Make a transport for a server; every test runs with both."""
    made: list[Transport] = []

    def make(server: ScriptedServer | str, **options: Any) -> Transport:
        endpoint = server if isinstance(server, str) else server.endpoint
        settings = {
            name: options.pop(name)
            for name in ("limited_access_key", "timeout", "conn_id", "verify_tls", "ca_bundle")
            if name in options
        }
        settings.setdefault("conn_id", "nucleus_test")
        if "limited_access_key" not in settings:
            settings["api_key"] = KEY
        made.append(Transport(request.param, NucleusConfig(endpoint=endpoint, **settings), **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
