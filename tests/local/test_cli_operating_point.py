"""The command `nucleus-local operating-point`."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.cli.main import main
from airflow_provider_nucleus.gating.operating_point import OperatingPoints
from tests.local.gate_files import FILES, write_files


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The current folder, with the files of a gate in it."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


def test_operating_points_are_written_for_the_inference_job(files, capsys):
    """From files exactly, from a measurement approximately; a target that is not reached has no cut."""
    main(["evaluate", "--ground-truth", "gt.json", "--predictions", "bad.json", "--measurements", "m"])
    exact = ["operating-point", "bad.json", *FILES]
    capsys.readouterr()

    assert main([*exact, "--output", "points.json"]) == 0
    assert main([*exact, "--recall", "0.9", "--json"]) == 0
    unreached = json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""]))
    assert main(["operating-point", "m/bad.json.gz", "--json"]) == 0
    near = json.loads(capsys.readouterr().out)
    assert main(["operating-point", "bad.json"]) == 2

    points = OperatingPoints.model_validate_json((files / "points.json").read_text())
    assert (points.method, points.per_label["car"].confidence) == ("exact", 0.51)
    assert unreached["overall"]["confidence"] is None
    assert unreached["overall"]["reason"] == "recall 0.9 is not reached: 0.667 with all predictions"
    assert (near["method"], near["overall"]["confidence"]) == ("approximate", 0.51)
