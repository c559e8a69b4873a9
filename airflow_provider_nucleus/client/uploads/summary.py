"""Summary of an upload, as small JSON, and its progress until then."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget

__all__ = ["Progress", "ProgressMeter", "UploadSummary", "summarize"]


_JOBS_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSummary:
    """Summary of an upload; every row of the input is in exactly one of the counts that follow.

    `rows = rejected + left_out + sent` (when anything was sent at all), `sent = processed + ignored + errored + unaccounted`, unless
    the server counts more rows than it was given, which is logged.
    """

    kind: str
    dataset_id: str
    model_id: str | None = None
    rows: int = 0
    """Rows read, good or bad."""
    rejected: int = 0
    """Rows our own checks refused, duplicates included; they were not sent."""
    duplicates: int = 0
    """Of the rejected rows, those whose identity occurred before in the input."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows that were asked to be left out, by reason (`min_confidence` of a mapping); they are neither bad nor sent."""
    sent: int = 0
    """Rows the server was given, by this attempt or by earlier ones of the record."""
    processed: int = 0
    """Rows the server created or replaced."""
    ignored: int = 0
    """Rows that existed and were not to be replaced."""
    errored: int = 0
    """Rows the server refused."""
    unaccounted: int = 0
    """Rows sent that the server's own counts leave out, job by job and request by request: whether they are stored is unknown."""
    chunks: int = 0
    jobs: list[str] = field(default_factory=list)
    quarantine: str | None = None
    validate_only: bool = False
    error_rate: float = 0.0
    """(rejected + errored + unaccounted) / rows."""
    profile: dict[str, Any] | None = None
    """Compact profile of the predictions that passed the checks (`gating.profile`), whatever the server made of them; None for
    other rows."""
    first_errors: list[str] = field(default_factory=list)
    """The first few reasons, for a log or message; the quarantine file has them all."""

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON-ready dict; at most `_JOBS_SHOWN` job ids, however many there are."""
        plain = asdict(self)
        if len(self.jobs) > _JOBS_SHOWN:
            plain["jobs"] = self.jobs[:_JOBS_SHOWN]
            plain["jobs_total"] = len(self.jobs)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> UploadSummary:
        """Read what `to_dict` wrote."""
        return cls(**{name: value for name, value in plain.items() if name in cls.__dataclass_fields__})

    def sentence(self) -> str:
        """Return the counts in one line for the log."""
        parts = [f"{self.rows:,} rows read", f"{self.rejected:,} rejected"]
        if self.duplicates:
            parts[-1] += f" ({self.duplicates:,} duplicates)"
        parts += [f"{count:,} left out ({reason})" for reason, count in self.left_out.items()]
        if not self.validate_only:
            parts += [
                f"{self.sent:,} sent",
                f"{self.processed:,} processed",
                f"{self.ignored:,} ignored",
                f"{self.errored:,} refused by the server",
            ]
        if self.unaccounted:
            parts.append(f"{self.unaccounted:,} not accounted for by the server")
        return ", ".join(parts)


def summarize(
    target: UploadTarget,
    options: UploadOptions,
    input_counts: Mapping[str, Any],
    *,
    totals: Mapping[str, int] | None = None,
    jobs: Sequence[str] = (),
) -> UploadSummary:
    """Make the summary from the counts of the validated input and from the `totals` of what the server did with its chunks."""
    server = dict(totals or {})
    bad = input_counts["rejected"] + server.get("errored", 0) + server.get("unaccounted", 0)
    return UploadSummary(
        kind=target.kind,
        dataset_id=target.dataset_id,
        model_id=target.model_id,
        rows=input_counts["rows"],
        rejected=input_counts["rejected"],
        duplicates=input_counts["duplicates"],
        left_out=dict(input_counts.get("left_out") or {}),
        sent=server.get("sent", 0),
        processed=server.get("processed", 0),
        ignored=server.get("ignored", 0),
        errored=server.get("errored", 0),
        unaccounted=server.get("unaccounted", 0),
        chunks=server.get("chunks", 0),
        jobs=list(jobs),
        quarantine=input_counts["quarantine"],
        validate_only=options.validate_only,
        error_rate=bad / input_counts["rows"] if input_counts["rows"] else 0.0,
        profile=input_counts.get("profile"),
        first_errors=list(input_counts["first_errors"]),
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of an upload: `rate` in rows a second; `share` (0 to 1) and `seconds_left` are None while the total is unknown."""

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
    """Meter that reports progress at most once per `interval` seconds, for the first time after `interval`."""

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

    def update(self, rows: int) -> None:
        """Set the number of rows that are done."""
        self._rows = rows
        now = self._clock()
        if now - self._last >= self._interval:
            self._last = now
            self._emit(now, log=True)

    def finish(self) -> None:
        """Report the final progress; it is logged only if progress was logged before."""
        self._emit(self._clock(), log=self._logged)

    def _emit(self, now: float, *, log: bool) -> None:
        rate = self._rows / max(now - self._started, 1e-9)
        share = self._rows / self._total if self._total else None
        left = (self._total - self._rows) / rate if self._total and rate > 0 else None
        progress = Progress(self._phase, self._rows, self._total, rate, share, left)
        if log:
            self._log.info("%s", progress)
            self._logged = True
        if self._on_progress is not None:
            self._on_progress(progress)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
