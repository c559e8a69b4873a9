"""What became of the rows: the server's counts and row errors, and which source rows they are about."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.job_counts import RowCounts, job_counts
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.batches import batches_of
from airflow_provider_nucleus.schema.jobs import JobState, JobStatus, RowError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
    from airflow_provider_nucleus.client.uploads.check.quarantine import Quarantine
    from airflow_provider_nucleus.schema.rows import SourceRow

__all__ = [
    "Refusals",
    "accounted",
    "as_status",
    "bad_end",
    "blamed",
    "report_refusals",
    "settle",
]

_REFERENCE = re.compile(r"(?i)\bitem with id (.+?) (?:does\b|doesn)")
_RECORDED = 30
_TEXT = 600
_KEPT = 50_000
"""Refused rows whose reasons are kept; beyond it they are only counted."""


_UNACCOUNTED = "not accounted for by the server: "


def as_status(value: Any) -> JobStatus:
    """Take a job's status as the schema has it, as JSON, or as the bare word."""
    if isinstance(value, JobStatus):
        return value
    return JobStatus.from_wire({"status": value} if isinstance(value, str) else value)


def bad_end(job_id: str, status: JobStatus) -> str | None:
    """Say how a job ended that cannot count as having stored its rows, None when it can; single rows may be refused either way."""
    if status.state in {JobState.SUCCEEDED, JobState.PARTIAL}:
        return None
    reason = f" ({status.final_error})" if status.final_error else ""
    return f"{job_id} ended as {status.status}{reason}"


@dataclass(slots=True)
class Refusals:
    """Rows the server refused, by what it says about them; bounded, with a count of what did not fit.

    `by_identity` maps (reference id, annotation id) to reasons; `by_reference` holds reasons about rows of which only the reference
    id is known, one for each such row; `other` are reasons that name no row.
    """

    by_identity: dict[tuple[str, str], str] = field(default_factory=dict)
    by_reference: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    other: list[str] = field(default_factory=list)
    dropped: int = 0
    _kept: int = 0
    _texts: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self._kept > 0 or self.dropped > 0

    def add(self, texts: Iterable[str]) -> None:
        """Take the error texts of a job or of a synchronous answer."""
        for text in texts:
            if self._kept >= _KEPT:
                self.dropped += 1
                continue
            self._kept += 1
            if len(self._texts) < _RECORDED:
                self._texts.append(text[:_TEXT])
            error = RowError.from_wire(text)
            reference = error.reference_id
            if reference is not None and error.annotation_id is not None:
                self.by_identity[reference, error.annotation_id] = error.reason
            elif reference is not None:
                self.by_reference[reference].append(error.reason)
            elif (named := _REFERENCE.search(error.reason)) is not None:
                self.by_reference[named.group(1)].append(error.reason)
            else:
                self.other.append(error.reason)

    def texts(self) -> list[str]:
        """Return the first texts as they were added, shortened to what fits into the record."""
        return list(self._texts)

    def first(self, count: int) -> list[str]:
        """Return a few of the reasons."""
        reasons = [*self.other[:count], *list(self.by_identity.values())[:count]]
        for group in self.by_reference.values():
            if len(reasons) >= count:
                break
            reasons.extend(group)
        return reasons[:count]

    def take(self, reference: str | None, annotation_id: str | None) -> str | None:
        """Return and strike out the reason why this row was refused; None when it was not, as far as is known."""
        if reference is None:
            return None
        if annotation_id is not None:
            reason = self.by_identity.pop((reference, annotation_id), None)
            if reason is not None:
                return reason
        reasons = self.by_reference.get(reference)
        if not reasons:
            return None
        reason = reasons.pop()
        if not reasons:
            del self.by_reference[reference]
        return reason

    def rest(self) -> Iterator[str]:
        """Yield the reasons that no row was found for."""
        yield from self.other
        yield from self.by_identity.values()
        for reasons in self.by_reference.values():
            yield from reasons


def settle(
    status: JobStatus,
    rows: int,
    errors: Callable[[], list[str]],
    refusals: Refusals,
    log: logging.Logger,
    *,
    kind: str,
) -> RowCounts:
    """Return what a job that ended did with its rows, which are of one *kind*, and note what it refused or says nothing about.

    `errors` asks for the job's row errors, which a job that counts every row as stored has none of. A message without counts,
    which the contract's uploads always have, accounts for no row but those that an error is about. A job that did not succeed
    refused at least one thing, whatever its counts say.
    """
    found = job_counts(status, kind) or RowCounts()
    left = rows - found.processed - found.ignored
    succeeded = status.state is JobState.SUCCEEDED
    texts = [] if succeeded and not found.errored and left <= 0 else errors()
    if not succeeded and not texts:
        texts = [status.final_error or f"job {status.job_id} ended as {status.status}"]
    refusals.add(texts)
    # A row that an error is about is accounted for, even where the counts leave it out.
    found = replace(found, errored=max(found.errored, min(len(texts), left)))
    counts = accounted(found, rows, f"job {status.job_id}", refusals, log)
    return counts if succeeded or counts.errored else replace(counts, errored=len(texts))


def accounted(counts: RowCounts, rows: int, what: str, refusals: Refusals, log: logging.Logger) -> RowCounts:
    """Return counts with the rows of *what* that they leave out, and note that: nobody knows whether those are stored.

    Those it calls pending are left out as well. Counts of more rows than were sent are only logged: each row is in them, and
    which of them is there twice nobody can say.
    """
    known = counts.processed + counts.ignored + counts.errored
    if pending := min(counts.unaccounted, rows):
        # Counted as stored or not: what is said to be under way is not.
        known = min(known, rows - pending)
        counts = replace(counts, processed=max(known - counts.ignored - counts.errored, 0))
    if known > rows:
        log.warning(
            "The server accounts for %d rows of %s, which has %d: its counts are too high", known, what, rows
        )
    if known >= rows:
        return counts
    under_way = f" and calls {pending:,} pending" if pending else ""
    refusals.add([
        f"{_UNACCOUNTED}{rows - known:,} of the {rows:,} rows of {what}; it counts {known:,}{under_way}"
    ])
    return replace(counts, unaccounted=rows - known)


def blamed(reason: str) -> str:
    """Say of a reason whose it is: the server's for refusing a row, ours where the server says nothing of it."""
    return reason if reason.startswith(_UNACCOUNTED) else f"refused by the server: {reason}"


def report_refusals(
    rows: Callable[[], Iterator[SourceRow]], encoder: Encoder, refusals: Refusals, quarantine: Quarantine
) -> None:
    """Read the input once more and add the refused rows to a quarantine file.

    Reasons that fit no row of the input (it may have changed, or the server names none) are added without a row.
    """
    for batch in batches_of(rows()):
        for number, row in zip(batch.numbers, batch.rows, strict=True):
            if not refusals.by_identity and not refusals.by_reference:
                break
            try:
                wire = encoder.encode(row).wire
            except NucleusValidationError:
                continue
            reason = refusals.take(wire.get("reference_id"), wire.get("annotation_id"))
            if reason is not None:
                quarantine.add(batch.source, number, blamed(reason), row)
    for reason in refusals.rest():
        quarantine.add("", 0, blamed(reason), None)
    if refusals.dropped:
        quarantine.add("", 0, blamed(f"{refusals.dropped} more rows whose reasons were not kept"), None)
