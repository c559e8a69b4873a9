"""Validation of the whole input before anything is sent: rows checked, duplicates found, good rows spooled, bad ones reported.

Sending begins only when validation has passed: an input above its error rate must leave no trace on the server. Memory is bounded
by the batch; the disk holds the validated rows, as JSON, until they are sent.
"""

from __future__ import annotations

import contextlib
import gc
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.uploads.check.duplicates import ExactKeys, KeyHashes, RepeatedHashes
from airflow_provider_nucleus.client.uploads.check.encoding import Encoder, stable_id
from airflow_provider_nucleus.client.uploads.check.quarantine import Quarantine, quarantine_hint
from airflow_provider_nucleus.client.uploads.check.spool import (
    ChunkPlan,
    Spool,
    SpoolWriter,
    explain_full_disk,
)
from airflow_provider_nucleus.client.uploads.summary import summarize
from airflow_provider_nucleus.exceptions import NucleusUploadError, NucleusValidationError
from airflow_provider_nucleus.gating.profile_counts import ProfileCounts
from airflow_provider_nucleus.schema.batches import RowBatch, batches_of
from airflow_provider_nucleus.schema.rows import SourceRow

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget
    from airflow_provider_nucleus.gating.profile import Profile

__all__ = [
    "ValidatedInput",
    "input_counts",
    "log_already_sent",
    "log_validation",
    "require_error_rate",
    "validate_input",
]

_ARGUMENTS = ("image_folder", "mask_folder", "asynchronous")
"""Arguments that may be wrong, instead of the rows that are refused because of them."""


@dataclass(frozen=True, slots=True)
class ValidatedInput:
    """The good rows of an input, spooled (those with local files apart), and the counts of the bad ones."""

    rows: int
    rejected: int
    duplicates: int
    spool: Spool
    file_spool: Spool
    quarantine: str | None
    first_errors: tuple[str, ...]
    left_out: dict[str, int]
    """Rows that were asked to be left out, by reason."""
    profile: Profile | None = None
    """Profile of the good rows, where one was asked for."""

    @property
    def good(self) -> int:
        """Rows fit to be sent."""
        return self.rows - self.rejected - sum(self.left_out.values())


def validate_input(
    rows: Callable[[], Iterator[SourceRow]],
    encoder: Encoder,
    plan: ChunkPlan,
    *,
    folder: Path,
    quarantine: Quarantine,
    on_rows: Callable[[int], None] = lambda _: None,
    publish: bool = True,
    profiled: bool = False,
) -> ValidatedInput:
    """Read the input, once when no identity repeats and twice otherwise, and publish the quarantine file.

    The first of several rows with one identity is kept; the later ones are refused as duplicates. Rows whose id was made from
    their content, by us or by their reader, are no duplicates but equal objects, and numbered instead. `on_rows` gets the number of
    rows read so far. Without `publish` the caller continues the quarantine file; `profiled` says
    whether a profile of the good rows is taken. Raises NucleusUploadError when `folder` has
    no room for the rows.
    """
    with explain_full_disk(folder):
        done = _run_passes(rows, encoder, plan, folder, quarantine, on_rows, profiled=profiled)
    return ValidatedInput(
        done.rows,
        quarantine.rows,
        done.duplicates,
        done.spool,
        done.file_spool,
        quarantine.publish() if publish else None,
        tuple(quarantine.first_reasons),
        done.left_out,
        done.profile,
    )


def _run_passes(
    rows: Callable[[], Iterator[SourceRow]],
    encoder: Encoder,
    plan: ChunkPlan,
    folder: Path,
    quarantine: Quarantine,
    on_rows: Callable[[int], None],
    *,
    profiled: bool,
) -> _PassResult:
    done = _run_pass(rows(), encoder, plan, folder, quarantine, None, on_rows, profiled=profiled)
    if done.repeated_hashes:
        quarantine.clear()
        with ExactKeys(folder) as exact:
            again = _run_pass(
                rows(),
                encoder,
                plan,
                folder,
                quarantine,
                (done.repeated_hashes, exact),
                on_rows,
                profiled=profiled,
            )
        if again.rows != done.rows:
            raise NucleusUploadError(
                f"The input gave {done.rows:,} rows when it was read first and {again.rows:,} the second time. Nothing was sent.",
                hint="The input must not change during the upload, and must be readable more than once.",
            )
        return again
    return done


@dataclass(frozen=True, slots=True)
class _PassResult:
    """Result of reading the input once; `repeated_hashes` is None on the second pass."""

    rows: int
    duplicates: int
    spool: Spool
    file_spool: Spool
    repeated_hashes: RepeatedHashes | None
    left_out: dict[str, int]
    profile: Profile | None


def _run_pass(
    rows: Iterator[SourceRow],
    encoder: Encoder,
    plan: ChunkPlan,
    folder: Path,
    quarantine: Quarantine,
    exact: tuple[RepeatedHashes, ExactKeys] | None,
    on_rows: Callable[[int], None],
    *,
    profiled: bool,
) -> _PassResult:
    count = duplicates = batches = 0
    left_out: Counter[str] = Counter()
    hashes = None if exact else KeyHashes(folder)
    counts = _begin_profile(folder, again=exact is not None) if profiled else None
    with (
        _collector_paused(),
        SpoolWriter(
            folder / "rows.ndjson", chunk_rows=plan.rows, salt=plan.salt, is_known=plan.is_known
        ) as writer,
        SpoolWriter(
            folder / "files.ndjson", chunk_rows=plan.file_rows, salt=plan.salt, is_known=plan.is_known
        ) as file_writer,
    ):
        for batch in batches_of(rows):
            left_out.update(batch.left_out)
            count += len(batch.rows) + len(batch.problems) + sum(batch.left_out.values())
            refused = list(batch.problems)
            if exact is not None:
                batch, repeated = _without_duplicates(batch, encoder, *exact)
                duplicates += len(repeated)
                refused += repeated
            encoded = encoder.encode_batch(batch.rows)
            refused += [
                SourceRow(batch.source, batch.numbers[at], batch.rows[at], reason)
                for at, reason in encoded.bad
            ]
            for row in sorted(refused, key=lambda row: row.number):
                quarantine.add(row.source, row.number, row.problem or "", row.data)
            if hashes is not None:
                hashes.add(encoded.hashes)
            if counts is not None:
                encoded.count_in(counts)
            writer.write(encoded.lines)
            file_writer.write(encoded.file_lines)
            on_rows(count)
            batches += 1
            if batches % _COLLECT_EVERY == 0:
                gc.collect(1)
        repeated_hashes = hashes.repeated() if hashes is not None else None
        profile = counts.profile(left_out=sum(left_out.values())) if counts is not None else None
        return _PassResult(
            count, duplicates, writer.finish(), file_writer.finish(), repeated_hashes, dict(left_out), profile
        )


def _begin_profile(folder: Path, *, again: bool) -> ProfileCounts:
    """Return counts whose files lie apart from those of the first pass."""
    place = folder / ("profile-again" if again else "profile")
    place.mkdir()
    return ProfileCounts(place)


_COLLECT_EVERY = 100
"""Batches between two collections of the youngest generation: a caller's own rows may contain cycles."""


@contextlib.contextmanager
def _collector_paused() -> Generator[None]:
    """Pause the cyclic garbage collector: our rows have no cycles, and scanning millions of them takes a sixth of the time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _without_duplicates(
    batch: RowBatch, encoder: Encoder, repeated_hashes: RepeatedHashes, exact: ExactKeys
) -> tuple[RowBatch, list[SourceRow]]:
    """Take the repeated rows out of a batch; equal rows without an id of their own get numbered ids instead."""
    numbers: list[int] = []
    kept: list[dict[str, object]] = []
    repeated: list[SourceRow] = []
    for number, row in zip(batch.numbers, batch.rows, strict=True):
        try:
            encoded = encoder.encode(row)
        except NucleusValidationError:
            encoded = None  # encode_batch will report it
        if encoded is not None and encoded.key and hash(encoded.key) in repeated_hashes:
            times, source, first = exact.count(encoded.key, batch.source, number)
            if times > 1 and not (encoded.generated_id or batch.made_ids):
                where = f"row {first}" if source == batch.source else f"{source} row {first}"
                reason = f"duplicate of {where}: same identity {_format_key(encoded.key)}"
                repeated.append(SourceRow(batch.source, number, row, reason))
                continue
            if times > 1:
                made = (
                    stable_id(encoded.wire, times)
                    if encoded.generated_id
                    else f"{row['annotation_id']}-{times}"
                )
                row = encoded.wire | {"annotation_id": made}
        numbers.append(number)
        kept.append(row)
    return RowBatch(batch.source, numbers, kept), repeated


def _format_key(key: tuple[str | None, ...]) -> str:
    return "(" + ", ".join(part.replace("\x00", "") if part else "-" for part in key) + ")"


def input_counts(validated: ValidatedInput) -> dict[str, Any]:
    """Return the counts and first errors of the input, as the record keeps them."""
    return {
        "rows": validated.rows,
        "rejected": validated.rejected,
        "duplicates": validated.duplicates,
        "left_out": validated.left_out,
        "quarantine": validated.quarantine,
        "first_errors": [reason[:300] for reason in validated.first_errors],
        "profile": None if validated.profile is None else validated.profile.compact().to_dict(),
    }


def log_validation(validated: ValidatedInput, target: UploadTarget, log: logging.Logger) -> None:
    """Log the counts of the validation and the first reasons for rejection."""
    log.info(
        "Checked %s rows: %s good, %s rejected (%s of them duplicates)",
        f"{validated.rows:,}",
        f"{validated.good:,}",
        f"{validated.rejected:,}",
        f"{validated.duplicates:,}",
    )
    for reason, count in validated.left_out.items():
        log.info("Left out as asked: %s rows, %s", f"{count:,}", reason)
    for reason in validated.first_errors:
        log.warning("Rejected: %s", reason)
    if validated.rejected:
        more = validated.rejected - len(validated.first_errors)
        log.warning(
            "%s",
            quarantine_hint(
                validated.quarantine, f"{more:,} more were rejected." if more else "No others were rejected."
            ),
        )
    if not validated.rows:
        log.warning("The input has no rows. Nothing is sent to %s; what is stored there stays", target)


def log_already_sent(validated: ValidatedInput, log: logging.Logger) -> None:
    """Log how many rows an earlier attempt has sent already."""
    chunks = (*validated.spool.chunks, *validated.file_spool.chunks)
    if present := sum(chunk.rows for chunk in chunks if not chunk.to_send):
        log.info(
            "%s rows are stored or in running jobs of an earlier try and are not sent again",
            f"{present:,}",
        )


def require_error_rate(
    validated: ValidatedInput,
    target: UploadTarget,
    options: UploadOptions,
    conn_id: str | None,
) -> None:
    """Raise NucleusUploadError, with the summary, when more rows are bad than `max_error_rate` allows."""
    rate = validated.rejected / validated.rows if validated.rows else 0.0
    if rate <= options.max_error_rate:
        return
    first = validated.first_errors[0].rstrip(".") if validated.first_errors else ""
    raise NucleusUploadError(
        f"Nothing was sent to dataset {target.dataset_id}: {validated.rejected:,} of {validated.rows:,} rows are bad "
        f"({rate:.2%}, allowed {options.max_error_rate:.2%}). First: {first}.",
        summary=summarize(target, options, input_counts(validated)).to_dict(),
        quarantine=validated.quarantine,
        conn_id=conn_id,
        hint=quarantine_hint(
            validated.quarantine,
            f"Correct the rows{_named_arguments(validated)}"
            + (", or raise max_error_rate to send the good ones." if validated.good else ", or the mapping."),
        ),
    )


def _named_arguments(validated: ValidatedInput) -> str:
    """Return the arguments that the reasons name, for the hint."""
    reasons = " ".join(validated.first_errors)
    return "".join(f", {name}" for name in _ARGUMENTS if name in reasons)
