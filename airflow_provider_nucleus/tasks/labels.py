"""The names by which mapped instances of a task are told apart in the interface."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from airflow_provider_nucleus.tasks.rendered_values import is_blank

__all__ = ["MAP_LABEL", "MAX_LABEL", "place_label", "short_label"]

MAP_LABEL: Final = "{{ task.map_label_as_rendered }}"
"""The default `map_index_template` of operators and sensors."""

MAX_LABEL: Final = 250
"""Characters in Airflow's column; with more, the task's end or deferral is refused by a database that keeps to its types.

Airflow renders the template of every task, mapped or not.
"""


def place_label(value: Any) -> str:
    """Name *value*, a place that rows come from, by the folder it lies in and its own name; else as `short_label` does."""
    if _is_name(value):
        return short_label("/".join(str(value).rstrip("/").rsplit("/", 2)[-2:]).lstrip("/"))
    if isinstance(value, list | tuple) and value and _is_name(value[0]):
        return short_label([place_label(value[0]), *value[1:]])
    return short_label(value)


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
