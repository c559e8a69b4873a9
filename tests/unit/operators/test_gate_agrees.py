"""One policy, one verdict: the gate's task and the command on the same measurements."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.cli.main import main
from airflow_provider_nucleus.operators.gate import NucleusGateOperator
from tests.unit.cli.test_file_measurements import drawn
from tests.unit.operators.fakes import context

POLICIES = {
    "floor": {"rules": [{"id": "f1", "metric": "f1", "min": 0.1, "min_support": 1}]},
    "drop": {"rules": [{"id": "f1", "metric": "f1", "max_drop": 0.0, "min_support": 1}]},
    "ap": {"rules": [{"id": "ap", "metric": "ap", "max_drop": 0.01, "min_support": 1, "compare": "point"}]},
    "labels": {
        "rules": [{"id": "r", "metric": "recall", "scope": "per_label", "max_drop": 0.05, "min_support": 3}],
    },
    "gain": {"rules": [{"id": "g", "metric": "precision", "min_gain": 0.5, "min_support": 1, "compare": "point"}]},
    "rare": {"rules": [{"id": "f1", "metric": "f1", "min": 0.1, "min_support": 10_000}], "on_inconclusive": "pass"},
    "missing": {"rules": [{"id": "x", "metric": "recall", "scope": "per_label", "labels": ["unicorn"], "min": 0.5}]},
    "supplied": {"rules": [{"id": "ms", "metric": "ms", "scope": "supplied", "max": 10}]},
    "record": {
        "rules": [
            {"id": "sum", "metric": "recall", "max_drop": 0.0, "against": "reference", "min_support": 1, "compare": "point"},
            {"id": "step", "metric": "recall", "max_drop": 0.0, "against": "accepted", "min_support": 1},
            {"id": "window", "metric": "recall", "window": {"batches": 5}, "min_support": 1},
        ],
    },
}  # fmt: skip
STATUSES = {("pass", False): 0, ("inconclusive", False): 0, ("fail", True): 1, ("inconclusive", True): 2}


@pytest.fixture
def measurements(tmp_path, monkeypatch):
    """Two models on one ground truth, as `evaluate --measurements` writes them, and a record with the first as reference."""
    monkeypatch.chdir(tmp_path)
    truth, results = drawn(tmp_path, 2, images=40)
    written = [
        "evaluate",
        "--ground-truth",
        str(truth),
        "--predictions",
        *map(str, results),
        "--measurements",
        "m",
    ]
    assert main(written) == 0
    assert main(["baseline", "propose", "record.json", "m/first.json.gz", "--by", "a"]) == 0
    assert main(["baseline", "confirm", "record.json", "--by", "a"]) == 0
    return tmp_path


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("better", [True, False], ids=["better", "worse"])
def test_the_command_and_the_task_come_to_one_verdict(measurements, name, better):
    """Every result with its sentence, the reasons, whether it stops, and the objects that changed."""
    (measurements / "policy.json").write_text(json.dumps(POLICIES[name]))
    candidate, baseline = ("m/first.json.gz", "m/second.json.gz")[:: 1 if better else -1]
    record = name == "record"
    given = ["--record", "record.json"] if record else ["--baseline", baseline]

    status = main([
        "gate",
        "--policy",
        "policy.json",
        "--candidate",
        candidate,
        *given,
        "--number",
        "ms=12",
        "--json",
        "command.json",
    ])
    task = NucleusGateOperator(
        task_id="gate",
        candidate=candidate,
        baseline=None if record else baseline,
        policy="policy.json",
        numbers={"ms": 12},
        judgement=str(measurements / "task.json"),
        baseline_record="copy.json" if record else None,
    )
    if record:
        (measurements / "copy.json").write_bytes((measurements / "record.json").read_bytes())
    try:
        task.execute(context(task))
    except Exception as error:  # ruff: ignore[blind-except] - the task says no by raising
        stopped = type(error).__name__
    else:
        stopped = None

    command, airflow = (
        json.loads((measurements / f"{each}.json").read_text()) for each in ("command", "task")
    )
    assert command["verdict"] == airflow["verdict"]
    assert command["changes"] == airflow["changes"]
    assert status == STATUSES[airflow["verdict"]["status"], airflow["verdict"]["stopped"]]
    assert (stopped == "GateStoppedError") == (status != 0)


def test_the_policies_come_to_different_verdicts(measurements):
    """The table above is not of one kind: it passes, fails and leaves open."""
    found = set()
    for policy in POLICIES.values():
        (measurements / "policy.json").write_text(json.dumps(policy))
        for sides in (("first", "second"), ("second", "first")):
            candidate, baseline = (f"m/{side}.json.gz" for side in sides)
            found.add(
                main(["gate", "--policy", "policy.json", "--candidate", candidate, "--baseline", baseline])
            )

    assert found == {0, 1, 2}
