"""The task that runs in this process, as far as requests name it."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import get_current_context

__all__ = ["current_task"]


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
