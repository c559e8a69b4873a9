"""Run-length masks against pycocotools' own mask functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as reference

from airflow_provider_nucleus.evaluation.coco_files.fields import OddRowsError
from airflow_provider_nucleus.evaluation.coco_files.shapes import masks_of
from airflow_provider_nucleus.evaluation.overlap.raster import LongOutlineError
from airflow_provider_nucleus.evaluation.overlap.rle import decode_strings, from_counts, mask_overlap

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # pycocotools with NumPy 2


def pixels_of(runs, row):
    """Paint one mask."""
    lengths = runs.lengths[runs.starts[row] : runs.starts[row + 1]]
    flat = np.repeat(np.arange(lengths.size) % 2, lengths)
    return flat.reshape(runs.width[row], runs.height[row]).T.astype(np.uint8)


def sizes_of(count, height, width):
    return np.array([[height, width]] * count, dtype=np.int64).reshape(-1, 2)


images = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: st.lists(
        st.lists(st.booleans(), min_size=size[0] * size[1], max_size=size[0] * size[1]).map(
            lambda flat: np.array(flat, dtype=np.uint8).reshape(size)
        ),
        min_size=1,
        max_size=4,
    )
)


@settings(max_examples=80, deadline=None)
@given(masks=images)
def test_decoding_area_boxes_and_overlap_agree_with_pycocotools(masks):
    """From the compressed strings to every pairwise overlap, crowds included."""
    packed = [reference.encode(np.asfortranarray(mask)) for mask in masks]
    height, width = masks[0].shape

    runs = decode_strings([item["counts"] for item in packed], sizes=sizes_of(len(masks), height, width))

    assert runs.problem() is None
    for row, mask in enumerate(masks):
        np.testing.assert_array_equal(pixels_of(runs, row), mask)
    assert reference.area(packed).tolist() == runs.area.tolist()
    boxes = runs.bounding_boxes
    np.testing.assert_array_equal(
        np.stack([boxes.x, boxes.y, boxes.width, boxes.height], axis=1), reference.toBbox(packed)
    )
    first, second = np.divmod(np.arange(len(masks) ** 2), len(masks))
    for crowd in (0, 1):
        expected = reference.iou(packed, packed, [crowd] * len(masks))
        ours = mask_overlap(
            runs, runs, rows=second, other_rows=first, over_second=np.full(first.size, bool(crowd))
        )
        np.testing.assert_array_equal(ours.reshape(expected.shape), expected)


vertex = st.tuples(st.floats(-5, 40, width=32), st.floats(-5, 30, width=32))


@settings(max_examples=80, deadline=None)
@given(
    objects=st.lists(
        st.lists(st.lists(vertex, min_size=3, max_size=9), min_size=1, max_size=3), min_size=1, max_size=4
    )
)
def test_rasterising_agrees_with_pycocotools(objects):
    """Any outline, also outside of the image; several rings are united."""
    height, width = 24, 33
    segmentations = [[[value for point in ring for value in point] for ring in rings] for rings in objects]

    runs = masks_of(segmentations, sizes=sizes_of(len(objects), height, width))

    assert runs.problem() is None
    for row, segmentation in enumerate(segmentations):
        expected = reference.decode(reference.merge(reference.frPyObjects(segmentation, height, width)))
        np.testing.assert_array_equal(pixels_of(runs, row), expected)


def test_the_three_kinds_of_segmentation_can_be_mixed():
    """Polygons, plain runs and packed runs in one list keep their places."""
    mask = np.zeros((4, 5), dtype=np.uint8)
    mask[1:3, 2:4] = 1
    packed = reference.encode(np.asfortranarray(mask))["counts"].decode()
    segmentations = [
        {"size": [4, 5], "counts": packed},
        [[2, 1, 4, 1, 4, 3, 2, 3]],
        {"size": [4, 5], "counts": [9, 2, 2, 2, 5]},
        [[2, 1, 2, 2]],
    ]

    runs = masks_of(segmentations, sizes=sizes_of(4, 4, 5))

    for row in range(4):
        np.testing.assert_array_equal(pixels_of(runs, row), mask)


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        "abc",
        [[1, 2, 3]],
        [[1, 2, 3, 4, 5, float("nan")]],
        [[1, 2, 3, 4, 5, "x"]],
        [[1, 2, 3, 4, 5, True]],
        [[1, 2, 3, 4, 5, 1e300]],
        [[1, 2], [3, 4], [5, 6]],
        [[0, 0, 4, 4], [0, 0, 4, 0, 4, 4]],
        {"size": [5, 4], "counts": [20]},
        {"size": [4, 5], "counts": [19]},
        {"size": [4, 5], "counts": [20.0]},
        {"size": [4, 5], "counts": "\x01"},
        {"size": [4, 5], "counts": "P"},
    ],
    ids=str,
)
def test_what_is_not_in_plain_form_is_left_to_the_rules(segmentation):
    """The fast way draws nothing that it does not fully understand."""
    with pytest.raises(OddRowsError):
        masks_of([[[0, 0, 4, 0, 4, 4]], segmentation], sizes=sizes_of(2, 4, 5))


@pytest.mark.parametrize("far", [1e5, 1e9, 2.0**52])
def test_what_reaches_far_out_of_the_image_is_cut_there(far):
    """The pixels inside are those of the outline as a whole, in the memory of the image."""
    half = [[-far, -far, 2, -far, 2, far, -far, far]]
    wedge = [[0, 0, far, 0, far, far]]
    outside = [[far, far, far + 9, far, far, far + 9]]

    runs = masks_of([half, wedge, outside], sizes=sizes_of(3, 4, 5))

    assert pixels_of(runs, 0).tolist() == [[1, 1, 0, 0, 0]] * 4
    assert (
        pixels_of(runs, 1).sum()
        == pixels_of(masks_of([[[0, 0, 100, 0, 100, 100]]], sizes=sizes_of(1, 4, 5)), 0).sum()
    )
    assert pixels_of(runs, 2).sum() == 0


def test_an_outline_that_is_too_long_is_refused_with_its_mask():
    """There is room for what lies in and near an image, not for anything."""
    zigzag = [[value for at in range(2000) for value in (60_000 * (at % 2), at)]]

    with pytest.raises(LongOutlineError, match="can be drawn") as refused:
        masks_of([[[0, 0, 4, 0, 4, 4]], zigzag], sizes=sizes_of(2, 4, 5))
    assert refused.value.mask == 1


def test_runs_must_fill_their_image_and_images_must_agree():
    """A mask of the wrong length is a problem of its row; two sizes cannot be compared."""
    runs = from_counts([[4], [1, 2, 2]], sizes=sizes_of(2, 2, 2))
    wider = from_counts([[3, 3]], sizes=sizes_of(1, 2, 3))
    one = np.zeros(1, dtype=np.int64)

    assert runs.problem()[0] == 1
    with pytest.raises(ValueError, match="2 x 2"):
        mask_overlap(runs, wider, rows=one, other_rows=one)
