"""The statement of how rows of another layout become ours; `conversion` carries it out.

A mapping says for each wire field where its value comes from, both as dotted paths::

    RowMapping(
        fields={"label": "cls", "box": "bbox", "confidence": "score", "metadata.site": "site"},
        box_format="xyxy",
        labels=["car", "bus"],
        reference_id="{path:basename}",
        min_confidence=0.05,
    )

Fields that are not mapped keep the names they have, as far as the wire has them; others are dropped once anything but labels,
scores and a least confidence is given. All that can be told without the rows is checked when a mapping is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.schema.annotation_table import TYPE_BY_GEOMETRY_KEY
from airflow_provider_nucleus.sources.box_formats import BOX_FORMATS, BOX_PARTS, BoxFormat
from airflow_provider_nucleus.sources.label_names import check_labels
from airflow_provider_nucleus.sources.template import compile_template, normal_path, template_paths

__all__ = ["BOX_TARGETS", "WIRE_FIELDS", "RowMapping", "as_mapping", "complete_row"]

Row = dict[str, Any]

WIRE_FIELDS = frozenset({
    "annotation_id", "annotations", "class_pdf", "confidence", "dataset_id", "embedding_info", "embedding_vector", "geometry",
    "height", "image_url", "item_id", "label", "labels", "mask_url", "metadata", "reference_id", "task_id", "taxonomy_name",
    "track_reference_id", "type", "width",
})  # fmt: skip
"""Top-level keys of the objects that Nucleus takes: items, annotations, predictions."""

_BOX = ("x", "y", "width", "height")
_IMAGE_SIDES = ("image_width", "image_height")
BOX_TARGETS = frozenset({"box", *_IMAGE_SIDES, *BOX_PARTS["xyxy"], *BOX_PARTS["cxcywh"][:2]})
"""Names that `fields` has for what boxes are made of, beside x, y, width and height."""

_CORNERS = re.compile(r"(?:^|[._])(?:[xy]_?2|[xy]_?max)$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class RowMapping:
    """A mapping from rows of a source to wire rows.

    `fields`: wire path to source path (`bbox[0]` is the first of a list), or to `=text` for a constant. `box_format`: `xywh`, `xyxy`
    (corners) or `cxcywh` (centre) of the box that `fields` names as `box` (a list of four numbers), or number by number (`x1`, `y1`,
    `x2`, `y2`; `cx`, `cy`, `width`, `height`), which are the default names. `normalized`: its numbers are shares of the image's
    sides, whose pixels are the fields `image_width` and `image_height`, or `image_size` for all.

    `labels`: names by class or by label, a list of names by class number, or the path of a file of names. `scores`:
    `(low, high)` is spread over 0 to 1, `"logit"` goes through the logistic function. `min_confidence`: rows below it
    are left out, and counted.

    `explode`: path of a list with an entry per object, or paths of such lists, which become a row each; an object of lists is taken apart too.
    `patterns`: source path to a regular expression, whose named groups are source paths of their own. `reference_id` and
    `annotation_id`: templates over source paths, such as `{folder}/{frame:06d}.jpg` or `{path:stem}` (see `template`).
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    labels: Any = field(default_factory=dict)
    scores: tuple[float, float] | Literal["logit"] | None = None
    reference_id: str | None = None
    annotation_id: str | None = None
    box_format: BoxFormat | None = None
    normalized: bool = False
    image_size: tuple[float, float] | None = None
    explode: str | Sequence[str] = ()
    patterns: Mapping[str, str] = field(default_factory=dict)
    min_confidence: float | None = None

    def __post_init__(self) -> None:
        self._check_texts("fields", self.fields)
        self._check_texts("patterns", self.patterns)
        check_labels(self.labels)
        self._check_numbers()
        for name in ("reference_id", "annotation_id"):
            if (template := getattr(self, name)) is not None:
                if not isinstance(template, str):
                    raise _wrong(name, f"must be a template, got {template!r}")
                compile_template(template, name)
        for path, pattern in self.patterns.items():
            try:
                groups = re.compile(pattern).groupindex
            except (re.error, RecursionError, OverflowError) as error:
                raise _wrong(
                    "patterns", f"{pattern!r} of {path!r} is no regular expression: {error}"
                ) from None
            if not groups:
                raise _wrong(
                    "patterns", f"{pattern!r} of {path!r} has no named group, such as (?P<frame>\\d+)"
                )
        lists = self.explode
        if not isinstance(lists, str) and not (
            isinstance(lists, Sequence) and all(isinstance(one, str) for one in lists)
        ):
            raise _wrong("explode", f"must be the path of a list or several of them, got {lists!r}")
        if not isinstance(lists, str) and (not all(lists) or len(set(self.exploded)) < len(lists)):
            raise _wrong("explode", f"names each list once, got {lists!r}")
        self._check_box()

    @staticmethod
    def _check_texts(name: str, given: Any) -> None:
        if not isinstance(given, Mapping):
            raise _wrong(name, f"must be an object, got {type(given).__name__}")
        for key, value in given.items():
            if not (isinstance(key, str) and isinstance(value, str) and key and value):
                raise _wrong(name, f"maps a path to a path, both text, not {key!r} to {value!r}")

    def _check_numbers(self) -> None:
        scores = self.scores
        if isinstance(scores, (tuple, list)):
            if len(scores) != 2 or not all(map(_is_number, scores)) or not scores[0] < scores[1]:
                raise _wrong("scores", f"must be (low, high) with low < high, got {scores!r}")
        elif scores is not None and scores != "logit":
            raise _wrong("scores", f"must be (low, high) or 'logit', got {scores!r}")
        if self.min_confidence is not None and not (
            _is_number(self.min_confidence) and 0 <= self.min_confidence <= 1
        ):
            raise _wrong("min_confidence", f"must be a number from 0 to 1, got {self.min_confidence!r}")
        size = self.image_size
        if size is not None and not (
            isinstance(size, (tuple, list))
            and len(size) == 2
            and all(_is_number(side) and side > 0 for side in size)
        ):
            raise _wrong("image_size", f"must be (width, height) in pixels, got {size!r}")
        if not isinstance(self.normalized, bool):
            raise _wrong("normalized", f"must be true or false, got {self.normalized!r}")
        if self.box_format is not None and self.box_format not in BOX_FORMATS:
            raise _wrong(
                "box_format",
                f"must be xywh (corner and size), xyxy (two corners) or cxcywh (centre and size), got {self.box_format!r}",
            )

    def _check_box(self) -> None:
        """Raise NucleusConfigError when the fields name other numbers than the format has."""
        given = {_part(target) for target in self.fields}
        parts = {name for form in BOX_FORMATS for name in BOX_PARTS[form]} & given
        allowed = BOX_PARTS[self.box_format or "xywh"]
        if foreign := sorted(parts - set(allowed)):
            fitting = [form for form in BOX_FORMATS if parts <= set(BOX_PARTS[form])]
            cure = f"say box_format='{fitting[0]}'" if fitting else "name the numbers of one format"
            raise _wrong(
                "fields",
                f"{', '.join(foreign)} is no number of a box as {self.box_format or 'xywh'}, which has {', '.join(allowed)}: {cure}",
            )
        if "box" in given and parts:
            raise _wrong(
                "fields",
                f"names the box as a list ({self.fields.get('box')!r}) and by {min(parts)}: one of them",
            )
        for target, path in self.fields.items():
            if _part(target) in {"width", "height"} and parts > {"x"} and _CORNERS.search(path):
                raise _wrong(
                    "fields",
                    f"{target} is read from {path!r}, which is a corner and no {_part(target)}: "
                    "say box_format='xyxy' and name x1, y1, x2 and y2",
                )
        if set(_IMAGE_SIDES) & given and len(set(_IMAGE_SIDES) & given) == 1:
            raise _wrong(
                "fields", "names one side of the image: both image_width and image_height are needed"
            )

    def __bool__(self) -> bool:
        return self != RowMapping()

    @property
    def finish_only(self) -> bool:
        """True when names stay as they are: only labels, scores and a least confidence are mapped."""
        return not (
            self.fields
            or self.reference_id
            or self.annotation_id
            or self.explode
            or self.patterns
            or self.makes_box
        )

    @property
    def makes_box(self) -> bool:
        """True when boxes are made from other numbers than x, y, width and height in pixels."""
        return self.normalized or self.box_format is not None or "box" in self.fields

    @property
    def exploded(self) -> tuple[str, ...]:
        """Paths of the lists with an entry per object."""
        lists = (self.explode,) if isinstance(self.explode, str) else tuple(self.explode)
        return tuple(normal_path(path) for path in lists if path)

    def box_paths(self) -> list[str]:
        """Return where the four numbers of a box come from, in the order of its format."""
        if "box" in self.fields:
            path = normal_path(self.fields["box"])
            return [f"{path}.{position}" for position in range(4)]
        by_part = {_part(target): path for target, path in self.fields.items()}
        return [_path(by_part.get(name, name)) for name in BOX_PARTS[self.box_format or "xywh"]]

    def size_paths(self) -> list[str]:
        """Return where width and height of images come from; `[]` where that is `image_size`."""
        if self.image_size is not None:
            return []
        return [_path(self.fields.get(name, name)) for name in _IMAGE_SIDES]

    def plain_fields(self) -> dict[str, str]:
        """Return the fields that are copied: all but the numbers of boxes that are converted."""
        if not self.makes_box:
            return {target: _path(path) for target, path in self.fields.items() if target not in _IMAGE_SIDES}
        own = {*BOX_TARGETS, *BOX_PARTS[self.box_format or "xywh"]}
        return {target: _path(path) for target, path in self.fields.items() if _part(target) not in own}

    def source_paths(self) -> set[str]:
        """Return every path of the source this mapping reads, templates included."""
        paths = (
            {_path(path) for path in self.fields.values()}
            | set(self.exploded)
            | set(map(_path, self.patterns))
        )
        if self.makes_box:
            paths.update(self.box_paths())
        if self.normalized:
            paths.update(self.size_paths())
        for template in (self.reference_id, self.annotation_id):
            paths.update(template_paths(template or ""))
        groups = {name for pattern in self.patterns.values() for name in re.compile(pattern).groupindex}
        return {path for path in paths if not path.startswith("=")} - groups

    def require_kind(self, kind: str) -> None:
        """Raise NucleusConfigError when rows of a kind have nothing that this mapping is about."""
        if kind == "items" and self.makes_box:
            raise _wrong("box_format", "is about boxes, and items have none")
        if kind != "predictions" and self.min_confidence is not None:
            raise _wrong("min_confidence", f"is about predictions: {kind} have no confidence")


def as_mapping(value: Mapping[str, Any] | RowMapping | str | None) -> RowMapping:
    """Return JSON, as text or read, as the mapping it describes; raises NucleusConfigError naming what it does not know."""
    if isinstance(value, RowMapping):
        return value
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise _wrong("mapping", f"is text that is no JSON: {error}") from None
    if value is None or value == "":
        return RowMapping()
    if not isinstance(value, Mapping):
        raise _wrong("mapping", f"must be an object, got {type(value).__name__}")
    known = {one.name for one in fields(RowMapping)}
    if unknown := sorted(str(key) for key in set(value) - known):
        raise NucleusConfigError(
            f"mapping does not know {', '.join(map(repr, unknown))}; it knows {', '.join(sorted(known))}.",
            field="mapping",
            hint="Names of columns belong into its 'fields'.",
        )
    arguments = {key: one for key, one in value.items() if one is not None}
    for name in ("scores", "image_size", "explode"):
        if isinstance(given := arguments.get(name), list):
            arguments[name] = tuple(given)
    return RowMapping(**arguments)


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


def _part(target: str) -> str:
    return target.removeprefix("geometry.")


def _path(path: str) -> str:
    return path if path.startswith("=") else normal_path(path)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")


def _wrong(name: str, reason: str) -> NucleusConfigError:
    return NucleusConfigError(f"mapping: {name} {reason}.", field=name)
