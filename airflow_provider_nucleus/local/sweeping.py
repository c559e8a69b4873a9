"""Clearing away what a crash or a deletion left on disk: half-received files, uploads nobody used, bytes nobody shows."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.store import jobs, moments, spool

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.services import Services

__all__ = ["sweep_at_start", "sweep_blobs", "sweep_uploads"]

_LOG = logging.getLogger(__name__)
_GRACE = timedelta(hours=1)


def sweep_at_start(services: Services) -> None:
    """Remove every file that no row of the store knows. Only before the first request: later ones may be arriving."""
    for part in (*services.folder.spool.glob("*.part"), *services.folder.blobs.glob("*/*.part")):
        part.unlink(missing_ok=True)
    sweep_uploads(services)
    with services.db.read() as cursor:
        tokens = {
            row[0] for row in cursor.execute("SELECT token FROM uploads WHERE lines IS NOT NULL").fetchall()
        }
        tokens |= {job.request.get("token") for job in jobs.unfinished(cursor)}
        blobs = {row[0] for row in cursor.execute("SELECT token FROM blobs").fetchall()}
    stray = [path for path in services.folder.spool.glob("*.ndjson") if path.stem not in tokens]
    stray += [path for path in services.folder.blobs.glob("*/*") if path.name not in blobs]
    for path in stray:
        path.unlink()
    if stray:
        _LOG.warning("removed %s files that a former server had not finished", len(stray))
    sweep_blobs(services)


def sweep_uploads(services: Services) -> None:
    """Forget signed URLs, and delete what came through them, an hour after they expired without a job."""
    with services.db.write() as cursor:
        found = cursor.execute(
            "DELETE FROM uploads WHERE job_no IS NULL AND expires_at < ? RETURNING token", [_an_hour_ago()]
        ).fetchall()
    for (token,) in found:
        spool.spool_path(services.folder.spool, token).unlink(missing_ok=True)


def sweep_blobs(services: Services) -> None:
    """Delete bytes older than an hour that no item, mask or unfinished job refers to."""
    with services.db.write() as cursor:
        waiting = [token for job in jobs.unfinished(cursor) for token in job.request.get("blobs", [])]
        found = cursor.execute(
            """DELETE FROM blobs WHERE created_at < ? AND token NOT IN (
                SELECT blob FROM items WHERE blob IS NOT NULL UNION ALL SELECT blob FROM masks WHERE blob IS NOT NULL
                UNION ALL SELECT unnest(?::VARCHAR[])) RETURNING token""",
            [_an_hour_ago(), waiting],
        ).fetchall()
    for (token,) in found:
        services.blobs.remove(token)


def _an_hour_ago() -> datetime:
    return moments.now() - _GRACE
