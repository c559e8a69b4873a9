"""What an upload did, as small JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UploadSummary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSummary:
    """The account of an upload; every row of the input is in exactly one of the counts that follow it.

    ``rows = rejected + sent`` (when anything was sent at all), ``sent = processed + ignored + errored + unaccounted``, unless
    the server counts more rows than it was given, which the log says then.
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
    sent: int = 0
    """Rows the server was given, by this attempt or by an earlier one the ledger vouches for."""
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
        """Say it in one line for the log."""
        parts = [f"{self.rows:,} rows read", f"{self.rejected:,} rejected"]
        if self.duplicates:
            parts[-1] += f" ({self.duplicates:,} duplicates)"
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


_JOBS_SHOWN = 50
