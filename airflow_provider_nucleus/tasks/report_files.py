"""The files of a report in a folder of a disk or of any object store: all of them, or none that was not there before.

The page is written last: whoever finds it finds the pictures and documents it speaks of. On a disk everything is written beside the
folder first, so that a full disk leaves the report of an earlier try as it was.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.tasks.documents import local_document
from airflow_provider_nucleus.tasks.machines import warn_of_local_paths
from airflow_provider_nucleus.tasks.reports import check_place

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_folder", "folder_for_instance", "write_files"]

log = logging.getLogger(__name__)

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "webp": "image/webp",
}

_TYPE_ARGUMENTS: Final = {
    "s3": "ContentType",
    "s3a": "ContentType",
    "gs": "content_type",
    "gcs": "content_type",
}
"""Arguments of file systems for the type of an object, by their protocols."""


def folder_for_instance(folder: str, context: Mapping[str, Any]) -> str:
    """Return the folder of this task instance: mapped ones share the argument, and each has `map<map index>` below it."""
    index = int(getattr(context["ti"], "map_index", -1))
    folder = folder.rstrip("/") or "/"
    return folder if index < 0 else f"{folder.rstrip('/')}/map{index}"


def check_folder(folder: str) -> None:
    """Raise NucleusConfigError if no file can be written there, as far as can be seen before anything is made."""
    check_place(f"{folder}/report.html", name="folder")


def write_files(folder: str, files: Mapping[str, bytes]) -> None:
    """Write files by their names below *folder*, in their order. Raises what the store does, after taking back what is new."""
    local = local_document(folder)
    try:
        if local is None:
            _put(folder, files)
        else:
            _replace(local, files)
    except (ImportError, ValueError) as error:
        raise NucleusConfigError(f"folder {folder!r} cannot be written: {error}.", field="folder") from error
    log.info("Wrote the report to %s: %s", folder, ", ".join(name for name in files if "/" not in name))
    warn_of_local_paths(folder, "The report")


def _put(folder: str, files: Mapping[str, bytes]) -> None:
    """Put objects one by one; each is there whole or not at all, and those that were not there before go with a failure."""
    root = ObjectStoragePath(folder)
    new: list[Any] = []
    try:
        for name, content in files.items():
            path = root / name
            if not path.exists():
                new.append(path)
            _write_object(path, content, _TYPES.get(name.rpartition(".")[2]))
    except BaseException:
        for path in new:
            try:
                path.unlink()
            except Exception:  # ruff: ignore[blind-except] - stores fail in any way
                log.warning("%s may be left behind", path)
        raise


def _write_object(path: Any, content: bytes, content_type: str | None) -> None:
    """Write an object, with its type where the store keeps one: a browser shows a page only if it is called one."""
    argument = _TYPE_ARGUMENTS.get(path.protocol)
    if content_type is not None and argument is not None:
        path.fs.pipe_file(path.path, content, **{argument: content_type})
        return
    with path.open("wb") as file:
        file.write(content)


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".report-", dir=folder))
    try:
        for name, content in files.items():
            staged = part / name
            staged.parent.mkdir(parents=True, exist_ok=True)
            staged.write_bytes(content)
        for name in files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (part / name).replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
