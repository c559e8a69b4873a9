"""The fast path for whole columns: boxes are checked a field at a time, without an object a row in between.

Every check is one pass in C over a column, not a Python expression a row. Nothing is phrased here: columns that are not
plainly good in every row get None, and the caller goes through their rows one by one (`row_fast_path`, then pydantic). So this
may be timid but never wrong; a property test holds it equal to the schema's own parser.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.dot_ids import DOT_IDS
from airflow_provider_nucleus.schema.checks import COORDINATE_LIMIT, check_class_pdf, check_metadata

try:
    import orjson
except ImportError:  # the base install has no orjson
    orjson = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_nucleus.schema.batches import Tree

__all__ = ["BoxColumns", "check_box_columns", "gather_columns"]

_NEEDED = frozenset({"type", "geometry", "label", "reference_id"})
_NEVER = ("embedding_vector", "track_reference_id", "task_id")
_KNOWN = _NEEDED | {"annotation_id", "metadata", *_NEVER}
_OF_PREDICTIONS = frozenset({"confidence", "class_pdf"})
_SIDES = ("x", "y", "width", "height")
_NUMBERS = frozenset({int, float})
_NOTHING = frozenset({type(None)})
_TOP, _NEXT = (
    (slice(at, None, 8) for at in (7, 6))
    if sys.byteorder == "little"
    else (slice(at, None, 8) for at in (0, 1))
)
"""The bytes of doubles that hold the sign and the higher part of the exponent, and those after them."""
_SMALL = bytes(range(0x43))
"""Top bytes of numbers from 0 to 2**49, which every coordinate is that means something; what is no finite number has another."""
_SMALL_OF_EITHER_SIGN = _SMALL + bytes(range(0x80, 0xC3))
_TEXT = frozenset({str})
_STRIPPED: Callable[[str], str] = str.strip


@dataclass(frozen=True, slots=True)
class BoxColumns:
    """Boxes that passed every check, a field at a time; what is None is unset in all of them.

    `sides` are x, y, width and height; `extents` the leading two bytes of the last two as doubles, the highest apart. `verbatim` says that no text needs an escape
    in JSON. What the checks had to count and compare anyway is kept for who counts on: how often each label and each item
    occurs, in the order of their first rows, and the least confidence.
    """

    labels: Sequence[str]
    sides: tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]
    references: Sequence[str]
    ids: Sequence[str]
    verbatim: bool
    extents: tuple[tuple[bytes, bytes], tuple[bytes, bytes]]
    label_counts: Counter[str]
    reference_counts: Counter[str]
    metadata: Sequence[dict[str, Any]] | None = None
    confidences: Sequence[float] | None = None
    class_pdfs: Sequence[dict[str, float]] | None = None
    least_confidence: float | None = None

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
    if _leading_bytes(xs, signed=True) is None or _leading_bytes(ys, signed=True) is None:
        return None
    across, up = _leading_bytes(widths, signed=False), _leading_bytes(heights, signed=False)
    if across is None or up is None:
        return None
    ids = _given(columns, "annotation_id")
    if ids is None:
        decimals = (_decimals(side) for side in (xs, ys, widths, heights))
        ids = list(map("-".join, zip(labels, *decimals, references, strict=True)))
    if not (_are_texts(labels) and _are_texts(references) and _are_texts(ids)):
        return None
    label_counts, reference_counts = Counter(labels), Counter(references)
    joined = [_plain_texts(texts) for texts in (label_counts, reference_counts, ids)]
    if "" in joined or not (DOT_IDS.isdisjoint(reference_counts) and DOT_IDS.isdisjoint(ids)):
        return None
    confidences = _given(columns, "confidence")
    least = None if confidences is None else _shares(confidences)
    if confidences is not None and least is None:
        return None
    return BoxColumns(
        labels,
        (xs, ys, widths, heights),
        references,
        ids,
        all(map(_verbatim, joined)),
        (across, up),
        label_counts,
        reference_counts,
        _metadata(_given(columns, "metadata")),
        confidences,
        _distributions(_given(columns, "class_pdf")),
        least,
    )


def _given(columns: Mapping[str, Any], name: str) -> Sequence[Any] | None:
    """Return a column unless it is unset in all rows."""
    values = columns.get(name)
    return None if _absent(values) else values


def _absent(values: Sequence[Any] | None) -> bool:
    return values is None or set(map(type, values)) <= _NOTHING


def _leading_bytes(values: Sequence[float], *, signed: bool) -> tuple[bytes, bytes] | None:
    """Return the leading bytes of plain coordinates, or extents, as doubles; None where one is out of range."""
    if not _NUMBERS.issuperset(map(type, values)):
        return None
    doubles = array("d", values).tobytes()
    leading = doubles[_TOP], doubles[_NEXT]
    if leading[0].translate(None, _SMALL_OF_EITHER_SIGN if signed else _SMALL):
        low = -COORDINATE_LIMIT if signed else 0
        if not (_least(values) >= low and max(values) <= COORDINATE_LIMIT):
            return None
    return leading


def _shares(values: Sequence[float]) -> float | None:
    """Return the least of plain numbers from 0 to 1; None where one is not that."""
    if not _NUMBERS.issuperset(map(type, values)):
        return None
    least = _least(values)
    return least if least >= 0 and max(values) <= 1 else None


def _least(values: Sequence[float]) -> float:
    """Return the least of numbers, NaN where one is not finite: what hides from a comparison does not hide from a sum."""
    return min(values) if isfinite(sum(values)) else nan


def _decimals(values: Sequence[float]) -> Sequence[str]:
    """Return finite numbers as Python spells them, which orjson does faster but for very small and very large ones."""
    if orjson is not None:
        text = orjson.dumps(values).decode()
        if "e" not in text and "0.0000" not in text:
            return text[1:-1].split(",")
    return list(map(str, values))


def _are_texts(values: Sequence[Any]) -> bool:
    return set(map(type, values)) == _TEXT


def _plain_texts(values: Iterable[str]) -> str:
    """Return the texts as one if nobody can object to any, else nothing."""
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
