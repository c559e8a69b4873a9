"""Operating points from stored matches against those matched anew: how far the approximation is off on the shared sets.

    python benchmarks/operating_points.py [--out benchmarks/results/operating_points.md]

For every label with 20 objects or more, and over all labels: the cut from the pairs of one match (`approximate`), the cut with every cut
matched anew (`exact`), and what each really gives, which is the F1 of a match of the predictions that it keeps.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from itertools import starmap

from airflow_provider_nucleus.cli.file_measurements import (
    FileOptions,
    measure_files,
    outcomes_of_file,
    points_of_file,
)
from airflow_provider_nucleus.gating.operating_point import operating_points_of

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = ("home-objects", "coco-val2014-100", "shapes-polygons", "spacenet-buildings")
HEAD = (
    "# Operating points: stored pairs against cuts matched anew",
    "",
    "Made by `python benchmarks/operating_points.py`. *F1 lost*: F1 at the exact cut less F1 at the approximate one, both matched anew.",
    "*F1 understated*: F1 really had at the approximate cut less what the stored pairs say of it. Labels with 20 objects or more.",
    "",
    "On detectors that suppress duplicates the stored pairs choose nearly the same cuts; without suppression they do not: there the",
    "confident predictions had to yield to hesitant ones that fit better, and the stored pairs do not know what they would find alone.",
    "",
)
RESULTS = Path(__file__).parent / "results" / "operating_points.md"


def files(scratch: Path) -> list[tuple[str, Path, Path]]:
    """Return name, ground truth and predictions of every pair: those on the disk, and one that was made for the worst case."""
    pairs = [
        (name, SHARED / name / "ground_truth.json", each)
        for name in SETS
        for each in sorted((SHARED / name).glob("predictions*.json"))
    ]
    kitti = SHARED / "kitti-cuboids"
    pairs += [
        ("kitti-cuboids, 2D", kitti / "boxes2d_ground_truth.json", each)
        for each in (kitti / "boxes2d_rrc.json", kitti / "boxes2d_pointrcnn.json")
    ]
    return [*pairs, ("made: no suppression", *hesitant_duplicates(scratch))]


def hesitant_duplicates(scratch: Path) -> tuple[Path, Path]:
    """Write a detector without suppression of duplicates: each object is found with confidence, and better by two that hesitate."""
    boxes = [(place % 50, [20.0 * (place // 50), 0.0, 16.0, 16.0]) for place in range(1000)]
    truth = {
        "images": [{"id": image, "width": 500, "height": 40} for image in range(50)],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [
            {"id": place, "image_id": image, "category_id": 1, "bbox": box, "area": 256.0, "iscrowd": 0}
            for place, (image, box) in enumerate(boxes)
        ],
    }
    results = []
    for place, (image, box) in enumerate(boxes):
        for moved, score in ((3.0, 0.6 + place % 30 / 100), (1.0, 0.1 + place % 20 / 100), (2.0, 0.05)):
            shifted = [box[0] + moved, *box[1:]]
            results.append({"image_id": image, "category_id": 1, "bbox": shifted, "score": score})
    for name, value in (("truth.json", truth), ("predictions_duplicates.json", results)):
        (scratch / name).write_text(json.dumps(value))
    return scratch / "truth.json", scratch / "predictions_duplicates.json"


def realized(outcomes, labels, cut: float, truth: int) -> float:
    """Return F1 of the predictions of some labels from *cut* on, matched anew."""
    kept = [hit for label in labels for score, hit in outcomes.predictions.get(label, []) if score >= cut]
    return 2 * sum(kept) / (len(kept) + truth) if kept or truth else 0.0


def compare(name: str, truth: Path, predictions: Path) -> dict:
    """Return the differences of one model."""
    (found,) = measure_files(truth, [predictions], options=FileOptions())
    exact, near = points_of_file(found), operating_points_of(found.measurement)
    outcomes = outcomes_of_file(found)
    rows = []
    for label, point in exact.per_label.items():
        other = near.per_label[label]
        if point.source == "own" and point.confidence is not None and other.confidence is not None:
            got = realized(outcomes, [label], other.confidence, point.ground_truth)
            rows.append((abs(point.confidence - other.confidence), point.f1 - got, got - other.f1))
    got = realized(outcomes, outcomes.labels, near.overall.confidence, exact.overall.ground_truth)
    return {
        "set": name,
        "model": predictions.stem.removeprefix("predictions_").removeprefix("boxes2d_"),
        "exact cut": exact.overall.confidence,
        "approximate cut": near.overall.confidence,
        "F1 lost": exact.overall.f1 - got,
        "F1 understated": got - near.overall.f1,
        "labels": len(rows),
        "labels with another cut": sum(cut > 0 for cut, _, _ in rows),
        "most F1 lost": max((lost for _, lost, _ in rows), default=0.0),
        "mean F1 lost": mean([lost for _, lost, _ in rows] or [0.0]),
        "most F1 understated": max((low for _, _, low in rows), default=0.0),
    }


def main() -> None:
    """Print the table, and write it with what it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = list(starmap(compare, files(Path(scratch))))
    heads = list(rows[0])
    table = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows:
        cells = (f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values())
        table.append(f"| {' | '.join(cells)} |")
    print("\n".join(table))
    args.out.write_text("\n".join([*HEAD, *table, ""]))


if __name__ == "__main__":
    main()
