"""Time the evaluation engine beside its peers on the same data, each in its own process, and write a Markdown table.

    python benchmarks/engine.py                 # (a): 5,000 images, about 180,000 detections; shapes
    python benchmarks/engine.py --size b        # ten times that; pycocotools takes minutes
    python benchmarks/engine.py --runs ours_coco,hotcoco --repeat 7

Times are the best of the runs; compare ratios, not seconds. Peak memory is that of the whole process.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import engine_data
import numpy as np

HERE = Path(__file__).resolve().parent
IMAGES = {"a": 5_000, "b": 50_000}
TIMEOUT = 1_800


@dataclass
class Section:
    """Contestants of one discipline; the first is ours and is the measure of the others."""

    title: str
    runs: dict[str, str]
    compare: tuple[str, ...] = ()
    tolerance: float = 1e-9
    notes: list[str] = field(default_factory=list)


TWELVE = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")

BOXES = [
    Section(
        "COCO's twelve numbers, time after loading",
        {
            "ours_coco": "ours, one thread, from columns",
            "ours_coco_parts": "ours, two threads over partitions",
            "hotcoco_from_columns": "hotcoco, from columns",
            "hotcoco": "hotcoco",
            "faster_coco_eval": "faster-coco-eval",
            "pycocotools": "pycocotools",
        },
        compare=TWELVE,
    ),
    Section(
        "Nucleus match with all charts, and TIDE with its prices",
        {
            "ours_charts": "ours: match, AP by class and size, curves, confusion, TIDE counts, histogram",
            "ours_tide": "ours: TIDE counts and dAP (matching by confidence at 0.5)",
            "hotcoco_charts": "hotcoco: COCO numbers, TIDE, confusion, from columns",
            "tidecv": "tidecv: TIDE counts and dAP",
        },
    ),
    Section(
        "From COCO JSON files, the whole process",
        {
            "ours_json": "ours: COCO numbers and Nucleus counts",
            "hotcoco": "hotcoco: COCO numbers",
            "faster_coco_eval": "faster-coco-eval: COCO numbers",
            "pycocotools": "pycocotools: COCO numbers",
        },
        compare=TWELVE,
    ),
]
SHAPES = [
    Section(
        "Polygons, exact: 700 images",
        {
            "ours_polygons": "ours: IoU of all pairs and match",
            "shapely_polygons": "shapely, vectorised: IoU of the same pairs, no match",
            "nucleus_polygons": "nucleus.metrics PolygonIOU",
        },
    ),
    Section(
        "Cuboids: 1,000 frames of 40 truths and 60 predictions",
        {"ours_cuboids": "ours: 3D IoU and match", "nucleus_cuboids": "nucleus.metrics CuboidIOU"},
    ),
    Section(
        "Index masks: 40 images of 854 x 480",
        {
            "ours_masks": "ours: overlaps of all segments",
            "hotcoco_masks": "hotcoco SemanticEval: confusion matrix",
            "nucleus_masks": "nucleus.metrics fast_confusion_matrix",
        },
        compare=("agreeing pixels",),
    ),
]
PACKAGES = (
    "numpy",
    "hotcoco",
    "faster-coco-eval",
    "pycocotools",
    "tidecv",
    "shapely",
    "scale-nucleus",
    "duckdb",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=sorted(IMAGES), default="a")
    parser.add_argument("--repeat", type=int, default=3, help="runs per contestant; slow ones run once")
    parser.add_argument("--runs", help="only these, separated by commas; nothing is written")
    parser.add_argument("--skip", default="", help="leave these out, separated by commas; the page says so")
    parser.add_argument(
        "--slow", type=float, default=20.0, help="seconds after which a contestant is not repeated"
    )
    options = parser.parse_args()
    chosen = set(options.runs.split(",")) if options.runs else None
    skipped = set(options.skip.split(",")) if options.skip else set()
    sections = [*BOXES, *(SHAPES if options.size == "a" else [])]
    named = dict.fromkeys(name for section in sections for name in section.runs)
    wanted = [name for name in named if (chosen is None or name in chosen) and name not in skipped]
    with tempfile.TemporaryDirectory(prefix="nucleus-bench-") as folder:
        data = prepare(Path(folder), images=IMAGES[options.size])
        results = measure(wanted, Path(folder), options=options)
    page = render(sections, results, data=data, size=options.size)
    if skipped:
        page += f"\nLeft out of this run: {', '.join(sorted(skipped))}.\n"
    print(page)
    if chosen is None:
        target = HERE / "results" / f"engine-{options.size}.md"
        target.parent.mkdir(exist_ok=True)
        target.write_text(page)
    return 0


def prepare(folder: Path, *, images: int) -> engine_data.Data:
    """Write the data as JSON files and as columns."""
    data = engine_data.make(images=images)
    engine_data.write(data, folder)
    np.savez(folder / "columns.npz", **vars(data))
    return data


def measure(names: list[str], folder: Path, *, options: argparse.Namespace) -> dict[str, dict]:
    """Run the contestants in turns, each time in a fresh process, and keep the best of each phase."""
    runs: dict[str, list[dict]] = {name: [] for name in names}
    left = list(names)
    for _ in range(options.repeat):
        for name in tuple(left):
            done = subprocess.run(
                [sys.executable, str(HERE / "engine_runs.py"), name, str(folder)],
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
            if done.returncode:
                print(f"{name} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                left.remove(name)
                continue
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{name}: {runs[name][-1]['wall']:.2f} s", file=sys.stderr)
            if runs[name][-1]["wall"] > options.slow:
                left.remove(name)
    return {name: best(found) for name, found in runs.items() if found}


def best(runs: list[dict]) -> dict:
    """Return the shortest time of each phase, the smallest peak and the numbers of the first run."""
    return {
        "n": len(runs),
        "wall": min(run["wall"] for run in runs),
        "total_cpu": min(run["total_cpu"] for run in runs),
        "peak_mb": min(run["peak_mb"] for run in runs),
        "phases": {phase: min(run["phases"][phase] for run in runs) for phase in runs[0]["phases"]},
        "cpu": {phase: min(run["cpu"][phase] for run in runs) for phase in runs[0]["cpu"]},
        "numbers": runs[0]["numbers"],
    }


def render(sections: list[Section], results: dict, *, data: engine_data.Data, size: str) -> str:
    """Return the page."""
    lines = [
        f"# Evaluation engine and its peers, data ({size})",
        "",
        (
            f"{data.images:,} images, {data.truth_image.size:,} ground truths, 80 classes, {data.image.size:,} detections,"
            " generated from a fixed seed (`engine_data.py`)."
        ),
        (
            f"{dt.datetime.now(dt.UTC):%Y-%m-%d}; {os.cpu_count()} cores, {memory_gb():.0f} GB;"
            f" Python {platform.python_version()}; {versions()}."
        ),
        (
            "Each run in a process of its own, the contestants in turns; the best of n runs, because other work shared the"
            f" machine (load {os.getloadavg()[1]:.1f}): CPU seconds tell more than seconds then. Peak is the resident"
            " memory of the whole process, imports included. Ratios are to the first line."
        ),
    ]
    for section in sections:
        known = {name: results[name] for name in section.runs if results.get(name)}
        if not known:
            continue
        whole = "whole process" in section.title
        first = next(iter(known.values()))
        lines += [
            "",
            f"## {section.title}",
            "",
            "| contestant | n | seconds | ratio | CPU seconds | ratio | peak MB |",
            "|---|---|---|---|---|---|---|",
        ]
        wall, cpu = times(first, whole=whole)
        for name, result in known.items():
            own_wall, own_cpu = times(result, whole=whole)
            lines.append(
                f"| {section.runs[name]} | {result['n']} | {own_wall:.3f} | {own_wall / wall:.1f}"
                f" | {own_cpu:.3f} | {own_cpu / cpu:.1f} | {result['peak_mb']:.0f} |"
            )
        lines += agreement(section, known)
    return "\n".join(lines) + "\n"


def times(result: dict, *, whole: bool) -> tuple[float, float]:
    """Wall and CPU seconds of the discipline: the evaluation, or everything after the interpreter's start."""
    if whole:
        return result["wall"], result["total_cpu"]
    return tuple(
        sum(result[kind].get(phase, 0.0) for phase in ("convert", "evaluate")) for kind in ("phases", "cpu")
    )


def agreement(section: Section, known: dict) -> list[str]:
    """Say how far the contestants' numbers are apart."""
    if len(known) < 2:
        return []
    if section.compare:
        first = next(iter(known.values()))["numbers"]
        worst = max(
            abs(result["numbers"][name] - first[name])
            for result in known.values()
            for name in section.compare
        )
        assert not math.isnan(worst)
        return ["", f"Largest difference in any number: {worst:.1e}."]
    return [
        "",
        *(
            f"- {section.runs[name]}: "
            + ", ".join(
                f"{key} {value:.6g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in result["numbers"].items()
            )
            for name, result in known.items()
        ),
    ]


def memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def versions() -> str:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


if __name__ == "__main__":
    sys.exit(main())
