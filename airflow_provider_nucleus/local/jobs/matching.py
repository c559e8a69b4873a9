"""The job behind `calculateEvaluationMetrics` and `modelRun/{r}/commit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.engine.masks import MaskFiles
from airflow_provider_nucleus.local.jobs.execution import JobOutcome
from airflow_provider_nucleus.local.jobs.mask_fetch import fetch_masks
from airflow_provider_nucleus.local.matching.calculate import calculate
from airflow_provider_nucleus.local.requests.match_options import MatchOptions
from airflow_provider_nucleus.local.store.catalog import datasets, jobs, matches
from airflow_provider_nucleus.local.store.views import comparisons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.local.jobs.execution import JobContext
    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.catalog.models import Run
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["MATCHING_JOB", "run_matching", "start_matching"]

MATCHING_JOB: Final = "modelRunCommit"
"""The type of the job: the contract has one name for matching, whichever route asks for it."""


def start_matching(
    services: Services,
    cursor: Cursor,
    run: Run,
    *,
    dataset_nos: Sequence[int],
    options: MatchOptions,
    requested_by: dict[str, str] | None = None,
) -> jobs.JobRecord:
    """Add the job that matches a run with the ground truth of some datasets, in the caller's transaction."""
    return services.start_job(
        cursor,
        MATCHING_JOB,
        dataset_no=dataset_nos[0] if len(dataset_nos) == 1 else None,
        request={"run_id": run.id, "dataset_nos": list(dataset_nos), "options": options.to_wire()},
        requested_by=requested_by,
    )


def run_matching(context: JobContext) -> JobOutcome:
    """Match a run with the ground truth of each of its datasets; interrupted, it starts over at the next start.

    A dataset whose matches were published keeps them; those of the others are what they were before.
    """
    request = context.job.request
    options = MatchOptions.from_wire(request["options"])
    parts = [_match_dataset(context, number, options) for number in request["dataset_nos"]]
    # One dataset is the rule; its numbers then stand where a reader looks first.
    message = {"model_run_id": request["run_id"]} | (parts[0] if len(parts) == 1 else {"datasets": parts})
    failed = [part for part in parts if "final_error" in part]
    if not failed:
        return JobOutcome("Completed", message)
    return JobOutcome(
        "Errored_Partial" if any(sum(part["rows"].values()) for part in parts) else "Errored_User",
        message | {"final_error": failed[0]["final_error"]},
    )


def _match_dataset(context: JobContext, dataset_no: int, options: MatchOptions) -> dict[str, Any]:
    db, job = context.services.db, context.job
    with db.write() as cursor:
        context.check(cursor)
        dataset = datasets.by_number(cursor, dataset_no)
        comparison = comparisons.of_run(cursor, dataset, job.request["run_id"])
        match_set = matches.begin(
            cursor, comparison.sets, dataset_no=dataset_no, options=options, job_no=job.number
        )

    def step(done: int, total: int) -> None:
        state = jobs.JobProgress(cursor=done, counts={}, completed_steps=done, total_steps=total)
        with db.write() as cursor:
            context.check(cursor)
            jobs.save_progress(cursor, job, state)

    try:
        problems = fetch_masks(context, "set_no IN (SELECT unnest(?::INTEGER[]))", [comparison.sets.numbers])
        masks = MaskFiles(context.services.blobs.path, problems)
        summary = calculate(
            db, match_set, masks=masks, step=step, kept=context.services.settings.kept_matches
        )
    except BaseException:
        with db.write() as cursor:
            matches.discard(cursor, match_set)
        raise
    return {"dataset_id": dataset.id, **summary}
