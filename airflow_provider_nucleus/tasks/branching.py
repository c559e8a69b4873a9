"""Branches that Airflow would not honour, and why.

On Airflow 3.2 and 3.3 a task that skips others from inside a mapped task group does not skip them: what comes after it looks for the
choice of a task that is not mapped (apache/airflow #67265). The log says "Skipping tasks", and they run. Before 3.2 they are skipped, and
the sources of 3.4 look in the right place again.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

__all__ = ["branch_refusal"]


def branch_refusal(task: Any, *, mapped: int | None = None) -> str | None:
    """Return why a branch of *task* would not be honoured, None where it is; *mapped* is the map index of a running one."""
    release = tuple(int(part) for part in version("apache-airflow").split(".")[:2])
    group = getattr(task, "get_closest_mapped_task_group", lambda: None)()
    if group is not None and (3, 2) <= release < (3, 4):
        return (
            f"Task {task.task_id!r} is inside the mapped task group {group.group_id!r}, where Airflow {release[0]}.{release[1]} does not honour a "
            "branch: what was not chosen would run all the same. Take outcome='skip' or outcome='fail': they hold there, and a report "
            "with trigger_rule='all_done' still runs."
        )
    if group is None and mapped is not None and mapped >= 0:
        return (
            f"Task {task.task_id!r} is mapped: its instances come to verdicts of their own, and the tasks after it can follow one only. Put gate "
            "and what follows it into a mapped task group, with outcome='skip' or outcome='fail'."
        )
    return None
