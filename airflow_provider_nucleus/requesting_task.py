"""The task of Airflow that sends a request, as a header: the client writes it, the embedded server keeps it with what was started.

Scale's cloud is never sent it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TASK_FIELDS", "TASK_HEADER", "read_task", "task_header"]

TASK_HEADER: Final = "X-Airflow-Task"
TASK_FIELDS: Final = ("dag_id", "run_id", "task_id", "map_index", "try_number")
"""What is stated of a task; `map_index` only where the task is mapped."""

_LONGEST: Final = 1000
"""Characters of a header, and of a value: ids of Airflow have at most 250."""


def task_header(task: Mapping[str, object]) -> str:
    """Return the header's text, ASCII whatever the ids are; empty where it would be too long to be one."""
    text = urlencode({name: str(task[name]) for name in TASK_FIELDS if task.get(name) is not None})
    return text if len(text) <= 4 * _LONGEST else ""


def read_task(text: str) -> dict[str, str] | None:
    """Return what a header says of the task, None where it says nothing that is known: it comes from anybody."""
    if not text or len(text) > 4 * _LONGEST:
        return None
    try:
        stated = dict(parse_qsl(text, max_num_fields=20, errors="strict"))
    except ValueError:
        return None
    found = {name: stated[name][:_LONGEST] for name in TASK_FIELDS if stated.get(name)}
    return found or None
