"""Accepted batches of a baseline record, in the order in which each batch was accepted first.

A batch that the same model is judged on again, with labels that came late, takes its own place. Another model on a batch comes after the last
one on that batch, which on a benchmark that stays the same is at the end. So no batch counts twice, and one that is older than the newest
is never accepted last, whenever it arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.gating.baseline_record import DIGEST, measurement_id
from airflow_provider_nucleus.gating.batch_identity import (
    batch_name,
    is_measured_later,
    is_one_batch,
    is_one_model,
    is_same_source,
)
from airflow_provider_nucleus.gating.fingerprint import window_class

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.gating.baseline_record import BaselineEntry, BaselineRecord
    from airflow_provider_nucleus.gating.measurement import Measurement

__all__ = [
    "HISTORY",
    "accepted_before",
    "accepted_entries",
    "is_last",
    "is_relabelled",
    "older_batches",
    "record_before",
    "with_batch",
]

HISTORY: Final = 30
"""Accepted measurements that are remembered: twice the batches that a window rule looks at by default."""
_PASSED: Final = 500


def accepted_before(record: BaselineRecord, measurement: Measurement) -> list[Measurement]:
    """Return the accepted measurements of the same series as *measurement*, oldest first, the last accepted one included.

    The same model on the same batch is not among them, so that a batch that is measured again is not held against itself; other models
    on the same batch are: a benchmark stays the same night after night.
    """
    series = window_class(measurement.fingerprint)
    entries: list[BaselineEntry] = []
    for entry in accepted_entries(record):
        entries = _placed(entries, entry, [old for old in entries if _is_again(entry.measurement, old)])
    return [
        entry.measurement
        for entry in entries
        if window_class(entry.measurement.fingerprint) == series and not _is_again(measurement, entry)
    ]


def record_before(record: BaselineRecord, measurement: Measurement) -> BaselineRecord:
    """Return the record as it was before *measurement* was accepted; as it is where another one is accepted, or none.

    A gate that runs again, after a clear or because its worker died, finds its own candidate accepted, or pinned: held against itself
    anything would pass.
    """
    own = measurement_id(measurement)
    pinned = None if record.reference is None or record.reference.id == own else record.reference
    if record.accepted is None or record.accepted.id != own:
        # Files have no ids: those of the same numbers may be another model's.
        return record if own.startswith(DIGEST) else record.model_copy(update={"reference": pinned})
    past = [each for each in record.history if each.id != own]
    return record.model_copy(
        update={"reference": pinned, "accepted": past[-1] if past else None, "history": past[:-1]}
    )


def is_last(record: BaselineRecord, entry: BaselineEntry) -> bool:
    """Return whether *entry*, once accepted, is what was accepted last: no batch of the record is newer."""
    return with_batch(record, entry)[-1] is entry


def older_batches(
    record: BaselineRecord, past: list[BaselineEntry], last: BaselineEntry | None
) -> dict[str, list[BaselineEntry] | list[str]]:
    """Return `history` and `passed` of a record: the newest of *past*, and the names of those batches that are not among them."""
    history = past[-HISTORY:]
    remembered = {batch_name(each.measurement) for each in (*history, *filter(None, [last]))}
    gone = [batch_name(each.measurement) for each in (*record.history, *past)]
    names = dict.fromkeys([*record.passed, *filter(None, gone)])
    return {"history": history, "passed": [name for name in names if name not in remembered][-_PASSED:]}


def accepted_entries(record: BaselineRecord) -> list[BaselineEntry]:
    """Return all that was accepted, oldest first."""
    return record.history if record.accepted is None else [*record.history, record.accepted]


def with_batch(record: BaselineRecord, entry: BaselineEntry) -> list[BaselineEntry]:
    """Return all that is accepted together with *entry*; without it where its batch fell out of the history."""
    known = accepted_entries(record)
    name = batch_name(entry.measurement)
    is_gone = name in record.passed and all(name != batch_name(each.measurement) for each in known)
    if known and is_gone and _newest_state(known, entry) is None:
        return known
    return _placed(known, entry, [old for old in known if _is_superseded(old, entry)], is_known=is_gone)


def _placed(
    known: list[BaselineEntry],
    entry: BaselineEntry,
    again: list[BaselineEntry],
    *,
    is_known: bool = False,
) -> list[BaselineEntry]:
    """Return entries with *entry* among them: last of its batch, in place of those that are it *again*; at the end where the batch is new.

    Numbers that were measured before those of the same model that are there are left out. *is_known* says that the batch was there once.
    """
    if any(_is_later(old, entry) and _is_again(entry.measurement, old) for old in known):
        return known
    name = batch_name(entry.measurement)
    places = [
        place
        for place, old in enumerate(known)
        if old in again or (name is not None and name == batch_name(old.measurement))
    ]
    end = places[-1] if places else len(known)
    if (places or is_known) and (newest := _newest_state(known, entry)) is not None:
        end = newest

    def rest(entries: Iterable[BaselineEntry]) -> list[BaselineEntry]:
        return [old for old in entries if old not in again]

    return [*rest(known[: end + 1]), entry, *rest(known[end + 1 :])]


def _newest_state(known: list[BaselineEntry], entry: BaselineEntry) -> int | None:
    """Return the last place of what changes, and has no names for its states, where an entry was measured after all of them; else None.

    A data set from which items were deleted has as many as once before, and is no older for that.
    """
    places = [place for place, old in enumerate(known) if is_same_source(entry.measurement, old.measurement)]
    return places[-1] if places and all(_is_later(entry, known[place]) for place in places) else None


def _is_again(measurement: Measurement, entry: BaselineEntry) -> bool:
    """Return whether an entry is of the same model on the same batch; of models without an id, whether it has the same numbers."""
    if not is_one_batch(measurement, entry.measurement):
        return False
    of_one = is_one_model(measurement, entry.measurement)
    return measurement_id(measurement) == entry.id if of_one is None else of_one


def _is_superseded(old: BaselineEntry, entry: BaselineEntry) -> bool:
    """Return whether a record needs *old* no more: it has other labels, or the same numbers.

    Other numbers on the same labels are other predictions under the name of the same model. They count once in a window as well, and stay
    in the record: a gate that runs again is held against them.
    """
    if old.id == entry.id or is_relabelled(entry, old):
        return True
    numbers = [(one.measurement.overall, one.measurement.per_label) for one in (old, entry)]
    return numbers[0] == numbers[1] and _is_again(entry.measurement, old)


def _is_later(old: BaselineEntry, entry: BaselineEntry) -> bool:
    return is_measured_later(old.measurement, entry.measurement)


def is_relabelled(entry: BaselineEntry, old: BaselineEntry) -> bool:
    """Return whether an entry is *old* again, on other ground truth."""
    truths = {each.measurement.fingerprint.ground_truth for each in (entry, old)}
    return len(truths) > 1 and _is_again(entry.measurement, old) and not _is_later(old, entry)
