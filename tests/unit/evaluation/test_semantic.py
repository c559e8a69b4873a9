"""Pixel counts and semantic scores against a hand-computed case, hotcoco, DAVIS and ADE20K."""

from __future__ import annotations

import json
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from PIL import Image

from airflow_provider_nucleus.evaluation.images.semantic import pixel_counts, semantic_scores
from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from tests.shared_data import shared_data


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_hand_computed_case():
    """Two classes and an unlabelled pixel: 5 pixels count, one prediction is of no class."""
    truth = np.array([[0, 1, 1], [2, 2, 2]], dtype=np.uint8)
    predicted = np.array([[1, 1, 2], [2, 2, 0]], dtype=np.uint8)
    counts = pixel_counts(truth, predicted, classes=3, ignore={0})
    scores = semantic_scores(counts)

    assert (scores.pixels, scores.left_out, counts.evaluated) == (5, 1, (1, 2))
    assert counts.matrix.tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 2, 1]]
    assert [Metric(1 / 2), Metric(2 / 4)] == [row.iou for row in scores.per_class]
    assert Metric(0.5) == scores.mean_iou
    assert Metric(3 / 5) == scores.pixel_accuracy
    assert Metric(0.5) == scores.frequency_weighted_iou
    assert pytest.approx((1 / 2 + 2 / 3) / 2) == scores.mean_accuracy.value


small_masks = hypothesis_numpy.arrays(np.uint8, (6, 7), elements=st.integers(0, 4))


@given(small_masks, small_masks, st.booleans())
@settings(max_examples=50, deadline=None)
def test_scores_equal_hotcoco(truth, predicted, ignoring):
    """Confusion, mIoU, fwIoU, mean and pixel accuracy equal hotcoco's on random masks."""
    reference = pytest.importorskip("hotcoco").metrics
    if ignoring:
        truth = np.where(truth == 4, 255, truth).astype(np.uint8)
        predicted = np.minimum(predicted, 3)
    classes = 4 if ignoring else 5
    counts = pixel_counts(truth, predicted, classes=classes, ignore={255} if ignoring else ())
    scores = semantic_scores(counts)
    matrix = reference.pixel_confusion(truth, predicted, classes, ignore_index=255 if ignoring else None)
    expected = reference.mean_iou(matrix)

    assert matrix.tolist() == counts.matrix[:, :classes].tolist()
    assert np.count_nonzero(truth == 255) == counts.left_out
    if scores.pixels:
        assert expected["mIoU"] == pytest.approx(scores.mean_iou.value, abs=1e-12)
        assert expected["fwIoU"] == pytest.approx(scores.frequency_weighted_iou.value, abs=1e-12)
        assert expected["mAcc"] == pytest.approx(scores.mean_accuracy.value, abs=1e-12)
        assert expected["aAcc"] == pytest.approx(scores.pixel_accuracy.value, abs=1e-12)


@given(small_masks, small_masks, st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_counts_of_parts_add_up_to_the_whole(truth, predicted, cut):
    """Images may be counted in any partition."""
    whole = pixel_counts(truth, predicted, classes=5, ignore={0})
    parts = pixel_counts(truth[:cut], predicted[:cut], classes=5, ignore={0}) + pixel_counts(
        truth[cut:], predicted[cut:], classes=5, ignore={0}
    )

    assert whole.matrix.tolist() == parts.matrix.tolist()
    assert whole.left_out == parts.left_out


@pytest.mark.parametrize("model", ["osvos", "rvos"])
def test_davis_reproduces_the_reference_numbers(model):
    """48 real frames: exact pixel counts and the published IoU of the foreground."""
    folder = shared_data("davis-masks")
    index = json.loads((folder / "index.json").read_text())
    expected = json.loads((folder / "expected.json").read_text())["models"][model]
    parts = [
        pixel_counts(
            read(folder / frame["ground_truth"]), read(folder / frame["predictions"][model]), classes=2
        )
        for frame in index["frames"]
    ]
    counts = reduce(add, parts)
    scores = semantic_scores(counts)
    pixels = expected["pixels"]

    assert [[pixels["tn"], pixels["fp"], 0], [pixels["fn"], pixels["tp"], 0]] == counts.matrix.tolist()
    assert expected["mean_iou"] == pytest.approx(scores.mean_iou.value, abs=5e-7)
    assert expected["frequency_weighted_iou"] == pytest.approx(scores.frequency_weighted_iou.value, abs=5e-7)
    assert expected["pixel_accuracy"] == pytest.approx(scores.pixel_accuracy.value, abs=5e-7)
    foreground = scores.per_class[1]
    assert expected["dataset_iou_foreground"] == pytest.approx(foreground.iou.value, abs=5e-7)
    assert expected["precision_foreground"] == pytest.approx(foreground.precision.value, abs=5e-7)
    assert expected["recall_foreground"] == pytest.approx(foreground.recall.value, abs=5e-7)
    per_frame = [semantic_scores(part).per_class[1].iou.value for part in parts]
    assert expected["mean_over_frames_iou_foreground"] == pytest.approx(np.mean(per_frame), abs=5e-7)


def test_ade20k_leaves_unlabelled_pixels_out():
    """The copy of the truth scores 1 on the classes present, 0.1 over all 150 (as published)."""
    folder = shared_data("ade20k-sample")
    index = json.loads((folder / "index.json").read_text())
    expected = json.loads((folder / "expected.json").read_text())
    counts = reduce(
        add,
        [
            pixel_counts(
                read(folder / frame["ground_truth"]),
                read(folder / next(iter(frame["predictions"].values()))),
                classes=151,
                ignore={0},
            )
            for frame in index["frames"]
        ],
    )
    scores = semantic_scores(counts)

    assert expected["counts"]["labelled_pixels"] == scores.pixels
    assert expected["counts"]["pixels"] == scores.pixels + scores.left_out
    assert expected["counts"]["classes_present"] == sum(row.iou.defined for row in scores.per_class)
    assert Metric(1.0) == scores.pixel_accuracy == scores.mean_iou == scores.frequency_weighted_iou
    assert pytest.approx(0.1) == scores.mean_iou_all_classes.value


def test_every_mask_may_bring_its_own_list_of_segments():
    """Two masks number the same classes differently; an index without a segment is not labelled."""
    truth = np.array([[7, 7, 1, 0]], dtype=np.uint8)
    predicted = np.array([[2, 3, 3, 3]], dtype=np.uint8)
    truth_classes = np.full(8, -1)
    truth_classes[[7, 1]] = [0, 1]
    counts = pixel_counts(
        truth,
        predicted,
        classes=2,
        truth_classes=truth_classes,
        predicted_classes=np.array([-1, -1, 0, 1]),
    )
    short = pixel_counts(
        truth, predicted, classes=2, truth_classes=truth_classes, predicted_classes=np.array([-1, -1, 0])
    )

    assert (counts.matrix.tolist(), counts.left_out) == ([[1, 1, 0], [0, 1, 0]], 1)
    assert short.matrix.tolist() == [[1, 0, 1], [0, 0, 1]]


def test_a_mask_without_labelled_pixels_has_no_score():
    """Everything ignored, or no pixel at all: null with the reason."""
    for truth in (np.zeros((2, 2), dtype=np.uint8), np.zeros((0, 3), dtype=np.uint8)):
        scores = semantic_scores(pixel_counts(truth, np.ones_like(truth), classes=2, ignore={0}))

        reason = undefined("no labelled pixel in the ground truth")
        assert reason == scores.mean_iou_all_classes == scores.pixel_accuracy == scores.frequency_weighted_iou


def test_wrong_sizes_and_unknown_indices_are_refused():
    """A mask that does not fit must not be cropped, nor an unknown index counted as some class."""
    mask = np.zeros((2, 2), dtype=np.uint8)
    with pytest.raises(ValueError, match="not of the same image"):
        pixel_counts(mask, mask[:1], classes=2)
    with pytest.raises(ValueError, match="prediction: index 7 is neither"):
        pixel_counts(mask, mask + 7, classes=2)
    with pytest.raises(ValueError, match="ground truth: index 3 is neither"):
        pixel_counts(mask + 3, mask, classes=2, ignore={255})
    with pytest.raises(ValueError, match="negative index"):
        pixel_counts(mask.astype(np.int16) - 1, mask, classes=2)
    with pytest.raises(ValueError, match="cannot be added"):
        pixel_counts(mask, mask, classes=2) + pixel_counts(mask, mask, classes=2, ignore={0})
