"""The official client's patches of asyncio do not outlive the test that used it."""

from __future__ import annotations

import asyncio

import nest_asyncio

from tests.official_asyncio import asyncio_unpatched_afterwards


def test_asyncio_is_as_it_was_after_the_official_client():
    """A patched `asyncio.run` would reuse one loop; afterwards each run has one of its own again."""
    run, task = asyncio.run, asyncio.Task
    with asyncio_unpatched_afterwards():
        loop = asyncio.get_event_loop()
        nest_asyncio.apply(loop)
        assert asyncio.run is not run

    async def running_loop():  # ruff: ignore[unused-async]
        return asyncio.get_running_loop()

    assert (asyncio.run, asyncio.Task) == (run, task)
    assert loop.is_closed()
    assert asyncio.run(running_loop()) is not asyncio.run(running_loop())
