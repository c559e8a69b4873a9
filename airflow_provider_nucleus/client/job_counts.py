"""Counts of rows as the server reports them: those of every kind of job that takes rows in, and of answers to requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.schema.counts import row_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.schema.models import UploadAnswer

__all__ = ["RowCounts", "answer_counts", "job_counts", "job_rows"]


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows by what the server did with them, and the number that it says nothing about."""

    processed: int = 0
    ignored: int = 0
    errored: int = 0
    unaccounted: int = 0

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(
            self.processed + other.processed,
            self.ignored + other.ignored,
            self.errored + other.errored,
            self.unaccounted + other.unaccounted,
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """Names that one part of a message has for rows stored, ignored, refused and not done yet."""

    processed: Sequence[str]
    ignored: Sequence[str] = ()
    errored: Sequence[str] = ("errored",)
    pending: Sequence[str] = ()

    def counts(self, message: Mapping[str, Any]) -> RowCounts:
        """Read a part. One number that is no count makes the others worthless, but for those of refused rows."""
        processed, ignored, errored, pending = (
            [row_count(message.get(name)) for name in names]
            for names in (self.processed, self.ignored, self.errored, self.pending)
        )
        refused = sum(number for number in errored if number is not None)
        if None in {*processed, *ignored, *errored, *pending}:
            return RowCounts(errored=refused)
        return RowCounts(_sum(processed), _sum(ignored), refused, _sum(pending))


_ROWS: Final = _Part(["processed"], ["ignored"], ["errored", "n_errors"])
_PARTS: Final[Mapping[str, _Part]] = {
    "annotation_upload": _ROWS,
    "prediction_upload": _ROWS,
    "segmentation_upload": _ROWS,
    "image_upload_step": _Part(["completed"], pending=["pending"]),
    "scene_upload": _Part(["created", "updated"], ["ignored"]),
    "scene_upload_progress": _Part(["new_scenes", "updated_scenes"], ["ignored_scenes"], ["scenes_errored"]),
    "metadata_update": _Part(["processed"]),
}
"""The parts of messages; those of scenes as the embedded server and as the cloud spells them."""

_PARTS_OF: Final[Mapping[str, Sequence[str]]] = {
    "annotations": ("annotation_upload", "segmentation_upload"),
    "predictions": ("prediction_upload", "segmentation_upload"),
    "items": ("image_upload_step",),
    "scenes": ("scene_upload", "scene_upload_progress"),
}
"""The parts that count the rows of each kind of upload."""


def answer_counts(answer: UploadAnswer, kind: str) -> RowCounts:
    """Read the counts that the answer of a request has of the rows of its kind; each of its errors is of a refused row."""
    if kind == "predictions":
        return RowCounts(answer.predictions_processed, answer.predictions_ignored, len(answer.errors))
    return RowCounts(answer.annotations_processed, answer.annotations_ignored, len(answer.errors))


def job_counts(status: JobStatus, kind: str | None = None) -> RowCounts | None:
    """Read the counts in a job's message; None when it has none.

    Of a job that takes in rows of one *kind* (annotations, predictions, items, scenes) only what is said of those counts. Images
    that are pending in a job are not accounted for.
    """
    message = status.message if isinstance(status.message, dict) else {}
    names = _PARTS if kind is None else _PARTS_OF[kind]
    parts = [_PARTS[name].counts(message[name]) for name in names if isinstance(message.get(name), dict)]
    return sum(parts, start=RowCounts()) if parts else None


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


def _number(part: Mapping[str, Any], name: str) -> int:
    return row_count(part.get(name)) or 0


def _sum(numbers: Sequence[int | None]) -> int:
    return sum(number or 0 for number in numbers)
