"""Outcomes of rows on the server: its counts and row errors, and the source rows they are about."""

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
    "add_unaccounted",
    "failure_of",
    "job_outcome",
    "parse_status",
    "quarantine_refused_rows",
    "reason_with_origin",
]

_REFERENCE = re.compile(r"(?i)\bitem with id (.+?) (?:does\b|doesn)")
_RECORDED = 30
_TEXT = 600
_KEPT = 50_000
"""Refused rows whose reasons are kept; beyond it they are only counted."""


_USERS_FAULT = "errored_user"
_UNACCOUNTED = "not accounted for by the server: "


def parse_status(value: Any) -> JobStatus:
    """Return the status of a job from a JobStatus, its JSON, or the bare status."""
    if isinstance(value, JobStatus):
        return value
    return JobStatus.from_wire({"status": value} if isinstance(value, str) else value)


def failure_of(job_id: str, status: JobStatus, rows: int, *, kind: str) -> str | None:
    """Return how a job of `rows` rows of one `kind` failed, None when it dealt with each: single rows, or all, may be refused then."""
    if status.state in {JobState.SUCCEEDED, JobState.PARTIAL} or _refused_all(status, rows, kind):
        return None
    reason = f" ({status.final_error})" if status.final_error else ""
    return f"{job_id} ended as {status.status}{reason}"


def _refused_all(status: JobStatus, rows: int, kind: str) -> bool:
    """Return whether a job failed, by the user's fault, in that it refused every row by itself."""
    return status.status.lower() == _USERS_FAULT and job_counts(status, kind) == RowCounts(errored=rows)


@dataclass(slots=True)
class Refusals:
    """Reasons of the rows that the server refused; bounded, with a count of those that did not fit.

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
        """Add the error texts of a job or of a synchronous answer."""
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

    def first_reasons(self, count: int) -> list[str]:
        """Return a few of the reasons."""
        reasons = [*self.other[:count], *list(self.by_identity.values())[:count]]
        for group in self.by_reference.values():
            if len(reasons) >= count:
                break
            reasons.extend(group)
        return reasons[:count]

    def pop_reason(self, reference: str | None, annotation_id: str | None) -> str | None:
        """Remove and return the reason for refusing a row; None when there is none."""
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

    def unmatched(self) -> Iterator[str]:
        """Yield the reasons that no row was matched to."""
        yield from self.other
        yield from self.by_identity.values()
        for reasons in self.by_reference.values():
            yield from reasons


def job_outcome(
    status: JobStatus,
    rows: int,
    errors: Callable[[], list[str]],
    refusals: Refusals,
    log: logging.Logger,
    *,
    kind: str,
) -> RowCounts:
    """Return the counts of a job that ended, and add the rows it refused or does not account for to `refusals`.

    The job has `rows` rows of one `kind`.

    `errors` fetches the job's row errors; it is not called for a job that counts every row as stored. A message without counts,
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
    counts = add_unaccounted(found, rows, f"job {status.job_id}", refusals, log)
    return counts if succeeded or counts.errored else replace(counts, errored=len(texts))


def add_unaccounted(
    counts: RowCounts, rows: int, what: str, refusals: Refusals, log: logging.Logger
) -> RowCounts:
    """Return counts completed by the rows of `what` that they leave out, which are added to `refusals`: they may not be stored.

    Pending rows are left out as well. Counts of more rows than were sent are only logged: no row is missing from them.
    """
    counted = counts.processed + counts.ignored + counts.errored
    if pending := min(counts.unaccounted, rows):
        # Pending rows are not stored, even where another count includes them.
        counted = min(counted, rows - pending)
        counts = replace(counts, processed=max(counted - counts.ignored - counts.errored, 0))
    if counted > rows:
        log.warning(
            "The server accounts for %d rows of %s, which has %d: its counts are too high",
            counted,
            what,
            rows,
        )
    if counted >= rows:
        return counts
    under_way = f" and calls {pending:,} pending" if pending else ""
    refusals.add([
        f"{_UNACCOUNTED}{rows - counted:,} of the {rows:,} rows of {what}; it counts {counted:,}{under_way}"
    ])
    return replace(counts, unaccounted=rows - counted)


def reason_with_origin(reason: str) -> str:
    """Return a reason with its origin: refused by the server, or not accounted for by it."""
    return reason if reason.startswith(_UNACCOUNTED) else f"refused by the server: {reason}"


def quarantine_refused_rows(
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
            reason = refusals.pop_reason(wire.get("reference_id"), wire.get("annotation_id"))
            if reason is not None:
                quarantine.add(batch.source, number, reason_with_origin(reason), row)
    for reason in refusals.unmatched():
        quarantine.add("", 0, reason_with_origin(reason), None)
    if refusals.dropped:
        quarantine.add(
            "", 0, reason_with_origin(f"{refusals.dropped} more rows whose reasons were not kept"), None
        )
