"""VGG Image Annotator (VIA 2): a project, or its annotations as JSON, with regions by image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.sources.layouts.reading import Row, read_json, rows_of, shape_row, unreadable_as

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_nucleus.schema.batches import RowBatch
    from airflow_provider_nucleus.sources.files import SourceFile

__all__ = ["read_via"]

_LABEL_NAMES = ("label", "class", "name", "type", "category")


def read_via(source_file: SourceFile, geometry: str) -> Iterator[RowBatch]:
    """Yield the regions of all images as rows.

    The label is the only attribute of a region, or the one called label, class, name, type or category.
    """
    document = read_json(source_file, "VIA project")
    images = document.get("_via_img_metadata", document)
    entries = [one for one in images.values() if isinstance(one, dict) and "filename" in one] if isinstance(images, dict) else []  # fmt: skip
    if not entries:
        raise unreadable_as(
            source_file, "is no VIA 2 project: it has no images with 'filename' and 'regions'", "Export the annotations as JSON with VIA 2."
        )  # fmt: skip

    def convert(pair: tuple[str, Any]) -> Row:
        name, region = pair
        if not isinstance(region, dict):
            raise ValueError(  # ruff: ignore[type-check-without-type-error] - the reason of a row
                f"a region must be an object, got {type(region).__name__}"
            )
        return {
            "label": _label(region.get("region_attributes") or {}),
            "reference_id": name,
            "path": name,
            **_shape(region["shape_attributes"], geometry),
        }

    return rows_of(
        source_file, ((entry["filename"], one) for entry in entries for one in _regions(entry)), convert
    )


def _regions(entry: Mapping[str, Any]) -> list[Any]:
    regions = entry.get("regions") or []
    if isinstance(regions, dict):
        return list(regions.values())
    return regions if isinstance(regions, list) else [regions]


def _label(attributes: Mapping[str, Any]) -> str:
    texts = {name: value for name, value in attributes.items() if isinstance(value, str) and value}
    if len(texts) == 1:
        return next(iter(texts.values()))
    for name in _LABEL_NAMES:
        if name in texts:
            return str(texts[name])
    raise ValueError(
        f"which attribute is its label is not known: it has {', '.join(map(repr, attributes)) or 'none'}; "
        f"name one of them {', '.join(_LABEL_NAMES)}"
    )


def _shape(shape: Mapping[str, Any], geometry: str) -> Row:
    kind = shape.get("name")
    if kind == "rect":
        left, top = shape["x"], shape["y"]
        return shape_row(
            [(left, top), (left + shape["width"], top + shape["height"])], geometry=geometry, rectangle=True
        )
    if kind == "polygon":
        points = list(zip(shape["all_points_x"], shape["all_points_y"], strict=True))
        return shape_row(points, geometry=geometry, rectangle=False)
    if kind in {"circle", "ellipse"} and geometry == "box":
        wide, high = (shape["r"], shape["r"]) if kind == "circle" else (shape["rx"], shape["ry"])
        points = [(shape["cx"] - wide, shape["cy"] - high), (shape["cx"] + wide, shape["cy"] + high)]
        return shape_row(points, geometry=geometry, rectangle=True)
    raise ValueError(
        f"a shape {kind!r} is no {geometry}: rect and polygon are read, circle and ellipse as boxes"
    )
