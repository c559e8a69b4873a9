"""Files that tasks leave behind: reports and quarantines, one for each mapped instance."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_nucleus.tasks.arguments import is_blank

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_mapped_form", "path_for_instance", "write_report"]

log = logging.getLogger(__name__)


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


def write_report(place: str, report: Mapping[str, Any]) -> None:
    """Write a report as JSON to a local path or any URL that Airflow can write; ValueError for NaN and infinity."""
    with ObjectStoragePath(place).open("w") as file:  # type: ignore[no-untyped-call]
        json.dump(report, file, indent=2, allow_nan=False)
    log.info("Wrote the report to %s", place)
