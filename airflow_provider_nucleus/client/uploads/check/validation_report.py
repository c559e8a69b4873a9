"""What the check of an input comes to: how it is cut, what the log and the record keep of it, and whether it may be sent."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.uploads.check.validation import Cut, Prepared
from airflow_provider_nucleus.client.uploads.settlement import see
from airflow_provider_nucleus.exceptions import NucleusUploadError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from airflow_provider_nucleus.client.uploads.summary import UploadSummary
    from airflow_provider_nucleus.client.uploads.upload_spec import UploadOptions, UploadTarget

__all__ = ["account_of", "cut_for", "require_rate", "tell", "tell_present"]

ASYNC_CHUNK_ROWS = 200_000
SYNC_CHUNK_ROWS = 40_000
FILE_CHUNK_ROWS = 200

_ARGUMENTS = ("image_folder", "mask_folder", "asynchronous")
"""What may be wrong instead of rows that are refused for it."""


def cut_for(
    target: UploadTarget,
    options: UploadOptions,
    *,
    identity: str,
    destination: str,
    has: Callable[[str], bool],
) -> Cut:
    """Return how the input is cut; `has` tells by its digest whether a chunk needs no sending."""
    by_jobs = options.asynchronous or target.kind == "items"
    rows = options.chunk_rows or (ASYNC_CHUNK_ROWS if by_jobs else SYNC_CHUNK_ROWS)
    if by_jobs:
        # Uploads side by side should not start jobs of equal size: size is the first thing a lost job is recognised by.
        digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
        rows -= int.from_bytes(digest, "big") % (rows // 50 + 1)
    return Cut(rows, min(FILE_CHUNK_ROWS, rows), destination, has)


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
    summary: UploadSummary,
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
        summary=summary.to_dict(),
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
