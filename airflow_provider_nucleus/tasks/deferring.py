"""Waiting in the triggerer: whether, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from airflow.providers.common.compat.sdk import conf

__all__ = ["DEFERRAL_GRACE", "default_deferrable", "seconds"]

DEFERRAL_GRACE: Final = timedelta(minutes=5)
"""The scheduler ends a deferral this much after the trigger should have; it is there for triggers that died."""


def default_deferrable() -> bool:
    """Return Airflow's ``[operators] default_deferrable``."""
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def seconds(value: float | timedelta) -> float:
    """Return a duration in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
