"""Reading the whole input once before anything is sent: validate, find duplicates, spool, report.

Sending only begins when this has ended well, because an input above its error rate must leave no trace on the server. Memory is
set by the batch; the disk takes the validated rows, as JSON, for as long as they are being sent.
"""

from __future__ import annotations

import contextlib
import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.uploads.check.duplicates import ExactKeys, KeyHashes, Suspects
from airflow_provider_nucleus.client.uploads.check.encoding import Encoder, stable_id
from airflow_provider_nucleus.client.uploads.check.quarantine import Quarantine, see
from airflow_provider_nucleus.client.uploads.check.spool import Cut, Spool, SpoolWriter, lack_of_room_named
from airflow_provider_nucleus.client.uploads.summary import summarize
from airflow_provider_nucleus.exceptions import NucleusUploadError, NucleusValidationError
from airflow_provider_nucleus.schema.batches import RowBatch, batches_of
from airflow_provider_nucleus.schema.rows import SourceRow

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget

__all__ = ["Prepared", "account_of", "prepare", "require_rate", "tell", "tell_present"]

_ARGUMENTS = ("image_folder", "mask_folder", "asynchronous")
"""What may be wrong instead of rows that are refused for it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked input: the spooled good rows (those with local files apart), and the account of the bad ones."""

    rows: int
    rejected: int
    duplicates: int
    spool: Spool
    file_spool: Spool
    quarantine: str | None
    first_errors: tuple[str, ...]

    @property
    def good(self) -> int:
        """Rows fit to be sent."""
        return self.rows - self.rejected


def prepare(
    rows: Callable[[], Iterator[SourceRow]],
    encoder: Encoder,
    cut: Cut,
    *,
    folder: Path,
    quarantine: Quarantine,
    on_rows: Callable[[int], None] = lambda _: None,
    publish: bool = True,
) -> Prepared:
    """Read the input, once when no identity repeats and twice otherwise, and publish the quarantine file.

    The first of several rows with one identity is kept; the later ones are refused as duplicates. Rows whose id was made from
    their content, by us or by their reader, are no duplicates but equal objects, and numbered instead. `on_rows` hears how many
    rows have been read. Without `publish` the caller goes on with the quarantine file. Raises NucleusUploadError when `folder` has
    no room for the rows.
    """
    with lack_of_room_named(folder):
        done = _checked(rows, encoder, cut, folder, quarantine, on_rows)
    return Prepared(
        done.rows,
        quarantine.rows,
        done.duplicates,
        done.spool,
        done.file_spool,
        quarantine.publish() if publish else None,
        tuple(quarantine.first),
    )


def _checked(
    rows: Callable[[], Iterator[SourceRow]],
    encoder: Encoder,
    cut: Cut,
    folder: Path,
    quarantine: Quarantine,
    on_rows: Callable[[int], None],
) -> _Done:
    done = _pass(rows(), encoder, cut, folder, quarantine, None, on_rows)
    if done.suspects:
        quarantine.restart()
        with ExactKeys(folder) as exact:
            again = _pass(rows(), encoder, cut, folder, quarantine, (done.suspects, exact), on_rows)
        if again.rows != done.rows:
            raise NucleusUploadError(
                f"The input gave {done.rows:,} rows when it was read first and {again.rows:,} the second time; nothing was sent.",
                hint="It must not change while it is uploaded, and must be readable more than once.",
            )
        return again
    return done


@dataclass(frozen=True, slots=True)
class _Done:
    rows: int
    duplicates: int
    spool: Spool
    file_spool: Spool
    suspects: Suspects | None


def _pass(
    rows: Iterator[SourceRow],
    encoder: Encoder,
    cut: Cut,
    folder: Path,
    quarantine: Quarantine,
    exact: tuple[Suspects, ExactKeys] | None,
    on_rows: Callable[[int], None],
) -> _Done:
    count = duplicates = batches = 0
    hashes = None if exact else KeyHashes(folder)
    with (
        _no_collections(),
        SpoolWriter(folder / "rows.ndjson", chunk_rows=cut.rows, salt=cut.salt, has=cut.has) as writer,
        SpoolWriter(
            folder / "files.ndjson", chunk_rows=cut.file_rows, salt=cut.salt, has=cut.has
        ) as file_writer,
    ):
        for batch in batches_of(rows):
            count += len(batch.rows) + len(batch.problems)
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
            writer.write(encoded.lines)
            file_writer.write(encoded.file_lines)
            on_rows(count)
            batches += 1
            if batches % _SWEEP == 0:
                gc.collect(1)
        suspects = hashes.suspects() if hashes is not None else None
        return _Done(count, duplicates, writer.finish(), file_writer.finish(), suspects)


_SWEEP = 100
"""Batches after which cycles among the latest objects are looked for all the same: a caller's own rows may have some."""


@contextlib.contextmanager
def _no_collections() -> Generator[None]:
    """Pause the search for reference cycles: our rows have none, and looking at millions of them takes a sixth of the time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _without_duplicates(
    batch: RowBatch, encoder: Encoder, suspects: Suspects, exact: ExactKeys
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
        if encoded is not None and encoded.key and hash(encoded.key) in suspects:
            times, source, first = exact.note(encoded.key, batch.source, number)
            if times > 1 and not (encoded.made_id or batch.made_ids):
                where = f"row {first}" if source == batch.source else f"{source} row {first}"
                reason = f"duplicate of {where}: same identity {_shown(encoded.key)}"
                repeated.append(SourceRow(batch.source, number, row, reason))
                continue
            if times > 1:
                made = (
                    stable_id(encoded.wire, times) if encoded.made_id else f"{row['annotation_id']}-{times}"
                )
                row = encoded.wire | {"annotation_id": made}
        numbers.append(number)
        kept.append(row)
    return RowBatch(batch.source, numbers, kept), repeated


def _shown(key: tuple[str | None, ...]) -> str:
    return "(" + ", ".join(part.replace("\x00", "") if part else "-" for part in key) + ")"


def account_of(prepared: Prepared) -> dict[str, Any]:
    """Return what the record keeps about the input."""
    return {
        "rows": prepared.rows,
        "rejected": prepared.rejected,
        "duplicates": prepared.duplicates,
        "quarantine": prepared.quarantine,
        "first_errors": [reason[:300] for reason in prepared.first_errors],
    }


def tell(prepared: Prepared, target: UploadTarget, log: logging.Logger) -> None:
    """Say in the log what the check found."""
    log.info(
        "Checked %s rows: %s good, %s rejected (%s of them duplicates)",
        f"{prepared.rows:,}",
        f"{prepared.good:,}",
        f"{prepared.rejected:,}",
        f"{prepared.duplicates:,}",
    )
    for reason in prepared.first_errors:
        log.warning("Rejected: %s", reason)
    if prepared.rejected:
        more = prepared.rejected - len(prepared.first_errors)
        log.warning(
            "%s",
            see(prepared.quarantine, f"{more:,} more were rejected." if more else "No others were rejected."),
        )
    if not prepared.rows:
        log.warning(
            "The input has no rows: nothing is sent to %s, and what is there already stays as it is", target
        )


def tell_present(prepared: Prepared, log: logging.Logger) -> None:
    """Say in the log how many rows need no sending."""
    chunks = (*prepared.spool.chunks, *prepared.file_spool.chunks)
    if present := sum(chunk.rows for chunk in chunks if not chunk.kept):
        log.info(
            "%s rows are stored, or in running jobs, from an earlier try; they are not sent again",
            f"{present:,}",
        )


def require_rate(
    prepared: Prepared,
    target: UploadTarget,
    options: UploadOptions,
    conn_id: str | None,
) -> None:
    """Raise NucleusUploadError, with the account, when more rows are bad than `max_error_rate` allows."""
    rate = prepared.rejected / prepared.rows if prepared.rows else 0.0
    if rate <= options.max_error_rate:
        return
    first = prepared.first_errors[0] if prepared.first_errors else ""
    raise NucleusUploadError(
        f"Nothing was sent to dataset {target.dataset_id}: {prepared.rejected:,} of {prepared.rows:,} rows are bad "
        f"({rate:.2%}, allowed {options.max_error_rate:.2%}). First: {first}.",
        summary=summarize(target, options, account_of(prepared)).to_dict(),
        quarantine=prepared.quarantine,
        conn_id=conn_id,
        hint=see(
            prepared.quarantine,
            f"Correct the rows{_arguments(prepared)}"
            + (", or raise max_error_rate to send the good ones." if prepared.good else ", or the mapping."),
        ),
    )


def _arguments(prepared: Prepared) -> str:
    """Name the arguments that reasons speak of."""
    reasons = " ".join(prepared.first_errors)
    return "".join(f", {name}" for name in _ARGUMENTS if name in reasons)
