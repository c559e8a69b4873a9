"""The command `nucleus-local gate`: its verdicts, its exit statuses, and what it prints."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import Measurement
from airflow_provider_nucleus.gating.policy_reading import read_policy
from airflow_provider_nucleus.gating.verdict import Judgement
from tests.local.gate_files import FILES, gate, policy, write_files, write_measurements
from tests.shared_data import shared_data


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The current folder, with the files of a gate in it."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


def test_a_worse_model_is_stopped(files, capsys):
    """Status 1, one line for the rule, and the objects behind it."""
    status = gate("--candidate", "bad.json", "--baseline", "good.json", *FILES)

    lines = capsys.readouterr().out.splitlines()
    assert status == 1
    assert lines[0] == "Policy policy: FAIL, stops the pipeline; 1 rule, 1 result: 1 fail"
    assert lines[1].startswith("FAIL          recall  recall fell by 0.3333, from 1 to 0.6667")
    assert lines[2] == "Objects: 10 broken, 0 fixed, 0 missed by both, 20 found by both"


def test_a_better_model_goes_on(files, capsys):
    """Status 0."""
    assert gate("--candidate", "good.json", "--baseline", "bad.json", *FILES) == 0
    assert "PASS, goes on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "status"),
    [({}, 2), ({"on_inconclusive": "pass"}, 0), ({"fail_on": "never"}, 0)],
)
def test_an_undecided_policy_has_a_status_of_its_own(files, options, status):
    """Too few objects for the rule: 2, unless the policy lets it through."""
    policy({"rules": [{"id": "r", "metric": "recall", "min": 0.5, "min_support": 1000}], **options})

    assert gate("--candidate", "good.json", *FILES) == status


def test_a_missing_baseline_is_inconclusive(files):
    """A rule about a change has nothing to measure it from."""
    assert gate("--candidate", "good.json", *FILES) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--candidate", "good.json", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["--baseline", "good.json"], "required: --candidate"),
        (["--candidate", "good.json", "--number", "latency"], "'latency' is not a name and a number"),
        (
            ["--candidate", "good.json", "--confidence", "most"],
            "neither a number from 0 to 1 nor the word best",
        ),
        (["--candidate", "good.json", "--propose", "ci"], "name it with --record"),
        (["--candidate", "good.json", "--policy", "none.yaml"], "none.yaml: the file cannot be read"),
    ],
)
def test_wrong_use_is_no_verdict(files, capsys, arguments, said):
    """Status 64: 2 would be taken for inconclusive."""
    assert gate(*arguments) == 64
    assert said in capsys.readouterr().err


def test_a_wrong_policy_is_wrong_use(files, capsys):
    """It is named by rule and field."""
    policy({"rules": [{"id": "r", "metric": "recal", "min": 0.5}]})

    assert gate("--candidate", "good.json", *FILES) == 64
    assert "Did you mean 'recall'?" in capsys.readouterr().err


def test_the_verdict_is_that_of_the_library(files):
    """The command only reads and prints."""
    assert write_measurements() == 0
    gate("--candidate", "m/bad.json.gz", "--baseline", "m/good.json.gz", "--json", "j.json")
    import gzip

    candidate, baseline = (
        Measurement.model_validate_json(gzip.decompress((files / "m" / name).read_bytes()))
        for name in ("bad.json.gz", "good.json.gz")
    )

    expected = judge(read_policy(files / "policy.json"), candidate, baseline).verdict

    assert Judgement.model_validate_json((files / "j.json").read_text()).verdict == expected


def test_numbers_of_the_user_are_judged(files):
    """Of both sides."""
    policy({
        "rules": [
            {
                "id": "ms",
                "metric": "latency_ms",
                "scope": "supplied",
                "max_relative_drop": 0.1,
                "direction": "lower",
            }
        ]
    })
    sides = [
        "--candidate",
        "good.json",
        "--baseline",
        "good.json",
        *FILES,
        "--baseline-number",
        "latency_ms=10",
    ]

    assert gate(*sides, "--number", "latency_ms=10.5") == 0
    assert gate(*sides, "--number", "latency_ms=12") == 1
    assert gate(*sides) == 2


def test_quiet_prints_the_verdict_alone(files, capsys):
    """In one line."""
    gate("--candidate", "bad.json", "--baseline", "good.json", *FILES, "--quiet")

    assert capsys.readouterr().out == "Policy policy: FAIL, stops the pipeline; 1 rule, 1 result: 1 fail\n"


def test_the_real_command_ends_with_the_status(files):
    """As a process, as CI runs it."""
    command = [sys.executable, "-m", "airflow_provider_nucleus.cli.main", "gate", "--policy", "policy.json"]

    done = subprocess.run(
        [*command, "--candidate", "bad.json", "--baseline", "good.json", *FILES],
        capture_output=True,
        text=True,
        check=False,
    )
    wrong = subprocess.run([*command, "--bogus"], capture_output=True, text=True, check=False)

    assert (done.returncode, wrong.returncode) == (1, 64)
    assert done.stdout.startswith("Policy policy: FAIL")
    assert wrong.stdout == ""
    assert done.stderr == ""


def test_real_detectors_are_told_apart(tmp_path, monkeypatch):
    """The better one of home-objects passes against the worse one, the worse one does not; AP is judged by interval."""
    monkeypatch.chdir(tmp_path)
    folder = shared_data("home-objects")
    policy({"rules": [{"id": "ap", "metric": "ap", "max_drop": 0.01}]})
    truth = ("--ground-truth", str(folder / "ground_truth.json"))
    yolo, centernet = (str(folder / f"predictions_{name}.json") for name in ("yolo", "centernet"))

    assert gate("--candidate", yolo, "--baseline", centernet, *truth, "--json", "up.json") == 0
    assert gate("--candidate", centernet, "--baseline", yolo, *truth, "--json", "down.json") == 1

    (up,), (down,) = (
        json.loads((tmp_path / name).read_text())["verdict"]["results"] for name in ("up.json", "down.json")
    )
    assert up["low"] > 0
    assert down["high"] < -0.01
    assert "bootstrap" in down["method"]
