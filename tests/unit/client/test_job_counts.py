"""What jobs say they did with their rows, in the words of every kind of job."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_nucleus.client.job_counts import Counts, job_counts, job_rows
from airflow_provider_nucleus.schema.jobs import JobStatus


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
            (3, 0, 2),
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
        ({"annotation_upload": {"processed": "6", "ignored": None}}, (0, 0, 0), None),
        ({"annotation_upload": 6}, None, None),
        ({}, None, None),
        ("done", None, None),
        (None, None, None),
    ],
)
def test_counts_are_read_wherever_they_are(
    message: Any, expected: tuple[int, int, int] | None, rows: int | None
):
    """Parts are added; what is no number counts nothing, and no part is no count."""
    status = JobStatus(status="Completed", message=message)

    assert job_counts(status) == (None if expected is None else Counts(*expected))
    assert job_rows(status) == rows
