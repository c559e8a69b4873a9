"""Routes that start, watch and end evaluations (contract sections 2.8 and 2.15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError
from airflow_provider_nucleus.local.evaluations.computing.result_layouts import evaluate_again
from airflow_provider_nucleus.local.jobs.evaluations import start_evaluation
from airflow_provider_nucleus.local.requests.evaluations import EvaluateRequest, EvaluateRunRequest
from airflow_provider_nucleus.local.requests.label_taxonomy import Taxonomy
from airflow_provider_nucleus.local.requests.match_options import pairs_of
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import (
    benchmarks,
    evaluations,
    jobs,
    label_configs,
    models,
    slices,
)
from airflow_provider_nucleus.local.store.catalog.evaluations import Config

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.catalog.benchmarks import BenchmarkRecord
    from airflow_provider_nucleus.local.store.catalog.evaluations import EvaluationRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.post("benchmarks/{bm}/evaluationsV2", body=EvaluateRequest)
def create(call: RouteCall, request: EvaluateRequest) -> Any:
    """Start evaluating a model or a run on a benchmark."""
    model_id, run_id = request.model_id, request.model_run_id
    with call.db.write() as cursor:
        benchmark = benchmarks.find(cursor, call.params["bm"])
        benchmarks.require_ready(benchmark)
        evaluation = evaluations.create(
            cursor,
            _config(cursor, request, benchmark),
            name=request.name,
            benchmark_no=benchmark.number,
            model_no=None if model_id is None else models.find(cursor, model_id).number,
            run_no=None if run_id is None else models.find_run(cursor, run_id).number,
        )
        return _start(call, cursor, evaluation)


def _config(cursor: Cursor, request: EvaluateRequest, benchmark: BenchmarkRecord) -> Config:
    """Take the labels of the request, else those of the benchmark; rules of both apply."""
    taxonomy = benchmark.taxonomy(cursor)
    if request.rollup_groups:
        if taxonomy.class_agnostic:
            raise BadRequestError(
                f"Benchmark {benchmark.id} ignores labels (class_agnostic), so rollupGroups cannot apply. Leave them out."
            )
        taxonomy = Taxonomy(groups=tuple(request.rollup_groups))
    return Config(
        taxonomy=taxonomy,
        rules=tuple(request.exclusion_rules or ()),
        benchmark_rules=benchmark.rules(),
        options=request.options,
    )


@ROUTES.post("modelRun/{r}/evaluationsV2", body=EvaluateRunRequest)
def create_of_run(call: RouteCall, request: EvaluateRunRequest) -> Any:
    """Start evaluating a run on the items of its datasets, or of a slice, as older clients do."""
    slice_id = request.slice_id
    with call.db.write() as cursor:
        run = models.find_run(cursor, call.params["r"])
        chosen = None if slice_id is None else slices.find(cursor, slice_id)
        evaluation = evaluations.create(
            cursor,
            Config(
                taxonomy=_taxonomy_of_run(cursor, request),
                rules=tuple(request.exclusion_rules or ()),
                only_predicted=request.only_items_with_predictions,
                options=request.options,
            ),
            name=request.name,
            slice_no=None if chosen is None else chosen.number,
            slice_id=slice_id,
            run_no=run.number,
        )
        return _start(call, cursor, evaluation)


def _taxonomy_of_run(cursor: Cursor, request: EvaluateRunRequest) -> Taxonomy:
    if request.allowed_label_matches_id:
        return Taxonomy(groups=label_configs.groups_of(cursor, request.allowed_label_matches_id))
    return Taxonomy(groups=tuple(request.rollup_groups or ()), pairs=pairs_of(request.allowed_label_matches))


def _start(call: RouteCall, cursor: Cursor, evaluation: EvaluationRecord) -> dict[str, Any]:
    job = start_evaluation(call.services, cursor, evaluation, requested_by=call.requested_by)
    return {"evaluation_id": evaluation.id, "status": evaluation.status, "workflow_id": job.id}


@ROUTES.get("evaluationsV2/{ev}")
def read(call: RouteCall) -> Any:
    """Return an evaluation."""
    with call.db.read() as cursor:
        return evaluations.find(cursor, call.params["ev"]).to_wire()


@ROUTES.delete("evaluationsV2/{ev}")
def delete(call: RouteCall) -> Any:
    """Put an evaluation away, stopping it if it is running; its result files go."""
    with call.db.write() as cursor:
        evaluation = evaluations.find(cursor, call.params["ev"])
        _stop(call, cursor, evaluation)
        evaluations.archive(cursor, evaluation)
        call.db.after_commit(lambda: call.services.results.remove(evaluation))
    return {}


@ROUTES.post("evaluationsV2/{ev}/cancel")
def cancel(call: RouteCall) -> Any:
    """Stop an evaluation that has not ended."""
    with call.db.write() as cursor:
        evaluation = evaluations.find(cursor, call.params["ev"])
        evaluations.cancel(cursor, evaluation)
        _stop(call, cursor, evaluation)
        return evaluations.find(cursor, evaluation.id).to_wire()


def _stop(call: RouteCall, cursor: Cursor, evaluation: EvaluationRecord) -> None:
    assert evaluation.job_id is not None
    job = jobs.find(cursor, evaluation.job_id)
    if job.status == jobs.RUNNING:
        call.services.cancel_job(cursor, job)


@ROUTES.post("evaluationsV2/{ev}/retry")
def retry(call: RouteCall) -> Any:
    """Start a failed evaluation again, as a new one."""
    with call.db.write() as cursor:
        failed = evaluations.find(cursor, call.params["ev"])
        if failed.status != evaluations.FAILED:
            raise ConflictError(
                f"Evaluation {failed.id} is {failed.status}; only a failed one can be retried. {evaluate_again(failed)}."
            )
        return _start(call, cursor, evaluations.copy(cursor, failed))


@ROUTES.get("model/{m}/evaluationsV2")
def of_model(call: RouteCall) -> Any:
    """List the evaluations of a model, newest first."""
    with call.db.read() as cursor:
        model = models.find(cursor, call.params["m"])
        return [entry.to_wire() for entry in evaluations.of_model(cursor, model.number)]


@ROUTES.get("modelRun/{r}/evaluationsV2")
def of_run(call: RouteCall) -> Any:
    """List the evaluations of a run, newest first."""
    with call.db.read() as cursor:
        run = models.find_run(cursor, call.params["r"])
        return [entry.to_wire() for entry in evaluations.of_run(cursor, run.number)]
