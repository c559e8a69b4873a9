"""How long charts and examples take on a large evaluation, over HTTP, for filters nobody has asked before.

    python benchmarks/charts.py [--images 53000] [--data DIR] [--out benchmarks/results/charts.md]

Data like (b) of `engine_data.py`, 53,000 images, so that 1.8 million predictions lie on items with ground truth, is uploaded to a
server of its own, evaluated, and asked. Nothing is cached per filter, and no filter is asked twice: every repetition moves its
bound; only AP of everything, which depends on no threshold, is computed once. Besides the time on the clock the table has the processor time the server spent on a question, over all its threads:
other work on the machine lengthens the former and hardly the latter. With --data the uploaded data stays and is used again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from airflow_provider_nucleus.local.testing import LocalNucleus
from benchmarks.engine_data import Data, make

REPETITIONS = 9
ROWS_AT_ONCE = 400_000


class Server:
    """Plain HTTP to a server."""

    def __init__(self, server: LocalNucleus) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.auth = (server.api_key, "")

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(method, f"{self.server.url}/{path}", json=body, timeout=1800)
        answer.raise_for_status()
        return answer.json()

    def upload(self, dataset: str, route: str, lines: bytes, number: int, body: dict[str, Any]) -> None:
        """PUT rows behind a signed URL and wait for the job that reads them."""
        signed = self("GET", f"dataset/{dataset}/signedUrl/{number}")["signed_url"]
        requests.put(signed, data=lines, timeout=1800).raise_for_status()
        self.wait(
            self("POST", f"{route}?async=1", {"requestId": str(number), "update": False, **body})["job_id"]
        )

    def wait(self, job: str) -> None:
        """Wait for a job."""
        while (status := self("GET", f"job/{job}"))["status"] == "Running":
            time.sleep(0.2)
        if status["status"] != "Completed":
            raise RuntimeError(f"job {job}: {status}")


def boxes(data: Data, *, truth: bool, begin: int, end: int) -> bytes:
    """Return rows as NDJSON."""
    image, label, box = (
        (data.truth_image, data.truth_label, data.truth_box) if truth else (data.image, data.label, data.box)
    )
    lines = []
    for n in range(begin, end):
        x, y, w, h = box[n].tolist()
        row = {
            "type": "box",
            "label": f"class {label[n]:02d}",
            "reference_id": f"{image[n]:06d}",
            "annotation_id": str(n),
            "geometry": {"x": x, "y": y, "width": w, "height": h},
            "metadata": {"iscrowd": int(data.truth_crowd[n]), "area": w * h} if truth else {"head": n % 4},
        }
        if not truth:
            row["confidence"] = float(data.score[n])
        lines.append(json.dumps(row, separators=(",", ":")))
    return ("\n".join(lines) + "\n").encode()


def prepare(server: Server, images: int) -> dict[str, str]:
    """Upload everything and evaluate it; returns the ids."""
    data = make(images=images)
    dataset = server("POST", "dataset/create", {"name": "charts"})["dataset_id"]
    items = "".join(
        json.dumps({
            "reference_id": f"{n:06d}",
            "image_url": f"s3://b/{n}.jpg",
            "metadata": {"city": f"city {n % 20}", "hour": n % 24},
        })
        + "\n"
        for n in range(images)
    )
    server.upload(dataset, f"dataset/{dataset}/append", items.encode(), 1, {})
    model = server("POST", "models/add", {"name": "detector", "reference_id": "detector", "metadata": {}})[
        "model_id"
    ]
    began, number = time.perf_counter(), 2
    for truth, count in ((True, data.truth_image.size), (False, data.image.size)):
        for begin in range(0, count, ROWS_AT_ONCE):
            lines = boxes(data, truth=truth, begin=begin, end=min(begin + ROWS_AT_ONCE, count))
            route = (
                f"dataset/{dataset}/annotate"
                if truth
                else f"dataset/{dataset}/model/{model}/uploadPredictions"
            )
            server.upload(dataset, route, lines, number, {})
            number += 1
    print(
        f"uploaded {data.truth_image.size} and {data.image.size} in {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    run = server("GET", f"dataset/{dataset}/info")["model_run_ids"][0]
    names = [f"{n:06d}" for n in range(images // 10)]
    slice_id = server(
        "POST", f"dataset/{dataset}/create_slice", {"name": "tenth", "reference_ids": names[:10_000]}
    )["slice_id"]
    made = server("POST", "benchmarks", {"name": "all", "dataset_id": dataset})
    server.wait(made["job_id"])
    return {"dataset": dataset, "run": run, "slice": slice_id, "benchmark": made["benchmark_id"]}


def evaluate(server: Server, ids: dict[str, str]) -> tuple[str, float]:
    """Evaluate the run; returns the evaluation and the seconds it took."""
    began = time.perf_counter()
    made = server("POST", f"benchmarks/{ids['benchmark']}/evaluationsV2", {"model_run_id": ids["run"]})
    while (found := server("GET", f"evaluationsV2/{made['evaluation_id']}"))["status"] in {
        "pending",
        "computing",
    }:
        time.sleep(0.1)
    if found["status"] != "succeeded":
        raise RuntimeError(found["error_message"])
    return found["id"], time.perf_counter() - began


def questions(ids: dict[str, str]) -> dict[str, Any]:
    """Return per name a function from the repetition to the route and the body of a request."""

    def chart(name: str, body: Any) -> tuple[str, Any]:
        return name, lambda n: ("charts", body(n))

    def filtered(name: str, filters: Any) -> tuple[str, Any]:
        return chart(f"charts, {name}", lambda n: {"iouThreshold": 0.5, "filters": filters(n)})

    def rows(name: str, body: Any) -> tuple[str, Any]:
        return f"examples, {name}", lambda n: ("examples", body(n))

    return dict([
        chart("charts, everything, another threshold each time", lambda n: {"iouThreshold": 0.5 + n / 100}),
        filtered("confidence from ...", lambda n: {"confidenceRange": {"min": 0.2 + n / 50}}),
        filtered("some labels on both sides", lambda n: {"gtLabels": [f"class {k:02d}" for k in range(n, n + 10)]}),
        filtered("item metadata", lambda n: {"itemMetadata": [{"key": "hour", "op": "GT", "value": n}]}),
        filtered("a slice", lambda n: {"sliceIds": [ids["slice"]], "confidenceRange": {"min": n / 1000}}),
        filtered("IoU range", lambda n: {"iouRange": {"min": 0.3 + n / 50}}),
        filtered("different labels", lambda n: {"labelEquality": "NEQ", "confidenceRange": {"min": n / 1000}}),
        filtered("background errors only", lambda n: {"tideBackground": True, "confidenceRange": {"min": n / 1000}}),
        chart("charts, query", lambda n: {"query": f"metadata.hour < {12 + n}"}),
        filtered("ground-truth area (AP matched again)", lambda n: {"gtAreaRange": {"min": 500 + n, "max": 20_000}}),
        filtered("confidence up to ... (AP matched again)", lambda n: {"confidenceRange": {"max": 0.8 + n / 100}}),
        filtered(
            "prediction metadata (AP matched again)",
            lambda n: {"predictionMetadata": [{"key": "head", "op": "EQ", "value": n % 4}]},
        ),
        rows("everything", lambda n: {"limit": 50, "offset": 1000 * n}),
        rows("false positives by confidence", lambda n: {"match_type": "FP", "sort_by": "confidence", "offset": 50 * n}),
        rows("deep page by IoU", lambda n: {"sort_by": "iou", "sort_order": "ASC", "offset": 200_000 + n}),
        rows("missed, of a class, by area", lambda n: {"match_type": "FN", "sort_by": "gt_area", "filters": {"gtLabels": [f"class {n:02d}"]}}),
        rows("item metadata", lambda n: {"filters": {"itemMetadata": [{"key": "hour", "op": "EQ", "value": n}]}, "sort_by": "confidence"}),
    ])  # fmt: skip


def processor(pid: int) -> float:
    """Return the milliseconds a process has computed so far, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def timed(server: Server, evaluation: str, ids: dict[str, str]) -> list[tuple[Any, ...]]:
    """Return per question the median, fastest, slowest and processor milliseconds, and the bytes of the answer."""
    result = []
    for name, ask in questions(ids).items():
        times, size, before = [], 0, processor(server.server.pid)
        for n in range(REPETITIONS):
            route, body = ask(n)
            began = time.perf_counter()
            answer = server.session.post(
                f"{server.server.url}/evaluationsV2/{evaluation}/{route}", json=body, timeout=600
            )
            times.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
            size = len(answer.content)
        computed = (processor(server.server.pid) - before) / REPETITIONS
        result.append((name, statistics.median(times), min(times), max(times), computed, size))
        print(
            f"{name:60s} {result[-1][1]:8.0f} ms   ({min(times):.0f} - {max(times):.0f}), processor {computed:.0f} ms",
            flush=True,
        )
    return result


def memory(pid: int, field: str) -> float:
    """Return a memory figure of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return float("nan")


def report(rows: list[Any], *, facts: dict[str, Any], seconds: float, rss: tuple[float, float]) -> str:
    """Return the result as Markdown."""
    machine = f"{os.cpu_count()} cores, {facts['memory']:.0f} GiB, load {facts['load']:.1f} at the start"
    text = f"""# Charts and examples

{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}, Python {platform.python_version()}, NumPy {np.__version__}

{facts["truths"]:,} ground truths, {facts["predictions"]:,} predictions, {facts["items"]:,} items; over HTTP, {REPETITIONS} repetitions,
each with a bound nobody asked before. How: see the head of `benchmarks/charts.py`.

Evaluation: {seconds:.1f} s from the request to `succeeded`. Server after all questions: {rss[0]:,.0f} MiB of its own,
{rss[1]:,.0f} MiB of mapped result files.

On a machine that is busy with other work, look at the processor time: charts run on two threads, so with two idle cores a question
takes about half of it; examples run on one.

| Question | median ms | fastest | slowest | processor ms | answer KiB |
|---|---:|---:|---:|---:|---:|
"""
    for name, middle, low, high, computed, size in rows:
        text += f"| {name} | {middle:.0f} | {low:.0f} | {high:.0f} | {computed:.0f} | {size / 1024:.0f} |\n"
    return (
        text
        + """
AP is read from the stored COCO matching where that is exact (items, labels, a lowest confidence); filters that take away
predictions others may have had to yield to are matched again, from the stored pairs. Counts, confusion, TIDE and curves are
always those of a match of the predictions left, a lowest confidence included.
"""
    )


def main() -> None:
    """Prepare, ask, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=53_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.data or Path(temporary) / "data"
        known = folder.parent / f"{folder.name}.ids.json"
        load = os.getloadavg()[0]
        with LocalNucleus(folder) as nucleus:
            server = Server(nucleus)
            if not known.exists():
                known.write_text(json.dumps(prepare(server, arguments.images)))
            ids = json.loads(known.read_text())
            evaluation, seconds = evaluate(server, ids)
            print(f"evaluated in {seconds:.1f} s", flush=True)
            about = server("POST", f"evaluationsV2/{evaluation}/charts", {})
            rows = timed(server, evaluation, ids)
            counts = about["totalCounts"]
            facts = {
                "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3,
                "load": load,
                "truths": counts["tp"] + counts["fn"],
                "predictions": counts["tp"] + counts["fp"],
                "items": arguments.images,
            }
            rss = memory(nucleus.pid, "RssAnon"), memory(nucleus.pid, "RssFile")
    text = report(rows, facts=facts, seconds=seconds, rss=rss)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
