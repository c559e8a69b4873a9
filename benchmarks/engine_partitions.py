"""Stream many partitions through two processes and merge: COCO's twelve numbers of up to a hundred million predictions.

    python benchmarks/engine_partitions.py                  # once, ten, a hundred times data (a), and 100 million predictions

Every part has the 5,000 images of data (a) under other image numbers and with slightly other confidences; a worker
makes it itself, so that nothing but results passes between processes. Writes benchmarks/results/engine-partitions.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import engine_data
import numpy as np

from airflow_provider_nucleus.evaluation.matching.partition import PartitionPlan, map_partitions, merge
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.readers.coco import coco_result
from airflow_provider_nucleus.evaluation.sides.columns import Columns, columns

HERE = Path(__file__).resolve().parent
IMAGES = 5_000


@cache
def data() -> engine_data.Data:
    return engine_data.make(images=IMAGES)


@dataclass(frozen=True)
class Part:
    """A source: the images of one part, made where it is evaluated."""

    number: int

    def __call__(self) -> tuple[Columns, Columns]:
        base, shift = data(), self.number * IMAGES
        truth = columns(
            Boxes.from_xywh(base.truth_box),
            base.truth_image + shift,
            label=base.truth_label,
            crowd=base.truth_crowd,
        )
        confidence = base.score * (1 - self.number * 1e-7)
        predictions = columns(
            Boxes.from_xywh(base.box), base.image + shift, label=base.label, confidence=confidence
        )
        return truth, predictions


def run(parts: int, workers: int) -> dict:
    """Map and reduce so many parts in this process and its workers."""
    plan = PartitionPlan(engine_data.CLASSES, rule=None)
    begin = time.perf_counter()
    sources = (Part(number) for number in range(parts))
    merged = merge(map_partitions(sources, plan=plan, workers=workers, pool="processes"))
    mapped = time.perf_counter()
    numbers = coco_result(merged.coco).numbers
    done = time.perf_counter()
    single = next(map_partitions([Part(0)], plan=plan))
    return {
        "parts": parts,
        "predictions": len(merged.coco),
        "map": mapped - begin,
        "reduce": done - mapped,
        "worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "own": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "apart": abs(numbers["AR100"].value - coco_result(single.coco).numbers["AR100"].value),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="1,10,100,552", help="so many parts each, separated by commas")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--one", action="store_true", help="run one size in this process and print what it took"
    )
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run(int(options.parts), options.workers)))
        return 0
    load, rows = os.getloadavg()[0], []
    for parts in options.parts.split(","):
        # A process of its own for each: peak memory is that of the process's whole life.
        command = [sys.executable, __file__, "--one", "--parts", parts, "--workers", str(options.workers)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], file=sys.stderr, flush=True)
    page = render(rows, workers=options.workers, load=load)
    print(page)
    target = HERE / "results" / "engine-partitions.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(page)
    return 0


def render(rows: list[dict], *, workers: int, load: float) -> str:
    """Return the page."""
    lines = "".join(
        f"| {row['parts']} | {row['predictions']:,} | {row['parts'] * IMAGES:,} | {row['map']:.1f} | {row['reduce']:.1f} "
        f"| {(row['map'] + row['reduce']) / row['predictions'] * 1e6:.2f} | {row['worker']:.0f} | {row['own']:.0f} |\n"
        for row in rows
    )
    return f"""# Many partitions

{dt.datetime.now(dt.UTC):%Y-%m-%d}; {os.cpu_count()} cores, load {load:.1f} at the start; {workers} workers; NumPy {np.__version__}.
COCO's twelve numbers; a part is data (a), 5,000 images. How: see the head of `benchmarks/engine_partitions.py`.

| parts | predictions | images | map s | reduce s | seconds per million | peak MB of a worker | peak MB of the reduce |
|---:|---:|---:|---:|---:|---:|---:|---:|
{lines}
The map includes the start of the processes and making the data. AR100 differs from that of one part by at most {max(row["apart"] for row in rows):.0e}.
A worker holds one part, however many there are; the reduce holds 27 bytes of every prediction, and at its peak more
than twice that, while parts are put behind one another and sorted by label.
"""


if __name__ == "__main__":
    sys.exit(main())
