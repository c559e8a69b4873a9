"""Cost of keeping calculations: bytes of match rows and of counts, time to write them, and to read a year of them.

    python -m benchmarks.history [--calculations 365] [--rows 1820000]

The rows are shaped as those of a COCO-sized run: 5,000 items, 80 labels, 36,781 objects to be found, and the rest predictions nobody needs.
Those of each calculation differ from those of the one before, so that nothing is shared; `benchmarks/history_growth.py` is the usual day.
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
from airflow_provider_nucleus.local.store.catalog import kept_counts, matches
from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
from airflow_provider_nucleus.local.store.database import Database
from airflow_provider_nucleus.local.store.views import match_counts
from airflow_provider_nucleus.local.store.views.objects import parsed_objects

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    seconds: dict[str, list[float]] = {"rows": [], "counts of them": [], "publish": []}
    sizes: list[int] = []
    for number in range(1, calculations + 1):
        with db.write() as cursor:
            made = matches.begin(
                cursor, ComparedSets(None, 2), dataset_no=1, options=MatchOptions(), job_no=number
            )
        writing = 0.0
        for table in spans(rows, number % 3, items=ITEMS):
            began = time.perf_counter()
            with db.write() as cursor:
                matches.insert_rows(cursor, made, table)
            writing += time.perf_counter() - began
        seconds["rows"].append(writing)
        with db.session() as session, db.read() as snapshot:
            began = time.perf_counter()
            kept_counts.stage(session, made.number, truth=None, snapshot=snapshot, listing=parsed_objects)
            totals = match_counts.totals_on_grid(session)
            seconds["counts of them"].append(time.perf_counter() - began)
            began = time.perf_counter()
            with db.write(session) as cursor:
                kept_counts.keep(cursor, made.number, truth=None, snapshot=snapshot, listing=parsed_objects)
                matches.publish(cursor, made, {"engine": "benchmark"}, totals=totals, kept=1)
            seconds["publish"].append(time.perf_counter() - began)
        sizes.append(bytes_of(db))
    (made,) = newest_of(db)
    with db.read() as cursor:
        shape = cursor.execute(
            "SELECT count(*) FROM kept_counts WHERE line_no = ? AND first_place <= ? AND until_place > ?",
            [made.line, made.place, made.place],
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


def newest_of(db: Database) -> list[matches.MatchSet]:
    """Return the newest calculation, with the places of what is kept of it."""
    with db.read() as cursor:
        return matches.listing(cursor, 2, limit=1)


def points(cursor: Any, iou: float, *, limit: int = 1000) -> None:
    """Read the headline counts of the newest calculations."""
    match_counts.whole_counts(cursor, matches.listing(cursor, 2, limit=limit), iou=iou)


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
