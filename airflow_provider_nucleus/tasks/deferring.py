"""Waiting: in the triggerer or not, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import conf

from airflow_provider_nucleus.client.waiting import Patience

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DEFERRAL_GRACE",
    "FAIL",
    "default_deferrable",
    "deferral_timed_out",
    "ride_out_seconds",
    "seconds",
]

DEFERRAL_GRACE: Final = timedelta(minutes=5)
"""The scheduler ends a deferral this much after the trigger should have; it is there for triggers that died."""

FAIL: Final = "__fail__"
"""The method Airflow names when it wakes a task only to fail it."""


def default_deferrable() -> bool:
    """Return Airflow's `[operators] default_deferrable`."""
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def deferral_timed_out(next_method: str, next_kwargs: Mapping[str, Any] | None) -> bool:
    """Return whether Airflow wakes a task because its deferral took too long, and not because its trigger failed."""
    return next_method == FAIL and "timeout" in str((next_kwargs or {}).get("error", "")).lower()


def seconds(value: float | timedelta) -> float:
    """Return a duration in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def ride_out_seconds(value: float | timedelta) -> float:
    """Return the `ride_out` of a task in seconds; raises NucleusConfigError unless it is a duration."""
    plain = value.total_seconds() if isinstance(value, timedelta) else value
    return float(Patience(ride_out=plain).ride_out)
