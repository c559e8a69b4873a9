"""Suggestion of a mapping for rows of an unknown layout, from the names and values that they have.

What is certain by name is taken by name, the rest by looking at values; what was guessed is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, takewhile
from typing import Any

from airflow_provider_nucleus.sources.tables import ExplodedTable, RowTable

__all__ = ["MappingSuggestion", "suggest_mapping"]

_CORNERS = (
    ("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"), ("left", "top", "right", "bottom"),
    ("xtl", "ytl", "xbr", "ybr"),
)  # fmt: skip
_CENTRES = (
    ("cx", "cy", "width", "height"), ("cx", "cy", "w", "h"), ("x_center", "y_center", "width", "height"), ("xc", "yc", "w", "h"),
    ("xcenter", "ycenter", "width", "height"),
)  # fmt: skip
_SIZES = (
    ("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height"), ("bbox_x", "bbox_y", "bbox_width", "bbox_height"),
    ("topX", "topY", "width", "height"),
)  # fmt: skip
_LISTS = (
    "bbox",
    "box",
    "boxes",
    "bboxes",
    "pred_boxes",
    "pred_bboxes",
    "xyxy",
    "xywh",
    "points",
    "bounding_box",
    "coordinates",
)
_LABELS = ("label", "class_name", "category_name", "name", "labels", "category", "class", "cls", "classes", "category_id", "class_id", "label_id", "category_ids", "class_ids", "label_ids", "categories", "pred_classes", "pred_labels")  # fmt: skip
_SCORES = ("confidence", "score", "scores", "conf", "probability", "prob", "pred_scores")
_IMAGES = ("reference_id", "file_name", "filename", "image_path", "img_path", "image_name", "path", "image", "img", "image_id", "ImageID", "frame", "frame_id")  # fmt: skip
_IMAGE_SIDES = (
    ("image_width", "image_height"),
    ("img_width", "img_height"),
    ("img_w", "img_h"),
    ("width", "height"),
)
_TARGETS = {"xyxy": ("x1", "y1", "x2", "y2"), "cxcywh": ("cx", "cy", "width", "height"), "xywh": ("x", "y", "width", "height")}  # fmt: skip
_OWN_BOX = {name: f"geometry.{name}" for name in _TARGETS["xywh"]}


@dataclass(frozen=True, slots=True)
class MappingSuggestion:
    """A mapping as JSON, and what of it was guessed or is still to be filled in."""

    mapping: dict[str, Any]
    remarks: list[str] = field(default_factory=list)


def suggest_mapping(rows: Sequence[Mapping[str, Any]]) -> MappingSuggestion | None:
    """Return a mapping that should fit rows like these, None where no boxes can be found in them."""
    sample = [dict(row) for row in rows[:200]]
    mapping: dict[str, Any] = {}
    remarks: list[str] = []
    exploded = _exploded(sample)
    table: Any = RowTable(sample)
    outer = _Names(sample)
    inner = outer
    if exploded:
        mapping["explode"] = exploded[0] if len(exploded) == 1 else exploded
        table = ExplodedTable(table, exploded)
        if len(exploded) == 1:
            entries = [cell for cell in table.cells(exploded[0]) if isinstance(cell, Mapping)]
            inner = _Names(entries, f"{exploded[0]}.")
    fields: dict[str, str] = {}
    form = _box(inner, table, fields, remarks)
    if form is None:
        return None
    mapping["fields"] = fields
    if fields == _OWN_BOX:
        # Rows in Nucleus' own form: their boxes need no mapping, perhaps something else does.
        fields.clear()
    else:
        mapping["box_format"] = form
        _add_sizes(mapping, outer, inner, table, remarks)
    _add_label(mapping, inner, table, remarks)
    if (score := inner.first(_SCORES)) is not None and score != "confidence":
        fields["confidence"] = score
    image = outer.first(_IMAGES) or inner.first(_IMAGES)
    if image is None:
        remarks.append("which field names the image is not known: give reference_id")
    elif image != "reference_id":
        cells = [cell for cell in table.cells(image) if isinstance(cell, str)]
        mapping["reference_id"] = _reference_id(image, cells, remarks)
    if {"image_id", "category_id", "score"} <= set(outer.names):
        remarks.append(
            "if these are COCO results, do not map them but name their ground truth, whose images and categories they mean: "
            "--ground-truth here, ground_truth= of the operator"
        )
    if not fields and mapping.keys() == {"fields"}:
        return None
    return MappingSuggestion(mapping, remarks)


def _reference_id(image: str, cells: Sequence[str], remarks: list[str]) -> str:
    """Return the template for the field that names the image: its base name where that is enough to tell paths apart."""
    if not any("/" in cell or "\\" in cell for cell in cells):
        return f"{{{image}}}"
    folders = [cell.split("/")[:-1] for cell in cells if "\\" not in cell]
    common = [
        parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False))
    ]
    whole = f"{{{image}:relative({'/'.join(common)}/)}}" if common else f"{{{image}}}"
    names = {cell.replace("\\", "/").rpartition("/")[2] for cell in cells}
    if len(names) < len(set(cells)):
        remarks.append(
            f"reference_id keeps the folders of {image}: images in different ones have the same name"
        )
        return whole
    remarks.append(
        f"reference_id is the base name of {image}: if folders hold images of the same name, {whole} tells them apart"
    )
    return f"{{{image}:basename}}"


class _Names:
    """Names that objects have, and where they lead."""

    def __init__(self, objects: Sequence[Mapping[str, Any]], before: str = "") -> None:
        self.names = list(dict.fromkeys(chain.from_iterable(objects)))
        self.before = before
        self.nested = {
            f"{name}.{member}"
            for one in objects
            for name, value in one.items()
            if isinstance(value, Mapping)
            for member in value
        }

    def first(self, wanted: Sequence[str]) -> str | None:
        return next((self.before + name for name in wanted if name in self.names), None)

    def all_of(self, wanted: Sequence[str]) -> list[str] | None:
        """Return the paths of several names, of this object or of one object inside of it."""
        if set(wanted) <= set(self.names):
            return [self.before + name for name in wanted]
        for top in sorted({path.partition(".")[0] for path in self.nested}):
            if {f"{top}.{name}" for name in wanted} <= self.nested:
                return [f"{self.before}{top}.{name}" for name in wanted]
        return None


def _exploded(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the paths of lists that have an entry per object."""
    for row in rows:
        parallel = []
        for name, value in row.items():
            value = value.tolist() if hasattr(value, "tolist") else value
            if isinstance(value, list) and value:
                if isinstance(value[0], Mapping):
                    return [name]
                if name in {*_LISTS, *_LABELS, *_SCORES} and not (name in _LISTS and _is_box(value)):
                    parallel.append(name)
            elif isinstance(value, Mapping) and any(isinstance(value.get(one), list) and value[one] and isinstance(value[one][0], list) for one in _LISTS):  # fmt: skip
                return [name]
        if any(name in _LISTS for name in parallel):
            return parallel
    return []


def _is_box(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 4
        and all(isinstance(one, (int, float)) for one in value)
    )


def _box(names: _Names, table: Any, fields: dict[str, str], remarks: list[str]) -> str | None:
    """Write where boxes come from, and return their format."""
    for form, groups in (("xyxy", _CORNERS), ("cxcywh", _CENTRES), ("xywh", _SIZES)):
        for group in groups:
            if (paths := names.all_of(group)) is not None:
                fields.update({
                    target: path for target, path in zip(_TARGETS[form], paths, strict=True) if target != path
                })
                return form
    listed = names.first(_LISTS) or next((one for one in _LISTS if any(map(_is_box, table.cells(one)))), None)
    boxes = [] if listed is None else [cell for cell in table.cells(listed) if _is_box(cell)]
    if listed is None or not boxes:
        return None
    fields["box"] = listed
    name = listed.rpartition(".")[2]
    if name in {"xyxy", "xywh"}:
        return name
    modes = {mode for mode in table.cells(f"{names.before}bbox_mode") if mode is not None}
    if modes:
        return "xyxy" if modes == {0} else "xywh"
    corners = all(c >= a and d >= b for a, b, c, d in boxes)
    if names.first(("category_id",)) and names.first(("image_id",)):
        return "xywh"
    if not corners:
        return "xywh"
    form = "xyxy" if name in {"boxes", "bboxes", "pred_boxes", "pred_bboxes", "points"} else "xywh"
    remarks.append(
        f"box_format is a guess: {listed} could be corners (xyxy) or corner and size (xywh) by its values; --image-size WIDTHxHEIGHT counts boxes that reach out of the image"
    )
    return form


def _add_sizes(mapping: dict[str, Any], outer: _Names, inner: _Names, table: Any, remarks: list[str]) -> None:
    paths = [mapping["fields"].get(name, name) for name in _TARGETS[mapping["box_format"]]]
    cells = (
        [value for cell in table.cells(mapping["fields"]["box"]) if _is_box(cell) for value in cell]
        if "box" in mapping["fields"]
        else [value for path in paths for value in table.cells(path) if isinstance(value, (int, float))]
    )
    if not cells or not all(0 <= value <= 1 for value in cells):
        return
    mapping["normalized"] = True
    for names in (outer, inner):
        for pair in _IMAGE_SIDES:
            found = names.all_of(pair)
            if found is not None and not set(found) & set(paths):
                mapping["fields"] |= {
                    target: path
                    for target, path in zip(("image_width", "image_height"), found, strict=True)
                    if target != path
                }
                return
    mapping["image_size"] = [1920, 1080]
    remarks.append("image_size is to be filled in: the boxes are shares of the image's sides")


def _add_label(mapping: dict[str, Any], names: _Names, table: Any, remarks: list[str]) -> None:
    found = names.first(_LABELS)
    if found is None:
        remarks.append("which field is the label is not known: map it in fields")
        return
    if found != "label":
        mapping["fields"]["label"] = found
    classes = sorted({int(cell) for cell in table.cells(found) if isinstance(cell, (int, float)) and not isinstance(cell, bool)})  # fmt: skip
    if classes:
        mapping["labels"] = {str(number): f"class {number}" for number in classes[:100]}
        remarks.append(
            f"labels is to be filled in: {found} holds class numbers; it may be the path of a file of names as well"
        )
