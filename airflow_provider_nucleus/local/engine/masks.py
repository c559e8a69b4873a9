"""Matching of mask segments: those of one image of indices with those of another.

Segments associate when they share more than 1 % of their union, or any pixel at all if their labels are right. Only
masks whose bytes the server holds can be compared: those that are behind a remote address still are reported as not matched.
"""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants and compiled conditions; values are parameters

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
from PIL import Image

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.matching.nucleus import match_pairs
from airflow_provider_nucleus.evaluation.overlap.masks import Segments, index_overlap, segment_pairs
from airflow_provider_nucleus.evaluation.sides.columns import columns
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy, Vocabulary
from airflow_provider_nucleus.local.engine.match_rows import match_rows
from airflow_provider_nucleus.local.engine.sides import Side, item_spans
from airflow_provider_nucleus.local.engine.span_matches import Skipped, SpanMatches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IndexArray
    from airflow_provider_nucleus.evaluation.overlap.masks import IndexOverlap
    from airflow_provider_nucleus.local.engine.sides import Span
    from airflow_provider_nucleus.local.requests.match_options import MatchOptions
    from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "MINIMUM_OVERLAP",
    "ComparedSegments",
    "MaskError",
    "MaskFamily",
    "MaskFiles",
    "SegmentRows",
    "read_pixels",
]

MINIMUM_OVERLAP: Final = 0.01
"""Share of the union above which segments of any labels may associate."""
_INDEX_LIMIT: Final = 65_535
"""Largest index of a segment: what a 16-bit image can hold. Larger ones would let a row take any amount of memory."""
_PIXELS_LIMIT: Final = 100_000_000
"""Pixels of the largest mask: a few kilobytes of PNG can hold any number."""
_SPREAD: Final = {"L;2": 85, "L;4": 17}
"""The raw modes of grey of fewer bits than a byte, and by what their values are multiplied."""
_PIECE: Final = 1 << 20
_MASKS_AT_ONCE: Final = 2_000
"""Masks of both sides handled in one step; their pixels are read one image at a time and only counts are held."""


@dataclass(frozen=True, slots=True)
class _StoredMask:
    """A stored mask: the segments it declares, and its pixels once they are read."""

    number: int
    labels: tuple[str, ...]
    indices: tuple[int, ...]
    pixels: NDArray[Any]


@dataclass(frozen=True, slots=True)
class MaskFiles:
    """The files of masks: `path_of` says where one lies, `problems` by object number why there is none."""

    path_of: Callable[[str], Path]
    problems: Mapping[int, str] = field(default_factory=dict)

    def read(self, number: int, blob: str | None) -> NDArray[Any]:
        """Return the indices of a stored mask, [height, width]; raises `MaskError`."""
        if blob is None:
            raise MaskError(
                self.problems.get(number, "the mask is behind a remote address, which was not fetched")
            )
        return read_pixels(self.path_of(blob))


@dataclass(frozen=True, slots=True)
class MaskFamily:
    """Segments of masks; `files` says where the bytes of a mask lie, or why there are none."""

    files: MaskFiles
    name: str = "mask"
    types: tuple[str, ...] = ("segmentation",)

    def spans(self, cursor: Cursor, sets: ComparedSets) -> list[Span]:
        """Cut the work into spans of items."""
        return item_spans(cursor, sets, table="masks", condition="true", rows=_MASKS_AT_ONCE)

    def match(
        self, cursor: Cursor, sets: ComparedSets, *, span: Span, options: MatchOptions, first: int
    ) -> SpanMatches:
        """Match a span; its rows are numbered from `first`."""
        found = self.compare(cursor, sets, span=span)
        vocabulary = Vocabulary.of(found.truth.labels, found.predictions.labels)
        rule = LabelMatchPolicy.from_names(
            options.allowed_label_matches,
            vocabulary,
            class_agnostic=options.class_agnostic,
            minimum_overlap=MINIMUM_OVERLAP,
        )
        sides = found.truth.side(span, vocabulary), found.predictions.side(span, vocabulary)
        matches = match_pairs(
            sides[0].columns,
            sides[1].columns,
            ground_truth_rows=found.truth_rows,
            prediction_rows=found.prediction_rows,
            overlap=found.overlap,
            rule=rule,
        )
        rows = match_rows(*sides, matches, vocabulary=vocabulary, family=self.name, first=first)
        return SpanMatches(
            rows,
            found.skipped,
            empty_segments=found.truth.pixels.count(0.0) + found.predictions.pixels.count(0.0),
        )

    def compare(
        self,
        cursor: Cursor,
        sets: ComparedSets,
        *,
        span: Span,
        items: str = "true",
        dropped: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset()),
    ) -> ComparedSegments:
        """Read the masks of a span and overlay them.

        `items` is a further condition on the items; segments with a label in `dropped` (ground truth, predictions)
        count as no segments.
        """
        stored: dict[int, dict[bool, tuple[int, str, str | None]]] = defaultdict(dict)
        for item, is_truth, number, segments, blob in cursor.execute(
            "SELECT item_no, set_no IS NOT DISTINCT FROM ?, object_no, segments, blob FROM masks "
            f"WHERE set_no IN (SELECT unnest(?::INTEGER[])) AND item_no BETWEEN ? AND ? AND {items} ORDER BY item_no",
            [sets.truth, sets.numbers, span.first, span.last],
        ).fetchall():
            stored[item][is_truth] = (number, segments, blob)
        truth, predictions, overlaps, skipped = (
            SegmentRows(dropped[0]),
            SegmentRows(dropped[1]),
            [],
            [],
        )
        for item, masks in stored.items():
            try:
                actual, predicted = (self._read(masks.get(side)) for side in (True, False))
                found = _overlap(actual, predicted)
            except MaskError as error:
                skipped.append(
                    Skipped(item, _segments(masks.get(True)), _segments(masks.get(False)), str(error))
                )
                continue
            tables = truth.add(item, actual), predictions.add(item, predicted)
            if found is not None:
                overlaps.append((found, *tables))
        return ComparedSegments(truth, predictions, *segment_pairs(overlaps), tuple(skipped))

    def _read(self, stored: tuple[int, str, str | None] | None) -> _StoredMask | None:
        """Return a stored mask with its pixels; raises `MaskError` if it cannot be compared."""
        if stored is None:
            return None
        number, segments, blob = stored
        declared = orjson.loads(segments)
        try:
            # The guide writes an index as a string, the client sends what it is given.
            indices = tuple(int(str(segment.get("index"))) for segment in declared)
        except ValueError:
            raise MaskError("a segment has an index that is not a whole number") from None
        if len(set(indices)) != len(indices) or not all(0 <= index <= _INDEX_LIMIT for index in indices):
            raise MaskError(f"segment indices must be different and from 0 to {_INDEX_LIMIT}")
        pixels = self.files.read(number, blob)
        return _StoredMask(number, tuple(segment["label"] for segment in declared), indices, pixels)


def read_pixels(path: Path) -> NDArray[Any]:
    """Return the indices of a mask, [height, width]; raises `MaskError` if the file is no index mask."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.width * image.height > _PIXELS_LIMIT:
                raise MaskError(
                    f"the mask has {image.width} x {image.height} pixels; at most {_PIXELS_LIMIT:,} are read"
                )
            spread = _spread(image)
            pixels = np.asarray(image)
    except (MaskError, MemoryError):
        raise
    except Exception as error:
        # Decoders raise whatever they stumble over.
        raise MaskError(f"the mask cannot be read: {type(error).__name__}") from error
    if pixels.ndim != 2:
        raise MaskError("the mask has colours; an index mask has one channel")
    if pixels.size and not 0 <= int(pixels.min()) <= int(pixels.max()) <= _INDEX_LIMIT:
        raise MaskError(f"the mask has pixel values outside of 0 to {_INDEX_LIMIT}")
    if spread > 1:
        pixels = pixels // np.uint8(spread)
    return pixels if pixels.dtype.kind == "u" else pixels.astype(np.uint16)


def _spread(image: Image.Image) -> int:
    """Return by what the pixels of an image are multiplied: Pillow spreads grey of 2 and 4 bits over a byte."""
    tile = getattr(image, "tile", None)
    return _SPREAD.get(str(tile[0][3]), 1) if tile else 1


def _pixel_counts(pixels: NDArray[Any], least: int) -> NDArray[np.int64]:
    """Return how many pixels have each index, for `least` indices at least; in pieces, because a count takes eight bytes a pixel."""
    flat = pixels.reshape(-1)
    size = max(least, int(flat.max(initial=0)) + 1)
    counts = np.zeros(size, dtype=np.int64)
    for start in range(0, flat.size, _PIECE):
        counts += np.bincount(flat[start : start + _PIECE], minlength=size)
    return counts


class MaskError(Exception):
    """A mask that cannot be compared, and why."""


@dataclass(slots=True)
class SegmentRows:
    """One side's segments, gathered image by image; those with a label in `dropped` are left out."""

    dropped: frozenset[str] = frozenset()
    number: list[int] = field(default_factory=list)
    item: list[int] = field(default_factory=list)
    segment: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    pixels: list[float] = field(default_factory=list)

    def add(self, item: int, mask: _StoredMask | None) -> NDArray[np.int64]:
        """Append the segments of a mask and return the table from index to row."""
        if mask is None:
            return np.full(0, NONE, dtype=np.int64)
        table = np.full(max(mask.indices, default=-1) + 1, NONE, dtype=np.int64)
        counts = _pixel_counts(mask.pixels, table.size)
        for label, index in zip(mask.labels, mask.indices, strict=True):
            if label in self.dropped:
                continue
            table[index] = len(self.number)
            self.number.append(mask.number)
            self.item.append(item)
            self.segment.append(index)
            self.labels.append(label)
            self.pixels.append(float(counts[index]))
        return table

    def side(self, span: Span, vocabulary: Vocabulary) -> Side:
        """Return the segments as columns of the engine."""
        item = np.array(self.item, dtype=np.int64)
        side = columns(
            Segments(np.array(self.pixels, dtype=np.float64)),
            item - span.first,
            label=vocabulary.encode(self.labels),
        )
        return Side(np.array(self.number, dtype=np.int64), item, side, np.array(self.segment, dtype=np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class ComparedSegments:
    """Both sides of a span and every pair of segments (rows of the sides) that share a pixel."""

    truth: SegmentRows
    predictions: SegmentRows
    truth_rows: IndexArray
    prediction_rows: IndexArray
    overlap: FloatArray
    skipped: tuple[Skipped, ...]


def _overlap(actual: _StoredMask | None, predicted: _StoredMask | None) -> IndexOverlap | None:
    if actual is None or predicted is None:
        return None
    if actual.pixels.shape != predicted.pixels.shape:
        sizes = " and ".join("x".join(map(str, mask.pixels.shape[::-1])) for mask in (actual, predicted))
        raise MaskError(f"ground truth and prediction differ in size: {sizes} pixels")
    return index_overlap(actual.pixels, predicted.pixels)


def _segments(stored: tuple[int, str, str | None] | None) -> int:
    return 0 if stored is None else len(orjson.loads(stored[1]))
