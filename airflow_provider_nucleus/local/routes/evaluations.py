"""Routes that start, watch and end evaluations (contract sections 2.8 and 2.15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError
from airflow_provider_nucleus.local.evaluations.computing.result_layouts import evaluate_again
from airflow_provider_nucleus.local.jobs.evaluations import start_evaluation
from airflow_provider_nucleus.local.requests.exclusion_rules import exclusion_rules
from airflow_provider_nucleus.local.requests.fields import flag, text
from airflow_provider_nucleus.local.requests.label_taxonomy import Taxonomy, rollup_groups
from airflow_provider_nucleus.local.requests.match_options import MatchOptions
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
    from collections.abc import Mapping

    from airflow_provider_nucleus.local.call import Call
    from airflow_provider_nucleus.local.store.catalog.benchmarks import Benchmark
    from airflow_provider_nucleus.local.store.catalog.evaluations import Evaluation
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()
_KNOWN: Final = frozenset({"model_id", "model_run_id", "name", "rollup_groups", "exclusion_rules"})
_KNOWN_OF_RUN: Final = frozenset({
    "name", "rollup_groups", "exclusion_rules", "allowed_label_matches", "allowed_label_matches_id", "slice_id",
    "only_items_with_predictions",
})  # fmt: skip


@ROUTES.post("benchmarks/{bm}/evaluationsV2")
def create(call: Call) -> Any:
    """Start evaluating a model or a run on a benchmark."""
    body = _known(call.snake_json(), _KNOWN)
    model_id, run_id = (text(body, name) for name in ("model_id", "model_run_id"))
    if (model_id is None) == (run_id is None):
        raise BadRequestError("Give exactly one of model_id and model_run_id.")
    with call.db.write() as cursor:
        benchmark = benchmarks.find(cursor, call.params["bm"])
        if benchmark.status != benchmarks.READY:
            hint = "finalize it first" if benchmark.status == benchmarks.DRAFT else "wait until it is ready"
            raise ConflictError(
                f"Benchmark {benchmark.id} is {benchmark.status} and cannot be evaluated: {hint}."
            )
        evaluation = evaluations.create(
            cursor,
            _config(cursor, body, benchmark),
            name=text(body, "name"),
            benchmark_no=benchmark.number,
            model_no=None if model_id is None else models.find(cursor, model_id).number,
            run_no=None if run_id is None else models.find_run(cursor, run_id).number,
        )
        return _start(call, cursor, evaluation)


def _config(cursor: Cursor, body: Mapping[str, Any], benchmark: Benchmark) -> Config:
    """Take the labels of the request, else those of the benchmark; rules of both apply."""
    taxonomy = benchmark.taxonomy(cursor)
    if body.get("rollup_groups"):
        if taxonomy.class_agnostic:
            raise BadRequestError(
                f"Benchmark {benchmark.id} ignores labels (class_agnostic), so rollupGroups cannot apply. Leave them out."
            )
        taxonomy = Taxonomy(groups=rollup_groups(body["rollup_groups"]))
    return Config(
        taxonomy=taxonomy,
        rules=exclusion_rules(body.get("exclusion_rules")),
        benchmark_rules=benchmark.rules(),
    )


@ROUTES.post("modelRun/{r}/evaluationsV2")
def create_of_run(call: Call) -> Any:
    """Start evaluating a run on the items of its datasets, or of a slice: what older clients ask for."""
    body = _known(call.snake_json(), _KNOWN_OF_RUN)
    slice_id = text(body, "slice_id")
    with call.db.write() as cursor:
        run = models.find_run(cursor, call.params["r"])
        chosen = None if slice_id is None else slices.find(cursor, slice_id)
        evaluation = evaluations.create(
            cursor,
            Config(
                taxonomy=_taxonomy_of_run(cursor, body),
                rules=exclusion_rules(body.get("exclusion_rules")),
                only_predicted=flag(body, "only_items_with_predictions"),
            ),
            name=text(body, "name"),
            slice_no=None if chosen is None else chosen.number,
            slice_id=slice_id,
            run_no=run.number,
        )
        return _start(call, cursor, evaluation)


def _taxonomy_of_run(cursor: Cursor, body: Mapping[str, Any]) -> Taxonomy:
    given = [
        name
        for name in ("rollup_groups", "allowed_label_matches", "allowed_label_matches_id")
        if body.get(name)
    ]
    if len(given) > 1:
        raise BadRequestError(f"{' and '.join(given)} exclude each other: send one of them.")
    if not given:
        return Taxonomy()
    if given[0] == "rollup_groups":
        return Taxonomy(groups=rollup_groups(body["rollup_groups"]))
    if given[0] == "allowed_label_matches":
        options = MatchOptions.from_wire({"allowed_label_matches": body["allowed_label_matches"]})
        return Taxonomy(pairs=options.allowed_label_matches)
    return Taxonomy(groups=label_configs.groups_of(cursor, str(body["allowed_label_matches_id"])))


def _start(call: Call, cursor: Cursor, evaluation: Evaluation) -> dict[str, Any]:
    job = start_evaluation(call.services, cursor, evaluation)
    return {"evaluation_id": evaluation.id, "status": evaluation.status, "workflow_id": job.id}


@ROUTES.get("evaluationsV2/{ev}")
def read(call: Call) -> Any:
    """Return an evaluation."""
    with call.db.read() as cursor:
        return evaluations.find(cursor, call.params["ev"]).to_wire()


@ROUTES.delete("evaluationsV2/{ev}")
def delete(call: Call) -> Any:
    """Put an evaluation away, stopping it if it is running; its result files go."""
    with call.db.write() as cursor:
        evaluation = evaluations.find(cursor, call.params["ev"])
        _stop(call, cursor, evaluation)
        evaluations.archive(cursor, evaluation)
        call.db.after_commit(lambda: call.services.results.remove(evaluation))
    return {}


@ROUTES.post("evaluationsV2/{ev}/cancel")
def cancel(call: Call) -> Any:
    """Stop an evaluation that has not ended."""
    with call.db.write() as cursor:
        evaluation = evaluations.find(cursor, call.params["ev"])
        evaluations.cancel(cursor, evaluation)
        _stop(call, cursor, evaluation)
        return evaluations.find(cursor, evaluation.id).to_wire()


def _stop(call: Call, cursor: Cursor, evaluation: Evaluation) -> None:
    assert evaluation.job_id is not None
    job = jobs.find(cursor, evaluation.job_id)
    if job.status == jobs.RUNNING:
        call.services.cancel_job(cursor, job)


@ROUTES.post("evaluationsV2/{ev}/retry")
def retry(call: Call) -> Any:
    """Start a failed evaluation again, as a new one."""
    with call.db.write() as cursor:
        failed = evaluations.find(cursor, call.params["ev"])
        if failed.status != evaluations.FAILED:
            raise ConflictError(
                f"Evaluation {failed.id} is {failed.status}; only a failed one can be retried. {evaluate_again(failed)}."
            )
        evaluation = evaluations.create(
            cursor,
            failed.config,
            name=failed.name,
            benchmark_no=failed.benchmark_no,
            slice_no=failed.slice_no,
            slice_id=failed.slice_id,
            model_no=failed.model_no,
            run_no=failed.run_no,
        )
        return _start(call, cursor, evaluation)


@ROUTES.get("model/{m}/evaluationsV2")
def of_model(call: Call) -> Any:
    """List the evaluations of a model, newest first."""
    with call.db.read() as cursor:
        model = models.find(cursor, call.params["m"])
        return [entry.to_wire() for entry in evaluations.of_model(cursor, model.number)]


@ROUTES.get("modelRun/{r}/evaluationsV2")
def of_run(call: Call) -> Any:
    """List the evaluations of a run, newest first."""
    with call.db.read() as cursor:
        run = models.find_run(cursor, call.params["r"])
        return [entry.to_wire() for entry in evaluations.of_run(cursor, run.number)]


def _known(body: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    if unknown := sorted(set(body) - known):
        raise BadRequestError(f"Unknown fields {unknown}; this route takes {', '.join(sorted(known))}.")
    return body
