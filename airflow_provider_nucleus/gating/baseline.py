"""The baseline record of one series of batches: the pinned reference, the last accepted measurement, and how they came to be.

| part | meaning | changed by |
| --- | --- | --- |
| `reference` | what cumulative drops are measured from (rules with `against: reference`) | `pin`; the first `confirm` where there is none |
| `accepted` | the last accepted measurement (`against: accepted`) | `confirm` |
| `proposals` | measurements that wait for a decision, each under its id | `propose`, `confirm`, `reject` |
| `history` | the accepted measurements before, oldest first, for window rules | `confirm` |
| `decisions` | who did what, when and on which evidence | each of them |

Each function returns another record whose `revision` is one higher, or the same record where there is nothing to do, so that a task that is
tried again changes nothing. Storage writes a record only over the revision it was made from; who comes second reads again and
repeats the step. How a record is written small is in `baseline_file`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from airflow_provider_nucleus.gating.fingerprint import differences, window_class
from airflow_provider_nucleus.gating.measurement import Document, Measurement, Numbers
from airflow_provider_nucleus.gating.verdict import VerdictStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BASELINE_SCHEMA",
    "HISTORY",
    "BaselineDecision",
    "BaselineEntry",
    "BaselineError",
    "BaselineRecord",
    "accepted_before",
    "confirm",
    "measurement_id",
    "pin",
    "propose",
    "record_before",
    "reject",
    "rounded",
    "without_accepted",
]

BASELINE_SCHEMA: Final = "nucleus-baseline/1"
HISTORY: Final = 30
"""Accepted measurements that are remembered: twice the batches that a window rule looks at by default."""
_PROPOSALS: Final = 8
_DECISIONS: Final = 40
_DIGITS: Final = 9


class BaselineError(ValueError):
    """A step that this record does not allow; nothing was changed."""


class BaselineEntry(Document):
    """A measurement without its matches, and where it came from; in the history the last one alone has its profile."""

    id: str
    """Of its evaluation or job where it has one, else a digest (`measurement_id`)."""
    measurement: Measurement
    verdict: VerdictStatus | None = None
    evidence: str | None = None
    """Place of the document of the gate."""
    by: str
    at: str
    """ISO 8601 with offset."""
    note: str | None = None
    before: str | None = None
    """Id of what was accepted when this was proposed: what it was held against."""


class BaselineDecision(Document):
    """One step: what was done with which measurement, by whom and when."""

    action: Literal["propose", "confirm", "reject", "pin"]
    id: str
    by: str
    at: str
    evidence: str | None = None
    note: str | None = None


class BaselineRecord(Document):
    """Everything that is remembered of the baseline of one series."""

    schema_: Literal["nucleus-baseline/1"] = Field(default=BASELINE_SCHEMA, alias="schema")
    name: str = ""
    revision: int = Field(default=0, ge=0)
    reference: BaselineEntry | None = None
    accepted: BaselineEntry | None = None
    proposals: list[BaselineEntry] = Field(default_factory=list)
    history: list[BaselineEntry] = Field(default_factory=list)
    decisions: list[BaselineDecision] = Field(default_factory=list)
    cut: list[str] = Field(default_factory=list)
    """What was left out to keep the record small, a sentence each."""

    @property
    def reference_measurement(self) -> Measurement | None:
        """The pinned measurement."""
        return None if self.reference is None else self.reference.measurement

    @property
    def accepted_measurement(self) -> Measurement | None:
        """The last accepted measurement."""
        return None if self.accepted is None else self.accepted.measurement


def measurement_id(measurement: Measurement) -> str:
    """Return the id of a measurement: that of its evaluation, of its job with its slice, or a digest of its numbers."""
    subject = measurement.subject
    scope = subject.slice_id or measurement.fingerprint.scope
    known = subject.evaluation_id or subject.job_id
    if known is not None:
        return known if scope is None else f"{known}/{scope}"
    numbers = measurement.model_dump_json(include={"fingerprint", "overall", "per_label", "supplied"})
    return f"sha256:{hashlib.sha256(numbers.encode()).hexdigest()[:16]}"


def propose(
    record: BaselineRecord,
    measurement: Measurement,
    *,
    by: str,
    at: str,
    proposal_id: str | None = None,
    verdict: VerdictStatus | None = None,
    evidence: str | None = None,
    note: str | None = None,
    judged_with: BaselineRecord | None = None,
) -> BaselineRecord:
    """Put a measurement forward, under *proposal_id* or its own id; who confirms it names that.

    *judged_with* is the record that it was held against, where that was read before this one. The same measurement proposed again
    changes nothing, unless it was held against another one now; another one under the same id takes its place. At most 8 wait at a
    time: the oldest gives way, and the decisions say so.
    """
    held_against = (judged_with or record).accepted
    entry = BaselineEntry(
        id=proposal_id or measurement_id(measurement),
        measurement=_small(measurement),
        verdict=verdict,
        evidence=evidence,
        by=by,
        at=at,
        note=note,
        before=None if held_against is None else held_against.id,
    )
    if _is_same(entry, record.accepted) or any(
        _is_same(entry, old) and entry.before == old.before for old in record.proposals
    ):
        return record
    waiting = [each for each in record.proposals if each.id != entry.id]
    decisions = [BaselineDecision(action="propose", id=entry.id, by=by, at=at, evidence=evidence, note=note)]
    dropped, waiting = waiting[: max(0, len(waiting) + 1 - _PROPOSALS)], waiting[1 - _PROPOSALS :]
    decisions += [
        BaselineDecision(
            action="reject", id=old.id, by=by, at=at, note=f"gave way: {_PROPOSALS} proposals wait at most"
        )
        for old in dropped
    ]
    return _next(record, *decisions, proposals=[*waiting, entry])


def confirm(
    record: BaselineRecord, proposal_id: str | None = None, *, by: str, at: str, note: str | None = None
) -> BaselineRecord:
    """Accept a proposal; *proposal_id* may be left out where only one waits. The first that is accepted is pinned as well.

    What is accepted already stays so. Raises BaselineError when no such proposal waits.
    """
    waits = any(entry.id == proposal_id for entry in record.proposals)
    if (
        not waits
        and proposal_id is not None
        and record.accepted is not None
        and record.accepted.id == proposal_id
    ):
        return record
    entry = _waiting(record, proposal_id)
    decisions = [
        BaselineDecision(
            action="confirm",
            id=entry.id,
            by=by,
            at=at,
            evidence=entry.evidence,
            note=_since(record, entry, note),
        )
    ]
    reference = record.reference
    if reference is None:
        reference = entry
        decisions.append(
            BaselineDecision(
                action="pin", id=entry.id, by=by, at=at, note="the first that was accepted; pin another to change it"
            )
        )  # fmt: skip
    past = record.history
    if record.accepted is not None and record.accepted.id != entry.id:
        past = [*map(_without_profile, past), record.accepted]
    return _next(
        record,
        *decisions,
        reference=reference,
        accepted=entry,
        proposals=[each for each in record.proposals if each.id != entry.id],
        history=[each for each in past if each.id != entry.id][-HISTORY:],
    )


def reject(
    record: BaselineRecord, proposal_id: str | None = None, *, by: str, at: str, reason: str | None = None
) -> BaselineRecord:
    """Turn a proposal down; what is accepted stays. One that was rejected already stays so.

    Raises BaselineError when no such proposal waits.
    """
    last = next((each for each in reversed(record.decisions) if each.id == proposal_id), None)
    if last is not None and last.action == "reject":
        return record
    entry = _waiting(record, proposal_id)
    decision = BaselineDecision(
        action="reject", id=entry.id, by=by, at=at, evidence=entry.evidence, note=reason
    )
    return _next(record, decision, proposals=[each for each in record.proposals if each.id != entry.id])


def pin(
    record: BaselineRecord,
    measurement: Measurement | None = None,
    *,
    by: str,
    at: str,
    evidence: str | None = None,
    note: str | None = None,
) -> BaselineRecord:
    """Make a measurement the reference; the last accepted one where none is given.

    This is how a baseline is moved on purpose: cumulative drops are measured from here on. Raises BaselineError when there is
    neither.
    """
    if measurement is not None:
        entry = BaselineEntry(
            id=measurement_id(measurement),
            measurement=_small(measurement),
            evidence=evidence,
            by=by,
            at=at,
            note=note,
        )
    elif record.accepted is not None:
        entry = record.accepted
    else:
        raise BaselineError(
            f"{_named(record)} has no accepted measurement that could be pinned: confirm a proposal first, or give one"
        )
    if record.reference is not None and record.reference.id == entry.id:
        return record
    decision = BaselineDecision(
        action="pin", id=entry.id, by=by, at=at, evidence=entry.evidence, note=note
    )  # fmt: skip
    return _next(record, decision, reference=entry)


def accepted_before(record: BaselineRecord, measurement: Measurement) -> list[Measurement]:
    """Return the accepted measurements of the same series as *measurement*, oldest first, the last accepted one included.

    The same model on the same batch is not among them, so that a batch that is measured again is not held against itself; other models
    on the same batch are: a benchmark stays the same night after night.
    """
    entries = record.history if record.accepted is None else [*record.history, record.accepted]
    series = window_class(measurement.fingerprint)
    return [
        entry.measurement
        for entry in entries
        if window_class(entry.measurement.fingerprint) == series and not _is_again(measurement, entry)
    ]


def _is_again(measurement: Measurement, entry: BaselineEntry) -> bool:
    """Return whether an entry is of the same model on the same batch; of models without an id, whether it has the same numbers."""
    if differences(measurement.fingerprint, entry.measurement.fingerprint):
        return False
    now, before = measurement.subject, entry.measurement.subject
    if now.model_id or before.model_id:
        return now.model_id == before.model_id
    return measurement_id(measurement) == entry.id


def record_before(record: BaselineRecord, measurement: Measurement) -> BaselineRecord:
    """Return the record as it was before *measurement* was accepted; as it is where another one is accepted, or none.

    A gate that runs again, after a clear or because its worker died, finds its own candidate accepted: held against itself anything
    would pass.
    """
    own = measurement_id(measurement)
    if record.accepted is None or record.accepted.id != own:
        return record
    pinned = None if record.reference is None or record.reference.id == own else record.reference
    past = [each for each in record.history if each.id != own]
    return record.model_copy(
        update={"reference": pinned, "accepted": past[-1] if past else None, "history": past[:-1]}
    )


def without_accepted(record: BaselineRecord, entry_id: str) -> BaselineRecord:
    """Return the record without a measurement among those accepted before: one that was taken back is no batch of a window."""
    return record.model_copy(update={"history": [each for each in record.history if each.id != entry_id]})


def _waiting(record: BaselineRecord, proposal: str | None) -> BaselineEntry:
    """Return the proposal that is meant."""
    ids = [entry.id for entry in record.proposals]
    found = record.proposals if proposal is None else [e for e in record.proposals if e.id == proposal]
    if len(found) == 1:
        return found[0]
    if not ids:
        raise BaselineError(
            f"{_named(record)}: {f'no proposal {proposal!r} waits' if proposal else 'no proposal waits'}: nothing was changed; propose a "
            "measurement first"
        )
    wanted = "several proposals wait" if proposal is None else f"no proposal {proposal!r} waits"
    raise BaselineError(f"{_named(record)}: {wanted}: nothing was changed; name one of {', '.join(ids)}")


def _since(record: BaselineRecord, entry: BaselineEntry, note: str | None) -> str | None:
    """Say that something else was accepted since the proposal, which was not held against it."""
    now = None if record.accepted is None else record.accepted.id
    if now == entry.before:
        return note
    changed = f"held against {entry.before or 'nothing'} when it was proposed; {now or 'nothing'} was accepted when it was confirmed"
    return changed if note is None else f"{note} ({changed})"


def _is_same(entry: BaselineEntry, old: BaselineEntry | None) -> bool:
    return old is not None and entry.id == old.id and entry.measurement == old.measurement


def _small(measurement: Measurement) -> Measurement:
    """Return what is kept of a measurement: no matches, and numbers as its file has them, so that a retry finds its own."""
    return measurement.model_copy(
        update={
            "matches": None,
            "overall": _rounded(measurement.overall),
            "per_label": _all_rounded(measurement.per_label),
            "slices": {key: _all_rounded(values) for key, values in measurement.slices.items()},
        }
    )


def rounded(value: float | None) -> float | int | None:
    """Return a number as a record has it: whole, or with 9 significant digits."""
    if value is None:
        return None
    return int(value) if value == int(value) else float(f"{value:.{_DIGITS}g}")


def _rounded(numbers: Numbers) -> Numbers:
    return numbers.model_copy(
        update={"values": {name: rounded(value) for name, value in numbers.values.items()}}
    )


def _all_rounded(rows: Mapping[str, Numbers]) -> dict[str, Numbers]:
    return {name: _rounded(numbers) for name, numbers in rows.items()}


def _without_profile(entry: BaselineEntry) -> BaselineEntry:
    return entry.model_copy(update={"measurement": entry.measurement.model_copy(update={"profile": None})})


def _named(record: BaselineRecord) -> str:
    return f"baseline {record.name!r}" if record.name else "this baseline"


def _next(record: BaselineRecord, *decisions: BaselineDecision, **parts: object) -> BaselineRecord:
    steps = [*record.decisions, *decisions][-_DECISIONS:]
    return record.model_copy(update={**parts, "decisions": steps, "revision": record.revision + 1})
