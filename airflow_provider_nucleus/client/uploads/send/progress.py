"""How far an upload is: rows, rate, share and time left, at a steady interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

__all__ = ["Progress", "ProgressMeter"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One reading: `rate` in rows a second; `share` (0 to 1) and `seconds_left` are None while the total is unknown."""

    phase: str
    rows: int
    total: int | None
    rate: float
    share: float | None
    seconds_left: float | None

    def __str__(self) -> str:
        of = f" of {self.total:,} ({self.share:.0%})" if self.total and self.share is not None else ""
        left = f", about {_duration(self.seconds_left)} left" if self.seconds_left is not None else ""
        return f"{self.phase} {self.rows:,}{of} rows, {self.rate:,.0f} rows/s{left}"


class ProgressMeter:
    """Turns counts into readings, at most one per `interval` seconds; the first one after `interval`."""

    def __init__(
        self,
        phase: str,
        *,
        total: int | None,
        interval: float,
        clock: Callable[[], float],
        log: logging.Logger,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._phase = phase
        self._total = total
        self._interval = interval
        self._clock = clock
        self._log = log
        self._on_progress = on_progress
        self._started = self._last = clock()
        self._rows = 0
        self._logged = False

    def at(self, rows: int) -> None:
        """Note that so many rows are done."""
        self._rows = rows
        now = self._clock()
        if now - self._last >= self._interval:
            self._last = now
            self._emit(now, log=True)

    def finish(self) -> None:
        """Emit the final reading, which is logged if there was one before: short work needs no such line."""
        self._emit(self._clock(), log=self._logged)

    def _emit(self, now: float, *, log: bool) -> None:
        rate = self._rows / max(now - self._started, 1e-9)
        share = self._rows / self._total if self._total else None
        left = (self._total - self._rows) / rate if self._total and rate > 0 else None
        reading = Progress(self._phase, self._rows, self._total, rate, share, left)
        if log:
            self._log.info("%s", reading)
            self._logged = True
        if self._on_progress is not None:
            self._on_progress(reading)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
