"""COCO numbers against pycocotools, on real sets, on random small ones, and at the edges."""

from __future__ import annotations

import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask

from airflow_provider_nucleus.evaluation.coco_files.json import read_results, read_truth
from airflow_provider_nucleus.evaluation.matching.coco import (
    BOX_OPTIONS,
    KEYPOINT_OPTIONS,
    CocoOptions,
)
from airflow_provider_nucleus.evaluation.metric import undefined
from airflow_provider_nucleus.evaluation.readers.coco import evaluate_coco
from tests.shared_data import shared_data
from tests.unit.evaluation import oracle

TOLERANCE = 1e-12


def evaluate(document, results, iou_type="bbox", options=None):
    """Evaluate documents given as bytes or objects the way the command does."""
    truth = read_truth(_bytes(document), iou_type=iou_type)
    predictions = read_results(_bytes(results), truth)
    chosen = options or (KEYPOINT_OPTIONS if iou_type == "keypoints" else BOX_OPTIONS)
    return truth, evaluate_coco(
        truth.columns, predictions.columns, labels=len(truth.vocabulary), options=chosen
    )


def _bytes(value):
    return value if isinstance(value, bytes) else orjson.dumps(value)


def assert_agrees(document, results, iou_type="bbox"):
    """Compare the named numbers and every precision and recall of the tables."""
    expected = oracle.reference(document, results, iou_type)
    _, result = evaluate(document, results, iou_type)
    ours = {name: metric.value for name, metric in result.numbers.items()}
    assert ours == {
        name: None if value is None else pytest.approx(value, abs=TOLERANCE)
        for name, value in oracle.numbers(expected, iou_type).items()
    }
    np.testing.assert_allclose(result.tables.precision, oracle.precision(expected), rtol=0, atol=TOLERANCE)
    # At recall 0 pycocotools names the first detection even if it is ignored; from the next level on both name the
    # true positive that reaches the level.
    reached = oracle.precision(expected)[:, 1:] > 0
    scores = expected.eval["scores"][:, 1:, :, :, -1]
    np.testing.assert_allclose(result.tables.confidence[:, 1:][reached], scores[reached], rtol=0, atol=0)
    recall = np.where(expected.eval["recall"] == -1, np.nan, expected.eval["recall"])
    np.testing.assert_allclose(result.tables.recall, recall, rtol=0, atol=TOLERANCE)


REAL = [
    ("home-objects", "ground_truth.json", "predictions_yolo.json", "bbox"),
    ("home-objects", "ground_truth.json", "predictions_centernet.json", "bbox"),
    ("coco-val2014-100", "ground_truth.json", "predictions_fakebbox.json", "bbox"),
    ("coco-val2014-100", "ground_truth.json", "predictions_fakesegm.json", "segm"),
    ("coco-val2014-100", "ground_truth.json", "predictions_fakesegm.json", "bbox"),
    ("coco-val2014-100", "ground_truth.json", "predictions_fakebbox.json", "segm"),
    ("shapes-polygons", "ground_truth.json", "predictions.json", "bbox"),
    ("shapes-polygons", "ground_truth.json", "predictions.json", "segm"),
    ("spacenet-buildings", "ground_truth.json", "predictions.json", "bbox"),
    ("spacenet-buildings", "ground_truth.json", "predictions.json", "segm"),
    ("coco-keypoints-4", "ground_truth.json", "predictions_pose.json", "keypoints"),
    ("coco-keypoints-4", "ground_truth.json", "predictions_wholebody.json", "keypoints"),
    ("coco-keypoints-4", "ground_truth.json", "detections_person.json", "bbox"),
    ("kitti-cuboids", "boxes2d_ground_truth.json", "boxes2d_rrc.json", "bbox"),
    ("kitti-cuboids", "boxes2d_ground_truth.json", "boxes2d_pointrcnn.json", "bbox"),
]


@pytest.mark.parametrize(("name", "truth", "predictions", "iou_type"), REAL)
def test_real_sets_agree_with_pycocotools(name, truth, predictions, iou_type):
    """All named numbers and every point of every curve, to 1e-12."""
    folder = shared_data(name)

    assert_agrees(
        json.loads((folder / truth).read_bytes()), json.loads((folder / predictions).read_bytes()), iou_type
    )


# --- random small sets -----------------------------------------------------------------------------------------
# A thousand in all: 400 of boxes, 300 of masks, 300 of keypoints.

corner = st.sampled_from([0, 10, 20, 35])
side = st.sampled_from([0, 10, 20, 32, 64, 100])
box = st.tuples(corner, corner, side, side).map(list)
truth_row = st.fixed_dictionaries({
    "image_id": st.sampled_from([3, 1, 7]),
    "category_id": st.sampled_from([2, 5]),
    "bbox": box,
    "iscrowd": st.sampled_from([0, 0, 0, 1]),
    "area": st.sampled_from([0, 100, 1024, 4000, 9216, 10000]),
})
result_row = st.fixed_dictionaries({
    "image_id": st.sampled_from([3, 1, 7]),
    "category_id": st.sampled_from([2, 5]),
    "bbox": box,
    "score": st.sampled_from([0.1, 0.5, 0.5, 0.9]),
})


def document_of(rows, width=200, height=200):
    """Complete random annotations to a document; ids begin at 1 because pycocotools takes id 0 for "no match"."""
    return {
        "images": [{"id": k, "width": width, "height": height} for k in (7, 1, 3, 9)],
        "categories": [{"id": 5, "name": "five"}, {"id": 2, "name": "two"}],
        "annotations": [row | {"id": k + 1} for k, row in enumerate(rows)],
    }


@st.composite
def sets_of(draw, truth, guess, *, most, shifted):
    """Random rows of both sides, in which most predictions are an object of the truth, moved by some pixels."""
    truths, guesses = draw(st.lists(truth, max_size=most)), draw(st.lists(guess, max_size=most + 3))
    rows = []
    for row in guesses:
        near = draw(st.integers(-1, len(truths) - 1))
        changes = {}
        if near >= 0:
            changes = {name: truths[near][name] for name in ("image_id", "category_id")}
            changes |= shifted(truths[near], draw(st.sampled_from([0, 0, 1, 3, 6])))
        rows.append(row | changes)
    return truths, rows


def moved_box(row, by):
    x, y, width, height = row["bbox"]
    return {"bbox": [x + by, y, width, height]}


@settings(max_examples=400, deadline=None)
@given(rows=sets_of(truth_row, result_row, most=10, shifted=moved_box))
def test_random_boxes_agree_with_pycocotools(rows):
    """Ties, crowds, empty sides, zero sizes, areas on the edge of a range."""
    truths, guesses = rows
    assert_agrees(document_of(truths), guesses)


@st.composite
def polygon_row(draw, prediction):
    points = draw(st.lists(st.tuples(st.integers(-3, 45), st.integers(-3, 35)), min_size=3, max_size=6))
    ring = [float(value) / draw(st.sampled_from([1, 2, 3])) for point in points for value in point]
    row = {"image_id": draw(st.sampled_from([1, 3])), "category_id": 2, "segmentation": [ring]}
    if draw(st.booleans()):
        row["segmentation"].append([1, 1, 1, 12, 12.5, 12, 12, 1.25])
    if prediction:
        return row | {"score": draw(st.sampled_from([0.2, 0.6]))}
    crowd, area = draw(st.sampled_from([0, 0, 0, 1])), draw(st.sampled_from([0, 50, 1024, 2000]))
    return row | {"area": area, "iscrowd": crowd, "bbox": [0, 0, 1, 1]}


def moved_polygon(row, by):
    return {
        "segmentation": [
            [value + (0 if place % 2 else by) for place, value in enumerate(ring)]
            for ring in row["segmentation"]
        ]
    }


@settings(max_examples=300, deadline=None)
@given(
    found=sets_of(polygon_row(prediction=False), polygon_row(prediction=True), most=5, shifted=moved_polygon)
)
def test_random_polygons_agree_with_pycocotools(found):
    """Rasterised outlines, also outside of the image, self-crossing and overlapping in one object; crowds, ties, empty sides."""
    truths, guesses = found
    document = document_of(truths, width=40, height=30)
    # pycocotools takes results as run lengths only when it is given areas, so give it those.
    rows = []
    for row in guesses:
        packed = mask.merge(mask.frPyObjects(row["segmentation"], 30, 40))
        rows.append(row | {"segmentation": {"size": [30, 40], "counts": packed["counts"].decode()}})
    expected = oracle.reference(document, rows, "segm")

    _, from_runs = evaluate(document, rows, "segm")
    _, from_polygons = evaluate(document, guesses, "segm")

    for result in (from_runs, from_polygons):
        np.testing.assert_allclose(
            result.tables.precision, oracle.precision(expected), rtol=0, atol=TOLERANCE
        )


KEYPOINTS = 17
flags = st.sampled_from([
    (2,) * KEYPOINTS, (2, 1) * 8 + (0,), (0,) * 16 + (2,), (0,) * KEYPOINTS,
])  # fmt: skip


@st.composite
def person_row(draw, prediction):
    """A row of points: where it begins, how far apart the points are, how much every third one is off."""
    x, y, step = (
        draw(st.sampled_from([0, 3, 40])),
        draw(st.sampled_from([0, 2])),
        draw(st.sampled_from([0, 1, 6])),
    )
    off = draw(st.sampled_from([0, 0, 2, 15]))
    seen = draw(flags)
    xy = [(x + step * k + (off if k % 3 == 0 else 0), y + step * (k % 5)) for k in range(KEYPOINTS)]
    row = {"image_id": draw(st.sampled_from([1, 3])), "category_id": 2}
    if prediction:
        points = [value for point in xy for value in (*point, 1)]
        return row | {"keypoints": points, "score": draw(st.sampled_from([0.1, 0.5, 0.5, 0.9]))}
    points = [
        value for point, flag in zip(xy, seen, strict=True) for value in (*(point if flag else (0, 0)), flag)
    ]
    return row | {
        "keypoints": points,
        "num_keypoints": sum(flag > 0 for flag in seen),
        "bbox": [x, y, draw(st.sampled_from([0, 10, 100])), 30],
        "area": draw(st.sampled_from([0, 100, 1024, 4000, 9216, 20000])),
        "iscrowd": draw(st.sampled_from([0, 0, 0, 1])),
    }


def moved_person(row, by):
    points = row["keypoints"]
    return {
        "keypoints": [
            value + by if place % 3 == 0 else 1 if place % 3 == 2 else value
            for place, value in enumerate(points)
        ]
    }


@settings(max_examples=300, deadline=None)
@given(rows=sets_of(person_row(prediction=False), person_row(prediction=True), most=6, shifted=moved_person))
def test_random_keypoints_agree_with_pycocotools(rows):
    """Objects with all, some, one and no labelled point, zero areas and boxes, crowds, ties, empty sides."""
    truths, guesses = rows
    assert_agrees(document_of(truths), guesses, "keypoints")


def test_of_two_equal_overlaps_the_later_ground_truth_wins():
    """The first prediction takes the second object, so the next finds its own object taken: COCO's rule."""
    truths = [
        {"image_id": 1, "category_id": 2, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0},
        {"image_id": 1, "category_id": 2, "bbox": [4, 0, 10, 10], "area": 100, "iscrowd": 0},
    ]
    guesses = [
        {"image_id": 1, "category_id": 2, "bbox": [2, 0, 10, 10], "score": 0.9},
        {"image_id": 1, "category_id": 2, "bbox": [4, 0, 10, 10], "score": 0.8},
    ]

    assert_agrees(document_of(truths), guesses)
    _, result = evaluate(document_of(truths), guesses)
    assert result.tables.recall[0, 0, 0, -1] == 0.5


def test_a_size_range_changes_which_ignored_object_is_taken():
    """Out of range the large object is ignored like the crowd, so the first prediction prefers the crowd it fits
    better, and the large object is left to swallow the second one."""
    row = {"image_id": 1, "category_id": 2}
    truths = [
        row | {"bbox": [0, 0, 20, 20], "area": 10000, "iscrowd": 0},
        row | {"bbox": [0, 0, 20, 10], "area": 200, "iscrowd": 1},
        row | {"bbox": [100, 100, 10, 10], "area": 100, "iscrowd": 0},
    ]
    guesses = [
        row | {"bbox": [0, 0, 20, 10], "score": 0.9},
        row | {"bbox": [0, 7, 20, 13], "score": 0.8},
        row | {"bbox": [100, 100, 10, 10], "score": 0.7},
    ]

    assert_agrees(document_of(truths), guesses)
    _, result = evaluate(document_of(truths), guesses)
    assert result.tables.precision[0, -1, 0, 1] == pytest.approx(1.0)


def dense(seed, kind):
    """A few images full of objects and predictions, with ties, crowds and areas on the edges of the ranges."""
    rng = np.random.default_rng(seed)

    def shape(row):
        if kind == "bbox":
            row["bbox"] = [
                *rng.integers(0, 60, 2).tolist(),
                *(rng.integers(0, 50, 2) + rng.random()).tolist(),
            ]
        elif kind == "segm":
            pixels = np.zeros((40, 50), np.uint8)
            x, y, width, height = rng.integers((0, 0, 1, 1), (40, 30, 25, 20))
            pixels[y : y + height, x : x + width] = 1
            pixels ^= (rng.random(pixels.shape) < 0.05).astype(np.uint8)
            packed = mask.encode(np.asfortranarray(pixels))
            row |= {"segmentation": {"size": [40, 50], "counts": packed["counts"].decode()}}
        else:
            points = np.ones((17, 3))
            points[:, :2] = (
                rng.integers(0, 3, (17, 2)) * 10 + rng.integers(0, 2) * 40 + rng.normal(0, 3, (17, 2))
            )
            points[:, 2] = rng.integers(0, 3, 17) * (rng.random() > 0.2)
            row |= {"keypoints": points.ravel().tolist(), "num_keypoints": int((points[:, 2] > 0).sum())}
        return row

    def rows(count, **more):
        return [
            shape({"image_id": int(rng.choice([1, 3, 7])), "category_id": int(rng.choice([2, 5]))})
            | {name: draw() for name, draw in more.items()}
            for _ in range(count)
        ]

    sizes = [0.0, 100.0, 1024.0, 1500.0, 9216.0, 12000.0]
    truths = rows(40, area=lambda: float(rng.choice(sizes)), iscrowd=lambda: int(rng.random() < 0.15))
    guesses = rows(160, score=lambda: int(rng.integers(1, 20)) / 20)
    for row in truths:
        row.setdefault("bbox", [0, 0, 50, 60])
    return document_of(truths, width=50, height=40), guesses


@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
@pytest.mark.parametrize("seed", range(4))
def test_dense_random_images_agree_with_pycocotools(seed, kind):
    """Every prediction overlaps many objects, and nearly every choice is contested."""
    assert_agrees(*dense(seed, kind), kind)


@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
@pytest.mark.parametrize("empty", ["truth", "predictions"])
def test_an_empty_side_agrees_with_pycocotools(kind, empty):
    """No ground truth: nothing is defined. No prediction: zeros where there is something to be found."""
    document, guesses = dense(1, kind)
    if empty == "truth":
        document["annotations"] = []
    else:
        guesses = []

    assert_agrees(document, guesses, kind)


# --- by hand ---------------------------------------------------------------------------------------------------


def test_hand_computed_average_precision():
    """Two objects, hits at .9 and .7 with a miss between: 51 levels at 1, 50 at 2/3."""
    truths = [
        {"image_id": 1, "category_id": 2, "bbox": [0, 0, 10, 10], "area": 100},
        {"image_id": 1, "category_id": 2, "bbox": [50, 50, 10, 10], "area": 100},
    ]
    guesses = [
        {"image_id": 1, "category_id": 2, "bbox": [0, 0, 10, 10], "score": 0.9},
        {"image_id": 1, "category_id": 2, "bbox": [100, 100, 10, 10], "score": 0.8},
        {"image_id": 1, "category_id": 2, "bbox": [50, 50, 10, 10], "score": 0.7},
    ]

    truth, result = evaluate(document_of(truths), guesses)

    assert pytest.approx(result.numbers["AP"].value, abs=1e-12) == (51 + 50 * 2 / 3) / 101
    assert result.numbers["AR1"].value == 0.5
    curve = result.curve(truth.vocabulary.codes["two"])
    assert curve.confidence[[0, 50, 51, 100]].tolist() == [0.9, 0.9, 0.7, 0.7]
    assert result.curve(truth.vocabulary.codes["five"]) is None


def test_undefined_numbers_have_a_reason_and_no_value():
    """No medium ground truth: APm is None with words, not -1 and not 0."""
    truths = [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 10, 10], "area": 100}]

    truth, result = evaluate(document_of(truths), [])

    assert result.numbers["APm"].value is None
    assert "medium" in result.numbers["APm"].reason
    assert result.numbers["AP"].value == 0.0
    assert result.label_ap(truth.vocabulary.codes["five"]).value is None


def test_two_empty_sides_are_undefined_everywhere():
    """Nothing against nothing is no score."""
    _, result = evaluate(document_of([]), [])

    assert {None} == {metric.value for metric in result.numbers.values()}


def test_predictions_without_confidence_are_left_out_and_counted():
    """A row without a score cannot be ranked; it is excluded with a count."""
    truths = [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 10, 10], "area": 100}]
    guesses = [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 10, 10]}]

    _, result = evaluate(document_of(truths), guesses)

    assert result.excluded == 1
    assert undefined("no prediction has a confidence") == result.numbers["AP"] == result.numbers["AR100"]
    (label,) = np.flatnonzero(result.tables.unscored)
    assert result.label_ap(label).reason == "no prediction of this label has a confidence"
    assert result.curve(label) is None


def test_a_label_without_any_confidence_enters_no_mean():
    """The other label's AP is the mean; a label with one scored prediction has an AP."""
    truths = [
        {"image_id": 1, "category_id": label, "bbox": [30 * label, 0, 10, 10], "area": 100}
        for label in (2, 5)
    ]
    correct = {"image_id": 1, "category_id": 2, "bbox": [60, 0, 10, 10], "score": 0.5}
    silent = {"image_id": 1, "category_id": 5, "bbox": [150, 0, 10, 10]}

    _, result = evaluate(document_of(truths), [correct, silent])
    _, scored = evaluate(
        document_of(truths), [correct, silent, {**silent, "bbox": [90, 0, 9, 9], "score": 0.1}]
    )

    assert result.numbers["AP"].value == pytest.approx(1.0)
    assert result.numbers["AR1"].value == pytest.approx(1.0)
    assert scored.numbers["AP"].value == pytest.approx(0.5)


def test_an_annotation_with_id_0_is_found_like_any_other():
    """pycocotools loses matches with id 0, because 0 is its mark for "unmatched"; we do not."""
    document = document_of([{"image_id": 1, "category_id": 2, "bbox": [0, 0, 10, 10], "area": 100}])
    document["annotations"][0]["id"] = 0
    guesses = [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 10, 10], "score": 0.5}]

    _, result = evaluate(document, guesses)

    assert pytest.approx(result.numbers["AP"].value) == 1.0


@pytest.mark.parametrize(
    "options",
    [
        {"thresholds": ()},
        {"thresholds": (0.0,)},
        {"thresholds": (0.6, 0.5)},
        {"max_detections": (10, 1)},
        {"max_detections": (0,)},
        {"areas": ()},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    """Bad options fail when they are made, not as a strange number."""
    with pytest.raises(ValueError):
        CocoOptions(**options)
