"""What a job's message says it did with its rows: the counts of every kind of job that takes rows in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.schema.jobs import JobStatus

__all__ = ["Counts", "job_counts", "job_rows"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What the server says it did with rows, and of how many it says nothing."""

    processed: int = 0
    ignored: int = 0
    errored: int = 0
    unaccounted: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.processed + other.processed,
            self.ignored + other.ignored,
            self.errored + other.errored,
            self.unaccounted + other.unaccounted,
        )


_PARTS: Final[Mapping[str, tuple[Sequence[str], Sequence[str], Sequence[str]]]] = {
    "annotation_upload": (["processed"], ["ignored"], ["errored", "n_errors"]),
    "prediction_upload": (["processed"], ["ignored"], ["errored", "n_errors"]),
    "segmentation_upload": (["processed"], ["ignored"], ["errored", "n_errors"]),
    "image_upload_step": (["completed"], [], ["errored"]),
    "scene_upload": (["created", "updated"], ["ignored"], ["errored"]),
    "scene_upload_progress": (["new_scenes", "updated_scenes"], ["ignored_scenes"], ["scenes_errored"]),
    "metadata_update": (["processed"], [], ["errored"]),
}
"""What each part of a message calls the rows that were stored, ignored and refused; scenes as the embedded server and as the cloud."""


def job_counts(status: JobStatus) -> Counts | None:
    """Read the counts in a job's message, whatever its rows are; None when it has none."""
    message = status.message if isinstance(status.message, dict) else {}
    parts = [(message[name], names) for name, names in _PARTS.items() if isinstance(message.get(name), dict)]
    if not parts:
        return None
    return sum(
        (Counts(*(sum(_number(part, name) for name in group) for group in names)) for part, names in parts),
        start=Counts(),
    )


def job_rows(status: JobStatus) -> int | None:
    """Return how many rows a job is about, None while it does not say."""
    message = status.message if isinstance(status.message, dict) else {}
    total = 0
    found = False
    for name in ("annotation_upload", "prediction_upload", "ingest_to_reupload_queue"):
        part = message.get(name)
        if isinstance(part, dict) and part.get("total") is not None:
            total += _number(part, "total")
            found = True
    masks = message.get("segmentation_upload")
    if isinstance(masks, dict):
        total += sum(_number(masks, name) for name in ("processed", "ignored", "n_errors"))
        found = True
    if found:
        return total
    return status.total_steps


def _number(part: dict[str, Any], name: str) -> int:
    value = part.get(name)
    return value if isinstance(value, int) else 0
