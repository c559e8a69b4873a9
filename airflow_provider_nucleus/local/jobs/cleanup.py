"""Clearing away what a crash or a deletion left on disk.

Deleted is what is certainly nobody's any more: half-written files, uploads whose job has ended, bytes nobody shows. Whole
files that the store does not know, and uploads it has no job for, are another matter: an older store that was put back does
not know the newer one's. They are moved aside, and back when a store knows them again.
"""

from __future__ import annotations

import logging
import shutil
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.disk.belongings import (
    ASIDE,
    blob_name,
    kept,
    parts,
    result_name,
    spilled,
    upload_name,
)
from airflow_provider_nucleus.local.errors import FullDiskError
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.catalog import evaluations, jobs
from airflow_provider_nucleus.local.store.ingest import signed_uploads

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["delete_input", "sweep_at_start", "sweep_blobs", "sweep_spilled", "sweep_uploads"]

log = logging.getLogger(__name__)
_GRACE = timedelta(hours=1)


def sweep_spilled(root: Path) -> None:
    """Delete the memory that a killed server had spilled. Only before the store is opened: later ones are in use."""
    for path in spilled(root):
        path.unlink()


def sweep_at_start(services: Services) -> None:
    """Delete what was half written and what nobody needs, and move aside what the store does not know.

    Only before the first request: later files may be arriving.
    """
    root = services.folder.root
    for part in parts(root):
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    try:
        sweep_uploads(services)
        _sort_files(services, root)
        sweep_blobs(services)
    except FullDiskError:
        log.warning("what nobody needs any more stays until the next start: to forget it takes room")


def _sort_files(services: Services, root: Path) -> None:
    with services.db.read() as cursor:
        known, ended = _known(cursor), _ended(cursor)
    for path in kept(root / ASIDE):
        place = root / path.relative_to(root / ASIDE)
        if str(place.relative_to(root)) in known and _moved(path, place):
            log.warning("moved %s back from %s: the store knows it again", place.relative_to(root), ASIDE)
    count = size = 0
    for path in kept(root):
        name = str(path.relative_to(root))
        if name in ended:
            path.unlink()
        elif name not in known and _moved(path, root / ASIDE / name):
            count += 1
            size += _size(root / ASIDE / name)
    if count:
        log.warning(
            "moved %s files or results (%s bytes) that the store does not know to %s: they are of a newer store, if an "
            "older one was put back, of a request that a crash ended, or rows that no job was started on before their "
            "signed address expired. A start with a store that knows them moves them "
            "back; delete the folder if there is none",
            count,
            size,
            root / ASIDE,
        )


def _known(cursor: Cursor) -> set[str]:
    tokens = {row[0] for row in cursor.execute("SELECT coalesce(file, token) FROM uploads").fetchall()}
    tokens |= {token for job in jobs.unfinished(cursor) if (token := job.request.get("token"))}
    blobs = cursor.execute("SELECT token FROM blobs").fetchall()
    return {
        *map(upload_name, tokens),
        *(blob_name(row[0]) for row in blobs),
        *map(result_name, evaluations.results(cursor)),
    }


def _ended(cursor: Cursor) -> set[str]:
    """Return the inputs of jobs that have ended: a crash came between their end and the deletion."""
    found = cursor.execute(
        "SELECT json_extract_string(request, '$.token') FROM jobs WHERE status <> ?", [jobs.RUNNING]
    ).fetchall()
    return {upload_name(row[0]) for row in found if row[0] is not None}


def _moved(path: Path, place: Path) -> bool:
    """Move a file or folder to a place where nothing is; returns whether it is there now."""
    if place.exists():
        log.warning(
            "%s stays where it is: %s is there as well. Delete the one that is not needed", path, place
        )
        return False
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    except OSError as error:
        log.warning("%s stays where it is, unused: it cannot be moved: %s", path, error)
        return False
    return True


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def sweep_uploads(services: Services) -> None:
    """Forget uploads whose job has ended, with their files, and signed URLs an hour after they expired without a job.

    What came in through a URL that expired before this server started stays until the next start moves it aside: if an older
    store was put back, the newer one may have a job for it. Of what expired since, this store knows.
    """
    with services.db.write() as cursor:
        found = cursor.execute(
            """DELETE FROM uploads WHERE (job_no IS NULL AND expires_at < ?)
                OR job_no IN (SELECT job_no FROM jobs WHERE status <> ?) RETURNING coalesce(file, token), job_no, expires_at""",
            [_an_hour_ago(), jobs.RUNNING],
        ).fetchall()
    for token, job_no, expires_at in found:
        if job_no is not None or expires_at > services.started:
            signed_uploads.spool_path(services.folder.spool, token).unlink(missing_ok=True)


def delete_input(services: Services, job: jobs.JobRecord) -> None:
    """Delete the uploaded file that an ended job has read."""
    token = job.request.get("token")
    if token is not None:
        with services.db.write() as cursor:
            signed_uploads.remove(cursor, token)
        signed_uploads.spool_path(services.folder.spool, token).unlink(missing_ok=True)
    sweep_uploads(services)


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
    return timestamps.now() - _GRACE
