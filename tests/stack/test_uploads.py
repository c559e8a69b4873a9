"""Uploads in a real Airflow whose parts die or are told to stop: nothing lost, nothing doubled, no job left behind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.faults import Fault
from tests.stack.world import CANCEL, PUT, REQUEST, START

if TYPE_CHECKING:
    from tests.stack.stack import AirflowStack
    from tests.stack.world import Batch, World

ALL = list(range(120))
TASK = "upload"
_RUNNING = re.compile(r"Job (job_\w+) is Running\b.*\bairflow_provider_nucleus\.triggers\b")
"""A line of the triggerer; the task has looked once, too, before it was deferred."""


class Run:
    """One run of one of the DAGs."""

    def __init__(self, stack: AirflowStack, way: str, batch: Batch) -> None:
        self.stack = stack
        self.batch = batch
        self.way = way
        self.id = stack.trigger(way, batch.conf)

    @property
    def task(self) -> tuple[str, str, str]:
        return self.way, self.id, TASK

    def until_state(self, *states: str) -> dict:
        return self.stack.wait_for(*self.task, *states)

    def ends(self, state: str) -> None:
        """The task ends in this state; shows its log otherwise."""
        found = self.until_state("success", "failed")["state"]
        assert found == state, self.log()

    def until_watched(self) -> None:
        """Wait until the task is deferred and the triggerer has looked at its jobs.

        Airflow calls `on_kill` of triggers that run; one it ends before a triggerer took it is never heard of.
        """
        self.until_state("deferred")
        self.stack.until(lambda: len(set(_RUNNING.findall(self.log()))) == 3, timeout=60, what="the trigger")

    def until_settled(self) -> list[str]:
        return self.stack.until(self.batch.settled, timeout=60, what="the jobs to end")

    def until_cancelled(self, count: int) -> None:
        """Wait until the server was asked to cancel *count* jobs."""
        seen = self.batch.world.proxy.requests
        self.stack.until(
            lambda: len(seen(CANCEL)) >= count, timeout=60, what=f"{count} cancellations\n{self.log()}"
        )

    def log(self) -> str:
        return self.stack.log(*self.task)


@pytest.mark.parametrize(
    ("way", "pattern", "action", "kept"),
    [
        ("waiting", PUT, "crash", 40),
        ("deferred", START, "crash-late", 40),
        ("requests", REQUEST, "crash-late", 40),
    ],
    ids=["file half sent", "job started but not recorded", "rows stored but not recorded"],
)
def test_killed_worker_is_continued(
    stack: AirflowStack, world: World, way: str, pattern: str, action: str, kept: int
):
    """SIGKILL during the second chunk: the retry sends what is missing, starts no job twice, stores each row once."""
    batch = world.batch()
    runs: list[Run] = []
    world.proxy.arm(Fault("death", pattern, action, at=2, crash=lambda: stack.kill_worker(*runs[0].task)))
    runs.append(Run(stack, way, batch))
    runs[0].ends("success")

    assert stack.task(*runs[0].task)["try_number"] == 2
    assert batch.stored() == ALL
    again = [number for number in ALL if batch.sent().count(number) > 1]
    assert again in ([], ALL[kept : kept + 40])
    if way != "requests":
        assert batch.settled() == ["Completed"] * 3
        assert stack.xcom(*runs[0].task)["processed"] == 120


def test_killed_triggerer_is_replaced(stack: AirflowStack, world: World):
    """SIGKILL of the triggerer in the middle of a wait: the next one takes over, the task ends well."""
    world.hold()
    batch = world.batch()
    run = Run(stack, "deferred", batch)
    run.until_watched()
    stack.stop("triggerer", kill=True)
    world.release()
    stack.start("triggerer")
    run.ends("success")

    assert batch.stored() == ALL
    assert len(batch.jobs()) == 3
    assert stack.task(*run.task)["try_number"] == 1


@pytest.mark.parametrize("way", ["deferred", "waiting"])
def test_marking_failed_cancels(stack: AirflowStack, world: World, way: str):
    """Marked failed while the triggerer or the worker waits: every job is asked to stop, and does."""
    world.hold()
    batch = world.batch()
    run = Run(stack, way, batch)
    if way == "deferred":
        run.until_watched()
    else:
        stack.until(lambda: "is Running" in run.log(), timeout=60, what="the wait")
    stack.mark(*run.task, "failed")
    run.until_cancelled(3)
    world.release()

    assert run.until_settled() == ["Cancelled"] * 3
    assert batch.stored() == []
    assert stack.task(*run.task)["state"] == "failed"
    assert len(re.findall(r"Job job_\S+ will be cancelled", run.log())) == 3


def test_marking_failed_cancels_before_the_process_is_killed(stack: AirflowStack, world: World):
    """Each request to cancel takes 1.8 s: one after the other they would not be through when SIGKILL follows SIGTERM."""
    world.hold()
    batch = world.batch()
    world.proxy.arm(Fault("slow", CANCEL, "delay", seconds=1.8, times=1000))
    run = Run(stack, "waiting", batch)
    stack.until(lambda: "is Running" in run.log(), timeout=60, what="the wait")
    stack.mark(*run.task, "failed")
    stack.until(lambda: "Task killed!" in run.log(), timeout=60, what="the task's process to end")

    assert len(re.findall(r"Job job_\S+ will be cancelled", run.log())) == 3
    world.release()
    assert run.until_settled() == ["Cancelled"] * 3


def test_jobs_that_end_cancelled_with_the_dead_try_are_sent_again_by_the_retry(
    stack: AirflowStack, world: World
):
    """The retry attaches to jobs that were told to stop: they end cancelled, and the same try sends their rows again."""
    world.hold()
    batch = world.batch()
    run = Run(stack, "waiting", batch)
    stack.until(lambda: "is Running" in run.log(), timeout=60, what="the wait")
    stack.kill_worker(*run.task)
    stack.until(lambda: "attach, because" in run.log(), timeout=90, what="the retry")
    batch.cancel()
    world.release()
    run.ends("success")

    assert stack.task(*run.task)["try_number"] == 2
    assert batch.stored() == ALL
    assert sorted(run.until_settled()) == ["Cancelled"] * 3 + ["Completed"] * 3


def test_what_ended_while_no_triggerer_ran_is_collected(stack: AirflowStack, world: World):
    """The triggerer is down when the deadline passes, the jobs are done: Airflow wakes the task to fail it, and it succeeds."""
    world.hold()
    batch = world.batch()
    run = Run(stack, "impatient_deferred", batch)
    run.until_state("deferred")
    stack.stop("triggerer", kill=True)
    world.release()
    try:
        run.ends("success")
    finally:
        stack.start("triggerer")

    assert batch.stored() == ALL
    assert run.until_settled() == ["Completed"] * 3


@pytest.mark.parametrize(("way", "sends"), [("deferred", 6), ("reattaching", 3)])
def test_clear_means_what_on_clear_says(stack: AirflowStack, world: World, way: str, sends: int):
    """Clearing a finished task sends everything again with `rerun` and nothing with `reattach`; rows stay single."""
    batch = world.batch()
    run = Run(stack, way, batch)
    run.ends("success")
    stack.wait_for_run(way, run.id)
    stack.clear(*run.task)
    stack.until(lambda: stack.task(*run.task)["try_number"] == 2, timeout=60, what="the second run")
    run.ends("success")

    assert batch.stored() == ALL
    assert len(batch.jobs()) == sends
    assert len(world.proxy.requests(PUT)) == sends


def test_clearing_a_deferred_task_cancels_and_sends_again(stack: AirflowStack, world: World):
    """Cleared in the middle of the wait: the jobs of before are cancelled, those of after store every row once."""
    world.hold()
    batch = world.batch()
    run = Run(stack, "deferred", batch)
    run.until_watched()
    stack.clear(*run.task)
    run.until_cancelled(3)
    world.release()
    run.ends("success")

    assert sorted(run.until_settled()) == ["Cancelled"] * 3 + ["Completed"] * 3
    assert batch.stored() == ALL


@pytest.fixture(scope="module")
def late(stack: AirflowStack, running_world: World) -> dict[str, Run]:
    """Runs whose tasks wait too long, side by side, after they failed and their jobs ended."""
    running_world.proxy.arm()
    running_world.hold()
    ways = ("impatient", "impatient_deferred", "hurried", "leaving")
    runs = {way: Run(stack, way, running_world.batch()) for way in ways}
    for run in runs.values():
        run.ends("failed")
    running_world.release()
    for run in runs.values():
        run.until_settled()
    return runs


@pytest.mark.parametrize("way", ["impatient", "impatient_deferred", "hurried"])
def test_waiting_too_long_fails_and_cancels(late: dict[str, Run], way: str):
    """`job_timeout` in both forms and `execution_timeout`: the task fails, its jobs are cancelled, the log says so."""
    run = late[way]

    assert run.batch.statuses() == ["Cancelled"] * 3
    assert len(re.findall(r"Job job_\S+ will be cancelled", run.log())) == 3
    assert ("AirflowTaskTimeout" if way == "hurried" else "Gave up waiting for job_") in run.log()


def test_waiting_too_long_leaves_jobs_when_told_to(late: dict[str, Run]):
    """`cancel_on_kill=False`: the task fails, the jobs go on and are named."""
    run = late["leaving"]

    assert run.batch.statuses() == ["Completed"] * 3
    assert "will be cancelled" not in run.log()
    assert all(job.job_id in run.log() for job in run.batch.jobs())


def test_deferral_that_times_out_cancels(stack: AirflowStack, world: World):
    """No triggerer is there to end the wait: Airflow ends the deferral, and the task cancels its jobs before it fails."""
    world.hold()
    batch = world.batch()
    run = Run(stack, "impatient_deferred", batch)
    run.until_state("deferred")
    stack.stop("triggerer", kill=True)
    try:
        run.ends("failed")
    finally:
        stack.start("triggerer")
    run.until_cancelled(3)
    world.release()

    assert run.until_settled() == ["Cancelled"] * 3
    assert "Gave up waiting for job_" in run.log()


def test_crashed_trigger_leaves_jobs_to_the_retry(stack: AirflowStack, world: World):
    """A bug in the triggerer fails one try; the jobs are named in the log and the retry attaches to them."""
    world.hold()
    batch = world.batch()
    run = Run(stack, "crashing", batch)
    stack.until(lambda: stack.task(*run.task)["try_number"] == 2, timeout=60, what="the retry")
    run.until_state("deferred")
    world.release()
    run.ends("success")

    assert batch.stored() == ALL
    assert batch.settled() == ["Completed"] * 3
    assert len(world.proxy.requests(PUT)) == 3
    logged = run.log()
    assert "The trigger failed; job_" in logged, logged
