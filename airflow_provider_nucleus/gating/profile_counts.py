"""Counting of a profile while predictions stream by: bulk steps on whole columns, in bounded memory, without need of NumPy.

Items are told apart by a 64-bit hash of their name; where there are many, hashes and counts go to files.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from itertools import islice
from operator import add, itemgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.gating.column_bins import (
    AREA_BINS,
    ASPECT_BINS,
    CONFIDENCE_BINS,
    count_confidences,
    count_sizes,
    leading_bytes,
)
from airflow_provider_nucleus.gating.profile import OBJECTS_EDGES, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["ProfileCounts"]

MAX_LABELS = 10_000
"""Labels counted one by one; what comes after so many different ones is summed."""

_BLOCK = 10_000
"""Rows that are counted at once."""

_TYPE, _SIDES, _X, _Y = itemgetter("type"), itemgetter("width", "height"), itemgetter("x"), itemgetter("y")


class ProfileCounts:
    """Counts of one pass over the predictions of a batch. `folder` receives files when there are many items."""

    def __init__(self, folder: Path | None = None) -> None:
        self._objects = 0
        self._items = _ItemCounts(folder)
        self._shapes: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._other_labels: set[int] = set()
        self._other_objects = 0
        self._confidence = [0] * CONFIDENCE_BINS
        self._confidence_sum = 0
        self._least = 1.0
        self._areas = [0] * AREA_BINS
        self._aspects = [0] * ASPECT_BINS

    def add_boxes(
        self,
        labels: Mapping[str, int],
        extents: tuple[tuple[bytes, bytes], tuple[bytes, bytes]],
        *,
        items: Mapping[str, int],
        confidences: Sequence[float] | None,
        least: float | None,
    ) -> None:
        """Add boxes whose labels and items are counted already: of width and height in pixels the `leading_bytes`; *least* is the least of the confidences."""
        boxes = len(extents[0][0])
        self._objects += boxes
        self._shapes["box"] += boxes
        self._add_labels(labels)
        self._items.add(items)
        self._add_sizes(extents)
        if confidences is not None and least is not None:
            self._add_confidences(confidences, least)

    def add_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add predictions of any type, as they travel; each is one object, a mask too, which has the labels of its segments."""
        given = iter(rows)
        while block := list(islice(given, _BLOCK)):
            self._add_block(block)

    def _add_block(self, rows: Sequence[Mapping[str, Any]]) -> None:
        shapes = Counter(map(_TYPE, rows))
        self._objects += len(rows)
        self._shapes.update(shapes)
        self._items.add(Counter([row.get("reference_id") or f"\x00{row.get('item_id')}" for row in rows]))
        labels: Counter[Any] = Counter([row.get("label") for row in rows])
        if labels.pop(None, 0):
            labels.update(label for row in rows if row.get("label") is None for label in _labels(row))
        self._add_labels(labels)
        confidences = [confidence for row in rows if (confidence := row.get("confidence")) is not None]
        if confidences:
            self._add_confidences(confidences, min(confidences))
        if shapes["box"]:
            self._add_extents([_SIDES(row["geometry"]) for row in rows if row["type"] == "box"])
        if shapes["polygon"]:
            self._add_extents([
                _extent(row["geometry"]["vertices"]) for row in rows if row["type"] == "polygon"
            ])

    def profile(self, *, cuts: Sequence[float] = (), left_out: int = 0) -> Profile:
        """Return the profile of all that was added; how many items the batch has is not known here."""
        per_item, items = self._items.histogram()
        known = sum(self._confidence)
        return Profile(
            items_with_predictions=items,
            objects=self._objects,
            objects_per_item=per_item,
            shapes=dict(sorted(self._shapes.items())),
            labels=dict(sorted(self._labels.items())),
            other_labels=len(self._other_labels),
            other_objects=self._other_objects,
            confidence=list(self._confidence),
            without_confidence=self._objects - known,
            confidence_sum=self._confidence_sum,
            least_confidence=self._least if known else None,
            cuts=sorted(set(cuts)),
            left_out=left_out,
            area=list(self._areas),
            aspect=list(self._aspects),
        )

    def _add_labels(self, counts: Mapping[str, int]) -> None:
        if len(self._labels) + len(counts) <= MAX_LABELS:
            self._labels.update(counts)
            return
        for label, count in counts.items():
            if label in self._labels or len(self._labels) < MAX_LABELS:
                self._labels[label] += count
            else:
                self._other_objects += count
                if len(self._other_labels) < MAX_LABELS:
                    self._other_labels.add(hash(label))

    def _add_confidences(self, confidences: Sequence[float], least: float) -> None:
        counts, total = count_confidences(confidences)
        self._confidence = _added(self._confidence, counts)
        self._confidence_sum += total
        self._least = min(self._least, least)

    def _add_extents(self, extents: Sequence[tuple[float, float]]) -> None:
        widths, heights = zip(*extents, strict=True)
        self._add_sizes((leading_bytes(widths), leading_bytes(heights)))

    def _add_sizes(self, extents: tuple[tuple[bytes, bytes], tuple[bytes, bytes]]) -> None:
        areas, aspects = count_sizes(*extents)
        self._areas = _added(self._areas, areas)
        self._aspects = _added(self._aspects, aspects)


def _labels(row: Mapping[str, Any]) -> Iterable[str]:
    """Return the labels of an object that has not one."""
    return row.get("labels") or [segment["label"] for segment in row.get("annotations", ())]


def _extent(vertices: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """Return width and height of the bounding box of a polygon."""
    xs, ys = list(map(_X, vertices)), list(map(_Y, vertices))
    return max(xs) - min(xs), max(ys) - min(ys)


def _added(one: list[int], other: list[int]) -> list[int]:
    return list(map(add, one, other))


class _ItemCounts:
    """Objects per item in bounded memory: a hash and a count for each item of each block of rows, spread over buckets if they are many.

    An item that goes on in the next block is one entry, so that rows in the order of their items have an entry an item.
    """

    BUCKETS = 64
    IN_MEMORY = 200_000
    """Entries kept before they go to disk, 12 bytes each, and put together at once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._hashes, self._counts = array("q"), array("I")
        self._spilled = False

    def add(self, items: Mapping[str, int]) -> None:
        """Add the objects of each name, names in the order of their first object."""
        before = len(self._hashes)
        self._hashes.extend(map(hash, items))
        self._counts.extend(items.values())
        if 0 < before < len(self._hashes) and self._hashes[before] == self._hashes[before - 1]:
            self._counts[before - 1] += self._counts[before]
            del self._hashes[before], self._counts[before]
        if len(self._hashes) > self.IN_MEMORY and self._folder is not None:
            self._spill(self._folder)

    def histogram(self) -> tuple[list[int], int]:
        """Return the items by their number of objects, and how many items there are."""
        counts, items = [0] * (len(OBJECTS_EDGES) + 1), 0
        for part in self._parts():
            per_item = _summed(*part)
            items += len(per_item)
            for objects, number in Counter(per_item.values()).items():
                counts[bisect_right(OBJECTS_EDGES, objects)] += number
        return counts, items

    def _parts(self) -> Iterator[tuple[array[int], array[int]]]:
        """Yield all entries, those of an item together."""
        if len(self._hashes) <= self.IN_MEMORY and not self._spilled:
            yield self._hashes, self._counts
            return
        for number, (hashes, counts) in enumerate(self._buckets()):
            if self._spilled and self._folder is not None:
                hashes.frombytes((self._folder / f"items-{number:02d}").read_bytes())
                counts.frombytes((self._folder / f"counts-{number:02d}").read_bytes())
            yield hashes, counts

    def _buckets(self) -> list[tuple[array[int], array[int]]]:
        """Return the entries in memory, spread by their hashes."""
        buckets = [(array("q"), array("I")) for _ in range(self.BUCKETS)]
        for value, count in zip(self._hashes, self._counts, strict=True):
            hashes, counts = buckets[value % self.BUCKETS]
            hashes.append(value)
            counts.append(count)
        return buckets

    def _spill(self, folder: Path) -> None:
        for number, bucket in enumerate(self._buckets()):
            for name, values in zip(("items", "counts"), bucket, strict=True):
                with (folder / f"{name}-{number:02d}").open("ab") as file:
                    values.tofile(file)
        del self._hashes[:], self._counts[:]
        self._spilled = True


def _summed(hashes: array[int], counts: array[int]) -> dict[int, int]:
    """Return the sum of the counts of each hash."""
    per_item = dict(zip(hashes, counts, strict=True))
    if len(per_item) < len(hashes):
        per_item = dict.fromkeys(per_item, 0)
        for value, count in zip(hashes, counts, strict=True):
            per_item[value] += count
    return per_item
