"""Checked columns of boxes as NDJSON, assembled in C: a field at a time, joined once.

Byte for byte what encoding each row's wire object would give, so that it does not show in a chunk's digest which way its rows
came; a property test holds both equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_nucleus.schema.box_columns import BoxColumns

__all__ = ["box_lines"]


def box_lines(boxes: BoxColumns, dumps: Callable[[Any], bytes]) -> bytes:
    """Return one line a box; `dumps` encodes a value as compact JSON, or raises."""
    quote = '"' if boxes.verbatim else ""

    def texts(values: Sequence[str]) -> Iterable[str]:
        return values if boxes.verbatim else _each(values, dumps)

    x, y, width, height = (_numbers(side, dumps) for side in boxes.sides)
    columns: list[tuple[str, Iterable[str]]] = [
        (f'{{"label":{quote}', texts(boxes.labels)),
        (f'{quote},"type":"box","geometry":{{"x":', x),
        (',"y":', y),
        (',"width":', width),
        (',"height":', height),
        (f'}},"reference_id":{quote}', texts(boxes.references)),
        (f'{quote},"annotation_id":{quote}', texts(boxes.ids)),
    ]
    end = f'{quote},"metadata":'
    if boxes.metadata is None:
        end += "{}"
    else:
        columns.append((end, _each(boxes.metadata, dumps)))
        end = ""
    end += ',"embedding_vector":null,"track_reference_id":null,"task_id":null'
    for name, column in (
        ("confidence", None if boxes.confidences is None else _numbers(boxes.confidences, dumps)),
        ("class_pdf", None if boxes.class_pdfs is None else _each(boxes.class_pdfs, dumps)),
    ):
        if column is not None:
            columns.append((f'{end},"{name}":', column))
            end = ""
    return _interleaved(columns, end + "}\n", len(boxes))


def _interleaved(columns: Sequence[tuple[str, Iterable[str]]], end: str, count: int) -> bytes:
    width = 2 * len(columns) + 1
    parts = [end] * (width * count)
    for at, (before, column) in enumerate(columns):
        parts[2 * at :: width] = [before] * count
        parts[2 * at + 1 :: width] = column
    return "".join(parts).encode()


def _numbers(values: Sequence[float], dumps: Callable[[Any], bytes]) -> list[str]:
    return dumps(values)[1:-1].decode().split(",")


def _each(values: Sequence[Any], dumps: Callable[[Any], bytes]) -> list[str]:
    return [dumps(value).decode() for value in values]
