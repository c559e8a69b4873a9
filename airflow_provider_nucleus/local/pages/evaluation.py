"""The page of an evaluation: what a calculation found, at a threshold the address chooses.

It is the newest calculation, or the one whose job the address names (`?calculation=`): that page shows the same numbers for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError, NotFoundError
from airflow_provider_nucleus.local.jobs.matching import MATCHING_JOB
from airflow_provider_nucleus.local.pages.history import History, history
from airflow_provider_nucleus.local.pages.layout import Fact, Link, PageFrame
from airflow_provider_nucleus.local.pages.tables import Heading, LabelTableRow, headings, label_rows
from airflow_provider_nucleus.local.pages.text import Figure, figure, iou_text, moment, percent_bar, whole
from airflow_provider_nucleus.local.store.catalog import datasets, jobs, matches, models
from airflow_provider_nucleus.local.store.views import comparisons, match_counts
from airflow_provider_nucleus.local.store.views.category_counts import CategoryCounts, category_counts
from airflow_provider_nucleus.undefined_reasons import (
    NO_GROUND_TRUTH,
    NO_OBJECTS,
    NO_PREDICTIONS,
    NO_TRUE_POSITIVES,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.local.pages.urls import Urls
    from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.views.comparisons import RunOnDataset
    from airflow_provider_nucleus.local.store.views.match_counts import ThresholdCounts

__all__ = ["EvaluationPage", "evaluation_page"]

_DEFAULT_IOU: Final = 0.5
_PRESETS: Final = (0.0, 0.5, 0.75, 0.9)
_CONFUSIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Score:
    """A number with its name and what it says."""

    name: str
    figure: Figure
    meaning: str


@dataclass(frozen=True, slots=True)
class CountBar:
    """Objects of one kind: how many, and where their part of the drawn bar begins and how long it is."""

    name: str
    short: str
    count: str
    start: str
    length: str
    meaning: str


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """Ground truth of one label that was taken for another."""

    ground_truth: str
    prediction: str
    count: str


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """Agreement in one taxonomy."""

    taxonomy: str
    correct: str
    incorrect: str
    missed: str
    precision: Figure
    recall: Figure


@dataclass(frozen=True, slots=True)
class NotMatchedRow:
    """A type of object that takes no part in any number of the page, and why; empty if the calculation did not say."""

    type: str
    ground_truth: str
    predictions: str
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that was calculated, at the threshold of the page; `stale` if objects came or went since.

    `former` says when it was, of a calculation that is not the newest, and `newest` leads to that. `rows_kept` is false if only the
    numbers are left of it.
    """

    stale: bool
    former: str
    newest: str
    rows_kept: bool
    options: tuple[Fact, ...]
    allowed: tuple[ConfusionRow, ...]
    scores: tuple[Score, ...]
    counts: tuple[CountBar, ...]
    headings: tuple[Heading, ...]
    labels: tuple[LabelTableRow, ...]
    label_note: str
    confusions: tuple[ConfusionRow, ...]
    not_matched: tuple[NotMatchedRow, ...]
    skipped: tuple[Fact, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPage(PageFrame):
    """A model on a dataset; `result` is None until metrics were calculated.

    `calculation` is the job that the address names, empty for the newest; `waiting` says of one without numbers why it has none.
    """

    facts: tuple[Fact, ...]
    iou: str
    presets: tuple[Link, ...]
    form_action: str
    sort: str
    calculation: str
    waiting: str
    result: Result | None
    categories: tuple[CategoryRow, ...]
    categories_note: str
    history: History
    calculate_route: str


def evaluation_page(
    cursor: Cursor, urls: Urls, dataset_id: str, model_id: str, *, state: Mapping[str, str]
) -> EvaluationPage:
    """Gather the page at `?iou=` (0 to 1, default 0.5), the labels in the order of `?sort=`, of the job `?calculation=`.

    The id of a run in place of the model's chooses that run. Raises `NotFoundError` if there is no such dataset
    or model, or the model has no predictions there, or no such job, and
    `BadRequestError` for a state that cannot be meant.
    """
    dataset = datasets.find(cursor, dataset_id)
    model = models.find(cursor, model_id)
    comparison = comparisons.of_run(cursor, dataset, model_id)
    iou = _iou(state.get("iou", ""))
    sort = state.get("sort", "")
    calculation = state.get("calculation", "")
    match_set, waiting = _calculation(cursor, comparison, calculation)

    def address(**changes: str) -> str:
        chosen = {"iou": iou_text(iou), "sort": sort, "calculation": calculation, **changes}
        return urls.evaluation(
            dataset.id, model_id, state={name: text for name, text in chosen.items() if text}
        )

    return EvaluationPage(
        title=f"{model.name} on {dataset.name}",
        trail=(
            Link("All", urls.home),
            Link(dataset.name, urls.dataset(dataset.id)),
            Link(model.name, urls.model(model.id)),
        ),
        facts=(
            Fact("Dataset", dataset.name, urls.dataset(dataset.id)),
            Fact("Model", model.name, urls.model(model.id)),
            Fact("Model run", comparison.run.id, code=True),
            Fact("Items", whole(datasets.size(cursor, dataset))),
            *_coverage(match_set),
        ),
        iou=iou_text(iou),
        presets=tuple(
            Link(iou_text(value), address(iou=iou_text(value)), here=value == iou) for value in _PRESETS
        ),
        form_action=urls.evaluation(dataset.id, model_id),
        sort=sort,
        calculation=calculation,
        waiting=waiting,
        result=None
        if match_set is None
        else _result(cursor, urls, match_set, comparison.sets, iou=iou, sort=sort, address=address),
        categories=_categories(cursor, comparison, match_set),
        categories_note="Compared item by item, always up to date."
        if match_set is None or match_set.current
        else "Compared item by item, as they were when this was calculated.",
        history=history(
            cursor,
            comparison,
            chosen=match_set,
            job_id=calculation,
            iou=iou,
            urls=urls,
            address=lambda job: address(calculation=job),
        ),
        calculate_route=f"dataset/{dataset.id}/model/{model.id}/calculateEvaluationMetrics",
    )


def _result(
    cursor: Cursor,
    urls: Urls,
    match_set: matches.MatchSet,
    sets: ComparedSets,
    *,
    iou: float,
    sort: str,
    address: Any,
) -> Result:
    counts = match_counts.label_counts(cursor, match_set, iou=iou)
    total = match_counts.total(counts)
    rows, note = label_rows(counts, sort=sort)
    summary = match_set.summary
    return Result(
        stale=match_set.current and matches.is_stale(cursor, match_set, sets),
        former="" if match_set.current else moment(match_set.created_at),
        newest=address(calculation=""),
        rows_kept=match_set.rows_kept,
        options=_options(urls, match_set),
        allowed=tuple(ConfusionRow(*pair, count="") for pair in match_set.options.allowed_label_matches),
        scores=_scores(total),
        counts=_counts(total),
        headings=headings(sort, address=address),
        labels=rows,
        label_note=note,
        confusions=tuple(
            ConfusionRow(found.ground_truth, found.prediction, whole(found.count))
            for found in match_counts.confusions(cursor, match_set, iou=iou, limit=_CONFUSIONS)
        ),
        not_matched=tuple(
            NotMatchedRow(
                kind,
                whole(count["ground_truth"]),
                whole(count["predictions"]),
                _why(summary.get("not_matched_reasons", {}).get(kind, {})),
            )
            for kind, count in summary.get("not_matched", {}).items()
        ),
        skipped=tuple(
            Fact(entry["dataset_item_id"], entry["reason"]) for entry in summary.get("skipped_items", [])
        ),
        notes=tuple(note["text"] for note in summary.get("notes", [])),
    )


def _why(reasons: Mapping[str, int]) -> str:
    """Return the reasons, with how many objects each holds for where there are several."""
    if len(reasons) == 1:
        return next(iter(reasons))
    return ", ".join(f"{reason} ({whole(count)})" for reason, count in reasons.items())


def _options(urls: Urls, match_set: matches.MatchSet) -> tuple[Fact, ...]:
    if match_set.options.class_agnostic:
        rule = (
            "any labels may associate; a pair with different labels is not a true positive (class_agnostic)"
        )
    elif match_set.options.allowed_label_matches:
        rule = "equal labels, and the pairs listed below (allowed_label_matches)"
    else:
        rule = "only equal labels (the default)"
    job_id = match_set.job_id
    return (
        Fact("Labels that associate", rule),
        Fact(
            "Crowds (iscrowd)",
            "objects to be found (crowd_as_objects)"
            if match_set.options.crowd_as_objects
            else "regions in which nothing is counted (the default)",
        ),
        Fact("Calculated", moment(match_set.created_at)),
        Fact("By job", job_id, urls.job(job_id), code=True),
        Fact("Engine", str(match_set.summary.get("engine", ""))),
        Fact("Matching", "greedy, highest overlap first, one to one; the threshold is applied afterwards"),
    )


def _scores(total: ThresholdCounts) -> tuple[Score, ...]:
    return (
        Score("Precision", figure(total.precision, reason=NO_PREDICTIONS), "of the predictions are correct"),
        Score("Recall", figure(total.recall, reason=NO_GROUND_TRUTH), "of the ground truth was found"),
        Score("F1", figure(total.f1, reason=NO_OBJECTS), "harmonic mean of the two"),
        Score("Mean IoU", figure(total.mean_iou, reason=NO_TRUE_POSITIVES), "over the true positives"),
    )


def _counts(total: ThresholdCounts) -> tuple[CountBar, ...]:
    parts = (
        ("True positives", "TP", total.tp, "correct prediction, overlap at least the threshold"),
        ("False positives", "FP", total.fp, "prediction without its ground truth"),
        ("False negatives", "FN", total.fn, "ground truth that was not found"),
    )
    everything = max(sum(count for _, _, count, _ in parts), 1)
    found: list[CountBar] = []
    begin = 0
    for name, short, count, meaning in parts:
        start, length = percent_bar(begin / everything), percent_bar(count / everything)
        found.append(CountBar(name, short, whole(count), start, length, meaning))
        begin += count
    return tuple(found)


def _calculation(
    cursor: Cursor, comparison: RunOnDataset, job_id: str
) -> tuple[matches.MatchSet | None, str]:
    """Return the calculation to show, and of one without numbers why it has none."""
    if not job_id:
        return matches.current(cursor, comparison.sets.predictions), ""
    found = matches.of_job(cursor, comparison.sets.predictions, job_id)
    if found is not None:
        return found, ""
    job = jobs.find(cursor, job_id)
    if job.type != MATCHING_JOB or job.request["run_id"] != comparison.run.id:
        raise NotFoundError(
            f"Job {job_id} calculated nothing for model run {comparison.run.id} on dataset {comparison.dataset.id}."
        )
    if job.status == jobs.RUNNING:
        return None, "This calculation is still running: load the page again when its job has ended."
    reason = job.message.get("final_error", "")
    return None, f"This calculation left no numbers: its job ended as {job.status}. {reason}".rstrip()


def _coverage(match_set: matches.MatchSet | None) -> tuple[Fact, ...]:
    """Return of how many items the numbers are; nothing of a calculation that did not record it."""
    found = None if match_set is None else match_set.coverage
    if found is None:
        return ()
    items, covered = whole(found["items"]), whole(found["with_ground_truth"])
    return (Fact("Calculated on", f"{items} items, {covered} of them with ground truth"),)


def _categories(
    cursor: Cursor, comparison: RunOnDataset, match_set: matches.MatchSet | None
) -> tuple[CategoryRow, ...]:
    if match_set is not None and not match_set.current:
        found = [CategoryCounts(**each) for each in match_set.summary.get("categories", ())]
    else:
        options = matches.NO_OPTIONS if match_set is None else match_set.options
        found = category_counts(cursor, comparison.sets, options)
    return tuple(
        CategoryRow(
            counts.taxonomy or "default taxonomy",
            whole(counts.correct),
            whole(counts.incorrect),
            whole(counts.missed),
            figure(counts.precision, reason=NO_PREDICTIONS),
            figure(counts.recall, reason=NO_GROUND_TRUTH),
        )
        for counts in found
    )


def _iou(text: str) -> float:
    if not text:
        return _DEFAULT_IOU
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise BadRequestError(f"iou must be a number from 0 to 1, not {text!r}.")
    return value
