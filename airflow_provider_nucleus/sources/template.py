"""Dotted paths into rows, and text templates over them."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_nucleus.exceptions import NucleusConfigError

__all__ = ["compile_template", "read_path", "template_paths"]


def read_path(row: Mapping[str, Any], path: str) -> Any:
    """Read a dotted path; a key that itself contains the dots wins. None when there is nothing."""
    if path in row:
        return row[path]
    value: Any = row
    for name in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif (
            isinstance(value, Sequence)
            and not isinstance(value, str)
            and name.isdigit()
            and int(name) < len(value)
        ):
            value = value[int(name)]
        else:
            return None
    return value


def template_paths(template: str) -> list[str]:
    """Return the paths a template reads."""
    return [path for _, path, _, _ in string.Formatter().parse(template) if path]


def compile_template(template: str, name: str) -> Callable[[Mapping[str, Any]], str]:
    """Compile `{path}` and `{path:spec}` fields; anything else str.format offers is refused."""
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError as error:
        raise NucleusConfigError(f"{name} template {template!r} is malformed: {error}", field=name) from None
    if any(path is not None and (not path or "[" in path or conversion) for _, path, _, conversion in fields):
        raise NucleusConfigError(
            f"{name} template {template!r} may only hold fields like {{name}} or {{name:06d}}", field=name
        )

    def fill(row: Mapping[str, Any]) -> str:
        text = ""
        for literal, path, spec, _ in fields:
            text += literal
            if path is not None:
                value = read_path(row, path)
                if value is None:
                    raise ValueError(f"{name} template needs {path!r}, which this row lacks")
                text += format(value, spec or "")
        return text

    return fill
