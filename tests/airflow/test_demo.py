"""The demonstration as a user starts it: a process of its own, real Airflow, a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "airflow_provider_nucleus.cli.main", "demo"]

FAILING_DAG = """
from __future__ import annotations

from airflow.providers.common.compat.sdk import dag, task


@dag(dag_id="nucleus_evaluate_inference_batch", schedule=None, params={"model_name": "", "model_reference_id": ""})
def stand_in():
    @task
    def upload_predictions(params):
        raise ValueError(f"the predictions of {params['model_name']} are no good")

    upload_predictions()


stand_in()
"""


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory) -> Path:
    """One work folder for all tests of this module, so that its Airflow database is migrated once."""
    return tmp_path_factory.mktemp("demo") / "work"


@pytest.fixture(scope="module")
def finished(work_dir) -> subprocess.CompletedProcess[str]:
    """The demonstration, run once with few scenes."""
    return subprocess.run(
        [*COMMAND, "--work-dir", str(work_dir), "--frames", "8"], capture_output=True, text=True, timeout=600
    )


def stand_in(folder: Path) -> list[str]:
    """Write a DAG that fails; return the options that run it on a few scenes."""
    (folder / "dags").mkdir()
    (folder / "dags" / "nucleus_evaluate_inference_batch.py").write_text(FAILING_DAG)
    return ["--dags", str(folder / "dags"), "--frames", "4"]


def processes_that_mention(text: str) -> list[str]:
    """Return the command lines of all live processes that name *text* in their arguments or environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes()
            mentioned = text.encode() in arguments or text.encode() in (entry / "environ").read_bytes()
        except OSError:
            continue
        if mentioned and int(entry.name) != os.getpid() and arguments:
            found.append(arguments.replace(b"\0", b" ").decode(errors="replace"))
    return found


def overlap(a: dict, b: dict) -> float:
    width = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
    height = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
    shared = max(width, 0) * max(height, 0)
    return shared / (a["width"] * a["height"] + b["width"] * b["height"] - shared)


def counted(truth: Path, predictions: Path, *, threshold: float) -> tuple[int, int, int]:
    """Return tp, fp, fn of greedy one-to-one matching among equal labels, highest IoU first: written anew, as an oracle."""
    sides = []
    for path in (truth, predictions):
        rows = defaultdict(list)
        for line in path.read_text().splitlines():
            row = json.loads(line)
            rows[row["reference_id"], row["label"]].append(row["geometry"])
        sides.append(rows)
    tp = 0
    for key in sides[0]:
        pairs = [
            (overlap(a, b), i, j) for i, a in enumerate(sides[0][key]) for j, b in enumerate(sides[1][key])
        ]
        used_truth, used_predictions = set(), set()
        for iou, i, j in sorted(pairs, reverse=True):
            if iou > 0 and i not in used_truth and j not in used_predictions:
                used_truth.add(i)
                used_predictions.add(j)
                tp += iou >= threshold
    total_truth, total_predictions = (sum(map(len, side.values())) for side in sides)
    return tp, total_predictions - tp, total_truth - tp


def test_the_demonstration_ends_with_a_comparison(finished, work_dir):
    """Exit status 0, every task shown once per model, a table of both models, and where everything is."""
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stderr == ""
    for task in (
        "create_dataset",
        "append_items",
        "upload_ground_truth",
        "upload_predictions",
        "calculate_metrics",
    ):
        assert len([line for line in finished.stdout.splitlines() if line.startswith(f"  {task} ")]) == 2
    assert "rendered" in finished.stdout
    assert "By class" in finished.stdout
    assert f"nucleus-local serve --data-dir {work_dir / 'nucleus'}" in finished.stdout
    assert (work_dir / "results" / "comparison.txt").read_text().strip() in finished.stdout


def test_nothing_of_airflows_own_log_is_shown(finished):
    """Progress is ours; Airflow's output goes to files."""
    assert "[info" not in finished.stdout
    assert "airflow.sdk" not in finished.stdout


def test_the_key_is_not_shown_or_logged(finished, work_dir):
    """The generated key is in its file and nowhere else: neither on the terminal nor in any log but the server's own."""
    key = (work_dir / "nucleus" / "api-key").read_text().strip()

    assert key not in finished.stdout
    for log in (work_dir / "logs").rglob("dag-*.log"):
        assert key not in log.read_text()


@pytest.mark.parametrize("model", ["fixed-threshold", "background-relative"])
def test_the_reported_counts_are_those_of_the_files(finished, work_dir, model):
    """What came through server and DAG equals a count over the batch files, made by other code."""
    overall = json.loads((work_dir / "results" / f"{model}.json").read_text())["metrics"]["overall"]
    batch = work_dir / "batch"
    expected = counted(batch / "ground_truth.jsonl", batch / f"predictions-{model}.jsonl", threshold=0.5)

    assert expected[0] > 0
    assert (overall["tp"], overall["fp"], overall["fn"]) == expected


def test_the_cut_by_weather_adds_up(finished, work_dir):
    """The rows by weather, read back from the server match by match, sum to the totals."""
    lines = (work_dir / "results" / "comparison.txt").read_text().splitlines()
    cut = lines[lines.index("By weather") :]
    for model in ("fixed-threshold", "background-relative"):
        rows = [line[:60].replace("*", " ").split() for line in cut if f" {model} " in line]
        counts = [[int(cell) for cell in row[row.index(model) + 1 :][:3]] for row in rows]
        overall = json.loads((work_dir / "results" / f"{model}.json").read_text())["metrics"]["overall"]

        assert [row[0] for row in rows if row[0] != model] in ([], ["day", "dusk", "night", "fog"])
        assert [sum(column) for column in zip(*counts, strict=True)] == [
            overall[key] for key in ("tp", "fp", "fn")
        ]


def test_no_process_is_left_behind(finished, work_dir):
    """The server and Airflow have ended with the demonstration."""
    assert processes_that_mention(str(work_dir)) == []


def test_a_failing_task_ends_the_second_run_with_its_traceback(finished, work_dir, tmp_path):
    """Exit status 1, the error and the path of the log on standard error; and the database was not migrated again."""
    ended = subprocess.run(
        [*COMMAND, "--work-dir", str(work_dir), *stand_in(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "db migrate" not in ended.stdout
    assert "ValueError: the predictions of fixed-threshold are no good" in ended.stderr
    assert (
        "Task upload_predictions of nucleus_evaluate_inference_batch failed for fixed-threshold"
        in ended.stderr
    )
    assert str(work_dir / "logs" / "dag-fixed-threshold.log") in ended.stderr
    assert processes_that_mention(str(work_dir)) == []


def test_ctrl_c_leaves_no_process_behind(finished, work_dir, tmp_path):
    """SIGINT to the whole process group, as a terminal sends it, while the server and Airflow are running."""
    demo = subprocess.Popen(
        [*COMMAND, "--work-dir", str(work_dir), *stand_in(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    shown = ""
    while "Airflow starts" not in shown:
        shown += (letter := demo.stdout.read(1))
        assert letter, shown
    os.killpg(demo.pid, signal.SIGINT)
    rest, errors = demo.communicate(timeout=60)

    assert demo.returncode == 128 + signal.SIGINT, shown + rest + errors
    assert "nothing is left running" in rest
    assert errors == ""
    assert processes_that_mention(str(work_dir)) == []


def test_a_missing_dags_folder_is_explained(tmp_path):
    """As after an installation from a wheel: what is missing and what to do."""
    ended = subprocess.run(
        [*COMMAND, "--work-dir", str(tmp_path / "work"), "--dags", str(tmp_path)],
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 1
    assert "--dags" in ended.stderr
    assert not (tmp_path / "work").exists()
