"""The job that computes an evaluation; interrupted, it starts over at the next start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.local.engine.masks import MaskFiles
from airflow_provider_nucleus.local.errors import ApiError, FullDiskError
from airflow_provider_nucleus.local.evaluations.computing.compute import EvaluationSpec, compute
from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
from airflow_provider_nucleus.local.evaluations.reading.summary import summary_of
from airflow_provider_nucleus.local.jobs.execution import JobCancelled, JobInterrupted, JobOutcome, failure_of
from airflow_provider_nucleus.local.jobs.mask_fetch import fetch_masks
from airflow_provider_nucleus.local.store.catalog import evaluations, jobs

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.evaluations.computing.compute import EvaluationColumns
    from airflow_provider_nucleus.local.jobs.execution import JobContext
    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.catalog.evaluations import EvaluationRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["run_evaluation", "start_evaluation"]


def start_evaluation(
    services: Services,
    cursor: Cursor,
    evaluation: EvaluationRecord,
    *,
    requested_by: dict[str, str] | None = None,
) -> jobs.JobRecord:
    """Add the job of a pending evaluation, in the caller's transaction."""
    job = services.start_job(
        cursor,
        evaluations.EVALUATION_JOB,
        dataset_no=None,
        request={"evaluation_no": evaluation.number},
        requested_by=requested_by,
    )
    evaluations.set_job(cursor, evaluation, job)
    return job


def run_evaluation(context: JobContext) -> JobOutcome:
    """Read, match, write the result files, and only then say that it has succeeded."""
    db = context.services.db
    with db.write() as cursor:
        evaluation = evaluations.by_number(cursor, context.job.request["evaluation_no"])
        if evaluation is None or evaluation.status == evaluations.CANCELLED:
            raise JobCancelled
        if evaluation.status == evaluations.SUCCEEDED:
            # The server was killed between the last transaction and the end of the job.
            return _outcome(evaluation)
        context.check(cursor)
        evaluations.begin(cursor, evaluation)
    try:
        return _compute(context, evaluation)
    except (JobInterrupted, FullDiskError):
        raise
    except JobCancelled:
        _end(context, evaluation, None)
        raise
    except Exception as error:
        _end(context, evaluation, str(error) if isinstance(error, ApiError) else failure_of(error))
        raise


def _compute(context: JobContext, evaluation: EvaluationRecord) -> JobOutcome:
    services, config = context.services, evaluation.config
    question = EvaluationSpec(
        items=_items(evaluation),
        model_no=evaluation.model_no,
        run_no=evaluation.run_no,
        taxonomy=config.taxonomy,
        rules=(*config.benchmark_rules, *config.rules),
        only_predicted=config.only_predicted,
        options=config.options,
        benchmark_no=evaluation.benchmark_no,
    )

    def step(done: int, total: int) -> None:
        state = jobs.JobProgress(cursor=done, counts={}, completed_steps=done, total_steps=total)
        with services.db.write() as cursor:
            context.check(cursor)
            jobs.save_progress(cursor, context.job, state)

    masks = MaskFiles(services.blobs.path, fetch_masks(context, *_masks_of(evaluation)))
    with services.db.session() as cursor:
        cursor.execute("BEGIN")
        found: EvaluationColumns = compute(
            cursor, question, masks=masks, rows=services.settings.evaluation_rows, step=step
        )
        cursor.execute("ROLLBACK")
    summary: dict[str, Any] = summary_of(EvaluationResult(evaluation.id, found.arrays, found.about))
    files = services.results.files
    result = files.write(evaluation.id, found.arrays, found.about)
    try:
        with services.db.write() as cursor:
            context.check(cursor)
            evaluations.succeed(
                cursor,
                evaluation,
                exclusion_stats=found.exclusion_stats,
                summary=summary,
                result=result,
                remark=found.mask_failure,
            )
    except BaseException:
        files.remove(result)
        raise
    return _outcome(evaluation)


def _masks_of(evaluation: EvaluationRecord) -> tuple[str, list[object]]:
    """Return the condition on masks under which an evaluation compares them."""
    sets = (
        "role = 'truth' OR role = 'run' AND run_no = ?"
        if evaluation.run_no is not None
        else "role = 'truth' OR role = 'model' AND model_no = ?"
    )
    condition = f"item_no IN {_items(evaluation)} AND set_no IN (SELECT set_no FROM object_sets WHERE {sets})"
    return condition, [evaluation.model_no if evaluation.run_no is None else evaluation.run_no]


def _items(evaluation: EvaluationRecord) -> str:
    """Return the items of an evaluation as a subquery of integers of ours."""
    if evaluation.benchmark_no is not None:
        return f"(SELECT item_no FROM benchmark_items WHERE benchmark_no = {evaluation.benchmark_no})"
    datasets = f"SELECT dataset_no FROM object_sets WHERE role = 'run' AND run_no = {evaluation.run_no}"
    items = f"SELECT item_no FROM items WHERE dataset_no IN ({datasets})"
    if evaluation.slice_no is not None:
        number = evaluation.slice_no
        items += (
            f" AND (item_no IN (SELECT item_no FROM slice_items WHERE slice_no = {number} AND item_no IS NOT NULL)"
            f" OR scene_no IN (SELECT scene_no FROM slice_items WHERE slice_no = {number} AND scene_no IS NOT NULL))"
        )
    return f"({items})"


def _end(context: JobContext, evaluation: EvaluationRecord, message: str | None) -> None:
    """Say how the evaluation ended; without a message it was cancelled."""
    with context.services.db.write() as cursor:
        current = evaluations.by_number(cursor, evaluation.number)
        if current is None or current.status not in {evaluations.PENDING, evaluations.COMPUTING}:
            return
        if message is None:
            evaluations.cancel(cursor, current)
        else:
            evaluations.fail(cursor, current, message)


def _outcome(evaluation: EvaluationRecord) -> JobOutcome:
    return JobOutcome("Completed", {"evaluation_id": evaluation.id})
