"""Stream many partitions through two processes and merge: COCO's twelve numbers of up to a hundred million predictions.

    python benchmarks/engine_partitions.py --parts 550      # 100 million predictions, about two minutes

Every part has the 5,000 images of data (a) under other image numbers and with slightly other confidences; a worker
makes it itself, so that nothing but results passes between processes. Writes benchmarks/results/engine-partitions.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import engine_data
import numpy as np

from airflow_provider_nucleus.evaluation.coco import coco_result
from airflow_provider_nucleus.evaluation.columns import Columns, columns
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.partition import Plan, map_parts, merge

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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", type=int, default=55)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    plan = Plan(engine_data.CLASSES, rule=None)
    begin = time.perf_counter()
    sources = (Part(number) for number in range(options.parts))
    merged = merge(map_parts(sources, plan=plan, workers=options.workers, pool="processes"))
    mapped = time.perf_counter()
    numbers = coco_result(merged.coco).numbers
    done = time.perf_counter()
    single = next(map_parts([Part(0)], plan=plan))
    apart = abs(numbers["AR100"].value - coco_result(single.coco).numbers["AR100"].value)
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    page = f"""# Many partitions

{dt.datetime.now(dt.UTC):%Y-%m-%d}; {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}; NumPy {np.__version__}.

| predictions | images | workers | map s | reduce s | peak MB of a worker | peak MB of the reduce |
|---|---|---|---|---|---|---|
| {len(merged.coco):,} | {options.parts * IMAGES:,} | {options.workers} | {mapped - begin:.1f} | {done - mapped:.1f} \
| {worker:.0f} | {own:.0f} |

The map includes the start of the processes and making the data. AR100 differs from that of one part by {apart:.0e}.
"""
    print(page)
    target = HERE / "results" / "engine-partitions.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
