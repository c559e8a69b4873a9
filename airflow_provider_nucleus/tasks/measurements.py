"""Measurements from the rows of a match, as a server lists them. Pure: rows in, documents out.

`overall` and `per_label` are the numbers of objects with a shape, as `pair_counts` counts them; where there are categories of
whole items and no shape at all, they are those of the categories, and the option `objects` of the fingerprint says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.gating.measurement import Coverage, Measurement, numbers_of
from airflow_provider_nucleus.match_summary import MatchCounting
from airflow_provider_nucleus.tasks.match_columns import MOST_ROWS, MatchRecorder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_nucleus.gating.measurement import (
        Fingerprint,
        MatchColumns,
        Numbers,
        Subject,
        Unannotated,
    )
    from airflow_provider_nucleus.match_summary import MatchSummary
    from airflow_provider_nucleus.pair_counts import CountsByLabel
    from airflow_provider_nucleus.schema.matches import EvaluationMatch
    from airflow_provider_nucleus.tasks.population import Population

__all__ = ["MeasuredMatches", "match_measurement", "measure_matches"]

_NO_VALUE: Final = "n/a"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredMatches:
    """Numbers of the rows on the items of a population, and what they rest on."""

    summary: MatchSummary
    coverage: Coverage
    notes: list[dict[str, Any]]
    columns: MatchColumns | None = None
    slices: Mapping[str, Mapping[str, Numbers]]

    @property
    def of_categories(self) -> bool:
        """True when there are categories of whole items, and no object with a shape."""
        return bool(self.summary.categories.per_label) and not self.summary.per_label

    @property
    def counts(self) -> CountsByLabel:
        """The counts that the numbers of a measurement are."""
        return self.summary.categories if self.of_categories else self.summary.shapes


def measure_matches(
    matched: Iterable[EvaluationMatch],
    *,
    false_positives: Iterable[EvaluationMatch],
    false_negatives: Iterable[EvaluationMatch],
    population: Population,
    iou_threshold: float,
    unannotated: Unannotated = "count",
    slice_keys: Sequence[str] = (),
    keep_rows: bool = False,
    most_rows: int = MOST_ROWS,
) -> MeasuredMatches:
    """Count the rows of the three modes that are on items of *population*, at *iou_threshold* (0-1).

    With *unannotated* `leave_out`, predictions on items without ground truth are in no number but `predictions_left_out`. *slice_keys*
    are members of the items' metadata that the numbers are cut by as well. *keep_rows* keeps the rows, at most *most_rows*, as columns.
    """
    reader = _RowReader(
        population,
        iou_threshold=iou_threshold,
        unannotated=unannotated,
        slice_keys=slice_keys,
        recorder=MatchRecorder(population.names, most=most_rows) if keep_rows else None,
    )
    for row in matched:
        reader.read(row, paired=True)
    for row in chain(false_positives, false_negatives):
        reader.read(row, paired=False)
    return reader.result()


class _RowReader:
    """Reads rows one by one: counts, keeps, or leaves out."""

    def __init__(
        self,
        population: Population,
        *,
        iou_threshold: float,
        unannotated: Unannotated,
        slice_keys: Sequence[str],
        recorder: MatchRecorder | None,
    ) -> None:
        self._population, self._recorder = population, recorder
        self._names, self._annotated = population.names, population.annotated
        self._unannotated: Unannotated = unannotated
        self._counting = MatchCounting(iou_threshold=iou_threshold)
        self._readers = (self._counting,) if recorder is None else (self._counting, recorder)
        self._values = {
            item: [(key, _value(population.metadata.get(item, {}).get(key))) for key in slice_keys]
            for item in (population.names if slice_keys else ())
        }
        self._slices = {
            key: MatchCounting(iou_threshold=iou_threshold)
            for key in sorted(dict.fromkeys(chain.from_iterable(self._values.values())))
        }
        self._strays = self._on_unannotated = 0

    def read(self, row: EvaluationMatch, *, paired: bool) -> None:
        item = row.dataset_item_id
        if item not in self._names:
            # A server that knows no such query lists the whole run.
            self._strays += 1
            return
        if not paired and row.model_prediction_label is not None and item not in self._annotated:
            self._on_unannotated += 1
            if self._unannotated == "leave_out":
                return
        for reader in self._readers:
            (reader.pair if paired else reader.unmatched)(row)
        for each in self._values.get(item, ()):
            counting = self._slices[each]
            (counting.pair if paired else counting.unmatched)(row)

    def result(self) -> MeasuredMatches:
        summary = self._counting.summary
        both = [summary.shapes.overall, summary.categories.overall]
        left_out = self._on_unannotated if self._unannotated == "leave_out" else 0
        coverage = Coverage(
            items=len(self._names),
            with_ground_truth=len(self._annotated),
            without_ground_truth=len(self._names) - len(self._annotated),
            ground_truth=sum(counts.tp + counts.fn for counts in both),
            predictions=sum(counts.tp + counts.fp for counts in both) + left_out,
            unannotated=self._unannotated,
            predictions_left_out=left_out,
        )
        of_categories = bool(summary.categories.per_label) and not summary.per_label
        notes, columns = self._notes(coverage), None
        if self._recorder is not None:
            columns = self._recorder.columns(categories=of_categories, groups=self._groups())
            notes += [] if columns is not None else [_too_many_rows(coverage)]
        return MeasuredMatches(
            summary=summary,
            coverage=coverage,
            notes=notes,
            columns=columns,
            slices=self._cut_by_metadata(of_categories=of_categories),
        )

    def _groups(self) -> dict[str, dict[str, list[int]]]:
        """Return the places of the items that have a value, by metadata and value."""
        found: dict[str, dict[str, list[int]]] = {}
        for place, item in enumerate(self._names):
            for key, value in self._values.get(item, ()):
                found.setdefault(key, {}).setdefault(value, []).append(place)
        return found

    def _cut_by_metadata(self, *, of_categories: bool) -> dict[str, dict[str, Numbers]]:
        items = Counter(chain.from_iterable(self._values.values()))
        found: dict[str, dict[str, Numbers]] = {}
        for (key, value), counting in self._slices.items():
            chosen = counting.summary.categories if of_categories else counting.summary.shapes
            found.setdefault(key, {})[value] = numbers_of(chosen.overall.to_dict(), items=items[key, value])
        return found

    def _notes(self, coverage: Coverage) -> list[dict[str, Any]]:
        notes = []
        without = coverage.without_ground_truth or 0
        if not coverage.with_ground_truth:
            text = (
                f"None of the {coverage.items:,} items has ground truth: nothing can be found or missed on them."
                if coverage.items
                else "There are no items: every number is undefined."
            )
            notes.append({"note": "no_ground_truth", "count": coverage.items or 0, "text": text})
        if self._on_unannotated:
            counted = self._unannotated == "count"
            what = (
                "count as false positives: labels may still be missing, or there is nothing to be found"
                if counted
                else "are in no number"
            )
            notes.append({
                "note": "predictions_without_ground_truth",
                "count": self._on_unannotated,
                "text": f"{self._on_unannotated:,} predictions on the {without:,} items without ground truth {what}.",
            })
        if self._strays:
            notes.append({
                "note": "rows_of_other_items",
                "count": self._strays,
                "text": f"The server listed {self._strays:,} matches on other items than those selected; they are in no number.",
            })
        return notes


def _value(value: Any) -> str:
    return _NO_VALUE if value is None else str(value)


def _too_many_rows(coverage: Coverage) -> dict[str, Any]:
    rows = coverage.predictions + coverage.ground_truth
    return {
        "note": "rows_left_out",
        "count": rows,
        "text": f"The match has more rows than a measurement keeps ({rows:,} objects): it has the numbers, and no rows for intervals and "
        "changed objects.",
    }


def match_measurement(
    measured: MeasuredMatches,
    *,
    subject: Subject,
    fingerprint: Fingerprint,
    notes: Sequence[Mapping[str, Any]] = (),
    details: Mapping[str, Any] | None = None,
) -> Measurement:
    """Return the document of what was measured; *notes* are what the server says of its matches."""
    summary, counts = measured.summary.to_dict(), measured.counts
    found = dict(details or {})
    if measured.of_categories:
        plain = summary["categories"]
    else:
        plain = summary
        found |= {"categories": summary["categories"]} if "categories" in summary else {}
    objects = "categories" if measured.of_categories else "shapes"
    return Measurement(
        subject=subject,
        fingerprint=fingerprint.model_copy(update={"options": {**fingerprint.options, "objects": objects}}),
        coverage=measured.coverage,
        iou_threshold=measured.summary.iou_threshold,
        overall=numbers_of(plain["overall"], items=measured.coverage.items),
        per_label={name: numbers_of(plain["per_label"][name]) for name in sorted(counts.per_label)},
        slices={key: dict(values) for key, values in measured.slices.items()},
        notes=[*map(dict, notes), *measured.notes],
        details=found,
        matches=measured.columns,
    )
