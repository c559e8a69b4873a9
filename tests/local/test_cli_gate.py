"""The command `nucleus-local gate`: its exit statuses, what it prints and leaves, on files and on measurements; and the commands around it."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import subprocess
import sys

import pytest

from airflow_provider_nucleus.cli.main import main
from airflow_provider_nucleus.gating.baseline_file import parse_record
from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import Measurement
from airflow_provider_nucleus.gating.operating_point import OperatingPoints
from airflow_provider_nucleus.gating.policy_reading import read_policy
from airflow_provider_nucleus.gating.verdict import Judgement
from tests.shared_data import shared_data

BOXES = [[10 * place, 0, 8, 8] for place in range(30)]
DROP = {"rules": [{"id": "recall", "metric": "recall", "max_drop": 0.05, "compare": "point"}]}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Ground truth of thirty cars on six images, a model that finds all of them, and one that misses every third."""
    monkeypatch.chdir(tmp_path)
    truth = {
        "images": [{"id": image, "width": 400, "height": 50} for image in range(6)],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "van"}],
        "annotations": [
            {"id": place, "image_id": place % 6, "category_id": 1, "bbox": box, "area": 64, "iscrowd": 0}
            for place, box in enumerate(BOXES)
        ],
    }
    good = [
        {"image_id": place % 6, "category_id": 1, "bbox": box, "score": 0.5 + place / 100}
        for place, box in enumerate(BOXES)
    ]
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    (tmp_path / "good.json").write_text(json.dumps(good))
    (tmp_path / "bad.json").write_text(json.dumps([row for place, row in enumerate(good) if place % 3]))
    policy(DROP)
    return tmp_path


def policy(rules, name="policy.json"):
    """Write a policy into the current folder."""
    with pathlib.Path(name).open("w") as file:
        json.dump(rules, file)


def gate(*arguments):
    """Run the command in this process; wrong arguments end it, as they end the real one."""
    try:
        return main(["gate", "--policy", "policy.json", *arguments])
    except SystemExit as end:
        return end.code


FILES = ("--ground-truth", "gt.json")


def test_a_worse_model_is_stopped(files, capsys):
    """Status 1, one line for the rule, and the objects behind it."""
    status = gate("--candidate", "bad.json", "--baseline", "good.json", *FILES)

    lines = capsys.readouterr().out.splitlines()
    assert status == 1
    assert lines[0] == "Policy policy: FAIL, stops the pipeline; 1 rule, 1 result: 1 fail"
    assert lines[1].startswith("FAIL          recall  recall fell by 0.3333, from 1 to 0.6667")
    assert lines[2] == "Objects: 10 broken, 0 fixed, 0 missed by both, 20 found by both"


_FULL = """
import resource, signal, sys
from airflow_provider_nucleus.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, resource.RLIM_INFINITY))
sys.exit(main(sys.argv[1:]))
"""


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
    ],
)  # fmt: skip
def test_evidence_that_cannot_be_used_is_no_verdict(files, capsys, arguments, said):
    """Status 65, the file, and what would be right."""
    (files / "cut.json").write_text('[{"image_id"')
    (files / "old.json").write_text('{"schema": "nucleus-measurement/9"}')
    (files / "odd.json").write_text('{"schema": "nucleus-measurement/1"}')

    assert gate(*arguments) == 65
    assert said in capsys.readouterr().err


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


def test_measurements_are_judged_as_their_files_are(files):
    """`evaluate --measurements`, then a gate without any ground truth: the same document but for AP's interval and the time."""
    assert (
        main([
            "evaluate",
            "--ground-truth",
            "gt.json",
            "--predictions",
            "bad.json",
            "good.json",
            "--measurements",
            "m",
        ])
        == 0
    )
    gate("--candidate", "bad.json", "--baseline", "good.json", *FILES, "--json", "one.json")

    status = gate("--candidate", "m/bad.json.gz", "--baseline", "m/good.json.gz", "--json", "two.json")

    one, two = (json.loads((files / name).read_text()) for name in ("one.json", "two.json"))
    assert status == 1
    assert one["verdict"] == two["verdict"]
    assert one["changes"] == two["changes"]
    assert one["candidate"]["per_label"] == two["candidate"]["per_label"]


def test_the_verdict_is_that_of_the_library(files):
    """The command only reads and prints."""
    main([
        "evaluate",
        "--ground-truth",
        "gt.json",
        "--predictions",
        "bad.json",
        "good.json",
        "--measurements",
        "m",
    ])
    gate("--candidate", "m/bad.json.gz", "--baseline", "m/good.json.gz", "--json", "j.json")
    import gzip

    candidate, baseline = (
        Measurement.model_validate_json(gzip.decompress((files / "m" / name).read_bytes()))
        for name in ("bad.json.gz", "good.json.gz")
    )

    expected = judge(read_policy(files / "policy.json"), candidate, baseline).verdict

    assert Judgement.model_validate_json((files / "j.json").read_text()).verdict == expected


def test_a_judgement_is_evidence_of_its_candidate(files):
    """The document of last week's gate as this week's baseline."""
    gate("--candidate", "good.json", "--baseline", "good.json", *FILES, "--json", "last.json")

    assert gate("--candidate", "bad.json", "--baseline", "last.json", *FILES) == 1


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
    main([
        "evaluate",
        "--ground-truth",
        "gt.json",
        "--predictions",
        "bad.json",
        "good.json",
        "--measurements",
        "m",
    ])
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


def box(label, place):
    """Return a prediction."""
    geometry = {"x": place, "y": 0, "width": 10, "height": 10}
    return {"label": label, "type": "box", "geometry": geometry, "confidence": 0.5}


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


def test_a_verdict_is_printed_where_its_evidence_cannot_be_kept(files, capsys):
    """What was judged is said, what was left is said, and the status is not that of a pass."""
    (files / "taken").write_text("a file")
    sides = ["--candidate", "good.json", "--baseline", "good.json", "--ground-truth", "gt.json"]
    assert gate(*sides, "--json", "kept.json", "--report", "taken") == 65
    printed = capsys.readouterr()
    assert "PASS" in printed.out
    assert "judgement: kept.json" in printed.out
    assert "not all of the evidence was kept: taken" in printed.err


@pytest.mark.parametrize("damage", ["packed", "nested"])
def test_a_damaged_document_is_named(files, capsys, damage):
    """Whichever part of the reader finds it."""
    content = bytearray(gzip.compress(json.dumps({"schema": "nucleus-measurement/1"}).encode()))
    content[10] ^= 255
    broken = files / "broken.json"
    broken.write_bytes(bytes(content) if damage == "packed" else b"[" * 200_000)
    assert gate("--candidate", "broken.json") == 65
    assert "broken.json" in capsys.readouterr().err


def test_quiet_prints_the_verdict_alone(files, capsys):
    """In one line."""
    gate("--candidate", "bad.json", "--baseline", "good.json", *FILES, "--quiet")

    assert capsys.readouterr().out == "Policy policy: FAIL, stops the pipeline; 1 rule, 1 result: 1 fail\n"


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
