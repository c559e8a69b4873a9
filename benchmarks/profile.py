"""Show what a profile finds without ground truth, and how often it alarms when nothing changed, and write Markdown.

    python benchmarks/profile.py --data ../shared/data        # real detections, and simulated ones
    python benchmarks/profile.py                              # simulated ones only

A detector's results are split by images at random: one part is the reference, the other the batch, as it is or changed: no predictions,
without its second most frequent label, confidences times 0.8, boxes transposed. Each batch is judged by the numbers of `gating.drift` at their
stated defaults. An alarm is a number beyond its bound; a batch without an alarm of which a number is undefined is inconclusive, not passed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import random
from collections import Counter
from pathlib import Path

from airflow_provider_nucleus.gating.distances import ks_level
from airflow_provider_nucleus.gating.drift import DEFAULT_MAX_PSI, profile_numbers
from airflow_provider_nucleus.gating.profile_counts import ProfileCounts

HERE = Path(__file__).resolve().parent
BOUNDS = {
    **dict.fromkeys(
        ("confidence_psi", "area_psi", "aspect_psi", "label_psi", "objects_per_item_psi"), DEFAULT_MAX_PSI
    ),
    "vanished_labels": 0,
    "new_labels": 0,
    "empty_share_change": 0.1,
}
REAL = {
    "CenterNet on 85 photos of homes": "home-objects/predictions_centernet.json",
    "PointRCNN's 2D boxes on 478 frames of KITTI": "kitti-cuboids/boxes2d_pointrcnn.json",
    "RRC's 2D boxes on 478 frames of KITTI": "kitti-cuboids/boxes2d_rrc.json",
    "COCO's example results on 100 images": "coco-val2014-100/predictions_fakebbox.json",
}
ITEMS = {"home-objects": "ground_truth.json", "kitti-cuboids": "boxes2d_ground_truth.json", "coco-val2014-100": "ground_truth.json"}  # fmt: skip
CHANGES = ("none", "no predictions", "a label vanished", "confidences x 0.8", "boxes transposed")


def real_items(path: Path) -> list[list[dict]]:
    """Return the predictions of each image of a COCO result file, those without any included."""
    truth = json.loads((path.parent / ITEMS[path.parent.name]).read_text())
    found: dict[int, list[dict]] = {image["id"]: [] for image in truth["images"]}
    for row in json.loads(path.read_text()):
        found.setdefault(row["image_id"], []).append(
            prediction(row["image_id"], str(row["category_id"]), *row["bbox"][2:], row["score"])
        )
    return list(found.values())


def simulated_items(count: int, rng: random.Random) -> list[list[dict]]:
    """Return images of which each has its own scene: objects of one image are alike, as real ones are."""
    labels = [f"label-{number}" for number in range(20)]
    weights = [1 / (number + 1) for number in range(20)]
    found = []
    for item in range(count):
        distance, certainty = rng.gauss(0, 0.5), rng.betavariate(4, 2)
        common = rng.choices(labels, weights, k=3)
        rows = []
        for _ in range(min(int(rng.expovariate(1 / 8)), 60)):
            width, height = rng.lognormvariate(4.4 + distance, 0.5), rng.lognormvariate(3.8 + distance, 0.5)
            score = min(max(rng.gauss(certainty, 0.15), 0.05), 1.0)
            rows.append(prediction(item, rng.choice(common), width, height, score))
        found.append(rows)
    return found


def prediction(item: int, label: str, width: float, height: float, score: float) -> dict:
    geometry = {"x": 0, "y": 0, "width": width, "height": height}
    return {"type": "box", "reference_id": str(item), "label": label, "confidence": score, "geometry": geometry}  # fmt: skip


def changed(items: list[list[dict]], change: str) -> list[list[dict]]:
    """Return the predictions of a batch after something happened."""
    if change == "no predictions":
        return [[] for _ in items]
    if change == "a label vanished":
        counts = Counter(row["label"] for rows in items for row in rows)
        gone = counts.most_common(2)[-1][0]
        return [[row for row in rows if row["label"] != gone] for rows in items]
    if change == "confidences x 0.8":
        return [[row | {"confidence": row["confidence"] * 0.8} for row in rows] for rows in items]
    if change == "boxes transposed":
        return [
            [
                row | {"geometry": row["geometry"] | {"width": row["geometry"]["height"], "height": row["geometry"]["width"]}}
                for row in rows
            ]
            for rows in items
        ]  # fmt: skip
    return items


def profile_of(items: list[list[dict]]):
    counts = ProfileCounts()
    counts.add_rows(row for rows in items for row in rows)
    return counts.profile().model_copy(update={"items": len(items)})


def judged(items: list[list[dict]], change: str, *, splits: int, share: float, rng: random.Random) -> dict:
    """Split, change and judge many times; return how often what came of it."""
    outcome: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    undefined: Counter[str] = Counter()
    levels = Counter()
    indexes = []
    for _ in range(splits):
        order = rng.sample(items, len(items))
        size = round(len(order) * share)
        batch, reference = profile_of(changed(order[:size], change)), profile_of(order[size:])
        numbers = profile_numbers(batch, reference)
        found = [name for name, bound in BOUNDS.items() if (numbers.values[name] or 0) > bound]
        missing = [name for name in BOUNDS if numbers.values[name] is None]
        outcome["alarm" if found else "inconclusive" if missing else "pass"] += 1
        alarms.update(found)
        undefined.update(missing)
        if numbers.values["confidence_psi"] is not None:
            indexes.append(numbers.values["confidence_psi"])
        if (distance := numbers.values["confidence_ks"]) is not None:
            levels["all"] += 1
            levels["items"] += numbers.values["confidence_ks_p"] < 0.05
            levels["objects"] += ks_level(distance, batch.objects, reference.objects) < 0.05
    return {
        "outcome": outcome,
        "alarms": alarms,
        "undefined": undefined,
        "levels": levels,
        "indexes": indexes,
    }


def section(name: str, items: list[list[dict]], options: argparse.Namespace) -> list[str]:
    rng = random.Random(11)
    objects = sum(map(len, items))
    size = round(len(items) * options.share)
    lines = [
        f"### {name}",
        "",
        f"{len(items):,} images, {objects:,} predictions; batches of {size:,} images against the other {len(items) - size:,}.",
        "",
        "| what happened | alarm | inconclusive | pass | alarms by | undefined |",
        "|---|---:|---:|---:|---|---|",
    ]
    note = ""
    for change in CHANGES:
        done = judged(items, change, splits=options.splits, share=options.share, rng=rng)
        shares = [
            f"{done['outcome'][what] / options.splits:.1%}" for what in ("alarm", "inconclusive", "pass")
        ]
        lines.append(f"| {change} | {' | '.join(shares)} | {named(done['alarms'], options.splits)} | {named(done['undefined'], options.splits)} |")  # fmt: skip
        print(lines[-1], flush=True)
        if change == "none" and (total := done["levels"]["all"]):
            ordered = sorted(done["indexes"])
            middle = (
                f"`confidence_psi` {ordered[len(ordered) // 2]:.3f} at the median"
                if ordered
                else "`confidence_psi` never defined"
            )
            note = (
                f"Without a change: {middle}; `confidence_ks_p` below 0.05 in {done['levels']['items'] / total:.1%} of the splits, "
                f"with objects for observations it would be in {done['levels']['objects'] / total:.1%}."
            )
    return [*lines, "", note, ""]


def named(counts: Counter[str], splits: int) -> str:
    return ", ".join(f"`{name}` {count / splits:.0%}" for name, count in counts.most_common(4) if count * 200 >= splits)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with the shared evaluation data")
    parser.add_argument("--splits", type=int, default=500)
    parser.add_argument("--share", type=float, default=0.5, help="share of the images that is the batch")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "profile.md")
    options = parser.parse_args()
    lines = [
        "# Profiles: what they find",
        "",
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, Python {platform.python_version()}. {options.splits} random splits each.",
        "",
        "How it is done: see the head of `benchmarks/profile.py`. Bounds: every `*_psi` 0.2, no vanished and no new label, a share of empty",
        "items at most 0.1 above the reference's.",
        "",
    ]
    for name, place in REAL.items():
        path = options.data / place if options.data else None
        if path is None or not path.exists():
            lines += [f"### {name}", "", "Left out: the data is not here (`--data`).", ""]
            continue
        lines += section(name, real_items(path), options)
    rng = random.Random(3)
    for count in (400, 2_000):
        lines += section(f"Simulated: {count:,} images, 20 labels, objects of one image alike", simulated_items(count, rng), options)  # fmt: skip
    options.output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
