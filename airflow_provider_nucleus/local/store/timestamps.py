"""Moments: in UTC and without a zone in the store, to the millisecond in answers."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["now", "to_wire"]


def now() -> datetime:
    """Return the present as the store keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_wire(moment: datetime) -> str:
    """Return a stored moment as answers show it: `2026-11-23T08:00:00.000Z`."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
