"""Time uploads with and without the profile, in turn, by the same process on the same embedded server, and write Markdown.

    python benchmarks/profile_cost.py                    # 100,000 predictions from JSONL, Parquet and COCO, 5 x 8 pairs each

An uploading process is started five times, each with a fresh server and the same rows. It uploads once unmeasured, so that everything is
imported and allocated, and then eight pairs, each upload to a fresh model: one that takes the profile and one that does not, in an order that
alternates. After each pair come four of the check alone (`validate_only`), which is all that a profile is taken in.

Ratios and differences are taken pair by pair, which keeps them when the machine's speed drifts, and the median is taken of all; in brackets are the values
between which the median of all possible pairs lies with 95 % confidence. Rows a second are those until the server has stored the last row. Processor time,
user and system, is that of the uploading process until it has handed over the last row (what it needs to ask for the job's state every hundredth of
a second depends on how long the server takes), and says more where others use the machine. A run without profile does everything but count:
what the check counts for its own purposes, it counts in both.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from math import comb
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import upload as plain

CHECKS = 4
FORMS = {"jsonl": "rows.jsonl", "parquet": "rows.parquet", "coco": "coco.json"}


def make_coco(folder: Path) -> None:
    """Write the rows once more as COCO results, with the ground truth that names images and labels."""
    import orjson

    rows = [orjson.loads(line) for line in (folder / "rows.jsonl").open("rb")]
    images = {name: number for number, name in enumerate(sorted({row["reference_id"] for row in rows}))}
    labels = {name: number for number, name in enumerate(sorted({row["label"] for row in rows}), 1)}
    truth = {
        "images": [
            {"id": number, "file_name": name, "width": 1_100, "height": 900}
            for name, number in images.items()
        ],
        "categories": [{"id": number, "name": name} for name, number in labels.items()],
        "annotations": [],
    }
    results = [
        {
            "image_id": images[row["reference_id"]],
            "category_id": labels[row["label"]],
            "bbox": list(row["geometry"].values()),
            "score": row["confidence"],
        }
        for row in rows
    ]
    (folder / "truth.json").write_bytes(orjson.dumps(truth))
    (folder / "coco.json").write_bytes(orjson.dumps(results))


def worker(arguments: list[str]) -> None:
    """Upload in this process, with the profile and without it in turn, and print what each pair took."""
    url, key, dataset_id, path, count, pairs = arguments
    from airflow_provider_nucleus.client.calls.models import create_model
    from airflow_provider_nucleus.client.uploads import Upload, UploadOptions, UploadTarget
    from airflow_provider_nucleus.client.uploads import upload as module
    from airflow_provider_nucleus.sources import open_rows

    nucleus = plain.client(url, key)
    truth = Path(path).with_name("truth.json") if path.endswith(".json") else None
    checked = module.validate_input

    def run(*, profiled: bool, sent: bool = True) -> dict[str, float]:
        name = f"model {next(numbers)}"
        model = nucleus.send(create_model(name=name, reference_id=name)) if sent else "prj_none"
        module.validate_input = lambda *given, **named: checked(*given, **(named | {"profiled": profiled}))
        upload = Upload(
            nucleus,
            UploadTarget("predictions", dataset_id, getattr(model, "id", model)),
            lambda: open_rows(path, kind="predictions", images=truth, categories=truth),
            UploadOptions(poll_interval=0.01, spool=str(Path(path).parent), validate_only=not sent),
        )
        gc.collect()
        begun, processor = time.perf_counter(), time.process_time()
        started = upload.start()
        done = {"processor": time.process_time() - processor}
        summary = upload.collect(upload.wait(started))
        done["seconds"] = time.perf_counter() - begun
        if summary.rows != int(count) or summary.rejected or bool(summary.profile) != profiled:
            raise SystemExit(f"{path}: {summary}")
        if sent and summary.processed != int(count):
            raise SystemExit(f"{path}: {summary}")
        return done

    def pair(number: int, *, sent: bool) -> list[dict[str, float]]:
        order = (False, True) if number % 2 else (True, False)
        took = {profiled: run(profiled=profiled, sent=sent) for profiled in order}
        return [took[False], took[True]]

    numbers = itertools.count()
    run(profiled=True)
    for number in range(int(pairs)):
        took = {
            "uploads": [pair(number, sent=True)],
            "checks": [pair(at, sent=False) for at in range(CHECKS)],
        }
        print(json.dumps(took), flush=True)


def run_pairs(form: str, folder: Path, count: int, pairs: int) -> list[dict[str, list]]:
    """Let a fresh process upload to a fresh server."""
    from airflow_provider_nucleus.local.testing import LocalNucleus

    with tempfile.TemporaryDirectory(dir=folder) as data, LocalNucleus(Path(data) / "data") as server:
        dataset_id, _ = plain.prepare_server(server.url, server.api_key, count)
        command = [sys.executable, __file__, "worker", server.url, server.api_key, dataset_id, str(folder / FORMS[form]), str(count), str(pairs)]  # fmt: skip
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    if sys.argv[1:2] == ["worker"]:
        worker(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=8, help="of one process")
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--output", type=Path, default=plain.HERE / "results" / "profile-cost.md")
    options = parser.parse_args()
    lines = [
        "# Profiles: what they cost an upload",
        "",
        f"{plain.machine()}. {options.rows:,} predictions by job, {options.processes} x {options.pairs} pairs each.",
        "",
        "How it is measured: see the head of `benchmarks/profile_cost.py`. Medians of the pairs, between which bounds they lie with 95 % confidence in brackets.",
        "",
        "| source | rows/s without | rows/s, with / without | processor ns a row without | added by the profile | in the check alone | of the upload |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain.make_rows(folder, options.rows)
        make_coco(folder)
        for form in options.forms.split(","):
            done = [
                line
                for _ in range(options.processes)
                for line in run_pairs(form, folder, options.rows, options.pairs)
            ]
            uploads, checks = (
                [pair for line in done for pair in line[kind]] for kind in ("uploads", "checks")
            )
            lines.append(row(form, uploads, checks, options.rows))
            print(lines[-1], flush=True)
    options.output.write_text("\n".join([*lines, ""]))


def row(form: str, uploads: list, checks: list, count: int) -> str:
    """Return the line of one kind of source."""
    ratios = [without["seconds"] / profiled["seconds"] for without, profiled in uploads]
    speed = statistics.median(count / without["seconds"] for without, _ in uploads)
    base = statistics.median(without["processor"] for without, _ in uploads) / count * 1e9
    of_uploads, of_checks = (
        [(profiled["processor"] - without["processor"]) / count * 1e9 for without, profiled in pairs]
        for pairs in (uploads, checks)
    )
    return (
        f"| {form} | {speed:,.0f} | {median(ratios, '.3f')} | {base:,.0f} | {median(of_uploads, '.0f')} "
        f"| {median(of_checks, '.0f')} | {statistics.median(of_checks) / base:.1%} |"
    )


def median(values: list[float], form: str) -> str:
    """Return the median, and the two values between which that of all possible pairs lies with 95 % confidence (the sign test)."""
    ordered, size, outside, at = sorted(values), len(values), 0.0, 0
    while (outside := outside + 2 * comb(size, at) / 2**size) < 0.05:
        at += 1
    low, high = ordered[max(at - 1, 0)], ordered[-max(at, 1)]
    return f"{statistics.median(ordered):{form}} [{low:{form}}, {high:{form}}]"


if __name__ == "__main__":
    main()
