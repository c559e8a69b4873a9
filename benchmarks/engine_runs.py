"""One run of one contestant in a process of its own: prints its phases, its peak memory and its numbers as JSON.

Usage: python engine_runs.py RUN FOLDER. The driver is engine.py.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import time
from pathlib import Path

TWELVE = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
RUNS = {}


def run(function):
    """Register a contestant under the name of its function."""
    RUNS[function.__name__] = function
    return function


class Clock:
    """Named phases of one run."""

    def __init__(self):
        self.phases = {}
        self.cpu = {}
        self.last = time.perf_counter(), time.process_time()

    def phase(self, name):
        """End a phase."""
        now = time.perf_counter(), time.process_time()
        self.phases[name] = now[0] - self.last[0]
        self.cpu[name] = now[1] - self.last[1]
        self.last = now


def our_columns(folder, clock):
    import numpy as np

    from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
    from airflow_provider_nucleus.evaluation.sides.columns import columns

    with np.load(folder / "columns.npz") as data:
        truth = columns(
            Boxes.from_xywh(data["truth_box"]),
            data["truth_image"],
            label=data["truth_label"],
            crowd=data["truth_crowd"],
        )
        predictions = columns(
            Boxes.from_xywh(data["box"]), data["image"], label=data["label"], confidence=data["score"]
        )
    clock.phase("load")
    return truth, predictions


@run
def ours_coco(folder, clock):
    from airflow_provider_nucleus.evaluation.readers.coco import evaluate_coco

    truth, predictions = our_columns(folder, clock)
    result = evaluate_coco(truth, predictions, labels=80).numbers
    clock.phase("evaluate")
    return {name: metric.value for name, metric in result.items()}


@run
def ours_coco_parts(folder, clock):
    """Two threads over partitions of 100,000 rows."""
    from airflow_provider_nucleus.evaluation.matching.partition import (
        PartitionPlan,
        map_partitions,
        merge,
        split,
    )
    from airflow_provider_nucleus.evaluation.readers.coco import coco_result

    truth, predictions = our_columns(folder, clock)
    merged = merge(map_partitions(split(truth, predictions), plan=PartitionPlan(80, rule=None), workers=2))
    result = coco_result(merged.coco).numbers
    clock.phase("evaluate")
    return {name: metric.value for name, metric in result.items()}


@run
def ours_charts(folder, clock):
    """The Nucleus match and every chart: AP by class and size, curves, confusion, TIDE counts, histogram, totals."""
    from airflow_provider_nucleus.evaluation.matching.counts import counts_at, true_positives
    from airflow_provider_nucleus.evaluation.matching.nucleus import match
    from airflow_provider_nucleus.evaluation.readers.attribution import attribute_match
    from airflow_provider_nucleus.evaluation.readers.confusion import confusion
    from airflow_provider_nucleus.evaluation.readers.curves import precision_recall_curves
    from airflow_provider_nucleus.evaluation.readers.histograms import score_histogram
    from airflow_provider_nucleus.evaluation.readers.mean_precision import precision_by_size, precisions
    from airflow_provider_nucleus.evaluation.readers.ranked import rank_match

    truth, predictions = our_columns(folder, clock)
    matches = match(truth, predictions)
    ranked = rank_match(matches, labels=80)
    ap = precisions(ranked.rows())
    numbers = {"mAP50": ap.mean(threshold=0.5).value, "mAP5095": ap.mean().value}
    precision_by_size(ranked)
    precision_recall_curves(ranked.rows(), threshold=0.5)
    confusion(matches, 0.5, labels=80)
    errors = attribute_match(matches).counts()
    score_histogram(predictions.confidence, true_positives(matches, 0.5))
    counts = counts_at(matches, 0.5)
    clock.phase("evaluate")
    return numbers | {"tp": counts.tp, "duplicate": errors.duplicate}


@run
def ours_tide(folder, clock):
    from airflow_provider_nucleus.evaluation.readers.tide import tide

    truth, predictions = our_columns(folder, clock)
    result = tide(truth, predictions)
    clock.phase("evaluate")
    counts = result.attribution.counts()
    return {"AP50": result.ap.value, **tide_counts(counts)}


def tide_counts(counts):
    return {
        "Cls": counts.classification,
        "Loc": counts.localization,
        "Both": counts.both,
        "Dupe": counts.duplicate,
        "Bkg": counts.background,
        "Miss": counts.missed,
    }


@run
def ours_json(folder, clock):
    """What `nucleus-local evaluate` does: files in, COCO numbers and Nucleus counts out."""
    from airflow_provider_nucleus.evaluation.report import evaluate_files

    report = evaluate_files(folder / "ground_truth.json", [folder / "predictions.json"])
    numbers = report.to_dict()["models"]["predictions"]
    clock.phase("evaluate")
    return {name: numbers[name] for name in TWELVE}


@run
def pycocotools(folder, clock):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(folder / "ground_truth.json"))
    detections = truth.loadRes(str(folder / "predictions.json"))
    clock.phase("load")
    return evaluated(COCOeval(truth, detections, "bbox"), clock)


@run
def faster_coco_eval(folder, clock):
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(str(folder / "ground_truth.json"))
    detections = truth.loadRes(str(folder / "predictions.json"))
    clock.phase("load")
    return evaluated(COCOeval_faster(truth, detections, "bbox"), clock)


@run
def hotcoco(folder, clock):
    from hotcoco import COCO, COCOeval

    truth = COCO(str(folder / "ground_truth.json"))
    detections = truth.load_res(str(folder / "predictions.json"))
    clock.phase("load")
    return evaluated(COCOeval(truth, detections, "bbox"), clock)


def hotcoco_columns(folder):
    import numpy as np
    from hotcoco import COCO

    with np.load(folder / "columns.npz") as data:
        document = {
            "images": [{"id": k + 1, "width": 640, "height": 480} for k in range(int(data["images"]))],
            "categories": [{"id": k + 1, "name": f"class {k:02d}"} for k in range(80)],
        }
        truth = COCO.from_arrays(
            document["images"],
            document["categories"],
            data["truth_image"] + 1,
            data["truth_label"] + 1,
            data["truth_box"],
            iscrowd=data["truth_crowd"],
        )
        rows = np.column_stack([data["image"] + 1, data["box"], data["score"], data["label"] + 1])
        return truth, truth.load_res(rows)


@run
def hotcoco_from_columns(folder, clock):
    from hotcoco import COCOeval

    truth, detections = hotcoco_columns(folder)
    clock.phase("load")
    return evaluated(COCOeval(truth, detections, "bbox"), clock)


@run
def hotcoco_charts(folder, clock):
    """COCO numbers, TIDE and confusion matrix."""
    from hotcoco import COCOeval

    truth, detections = hotcoco_columns(folder)
    clock.phase("load")
    evaluation = COCOeval(truth, detections, "bbox")
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        counts = evaluation.tide_errors()["counts"]
        evaluation.confusion_matrix()
    clock.phase("evaluate")
    return {name: counts[name] for name in ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")}


def evaluated(evaluation, clock):
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    clock.phase("evaluate")
    stats = evaluation.stats() if callable(evaluation.stats) else evaluation.stats
    return dict(zip(TWELVE, map(float, list(stats)[:12])))


@run
def tidecv(folder, clock):
    import numpy as np
    import tidecv as package
    from tidecv.data import Data

    truth, detections = Data("truth"), Data("detections")
    with np.load(folder / "columns.npz") as data:
        for image in range(int(data["images"])):
            truth.add_image(image, str(image))
        rows = (data[name].tolist() for name in ("truth_image", "truth_label", "truth_box", "truth_crowd"))
        for image, label, box, crowd in zip(*rows):
            (truth.add_ignore_region if crowd else truth.add_ground_truth)(image, label, box, None)
        rows = (data[name].tolist() for name in ("image", "label", "score", "box"))
        for image, label, score, box in zip(*rows):
            detections.add_detection(image, label, score, box, None)
    clock.phase("load")
    evaluation = package.TIDE()
    result = evaluation.evaluate(truth, detections, mode=package.TIDE.BOX)
    evaluation.get_all_errors()
    clock.phase("evaluate")
    counts = {kind.short_name: len(found) for kind, found in result.error_dict.items()}
    return {"AP50": result.ap / 100} | {
        name: counts[name] for name in ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")
    }


# --- polygons, cuboids, masks ----------------------------------------------------------------------------------


@run
def ours_polygons(_, clock):
    """Exact IoU of all pairs of an image, then the Nucleus match."""
    import engine_shapes

    from airflow_provider_nucleus.evaluation.matching.nucleus import match
    from airflow_provider_nucleus.evaluation.overlap.rings import polygons_from_rings
    from airflow_provider_nucleus.evaluation.sides.columns import columns
    from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy

    truth, predictions = engine_shapes.polygons()
    clock.phase("load")
    sides = [
        columns(
            polygons_from_rings(side[2]).polygons,
            side[0],
            label=side[1],
            confidence=None if len(side) < 4 else side[3],
        )
        for side in (truth, predictions)
    ]
    clock.phase("convert")
    matches = match(*sides, rule=LabelMatchPolicy(class_agnostic=True))
    clock.phase("evaluate")
    return {"iou sum": float(matches.overlap.sum()), "pairs": int((matches.match >= 0).sum())}


@run
def shapely_polygons(_, clock):
    """The same IoU matrix by shapely's vectorised intersection, after the same bounding-box filter; no matching."""
    import engine_shapes
    import numpy as np
    import shapely

    truth, predictions = engine_shapes.polygons()
    clock.phase("load")
    left, right = (
        shapely.make_valid(np.array([shapely.Polygon(ring) for ring in side[2]]))
        for side in (truth, predictions)
    )
    clock.phase("convert")
    rows, others = same_image(truth[0], predictions[0])
    one, two = shapely.bounds(left)[rows], shapely.bounds(right)[others]
    near = ((np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(one[:, :2], two[:, :2])) > 0).all(axis=1)
    rows, others = rows[near], others[near]
    common = shapely.area(shapely.intersection(left[rows], right[others]))
    iou = common / (shapely.area(left)[rows] + shapely.area(right)[others] - common)
    clock.phase("evaluate")
    return {"candidate pairs": int(rows.size), "iou sum of all pairs": float(iou.sum())}


def same_image(first, second):
    import numpy as np

    from airflow_provider_nucleus.evaluation.arrays import ranges

    begin = np.searchsorted(first, second, side="left")
    count = np.searchsorted(first, second, side="right") - begin
    return ranges(begin, count), np.repeat(np.arange(second.size), count)


@run
def nucleus_polygons(_, clock):
    """PolygonIOU of the official client, item by item."""
    import engine_shapes
    import numpy as np
    from nucleus import Point, PolygonAnnotation, PolygonPrediction
    from nucleus.annotation import AnnotationList
    from nucleus.metrics import PolygonIOU
    from nucleus.prediction import PredictionList

    truth, predictions = engine_shapes.polygons()
    clock.phase("load")
    metric = PolygonIOU(enforce_label_match=False, iou_threshold=0.0)

    def shapes(kind, side, rows, **extra):
        return [
            kind(
                label=str(side[1][k]),
                vertices=[Point(x=float(x), y=float(y)) for x, y in side[2][k]],
                reference_id="item",
                **{name: float(values[k]) for name, values in extra.items()},
            )
            for k in rows
        ]

    total, clocked, cpu = [], 0.0, 0.0
    for image in np.intersect1d(truth[0], predictions[0]):
        left = shapes(PolygonAnnotation, truth, np.flatnonzero(truth[0] == image))
        rows = np.flatnonzero(predictions[0] == image)
        right = shapes(PolygonPrediction, predictions, rows, confidence=predictions[3])
        begin = time.perf_counter(), time.process_time()
        total.append(
            metric(AnnotationList(polygon_annotations=left), PredictionList(polygon_predictions=right))
        )
        clocked += time.perf_counter() - begin[0]
        cpu += time.process_time() - begin[1]
    metric.aggregate_score(total)
    clock.phases["evaluate"], clock.cpu["evaluate"] = clocked, cpu
    return {"items": len(total)}


@run
def ours_cuboids(_, clock):
    import engine_shapes
    import numpy as np

    from airflow_provider_nucleus.evaluation.matching.nucleus import match
    from airflow_provider_nucleus.evaluation.overlap.cuboids import Cuboids
    from airflow_provider_nucleus.evaluation.sides.columns import columns

    (frame, truth), (other_frame, guesses, score) = engine_shapes.cuboids()
    clock.phase("load")
    left = columns(Cuboids.from_rows(truth), frame, label=np.zeros(frame.size, dtype=int))
    right = columns(
        Cuboids.from_rows(guesses), other_frame, label=np.zeros(score.size, dtype=int), confidence=score
    )
    matches = match(left, right)
    clock.phase("evaluate")
    return {"iou sum": float(matches.overlap.sum()), "pairs": int((matches.match >= 0).sum())}


@run
def nucleus_cuboids(_, clock):
    """CuboidIOU of the official client, item by item."""
    import engine_shapes
    import numpy as np
    from nucleus import CuboidAnnotation, CuboidPrediction, Point3D
    from nucleus.annotation import AnnotationList
    from nucleus.metrics import CuboidIOU
    from nucleus.prediction import PredictionList

    (frame, truth), (other_frame, guesses, score) = engine_shapes.cuboids()
    clock.phase("load")
    metric = CuboidIOU()

    def shape(kind, row, **extra):
        x, y, z, length, width, height, yaw = map(float, row)
        return kind(
            label="car",
            position=Point3D(x, y, z),
            dimensions=Point3D(length, width, height),
            yaw=yaw,
            reference_id="frame",
            **extra,
        )

    total, clocked, cpu = [], 0.0, 0.0
    for number in range(int(frame.max()) + 1):
        left = [shape(CuboidAnnotation, row) for row in truth[frame == number]]
        rows = np.flatnonzero(other_frame == number)
        right = [shape(CuboidPrediction, guesses[k], confidence=float(score[k])) for k in rows]
        begin = time.perf_counter(), time.process_time()
        total.append(
            metric(AnnotationList(cuboid_annotations=left), PredictionList(cuboid_predictions=right))
        )
        clocked += time.perf_counter() - begin[0]
        cpu += time.process_time() - begin[1]
    result = metric.aggregate_score(total)
    clock.phases["evaluate"], clock.cpu["evaluate"] = clocked, cpu
    return {"mean iou": float(result.value)}


@run
def ours_masks(_, clock):
    import engine_shapes

    from airflow_provider_nucleus.evaluation.overlap.masks import index_overlap

    pairs = engine_shapes.masks()
    clock.phase("load")
    pixels = 0
    for truth, prediction in pairs:
        found = index_overlap(truth, prediction)
        pixels += int(found.pixels[found.ground_truth == found.prediction].sum())
    clock.phase("evaluate")
    return {"images": len(pairs), "agreeing pixels": pixels}


@run
def hotcoco_masks(_, clock):
    import engine_shapes
    from hotcoco.semantic import SemanticEval

    pairs = engine_shapes.masks()
    clock.phase("load")
    evaluation = SemanticEval(25, ignore_index=None)
    for truth, prediction in pairs:
        evaluation.update(truth, prediction)
    pixels = int(np_trace(evaluation.confusion))
    clock.phase("evaluate")
    return {"images": len(pairs), "agreeing pixels": pixels}


def np_trace(matrix):
    import numpy as np

    return np.trace(np.asarray(matrix() if callable(matrix) else matrix))


@run
def nucleus_masks(_, clock):
    """The confusion matrix of the official client's segmentation metrics."""
    import engine_shapes
    import numpy as np
    from nucleus.metrics.segmentation_utils import (
        fast_confusion_matrix,
        rasterize_polygons_to_segmentation_mask,  # ruff: ignore[unused-import]
    )

    pairs = engine_shapes.masks()
    clock.phase("load")
    pixels = 0
    for truth, prediction in pairs:
        matrix = fast_confusion_matrix(truth.ravel(), prediction.ravel(), 25)
        pixels += int(np.trace(matrix))
    clock.phase("evaluate")
    return {"images": len(pairs), "agreeing pixels": pixels}


def peak_mb():
    """Peak resident memory. Linux counts the parent's into ru_maxrss, so ask the kernel for this process alone."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main():
    name, folder = sys.argv[1], Path(sys.argv[2])
    clock = Clock()
    begin = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        numbers = RUNS[name](folder, clock)
    wall = time.perf_counter() - begin
    print(
        json.dumps({
            "phases": clock.phases,
            "cpu": clock.cpu,
            "wall": wall,
            "total_cpu": time.process_time(),
            "peak_mb": peak_mb(),
            "numbers": numbers,
        })
    )


if __name__ == "__main__":
    main()
