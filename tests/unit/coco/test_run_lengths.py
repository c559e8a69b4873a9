"""Boxes of run-length masks against the COCO tools."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from airflow_provider_nucleus.coco.run_lengths import box_of_rle
from tests.shared_data import shared_data


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
        lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 1))
    )
)
@settings(max_examples=100, deadline=None)
def test_boxes_equal_those_of_the_coco_tools(mask: np.ndarray):
    """For any mask, compressed or not."""
    packed = coco_mask.encode(np.asfortranarray(mask))
    flat = mask.flatten(order="F")
    runs, value = [], 0
    for pixel in flat:
        if pixel != value or not runs:
            runs += [0] * (2 if not runs and pixel else 1)
            value = pixel
        runs[-1] += 1
    expected = [int(side) for side in coco_mask.toBbox(packed)]

    assert expected == box_of_rle({"size": list(mask.shape), "counts": packed["counts"].decode()})
    assert expected == box_of_rle({"size": list(mask.shape), "counts": runs})


def test_real_masks_equal_those_of_the_coco_tools():
    """734 instance masks of a real segmenter."""
    rows = json.loads((shared_data("coco-val2014-100") / "predictions_fakesegm.json").read_text())
    for row in rows:
        assert list(coco_mask.toBbox(row["segmentation"])) == box_of_rle(row["segmentation"])


@pytest.mark.parametrize(
    "mask",
    [{}, {"size": [2, 2]}, {"size": [2, 2], "counts": [1]}, {"size": [2, 2], "counts": "\n"}, {"size": [2, 2], "counts": "o"}, {"size": ["a", 2], "counts": []}, {"size": [2, 2], "counts": [-4, 8]}, {"size": [2, 2], "counts": 4}],
)  # fmt: skip
def test_malformed_masks_are_refused(mask: dict):
    """No box is invented for a mask that does not add up."""
    with pytest.raises(ValueError, match="segmentation"):
        box_of_rle(mask)
