"""Paths of one machine, where the executor runs tasks on several: what one task writes there, the next may not find."""

from __future__ import annotations

import logging
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.configuration import conf

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError

if TYPE_CHECKING:
    from airflow_provider_nucleus.exceptions import NucleusError

__all__ = [
    "explain_missing_file",
    "local_paths",
    "runs_on_several_machines",
    "spool_folder",
    "warn_of_local_paths",
]

log = logging.getLogger(__name__)

_ONE_MACHINE: Final = ("LocalExecutor", "SequentialExecutor", "DebugExecutor", "InProcessExecutor")


def runs_on_several_machines() -> bool:
    """Return whether an executor is configured that runs tasks on several machines (Celery, Kubernetes, Edge, ...)."""
    names = str(conf.get("core", "executor", fallback="LocalExecutor")).split(",")
    # Each may have an alias and a team: team:alias:module.Class.
    executors = [name.strip().rpartition(":")[2].rpartition(".")[2] for name in names]
    return any(name and name not in _ONE_MACHINE for name in executors)


def local_paths(place: Any) -> list[str]:
    """Return those of some places, one or a list of them, that are paths of this machine."""
    if isinstance(place, (list, tuple)):
        return [path for member in place for path in local_paths(member)]
    if isinstance(place, (str, PathLike)) and (text := str(place)).strip() and "://" not in text:
        return [text]
    return []


def warn_of_local_paths(place: Any, what: str) -> None:
    """Log that a place is on this machine alone, perhaps, where tasks run on several; *what* names it."""
    if (paths := local_paths(place)) and runs_on_several_machines():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        log.warning(
            "%s is a path of this machine, and the executor runs tasks on several: unless %s%s is on a shared file system, tasks on "
            "other workers will not find it. Use an object store, such as s3://, or a shared folder",
            what,
            paths[0],
            more,
        )


def explain_missing_file(error: NucleusError, place: Any) -> None:
    """Add to the error about a local file that is missing that another worker may have it."""
    if isinstance(error, NucleusSourceError) and local_paths(place) and runs_on_several_machines():
        error.add_hint(
            "The executor runs tasks on several machines: if another task wrote the file, it may be on that task's worker. Pass files "
            "between tasks through an object store or a shared folder."
        )


def spool_folder(place: Any) -> str | None:
    """Return the folder for temporary copies of rows, made if it is missing; None when that is blank.

    Raises NucleusConfigError when it cannot be a folder of this machine.
    """
    if place is None or not str(place).strip():
        return None
    folder = Path(str(place).strip()).expanduser()
    try:
        if "://" in str(place):
            raise OSError("it must be a folder of the worker itself")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NucleusConfigError(f"spool {str(place)!r} cannot be used: {error}.", field="spool") from error
    return str(folder)
