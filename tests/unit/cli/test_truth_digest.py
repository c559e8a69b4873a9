"""Digest of a file's ground truth: of every kind of shape, and of no order."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.cli.truth_digest import truth_digest
from airflow_provider_nucleus.evaluation.coco_files.json import read_truth

SHAPES = {
    "bbox": [{"bbox": [1, 2, 10, 10]}, {"bbox": [2, 2, 10, 10]}],
    "segm": [
        {"bbox": [1, 2, 10, 10], "segmentation": [[1, 2, 11, 2, 11, 12, 1, 12]]},
        {"bbox": [1, 2, 10, 10], "segmentation": [[2, 2, 12, 2, 12, 12, 2, 12]]},
    ],
    "keypoints": [
        {"bbox": [1, 2, 10, 10], "keypoints": [1, 2, 2] * 17, "num_keypoints": 17},
        {"bbox": [1, 2, 10, 10], "keypoints": [1, 2, 2] * 16 + [3, 2, 2], "num_keypoints": 17},
    ],
}


def digest(kind, *shapes):
    """Return the digest of a document with one annotation for each shape, all of one size."""
    document = {
        "images": [{"id": 1, "height": 40, "width": 40}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "area": 100, "iscrowd": 0} | shape for shape in shapes
        ],
    }
    return truth_digest(read_truth(json.dumps(document).encode(), iou_type=kind, with_ids=True))


@pytest.mark.parametrize("kind", SHAPES)
def test_a_shape_that_moved_is_another(kind):
    """Of the same size, with the same id; the order of the rows is nothing."""
    here, there = ({"id": 7, **shape} for shape in SHAPES[kind])
    other = {"id": 8, **SHAPES[kind][0]}

    assert digest(kind, here) != digest(kind, there)
    assert digest(kind, here, other) == digest(kind, other, here)
    assert digest(kind, here, other).startswith("2-")
