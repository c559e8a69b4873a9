"""Rendered arguments: templates render to text, so that numbers and flags arrive as either."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_ids", "coerced_flag", "coerced_number", "copied", "is_blank", "required"]


def is_blank(value: Any) -> bool:
    """Return whether a rendered argument holds nothing; a template that found nothing renders to `""` or `"None"`."""
    return value is None or (isinstance(value, str) and value.strip() in {"", "None"})


def required(task: Any, **values: Any) -> None:
    """Raise NucleusConfigError when a rendered argument of *task* is empty, or an id is none; a template that found nothing is empty."""
    for name, value in values.items():
        if is_blank(value):
            raise NucleusConfigError(
                f"Task {task.task_id!r}: {name} is empty.",
                conn_id=task.nucleus_conn_id,
                field=name,
                hint="Give it a value; if it is a template, look at what it renders to in the task's Rendered tab.",
            )
    check_ids(task, **{name: value for name, value in values.items() if name.endswith("_id")})


def check_ids(task: Any, **values: Any) -> None:
    """Raise NucleusConfigError when a rendered id of *task* is no text, as the whole output of another task is."""
    for name, value in values.items():
        if not (value is None or isinstance(value, str)):
            raise NucleusConfigError(
                f"Task {task.task_id!r}: {name} must be an id, not a {type(value).__name__}.",
                conn_id=task.nucleus_conn_id,
                field=name,
                hint=f"Of what another task returned, take the id: `task.output[{name!r}]`.",
            )


def coerced_flag(value: bool | str | None, *, name: str) -> bool:
    """Return a rendered boolean: templates render to text."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"true", "1", "yes", "on"}:
        return True
    if word in {"false", "0", "no", "off", "", "none"}:
        return False
    raise NucleusConfigError(f"{name} must be true or false, not {value!r}.", field=name)


def coerced_number(value: float | str, *, name: str, low: float, high: float) -> float:
    """Return a rendered number between *low* and *high*, both included."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high:
        raise NucleusConfigError(
            f"{name} must be a number from {low:g} to {high:g}, not {value!r}.", field=name
        )
    return number


def copied(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a deep copy of rendered JSON: Airflow shows the rendered fields, so they are not changed in place."""
    copy: dict[str, Any] = json.loads(json.dumps(dict(value or {})))
    return copy
