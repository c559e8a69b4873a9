"""Waiting: in the triggerer or not, and for how long."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, conf

from airflow_provider_nucleus.client.waiting import Patience
from airflow_provider_nucleus.tasks.templates import BEGUN

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DEFERRAL_GRACE",
    "EXECUTION_DEADLINE",
    "FAIL",
    "default_deferrable",
    "deferral_timed_out",
    "execution_deadline",
    "require_execution_time",
    "ride_out_seconds",
    "seconds",
]

DEFERRAL_GRACE: Final = timedelta(minutes=5)
"""The scheduler ends a deferral this much after the trigger should have; it is there for triggers that died."""

FAIL: Final = "__fail__"
"""The method Airflow names when it wakes a task only to fail it."""

EXECUTION_DEADLINE: Final = "execution_deadline"
"""Key in what a deferred task gets back: when its `execution_timeout` is over, in seconds since the epoch."""


def execution_deadline(task: Any, payload: Mapping[str, Any]) -> dict[str, float]:
    """Return `EXECUTION_DEADLINE` of a task, counted from its start and through its deferrals; empty without `execution_timeout`.

    Airflow 3 does not count it while a task is deferred, and anew when it wakes up. *payload* is what an earlier deferral gave it.
    """
    if task.execution_timeout is None:
        return {}
    begun = float(getattr(task, BEGUN, time.time()))
    ends = payload.get(EXECUTION_DEADLINE) or begun + task.execution_timeout.total_seconds()
    return {EXECUTION_DEADLINE: float(ends)}


def require_execution_time(task: Any, payload: Mapping[str, Any]) -> None:
    """Raise AirflowTaskTimeout, upon which Airflow calls `on_kill`, if the `execution_timeout` passed while the task was deferred."""
    deadline = payload.get(EXECUTION_DEADLINE)
    if deadline is not None and time.time() >= deadline:
        raise AirflowTaskTimeout(
            f"execution_timeout of {task.execution_timeout.total_seconds():g} s passed while the task was deferred."
        )


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
