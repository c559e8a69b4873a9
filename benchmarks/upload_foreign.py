"""Time how mapped foreign Parquet is made ready to be sent, beside rows that are ours already, in one run, and write Markdown.

    python benchmarks/upload_foreign.py --rows 200000

The foreign rows are four shards with corner boxes (as columns, and as a list), class numbers and paths. Every run has a process of its own, which
reads, maps, checks, encodes and spools; from there on the bytes are the same, and `benchmarks/upload.py` times the rest. Processor
time is what other load on the machine changes least.
"""

from __future__ import annotations

import argparse
import json
import operator
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import upload as plain

SHARDS = 4
NAMES = [f"class-{number}" for number in range(80)]
COMMON = {
    "labels": NAMES,
    "box_format": "xyxy",
    "reference_id": "{path:basename}",
}
FORMS = {
    "plain": ("rows that are ours (`x`, `y`, `width`, `height`, names, ids)", None),
    "corners": ("corner columns, class numbers, paths", {**COMMON, "fields": {"label": "cls", "confidence": "conf"}}),
    "list": ("a list column, class numbers, paths", {**COMMON, "fields": {"label": "cls", "confidence": "conf", "box": "bbox"}}),
    "nested": ("one row an image, lists of boxes", {**COMMON, "explode": ["boxes", "cls", "conf"], "fields": {"label": "cls", "confidence": "conf", "box": "boxes"}}),
}  # fmt: skip


def make_shards(folder: Path) -> None:
    """Write the plain rows once more as a foreign detector would."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(folder / "rows.parquet")
    x, y = rows["x"], rows["y"]
    x2, y2 = pc.add(x, rows["width"]), pc.add(y, rows["height"])
    paths = pc.binary_join_element_wise("s3://bucket/images/day", rows["reference_id"], "/")
    classes = pc.cast(pc.replace_substring(rows["label"], "class-", ""), pa.int64())
    corners = pa.table({"path": paths, "x1": x, "y1": y, "x2": x2, "y2": y2, "cls": classes, "conf": rows["confidence"]})  # fmt: skip
    boxes = [
        list(box) for box in zip(x.to_pylist(), y.to_pylist(), x2.to_pylist(), y2.to_pylist(), strict=True)
    ]
    listed = corners.drop_columns(["x1", "y1", "x2", "y2"]).append_column(
        "bbox", pa.array(boxes, pa.list_(pa.float64()))
    )
    per = plain.PER_ITEM
    images = pa.table({
        "path": paths.to_pylist()[::per],
        "boxes": _grouped(boxes, per),
        "cls": _grouped(classes.to_pylist(), per),
        "conf": _grouped(rows["confidence"].to_pylist(), per),
    })
    for form, table in (("corners", corners), ("list", listed), ("nested", images)):
        (folder / form).mkdir()
        step = -(-table.num_rows // SHARDS)
        for shard in range(SHARDS):
            pq.write_table(table.slice(shard * step, step), folder / form / f"part-{shard}.parquet")


def _grouped(values: list, size: int) -> list[list]:
    return [values[at : at + size] for at in range(0, len(values), size)]


def worker(form: str, source: str) -> None:
    """Read, map, check, encode and spool in this process, and print what it took."""
    import pyarrow.parquet  # ruff: ignore[unused-import] - imported before the time is counted

    from airflow_provider_nucleus.client.uploads import Upload, UploadOptions, UploadTarget
    from airflow_provider_nucleus.sources import open_rows

    upload = Upload(
        plain.client("http://127.0.0.1:9", "none"),
        UploadTarget("predictions", "ds_none", "prj_none"),
        lambda: open_rows(source, kind="predictions", mapping=FORMS[form][1]),
        UploadOptions(validate_only=True, spool=str(Path(source).parent)),
    )
    begun, processor = time.perf_counter(), time.process_time()
    summary = upload.run()
    print(json.dumps({"rows": summary.rows - summary.rejected, "seconds": time.perf_counter() - begun, "processor": time.process_time() - processor}))  # fmt: skip


def run_one(form: str, folder: Path, count: int) -> dict:
    """Let one form be made ready to be sent."""
    source = folder / "rows.parquet" if form == "plain" else folder / form
    command = [sys.executable, __file__, "worker", form, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.strip().splitlines()[-1])
    if result["rows"] != count:
        raise SystemExit(f"{form}: {result['rows']} of {count} rows are good")
    return result


def main() -> None:
    if sys.argv[1:2] == ["worker"]:
        worker(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each form; the best is taken")
    parser.add_argument("--output", type=Path, default=plain.HERE / "results" / "upload-foreign.md")
    options = parser.parse_args()
    lines = [
        "# Uploads of mapped foreign Parquet",
        "",
        f"{plain.machine()}. {options.rows:,} predictions, the best of {options.repeat} runs.",
        "",
        "How it is measured: see the head of `benchmarks/upload_foreign.py`.",
        "",
        "| | rows/s | rows a second of processor time | processor s | of the plain rows' processor time |",
        "|---|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain.make_rows(folder, options.rows)
        make_shards(folder)
        base = 0.0
        for form, (what, _) in FORMS.items():
            runs = [run_one(form, folder, options.rows) for _ in range(options.repeat)]
            best = min(runs, key=operator.itemgetter("processor"))
            base = base or best["processor"]
            seconds = min(run["seconds"] for run in runs)
            lines.append(
                f"| {what} | {options.rows / seconds:,.0f} | {options.rows / best['processor']:,.0f} | {best['processor']:.2f} | {best['processor'] / base:.2f}x |"
            )
            print(lines[-1], flush=True)
    options.output.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
