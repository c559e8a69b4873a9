"""Measure what the numbers of a batch cost to read, beside the bare counts of the whole run, and write Markdown.

    python benchmarks/batch_reading.py --items 20000 --days 20 [--before DIR]

A dataset of so many items in as many batches (slices), 5 objects of ground truth and 7 predictions an item. Read in turns, from an embedded
Nucleus over HTTP: the matches of the whole run counted by `summarize_matches` and nothing else (as before there were batches), the same with
coverage and fingerprint, the same with rows kept for a report, and one batch. The ratio is to the bare counts of the same round.

DIR is a checkout of this project to be compared with: both read from the same server, each in a process of its own, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
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

ROOT = Path(__file__).resolve().parents[1]
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


BARE = "bare counts of the whole run"
WAYS = [BARE, "the whole run, with coverage and fingerprint", "the same, rows kept", "one batch"]


def read_in(way: str, hook: NucleusHook, dataset: str, model: str, run: str, batch: str) -> Any:
    """Read numbers in one of the ways."""
    if way == BARE:
        return summarize_matches(
            hook.iter_matches(dataset, run, mode="iou"),
            false_positives=hook.iter_matches(dataset, run, mode="false_positive"),
            false_negatives=hook.iter_matches(dataset, run, mode="false_negative"),
            iou_threshold=0.5,
        )
    chosen = {"slice_id": batch} if way == "one batch" else {}
    measured = measure(hook, dataset, model, keep_rows=way == "the same, rows kept", **chosen)
    return measured.fingerprint.ground_truth, measured.overall.values, measured.coverage.model_dump()


def work() -> None:
    """Read what each line of the input asks for, and print seconds, seconds of the processor, and what was read."""
    ids = json.loads(sys.stdin.readline())
    with NucleusHook() as hook:
        for line in sys.stdin:
            began, used = time.perf_counter(), time.process_time()
            found = read_in(line.strip(), hook, *ids)
            taken = time.perf_counter() - began, time.process_time() - used
            print(json.dumps([*taken, "" if line.strip() == BARE else str(found)]), flush=True)


class Reader:
    """A process that reads with the package of a checkout."""

    def __init__(self, checkout: Path, ids: tuple[str, ...], server_pid: int) -> None:
        self._server_pid = server_pid
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # The script is this one; the package and its tests' helpers are those of the checkout.
            env={**os.environ, "PYTHONPATH": str(checkout)},
        )
        self._send(json.dumps(ids))

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def read(self, way: str) -> dict[str, Any]:
        """Return seconds, seconds of both processes' processors, and what was read."""
        used = processor_seconds(self._server_pid)
        self._send(way)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("["):
            raise RuntimeError(f"the reader ended with {self._process.wait()}: {line}")
        seconds, own, found = json.loads(line)
        return {
            "seconds": seconds,
            "own": own,
            "server": processor_seconds(self._server_pid) - used,
            "found": found,
        }

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def processor_seconds(pid: int) -> float:
    """Return what a process has used of the processor, as Linux says."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    with tempfile.TemporaryDirectory() as folder, LocalNucleus(Path(folder)) as server:
        os.environ["AIRFLOW_CONN_NUCLEUS_DEFAULT"] = connection_json(
            endpoint=server.url, api_key=server.api_key
        )
        with NucleusHook() as hook:
            ids = filled(hook, items=options.items, days=options.days)
        checkouts = {"now": ROOT} | ({"before": options.before.resolve()} if options.before else {})
        readers = {name: Reader(checkout, ids, server.pid) for name, checkout in checkouts.items()}
        for reader in readers.values():
            reader.read("one batch")  # imports and connections
        rounds = [_round(readers, number) for number in range(options.rounds)]
        for reader in readers.values():
            reader.close()
    _write(options, rounds, list(readers))


def _round(readers: dict[str, Reader], number: int) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    for way in WAYS:
        for name in list(readers)[:: 1 if number % 2 else -1]:
            found[way, name] = readers[name].read(way)
        if len({found[way, name]["found"] for name in readers}) != 1:
            raise RuntimeError(f"{way}: the two read different numbers")
    return found


def _write(options, rounds: list[dict[tuple[str, str], dict[str, Any]]], names: list[str]) -> None:
    about = (
        f"{options.items:,} items, {options.items * 5:,} objects of ground truth, {options.items * 7:,} predictions, {options.days} batches; "
        f"medians of {options.rounds} rounds, one process beside the server. Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}. Processor: seconds of the reading process and of the server. Ratios are to the "
        f"bare counts of the same round and state, by seconds and by processor{'; both states read the same numbers' if len(names) > 1 else ''}."
    )
    lines = ["# What the numbers of a batch cost to read", "", about, ""]
    lines += ["| read | state | seconds | ratio | processor | ratio |", "|---|---|---|---|---|---|"]
    for way in WAYS:
        for name in names:
            taken = [(each[way, name], each[BARE, name]) for each in rounds]
            used = [(_used(one), _used(bare)) for one, bare in taken]
            own, server = (statistics.median(one[part] for one, _ in taken) for part in ("own", "server"))
            lines.append(
                f"| {way} | {name} | {statistics.median(one['seconds'] for one, _ in taken):.2f} "
                f"| {statistics.median(one['seconds'] / bare['seconds'] for one, bare in taken):.2f} "
                f"| {own:.2f} + {server:.2f} | {statistics.median(one / bare for one, bare in used):.2f} |"
            )
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


def _used(taken: dict[str, Any]) -> float:
    return float(taken["own"] + taken["server"])


if __name__ == "__main__":
    main()
