"""The fast path for whole columns: boxes are checked a field at a time, without an object a row in between.

Every check is one pass in C over a column, not a Python expression a row. Nothing is phrased here: columns that are not
plainly good in every row get None, and the caller goes through their rows one by one (`row_fast_path`, then pydantic). So this
may be timid but never wrong; a property test holds it equal to the schema's own parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.dot_ids import DOT_IDS
from airflow_provider_nucleus.schema.checks import COORDINATE_LIMIT, check_class_pdf, check_metadata

try:
    import orjson
except ImportError:  # the base install has no orjson
    orjson = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_nucleus.schema.batches import Tree

__all__ = ["BoxColumns", "check_box_columns", "gather_columns"]

_NEEDED = frozenset({"type", "geometry", "label", "reference_id"})
_NEVER = ("embedding_vector", "track_reference_id", "task_id")
_KNOWN = _NEEDED | {"annotation_id", "metadata", *_NEVER}
_OF_PREDICTIONS = frozenset({"confidence", "class_pdf"})
_SIDES = ("x", "y", "width", "height")
_NUMBERS = frozenset({int, float})
_NOTHING = frozenset({type(None)})
_TEXT = frozenset({str})
_STRIPPED: Callable[[str], str] = str.strip


@dataclass(frozen=True, slots=True)
class BoxColumns:
    """Boxes that passed every check, a field at a time; what is None is unset in all of them.

    `sides` are x, y, width and height. `verbatim` says that no text needs an escape in JSON.
    """

    labels: Sequence[str]
    sides: tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]
    references: Sequence[str]
    ids: Sequence[str]
    verbatim: bool
    metadata: Sequence[dict[str, Any]] | None = None
    confidences: Sequence[float] | None = None
    class_pdfs: Sequence[dict[str, float]] | None = None

    def __len__(self) -> int:
        return len(self.labels)


def gather_columns(rows: Sequence[dict[str, Any]]) -> Tree | None:
    """Return rows as columns, or None when they are not boxes with one set of keys."""
    if set(map(type, rows)) != {dict} or rows[0].get("type") != "box":
        return None
    columns = _gathered(rows)
    geometry = None if columns is None else columns.get("geometry")
    if columns is None or geometry is None or set(map(type, geometry)) != {dict}:
        return None
    sides = _gathered(geometry)
    return None if sides is None else {**columns, "geometry": sides}


def _gathered(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    names = tuple(rows[0])
    if len(names) < 2 or set(map(len, rows)) != {len(names)}:
        return None
    try:
        cells = list(map(itemgetter(*names), rows))
    except KeyError:
        return None
    return dict(zip(names, zip(*cells, strict=True), strict=True))


def check_box_columns(columns: Tree, *, predictions: bool) -> BoxColumns | None:
    """Return the boxes the columns hold, or None if they are not plainly good in all rows."""
    known = _KNOWN | _OF_PREDICTIONS if predictions else _KNOWN
    if not (columns.keys() >= _NEEDED and known >= columns.keys()):
        return None
    if any(isinstance(column, Mapping) for name, column in columns.items() if name != "geometry"):
        return None
    try:
        return _checked(columns)
    except (TypeError, ValueError, OverflowError):
        # Somewhere a value of another type or out of range: where, the way row by row finds.
        return None


def _checked(columns: Mapping[str, Any]) -> BoxColumns | None:
    geometry, labels, references = columns["geometry"], columns["label"], columns["reference_id"]
    if not (isinstance(geometry, Mapping) and geometry.keys() == set(_SIDES)):
        return None
    if set(columns["type"]) != {"box"} or not all(_absent(columns.get(name)) for name in _NEVER):
        return None
    xs, ys, widths, heights = (geometry[side] for side in _SIDES)
    limit = COORDINATE_LIMIT
    if not (
        _numbers(xs, -limit, limit)
        and _numbers(ys, -limit, limit)
        and _numbers(widths, 0, limit)
        and _numbers(heights, 0, limit)
    ):
        return None
    ids = _given(columns, "annotation_id")
    if ids is None:
        decimals = (_decimals(side) for side in (xs, ys, widths, heights))
        ids = list(map("-".join, zip(labels, *decimals, references, strict=True)))
    joined = [_plain_texts(texts) for texts in (labels, references, ids)]
    if "" in joined or not (DOT_IDS.isdisjoint(references) and DOT_IDS.isdisjoint(ids)):
        return None
    confidences = _given(columns, "confidence")
    if confidences is not None and not _numbers(confidences, 0, 1):
        return None
    return BoxColumns(
        labels,
        (xs, ys, widths, heights),
        references,
        ids,
        all(map(_verbatim, joined)),
        _metadata(_given(columns, "metadata")),
        confidences,
        _distributions(_given(columns, "class_pdf")),
    )


def _given(columns: Mapping[str, Any], name: str) -> Sequence[Any] | None:
    """Return a column unless it is unset in all rows."""
    values = columns.get(name)
    return None if _absent(values) else values


def _absent(values: Sequence[Any] | None) -> bool:
    return values is None or set(map(type, values)) <= _NOTHING


def _numbers(values: Sequence[Any], low: float, high: float) -> bool:
    """Say whether all are plain finite numbers in a closed range."""
    return (
        _NUMBERS.issuperset(map(type, values))
        and isfinite(sum(values))  # what hides from a comparison, NaN, does not hide from a sum
        and low <= min(values)
        and max(values) <= high
    )


def _decimals(values: Sequence[float]) -> Sequence[str]:
    """Return finite numbers as Python spells them, which orjson does faster but for very small and very large ones."""
    if orjson is not None:
        text = orjson.dumps(values).decode()
        if "e" not in text and "0.0000" not in text:
            return text[1:-1].split(",")
    return list(map(str, values))


def _plain_texts(values: Sequence[Any]) -> str:
    """Return the texts as one if all are text nobody can object to, else nothing."""
    if set(map(type, values)) != _TEXT:
        return ""
    joined = "".join(values)
    return joined if joined.isascii() and all(map(_STRIPPED, values)) else ""


def _verbatim(text: str) -> bool:
    return text.isprintable() and '"' not in text and "\\" not in text


def _metadata(given: Sequence[Any] | None) -> Sequence[dict[str, Any]] | None:
    """Return the metadata of every row as it travels; raises ValueError or TypeError where some is not plain."""
    if given is None:
        return None
    if not {dict, type(None)}.issuperset(map(type, given)):
        raise TypeError("metadata that is no object")
    for metadata in given:
        if metadata and check_metadata(metadata) is not metadata:
            raise ValueError("metadata that changes on its way")
    return [metadata or {} for metadata in given]


def _distributions(given: Sequence[Any] | None) -> Sequence[dict[str, float]] | None:
    """Return the distribution of every row; raises ValueError where some is bad or missing."""
    if given is None:
        return None
    checked = [pdf for value in given if (pdf := check_class_pdf(value)) is not None]
    if len(checked) != len(given):
        raise ValueError("rows without a distribution among rows with one")
    return checked
