"""Times of a poller's rounds: the pause after those that failed, and watchers whose rounds are held together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.client.retry import LONGEST_PAUSE, is_denied, may_pass

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Iterable

    from airflow_provider_nucleus.exceptions import NucleusError
    from airflow_provider_nucleus.triggers.watcher import Watcher

__all__ = ["MAX_BACK_OFF", "RoundBackoff", "due_together", "next_due"]

MAX_BACK_OFF = 30.0
"""Longest pause, in seconds, after rounds that failed; a server that asks for more gets up to `LONGEST_PAUSE`. Waits end that much late at most."""


class RoundBackoff:
    """The pause after rounds that failed. Times are on one clock of the caller's, in seconds.

    It holds for every watcher, also for one that joins later.
    """

    def __init__(self, rng: random.Random) -> None:
        self.until = 0.0
        self._failed = 0
        self._rng = rng

    def record(self, errors: Iterable[NucleusError], now: float) -> None:
        """Take note of the errors that a round met."""
        passing = [error for error in errors if may_pass(error) or is_denied(error)]
        if not passing:
            self._failed = 0
            self.until = now
            return
        self._failed += 1
        retry_after = max(getattr(error, "retry_after", None) or 0.0 for error in passing)
        # Triggerers whose server comes back must not all return at once.
        pause = min(MAX_BACK_OFF, 2.0**self._failed) * self._rng.uniform(0.75, 1.0)
        self.until = now + max(min(retry_after, LONGEST_PAUSE), pause)


def due_together(watchers: Collection[Watcher], now: float) -> list[Watcher]:
    """Return whose round is due, with those whose round is due within half their interval; none when nobody's is."""
    if not any(one.due <= now for one in watchers):
        return []
    return [one for one in watchers if one.due <= now + one.interval / 2]


def next_due(watchers: Collection[Watcher], now: float) -> float:
    """Return when the first round is due, now if nobody waits."""
    return min((one.due for one in watchers), default=now)
