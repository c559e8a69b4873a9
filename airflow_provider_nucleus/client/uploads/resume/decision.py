"""Decision of a (re)started upload about its earlier attempt: submit, attach, collect or fail.

`decide` is one pure function for the waiting and the deferrable form, the first attempt, the retry and the cleared task, so that
they cannot drift apart. Its facts are fetched before; a fact that could not be fetched is not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_nucleus.client.calls.jobs import job_status
from airflow_provider_nucleus.client.retry import may_pass
from airflow_provider_nucleus.exceptions import NucleusError, NucleusNotFoundError

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Mapping

    from airflow_provider_nucleus.client.sync import NucleusClient
    from airflow_provider_nucleus.client.uploads.resume.ledger import Record
    from airflow_provider_nucleus.client.uploads.upload_spec import OnChange, OnClear
    from airflow_provider_nucleus.schema.jobs import JobState

__all__ = [
    "Attach",
    "Collect",
    "Decision",
    "Fail",
    "Policies",
    "RemoteJobState",
    "Submit",
    "decide",
    "remote_job_states",
]


class RemoteJobState(StrEnum):
    """State of a recorded job on the server, as far as it is known."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PARTIAL = "partial"
    CANCELLED = "cancelled"
    GONE = "gone"
    """The server has no such job (any more)."""
    UNKNOWN = "unknown"
    """The state could not be fetched."""

    @classmethod
    def of(cls, state: JobState) -> RemoteJobState:
        """Return the state of a job whose status was fetched."""
        return cls(state.value)


@dataclass(frozen=True, slots=True)
class Policies:
    """The user's choices about a changed input and a cleared task."""

    on_change: OnChange = "fail"
    on_clear: OnClear = "rerun"


@dataclass(frozen=True, slots=True)
class Submit:
    """Read the input and send what is missing.

    `fresh` discards the record; otherwise its accepted chunks are kept and `resend` names the jobs whose chunks are sent again.
    `abandoned` jobs may still be running although nothing will wait for them.
    """

    reason: str
    fresh: bool = False
    resend: frozenset[str] = frozenset()
    abandoned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attach:
    """Everything was sent; wait for these jobs without reading the input again."""

    reason: str
    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Collect:
    """Everything was sent and every job has ended, or the result is recorded; settle the upload."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    """Going on would be a guess; `hint` says how to decide it."""

    reason: str
    hint: str


Decision: TypeAlias = Submit | Attach | Collect | Fail

_REPEATABLE = frozenset({RemoteJobState.FAILED, RemoteJobState.CANCELLED, RemoteJobState.GONE})


def remote_job_states(
    client: NucleusClient, job_ids: Iterable[str], *, log: logging.Logger
) -> dict[str, RemoteJobState]:
    """Fetch the state of each job once; a job whose state cannot be fetched is unknown, not gone."""
    states: dict[str, RemoteJobState] = {}
    for job_id in job_ids:
        try:
            states[job_id] = RemoteJobState.of(client.send(job_status(job_id)).state)
        except NucleusNotFoundError:
            states[job_id] = RemoteJobState.GONE
        except NucleusError as error:
            if not may_pass(error):
                raise
            log.warning("%s", error)
            states[job_id] = RemoteJobState.UNKNOWN
    return states


def decide(
    record: Record | None,
    remote: Mapping[str, RemoteJobState],
    *,
    fingerprint: str | None,
    destination: str,
    clear_count: int,
    policies: Policies,
) -> Decision:
    """Decide what to do about `record`.

    `remote` holds the state of every job the record has open. `fingerprint` is that of the input now (None when it has none: then
    a change cannot be noticed and the chunk digests alone decide what is sent). `destination` says where the rows are to go; a
    record of another destination does not count for this one. `clear_count` counts how often the user cleared the task.
    """
    if record is None:
        return Submit("no earlier try is recorded", fresh=True)
    running = tuple(
        job for job, state in remote.items() if state in {RemoteJobState.PENDING, RemoteJobState.UNKNOWN}
    )
    if record.clear_count != clear_count and policies.on_clear == "rerun":
        return Submit("the task was cleared", fresh=True, abandoned=running)
    if record.destination != destination:
        return _destination_changed(record.destination, destination, policies.on_change, running)
    repeat = frozenset(job for job, state in remote.items() if state in _REPEATABLE)
    changed = None not in {record.fingerprint, fingerprint} and record.fingerprint != fingerprint
    if changed and policies.on_change != "continue":
        return _input_changed(policies.on_change, running)
    if record.complete and not changed:
        return Collect("an earlier attempt finished")
    if RemoteJobState.UNKNOWN in remote.values() and not record.complete:
        return Fail(
            f"the state of {_list_jobs(remote, {RemoteJobState.UNKNOWN})} could not be fetched",
            "Nothing was sent, so that no job is started twice. A retry fetches the state again.",
        )
    if changed:
        return Submit(
            "the input changed since the recorded upload; chunks already accepted stay", resend=repeat
        )
    if repeat:
        return Submit(f"{_list_jobs(remote, _REPEATABLE)} did not end well", resend=repeat)
    if record.flawed:
        return Submit("rows were refused or not accounted for, and the attempt with the reasons is gone")
    if not record.all_sent:
        return Submit("an earlier attempt stopped before everything was sent")
    if running:
        return Attach("an earlier attempt sent everything", running)
    return Collect("the jobs of an earlier attempt have ended")


def _destination_changed(before: str, now: str, policy: OnChange, running: tuple[str, ...]) -> Decision:
    if policy != "fail":
        # Nothing to continue: no chunk that was accepted there is here.
        return Submit(f"the recorded upload was for {before}", fresh=True, abandoned=running)
    left = f" Its jobs {', '.join(running)} are still running." if running else ""
    return Fail(
        f"the recorded upload began for {before}, and this one is for {now}.{left}",
        "Nothing was sent here yet. Clear the task or set on_change='restart' to send everything to the new place; what is "
        "stored in the old one stays there.",
    )


def _input_changed(policy: OnChange, running: tuple[str, ...]) -> Decision:
    if policy == "restart":
        return Submit("the input changed since the recorded upload", fresh=True, abandoned=running)
    left = f" Its jobs {', '.join(running)} are still running." if running else ""
    return Fail(
        f"the input changed since the recorded upload began.{left}",
        "Set on_change='continue' to send only what is new, or 'restart' to send everything again.",
    )


def _list_jobs(
    remote: Mapping[str, RemoteJobState], states: frozenset[RemoteJobState] | set[RemoteJobState]
) -> str:
    return ", ".join(f"{job} ({state})" for job, state in remote.items() if state in states)
