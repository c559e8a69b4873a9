"""Ledger of an upload between attempts: which chunks the server has, which job each open one belongs to.

The record is one small JSON value in the task state store. A chunk is named by a digest of its rows, so a retry that cuts the same
input finds its chunks again, and one that cuts a changed input finds those that did not change. What must not be relaxed:

- the intent to start a job is saved before the call, its id after it: whatever happens in between, the next attempt knows that
  a job may exist and looks for it;
- a chunk is accepted only after the server confirmed it;
- a store that cannot be read is an error, never an empty record.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from airflow_provider_nucleus.exceptions import NucleusUploadError

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = [
    "DIGEST_CHARS",
    "AcceptedChunks",
    "FlawedChunk",
    "Ledger",
    "MemoryState",
    "OpenChunk",
    "Record",
    "StateStore",
]

DIGEST_CHARS = 12
"""Characters of a chunk digest in the record: 72 bits, so a billion chunks do not collide."""

KEY = "nucleus_upload"
VERSION = 4


class StateStore(Protocol):
    """A few JSON values that survive the process; Airflow's task state store fits through a small adapter."""

    def get(self, key: str) -> Any | None:
        """Return a value, None when there is none; raise when the store cannot be read."""

    def set(self, key: str, value: Any) -> None:
        """Save a value durably."""


class MemoryState:
    """A store that lasts as long as the process: for Airflow below 3.3 and for scripts."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def get(self, key: str) -> Any | None:
        """Return a value or None."""
        return self._values.get(key)

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self._values[key] = value


@dataclass(slots=True)
class OpenChunk:
    """A chunk whose job was, or was about to be, started.

    `since` is the creation time of the newest job the server knew before, by the server's clock; `job_id` is None from the intent
    until the server named the job. `samples` is set when the job was found by looking for it: a few of the chunk's rows, which must
    be stored once it ended, or it was not ours. `request_id` is that of the uploaded file, which identifies the start where the server
    can tell. `repeated` says that an earlier start had no answer and no job was found for it: rows that exist may be its.
    """

    digest: str
    rows: int
    since: str = ""
    job_id: str | None = None
    samples: list[dict[str, Any]] | None = None
    request_id: str | None = None
    repeated: bool = False

    @property
    def found(self) -> bool:
        """True when the job was found by looking for it."""
        return self.samples is not None


class FlawedChunk(NamedTuple):
    """A chunk the server took in part, or does not wholly account for.

    It is not offered again unless the upload fails because of it.
    """

    digest: str
    rows: int
    processed: int
    ignored: int
    errored: int
    unaccounted: int


class AcceptedChunks(NamedTuple):
    """The common outcome of so many consecutive accepted chunks: nearly all of them are of one size and stored whole."""

    chunks: int
    rows: int
    processed: int
    ignored: int


@dataclass(slots=True)
class Record:
    """Record of one upload.

    `fingerprint` is a digest of the input's bytes, `marks` one of names, sizes and times of its files: while that is the same, the
    bytes are not read for the other. `destination` says where the rows went; everything else is true of that destination alone. `accepted` concatenates the digests of
    the chunks the server took whole; their outcomes are in `outcomes`, in the same order. `flawed` are chunks with rows that it
    refused or does not account for, and `refused` some of the reasons. `open` are chunks with a job, or about to get one. `input` has
    the counts of the validated input (rows, rejected, duplicates, quarantine, first errors). `summary` is set once all is done.
    """

    clear_count: int = 0
    fingerprint: str | None = None
    destination: str = ""
    accepted: str = ""
    flawed: list[FlawedChunk] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    open: list[OpenChunk] = field(default_factory=list)
    all_sent: bool = False
    outcomes: list[AcceptedChunks] = field(default_factory=list)
    input: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] | None = None
    marks: str | None = None

    @property
    def complete(self) -> bool:
        """True when everything was sent, collected and found good enough."""
        return self.summary is not None

    @property
    def job_ids(self) -> list[str]:
        """The recorded jobs that are not settled yet."""
        return [chunk.job_id for chunk in self.open if chunk.job_id is not None]

    def is_settled(self, digest: str) -> bool:
        """Return whether the record has the outcome of this chunk."""
        if any(chunk.digest == digest for chunk in self.flawed):
            return True
        at = self.accepted.find(digest)
        while at >= 0 and at % DIGEST_CHARS:
            at = self.accepted.find(digest, at + 1)
        return at >= 0

    def has_job(self, digest: str) -> bool:
        """Return whether a chunk has a job already."""
        chunk = self.open_chunk(digest)
        return chunk is not None and chunk.job_id is not None

    def open_chunk(self, digest: str) -> OpenChunk | None:
        """Return the chunk if it is open."""
        return next((chunk for chunk in self.open if chunk.digest == digest), None)

    def accept(
        self,
        digest: str,
        rows: int,
        *,
        processed: int,
        ignored: int,
        errored: int = 0,
        unaccounted: int = 0,
    ) -> None:
        """Record the outcome of a chunk; it is no longer open."""
        self.open = [chunk for chunk in self.open if chunk.digest != digest]
        if errored or unaccounted:
            self.flawed.append(FlawedChunk(digest, rows, processed, ignored, errored, unaccounted))
            return
        self._append_accepted(digest, AcceptedChunks(1, rows, processed, ignored))

    def keep_only(self, digests: Container[str]) -> Record:
        """Remove all other accepted chunks, and return a record of the removed ones."""
        forgotten = Record()
        accepted, earlier = self.accepted, self.outcomes
        self.accepted, self.outcomes = "", []
        outcomes = (run._replace(chunks=1) for run in earlier for _ in range(run.chunks))
        for at, outcome in zip(range(0, len(accepted), DIGEST_CHARS), outcomes, strict=True):
            digest = accepted[at : at + DIGEST_CHARS]
            (self if digest in digests else forgotten)._append_accepted(digest, outcome)
        return forgotten

    def _append_accepted(self, digest: str, outcome: AcceptedChunks) -> None:
        self.accepted += digest
        if self.outcomes and self.outcomes[-1]._replace(chunks=1) == outcome:
            outcome = outcome._replace(chunks=self.outcomes.pop().chunks + 1)
        self.outcomes.append(outcome)

    def until_reported(self, under_way: list[OpenChunk]) -> Record:
        """Return the record to keep until the refused rows are reported: their chunks stay under way.

        `under_way` are the chunks that were open before their jobs ended. A retry fetches the refused rows of those jobs once more,
        rather than sending the chunks once more.
        """
        flawed = {chunk.digest for chunk in self.flawed}
        again = [chunk for chunk in under_way if chunk.digest in flawed]
        reopened = {chunk.digest for chunk in again}
        return replace(
            self,
            flawed=[chunk for chunk in self.flawed if chunk.digest not in reopened],
            open=[*self.open, *again],
        )

    @property
    def totals(self) -> dict[str, int]:
        """Outcome of the rows of all chunks, refused ones included; of those under way nothing is accounted for."""
        ended = [*self.outcomes, *(AcceptedChunks(1, *chunk[1:4]) for chunk in self.flawed)]
        under_way = sum(chunk.rows for chunk in self.open)
        return {
            "sent": sum(run.chunks * run.rows for run in ended) + under_way,
            "processed": sum(run.chunks * run.processed for run in ended),
            "ignored": sum(run.chunks * run.ignored for run in ended),
            "errored": sum(chunk.errored for chunk in self.flawed),
            "unaccounted": sum(chunk.unaccounted for chunk in self.flawed) + under_way,
            "chunks": sum(run.chunks for run in ended) + len(self.open),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the value to save."""
        return {
            "v": VERSION,
            "gen": self.clear_count,
            "fp": self.fingerprint,
            "marks": self.marks,
            "to": self.destination,
            "accepted": self.accepted,
            "flawed": [list(chunk) for chunk in self.flawed],
            "refused": self.refused,
            "open": [
                [
                    chunk.digest,
                    chunk.rows,
                    chunk.since,
                    chunk.job_id,
                    chunk.samples,
                    chunk.request_id,
                    chunk.repeated,
                ]
                for chunk in self.open
            ],
            "all_sent": self.all_sent,
            "taken": [list(run) for run in self.outcomes],
            "input": self.input,
            "summary": self.summary,
        }

    @classmethod
    def from_json(cls, value: Any) -> Record:
        """Read a saved value; NucleusUploadError when it is not one of ours (users can edit the store)."""
        try:
            if value["v"] != VERSION:
                raise ValueError(f"version {value['v']!r}")
            outcomes = [AcceptedChunks(*map(int, numbers)) for numbers in value["taken"]]
            if len(value["accepted"]) != DIGEST_CHARS * sum(run.chunks for run in outcomes):
                raise ValueError("it does not say of each accepted chunk what became of it")
            return cls(
                clear_count=int(value["gen"]),
                fingerprint=value["fp"],
                destination=str(value["to"]),
                accepted=str(value["accepted"]),
                flawed=[FlawedChunk(str(digest), *map(int, numbers)) for digest, *numbers in value["flawed"]],
                refused=[str(text) for text in value["refused"]],
                open=[
                    OpenChunk(str(digest), int(rows), str(since), job, samples, *start[:2])
                    for digest, rows, since, job, samples, *start in value["open"]
                ],
                all_sent=bool(value["all_sent"]),
                outcomes=outcomes,
                input=dict(value["input"]),
                summary=value["summary"],
                marks=value.get("marks"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NucleusUploadError(
                f"The recorded upload state {KEY!r} cannot be understood: {error}.",
                hint="Delete it in the task's state store to upload from the beginning; rows with ids are not doubled.",
            ) from None


class Ledger:
    """Loads and saves the record of one upload, under a key of its own."""

    def __init__(self, store: StateStore, *, identity: str = "") -> None:
        self._store = store
        self._key = f"{KEY}:{identity}" if identity else KEY

    def load(self) -> Record | None:
        """Return the record an earlier attempt left, None when there is none."""
        value = self._store.get(self._key)
        return None if value is None else Record.from_json(value)

    def save(self, record: Record) -> None:
        """Make the record durable; returns only when it is."""
        self._store.set(self._key, record.to_json())
