"""The task that runs in this process, as requests and baseline records name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import get_current_context

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["current_task", "task_name"]


def current_task() -> dict[str, object] | None:
    """Return ids of the running task and its DAG run, None outside of one."""
    try:
        ti = get_current_context()["ti"]
    except Exception:  # ruff: ignore[blind-except] - Airflow says in several ways that no task runs
        return None
    task: dict[str, object] = {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "try_number": ti.try_number,
    }
    if (index := getattr(ti, "map_index", None)) is not None and index >= 0:
        task["map_index"] = index
    return task


def task_name(context: Mapping[str, Any]) -> str:
    """Return DAG, run and task in one line, as the author of a step: `dag/run/task`, of a mapped one `dag/run/task[3]`."""
    ti = context["ti"]
    index = int(getattr(ti, "map_index", -1))
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}" + (f"[{index}]" if index >= 0 else "")
