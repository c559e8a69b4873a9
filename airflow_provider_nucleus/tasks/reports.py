"""Files that tasks leave behind: reports and quarantines, one for each mapped instance."""

from __future__ import annotations

import logging
import re
import tempfile
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.tasks.documents import local_document, write_json
from airflow_provider_nucleus.tasks.machines import warn_of_local_paths
from airflow_provider_nucleus.tasks.rendered_values import is_blank

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_place", "is_mapped_form", "leave_report", "path_for_instance", "write_report"]

log = logging.getLogger(__name__)

_ERROR_CHARS = 300


def path_for_instance(place: Any, context: Mapping[str, Any]) -> Any:
    """Return where this task instance writes its report for *place*, a path or URL; None when that is blank.

    Mapped instances share their arguments, and each would replace the file of the others: theirs has `.map<map index>` before
    the suffix. A number alone would not do: `part-1.jsonl` beside `part.jsonl` may be what a sibling reads.
    """
    if is_blank(place):
        return None
    index = int(getattr(context["ti"], "map_index", -1))
    if index < 0:
        return place
    if not isinstance(place, str):
        return place.with_name(_numbered(place.name, index))
    folder, slash, name = place.rpartition("/")
    return f"{folder}{slash}{_numbered(name, index)}"


def is_mapped_form(name: str, place: str) -> bool:
    """Return whether *name* is where a mapped instance, of any index, writes its report for *place*.

    *place* may itself be what an instance made of it.
    """
    folder, slash, last = place.rpartition("/")
    stem, suffix = _split(_MAPPED.sub(r"\1", last))
    return re.fullmatch(rf"{re.escape(folder + slash + stem)}\.map\d+{re.escape(suffix)}", name) is not None


_MAPPED = re.compile(r"\.map\d+(\.[^.]*)?$")


def _numbered(name: str, index: int) -> str:
    stem, suffix = _split(name)
    return f"{stem}.map{index}{suffix}"


def _split(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return (stem, f".{suffix}") if stem and dot else (name, "")


def check_place(place: Any, *, name: str) -> None:
    """Make the folder of *place*, and raise NucleusConfigError for the argument *name* if no file can be written there.

    To be called before the work begins whose result is written there; None is no place. Elsewhere than on a disk of this machine
    only what is needed to reach it is checked.
    """
    if place is None:
        return
    try:
        _probe(place)
    except Exception as error:  # file systems of any kind fail in any way
        raise NucleusConfigError(
            f"{name} {str(place)!r} cannot be written: {_reason(error)}.",
            field=name,
            hint="Nothing was started. Name a file in a folder that this worker may write to, or an address whose provider "
            "package is installed where tasks run (apache-airflow-providers-amazon[s3fs] for s3).",
        ) from error


def _probe(place: Any) -> None:
    """Raise what a file at *place* would meet."""
    local = local_document(place)
    if str(place).endswith("/") or (local is not None and local.is_dir()):
        raise IsADirectoryError("it is a folder")
    if local is None:
        _ = ObjectStoragePath(str(place)).fs
        return
    local.parent.mkdir(parents=True, exist_ok=True)
    if local.exists():
        with local.open("ab"):
            pass
    else:
        with tempfile.TemporaryFile(dir=local.parent):
            pass


def leave_report(place: Any, report: Mapping[str, Any]) -> dict[str, str | None]:
    """Write a report and return what the task's result says of it: `report`, its place, and `report_error`, why it is not there.

    Never raises: the result stands whatever becomes of its report.
    """
    if place is None:
        return {"report": None, "report_error": None}
    try:
        write_report(str(place), report)
    except Exception as error:  # file systems of any kind fail in any way
        reason = f"{place}: {_reason(error)}"
        log.exception("The report could not be written, the task's result stands: %s", reason)
        return {"report": None, "report_error": reason[:_ERROR_CHARS]}
    return {"report": str(place), "report_error": None}


def write_report(place: str, report: Mapping[str, Any]) -> None:
    """Write a report as JSON, packed when its name ends in `.gz`, to a local path or any URL that Airflow can write.

    ValueError for NaN and infinity. On a disk it is there whole or not at all.
    """
    write_json(place, report)
    log.info("Wrote the report to %s", place)
    warn_of_local_paths(place, "The report")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".") or type(error).__name__
