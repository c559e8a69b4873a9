"""The demonstration as a user starts it: a process of its own, real Airflow, a real server."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "airflow_provider_nucleus.cli.main", "demo"]

FAILING_DAG = """
from __future__ import annotations

from airflow.providers.common.compat.sdk import dag, task


@dag(dag_id="nucleus_gated_batches", schedule=None, params={"batch": ""})
def stand_in():
    @task
    def upload_predictions(params):
        raise ValueError(f"the predictions of {params['batch']} are no good")

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
        [*COMMAND, "--work-dir", str(work_dir), "--frames", "18"], capture_output=True, text=True, timeout=600
    )


def stand_in(folder: Path) -> list[str]:
    """Write a DAG that fails; return the options that run it on a few scenes."""
    (folder / "dags").mkdir()
    (folder / "dags" / "nucleus_gated_batches.py").write_text(FAILING_DAG)
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
    """Exit status 0, every task of a day shown once, tables of both models and of each day, and where everything is."""
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stderr == ""
    for task in (
        "create_dataset",
        "append_items",
        "upload_ground_truth",
        "upload_predictions x2",
        "calculate_metrics x2",
        "gate x2",
        "report x2",
    ):
        assert len([line for line in finished.stdout.splitlines() if line.startswith(f"  {task} ")]) == 1
    assert finished.stdout.count("Airflow runs nucleus_gated_batches for") == 3
    assert "Rendered" in finished.stdout
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


DAYS = ("2026-03-09", "2026-03-10", "2026-03-11")
MODELS = ("fixed-threshold", "background-relative")
CANDIDATES = ("background-relative", "fixed-threshold")


def document(work_dir: Path, day: str, name: str, index: int) -> dict:
    """Return what a mapped task left on a day."""
    path = work_dir / "results" / day / f"{name}.json.map{index}.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


def counts_of(work_dir: Path, day: str, model: str) -> tuple[int, int, int]:
    """Return tp, fp, fn that the DAG measured."""
    values = document(work_dir, day, "measurement", MODELS.index(model))["overall"]["values"]
    return values["tp"], values["fp"], values["fn"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("day", DAYS)
def test_the_numbers_of_a_day_are_those_of_its_files(finished, work_dir, day, model):
    """What came through server and DAG equals a count over the files of that day, made by other code: each batch is its own."""
    batch = work_dir / "batch" / day
    expected = counted(batch / "ground_truth.jsonl", batch / f"predictions-{model}.jsonl", threshold=0.5)

    assert sum(expected) > 0
    assert counts_of(work_dir, day, model) == expected


def test_the_cut_by_weather_adds_up(finished, work_dir):
    """The rows by weather sum to the totals of the days."""
    lines = (work_dir / "results" / "comparison.txt").read_text().splitlines()
    cut = lines[lines.index("By weather") :]
    cut = cut[: next(number for number, line in enumerate(cut) if line.startswith("* best"))]
    for model in MODELS:
        rows = [line[:60].replace("*", " ").split() for line in cut if f" {model} " in line]
        counts = [[int(cell) for cell in row[row.index(model) + 1 :][:3]] for row in rows]
        whole = [counts_of(work_dir, day, model) for day in DAYS]

        assert [row[0] for row in rows if row[0] != model] in ([], ["day", "dusk", "night", "fog"])
        assert [sum(column) for column in zip(*counts, strict=True)] == [
            sum(column) for column in zip(*whole, strict=True)
        ]


def test_the_trend_is_that_of_the_days(finished, work_dir):
    """The server's history has one point for each batch, with the numbers of its files."""
    lines = (work_dir / "results" / "comparison.txt").read_text().splitlines()
    start = lines.index("Trend of F1, from the server's history") + 2
    shown = [line.split() for line in lines[start : start + 6]]
    for number, model in enumerate(MODELS):
        for row, day in zip(shown[3 * number : 3 * number + 3], DAYS, strict=True):
            tp, fp, fn = counts_of(work_dir, day, model)

            assert row[-2 if row[-1].startswith("#") else -1] == f"{2 * tp / (2 * tp + fp + fn):.3f}"
            assert day in row


def test_what_a_gate_stops_is_not_deployed(finished, work_dir):
    """`deploy` ran where the judgement goes on, and was skipped where it stops; the output has one line for each rule of each."""
    with closing(sqlite3.connect(work_dir / "airflow" / "airflow.db")) as database:
        runs = [run for (run,) in database.execute("select run_id from dag_run order by id desc limit 3")][
            ::-1
        ]
        states = {
            (run, index): state
            for run, index, state in database.execute(
                "select run_id, map_index, state from task_instance where task_id = 'decide.deploy'"
            )
        }
    stopped = []
    for day, run in zip(DAYS, runs, strict=True):
        for index, model in enumerate(CANDIDATES):
            verdict = document(work_dir, day, "judgement", index)["verdict"]
            stopped.append(verdict["stopped"])

            assert states[run, index] == ("skipped" if verdict["stopped"] else "success")
            assert f"May {model} replace {CANDIDATES[1 - index]}?" in finished.stdout
            for result in verdict["results"]:
                assert f"{result['status'].upper():<12}  {result['rule_id']}" in finished.stdout
            report = work_dir / "results" / day / "report" / f"map{index}" / "report.html"
            assert str(report) in finished.stdout
            assert "</html>" in report.read_text()
    assert True in stopped


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
    assert "ValueError: the predictions of 2026-03-09 are no good" in ended.stderr
    assert "Task upload_predictions of nucleus_gated_batches failed for 2026-03-09" in ended.stderr
    assert str(work_dir / "logs" / "dag-2026-03-09.log") in ended.stderr
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
