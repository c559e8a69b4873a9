"""Measure what the numbers of a batch cost to read, beside the bare counts of the whole run, and write Markdown.

    python benchmarks/batch_reading.py --items 20000 --days 20

A dataset of so many items in as many batches (slices), 5 objects of ground truth and 7 predictions an item. Read in turns, from an embedded
Nucleus over HTTP: the matches of the whole run counted by `summarize_matches` and nothing else (as before there were batches), the same with
coverage and fingerprint, the same with rows kept for a report, and one batch. The ratio is to the bare counts of the same round.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from airflow_provider_nucleus.client.call import Call
from airflow_provider_nucleus.hooks.measuring import measure
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.local.testing import LocalNucleus
from airflow_provider_nucleus.match_summary import summarize_matches
from tests.airflow.harness import connection_json

RESULTS = Path(__file__).resolve().parent / "results" / "batch_reading.md"
LABELS = [f"label-{number}" for number in range(20)]


def filled(hook: NucleusHook, *, items: int, days: int) -> tuple[str, str, str, str]:
    """Fill the server; return dataset, model, run and the slice of the last day."""
    rng = random.Random(0)
    dataset, model = hook.create_dataset("batches"), hook.create_model("detector", reference_id="detector")
    names = [f"item-{number:07}" for number in range(items)]
    rows = [{"reference_id": name, "image_url": f"s3://b/{name}.jpg", "metadata": {}} for name in names]
    _send(hook, f"dataset/{dataset}/append", "items", rows)
    truth, found = [], []
    for name in names:
        for place in range(7):
            x, y, size = rng.randint(0, 1800), rng.randint(0, 900), rng.randint(10, 120)
            label = rng.choice(LABELS)
            if place < 5:
                truth.append(_box(name, label, x, y, size, f"t{place}"))
            found.append(_box(name, label, x + 3, y, size, f"p{place}") | {"confidence": rng.random()})
    _send(hook, f"dataset/{dataset}/annotate", "annotations", truth)
    _send(hook, f"dataset/{dataset}/model/{model}/uploadPredictions", "annotations", found)
    batch = ""
    for day in range(days):
        batch = hook.ensure_slice(dataset, f"day {day}", names[day::days]).slice_id
    hook.wait_for_job(str(hook.calculate_metrics(dataset, model)["job_id"]), poll_interval=0.2)
    return dataset, model, hook.find_model_run(dataset, model), batch


def _box(name: str, label: str, x: int, y: int, size: int, place: str) -> dict[str, Any]:
    geometry = {"x": x, "y": y, "width": size, "height": size}
    return {
        "reference_id": name, "annotation_id": f"{name} {place}", "label": label, "type": "box", "geometry": geometry, "metadata": {},
    }  # fmt: skip


def _send(hook: NucleusHook, path: str, key: str, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), 5000):
        body = {key: rows[start : start + 5000], "update": False}
        hook.send(Call("POST", path, lambda answer: answer, f"fill {path}", body=body))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LocalNucleus(Path(folder)) as server:
        os.environ["AIRFLOW_CONN_NUCLEUS_DEFAULT"] = connection_json(
            endpoint=server.url, api_key=server.api_key
        )
        with NucleusHook() as hook:
            dataset, model, run, batch = filled(hook, items=options.items, days=options.days)
            ways = {
                "bare counts of the whole run": lambda: summarize_matches(
                    hook.iter_matches(dataset, run, mode="iou"),
                    false_positives=hook.iter_matches(dataset, run, mode="false_positive"),
                    false_negatives=hook.iter_matches(dataset, run, mode="false_negative"),
                    iou_threshold=0.5,
                ),
                "the whole run, with coverage and fingerprint": lambda: measure(
                    hook, dataset, model, keep_rows=False
                ),
                "the same, rows kept": lambda: measure(hook, dataset, model, keep_rows=True),
                f"one batch of {options.days}": lambda: measure(
                    hook, dataset, model, slice_id=batch, keep_rows=False
                ),
            }
            rounds = [_round(ways) for _ in range(options.rounds)]
    first = next(iter(ways))
    about = (
        f"{options.items:,} items, {options.items * 5:,} objects of ground truth, {options.items * 7:,} predictions, {options.days} batches; "
        f"medians of {options.rounds} rounds, seconds of one process beside the server. Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}."
    )
    lines = [
        "# What the numbers of a batch cost to read",
        "",
        about,
        "",
        "| read | seconds | ratio |",
        "|---|---|---|",
    ]
    for way in ways:
        seconds = statistics.median(each[way] for each in rounds)
        ratio = statistics.median(each[way] / each[first] for each in rounds)
        lines.append(f"| {way} | {seconds:.2f} | {ratio:.2f} |")
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


def _round(ways: dict[str, Any]) -> dict[str, float]:
    found = {}
    for way, read in ways.items():
        began = time.perf_counter()
        read()
        found[way] = time.perf_counter() - began
    return found


if __name__ == "__main__":
    main()
