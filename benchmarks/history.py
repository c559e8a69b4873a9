"""Cost of keeping calculations: bytes of match rows and of counts, time to write them, and to read a year of them.

    python -m benchmarks.history [--calculations 365] [--rows 1820000]

The rows are shaped as those of a COCO-sized run: 5,000 items, 80 labels, 36,781 objects to be found, and the rest predictions nobody needs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from airflow_provider_nucleus.local.requests.match_options import MatchOptions
from airflow_provider_nucleus.local.store.catalog import matches
from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
from airflow_provider_nucleus.local.store.database import Database
from airflow_provider_nucleus.local.store.tables_matches import COUNTS_OF_ROWS
from airflow_provider_nucleus.local.store.views import match_counts

if TYPE_CHECKING:
    from collections.abc import Iterator

_COUNTED = 5
"""Calculations whose counts are timed on their own as well."""
ITEMS, LABELS, TRUTHS = 5_000, 80, 36_781


def spans(rows: int, seed: int, *, items: int) -> Iterator[pa.Table]:
    """Yield match rows of whole items, 200,000 at a time."""
    rng = np.random.default_rng(seed)
    item = np.sort(rng.integers(0, items, rows))
    names = pa.array([f"label {number}" for number in range(LABELS)])
    paired, missed = rng.random(rows) < 0.9 * TRUTHS / rows, rng.random(rows) < 0.1 * TRUTHS / rows
    # A model predicts few labels on an image: those of its objects, and some that are like them.
    label = ((item * 7 + rng.integers(0, 12, rows) ** 2 // 10) % LABELS).astype(np.int32)
    edges = np.searchsorted(item, np.arange(0, items, max(1, items * 200_000 // rows)))
    for begin, end in zip(edges, [*edges[1:], rows], strict=True):
        part, size = slice(begin, end), int(end - begin)
        truth = paired[part] | missed[part]
        kinds = np.where(paired[part], 0, np.where(missed[part], 2, 1)).astype(np.int32)
        numbers = np.arange(begin, end, dtype=np.int64)

        def named(mask: np.ndarray, part: slice = part) -> pa.Array:
            return pa.DictionaryArray.from_arrays(pa.array(label[part], mask=mask), names)

        yield pa.table({
            "match_no": numbers,
            "item_no": item[part],
            "kind": pa.DictionaryArray.from_arrays(kinds, pa.array(["matched", "false_positive", "false_negative"])),
            "family": pa.array(["area"] * size),
            "prediction_no": pa.array(numbers, mask=missed[part]),
            "truth_no": pa.array(numbers, mask=~truth),
            "prediction_segment": pa.nulls(size, pa.int32()),
            "truth_segment": pa.nulls(size, pa.int32()),
            "prediction_label": named(missed[part]),
            "truth_label": named(~truth),
            "confidence": pa.array(rng.random(size), mask=missed[part]),
            "iou": np.where(paired[part], rng.random(size), 0.0),
            "true_positive": paired[part],
            "beside_no": pa.nulls(size, pa.int64()),
            "beside_label": pa.nulls(size, pa.string()),
            "beside_iou": pa.nulls(size, pa.float64()),
        })  # fmt: skip


def bytes_of(db: Database) -> int:
    """Return the bytes of the file that are in use, once everything is in it."""
    with db.cursor() as cursor:
        cursor.execute("FORCE CHECKPOINT")
        block, used = cursor.execute("SELECT block_size, used_blocks FROM pragma_database_size()").fetchall()[
            0
        ]
    return int(block) * int(used)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calculations", type=int, default=365)
    parser.add_argument("--rows", type=int, default=1_820_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), options.calculations, rows=options.rows), indent=2))


def measured(folder: Path, calculations: int, *, rows: int) -> dict[str, Any]:
    """Return the numbers; the rows of the newest calculation are kept."""
    path = folder / "nucleus.duckdb"
    db = Database(path, memory_limit="2GB", spill=folder)
    seconds: dict[str, list[float]] = {"rows and counts": [], "counts of them": [], "publish": []}
    sizes: list[int] = []
    for number in range(1, calculations + 1):
        with db.write() as cursor:
            made = matches.begin(
                cursor, ComparedSets(1, 2), dataset_no=1, options=MatchOptions(), job_no=number
            )
        writing = counting = 0.0
        for table in spans(rows, number % 3, items=ITEMS):
            began = time.perf_counter()
            with db.write() as cursor:
                matches.insert_rows(cursor, made, table)
            writing += time.perf_counter() - began
            if number <= _COUNTED:
                counting += counted(db, table)
        if number <= _COUNTED:
            seconds["counts of them"].append(counting)
        seconds["rows and counts"].append(writing)
        began = time.perf_counter()
        with db.write() as cursor:
            totals = match_counts.totals_on_grid(cursor, made)
            matches.publish(cursor, made, {"engine": "benchmark"}, totals=totals, kept=1)
        seconds["publish"].append(time.perf_counter() - began)
        sizes.append(bytes_of(db))
    with db.read() as cursor:
        shape = cursor.execute(
            "SELECT count(*), sum(row_count) FROM match_counts WHERE match_set_no = ?", [made.number]
        ).fetchone()
        reading = {
            "labels of one calculation": median(lambda: match_counts.label_counts(cursor, made, iou=0.5)),
            "trend of all, threshold of the grid": median(lambda: points(cursor, 0.5)),
            "trend of the newest 30, another threshold": median(
                lambda: points(cursor, 0.503, limit=30), times=1
            ),
        }
    counts_each = (sizes[-1] - sizes[0]) / max(calculations - 1, 1)
    db.close()
    return {
        "calculations": calculations,
        "match rows of each": rows,
        "rows of counts of each": shape and shape[0],
        "bytes of the first calculation, rows and counts": sizes[0],
        "bytes of each former calculation, counts alone": round(counts_each),
        "bytes in use at the end": sizes[-1],
        "bytes of the file at the end": path.stat().st_size,
        "seconds, median": {
            name: round(statistics.median(each), 3) for name, each in seconds.items() if each
        },
        "milliseconds to read, median": {name: round(1000 * each, 1) for name, each in reading.items()},
    }


def counted(db: Database, table: pa.Table) -> float:
    """Return how many seconds the counts of a span take, written and taken back."""
    with db.session() as cursor:
        cursor.register("new_matches", table)
        cursor.execute("BEGIN")
        began = time.perf_counter()
        cursor.execute(COUNTS_OF_ROWS.format(0, "new_matches"))
        taken = time.perf_counter() - began
        cursor.execute("ROLLBACK")
    return taken


def points(cursor: Any, iou: float, *, limit: int = 1000) -> None:
    """Read the headline counts of the newest calculations."""
    for each in matches.listing(cursor, 2, limit=limit):
        match_counts.whole_counts(cursor, each, iou=iou)


def median(question: Any, *, times: int = 5) -> float:
    """Return the median of some repetitions, in seconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        question()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
