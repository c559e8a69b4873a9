"""Formats of files, detected by suffix where that says enough, else by the first bytes."""

from __future__ import annotations

from typing import Literal, get_args

from airflow_provider_nucleus.coco.layouts import looks_like, outline
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.sources.decode import loads_lenient
from airflow_provider_nucleus.sources.files import SourceFile, open_plain

__all__ = ["Format", "check_format", "detect_format", "is_foreign_json", "refuse_known_layout"]

Format = Literal["jsonl", "json", "coco", "parquet", "labelme", "via", "voc", "cvat", "kitti", "yolo"]

_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_HEAD = 1 << 16


def check_format(name: str) -> Format | Literal["auto"]:
    """Return a format name that exists, or raise NucleusConfigError."""
    if name != "auto" and name not in get_args(Format):
        raise NucleusConfigError(
            f"Unknown source format {name!r}: choose auto, {', '.join(get_args(Format))}.", field="format"
        )
    return name  # type: ignore[return-value]


def detect_format(source_file: SourceFile) -> Format:
    """Return the format of a file.

    `json` is an array of wire objects, `coco` an array of COCO results or a COCO ground truth, `jsonl` one object a line; the
    others are files of other tools. A file in which nothing can be recognised is read as JSONL, whose reader names the bad lines.
    """
    if (format_of_suffix := _SUFFIXES.get(source_file.suffix)) is not None:
        return format_of_suffix
    head = _head(source_file)
    if head.startswith(b"PAR1"):
        return "parquet"
    if source_file.suffix in {".csv", ".tsv"} and head[:1] not in {b"{", b"["}:
        raise NucleusValidationError(
            "",
            "is a table as text (CSV), which is not read",
            source=source_file.name,
            hint="Write it as Parquet, whose columns a mapping can name: pandas.read_csv(path).to_parquet(path + '.parquet').",
        )
    if source_file.suffix == ".txt" and head[:1] not in {b"", b"{", b"["}:
        if (form := _of_lines(head)) is not None:
            return form
        raise NucleusValidationError(
            "",
            "is text that holds neither rows nor labels",
            source=source_file.name,
            hint="Label files of YOLO have a class number and shares in a line, those of KITTI a name and 14 numbers. A file of names "
            "belongs into labels= of a mapping; leave it out of the source.",
        )
    found = looks_like(head) or ""
    if (form := next((form for name, form in _LAYOUTS.items() if found.startswith(name)), None)) is not None:
        return form
    if head.startswith(b"["):
        return "coco" if b'"image_id"' in head else "json"
    if not head.startswith(b"{"):
        return "jsonl"
    try:
        first = loads_lenient(head.partition(b"\n")[0])
    except ValueError:
        # Not whole on its first line: a pretty-printed or very long document, or a very long row.
        return "jsonl" if b'"reference_id"' in head else "coco"
    return "coco" if isinstance(first, dict) and {"images", "categories"} & first.keys() else "jsonl"


_LAYOUTS: dict[str, Format] = {
    "a labelme file": "labelme",
    "a project of the VGG Image Annotator (VIA)": "via",
    "annotations of the VGG Image Annotator (VIA)": "via",
    "Pascal VOC": "voc",
    "XML of CVAT": "cvat",
}
"""Formats by how the recogniser calls them."""


def _head(source_file: SourceFile) -> bytes:
    with open_plain(source_file) as stream:
        return stream.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()


def _of_lines(head: bytes) -> Format | None:
    """Return the format of label files in text by their first line: numbers alone are YOLO's, a name and 14 numbers KITTI's."""
    cells = head.partition(b"\n")[0].split()
    numbers = [_is_number(cell) for cell in cells]
    if len(cells) in {15, 16} and not numbers[0] and all(numbers[1:]):
        return "kitti"
    return "yolo" if len(cells) >= 5 and all(numbers) else None


def _is_number(cell: bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def refuse_known_layout(source_file: SourceFile) -> None:
    """Raise NucleusValidationError for a JSON file that is known and cannot be read without a mapping: none of its rows would be good."""
    likeness = looks_like(_head(source_file)) if source_file.suffix == ".json" else None
    if likeness is not None and not likeness.endswith(_OWN):
        raise NucleusValidationError(
            "",
            f"looks like {likeness}, which is not read without a mapping",
            source=source_file.name,
            hint="Say with mapping= which field is which (`nucleus-local check FILE` suggests one where it can), or export it as COCO.",
        )


_OWN = ("COCO results", "in Nucleus' own form")


def is_foreign_json(source_file: SourceFile) -> bool:
    """Return whether a file is JSON, an array or one document over several lines, and no COCO ground truth."""
    if source_file.suffix != ".json":
        return False
    head = _head(source_file)
    found = outline(head)
    return found.kind == "list" or (
        found.kind == "object" and not found.members & {"images", "categories"} and b"\n{" not in head
    )
