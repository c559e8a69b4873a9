"""Measurement of an evaluation on a benchmark, or on a batch of it, read from a server by what the contract has: charts with filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.benchmark_growth import version_of
from airflow_provider_nucleus.gating.fingerprint import data_name, digest_ground_truth
from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint
from airflow_provider_nucleus.hooks.measuring import engine_of, read_population
from airflow_provider_nucleus.schema.charts import EvaluationFilters
from airflow_provider_nucleus.tasks.batch_scope import BatchScope
from airflow_provider_nucleus.tasks.evaluation_measurement import chart_measurement, truth_counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.gating.measurement import Measurement, Subject
    from airflow_provider_nucleus.hooks.nucleus import NucleusHook
    from airflow_provider_nucleus.schema.benchmarks import Benchmark
    from airflow_provider_nucleus.schema.charts import EvaluationCharts
    from airflow_provider_nucleus.schema.evaluations import Evaluation
    from airflow_provider_nucleus.tasks.population import Population

__all__ = ["measure_evaluation"]

_REQUESTED = ("model_id", "model_run_id", "dataset_id", "slice_id", "query")


def measure_evaluation(
    hook: NucleusHook,
    evaluation: Evaluation,
    request: Mapping[str, Any],
    *,
    subject: Subject,
    definition: Mapping[str, Any],
) -> Measurement:
    """Read the charts of an evaluation that succeeded, of all items of its benchmark or of those that *request* names.

    *request* has `benchmark_id`, `model_id`, `model_run_id`, `dataset_id`, `slice_id`, `query` and `iou_threshold`; *definition* what
    else decides the numbers. Of a batch, the ground truth is digested as it is now; of a whole benchmark, whose items no route lists
    with their ground truth, the digest is of the number of objects by label.
    """
    scope = BatchScope(slice_id=request.get("slice_id"), query=request.get("query"))
    benchmark = hook.get_benchmark(request["benchmark_id"])
    charts = hook.evaluation_charts(
        evaluation.id,
        iou_threshold=request["iou_threshold"],
        filters=EvaluationFilters(slice_ids=[scope.slice_id]) if scope.slice_id else None,
        query=scope.query,
    )
    about = {"of": "benchmark"} if scope else {}
    notes = [note.model_dump(mode="json") | about for note in evaluation.notes or ()]
    left_out = (evaluation.exclusion_stats or {}).get("totals")
    batch = _batch(hook, request, scope)
    digest = digest_ground_truth(truth_counts(charts))
    if batch is not None:
        coverage, outside = _of_batch(batch, hook.benchmark_item_ids(benchmark.id), charts)
        digest = str(batch.ground_truth.digest)
        notes += [_outside(outside, benchmark)] if outside else []
    else:
        coverage = _of_charts(charts) if scope else _of_benchmark(benchmark, charts, left_out or {})
    named = {
        "evaluation_id": evaluation.id,
        "benchmark_id": benchmark.id,
        "benchmark_name": benchmark.name,
        "benchmark_version": version_of(benchmark),
    }
    return chart_measurement(
        charts,
        subject=subject.model_copy(update=named | {name: request.get(name) for name in _REQUESTED}),
        fingerprint=Fingerprint(
            data=data_name("benchmark", benchmark.name, version=version_of(benchmark)),
            scope=scope.name,
            ground_truth=digest,
            options={
                "match": "coco",
                "iou_threshold": request["iou_threshold"],
                "unannotated": "leave_out",
                **definition,
                **(evaluation.options or {}),
            },
            engine=engine_of(hook),
        ),
        coverage=coverage,
        iou_threshold=request["iou_threshold"],
        notes=notes,
        details={"excluded": left_out},
    )


def _batch(hook: NucleusHook, request: Mapping[str, Any], scope: BatchScope) -> Population | None:
    """Return the items of the batch; None without one, and where no dataset is known that a query could be about."""
    dataset_id = request.get("dataset_id")
    if scope.slice_id is not None:
        dataset_id = hook.slice_info(scope.slice_id).dataset_id or dataset_id
    if dataset_id is None or not scope:
        return None
    return read_population(hook, dataset_id, scope, model_run_id=request.get("model_run_id"))


def _of_charts(charts: EvaluationCharts) -> Coverage:
    totals = charts.total_counts
    return Coverage(
        ground_truth=totals.tp + totals.fn, predictions=totals.tp + totals.fp, unannotated="leave_out"
    )


def _of_benchmark(benchmark: Benchmark, charts: EvaluationCharts, left_out: Mapping[str, Any]) -> Coverage:
    """Return the coverage of a whole benchmark: its items all have ground truth, and it counts those it skipped."""
    members, skipped = benchmark.item_count, benchmark.skipped_items_without_ground_truth or 0
    left = int(left_out.get("predictionsOnItemsWithoutGroundTruth") or 0)
    found = _of_charts(charts)
    update = {
        "items": None if members is None else members + skipped,
        "with_ground_truth": members,
        "without_ground_truth": skipped,
        "predictions": found.predictions + left,
        "predictions_left_out": left,
    }
    return found.model_copy(update=update)


def _of_batch(batch: Population, members: set[str], charts: EvaluationCharts) -> tuple[Coverage, int]:
    """Return the coverage of a batch, and how many of its items with ground truth the benchmark lacks."""
    update = {
        "items": len(batch.names),
        "with_ground_truth": len(batch.annotated & members),
        "without_ground_truth": len(batch.names) - len(batch.annotated),
    }
    return _of_charts(charts).model_copy(update=update), len(batch.annotated - members)


def _outside(count: int, benchmark: Benchmark) -> dict[str, Any]:
    return {
        "note": "items_outside_benchmark",
        "count": count,
        "text": f"{count} items of the batch have ground truth and are not in benchmark {benchmark.name!r}, version "
        f"{version_of(benchmark)}: they are in no number. on_new_items='new_version' takes them in.",
    }
