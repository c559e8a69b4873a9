"""Starting jobs and waiting for them, across tries: what is attached to, started again, let go of, looked for."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.client.waiting import WaitOutcome
from airflow_provider_nucleus.exceptions import NucleusJobCancelled, NucleusNotFoundError
from airflow_provider_nucleus.operators.starting import NucleusStartingOperator
from airflow_provider_nucleus.schema.jobs import JobState, JobStatus
from tests.unit.operators.fakes import StateStore, cancelling, context

pytestmark = pytest.mark.usefixtures("hook")


class Server:
    """Jobs by their ids; each shows the statuses it is given in turn, the last one for ever."""

    def __init__(self) -> None:
        self.jobs: dict[str, list[str]] = {}
        self.next = ["Completed"]
        self.dies = ""

    def start(self) -> str:
        job_id = f"job_{len(self.jobs) + 1}"
        self.jobs[job_id] = list(self.next)
        return job_id

    def look(self, job_id: str) -> JobStatus:
        if job_id not in self.jobs:
            raise NucleusNotFoundError(job_id, status=404)
        statuses = self.jobs[job_id]
        return JobStatus(status=statuses.pop(0) if len(statuses) > 1 else statuses[0], job_id=job_id)


class Death(BaseException):
    """The worker is lost."""


class Starter(NucleusStartingOperator):
    """Starts one job."""

    def __init__(self, *, server: Server, size: int = 1, **kwargs) -> None:
        super().__init__(task_id="start", deferrable=False, poll_interval=0.001, **kwargs)
        self.server = server
        self.size = size

    def execute(self, context):
        resume_payload = {"size": self.size}
        return self.wait_for_jobs(context, self.attach_or_start(context, resume_payload), resume_payload)

    def start_jobs(self, resume_payload, intent):
        self.earlier = intent.earlier
        intent.record("mark")
        if self.server.dies == "before":
            raise Death
        resume_payload["rows"] = 7
        jobs = [self.server.start()]
        if self.server.dies == "after":
            raise Death
        return jobs

    def look(self, job_id):
        return self.server.look(job_id)

    def wait_for(self, job_ids, patience, *, earlier=None):
        if self.server.dies == "waiting":
            raise Death
        outcome = WaitOutcome([])
        for job_id in job_ids:
            while not (status := self.look(job_id)).state.terminal:
                pass
            outcome.seen[job_id] = status
        return outcome

    def jobs_ended(self, context, statuses, resume_payload):
        for job_id, status in statuses.items():
            if status.state is not JobState.SUCCEEDED:
                raise NucleusJobCancelled("no", job_id=job_id)
        return {"jobs": list(statuses), "rows": resume_payload["rows"]}


def run(server, store, *, max_tries=0, **arguments):
    """Run one try; returns its result, None if it dies."""
    task = Starter(server=server, **arguments)
    try:
        return task.execute(context(task, store=store, max_tries=max_tries)), task
    except Death:
        return None, task


def died_waiting():
    """A server with a job that runs, and the memory of the try that started it."""
    server, store = Server(), StateStore()
    server.next, server.dies = ["Running"], "waiting"
    assert run(server, store)[0] is None
    server.dies, server.next = "", ["Completed"]
    return server, store


def test_a_retry_attaches(monkeypatch):
    """The job of the try that died is waited for; what the start learnt comes back; nothing is left in the store."""
    server, store = died_waiting()
    server.jobs["job_1"] = ["Running", "Completed"]

    assert run(server, store)[0] == {"jobs": ["job_1"], "rows": 7}
    assert store.values == {}


def test_an_attached_job_that_ends_cancelled_is_started_again(monkeypatch):
    """The dying try had asked for it, and the server is slow to follow: that costs no try."""
    server, store = died_waiting()
    server.jobs["job_1"] = ["Running", "Running", "Cancelled"]

    assert run(server, store)[0] == {"jobs": ["job_2"], "rows": 7}
    assert store.values == {}


def test_a_job_of_this_try_that_is_cancelled_is_not_started_again():
    """Somebody wanted it so; also when it is the one that replaced an attached one."""
    server = Server()
    server.next = ["Running", "Cancelled"]
    with pytest.raises(NucleusJobCancelled):
        run(server, StateStore())
    server, store = died_waiting()
    server.jobs["job_1"] = ["Running", "Running", "Cancelled"]
    server.next = ["Running", "Cancelled"]
    with pytest.raises(NucleusJobCancelled):
        run(server, store)
    assert list(server.jobs) == ["job_1", "job_2"]


def test_a_job_that_vanished_is_started_anew():
    """The server forgot it between two tries."""
    server, store = died_waiting()
    del server.jobs["job_1"]
    server.jobs["job_0"] = ["Completed"]

    assert run(server, store)[0]["jobs"] == ["job_2"]


@pytest.mark.parametrize("change", ["cleared", "other arguments"])
@pytest.mark.parametrize("cancels", [True, False])
def test_a_job_nobody_wants_any_more_is_let_go(monkeypatch, caplog, change, cancels):
    """After a clear, and for other arguments, a new job is started; the old one is cancelled, or named."""
    server, store = died_waiting()
    cancelled = cancelling(monkeypatch)
    changed = {"size": 2} if change == "other arguments" else {"max_tries": 1}
    result, _ = run(server, store, cancel_on_kill=cancels, **changed)

    assert result["jobs"] == ["job_2"]
    assert cancelled == (["job_1"] if cancels else [])


@pytest.mark.parametrize(("dies", "jobs"), [("before", ["job_1"]), ("after", ["job_1", "job_2"])])
def test_a_retry_knows_that_something_may_have_been_started(dies, jobs):
    """The intent is saved before the start: whoever can find an unnamed job gets the chance to."""
    server, store = Server(), StateStore()
    server.dies = dies
    assert run(server, store)[0] is None
    server.dies = ""
    result, task = run(server, store)

    assert (task.earlier, list(server.jobs), result["jobs"]) == ("mark", jobs, jobs[-1:])
    assert run(server, StateStore())[1].earlier is None


def test_a_job_being_started_when_the_task_is_killed_is_cancelled(monkeypatch):
    """The signal came before there was a job to name; the task goes no further, and a retry finds the job."""
    server, store = Server(), StateStore()
    server.next = ["Running"]
    cancelled = cancelling(monkeypatch)
    task = Starter(server=server)
    started = task.start_jobs
    monkeypatch.setattr(task, "start_jobs", lambda *arguments: task.on_kill() or started(*arguments))

    with pytest.raises(NucleusJobCancelled, match="killed while it started job_1"):
        task.execute(context(task, store=store))
    assert cancelled == ["job_1"]
