"""Start of one job per chunk: exactly one, whatever happens to requests and answers.

When the answer of a start is lost, the job may run. On an embedded Nucleus the start is repeated: its request id is unique, and a second
start with it is answered with the job of the first. Scale's jobs do not name the file they read, so there it is searched among the jobs
created since, by type, dataset and number of rows; only when none fits, the start is repeated. A start repeated in vain costs work
on the server and nothing else, since every row has an identity: rows that exist then count as ours. Taking a job of somebody else for ours would lose rows, therefore a
job that was found is verified once it ended: by its row count, and by reading back some of our rows.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.client.calls.items import new_request_id, put_signed, signed_url
from airflow_provider_nucleus.client.calls.jobs import list_jobs
from airflow_provider_nucleus.client.retry import may_pass, ride_out_policy
from airflow_provider_nucleus.client.uploads.resume.orphan_jobs import find_orphan_job
from airflow_provider_nucleus.client.uploads.send.requests import start_call
from airflow_provider_nucleus.client.uploads.upload_spec import JOB_TYPES
from airflow_provider_nucleus.client.waiting import given_up
from airflow_provider_nucleus.cloud import is_scale
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusConnectionError,
    NucleusError,
    NucleusRequestError,
    NucleusServerError,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.content import FileContent
    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.client.uploads.resume.ledger import OpenChunk
    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget
    from airflow_provider_nucleus.schema.jobs import Job

__all__ = ["JobStarter"]

T = TypeVar("T")

_PUT_ATTEMPTS = 4
"""Signed addresses tried for one chunk; each may have expired by the time the file is through."""

_START_ATTEMPTS = 3
"""Starts tried for one chunk when none of them left a job behind."""

_AMBIGUOUS = (NucleusConnectionError, NucleusServerError, NucleusAnswerError)
"""After these the job may exist."""


class JobStarter:
    """Uploader of chunk files and starter of their jobs, for one upload."""

    def __init__(
        self,
        client: NucleusClient,
        target: UploadTarget,
        options: UploadOptions,
        *,
        claimed: Callable[[], set[str]],
        log: logging.Logger,
    ) -> None:
        self._client = client
        self._target = target
        self._options = options
        self._claimed = claimed
        self._log = log
        self._failing_since: float | None = None

    def newest_job_time(self) -> str:
        """Return when the newest job of this kind was created, by the server's clock; empty when there is none."""
        jobs = self._send(self._list(limit=1))
        return jobs[0].job_creation_time if jobs else ""

    def put(self, content: FileContent) -> str:
        """Upload a chunk as a file and return its request id; an address that expired is replaced by a fresh one."""
        for attempt in range(1, _PUT_ATTEMPTS + 1):
            request_id = new_request_id()
            address = self._send(signed_url(self._target.dataset_id, request_id))
            try:
                self._send(put_signed(address, content))
            except NucleusRequestError as error:
                if attempt == _PUT_ATTEMPTS or error.status not in {400, 401, 403, 410}:
                    raise
                self._log.warning(
                    "%s Trying a fresh address (attempt %d of %d)", error, attempt + 1, _PUT_ATTEMPTS
                )
            else:
                return request_id
        raise AssertionError

    def start(self, chunk: OpenChunk, request_id: str) -> Job:
        """Start the job of a recorded chunk, or find the job of a start that had no answer."""
        call = start_call(self._target, self._options, request_id)
        if self._knows_starts(chunk):
            # A lost answer costs nothing but the time until the next one.
            return self._send(replace(call, repeatable=True))
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                return self._send(call)
            except _AMBIGUOUS as error:
                self._log.warning("%s Checking whether the job was started", error)
                found = self.find_started(chunk)
                if found is not None:
                    return found
                if attempt == _START_ATTEMPTS:
                    raise
                self._log.info(
                    "No job was found. Starting again (attempt %d of %d)", attempt + 1, _START_ATTEMPTS
                )
                chunk.repeated = True
        raise AssertionError

    def find_started(self, chunk: OpenChunk) -> Job | None:
        """Return the job of a recorded start, of our kind and dataset and of no other chunk; None when it is not certain."""
        if self._knows_starts(chunk):
            return self._start_of_request(chunk)
        claimed = self._claimed()
        candidates = [job for job in self._send(self._list(limit=200)) if job.job_id not in claimed]
        found = find_orphan_job(self._send, candidates, since=chunk.since, rows=chunk.rows)
        if found is not None:
            self._log.info("Found job %s of an earlier start", found.job_id)
            chunk.samples = []
        return found

    def _knows_starts(self, chunk: OpenChunk) -> bool:
        """Return whether the server knows the starts it got: an embedded one does, by their request ids."""
        if chunk.request_id is None:
            return False
        return not is_scale(Address.parse(self._client.config.endpoint).host)

    def _start_of_request(self, chunk: OpenChunk) -> Job | None:
        """Return the job of the recorded request id, started now unless it was; None when its file is no longer there."""
        assert chunk.request_id is not None
        call = start_call(self._target, self._options, chunk.request_id)
        try:
            job = self._send(replace(call, repeatable=True))
        except NucleusRequestError as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            self._log.info("The file of an earlier start is gone, and it has no job: %s", error)
            return None
        self._log.info("Found job %s of an earlier start, or started it", job.job_id)
        return job

    @staticmethod
    def is_ambiguous(error: Exception) -> bool:
        """Return whether a start that failed with this error may have started a job."""
        return isinstance(error, _AMBIGUOUS)

    def _send(self, call: Call[T]) -> T:
        """Send a request; an outage is ridden out for as long as waits do, whichever requests meet it."""
        begun = self._client.clock()
        since = begun if self._failing_since is None else self._failing_since
        try:
            answer = self._client.send(call, retry=ride_out_policy(self._options.ride_out - (begun - since)))
        except NucleusError as error:
            self._failing_since = since if may_pass(error) else None
            if may_pass(error) and self._client.clock() - since >= self._options.ride_out:
                error.add_hint(given_up(error, "Job", sorted(self._claimed()), self._options.ride_out))
            raise
        self._failing_since = None
        return answer

    def _list(self, *, limit: int) -> Any:
        return list_jobs(
            dataset_id=self._target.dataset_id,
            job_types=[JOB_TYPES[self._target.kind]],
            limit=limit,
            show_completed=True,
        )
