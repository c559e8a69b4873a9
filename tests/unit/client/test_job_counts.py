"""What jobs say they did with their rows, in the words of every kind of job."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_nucleus.client.job_counts import RowCounts, answer_counts, job_counts, job_rows
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.schema.models import UploadAnswer


@pytest.mark.parametrize(
    ("message", "expected", "rows"),
    [
        ({"annotation_upload": {"total": 9, "processed": 6, "ignored": 2, "errored": 1}}, (6, 2, 1), 9),
        ({"prediction_upload": {"total": 9, "processed": 6, "ignored": 2, "errored": 1}}, (6, 2, 1), 9),
        (
            {
                "annotation_upload": {"total": 3, "processed": 3, "ignored": 0, "errored": 0},
                "segmentation_upload": {"processed": 1, "ignored": 2, "n_errors": 3},
            },
            (4, 2, 3),
            9,
        ),
        (
            {
                "image_upload_step": {"completed": 3, "pending": 1, "errored": 2},
                "ingest_to_reupload_queue": {"total": 6, "processed": 6},
            },
            (3, 0, 2, 1),
            6,
        ),
        ({"scene_upload": {"created": 3, "updated": 1, "ignored": 2, "errored": 1}}, (4, 2, 1), None),
        (
            {
                "scene_upload_progress": {
                    "errors": [],
                    "dataset_id": "ds_1",
                    "new_scenes": 3,
                    "ignored_scenes": 2,
                    "scenes_errored": 1,
                    "updated_scenes": 1,
                }
            },
            (4, 2, 1),
            None,
        ),
        ({"metadata_update": {"processed": 3, "errored": 1}}, (3, 0, 1), None),
        ({"annotation_upload": {"processed": "6", "ignored": None, "errored": 2.0}}, (6, 0, 2), None),
        *(
            ({"annotation_upload": {"processed": 6, "ignored": odd, "errored": 1}}, (0, 0, 1), None)
            for odd in (-2, True, 0.5, "-2", "six", [], float("nan"), float("inf"), "٣")
        ),
        ({"annotation_upload": 6}, None, None),
        ({}, None, None),
        ("done", None, None),
        (None, None, None),
    ],
)
def test_counts_are_read_wherever_they_are(message: Any, expected: tuple[int, ...] | None, rows: int | None):
    """Parts are added; what is no number makes its part worthless, and no part is no count."""
    status = JobStatus(status="Completed", message=message)

    assert job_counts(status) == (None if expected is None else RowCounts(*expected))
    assert job_rows(status) == rows


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("annotations", {"annotation_upload": {"processed": 3}}),
        ("annotations", {"segmentation_upload": {"processed": 3}}),
        ("predictions", {"prediction_upload": {"processed": 3}}),
        ("predictions", {"segmentation_upload": {"processed": 3}}),
        ("items", {"image_upload_step": {"completed": 3}}),
        ("scenes", {"scene_upload": {"created": 3}}),
        ("scenes", {"scene_upload_progress": {"new_scenes": 3}}),
    ],
)
def test_parts_of_other_kinds_count_no_rows(kind: str, part: dict[str, Any]):
    """Each kind of upload has parts of its own."""
    others = {
        "annotation_upload": {"processed": 1},
        "prediction_upload": {"processed": 1},
        "image_upload_step": {"completed": 1},
        "scene_upload": {"created": 1},
        "metadata_update": {"processed": 1},
    }
    own = {
        "annotations": ["annotation_upload"],
        "predictions": ["prediction_upload"],
        "items": ["image_upload_step"],
        "scenes": ["scene_upload"],
    }[kind]
    message = {name: value for name, value in others.items() if name not in own} | part

    assert job_counts(JobStatus(status="Completed", message=message), kind) == RowCounts(3)


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ({"annotations_processed": 2, "annotations_ignored": 1}, (2, 1)),
        ({"annotations_processed": "2", "annotations_ignored": 1.0}, (2, 1)),
        ({"annotations_processed": None}, (0, 0)),
        ({"annotations_processed": -1, "annotations_ignored": 4}, (0, 0)),
        ({"annotations_processed": 5, "annotations_ignored": -2}, (0, 0)),
        ({"annotations_processed": True, "annotations_ignored": 2}, (0, 0)),
        ({"annotations_processed": "many", "annotations_ignored": 2}, (0, 0)),
        ({"predictions_processed": 3}, (0, 0)),
    ],
)
def test_answers_are_read_by_the_same_rule(said: dict[str, Any], counts: tuple[int, int]):
    """Requests for predictions by their own counts, too."""
    names = {"annotations": "predictions", "predictions": "annotations"}
    other = {f"{names[key.split('_')[0]]}_{key.split('_')[1]}": value for key, value in said.items()}

    assert answer_counts(UploadAnswer.from_wire(said), "annotations") == RowCounts(*counts)
    assert answer_counts(UploadAnswer.from_wire(other), "predictions") == RowCounts(*counts)
