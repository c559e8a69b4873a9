"""The history of a model on a dataset: its calculations, and the batches within the one that is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.pages.layout import Link
from airflow_provider_nucleus.local.pages.text import Figure, figure, moment, task_text, whole
from airflow_provider_nucleus.local.store.catalog import matches, slices
from airflow_provider_nucleus.local.store.catalog.slice_members import OBJECTS
from airflow_provider_nucleus.local.store.views.match_counts import whole_counts
from airflow_provider_nucleus.local.store.views.slice_counts import slice_counts
from airflow_provider_nucleus.undefined_reasons import NO_GROUND_TRUTH, NO_OBJECTS, NO_PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_nucleus.local.pages.urls import Urls
    from airflow_provider_nucleus.local.requests.match_options import MatchOptions
    from airflow_provider_nucleus.local.store.catalog.matches import MatchSet
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.views.comparisons import RunOnDataset

__all__ = ["History", "history"]

_MOST: Final = 50
"""Rows of a table; the trend has more."""
_UNKNOWN: Final = "not recorded"


@dataclass(frozen=True, slots=True)
class CalculationRow:
    """A calculation: when, on how much, what it found overall, and who asked for it."""

    link: Link
    items: str
    with_ground_truth: str
    tp: str
    fp: str
    fn: str
    f1: Figure
    options: str
    requested_by: str


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A slice within the calculation that is shown."""

    name: str
    since: str
    items: str
    with_ground_truth: str
    tp: str
    fp: str
    fn: str
    precision: Figure
    recall: Figure
    f1: Figure


@dataclass(frozen=True, slots=True)
class History:
    """The newest calculations and batches; the notes say how many there are beyond them. `job` is the page of the job that is shown."""

    calculations: tuple[CalculationRow, ...]
    note: str
    batches: tuple[BatchRow, ...]
    batch_note: str
    trend: str
    job: str


def history(
    cursor: Cursor,
    comparison: RunOnDataset,
    *,
    chosen: MatchSet | None,
    job_id: str,
    iou: float,
    urls: Urls,
    address: Callable[[str], str],
) -> History:
    """Gather the history of a comparison; `address` is that of the page at the job of a calculation, `job_id` the one it was asked for."""
    found = matches.listing(cursor, comparison.sets.predictions, limit=_MOST + 1)
    newest = found[:_MOST]
    batches = [each for each in slices.listing(cursor, dataset=comparison.dataset) if each.type != OBJECTS]
    counted = [] if chosen is None else slice_counts(cursor, [chosen], batches[-_MOST:], iou=iou)
    return History(
        calculations=tuple(
            CalculationRow(
                Link(
                    moment(each.created_at),
                    address(each.job_id),
                    here=chosen is not None and each.number == chosen.number,
                ),
                _covered(each, "items"),
                _covered(each, "with_ground_truth"),
                whole(counts.tp),
                whole(counts.fp),
                whole(counts.fn),
                figure(counts.f1, reason=NO_OBJECTS),
                _options(each.options),
                "" if each.requested_by is None else task_text(each.requested_by),
            )
            for each, counts in zip(newest, whole_counts(cursor, newest, iou=iou), strict=True)
        ),
        note=f"the newest {_MOST} are listed" if len(found) > _MOST else "",
        batches=tuple(
            BatchRow(
                each.slice.name,
                moment(each.slice.created_at),
                whole(each.coverage["items"]),
                _known(each.coverage["with_ground_truth"]),
                whole(each.counts.tp),
                whole(each.counts.fp),
                whole(each.counts.fn),
                figure(each.counts.precision, reason=NO_PREDICTIONS),
                figure(each.counts.recall, reason=NO_GROUND_TRUTH),
                figure(each.counts.f1, reason=NO_OBJECTS),
            )
            for each in counted
        ),
        batch_note=f"the newest {_MOST} of {len(batches)}" if len(batches) > _MOST else "",
        trend=urls.trend(comparison.dataset.id, comparison.run.model_id),
        job=urls.job(job_id) if job_id else urls.home,
    )


def _covered(match_set: MatchSet, name: str) -> str:
    return _known(None if match_set.coverage is None else match_set.coverage[name])


def _known(number: int | None) -> str:
    return _UNKNOWN if number is None else whole(number)


def _options(options: MatchOptions) -> str:
    """Return what differs from the default."""
    chosen = [
        *(["class_agnostic"] if options.class_agnostic else ()),
        *(
            [f"allowed_label_matches ({len(options.allowed_label_matches)})"]
            if options.allowed_label_matches
            else ()
        ),
        *(["crowd_as_objects"] if options.crowd_as_objects else ()),
    ]
    return ", ".join(chosen) or "default"
