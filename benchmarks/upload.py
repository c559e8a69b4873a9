"""Time our uploads beside the official client and beside a bare loop, on the same embedded server, and write Markdown.

    python benchmarks/upload.py                          # 100,000 predictions, from JSONL and from Parquet
    python benchmarks/upload.py --rows 1000000           # the figure to compare with the targets
    python benchmarks/upload.py --rows 10000000 --runs ours

Every run has a process of its own and a fresh server with the items already there. The clock runs from opening the file until the
server has stored the last row; the official client's job is watched by us at the same fine interval, because its own wait
sleeps five seconds. Peak memory is the resident set of the uploading process, and of the server.

The bare loop sends bytes that were made beforehand: it reads no source, checks nothing and builds nothing, so it shows what the
server (and loopback) can take.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
PER_ITEM = 10
POLL = 0.1
CONTESTANTS = {
    "ours": "ours: checked, spooled, chunked, recorded",
    "official": "official client",
    "bare": "bare loop, bytes made beforehand",
}


def make_rows(folder: Path, count: int) -> None:
    """Write the same boxes as JSONL, as Parquet, and as the bytes that travel."""
    import orjson
    import pyarrow as pa
    import pyarrow.parquet as pq

    from airflow_provider_nucleus.client.uploads.check.encoding import Encoder

    rng = random.Random(7)
    encoder = Encoder("predictions")
    schema = pa.schema(
        [(name, pa.string()) for name in ("reference_id", "annotation_id", "label")]
        + [(name, pa.float64()) for name in ("x", "y", "width", "height", "confidence")]
    )
    with (
        (folder / "rows.jsonl").open("wb") as lines,
        (folder / "wire.ndjson").open("wb") as wire,
        pq.ParquetWriter(folder / "rows.parquet", schema) as table,
    ):
        for start in range(0, count, 50_000):
            flat = [
                {
                    "reference_id": f"image-{number // PER_ITEM:07d}.jpg",
                    "annotation_id": f"p-{number}",
                    "label": f"class-{number % 80}",
                    "x": round(rng.random() * 1_000, 2),
                    "y": round(rng.random() * 800, 2),
                    "width": round(rng.random() * 100, 2),
                    "height": round(rng.random() * 100, 2),
                    "confidence": round(rng.random(), 4),
                }
                for number in range(start, min(start + 50_000, count))
            ]
            table.write_table(pa.Table.from_pylist(flat, schema))
            nested = [
                {
                    **{name: row[name] for name in ("reference_id", "annotation_id", "label", "confidence")},
                    "type": "box",
                    "geometry": {name: row[name] for name in ("x", "y", "width", "height")},
                }
                for row in flat
            ]
            lines.write(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in nested))
            wire.write(encoder.encode_batch(nested).lines.data)


def client(url: str, key: str):
    from airflow_provider_nucleus.client.config import NucleusConfig
    from airflow_provider_nucleus.client.sync import NucleusClient

    return NucleusClient(NucleusConfig(endpoint=url, api_key=key))


def prepare_server(url: str, key: str, count: int) -> tuple[str, str]:
    """Create a dataset with its items, and a model."""
    from airflow_provider_nucleus.client.calls.datasets import create_dataset
    from airflow_provider_nucleus.client.calls.models import create_model
    from airflow_provider_nucleus.client.uploads import Upload, UploadOptions, UploadTarget
    from airflow_provider_nucleus.sources import open_rows

    nucleus = client(url, key)
    dataset_id = nucleus.send(create_dataset("benchmark"))
    model = nucleus.send(create_model(name="benchmark", reference_id="benchmark"))
    items = lambda: open_rows(  # ruff: ignore[lambda-assignment]
        (
            {"reference_id": f"image-{n:07d}.jpg", "image_url": f"https://images/{n}.jpg"}
            for n in range(-(-count // PER_ITEM))
        ),
        kind="items",
    )
    Upload(nucleus, UploadTarget("items", dataset_id), items, UploadOptions(poll_interval=POLL)).run()
    return dataset_id, getattr(model, "id", model)


def ours(
    url: str, key: str, dataset_id: str, model_id: str, path: Path, asynchronous: bool
) -> tuple[int, float]:
    from airflow_provider_nucleus.client.uploads import Upload, UploadOptions, UploadTarget
    from airflow_provider_nucleus.sources import open_rows

    upload = Upload(
        client(url, key),
        UploadTarget("predictions", dataset_id, model_id),
        lambda: open_rows(str(path), kind="predictions"),
        UploadOptions(asynchronous=asynchronous, poll_interval=POLL, spool=str(path.parent)),
    )
    begun = time.perf_counter()
    started = upload.start()
    handed = time.perf_counter() - begun
    return upload.collect(upload.wait(started)).processed, handed


def official(
    url: str, key: str, dataset_id: str, model_id: str, path: Path, asynchronous: bool
) -> tuple[int, float]:
    import nucleus
    from nucleus import BoxPrediction

    begun = time.perf_counter()
    if path.suffix == ".jsonl":
        with path.open() as file:
            rows = [json.loads(line) for line in file]
        rows = [{**row, **row["geometry"]} for row in rows]
    else:
        import pyarrow.parquet as pq

        rows = pq.read_table(path).to_pylist()
    names = ("label", "x", "y", "width", "height", "reference_id", "confidence", "annotation_id")
    predictions = [BoxPrediction(**{name: row[name] for name in names}) for row in rows]
    session = nucleus.NucleusClient(key, endpoint=url, use_notebook=False)
    dataset = session.get_dataset(dataset_id)
    model = next(model for model in session.models if model.id == model_id)
    answer = dataset.upload_predictions(model, predictions, asynchronous=asynchronous)
    handed = time.perf_counter() - begun
    if not asynchronous:
        return answer["predictions_processed"], handed
    return wait(client(url, key), answer.job_id), handed


def bare(
    url: str, key: str, dataset_id: str, model_id: str, path: Path, asynchronous: bool
) -> tuple[int, float]:
    import requests

    session = requests.Session()
    session.auth = (key, "")
    route = f"{url}/dataset/{dataset_id}/model/{model_id}/uploadPredictions"
    wire = path.with_name("wire.ndjson")
    begun = time.perf_counter()
    if asynchronous:
        address = session.get(f"{url}/dataset/{dataset_id}/signedUrl/{'0' * 32}").json()["signed_url"]
        with wire.open("rb") as file:
            requests.put(address, data=file, timeout=600).raise_for_status()
        job = session.post(f"{route}?async=1", json={"requestId": "0" * 32, "update": False}).json()
        handed = time.perf_counter() - begun
        return wait(client(url, key), job["job_id"]), handed
    processed = 0
    with wire.open("rb") as file:
        while lines := [line for _, line in zip(range(5_000), file, strict=False)]:
            body = b'{"update":false,"annotations":[' + b",".join(lines) + b"]}"
            answer = session.post(route, data=body, headers={"Content-Type": "application/json"}, timeout=120)
            processed += answer.json()["predictions_processed"]
    return processed, time.perf_counter() - begun


def wait(nucleus, job_id: str) -> int:
    from airflow_provider_nucleus.client.calls.jobs import job_status
    from airflow_provider_nucleus.client.job_counts import job_counts

    while not (status := nucleus.send(job_status(job_id))).state.terminal:
        time.sleep(POLL)
    return job_counts(status).processed


def worker(arguments: list[str]) -> None:
    """Run one contestant in this process and print what it took."""
    name, url, key, dataset_id, model_id, path, mode = arguments
    # What a contestant needs is imported before its time is counted.
    needed = {
        "ours": ["airflow_provider_nucleus.client.uploads", "airflow_provider_nucleus.sources"],
        "official": ["nucleus"],
        "bare": ["requests"],
    }[name]
    if mode == "async":
        needed += [
            "airflow_provider_nucleus.client.calls.jobs",
            "airflow_provider_nucleus.client.job_counts",
        ]
    if path.endswith(".parquet"):
        needed.append("pyarrow.parquet")
    for module in needed:
        importlib.import_module(module)
    run = {"ours": ours, "official": official, "bare": bare}[name]
    idle = peak_memory("self")
    begun = time.perf_counter()
    processor = time.process_time()
    rows, handed = run(url, key, dataset_id, model_id, Path(path), mode == "async")
    print(
        json.dumps({
            "rows": rows,
            "handed": handed,
            "seconds": time.perf_counter() - begun,
            "processor": time.process_time() - processor,
            "idle": idle,
            "peak": peak_memory("self"),
        })
    )


def run_one(name: str, rows: Path, mode: str, count: int, scratch: Path) -> dict:
    """Start a server, prepare it, and let one contestant run against it."""
    from airflow_provider_nucleus.local.testing import LocalNucleus

    with tempfile.TemporaryDirectory(dir=scratch) as folder, LocalNucleus(Path(folder) / "data") as server:
        dataset_id, model_id = prepare_server(server.url, server.api_key, count)
        command = [
            sys.executable,
            __file__,
            "worker",
            name,
            server.url,
            server.api_key,
            dataset_id,
            model_id,
            str(rows),
            mode,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return {"failed": done.stderr.strip().splitlines()[-1:] or ["no output"]}
        result = json.loads(done.stdout.strip().splitlines()[-1])
        result["server_peak"] = peak_memory(server.pid)
    if result["rows"] != count:
        result["failed"] = [f"stored {result['rows']} of {count} rows"]
    return result


def peak_memory(pid: int | str) -> int:
    """Return the largest resident set of a process, in bytes; getrusage would show that of the parent it was forked from."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    return next(
        int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")
    )


def table(results: dict[tuple[str, str], dict[str, dict]], count: int) -> list[str]:
    lines = []
    for (form, mode), runs in results.items():
        lines += [
            f"### {count:,} predictions from {form}, {'by job' if mode == 'async' else 'by requests'}",
            "",
            "| | rows/s until stored | of the official client's | rows/s until handed over | processor s | peak memory | above idle | server's peak |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        base = runs.get("official", {})
        for name, run in runs.items():
            if "failed" in run:
                lines.append(f"| {CONTESTANTS[name]} | {'; '.join(run['failed'])} | | | | | | |")
                continue
            ratio = f"{base['seconds'] / run['seconds']:.2f}x" if base.get("seconds") else ""
            lines.append(
                f"| {CONTESTANTS[name]} | {count / run['seconds']:,.0f} | {ratio} | {count / run['handed']:,.0f} "
                f"| {run['processor']:.1f} | {run['peak'] / 2**20:,.0f} MiB | {(run['peak'] - run['idle']) / 2**20:,.0f} MiB "
                f"| {run['server_peak'] / 2**20:,.0f} MiB |"
            )
        lines.append("")
    return lines


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("scale-nucleus", "orjson", "pyarrow", "duckdb")
    )
    load = os.getloadavg()[0]
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {memory:.0f} GiB, load {load:.1f} at the start, "
        f"Python {platform.python_version()}, {packages}"
    )


def main() -> None:
    if sys.argv[1:2] == ["worker"]:
        worker(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--forms", default="jsonl,parquet")
    parser.add_argument("--modes", default="async,sync")
    parser.add_argument("--runs", default="ours,official,bare")
    parser.add_argument("--scratch", type=Path, help="folder for the rows and the servers' data")
    parser.add_argument("--output", type=Path, help="default: results/upload-<rows>.md beside this script")
    options = parser.parse_args()
    when = machine()
    results: dict[tuple[str, str], dict[str, dict]] = {}
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        folder = Path(name)
        print(f"writing {options.rows:,} rows ...", flush=True)
        make_rows(folder, options.rows)
        for form in options.forms.split(","):
            for mode in options.modes.split(","):
                for contestant in options.runs.split(","):
                    run = run_one(contestant, folder / f"rows.{form}", mode, options.rows, folder)
                    results.setdefault((form, mode), {})[contestant] = run
                    shown = (
                        "; ".join(run["failed"])
                        if "failed" in run
                        else f"{options.rows / run['seconds']:,.0f} rows/s, peak {run['peak'] / 2**20:,.0f} MiB"
                    )
                    print(f"{form} {mode} {contestant}: {shown}", flush=True)
    text = "\n".join([
        "# Uploads",
        "",
        when,
        "",
        "How it is measured: see the head of `benchmarks/upload.py`.",
        "",
        *table(results, options.rows),
    ])
    output = options.output or HERE / "results" / f"upload-{options.rows}.md"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
