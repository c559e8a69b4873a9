"""The short way for whole columns: boxes that came as columns are checked and spelled without a dictionary a row in between.

Every check is one pass in C over a column, not a Python expression a row. Nothing is phrased here: columns that are not
plainly good in every row get None, and the caller goes through their rows one by one (:mod:`.fast`, then pydantic). So this
may be timid but never wrong; a property test holds it equal to the schema's own parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.schema.checks import COORDINATE_LIMIT, check_class_pdf, check_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_nucleus.schema.batches import Tree

__all__ = ["spell_box_columns"]

_NEEDED = frozenset({"type", "geometry", "label", "reference_id"})
_NEVER = ("embedding_vector", "track_reference_id", "task_id")
_KNOWN = _NEEDED | {"annotation_id", "metadata", *_NEVER}
_OF_PREDICTIONS = frozenset({"confidence", "class_pdf"})
_SIDES = ("x", "y", "width", "height")
_NUMBERS = frozenset({int, float})
_NOTHING = frozenset({type(None)})
_TEXT = frozenset({str})
_STRIPPED: Callable[[str], str] = str.strip


def spell_box_columns(columns: Tree, *, predictions: bool) -> list[dict[str, Any]] | None:
    """Return what ``to_wire`` of a box would spell for every row, or None if that is not plain for all of them."""
    known = _KNOWN | _OF_PREDICTIONS if predictions else _KNOWN
    if not (columns.keys() >= _NEEDED and known >= columns.keys()):
        return None
    if any(isinstance(column, Mapping) for name, column in columns.items() if name != "geometry"):
        return None
    try:
        return _spelled(columns)
    except (TypeError, ValueError, OverflowError):
        # Somewhere a value of another type or out of range: where, the way row by row finds.
        return None


def _spelled(columns: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    geometry, labels, references = columns["geometry"], columns["label"], columns["reference_id"]
    if not (isinstance(geometry, Mapping) and geometry.keys() == set(_SIDES)) or set(columns["type"]) != {
        "box"
    }:
        return None
    xs, ys, widths, heights = (geometry[side] for side in _SIDES)
    limit = COORDINATE_LIMIT
    if not (
        _numbers(xs, -limit, limit)
        and _numbers(ys, -limit, limit)
        and _numbers(widths, 0, limit)
        and _numbers(heights, 0, limit)
        and _plain_texts(labels)
        and _plain_texts(references)
        and all(_absent(columns.get(name)) for name in _NEVER)
    ):
        return None
    ids = columns.get("annotation_id")
    if ids is None or _absent(ids):
        ids = [
            f"{label}-{x}-{y}-{width}-{height}-{reference}"
            for label, x, y, width, height, reference in zip(
                labels, xs, ys, widths, heights, references, strict=True
            )
        ]
    elif not _plain_texts(ids):
        return None
    boxes: list[dict[str, Any]] = [
        {
            "label": label,
            "type": "box",
            "geometry": {"x": x, "y": y, "width": width, "height": height},
            "reference_id": reference,
            "annotation_id": annotation_id,
            "metadata": metadata,
            "embedding_vector": None,
            "track_reference_id": None,
            "task_id": None,
        }
        for label, x, y, width, height, reference, annotation_id, metadata in zip(
            labels, xs, ys, widths, heights, references, ids, _metadata(columns), strict=True
        )
    ]
    confidences, distributions = columns.get("confidence"), columns.get("class_pdf")
    if confidences is not None and not _absent(confidences):
        if not _numbers(confidences, 0, 1):
            return None
        _put(boxes, "confidence", confidences)
    if distributions is not None and not _absent(distributions):
        checked = list(map(check_class_pdf, distributions))
        if None in checked:
            return None
        _put(boxes, "class_pdf", checked)
    return boxes


def _put(boxes: list[dict[str, Any]], name: str, values: Iterable[Any]) -> None:
    for box, value in zip(boxes, values, strict=True):
        box[name] = value


def _absent(values: Sequence[Any] | None) -> bool:
    return values is None or set(map(type, values)) <= _NOTHING


def _numbers(values: Sequence[Any], low: float, high: float) -> bool:
    """Say whether all are plain finite numbers in a closed range."""
    return (
        _NUMBERS.issuperset(map(type, values))
        and all(map(isfinite, values))
        and low <= min(values)
        and max(values) <= high
    )


def _plain_texts(values: Sequence[Any]) -> bool:
    """Say whether all are text nobody can object to."""
    return set(map(type, values)) == _TEXT and "".join(values).isascii() and all(map(_STRIPPED, values))


def _metadata(columns: Mapping[str, Any]) -> Sequence[Any]:
    """Return the metadata of every row as it travels; raises ValueError or TypeError where some is not plain."""
    given = columns.get("metadata")
    if given is None or _absent(given):
        return [{} for _ in columns["label"]]
    if not {dict, type(None)}.issuperset(map(type, given)):
        raise TypeError("metadata that is no object")
    for metadata in given:
        if metadata and check_metadata(metadata) is not metadata:
            raise ValueError("metadata that changes on its way")
    return [metadata or {} for metadata in given]
