"""The names by which mapped instances of a task are told apart in the interface."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from airflow_provider_nucleus.tasks.arguments import is_blank

__all__ = ["MAP_LABEL", "MAX_LABEL", "short_label"]

MAP_LABEL: Final = "{{ task.map_label }}"
"""The default `map_index_template` of operators and sensors."""

MAX_LABEL: Final = 250
"""Characters in Airflow's column; with more, the task's end or deferral is refused by a database that keeps to its types.

Airflow renders the template of every task, mapped or not.
"""


def short_label(value: Any) -> str:
    """Name *value*, an argument that may be a list or rows in memory, in at most `MAX_LABEL` characters; never raises.

    A text that is too long loses its beginning: parts of a batch differ in their last characters.
    """
    if is_blank(value):
        return ""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return _cut(str(value) if _is_name(value) else type(value).__name__, MAX_LABEL)
    if not value or not _is_name(value[0]):
        return f"{len(value)} row{'' if len(value) == 1 else 's'}"
    more = f" and {len(value) - 1} more" if len(value) > 1 else ""
    return _cut(str(value[0]), MAX_LABEL - len(more)) + more


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int | os.PathLike) or hasattr(value, "open")


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"…{text[len(text) - size + 1 :]}"
