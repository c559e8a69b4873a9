"""Evidence that `nucleus-local gate` leaves: the judgement and the report, whatever the verdict; and where they cannot be written."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from airflow_provider_nucleus.cli.main import main
from airflow_provider_nucleus.gating.operating_point import OperatingPoints
from airflow_provider_nucleus.gating.verdict import Judgement
from tests.local.gate_files import FILES, gate, write_files

_FULL = """
import resource, signal, sys
from airflow_provider_nucleus.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, resource.RLIM_INFINITY))
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The current folder, with the files of a gate in it."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


def test_the_evidence_is_left_whatever_the_verdict(files, capsys):
    """Report, changed objects, operating points and measurements; each is named."""
    status = gate(
        "--candidate", "bad.json", "--baseline", "good.json", *FILES, "--report", "out/report", "--json", "j.json"
    )  # fmt: skip

    said = capsys.readouterr().out
    folder = files / "out/report"
    judgement = Judgement.model_validate_json((files / "j.json").read_text())
    changes = json.loads((folder / "changed_objects.json").read_text())
    points = OperatingPoints.model_validate_json((folder / "operating_points.json").read_text())
    assert status == 1
    report = Judgement.model_validate_json((folder / "metrics.json").read_text())
    assert report.verdict.status == judgement.verdict.status
    assert report.extras["changed_total"] == 10
    assert "recall fell by 0.3333" in (folder / "report.html").read_text()
    assert "recall" in (folder / "report.md").read_text()
    assert judgement.candidate.matches is None
    assert judgement.changes.broken == len(changes["objects"]) == 10
    assert changes["objects"][0]["baseline"]["prediction_id"] == "row 28"
    assert points.method == "exact"
    for path in folder.iterdir():
        assert str(path.relative_to(files)) in said


def test_a_full_disk_leaves_the_report_of_before(files):
    """All of it: the page of one model beside the numbers of another would be no evidence."""
    sides = ["gate", "--policy", "policy.json", *FILES, "--report", "report", "--baseline", "good.json"]
    main([*sides, "--candidate", "good.json"])
    before = {path: path.read_bytes() for path in pathlib.Path("report").iterdir()}
    assert len(before[pathlib.Path("report/report.html")]) > 16_000

    done = subprocess.run(
        [sys.executable, "-c", _FULL, *sides, "--candidate", "bad.json"],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
    )  # fmt: skip

    assert done.returncode == 65
    assert "report/report.html cannot be written: File too large" in done.stderr
    assert {path: path.read_bytes() for path in pathlib.Path("report").iterdir()} == before


def test_a_verdict_is_printed_where_its_evidence_cannot_be_kept(files, capsys):
    """What was judged is said, what was left is said, and the status is not that of a pass."""
    (files / "taken").write_text("a file")
    sides = ["--candidate", "good.json", "--baseline", "good.json", "--ground-truth", "gt.json"]
    assert gate(*sides, "--json", "kept.json", "--report", "taken") == 65
    printed = capsys.readouterr()
    assert "PASS" in printed.out
    assert "judgement: kept.json" in printed.out
    assert "not all of the evidence was kept: taken" in printed.err
