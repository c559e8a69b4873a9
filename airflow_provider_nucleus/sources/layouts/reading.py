"""Steps that the readers of other tools' files share: one document in memory, its objects as rows or as reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET  # ruff: ignore[suspicious-xml-etree-import] - never with entities

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.batches import RowBatch
from airflow_provider_nucleus.schema.rows import SourceRow
from airflow_provider_nucleus.sources.decode import loads_lenient
from airflow_provider_nucleus.sources.files import SourceFile, open_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from xml.etree.ElementTree import Element

__all__ = ["Row", "read_document", "read_json", "read_xml", "rows_of", "shape_row", "unreadable_as"]

Row = dict[str, Any]
LARGEST = 256 << 20
"""Bytes of a document that is held in memory; those of one image are far smaller."""


def read_document(source_file: SourceFile) -> bytes:
    """Return the decompressed bytes of a file, without a byte order mark."""
    with open_plain(source_file) as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise unreadable_as(source_file, f"is larger than {LARGEST >> 20} MiB", "Split it.")
    return raw.removeprefix(b"\xef\xbb\xbf")


def read_json(source_file: SourceFile, what: str) -> Row:
    """Return the object that a JSON file holds."""
    try:
        document = loads_lenient(read_document(source_file))
    except ValueError as error:
        raise unreadable_as(source_file, f"is no {what}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise unreadable_as(source_file, f"is no {what}: it holds no object")
    return document


def read_xml(source_file: SourceFile, root: str, what: str) -> Element:
    """Return the root of an XML file; one that declares entities is refused unread, for they may grow without end."""
    raw = read_document(source_file)
    if b"\x00" in raw:
        raise unreadable_as(source_file, "is no UTF-8 text", "Write it as UTF-8.")
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise unreadable_as(
            source_file, "declares a document type or entities, which no annotation needs", "Remove it."
        )
    try:
        found = ET.fromstring(raw)  # ruff: ignore[suspicious-xml-element-tree-usage] - it has no entities
    except (ET.ParseError, ValueError, LookupError) as error:
        raise unreadable_as(source_file, f"is no XML: {error}") from None
    if found.tag != root:
        raise unreadable_as(source_file, f"is no {what}: its root is <{found.tag}>, not <{root}>")
    return found


def unreadable_as(source_file: SourceFile, reason: str, hint: str | None = None) -> NucleusValidationError:
    """Return the error for a file that is not what it is read as."""
    return NucleusValidationError("", reason, source=source_file.name, hint=hint)


def rows_of(
    source_file: SourceFile, objects: Iterable[Any], convert: Callable[[Any], Row | None]
) -> Iterator[RowBatch]:
    """Yield the objects of a document as one batch; numbers count them from 1. None is an object without a shape."""
    numbers: list[int] = []
    rows: list[Row] = []
    problems: list[SourceRow] = []
    passed = 0
    for number, one in enumerate(objects, 1):
        try:
            row = convert(one)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raw = one if isinstance(one, dict) else {"raw": _text(one)}
            problems.append(SourceRow(source_file.name, number, raw, reason))
            continue
        if row is None:
            passed += 1
            continue
        numbers.append(number)
        rows.append(row)
    left_out = {"regions marked DontCare": passed} if passed else {}
    yield RowBatch(source_file.name, numbers, rows, problems, left_out=left_out)


def _text(one: Any) -> str:
    """Return an object as text; of elements that are placed one inside the other, the last."""
    if isinstance(one, tuple):
        one = one[-1]
    try:
        return (ET.tostring(one, encoding="unicode") if isinstance(one, ET.Element) else repr(one))[:2_000]
    except RecursionError:
        return "nested too deeply"


def shape_row(points: Sequence[tuple[float, float]], *, geometry: str, rectangle: bool) -> Row:
    """Return type and geometry of an outline: as the box around it, or as polygon."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if geometry == "polygon":
        if rectangle:
            left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
            points = [(left, top), (right, top), (right, bottom), (left, bottom)]
        if len(points) < 3:
            raise ValueError(f"a polygon has at least three points, this one has {len(points)}")
        return {"type": "polygon", "geometry": {"vertices": [{"x": x, "y": y} for x, y in points]}}
    if not points:
        raise ValueError("has no points")
    return {
        "type": "box",
        "geometry": {"x": min(xs), "y": min(ys), "width": max(xs) - min(xs), "height": max(ys) - min(ys)},
    }
