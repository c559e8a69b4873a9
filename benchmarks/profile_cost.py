"""Time uploads with and without the profile, in turn, on the same embedded server, and write Markdown.

    python benchmarks/profile_cost.py                    # 300,000 predictions from JSONL, Parquet and COCO, 7 pairs each

Each pair is two processes that upload the same rows to fresh models, one taking the profile and one not, in an order that alternates;
the ratio is taken pair by pair, which keeps it when the machine's speed drifts. Rows a second are those until the server has stored the last row;
processor time is that of the uploading process. What a run without profile does is what uploads did before there was one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import upload as plain

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
    """Upload in this process, with the profile or without it, and print what it took."""
    url, key, dataset_id, model_id, path, profiled = arguments
    import pyarrow.parquet  # ruff: ignore[unused-import] - imported before the time is counted

    from airflow_provider_nucleus.client.uploads import Upload, UploadOptions, UploadTarget
    from airflow_provider_nucleus.client.uploads import upload as module
    from airflow_provider_nucleus.sources import open_rows

    if profiled == "no":
        checked = module.validate_input
        module.validate_input = lambda *given, **named: checked(*given, **(named | {"profiled": False}))
    truth = Path(path).with_name("truth.json") if path.endswith(".json") else None
    upload = Upload(
        plain.client(url, key),
        UploadTarget("predictions", dataset_id, model_id),
        lambda: open_rows(path, kind="predictions", images=truth, categories=truth),
        UploadOptions(poll_interval=0.02, spool=str(Path(path).parent)),
    )
    begun, processor = time.perf_counter(), time.process_time()
    summary = upload.run()
    done = {"seconds": time.perf_counter() - begun, "processor": time.process_time() - processor}
    print(json.dumps({**done, "rows": summary.processed, "profile": bool(summary.profile)}))


def run_one(form: str, folder: Path, count: int, *, profiled: str) -> dict:
    """Upload once to a fresh server."""
    from airflow_provider_nucleus.local.testing import LocalNucleus

    with tempfile.TemporaryDirectory(dir=folder) as data, LocalNucleus(Path(data) / "data") as server:
        dataset_id, model_id = plain.prepare_server(server.url, server.api_key, count)
        command = [sys.executable, __file__, "worker", server.url, server.api_key, dataset_id, model_id, str(folder / FORMS[form]), profiled]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.strip().splitlines()[-1])
    if result["rows"] != count or result["profile"] != (profiled == "yes"):
        raise SystemExit(f"{form}: {result}")
    return result


def main() -> None:
    if sys.argv[1:2] == ["worker"]:
        worker(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--output", type=Path, default=plain.HERE / "results" / "profile-cost.md")
    options = parser.parse_args()
    lines = [
        "# Profiles: what they cost an upload",
        "",
        f"{plain.machine()}. {options.rows:,} predictions by job, {options.pairs} pairs each.",
        "",
        "How it is measured: see the head of `benchmarks/profile_cost.py`. Ratios are medians of the pairs, with the middle half in brackets.",
        "",
        "| source | rows/s without | rows/s with | with / without, rows/s | processor ns a row without | added by the profile |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain.make_rows(folder, options.rows)
        make_coco(folder)
        for form in options.forms.split(","):
            pairs = []
            for number in range(options.pairs):
                order = ("no", "yes") if number % 2 else ("yes", "no")
                runs = {
                    profiled: run_one(form, folder, options.rows, profiled=profiled) for profiled in order
                }
                pairs.append((runs["no"], runs["yes"]))
            lines.append(row(form, pairs, options.rows))
            print(lines[-1], flush=True)
    options.output.write_text("\n".join([*lines, ""]))


def row(form: str, pairs: list[tuple[dict, dict]], count: int) -> str:
    """Return the line of one kind of source."""
    before, after = ([count / pair[side]["seconds"] for pair in pairs] for side in (0, 1))
    ratios = sorted(pair[0]["seconds"] / pair[1]["seconds"] for pair in pairs)
    quarter = len(ratios) // 4
    base = statistics.median(pair[0]["processor"] for pair in pairs) / count * 1e9
    added = statistics.median(pair[1]["processor"] - pair[0]["processor"] for pair in pairs) / count * 1e9
    return (
        f"| {form} | {statistics.median(before):,.0f} | {statistics.median(after):,.0f} "
        f"| {statistics.median(ratios):.3f} [{ratios[quarter]:.3f}, {ratios[-1 - quarter]:.3f}] | {base:,.0f} | {added:,.0f} |"
    )


if __name__ == "__main__":
    main()
