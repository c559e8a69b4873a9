"""Label files in text, one an image, an object a line: those of KITTI and of YOLO (Ultralytics).

Neither names its image: the reference id is the name of the file without its extension, unless the mapping makes another
of `{stem}`, such as `reference_id="{stem}.jpg"`.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.sources.layouts.reading import (
    Row,
    read_document,
    rows_of,
    shape_row,
    unreadable_as,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.schema.batches import RowBatch
    from airflow_provider_nucleus.sources.files import SourceFile

__all__ = ["read_kitti", "read_yolo"]


def read_kitti(source_file: SourceFile, geometry: str) -> Iterator[RowBatch]:
    """Yield the 2D boxes of an image; a 16th number is the confidence, and DontCare regions are left out, and counted."""
    named = _named(source_file)

    def convert(line: str) -> Row | None:
        cells = line.split()
        if len(cells) not in {15, 16}:
            raise ValueError(f"has {len(cells)} values, a line of KITTI has 15, or 16 with a score")
        if cells[0] == "DontCare":
            return None
        left, top, right, bottom = map(float, cells[4:8])
        if right < left or bottom < top:
            raise ValueError(f"its corners are the wrong way round: {left}, {top} to {right}, {bottom}")
        row = {
            "label": cells[0],
            **named,
            **shape_row([(left, top), (right, bottom)], geometry=geometry, rectangle=True),
        }
        return row | ({"confidence": float(cells[15])} if len(cells) == 16 else {})

    return rows_of(source_file, _lines(source_file), convert)


def read_yolo(
    source_file: SourceFile, geometry: str, image_size: tuple[float, float] | None
) -> Iterator[RowBatch]:
    """Yield the boxes (`class cx cy width height [confidence]`) or polygons (`class x y x y ...`) of an image.

    They are shares of the image's sides, so its size is needed: NucleusConfigError without it.
    """
    if image_size is None:
        raise NucleusConfigError(
            f"{source_file.name} is a label file of YOLO, whose numbers are shares of the image's sides.",
            field="mapping",
            hint='Give the size of the images in the mapping: {"image_size": [1920, 1080], "labels": "data.yaml"}; where sizes '
            "differ, export as COCO.",
        )
    wide, high = image_size
    named = _named(source_file)

    def convert(line: str) -> Row:
        cells = line.split()
        numbers = list(map(float, cells[1:]))
        if any(not -0.5 <= number <= 1.5 for number in numbers):
            raise ValueError(f"holds a number that is no share of an image's side: {line[:80]!r}")
        row: Row = {"label": cells[0], **named}
        if len(numbers) in {4, 5}:
            cx, cy, width, height = numbers[:4]
            corners = [
                ((cx - width / 2) * wide, (cy - height / 2) * high),
                ((cx + width / 2) * wide, (cy + height / 2) * high),
            ]
            row |= shape_row(corners, geometry=geometry, rectangle=True)
            return row | ({"confidence": numbers[4]} if len(numbers) == 5 else {})
        if len(numbers) < 6 or len(numbers) % 2:
            raise ValueError(
                f"has {len(cells)} values: a box has 5, or 6 with a confidence, a polygon pairs of x and y"
            )
        points = [(x * wide, y * high) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
        return row | shape_row(points, geometry=geometry, rectangle=False)

    return rows_of(source_file, _lines(source_file), convert)


def _named(source_file: SourceFile) -> Row:
    name = PurePosixPath(source_file.name.replace("\\", "/"))
    return {"reference_id": name.stem, "stem": name.stem, "path": str(name)}


def _lines(source_file: SourceFile) -> list[str]:
    try:
        text = read_document(source_file).decode()
    except UnicodeDecodeError as error:
        raise unreadable_as(source_file, f"is no UTF-8 text: {error.reason}") from None
    return [line for line in text.splitlines() if line.strip()]
