"""The job that puts items into a benchmark, in one transaction: all of them or, interrupted, none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.errors import FullDiskError
from airflow_provider_nucleus.local.jobs.execution import JobCancelled, JobInterrupted, JobOutcome
from airflow_provider_nucleus.local.store.catalog import benchmarks, jobs
from airflow_provider_nucleus.local.store.catalog.benchmark_sources import select

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.jobs.execution import JobContext
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["run_benchmark_build"]


def run_benchmark_build(context: JobContext) -> JobOutcome:
    """Add the items of the sources and the parent, less those removed; a benchmark being built becomes ready.

    A benchmark without a single item with ground truth fails: it could not be evaluated.
    """
    request = context.job.request
    db = context.services.db
    try:
        with db.session() as session, db.write(session) as cursor:
            context.check(cursor)
            return _build(context, cursor)
    except (JobInterrupted, FullDiskError):
        raise
    except (JobCancelled, Exception):
        with db.write() as cursor:
            benchmark = benchmarks.by_number(cursor, request["benchmark_no"])
            if benchmark.status == benchmarks.BUILDING:
                benchmarks.set_status(cursor, benchmark, benchmarks.FAILED)
        raise


def _build(context: JobContext, cursor: Cursor) -> JobOutcome:
    request = context.job.request
    benchmark = benchmarks.by_number(cursor, request["benchmark_no"])
    if context.job.state.completed_steps:
        # The server was killed between this transaction and the end of the job.
        return _outcome(benchmark, added=context.job.state.counts["added"])
    added = 0
    if request["parent_no"] is not None:
        parent = f"(SELECT item_no FROM benchmark_items WHERE benchmark_no = {int(request['parent_no'])})"
        added += benchmarks.add_members(cursor, benchmark, parent)[0]
    added += benchmarks.add_members(cursor, benchmark, select(cursor, request["sources"]))[0]
    if request["parent_no"] is not None:
        benchmarks.leave_out(cursor, benchmark, parent_no=request["parent_no"])
    added -= benchmarks.remove_items(cursor, benchmark, request["removed"])
    benchmark = benchmarks.by_number(cursor, benchmark.number)
    if benchmark.status == benchmarks.BUILDING:
        benchmarks.set_status(cursor, benchmark, benchmarks.READY if benchmark.members else benchmarks.FAILED)
    state = jobs.JobProgress(cursor=1, counts={"added": added}, completed_steps=1, total_steps=1)
    jobs.save_progress(cursor, context.job, state)
    return _outcome(benchmarks.by_number(cursor, benchmark.number), added=added)


def _outcome(benchmark: benchmarks.BenchmarkRecord, *, added: int) -> JobOutcome:
    message = {
        "benchmark_id": benchmark.id,
        "items_added": added,
        "item_count": benchmark.members,
        "skipped_items_without_ground_truth": benchmark.skipped,
    }
    if benchmark.status == benchmarks.FAILED:
        reason = (
            f"Benchmark {benchmark.id} has no items: {benchmark.skipped} were skipped because they have no ground truth. "
            "Upload ground truth, then create the benchmark again."
        )
        return JobOutcome("Errored_User", {**message, "final_error": reason})
    return JobOutcome("Completed", message)
