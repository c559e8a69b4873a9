"""Counting of a profile while predictions stream by: bulk steps on whole columns, in bounded memory, without NumPy.

Items are told apart by a 64-bit hash of their name; where there are many, hashes and counts go to files.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.gating.column_bins import CONFIDENCE_BINS, STEPS, count_confidences, count_sizes
from airflow_provider_nucleus.gating.profile import AREA_EDGES, ASPECT_EDGES, OBJECTS_EDGES, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["ProfileCounts"]

MAX_LABELS = 10_000
"""Labels counted one by one; what comes after so many different ones is summed."""


class ProfileCounts:
    """Counts of one pass over the predictions of a batch. `folder` receives files when there are many items."""

    def __init__(self, folder: Path | None = None) -> None:
        self._objects = 0
        self._items = _ItemCounts(folder)
        self._shapes: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._other_labels: set[int] = set()
        self._other_objects = 0
        self._confidence: Counter[int] = Counter()
        self._confidence_sum = 0
        self._least = 1.0
        self._areas: Counter[int] = Counter()
        self._aspects: Counter[int] = Counter()

    def add_boxes(
        self,
        labels: Sequence[str],
        sides: tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]],
        *,
        items: Sequence[str],
        confidences: Sequence[float] | None,
    ) -> None:
        """Add boxes a column at a time: x, y, width and height in pixels, the item of each; confidences are 0 to 1, or there are none."""
        self._objects += len(labels)
        self._shapes["box"] += len(labels)
        self._add_labels(labels)
        self._items.add(items)
        self._add_sizes(sides[2], sides[3])
        if confidences is not None:
            self._add_confidences(confidences)

    def add_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add predictions of any type, as they travel; each is one object, a mask too, which has the labels of its segments."""
        labels: list[str] = []
        items: list[str] = []
        confidences: list[float] = []
        widths: list[float] = []
        heights: list[float] = []
        for row in rows:
            self._objects += 1
            shape = row["type"]
            self._shapes[shape] += 1
            items.append(row.get("reference_id") or f"\x00{row.get('item_id')}")
            if (label := row.get("label")) is not None:
                labels.append(label)
            else:
                labels += row.get("labels") or [segment["label"] for segment in row.get("annotations", ())]
            if (confidence := row.get("confidence")) is not None:
                confidences.append(confidence)
            if shape == "box":
                widths.append(row["geometry"]["width"])
                heights.append(row["geometry"]["height"])
            elif shape == "polygon":
                xs = [vertex["x"] for vertex in row["geometry"]["vertices"]]
                ys = [vertex["y"] for vertex in row["geometry"]["vertices"]]
                widths.append(max(xs) - min(xs))
                heights.append(max(ys) - min(ys))
        self._add_labels(labels)
        self._items.add(items)
        self._add_sizes(widths, heights)
        self._add_confidences(confidences)

    def profile(self, *, cuts: Sequence[float] = (), left_out: int = 0) -> Profile:
        """Return the profile of all that was added; how many items the batch has is not known here."""
        per_item, items = self._items.histogram()
        known = sum(self._confidence.values())
        return Profile(
            items_with_predictions=items,
            objects=self._objects,
            objects_per_item=per_item,
            shapes=dict(sorted(self._shapes.items())),
            labels=dict(sorted(self._labels.items())),
            other_labels=len(self._other_labels),
            other_objects=self._other_objects,
            confidence=_confidence_bins(self._confidence),
            without_confidence=self._objects - known,
            confidence_sum=self._confidence_sum,
            least_confidence=self._least if known else None,
            cuts=sorted(set(cuts)),
            left_out=left_out,
            area=_area_bins(self._areas),
            aspect=_aspect_bins(self._aspects),
        )

    def _add_labels(self, labels: Sequence[str]) -> None:
        counts = Counter(labels)
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

    def _add_confidences(self, confidences: Sequence[float]) -> None:
        if not confidences:
            return
        counts, total = count_confidences(confidences)
        self._confidence.update(counts)
        self._confidence_sum += total
        self._least = min(self._least, min(confidences))  # ruff: ignore[nested-min-max] - the inner one is C over a column

    def _add_sizes(self, widths: Sequence[float], heights: Sequence[float]) -> None:
        areas, aspects = count_sizes(widths, heights)
        self._areas.update(areas)
        self._aspects.update(aspects)


def _confidence_bins(counts: Counter[int]) -> list[int]:
    bins = [counts[at] for at in range(CONFIDENCE_BINS)]
    bins[-1] += counts[CONFIDENCE_BINS]
    return bins


def _area_bins(counts: Counter[int]) -> list[int]:
    """Sum the steps of an octave; step 0 is an area of 4, and the first bin ends at 8."""
    bins = [0] * (len(AREA_EDGES) + 1)
    for step, count in counts.items():
        bins[min(step // STEPS, len(bins) - 1)] += count
    return bins


def _aspect_bins(counts: Counter[int]) -> list[int]:
    """Sum the steps of half an octave around each power of the root of two; step 127 is a square, in the middle bin."""
    bins = [0] * (len(ASPECT_EDGES) + 1)
    half, middle = STEPS // 2, len(bins) // 2
    for step, count in counts.items():
        away = min((abs(step - 127) + half // 2) // half, middle)
        bins[middle + away if step > 127 else middle - away] += count
    return bins


class _ItemCounts:
    """Objects per item in bounded memory: a hash and a count for each item of each batch, spread over buckets, on disk if they are many."""

    BUCKETS = 64
    IN_MEMORY = 500_000
    """Items kept before they go to disk: 12 bytes each."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._hashes = [array("q") for _ in range(self.BUCKETS)]
        self._counts = [array("I") for _ in range(self.BUCKETS)]
        self._held = 0
        self._spilled = False

    def add(self, items: Iterable[str]) -> None:
        """Add one object for each name."""
        counts = Counter(items)
        hashes, numbers, buckets = self._hashes, self._counts, self.BUCKETS
        for item, count in counts.items():
            value = hash(item)
            bucket = value % buckets
            hashes[bucket].append(value)
            numbers[bucket].append(count)
        self._held += len(counts)
        if self._held > self.IN_MEMORY and self._folder is not None:
            self._spill(self._folder)

    def histogram(self) -> tuple[list[int], int]:
        """Return the items by their number of objects, and how many items there are."""
        counts, items = [0] * (len(OBJECTS_EDGES) + 1), 0
        for bucket in range(self.BUCKETS):
            per_item: dict[int, int] = {}
            for value, count in zip(*self._bucket(bucket), strict=True):
                per_item[value] = per_item.get(value, 0) + count
            items += len(per_item)
            for objects, number in Counter(per_item.values()).items():
                counts[bisect_right(OBJECTS_EDGES, objects)] += number
        return counts, items

    def _bucket(self, number: int) -> tuple[array[int], array[int]]:
        hashes, counts = array("q"), array("I")
        if self._spilled and self._folder is not None:
            hashes.frombytes((self._folder / f"items-{number:02d}").read_bytes())
            counts.frombytes((self._folder / f"counts-{number:02d}").read_bytes())
        return hashes + self._hashes[number], counts + self._counts[number]

    def _spill(self, folder: Path) -> None:
        for number, (hashes, counts) in enumerate(zip(self._hashes, self._counts, strict=True)):
            for name, values in (("items", hashes), ("counts", counts)):
                with (folder / f"{name}-{number:02d}").open("ab") as file:
                    values.tofile(file)
                del values[:]
        self._held, self._spilled = 0, True
