"""labelme: one JSON file an image, with rectangles and polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.sources.layouts.reading import Row, read_json, rows_of, shape_row, unreadable_as
from airflow_provider_nucleus.sources.template import compile_template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.schema.batches import RowBatch
    from airflow_provider_nucleus.sources.files import SourceFile

__all__ = ["read_labelme"]

_basename = compile_template("{path:basename}", "imagePath")


def read_labelme(source_file: SourceFile, geometry: str) -> Iterator[RowBatch]:
    """Yield the shapes of one image as rows; the reference id is the base name of `imagePath`."""
    document = read_json(source_file, "labelme file")
    shapes, path = document.get("shapes"), document.get("imagePath")
    if not isinstance(shapes, list) or not isinstance(path, str) or not path:
        raise unreadable_as(source_file, "is no labelme file: it needs 'shapes' (a list) and 'imagePath'")
    name = _basename({"path": path})

    def convert(shape: Any) -> Row:
        kind = shape.get("shape_type") or "polygon"
        if kind not in {"rectangle", "polygon", "circle"}:
            raise ValueError(
                f"shape_type {kind!r} is no area: rectangle, polygon and circle are read; convert the others in labelme"
            )
        points = [(x, y) for x, y in shape["points"]]
        if kind == "circle":
            if geometry == "polygon":
                raise ValueError("a circle is no polygon: read it as its box (geometry='box')")
            (x, y), (on_x, on_y) = points
            radius = ((on_x - x) ** 2 + (on_y - y) ** 2) ** 0.5
            points = [(x - radius, y - radius), (x + radius, y + radius)]
        metadata = {
            key: shape[key] for key in ("group_id", "description") if shape.get(key) not in (None, "")
        }
        return {
            "label": shape["label"],
            "reference_id": name,
            "path": path,
            **shape_row(points, geometry=geometry, rectangle=kind != "polygon"),
            **({"metadata": metadata} if metadata else {}),
        }

    return rows_of(source_file, shapes, convert)
