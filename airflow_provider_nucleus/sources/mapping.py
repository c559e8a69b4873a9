"""Turning foreign rows into wire rows: column names, labels, scores and reference ids.

A mapping says for each wire field where its value comes from, both as dotted paths::

    RowMapping(
        fields={"label": "cls", "x": "left", "y": "top", "type": "=box", "metadata.site": "site"},
        labels={"automobile": "car"},
        scores=(0, 100),
        reference_id="{image.folder}/{image.name}",
    )

Fields that are not mapped keep the names they have, as far as the wire has them; others are dropped once `fields` or a
template is given. Nothing here validates: a value that cannot be converted is passed on, and validation names it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.schema.annotation_table import TYPE_BY_GEOMETRY_KEY
from airflow_provider_nucleus.sources.template import compile_template, read_path, template_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["WIRE_FIELDS", "RowMapping", "complete_row"]

Row = dict[str, Any]

WIRE_FIELDS = frozenset({
    "annotation_id", "annotations", "class_pdf", "confidence", "dataset_id", "embedding_info", "embedding_vector", "geometry",
    "height", "image_url", "item_id", "label", "labels", "mask_url", "metadata", "reference_id", "task_id", "taxonomy_name",
    "track_reference_id", "type", "width",
})  # fmt: skip
"""Top-level keys of the objects that Nucleus takes: items, annotations, predictions."""

_BOX = ("x", "y", "width", "height")
_CORNER = frozenset({"x", "y"})


@dataclass(frozen=True, kw_only=True)
class RowMapping:
    """A mapping from rows of a source to wire rows.

    `fields`: wire path to source path, or to `=text` for a constant. `labels`: source label to label in Nucleus; others stay as they are.
    `scores`: `(low, high)` is spread over 0 to 1, `"logit"` goes through the logistic function. `reference_id` and
    `annotation_id`: templates such as `{folder}/{name}.jpg` over the fields of the source row, format specifications
    (`{frame:06d}`) included.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    scores: tuple[float, float] | Literal["logit"] | None = None
    reference_id: str | None = None
    annotation_id: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.scores, (tuple, list)) and (
            len(self.scores) != 2 or not self.scores[0] < self.scores[1]
        ):
            raise NucleusConfigError(
                f"scores must be (low, high) with low < high, got {self.scores!r}", field="scores"
            )
        if isinstance(self.scores, str) and self.scores != "logit":
            raise NucleusConfigError(
                f"scores must be (low, high) or 'logit', got {self.scores!r}", field="scores"
            )
        for name in ("reference_id", "annotation_id"):
            if (template := getattr(self, name)) is not None:
                compile_template(template, name)

    def __bool__(self) -> bool:
        return bool(self.fields or self.labels or self.scores or self.reference_id or self.annotation_id)

    def source_paths(self) -> set[str]:
        """Return every path of the source this mapping reads, templates included."""
        paths = {path for path in self.fields.values() if not path.startswith("=")}
        for template in (self.reference_id, self.annotation_id):
            paths.update(template_paths(template or ""))
        return paths

    def compile(self, found: set[str] | None = None) -> Callable[[Row], Row] | None:
        """Return a function that maps one row, or None when rows need no mapping.

        `found` gathers the paths of `fields` that some row had a value at.
        """
        finish = self.finish()
        last = None if finish is None else lambda _, row: finish(row)
        steps = [
            step
            for step in (self._pick(set() if found is None else found), self._templates(), last)
            if step is not None
        ]
        if not steps:
            return None

        def apply(source: Row) -> Row:
            row = source
            for step in steps:
                row = step(source, row)
            return row

        return apply

    def finish(self) -> Callable[[Row], Row] | None:
        """Return the part of the mapping that changes values in place: labels and scores."""
        labels, scale = dict(self.labels), _scale(self.scores)
        if not labels and scale is None:
            return None

        def change(row: Row) -> Row:
            if labels:
                _relabel(row, labels)
            if scale is not None and "confidence" in row:
                row["confidence"] = scale(row["confidence"])
            return row

        return change

    def _pick(self, found: set[str]) -> Callable[[Row, Row], Row] | None:
        if not self.fields:
            return None
        plan = [(target.split("."), path) for target, path in self.fields.items()]
        mapped = {target[0] for target, _ in plan}
        taken = {path.partition(".")[0] for _, path in plan}
        kept = WIRE_FIELDS | (frozenset() if "geometry" in mapped else _CORNER)
        kept -= taken - mapped

        def pick(source: Row, _: Row) -> Row:
            row = {name: value for name, value in source.items() if name in kept and name not in mapped}
            for target, path in plan:
                value = path[1:] if path.startswith("=") else read_path(source, path)
                if value is not None:
                    _write_path(row, target, value)
                    found.add(path)
            return row

        return pick

    def _templates(self) -> Callable[[Row, Row], Row] | None:
        templates = [
            (name, compile_template(template, name))
            for name, template in (("reference_id", self.reference_id), ("annotation_id", self.annotation_id))
            if template is not None
        ]
        if not templates:
            return None

        # Without `fields` the columns a template reads are still in the row, and are no fields of the wire.
        kept = None if self.fields else WIRE_FIELDS | _CORNER

        def fill(source: Row, row: Row) -> Row:
            if kept is not None:
                row = {name: value for name, value in row.items() if name in kept}
            row.update((name, template(source)) for name, template in templates)
            return row

        return fill


def complete_row(row: Row) -> Row:
    """Supply what a flat or untyped row leaves unsaid: box geometry from `x, y, width, height`, the type from the geometry."""
    if "geometry" not in row and "x" in row and "y" in row:
        row["geometry"] = {name: row.pop(name) for name in _BOX if name in row}
    if "type" in row:
        return row
    if "mask_url" in row:
        row["type"] = "mask"
        return row
    geometry = row.get("geometry")
    if isinstance(geometry, dict):
        for key, name in TYPE_BY_GEOMETRY_KEY.items():
            if key in geometry:
                row["type"] = name
                break
    return row


def _write_path(row: Row, path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        inner = row.get(name)
        if not isinstance(inner, dict):
            inner = row[name] = {}
        row = inner
    row[path[-1]] = value


def _relabel(row: Row, labels: Mapping[str, str]) -> None:
    label = row.get("label")
    if isinstance(label, str):
        row["label"] = labels.get(label, label)
    if isinstance(row.get("labels"), list):
        row["labels"] = [labels.get(one, one) if isinstance(one, str) else one for one in row["labels"]]
    if isinstance(row.get("annotations"), list):
        row["annotations"] = [
            {**one, "label": labels.get(one["label"], one["label"])}
            if isinstance(one, dict) and isinstance(one.get("label"), str)
            else one
            for one in row["annotations"]
        ]
    pdf = row.get("class_pdf")
    if isinstance(pdf, dict):
        merged: dict[str, Any] = {}
        for name, share in pdf.items():
            target = labels.get(name, name)
            merged[target] = merged[target] + share if target in merged else share
        row["class_pdf"] = merged


def _scale(scores: tuple[float, float] | Literal["logit"] | None) -> Callable[[Any], Any] | None:
    if scores is None:
        return None
    if scores == "logit":
        return lambda value: _logistic(value) if isinstance(value, (int, float)) else value
    low, high = (float(bound) for bound in scores)
    span = high - low
    return lambda value: (value - low) / span if isinstance(value, (int, float)) else value


def _logistic(value: float) -> float:
    # Split by sign, because exp() overflows for large positive arguments only.
    return 1 / (1 + math.exp(-value)) if value >= 0 else (power := math.exp(value)) / (1 + power)
