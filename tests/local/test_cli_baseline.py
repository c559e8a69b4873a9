"""The command `nucleus-local baseline`, and the record that `nucleus-local gate` takes its baselines from."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.cli.main import main
from airflow_provider_nucleus.gating.baseline_file import parse_record
from tests.local.gate_files import FILES, gate, policy, write_files


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The current folder, with the files of a gate in it."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


def test_a_record_stops_a_series_of_small_drops(files, capsys):
    """Each step is small enough against the last accepted one; the pinned reference stops what they add up to."""
    policy({
        "rules": [
            {"id": "step", "metric": "recall", "max_drop": 0.08, "against": "accepted", "compare": "point"},
            {"id": "sum", "metric": "recall", "max_drop": 0.1, "against": "reference", "compare": "point"},
        ],
        "on_missing_baseline": "pass",
    })  # fmt: skip
    good = json.loads((files / "good.json").read_text())
    statuses = []
    for week, missed in enumerate([0, 2, 4]):
        (files / f"week{week}.json").write_text(json.dumps(good[missed:]))
        status = gate("--candidate", f"week{week}.json", *FILES, "--record", "record.json", "--propose", "ci")
        if status == 0:
            assert main(["baseline", "confirm", "record.json", "--by", "anna"]) == 0
        statuses.append(status)

    record = parse_record((files / "record.json").read_text())
    assert statuses == [0, 0, 1]
    assert record.reference_measurement.overall.values["recall"] == 1.0
    assert record.accepted_measurement.overall.values["recall"] == pytest.approx(28 / 30)
    assert [(step.action, step.by) for step in record.decisions] == [
        ("propose", "ci"), ("confirm", "anna"), ("pin", "anna"), ("propose", "ci"), ("confirm", "anna"),
    ]  # fmt: skip
    main(["baseline", "show", "record.json"])
    out = capsys.readouterr().out
    assert "recall -0.067 since the reference" in out
    assert "not proposed in record.json: the verdict is fail" in out
    assert "FAIL          sum" in out
    assert "PASS          step" in out


def test_baselines_are_changed_step_by_step(files, capsys):
    """Propose, show, reject, pin; what cannot be done is said, and nothing is changed."""
    main(["evaluate", "--ground-truth", "gt.json", "--predictions", "good.json", "--measurements", "m"])
    steps = [
        ["confirm", "r.json"],
        ["propose", "r.json", "m/good.json.gz", "--by", "ci"],
        ["reject", "r.json", "--by", "anna", "--note", "labels are wrong"],
        ["pin", "r.json"],
        ["pin", "r.json", "m/good.json.gz", "--by", "anna"],
        ["propose", "r.json", "good.json"],
        ["show", "r.json"],
    ]
    capsys.readouterr()

    assert [main(["baseline", *step]) for step in steps] == [2, 0, 0, 2, 0, 2, 0]

    captured = capsys.readouterr()
    assert "no proposal waits: nothing was changed" in captured.err
    assert "good.json is a COCO result list" in captured.err
    assert "anna  reject" in captured.out
    assert "(labels are wrong)" in captured.out
    assert parse_record((files / "r.json").read_text()).reference.by == "anna"


def test_a_record_that_is_not_there_cannot_be_shown(files, capsys):
    """Nothing is printed as if it were one, and the status is that of a step that cannot be made."""
    (files / "odd.json").write_text('{"schema": "nucleus-measurement/1"}')

    assert main(["baseline", "show", "none.json"]) == 2
    assert capsys.readouterr() == ("", "nucleus-local: none.json cannot be read: No such file or directory\n")
    assert main(["baseline", "show", "odd.json"]) == 2
    assert "odd.json: not a baseline record: schema" in capsys.readouterr().err
