"""The baseline record of one series of batches: the pinned reference, the last accepted measurement, and how they came to be.

| part | meaning | changed by |
| --- | --- | --- |
| `reference` | what cumulative drops are measured from (rules with `against: reference`) | `pin`; the first `confirm`; its own batch with other ground truth |
| `accepted` | the last accepted measurement (`against: accepted`), of the newest batch | `confirm` |
| `proposals` | measurements that wait for a decision, each under its id | `propose`, `confirm`, `reject` |
| `history` | the accepted measurements before, oldest first, for window rules | `confirm` |
| `passed` | names of batches that were in the history once | `confirm` |
| `decisions` | who did what, when and on which evidence | each of them |

Batches keep the order in which each was accepted first. A batch that the same model is judged on again, with labels that came late, takes
its own place: one that is older than the newest is never accepted last.

Each function returns another record whose `revision` is one higher, or the same record where there is nothing to do, so that a task that is
tried again changes nothing. Storage writes a record only over the revision it was made from; who comes second reads again and
repeats the step. How a record is written small is in `baseline_file`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.gating.accepted_batches import (
    HISTORY,
    accepted_before,
    accepted_entries,
    is_relabelled,
    older_batches,
    record_before,
    with_batch,
)
from airflow_provider_nucleus.gating.baseline_record import (
    BASELINE_SCHEMA,
    DIGEST,
    BaselineDecision,
    BaselineEntry,
    BaselineError,
    BaselineRecord,
    measurement_id,
)
from airflow_provider_nucleus.gating.batch_identity import is_measured_later
from airflow_provider_nucleus.gating.kept_numbers import kept

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.verdict import VerdictStatus

__all__ = [
    "BASELINE_SCHEMA",
    "HISTORY",
    "BaselineDecision",
    "BaselineEntry",
    "BaselineError",
    "BaselineRecord",
    "accept_again",
    "accepted_before",
    "confirm",
    "is_left_out",
    "measurement_id",
    "pin",
    "propose",
    "record_before",
    "reject",
]

_PROPOSALS: Final = 8
_DECISIONS: Final = 40
_READER: Final = ("dag_id", "run_id", "task_id", "map_index", "measured_at")
_LEFT_OUT: Final = "is in no window: later numbers of it stand, or later batches"


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
    changes nothing, unless it was held against another one now; another one under the same id takes its place, and so does the same model
    on the same batch with other ground truth, measured no earlier. At most 8 wait at a time: the oldest gives way, and the decisions say so.
    """
    held_against = (judged_with or record).accepted
    entry = BaselineEntry(
        id=proposal_id or measurement_id(measurement),
        measurement=kept(measurement),
        verdict=verdict,
        evidence=evidence,
        by=by,
        at=at,
        note=note,
        before=None if held_against is None else held_against.id,
    )
    is_cut = bool(record.cut)
    if any(_is_same(entry, old, is_cut=is_cut) and entry.before == old.before for old in record.proposals):
        return record
    for old in accepted_entries(record):
        # Numbers without an id that are back after others are no retry.
        is_back = entry.id.startswith(DIGEST) and old is not record.accepted
        if _is_same(entry, old, is_cut=is_cut) and not (
            is_back and is_measured_later(measurement, old.measurement)
        ):
            return record
    if is_left_out(record, entry.id) and entry not in with_batch(record, entry):
        return record
    waiting = [each for each in record.proposals if each.id != entry.id]
    decisions = [BaselineDecision(action="propose", id=entry.id, by=by, at=at, evidence=evidence, note=note)]
    again = [old for old in waiting if is_relabelled(entry, old)]
    waiting = [old for old in waiting if old not in again]
    decisions += [
        BaselineDecision(action="reject", id=old.id, by=by, at=at, note=f"judged again: {entry.id}")
        for old in again
    ]
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

    What is accepted already, beside all windows too, stays so. Of a batch that is there the entry takes the place, of the same model instead of the one before;
    where the pinned measurement is the one before, on other ground truth, the entry is pinned. Numbers that were measured earlier than those
    that are there change nothing but the decisions, nor do those of a batch that fell out of the history.
    Raises BaselineError when no such proposal waits.
    """
    waits = any(entry.id == proposal_id for entry in record.proposals)
    if not waits and (
        any(entry.id == proposal_id for entry in accepted_entries(record)) or is_left_out(record, proposal_id)
    ):
        return record
    entry = _waiting(record, proposal_id)
    *past, last = with_batch(record, entry)
    left_out = "" if entry in (*past, last) else f"{entry.id} {_LEFT_OUT}"
    decisions = [
        BaselineDecision(
            action="confirm",
            id=entry.id,
            by=by,
            at=at,
            evidence=entry.evidence,
            note="; ".join(filter(None, (_since(record, entry, note), left_out))) or None,
        )
    ]
    reference = record.reference
    pinned = "the first that was accepted; pin another to change it" if reference is None else None
    if reference is not None and is_relabelled(entry, reference):
        pinned = f"{reference.id} judged again on other ground truth"
    if pinned is not None:
        reference = entry
        decisions.append(BaselineDecision(action="pin", id=entry.id, by=by, at=at, note=pinned))
    return _next(
        record,
        *decisions,
        reference=reference,
        accepted=last,
        proposals=[each for each in record.proposals if each.id != entry.id],
        **older_batches(record, past, last),
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
            measurement=kept(measurement),
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


def is_left_out(record: BaselineRecord, proposal_id: str | None) -> bool:
    """Return whether the last decision on a proposal accepted it beside all windows: later numbers of its batch stand, or later batches."""
    last = next(
        (each for each in reversed(record.decisions) if each.id == proposal_id and each.action != "pin"), None
    )
    return last is not None and last.action == "confirm" and (last.note or "").endswith(_LEFT_OUT)


def accept_again(
    record: BaselineRecord, entry: BaselineEntry, *, by: str, at: str, note: str | None = None
) -> BaselineRecord:
    """Make an entry of the history what is accepted, in place of what is: that one is taken back, and no batch of a window."""
    decisions = [
        BaselineDecision(action=action, id=entry.id, by=by, at=at, evidence=entry.evidence, note=note)
        for action in ("propose", "confirm")
    ]
    return _next(
        record,
        *decisions,
        accepted=entry.model_copy(update={"by": by, "at": at, "note": note}),
        proposals=[each for each in record.proposals if each.id != entry.id],
        history=[each for each in record.history if each.id != entry.id],
    )


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


def _is_same(entry: BaselineEntry, old: BaselineEntry, *, is_cut: bool) -> bool:
    """Return whether an entry is there already, as far as a record that was cut has it still."""
    if entry.id != old.id:
        return False
    # Records of former versions have details.
    kept = old.measurement.model_copy(update={"details": {}})
    if kept.profile is None:
        entry = _without_profile(entry)
    # Numbers that are read again are the same, whichever task has read them, and when.
    reader = {name: getattr(kept.subject, name) for name in _READER}
    new = entry.measurement.model_copy(
        update={"subject": entry.measurement.subject.model_copy(update=reader)}
    )
    if is_cut:
        labels = {label: numbers for label, numbers in new.per_label.items() if label in kept.per_label}
        new = new.model_copy(update={"per_label": labels, "slices": new.slices if kept.slices else {}})
    return new == kept


def _without_profile(entry: BaselineEntry) -> BaselineEntry:
    return entry.model_copy(update={"measurement": entry.measurement.model_copy(update={"profile": None})})


def _named(record: BaselineRecord) -> str:
    return f"baseline {record.name!r}" if record.name else "this baseline"


def _next(record: BaselineRecord, *decisions: BaselineDecision, **parts: object) -> BaselineRecord:
    steps = [*record.decisions, *decisions][-_DECISIONS:]
    return record.model_copy(update={**parts, "decisions": steps, "revision": record.revision + 1})
