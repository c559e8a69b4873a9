"""One evaluation: everything read from one snapshot, matched span by span, and put together as columns."""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants; values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import airflow_provider_nucleus
from airflow_provider_nucleus.evaluation_options import DEFAULT_OPTIONS, EvaluationOptions
from airflow_provider_nucleus.local.annotation_table import FAMILY_NAMES, sql_list, types_of_family
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.evaluations.computing.families import families
from airflow_provider_nucleus.local.evaluations.computing.left_out import left_out
from airflow_provider_nucleus.local.evaluations.computing.population import read_population
from airflow_provider_nucleus.local.evaluations.computing.prediction_stores import require_predictions
from airflow_provider_nucleus.local.evaluations.computing.result_builder import ResultBuilder
from airflow_provider_nucleus.local.evaluations.computing.result_notes import result_notes
from airflow_provider_nucleus.local.evaluations.computing.sides import label_codes
from airflow_provider_nucleus.local.store.catalog import matches
from airflow_provider_nucleus.local.store.database import count_of
from airflow_provider_nucleus.local.store.ids import ITEM, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.local.engine.masks import MaskFiles
    from airflow_provider_nucleus.local.engine.span_matches import Skipped
    from airflow_provider_nucleus.local.evaluations.computing.families import Family
    from airflow_provider_nucleus.local.evaluations.computing.population import EvaluatedItems
    from airflow_provider_nucleus.local.evaluations.computing.sides import LabelCodes
    from airflow_provider_nucleus.local.requests.exclusion_rules import ExclusionRule
    from airflow_provider_nucleus.local.requests.label_taxonomy import Taxonomy
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["EvaluationColumns", "EvaluationSpec", "compute"]

_REASONS_LISTED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSpec:
    """The evaluation to compute: items (a table or subquery of item numbers), a model or a run, labels, rules and options.

    `benchmark_no` is the benchmark the items are of, if they are of one.
    """

    items: str
    model_no: int | None
    run_no: int | None
    taxonomy: Taxonomy
    rules: Sequence[ExclusionRule]
    only_predicted: bool = False
    options: EvaluationOptions = DEFAULT_OPTIONS
    benchmark_no: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationColumns:
    """The columns of a result, the small facts beside them, what the rules dropped, and why the masks are in no number if none is."""

    arrays: dict[str, NDArray[Any]]
    about: dict[str, Any]
    exclusion_stats: dict[str, Any]
    mask_failure: str | None = None


def compute(
    cursor: Cursor,
    spec: EvaluationSpec,
    *,
    masks: MaskFiles,
    rows: int,
    step: Callable[[int, int], None] = lambda _done, _total: None,
) -> EvaluationColumns:
    """Evaluate inside the snapshot of a cursor with temporary tables of its own.

    `rows` objects are matched at a time. `step` is called after each span of items with how many are done and how many there are; what it raises ends the
    evaluation.
    """
    population = read_population(
        cursor,
        source=spec.items,
        model_no=spec.model_no,
        run_no=spec.run_no,
        rules=spec.rules,
        only_predicted=spec.only_predicted,
    )
    require_predictions(cursor, population, model_no=spec.model_no, run_no=spec.run_no)
    codes = label_codes(cursor, population, spec.taxonomy)
    every = families(spec.taxonomy, masks=masks, options=spec.options, rows=rows)
    work = [
        (family, sets, span)
        for family in every
        for sets in population.datasets
        for span in family.spans(cursor, sets)
    ]
    builder = ResultBuilder()
    for done, (family, sets, span) in enumerate(work, start=1):
        for span_result in family.match_span(cursor, population, sets, span=span, codes=codes):
            builder.add(span_result)
        step(done, len(work))
    arrays = builder.arrays()
    arrays["items"] = population.items
    left = left_out(cursor, spec.benchmark_no, model_no=spec.model_no, run_no=spec.run_no)
    stats = population.stats | {"totals": population.stats["totals"] | left.to_wire()}
    about = _about(cursor, spec, population, codes, every)
    about["notes"] = [
        note.to_dict()
        for note in result_notes(
            arrays,
            builder,
            taxonomy=spec.taxonomy,
            labels=codes.canonical,
            left=left,
            of_runs=_elsewhere(cursor, spec),
        )
    ]
    return EvaluationColumns(arrays, about, stats, _mask_failure(cursor, population, every, arrays))


def _mask_failure(
    cursor: Cursor, population: EvaluatedItems, every: Sequence[Family], arrays: dict[str, NDArray[Any]]
) -> str | None:
    """Return why the masks are in no number if not one could be compared; raises `BadRequestError` if there is nothing else."""
    skipped = [entry for family in every for entry in family.skipped()]
    numbers = [number for sets in population.datasets for number in sets.numbers]
    items = count_of(
        cursor,
        "SELECT count(DISTINCT item_no) FROM masks JOIN evaluated USING (item_no) WHERE set_no IN (SELECT unnest(?::INTEGER[]))",
        [numbers],
    )
    if not items or len(skipped) < items:
        return None
    first = skipped[0]
    text = (
        f"None of the masks of {items} items could be compared, so they are in no number. {numbered(ITEM, first.item_no)}: "
        f"{first.reason}."
    )
    if not arrays["truth_family"].size + arrays["prediction_family"].size:
        raise BadRequestError(text)
    return text


def _about(
    cursor: Cursor,
    spec: EvaluationSpec,
    population: EvaluatedItems,
    codes: LabelCodes,
    every: Sequence[Family],
) -> dict[str, Any]:
    return {
        "engine_version": airflow_provider_nucleus.__version__,
        "taxonomy": spec.taxonomy.to_wire(),
        "rules": [rule.to_wire() for rule in spec.rules],
        "options": spec.options.to_wire(),
        "labels": {"raw": list(codes.raw), "canonical": list(codes.canonical)},
        "no_ap": codes.no_ap,
        "families": list(FAMILY_NAMES),
        "sets": [{"truth": sets.truth, "predictions": sets.predictions} for sets in population.datasets],
        "not_evaluated": _not_evaluated(cursor, population, every),
        "boxes_and_polygons": _boxes_and_polygons(cursor, population),
    }


def _not_evaluated(
    cursor: Cursor, population: EvaluatedItems, every: Sequence[Family]
) -> list[dict[str, Any]]:
    """Say what is in no number although it is on an evaluated item, and why."""
    compared = {kind for family in every for kind in family.types}
    found: list[dict[str, Any]] = []
    for sets in population.datasets:
        for kind, counts in matches.objects_by_type(cursor, sets).items():
            if kind not in compared:
                found.append({
                    "objects": kind,
                    "reason": f"{kind} objects have no overlap to match by",
                    **counts,
                })
    found += [_skipped(entry) for family in every for entry in family.skipped()[:_REASONS_LISTED]]
    rest = [entry for family in every for entry in family.skipped()[_REASONS_LISTED:]]
    if rest:
        found.append({
            "objects": "segmentation",
            "reason": f"masks of {len(rest)} more items that cannot be compared",
            "ground_truth": sum(entry.ground_truth for entry in rest),
            "predictions": sum(entry.predictions for entry in rest),
        })
    return found


def _skipped(entry: Skipped) -> dict[str, Any]:
    return {
        "objects": "segmentation",
        "dataset_item_id": numbered(ITEM, entry.item_no),
        "reason": entry.reason,
        "ground_truth": entry.ground_truth,
        "predictions": entry.predictions,
    }


def _boxes_and_polygons(cursor: Cursor, population: EvaluatedItems) -> int:
    """Count the items on which ground truth of one label is partly boxes and partly polygons."""
    numbers = [sets.truth for sets in population.datasets if sets.truth is not None]
    found = cursor.execute(
        f"""SELECT count(DISTINCT item_no) FROM (SELECT item_no FROM objects JOIN evaluated USING (item_no)
        WHERE set_no IN (SELECT unnest(?::INTEGER[])) AND type IN {sql_list(types_of_family("area"))}
        GROUP BY item_no, label HAVING min(type) <> max(type))""",
        [numbers],
    ).fetchone()
    return int(found[0]) if found else 0


def _elsewhere(cursor: Cursor, spec: EvaluationSpec) -> int:
    """Count the run-bound predictions of a model on the evaluated items: an evaluation of the model does not read them."""
    if spec.model_no is None or spec.run_no is not None:
        return 0
    found = cursor.execute(
        """SELECT count(*) FROM objects JOIN evaluated USING (item_no) WHERE set_no IN
        (SELECT set_no FROM object_sets WHERE role = 'run' AND model_no = ?)""",
        [spec.model_no],
    ).fetchone()
    return int(found[0]) if found else 0
