"""Starting one job per chunk on a server that does not recognise a repeated start: the cloud, as far as anybody knows."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_nucleus.client.uploads import UploadOptions, UploadTarget
from airflow_provider_nucleus.client.uploads.resume.ledger import OpenChunk
from airflow_provider_nucleus.client.uploads.send.job_start import JobStarter
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusConnectionError,
    NucleusNotFoundError,
    NucleusRequestError,
    NucleusServerError,
)
from airflow_provider_nucleus.schema.jobs import Job, JobStatus

LOST = NucleusConnectionError("the answer got lost")


@dataclass
class ForgetfulServer:
    """A client whose server starts a job for every start; `troubles` befall the starts in turn, before or after the work."""

    troubles: list[tuple[str, Exception]] = field(default_factory=list)
    jobs: list[tuple[Job, int | None]] = field(default_factory=list)
    starts: int = 0
    rows: int | None = 10

    def add(self, rows: int | None, created: str = "2026-01-01T00:00:05.000Z") -> str:
        job_id = f"job_{len(self.jobs)}"
        job = Job(
            job_id=job_id,
            job_last_known_status="Running",
            job_type="uploadAnnotations",
            job_creation_time=created,
        )
        self.jobs.insert(0, (job, rows))
        return job_id

    def clock(self) -> float:
        return 1000.0

    def send(self, call: Any, **_: Any) -> Any:
        if call.path.startswith("jobs"):
            return [job for job, _ in self.jobs][: call.body["limit"]]
        if call.path.startswith("job/"):
            for job, rows in self.jobs:
                if call.path == f"job/{job.job_id}":
                    return JobStatus(status="Running", job_id=job.job_id, total_steps=rows)
            raise NucleusNotFoundError("gone", status=404)
        self.starts += 1
        when, trouble = self.troubles.pop(0) if self.troubles else ("", None)
        if when == "before":
            raise trouble
        self.add(self.rows)
        if when == "after":
            raise trouble
        return self.jobs[0][0]


def starter(server: ForgetfulServer, claimed: set[str] = frozenset()) -> JobStarter:
    target = UploadTarget("annotations", "ds_1")
    return JobStarter(
        server, target, UploadOptions(), claimed=lambda: set(claimed), log=logging.getLogger("test")
    )


def chunk(rows: int = 10) -> OpenChunk:
    return OpenChunk("d" * 12, rows, "2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize(
    "trouble", [LOST, NucleusServerError("500", status=500), NucleusAnswerError("cut", status=200)]
)
def test_a_start_whose_answer_is_lost_is_found_not_repeated(trouble: Exception):
    """Whatever hid the answer: the job is there, is found by its size, and stays the only one."""
    server = ForgetfulServer([("after", trouble)])
    one = chunk()

    assert starter(server).start(one, "r").job_id == "job_0"
    assert (server.starts, one.found) == (1, True)


def test_a_start_that_never_arrived_is_repeated():
    """Nothing is found, so nothing runs, and the start is sent again."""
    server = ForgetfulServer([("before", LOST), ("before", LOST)])

    assert starter(server).start(chunk(), "r").job_id == "job_0"
    assert server.starts == 3


def test_starting_is_given_up_after_three_tries():
    """The last trouble is raised; the intent stays for the next attempt to look into."""
    server = ForgetfulServer([("before", LOST)] * 9)
    with pytest.raises(NucleusConnectionError):
        starter(server).start(chunk(), "r")
    assert server.starts == 3


def test_a_refusal_is_an_answer():
    """4xx means no job: nothing is looked for, nothing repeated."""
    server = ForgetfulServer([("before", NucleusRequestError("409", status=409))])
    server.add(10)
    with pytest.raises(NucleusRequestError):
        starter(server).start(chunk(), "r")
    assert server.starts == 1


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([(10, "2026-01-01T00:00:01.000Z")], "job_0"),
        ([(None, "2026-01-01T00:00:01.000Z")], "job_0"),
        ([(10, "not a time")], "job_0"),
        ([(11, "2026-01-01T00:00:01.000Z")], None),
        ([(10, "2025-12-31T23:59:59.000Z")], None),
        ([(10, "2026-01-01T00:00:01.000Z"), (10, "2026-01-01T00:00:02.000Z")], None),
        ([(10, "2026-01-01T00:00:01.000Z"), (None, "2026-01-01T00:00:02.000Z")], "job_0"),
        ([(None, "2026-01-01T00:00:01.000Z"), (None, "2026-01-01T00:00:02.000Z")], None),
        ([], None),
    ],
    ids=["ours", "size unknown", "age unknown", "other size", "older than the intent", "two fit", "one proven", "two unknown", "none"],
)  # fmt: skip
def test_only_a_job_that_can_be_ours_alone_is_taken(others: list[tuple[int | None, str]], found: str | None):
    """Younger than the intent, of the chunk's size, and the only one."""
    server = ForgetfulServer()
    for rows, created in others:
        server.add(rows, created)
    job = starter(server).find_started(chunk())

    assert (job and job.job_id) == found


def test_a_job_that_belongs_to_another_chunk_is_not_taken():
    """Equal chunks of one upload do not share a job."""
    server = ForgetfulServer()
    server.add(10)

    assert starter(server, {"job_0"}).find_started(chunk()) is None


def test_a_job_that_vanishes_while_it_is_looked_at_is_no_candidate():
    """Listed, but unknown a moment later."""
    server = ForgetfulServer()
    server.add(10)
    listed = server.jobs[:]

    def send(call: Any, **_: Any) -> Any:
        if call.path.startswith("jobs"):
            return [job for job, _ in listed]
        raise NucleusNotFoundError("gone", status=404)

    server.send = send
    assert starter(server).find_started(chunk()) is None
