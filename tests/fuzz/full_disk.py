"""Fill the disk of the embedded server while ten kinds of writers work on it, make room again, and count what is there.

`python -m tests.fuzz.full_disk --cases 50 --seed 0`

The disk is a file system of its own in memory; where none may be mounted it says so and ends. While it is full nothing is answered but
success or 507, reports of an evaluation included; once there is room everything that was acknowledged is there once, jobs end, and
nothing in the store refers to what is not there.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.writers import Writers
from tests.local.small_disk import SmallDisk, small_disk
from tests.preloaded import Nursery, PreloadedNucleus

if TYPE_CHECKING:
    from collections.abc import Callable

MEGABYTES = 256
REPORTS = 5
"""Every so many tries a report is written onto the full disk as well."""
_LEFT = (0, 0, 4096, 20_000, 100_000, 400_000, 1_500_000)
"""Bytes that are left on the disk when it is filled, at first."""


def fill_under_writers(
    folder: Path, *, cases: int, seed: int, say: Callable[[str], None] = print
) -> list[list[str]]:
    """Fill the disk of a server as often as *cases* says, each time a disk and a server anew; returns the problems of each try."""
    with Nursery() as nursery:
        return [
            _attempt(folder / str(number), nursery, random.Random(f"{seed} {number}"), number, say)
            for number in range(cases)
        ]


def _attempt(
    folder: Path, nursery: Nursery, dice: random.Random, number: int, say: Callable[[str], None]
) -> list[str]:
    environment = {"NUCLEUS_LOCAL_CHUNK_BYTES": "20000", "NUCLEUS_LOCAL_EVALUATION_ROWS": "300"}
    with small_disk(folder, megabytes=MEGABYTES) as disk:
        data = disk.path
        problems: list[str] = []
        with PreloadedNucleus(data, nursery=nursery, environment=environment) as server:
            writers = Writers(server.url, server.api_key)
            writers.begin()
            rows = dice.randrange(1, 1_000)
            writers.wait_for(lambda ledger: ledger.rows >= rows, seconds=20)
            for refused in dice.choice(((6,), (3, 6), (2, 4, 6))):
                disk.fill(left=dice.choice(_LEFT))
                writers.wait_for(lambda ledger, least=refused: ledger.refused[507] >= least, seconds=60)
                if number % REPORTS == 0:
                    problems += _report(disk)
                disk.make_room()
            writers.end()
            if not writers.ledger.refused[507]:
                problems.append("nothing was refused: the disk was never full")
            problems += writers.check_jobs()
        problems += writers.check_store(data)
        if b"Traceback" in (log := (folder.parent / f"{folder.name}.log").read_bytes()):
            problems.append(f"an error that was not expected: {log[-600:]!r}")
    say(
        f"try {number}: {writers.ledger.rows} rows and {len(writers.ledger.jobs)} jobs acknowledged, "
        f"{writers.ledger.refused[507]} requests refused with 507, {len(problems)} problems"
    )
    for problem in problems:
        say(f"  {problem}")
    return problems


def _report(disk: SmallDisk) -> list[str]:
    """Write a report onto the full disk: whole, or an error in one sentence."""
    truth = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 9, "height": 9} for n in range(300)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 0}
            for n in range(300)
        ],
        "categories": [{"id": 1, "name": "car"}],
    }
    results = [{"image_id": n, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5} for n in range(300)]
    report = disk.path / "report.json"
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "truth.json"), Path(folder, "results.json")
        for file, content in zip(files, (truth, results), strict=True):
            file.write_text(json.dumps(content))
        line = [
            sys.executable,
            "-m",
            "airflow_provider_nucleus.cli.main",
            "evaluate",
            "--ground-truth",
            str(files[0]),
            "--predictions",
            str(files[1]),
        ]
        done = subprocess.run(
            [*line, "--json", str(report)], capture_output=True, text=True, timeout=120, check=False
        )
    problems = []
    if "Traceback" in done.stderr:
        problems.append(f"the report ended in a traceback: {done.stderr[-500:]}")
    if done.returncode == 0:
        json.loads(report.read_text())
    elif report.exists():
        problems.append(
            f"a report that was refused is there, {report.stat().st_size} bytes of it: {done.stderr}"
        )
    report.unlink(missing_ok=True)
    return problems


def main() -> int:
    """Run from the command line; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            tries = fill_under_writers(
                Path(folder), cases=options.cases, seed=options.seed, say=lambda text: print(text, flush=True)
            )
        except pytest.skip.Exception as reason:
            print(reason)
            return 0
    print(f"{sum(not problems for problems in tries)} of {len(tries)} without a problem, seed {options.seed}")
    return int(any(tries))


if __name__ == "__main__":
    sys.exit(main())
