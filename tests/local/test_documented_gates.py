"""The commands, policies and Python of docs/gating-in-ci.md run as they are written, one after the other in one folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from airflow_provider_nucleus.gating.policy_reading import read_policy

PAGE = (Path(__file__).resolve().parents[2] / "docs/gating-in-ci.md").read_text()


def blocks(language):
    """Return the blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four classes on thirteen images, a production model that misses a tenth and a candidate that misses nothing; both see ghosts."""
    folder = tmp_path_factory.mktemp("ci")
    names = ("car", "van", "bus", "bicycle")
    boxes = [(place % 13, 1 + place % 4, [30 * (place // 13), 0, 20, 20]) for place in range(120)]
    truth = {
        "images": [{"id": image, "width": 400, "height": 60} for image in range(13)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
        "annotations": [
            {"id": place, "image_id": image, "category_id": label, "bbox": box, "area": 400, "iscrowd": 0}
            for place, (image, label, box) in enumerate(boxes)
        ],
    }
    candidate = [
        {"image_id": image, "category_id": label, "bbox": box, "score": 0.5 + place / 400}
        for place, (image, label, box) in enumerate(boxes)
    ]
    ghosts = [
        {"image_id": image, "category_id": 1, "bbox": [30 * image, 30, 20, 20], "score": 0.2}
        for image in range(12)
    ]
    production = [row for place, row in enumerate(candidate) if place % 10]
    for name, value in (
        ("gt", truth),
        ("candidate", candidate + ghosts),
        ("production", production + ghosts),
    ):
        (folder / f"{name}.json").write_text(json.dumps(value))
    job, _, small_steps = blocks("yaml")
    (folder / "policy.yaml").write_text(job)
    (folder / "steps.yaml").write_text(small_steps)
    tools = folder / "bin"
    tools.mkdir()
    command = tools / "nucleus-local"
    command.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m airflow_provider_nucleus.cli.main "$@"\n'
    )
    command.chmod(0o755)
    return folder


def test_the_page_runs(folder):
    """Every shell block in order; any command that fails ends it."""
    script = "set -e\n" + "\n".join(blocks("sh"))
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASS, goes on") == 3
    assert "0 broken, 12 fixed" in done.stdout
    written = {path.name for path in (folder / "report").iterdir()}
    assert written == set(
        re.findall(r"`([\w.]+)`", PAGE.partition("| File of `--report`")[2].partition("\n\n")[0])
    ) - {"metrics", "id"}
    record = json.loads((folder / "record.json").read_text())
    assert record["reference"]["id"] == record["accepted"]["id"]
    assert "Wrote judgement: " in done.stdout

    (code,) = blocks("python")
    names = {}
    exec(compile(code.replace('"best_f1.json"', repr(str(folder / "best_f1.json"))), "page", "exec"), names)
    assert names["cut"]("car") > 0.2
    assert names["cut"]("unicorn") == names["points"]["overall"]["confidence"]


def test_a_worse_candidate_ends_the_job(folder):
    """The first command of the page with the sides exchanged: status 1."""
    gate = blocks("sh")[0].partition("nucleus-local operating-point")[0]
    swapped = (
        gate
        .replace("--candidate candidate.json", "--candidate x")
        .replace("production", "candidate")
        .replace("x \\", "production.json \\")
    )
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    done = subprocess.run(
        ["bash", "-c", swapped], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL" in done.stdout


def test_the_policies_and_the_workflow_are_what_they_seem():
    """Policies can be read, and the workflow calls the command with arguments that it has."""
    job, workflow, small_steps = blocks("yaml")

    assert [rule.id for rule in read_policy(job).rules] == [
        "recall-floor",
        "f1-drop",
        "ap-drop",
        "recall-of-classes",
        "latency",
    ]
    assert read_policy(small_steps).on_missing_baseline == "pass"
    steps = yaml.safe_load(workflow)["jobs"]["gate"]["steps"]
    (gate,) = [step["run"] for step in steps if "nucleus-local gate" in step.get("run", "")]
    usage = subprocess.run(
        [sys.executable, "-m", "airflow_provider_nucleus.cli.main", "gate", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(option in usage for option in re.findall(r"--[\w-]+", gate))


def test_the_exit_statuses_are_those_of_the_command():
    """As its module says."""
    import airflow_provider_nucleus.cli.gate as module

    documented = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)

    assert (
        documented == re.findall(r"^\| (\d+) \|", module.__doc__, re.MULTILINE) == ["0", "1", "2", "64", "65"]
    )
