"""Sides of `nucleus-local gate`: result files, measurements, judgements, profiles; above a confidence; and what is no side."""

from __future__ import annotations

import gzip
import json

import pytest

from airflow_provider_nucleus.cli.main import main
from tests.local.gate_files import DROP, FILES, gate, policy, write_files, write_measurements


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The current folder, with the files of a gate in it."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--candidate", "none.json", *FILES], "none.json cannot be read: No such file or directory"),
        (["--candidate", "good.json"], "good.json is a COCO result list: name the ground truth"),
        (["--candidate", "gt.json", *FILES], "gt.json is neither a measurement"),
        (["--candidate", "cut.json", *FILES], "cut.json is no JSON"),
        (["--candidate", "good.json", "--ground-truth", "good.json"], "ground truth is an object"),
        (["--candidate", "old.json"], "its schema is 'nucleus-measurement/9'"),
        (["--candidate", "odd.json"], "odd.json is not a measurement as this version knows it: fingerprint: Field required"),
        (["--candidate", "good.json", *FILES, "--record", "old.json"], "not a baseline record: schema"),
        (["--candidate", "result.json"], "result.json is not a measurement as this version knows it: per_label.car: Input should be"),
        (["--candidate", "upload.json"], "upload.json is not a measurement as this version knows it: profile: Input should be"),
    ],
)  # fmt: skip
def test_evidence_that_cannot_be_used_is_no_verdict(files, capsys, arguments, said):
    """Status 65, the file, and what would be right."""
    (files / "cut.json").write_text('[{"image_id"')
    (files / "old.json").write_text('{"schema": "nucleus-measurement/9"}')
    (files / "odd.json").write_text('{"schema": "nucleus-measurement/1"}')
    result = {"overall": {}, "fingerprint": {"data": "dataset:ds_1"}, "per_label": {"car": 5}}
    (files / "result.json").write_text(json.dumps(result))
    (files / "upload.json").write_text('{"profile": 5}')

    assert gate(*arguments) == 65
    assert said in capsys.readouterr().err


def test_measurements_are_judged_as_their_files_are(files):
    """`evaluate --measurements`, then a gate without any ground truth: the same document but for AP's interval and the time."""
    assert write_measurements() == 0
    gate("--candidate", "bad.json", "--baseline", "good.json", *FILES, "--json", "one.json")

    status = gate("--candidate", "m/bad.json.gz", "--baseline", "m/good.json.gz", "--json", "two.json")

    one, two = (json.loads((files / name).read_text()) for name in ("one.json", "two.json"))
    assert status == 1
    assert one["verdict"] == two["verdict"]
    assert one["changes"] == two["changes"]
    assert one["candidate"]["per_label"] == two["candidate"]["per_label"]


def test_a_judgement_is_evidence_of_its_candidate(files):
    """The document of last week's gate as this week's baseline."""
    gate("--candidate", "good.json", "--baseline", "good.json", *FILES, "--json", "last.json")

    assert gate("--candidate", "bad.json", "--baseline", "last.json", *FILES) == 1


@pytest.mark.parametrize(("confidence", "found"), [("0.65", "15"), ("best", "30")])
def test_a_least_confidence_is_stated(files, capsys, confidence, found):
    """One for both models, or each its own best."""
    policy({"rules": [{"id": "tp", "metric": "tp", "min": int(found), "direction": "higher"}]})

    assert (
        gate("--candidate", "good.json", "--baseline", "good.json", *FILES, "--confidence", confidence) == 0
    )
    said = capsys.readouterr().out
    cut = "0.65" if confidence == "0.65" else "0.5"
    assert f"the candidate has the predictions from confidence {cut} on" in said
    assert f"the baseline has the predictions from confidence {cut} on" in said


def test_measurements_are_cut_as_well(files, capsys):
    """By their pairs, which is said; AP is not among their numbers then."""
    assert write_measurements() == 0
    sides = ["--candidate", "m/good.json.gz", "--baseline", "m/bad.json.gz", "--confidence", "0.65"]
    policy({"rules": [{"id": "tp", "metric": "tp", "min": 15, "direction": "higher"}]})
    capsys.readouterr()

    assert gate(*sides) == 0
    said = capsys.readouterr().out
    policy({"rules": [{"id": "ap", "metric": "ap", "min": 0.1}]})

    assert gate(*sides) == 2
    assert "the candidate has the predictions from confidence 0.65 on" in said
    assert (
        "candidate: 15 predictions below confidence 0.65 were taken out of the match, which was not made anew"
        in said
    )


def test_a_profile_is_judged_without_ground_truth(files):
    """As the upload writes it: rules on the profile are decided, all others are not."""
    rows = [{"reference_id": f"{place}.jpg", **box("car", place)} for place in range(40)]
    (files / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert main(["check", "rows.jsonl", "--profile", "profile.json"]) == 0
    policy({"rules": [{"id": "seen", "metric": "objects", "scope": "profile", "min": 40}]})

    assert gate("--candidate", "profile.json") == 0

    policy({"rules": [{"id": "seen", "metric": "objects", "scope": "profile", "min": 41}]})
    assert gate("--candidate", "profile.json") == 1
    policy(DROP)
    assert gate("--candidate", "profile.json") == 2


def test_another_ground_truth_is_no_baseline(files, capsys):
    """One label was corrected since: nothing is compared, and both places say why."""
    main(["evaluate", "--ground-truth", "gt.json", "--predictions", "good.json", "--measurements", "m"])
    truth = json.loads((files / "gt.json").read_text())
    truth["annotations"][0]["category_id"] = 2
    (files / "gt.json").write_text(json.dumps(truth))
    capsys.readouterr()

    assert gate("--candidate", "good.json", "--baseline", "m/good.json.gz", *FILES) == 2
    said = capsys.readouterr().out
    assert "candidate and baseline were measured against different objects (30-" in said
    assert "changed objects are not counted: the objects of the two matches cannot be compared" in said
    assert "'0' (car) on item '0'" in said or "'0' (van) on item '0'" in said


def test_a_label_writes_no_line_of_its_own_into_tables_and_notes(files, capsys):
    """Of classes, of cuts, and where the objects are not the same and the first that differs is named."""
    truth = json.loads((files / "gt.json").read_text())
    evaluate = ["evaluate", "--ground-truth", "gt.json", "--predictions", "good.json", "--measurements"]
    for folder, label in (("plain", "car"), ("odd", "a\nPASS  everything")):
        truth["categories"][0]["name"] = label
        (files / "gt.json").write_text(json.dumps(truth))
        assert main([*evaluate, folder]) == 0
    assert main(["operating-point", "odd/good.json.gz"]) == 0

    assert gate("--candidate", "odd/good.json.gz", "--baseline", "plain/good.json.gz") == 2
    said = capsys.readouterr().out
    assert said.count("a\\nPASS  everything") == 3
    assert not [line for line in said.splitlines() if line.startswith("PASS")]


@pytest.mark.parametrize("damage", ["packed", "nested"])
def test_a_damaged_document_is_named(files, capsys, damage):
    """Whichever part of the reader finds it."""
    content = bytearray(gzip.compress(json.dumps({"schema": "nucleus-measurement/1"}).encode()))
    content[10] ^= 255
    broken = files / "broken.json"
    broken.write_bytes(bytes(content) if damage == "packed" else b"[" * 200_000)
    assert gate("--candidate", "broken.json") == 65
    assert "broken.json" in capsys.readouterr().err


def box(label, place):
    """Return a prediction."""
    geometry = {"x": place, "y": 0, "width": 10, "height": 10}
    return {"label": label, "type": "box", "geometry": geometry, "confidence": 0.5}
