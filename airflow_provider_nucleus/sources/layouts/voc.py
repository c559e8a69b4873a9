"""Pascal VOC: one XML file an image, with boxes by their corners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.sources.layouts.reading import Row, read_xml, rows_of, shape_row, unreadable_as

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from airflow_provider_nucleus.schema.batches import RowBatch
    from airflow_provider_nucleus.sources.files import SourceFile

__all__ = ["read_voc"]

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_FLAGS = ("difficult", "truncated", "occluded")


def read_voc(source_file: SourceFile, geometry: str) -> Iterator[RowBatch]:
    """Yield the objects of one image as rows; the reference id is its `filename`.

    A width is the difference of the corners, as the tools that write such files today mean it; the challenge's own files count the
    last pixel in. `difficult`, `truncated` and `occluded` are kept in the metadata.
    """
    root = read_xml(source_file, "annotation", "Pascal VOC file")
    name = (root.findtext("filename") or "").strip()
    if not name:
        raise unreadable_as(source_file, "is no Pascal VOC file: it names no image (filename)")

    def convert(element: Element) -> Row:
        box = element.find("bndbox")
        if box is None:
            raise ValueError("has no bndbox")
        left, top, right, bottom = (_number(box, corner) for corner in _CORNERS)
        if right < left or bottom < top:
            raise ValueError(f"its corners are the wrong way round: {left}, {top} to {right}, {bottom}")
        flags = {flag: text.strip() for flag in _FLAGS if (text := element.findtext(flag)) is not None}
        return {
            "label": (element.findtext("name") or "").strip(),
            "reference_id": name,
            "path": name,
            **shape_row([(left, top), (right, bottom)], geometry=geometry, rectangle=True),
            **({"metadata": flags} if flags else {}),
        }

    return rows_of(source_file, root.findall("object"), convert)


def _number(box: Element, corner: str) -> float:
    text = box.findtext(corner)
    try:
        value = float(text or "")
    except ValueError:
        raise ValueError(f"bndbox.{corner} is {text!r}, which is no number") from None
    return int(value) if value.is_integer() else value
