"""A data set that grows by a batch a day and is calculated every day: bytes of history, time of a calculation and of a trend, before and after.

    python -m benchmarks.history_growth --before <checkout of the code before> [--days 365] [--images 40]

Two processes, one for each code, do the same days in turn on stores of their own: the images of the day with ten objects each and the predictions
for them are added, the whole run is calculated, and now and then the trends are asked for. The order of the two alternates. Prints Markdown.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import duckdb
import numpy as np
import pyarrow as pa

from airflow_provider_nucleus.local.engine.masks import MaskFiles
from airflow_provider_nucleus.local.matching.calculate import calculate
from airflow_provider_nucleus.local.requests.match_options import MatchOptions
from airflow_provider_nucleus.local.store.catalog import matches, slices
from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
from airflow_provider_nucleus.local.store.database import Database
from airflow_provider_nucleus.local.store.views import trends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_nucleus.local.store.database import Cursor

OBJECTS: Final = 10
HISTORY: Final = ("match_counts", "match_truths", "kept_counts", "kept_truths")
"""The tables of what is counted from, in either layout; `match_sets` has a row for each calculation in both."""
_NOW: Final = dt.datetime(2026, 1, 1)


class Year:
    """A store to which days are added."""

    def __init__(self, folder: Path, *, images: int) -> None:
        self._path = folder / "nucleus.duckdb"
        self._folder = folder
        self._images = images
        self._day = 0
        self._db = Database(self._path, memory_limit="2GB", spill=folder)
        with self._db.write() as cursor:
            for statement in (
                "INSERT INTO datasets VALUES (1, 'ds_1', 'year', false, false, NULL, NULL, [], $now)",
                "INSERT INTO models VALUES (1, 'prj_1', 'model', 'model', '{}', [], [], NULL, $now)",
                "INSERT INTO model_runs VALUES (1, 'run_1', 1, 'run', '{}', 'COMPLETED', $now)",
            ):
                cursor.execute(statement, {"now": _NOW})
            cursor.execute("INSERT INTO object_sets VALUES (1, 'truth', 1, NULL, NULL), (2, 'run', 1, 1, 1)")

    def add_day(self, *, trend: bool) -> dict[str, Any]:
        """Add the images of a day, calculate, and return what it took."""
        self._day += 1
        with self._db.write() as cursor:
            self._upload(cursor)
        began, spent = time.perf_counter(), time.process_time()
        with self._db.write() as cursor:
            made = matches.begin(
                cursor, ComparedSets(1, 2), dataset_no=1, options=MatchOptions(), job_no=self._day
            )
        calculate(self._db, made, masks=MaskFiles(Path), kept=2)
        found: dict[str, Any] = {
            "calculation": time.perf_counter() - began,
            "calculation, processor": time.process_time() - spent,
        }
        if trend:
            found |= self._bytes() | self._trends()
        return found

    def _upload(self, cursor: Cursor) -> None:
        rng = np.random.default_rng(self._day)
        items = np.arange(self._images) + self._images * (self._day - 1) + 1
        cursor.register("new", pa.table({"n": items}))
        cursor.execute(
            "INSERT INTO items SELECT n, 1, n::VARCHAR, 's3://b/' || n, NULL, NULL, '{}', NULL, NULL, NULL, NULL, $now, NULL FROM new",
            {"now": _NOW},
        )
        cursor.execute(
            "INSERT INTO slices VALUES ($day, 'slc_' || $day, 1, 'day ' || $day, 'dataset_item', NULL, [], $now)",
            {"day": self._day, "now": _NOW},
        )
        cursor.execute("INSERT INTO slice_items SELECT $day, n, n, NULL, NULL FROM new", {"day": self._day})
        size = self._images * OBJECTS
        corner, extent = rng.uniform(0, 2000, (size, 2)), rng.uniform(10, 200, (size, 2))
        label = rng.integers(0, 10, size)
        off = rng.random(size) < 0.1
        moved = corner + rng.normal(0, 6, (size, 2)) + np.where(off, 5000, 0)[:, None]
        for number, (where, confidence) in enumerate(((corner, None), (moved, rng.random(size))), 1):
            table = {
                "item": np.repeat(items, OBJECTS),
                "label": label,
                "confidence": pa.nulls(size, pa.float64()) if confidence is None else confidence,
                "x": where[:, 0],
                "y": where[:, 1],
                "w": extent[:, 0],
                "h": extent[:, 1],
                "n": np.arange(size) + 2 * size * (self._day - 1) + (number - 1) * size + 1,
            }
            cursor.register("new", pa.table(table))
            cursor.execute(
                f"INSERT INTO objects SELECT n, {number}, item, 'a' || n, NULL, 'box', 'label ' || label, confidence, x, y, w, h, NULL, "
                "'{}', NULL, NULL, NULL FROM new"
            )
        cursor.unregister("new")

    def _bytes(self) -> dict[str, Any]:
        alone = self._folder / "alone.duckdb"
        rows = 0
        with self._db.cursor() as cursor:
            cursor.execute("FORCE CHECKPOINT")
            block, used = cursor.execute(
                "SELECT block_size, used_blocks FROM pragma_database_size()"
            ).fetchall()[0]
            there = [name for (name,) in cursor.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
            cursor.execute(f"ATTACH '{alone}' AS alone")
            for name in sorted(set(there) & set(HISTORY)):
                cursor.execute(f"CREATE TABLE alone.{name} AS SELECT * FROM main.{name}")
                rows += cursor.execute(f"SELECT count(*) FROM main.{name}").fetchall()[0][0]
            cursor.execute("DETACH alone")
        with duckdb.connect(str(alone), read_only=True) as copy:
            size, blocks = copy.execute(
                "SELECT block_size, used_blocks FROM pragma_database_size()"
            ).fetchall()[0]
        alone.unlink()
        return {
            "rows of history": rows,
            "bytes of history": size * blocks,
            "bytes in use": block * used,
            "bytes of the file": self._path.stat().st_size,
        }

    def _trends(self) -> dict[str, float]:
        with self._db.read() as cursor:
            (run,) = trends.runs_where(cursor, "s.dataset_no = 1", [])
            batches = [slices.find(cursor, f"slc_{number}") for number in range(1, self._day + 1)]

            def dataset(iou: float) -> None:
                trends.calculation_points(cursor, run, iou=iou, limit=366)
                trends.batch_points(cursor, run, batches, iou=iou)

            return {
                "trend of the dataset": _seconds(lambda: dataset(0.5)),
                "trend of the dataset, overlap 0.503": _seconds(lambda: dataset(0.503)),
                "trend of the first slice": _seconds(
                    lambda: trends.slice_points(cursor, run, batches[0], iou=0.503, limit=366)
                ),
            }

    def numbers(self) -> list[Any]:
        """Return what the trends say, without the digests: the same for both codes."""
        with self._db.read() as cursor:
            (run,) = trends.runs_where(cursor, "s.dataset_no = 1", [])
            found = slices.find(cursor, "slc_1")
            points = [
                *trends.calculation_points(cursor, run, iou=0.503, limit=366),
                *trends.slice_points(cursor, run, found, iou=0.503, limit=366),
            ]
        return [[point.wire["values"][name] for name in ("tp", "fp", "fn")] for point in points]


def _seconds(question: Callable[[], object]) -> float:
    began = time.perf_counter()
    question()
    return time.perf_counter() - began


def worker(images: int) -> None:
    """Do a day for each line read, and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        year = Year(Path(folder), images=images)
        for line in sys.stdin:
            answer = (
                year.numbers() if line.strip() == "numbers" else year.add_day(trend=line.strip() == "trend")
            )
            print(json.dumps(answer), flush=True)


class Code:
    """A process that runs one of the two codes."""

    def __init__(self, checkout: Path, images: int) -> None:
        # The working directory comes first, before PYTHONPATH, where the module is named.
        command = [sys.executable, str(Path(__file__).resolve()), "--images", str(images), "--worker"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(checkout)},
        )

    def ask(self, question: str) -> Any:
        """Return the answer to a line."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(question, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def lines(days: list[tuple[dict[str, Any], dict[str, Any]]], images: int, *, span: int = 10) -> Iterator[str]:
    """Yield the lines of the newest day, before and after; calculations are medians over the newest `span` days, and so is their ratio."""
    before, after = days[-1]
    for name in before:
        one, other = before[name], after[name]
        ratio = one / other
        if name.startswith("calculation"):
            pairs = days[-span:]
            one, other = (statistics.median(pair[side][name] for pair in pairs) for side in (0, 1))
            ratio = statistics.median(first[name] / second[name] for first, second in pairs)
        form = "{:,.3f} s" if isinstance(one, float) else "{:,}"
        objects = len(days) * images * OBJECTS
        yield f"| {len(days)} | {objects:,} | {name} | {form.format(one)} | {form.format(other)} | {ratio:.2f} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--worker", action="store_true")
    options = parser.parse_args()
    if options.worker:
        worker(options.images)
        return
    if options.before is None:
        parser.error("give the checkout to compare with as --before")
    here = Path(__file__).resolve().parents[1]
    days: list[tuple[dict[str, Any], dict[str, Any]]] = []
    print("| day | objects | | before | after | before / after |")
    print("|---:|---:|---|---:|---:|---:|")
    with ExitStack() as stack:
        codes = [
            stack.enter_context(Code(checkout, options.images))
            for checkout in (options.before.resolve(), here)
        ]
        for day in range(1, options.days + 1):
            question = "trend" if day % max(1, options.days // 4) == 0 or day == options.days else "day"
            order = codes if day % 2 else codes[::-1]
            answers = {id(code): code.ask(question) for code in order}
            days.append((answers[id(codes[0])], answers[id(codes[1])]))
            if question == "trend":
                print(*lines(days, options.images), sep="\n", flush=True)
        same = codes[0].ask("numbers") == codes[1].ask("numbers")
    print(f"\nEvery number of every day at an overlap of 0.503 is the same: {'yes' if same else 'NO'}.")


if __name__ == "__main__":
    main()
