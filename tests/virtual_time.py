"""Time that passes only when somebody sleeps: a clock, and an event loop that runs on it."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["Clock", "VirtualLoop"]


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to its next timer when there is nothing else to do; for code that waits for nothing but time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._virtual = clock

    def time(self) -> float:
        return self._virtual.now

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        scheduled: Any = self._scheduled  # type: ignore[attr-defined]
        if not ready and scheduled:
            self._virtual.now = max(self._virtual.now, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]
