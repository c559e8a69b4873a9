"""CVAT's XML 1.1, for images and for videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.sources.layouts.reading import Row, read_xml, rows_of, shape_row, unreadable_as

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from airflow_provider_nucleus.schema.batches import RowBatch
    from airflow_provider_nucleus.sources.files import SourceFile

__all__ = ["read_cvat"]

_SHAPES = frozenset({"box", "polygon", "polyline", "points", "ellipse", "mask", "cuboid", "skeleton", "tag"})


def read_cvat(source_file: SourceFile, geometry: str) -> Iterator[RowBatch]:
    """Yield boxes and polygons of all images as rows; of a video, those of each frame, whose id is `frame_000123`."""
    root = read_xml(source_file, "annotations", "XML of CVAT")
    placed = [(image, shape) for image in root.iter("image") for shape in image if shape.tag in _SHAPES]
    placed += [
        (track, shape)
        for track in root.iter("track")
        for shape in track
        if shape.tag in _SHAPES and shape.get("outside") != "1"
    ]
    if root.find("image") is None and root.find("track") is None:
        raise unreadable_as(source_file, "is no XML of CVAT: it has neither <image> nor <track>")

    def convert(one: tuple[Element, Element]) -> Row:
        parent, shape = one
        name, label = _name(parent, shape), (parent if parent.tag == "track" else shape).get("label")
        rotated = float(shape.get("rotation") or 0)
        if shape.tag == "box" and not rotated:
            points = [
                (float(shape.attrib["xtl"]), float(shape.attrib["ytl"])),
                (float(shape.attrib["xbr"]), float(shape.attrib["ybr"])),
            ]
        elif shape.tag == "polygon":
            points = [
                (float(x), float(y))
                for x, _, y in (pair.partition(",") for pair in shape.attrib["points"].split(";"))
            ]
        else:
            what = f"a box turned by {rotated:g} degrees" if rotated else f"<{shape.tag}>"
            raise ValueError(
                f"{what} of {name} is neither an upright box nor a polygon; export it as polygon, or from CVAT as COCO"
            )
        return {
            "label": label or "",
            "reference_id": name,
            "path": name,
            **shape_row(points, geometry=geometry, rectangle=shape.tag == "box"),
        }

    return rows_of(source_file, placed, convert)


def _name(parent: Element, shape: Element) -> str:
    """Return the name of the image that a shape is on: that of an `<image>`, or of the frame of a `<track>`."""
    if parent.tag == "track":
        frame = shape.get("frame", "")
        if not (frame.isascii() and frame.isdigit()):
            raise ValueError(f"frame is {frame!r}, which is no number of a frame")
        return f"frame_{int(frame):06d}"
    if not (name := parent.get("name")):
        raise ValueError("its image has no name")
    return name
