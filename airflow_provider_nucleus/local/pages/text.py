"""Numbers, moments and JSON as readers see them, so that templates only place text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = [
    "BAR_WIDTH",
    "Figure",
    "figure",
    "iou_text",
    "json_text",
    "moment",
    "percent_bar",
    "task_text",
    "whole",
]

BAR_WIDTH: Final = 100
"""Width of a bar that stands for 1, in the units of its drawing."""
JSON_LIMIT: Final = 20_000
_NOT_DEFINED: Final = "n/a"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in the range 0 to 1 as text, or `n/a` with the reason; `bar` is the length of its bar."""

    text: str
    bar: str
    reason: str = ""


def figure(value: float | None, *, reason: str) -> Figure:
    """Return a number for the page; `reason` is shown if there is none."""
    if value is None:
        return Figure(_NOT_DEFINED, "0", reason)
    return Figure(f"{value:.3f}", percent_bar(value))


def percent_bar(value: float) -> str:
    """Return the length of the bar of a number from 0 to 1."""
    return f"{BAR_WIDTH * min(max(value, 0.0), 1.0):.1f}"


def whole(number: int) -> str:
    """Return a count with thin groups of thousands: `1 800 000`."""
    return f"{number:,}".replace(",", "\u202f")


def iou_text(value: float) -> str:
    """Return a threshold as short as it can be written: `0.5`, `0.75`."""
    return f"{value:.6f}".rstrip("0").rstrip(".") or "0"


def moment(value: datetime) -> str:
    """Return a point in time, UTC, to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def task_text(task: Mapping[str, str]) -> str:
    """Return a task of Airflow as its interface writes it: DAG, task, map index, run."""
    index = f" [{task['map_index']}]" if "map_index" in task else ""
    return f"{task.get('dag_id', '?')}.{task.get('task_id', '?')}{index}, {task.get('run_id', '?')}"


def json_text(value: Any) -> str:
    """Return JSON indented for reading, cut if it is very long."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return text if len(text) <= JSON_LIMIT else f"{text[:JSON_LIMIT]}\n… ({len(text)} characters in all)"
