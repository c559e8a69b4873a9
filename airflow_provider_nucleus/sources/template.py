"""Paths into rows, and text templates over them.

A path is `image.folder`, `bbox.0` or `bbox[0]`. A template holds fields: `{frame:06d}` formats a value as Python does, and
these take a path or an address apart:

| field | of `s3://bucket/images/day1/0001.jpg` |
|---|---|
| `{path:basename}` | `0001.jpg` |
| `{path:stem}` | `0001` |
| `{path:without_extension}` | `s3://bucket/images/day1/0001` |
| `{path:relative(s3://bucket/images/)}` | `day1/0001.jpg` |
| `{path:relative(s3://bucket/images/)|without_extension}` | `day1/0001` |
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_nucleus.exceptions import NucleusConfigError

__all__ = ["Template", "as_list", "compile_template", "normal_path", "read_path", "template_paths"]

_INDEX = re.compile(r"\[(\d+)\]")
_LONG = re.compile(r"\d{4}")
_SLASHES = re.compile(r"[/\\]")


def normal_path(path: str) -> str:
    """Return a path with its list indices as steps: `bbox.0` for `bbox[0]`."""
    return _INDEX.sub(r".\1", path).removeprefix(".") if "[" in path else path


def read_path(row: Mapping[str, Any], path: str) -> Any:
    """Read a normal path; a key that itself contains the dots wins. None when there is nothing."""
    if path in row:
        return row[path]
    return _read_steps(row, path.split("."))


def _read_steps(value: Any, steps: Sequence[str]) -> Any:
    for at, name in enumerate(steps):
        if isinstance(value, Mapping):
            if name not in value and at + 1 < len(steps) and (rest := ".".join(steps[at:])) in value:
                return value[rest]
            value = value.get(name)
        else:
            value = as_list(value)
            if not (isinstance(value, Sequence) and not isinstance(value, str) and name.isdecimal()):
                return None
            value = value[int(name)] if int(name) < len(value) else None
    return value


def as_list(value: Any) -> Any:
    """Return the list in an array of NumPy or PyTorch; anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") and getattr(value, "ndim", None) else value


def template_paths(template: str) -> list[str]:
    """Return the paths a template reads."""
    return [normal_path(path) for _, path, _, _ in string.Formatter().parse(template) if path]


def compile_template(template: str, name: str) -> Template:
    """Compile a template for the field *name*; anything it may not hold is refused."""
    return Template(template, name)


class Template:
    """A compiled template: call it with a row, or `fill` whole columns."""

    def __init__(self, template: str, name: str) -> None:
        self._name = name
        try:
            parsed = list(string.Formatter().parse(template))
        except ValueError as error:
            raise NucleusConfigError(
                f"{name} template {template!r} is malformed: {error}", field=name
            ) from None
        if any(path is not None and (not path or conversion) for _, path, _, conversion in parsed):
            raise NucleusConfigError(
                f"{name} template {template!r} may only hold fields like {{name}}, {{name:06d}} or {{name:basename}}",
                field=name,
            )
        self._parts: list[tuple[str, str | None, Callable[[Any], str]]] = [
            (literal, None if path is None else normal_path(path), _spelling(spec or "", template, name))
            for literal, path, spec, _ in parsed
        ]
        self.paths = [path for _, path, _ in self._parts if path is not None]

    def __call__(self, row: Mapping[str, Any]) -> str:
        """Fill in one row; ValueError with the reason when it lacks something."""
        return self.filled([read_path(row, path) for path in self.paths])

    def filled(self, values: Sequence[Any]) -> str:
        """Fill in the values of `paths`; ValueError with the reason when one is missing or of no use."""
        text = ""
        following = iter(values)
        for literal, path, spell in self._parts:
            text += literal
            if path is not None:
                value = next(following)
                if value is None or value != value:
                    raise ValueError(f"{self._name} template needs {path!r}, which this row lacks")
                if isinstance(value, (dict, list, tuple)):
                    raise ValueError(
                        f"{self._name} template: {path!r} is a {type(value).__name__} and no text or number"
                    )
                try:
                    text += spell(value)
                except (ValueError, TypeError) as error:
                    raise ValueError(f"{self._name} template: {path!r} {error}") from None
        return text

    def fill(self, columns: Sequence[Sequence[Any]]) -> list[str] | None:
        """Fill in all rows at once from a column per path; None when some row has to be looked at by itself."""
        try:
            if len(self._parts) == 1 and not self._parts[0][0] and set(map(type, columns[0])) == {str}:
                spell = self._parts[0][2]
                if spell is str:
                    return list(columns[0])
                # The rows of one image have one path.
                made = {text: spell(text) for text in set(columns[0])}
                return list(map(made.__getitem__, columns[0]))
            return [self.filled(values) for values in zip(*columns, strict=True)] if columns else None
        except ValueError:
            return None


def _spelling(spec: str, template: str, name: str) -> Callable[[Any], str]:
    """Return the function that a format specification stands for."""
    head = spec.partition("|")[0].partition("(")[0]
    if head not in {*_STEPS, "relative"}:
        if _LONG.search(spec):
            raise NucleusConfigError(
                f"{name} template {template!r} makes text of more than 999 characters", field=name
            )
        return str if not spec else lambda value: format(value, spec)
    steps: list[Callable[[str], str]] = []
    for step in re.split(r"\|(?![^(]*\))", spec):
        if step in _STEPS:
            steps.append(_STEPS[step])
        elif step.startswith("relative(") and step.endswith(")") and len(step) > len("relative()"):
            steps.append(_relative(step[len("relative(") : -1]))
        else:
            raise NucleusConfigError(
                f"{name} template {template!r}: {step!r} is none of {', '.join(_STEPS)}, relative(PREFIX)",
                field=name,
            )
    if len(steps) == 1:
        return steps[0]

    def spell(value: Any) -> str:
        for step in steps:
            value = step(value)
        return str(value)

    return spell


def _plain(value: Any) -> str:
    """Return a location without the query of a signed address."""
    text = value if isinstance(value, str) else str(value)
    return text.partition("?")[0] if "?" in text and "://" in text else text


def _basename(value: Any) -> str:
    text = _plain(value)
    found = text.rpartition("/")[2] if "\\" not in text else _SLASHES.split(text)[-1]
    if not found:
        raise ValueError(f"{value!r} ends in a folder, it has no name")
    return found


def _without_extension(value: Any) -> str:
    text = _plain(value)
    last = text if "/" not in text and "\\" not in text else _basename(text)
    stem, dot, _ = last.rpartition(".")
    return text[: len(text) - (len(last) - len(stem))] if dot and stem else text


def _stem(value: Any) -> str:
    last = _basename(value)
    return last.rpartition(".")[0] or last


def _relative(prefix: str) -> Callable[[Any], str]:
    begin = prefix if prefix.endswith(("/", "\\")) else f"{prefix}/"

    def relative(value: Any) -> str:
        text = _plain(value)
        if not text.startswith(begin) or len(text) == len(begin):
            raise ValueError(f"{value!r} does not lie below {prefix!r}")
        return text[len(begin) :]

    return relative


_STEPS: dict[str, Callable[[Any], str]] = {
    "basename": _basename,
    "stem": _stem,
    "without_extension": _without_extension,
}
