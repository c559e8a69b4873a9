"""The real sets beside the checkout reproduce the numbers of their expected.json and the published ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from airflow_provider_nucleus.evaluation.coco_files.json import read_results, read_truth
from airflow_provider_nucleus.evaluation.matching.coco import (
    CocoOptions,
    match_coco,
    ranked_predictions,
)
from airflow_provider_nucleus.evaluation.matching.counts import counts_at, true_positives
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.overlap.cuboids import Cuboids
from airflow_provider_nucleus.evaluation.overlap.masks import index_overlap
from airflow_provider_nucleus.evaluation.overlap.rings import polygons_from_rings
from airflow_provider_nucleus.evaluation.sides.columns import columns
from airflow_provider_nucleus.evaluation.sides.labels import Vocabulary
from tests.shared_data import shared_data

UNLIMITED = 1_000_000


def confident_first(truth, predictions, *, labels, threshold=0.5):
    """Count (tp, fp, fn) of the matching by confidence at one threshold, no limit on detections."""
    options = CocoOptions(thresholds=(threshold,), max_detections=(UNLIMITED,))
    rows = match_coco(truth, predictions, labels=labels, options=options)
    found = int((rows.hit[:, 0] != 0).sum())
    return found, len(rows) - found, int(rows.positives[:, 0].sum()) - found


@pytest.mark.parametrize(
    ("model", "counted", "differing"), [("yolo", (266, 228, 420), 32), ("centernet", (254, 2394, 432), 8)]
)
def test_home_objects_counts_by_both_matchings(model, counted, differing):
    """The published counts match by confidence per class at IoU 0.5. Nucleus matches by overlap: on this set it counts
    the same, but some predictions are true positives under one rule and false positives under the other."""
    folder = shared_data("home-objects")
    truth = read_truth(folder / "ground_truth.json")
    predictions = read_results(folder / f"predictions_{model}.json", truth)
    expected = json.loads((folder / "expected.json").read_text())["matching_iou_0.5"][model]["score>=0"]

    matches = match(truth.columns, predictions.columns)
    nucleus = counts_at(matches, 0.5)

    assert (expected["tp"], expected["fp"], expected["fn"]) == counted
    assert counted == confident_first(truth.columns, predictions.columns, labels=len(truth.vocabulary))
    assert counted == (nucleus.tp, nucleus.fp, nucleus.fn)
    options = CocoOptions(thresholds=(0.5,), max_detections=(UNLIMITED,))
    rows, _ = ranked_predictions(predictions.columns, limit=UNLIMITED)
    hits = (
        match_coco(truth.columns, predictions.columns, labels=len(truth.vocabulary), options=options).hit[
            :, 0
        ]
        != 0
    )
    assert differing == int((hits != true_positives(matches, 0.5)[rows]).sum())


def test_home_objects_counts_above_a_confidence():
    """The same at higher confidences: the predictions below are taken away before matching."""
    folder = shared_data("home-objects")
    truth = read_truth(folder / "ground_truth.json")
    expected = json.loads((folder / "expected.json").read_text())["matching_iou_0.5"]
    for model, floors in (("yolo", [0.5]), ("centernet", [0.3, 0.5])):
        side = read_results(folder / f"predictions_{model}.json", truth).columns
        for floor in floors:
            wanted = expected[model][f"score>={floor}"]
            kept = side.take(np.flatnonzero(side.confidence >= floor))

            assert (wanted["tp"], wanted["fp"], wanted["fn"]) == confident_first(
                truth.columns, kept, labels=len(truth.vocabulary)
            )


def rings_of(rows):
    return [np.array(row["segmentation"][0], dtype=float).reshape(-1, 2) for row in rows]


def test_spacenet_buildings_by_exact_polygon_overlap():
    """Exact vector IoU >= 0.5 gives the published Vegas counts and those of expected.json."""
    folder = shared_data("spacenet-buildings")
    document = json.loads((folder / "ground_truth.json").read_text())
    results = json.loads((folder / "predictions.json").read_text())
    names = {image["id"]: image["file_name"].split(".")[0] for image in document["images"]}
    order = {image: code for code, image in enumerate(sorted(names))}
    expected = json.loads((folder / "expected.json").read_text())["polygon_matching_iou_0.5"]["per_image"]

    def side(rows, confidence=None):
        return columns(
            polygons_from_rings(rings_of(rows)).polygons,
            np.array([order[row["image_id"]] for row in rows]),
            label=np.zeros(len(rows), dtype=int),
            confidence=confidence,
        )

    truth = side(document["annotations"])
    guesses = side(results, [row["score"] for row in results])

    for image, code in order.items():
        wanted = expected[names[image]]
        part = [s.take(np.flatnonzero(s.image == code)) for s in (truth, guesses)]
        assert (wanted["tp"], wanted["fp"], wanted["fn"]) == confident_first(*part, labels=1), names[image]


@pytest.mark.parametrize("model", ["pointrcnn", "tracker"])
@pytest.mark.parametrize("view", ["3d", "bev"])
def test_kitti_cuboids_reproduce_the_counts_of_exact_clipping(model, view):
    """Counts per class at every threshold of expected.json, in 3D and seen from above."""
    folder = shared_data("kitti-cuboids")
    document = json.loads((folder / "ground_truth.json").read_text())
    guessed = json.loads((folder / f"predictions_{model}.json").read_text())
    expected = json.loads((folder / "expected.json").read_text())["cuboids"][model]
    frames = {frame: code for code, frame in enumerate(sorted(document["cuboids"]))}
    vocabulary = Vocabulary.of(
        *(
            [cuboid["label"] for cuboid in rows]
            for source in (document, guessed)
            for rows in source["cuboids"].values()
        )
    )

    def side(source):
        rows = [(frames[frame], cuboid) for frame, cuboids in source["cuboids"].items() for cuboid in cuboids]
        shapes = [[*c["center"], c["length"], c["width"], c["height"], c["yaw"]] for _, c in rows]
        return columns(
            Cuboids.from_rows(shapes, bird_eye=view == "bev"),
            np.array([frame for frame, _ in rows]),
            label=vocabulary.encode([c["label"] for _, c in rows]),
            confidence=[c.get("confidence") for _, c in rows],
        )

    truth, predictions = side(document), side(guessed)
    for label, results in expected.items():
        code = vocabulary.codes[label]
        part = [s.take(np.flatnonzero(s.label == code)) for s in (truth, predictions)]
        for key, wanted in results.items():
            if key.startswith(view):
                threshold = float(key.rsplit("_", 1)[1])
                assert (wanted["tp"], wanted["fp"], wanted["fn"]) == confident_first(
                    *part, labels=len(vocabulary), threshold=threshold
                ), (label, key)


@pytest.mark.parametrize("model", ["osvos", "rvos"])
def test_davis_masks_reproduce_the_pixel_counts(model):
    """Foreground pixels over all frames, from one histogram a frame."""
    folder = shared_data("davis-masks")
    expected = json.loads((folder / "expected.json").read_text())["models"][model]["pixels"]
    total = np.zeros((2, 2), dtype=np.int64)
    for path in sorted((folder / "ground_truth").iterdir()):
        truth = np.asarray(Image.open(path))
        predicted = np.asarray(Image.open(folder / f"predictions_{model}" / path.name))
        found = index_overlap(truth, predicted)
        total[np.minimum(found.ground_truth, 1), np.minimum(found.prediction, 1)] += found.pixels

    assert expected == {"tn": total[0, 0], "fp": total[0, 1], "fn": total[1, 0], "tp": total[1, 1]}
