"""The command `nucleus-local evaluate` on real files, as JSON and as tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_nucleus.cli.main import main
from tests.shared_data import shared_data

NUMBERS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


def files(tmp_path):
    """A ground truth of two objects and two result files of the same name in different folders."""
    document = {
        "images": [{"id": 1, "width": 100, "height": 100, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 20], "area": 400, "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [50, 50, 20, 20], "area": 400, "iscrowd": 1},
        ],
    }
    good = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 20], "score": 0.9}]
    truth = tmp_path / "gt.json"
    truth.write_text(json.dumps(document))
    paths = []
    for folder, rows in (("one", good), ("two", [])):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "results.json")
        paths[-1].write_text(json.dumps(rows))
    return truth, paths


def test_json_has_the_named_numbers_of_every_model(tmp_path, capsys):
    """Undefined is null with a reason; files of one name are told apart by folder."""
    truth, paths = files(tmp_path)

    status = main(["evaluate", "--ground-truth", str(truth), "--predictions", *map(str, paths), "--json"])

    report = json.loads(capsys.readouterr().out)
    assert status == 0
    assert list(report["models"]) == ["one/results", "two/results"]
    good, empty = report["models"].values()
    assert [name for name in good if name in NUMBERS] == NUMBERS
    assert pytest.approx(good["AP"]) == 1.0
    assert good["APl"] is None
    assert "large" in good["undefined"]["APl"]
    assert empty["AP"] == 0.0
    assert tuple(good["nucleus"][key] for key in ("tp", "fp", "fn", "mean_iou")) == (1, 0, 0, 1.0)
    assert tuple(empty["nucleus"][key] for key in ("tp", "fp", "fn", "precision")) == (0, 0, 1, None)
    assert pytest.approx(good["per_class"]["cat"]["AP"]) == 1.0
    assert good["per_class"]["dog"]["AP"] is None
    assert good["per_class"]["dog"]["undefined"]["AP"] == "no ground truth of this label to be found"
    assert empty["nucleus"]["undefined"] == {
        "precision": "no predictions",
        "f1": "no predictions",
        "mean_iou": "no true positives",
    }
    assert list(report["ground_truth"]["excluded"].values()) == [1]
    assert report["engine"].startswith("airflow-provider-nucleus ")


def _nulls(value, path=""):
    """Yield the path of every null, with whether a reason stands beside it."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _nulls(inner, f"{path}{key}.")
        elif inner is None:
            yield f"{path}{key}", bool(value.get("undefined", {}).get(key))


def test_results_without_scores_have_no_ap_and_say_so(tmp_path, capsys):
    """Counts are there, COCO's numbers are null: overall, by class, by size; no null without a reason."""
    truth, paths = files(tmp_path)
    rows = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 20]}]
    paths[1].write_text(json.dumps(rows))

    assert main(["evaluate", "--ground-truth", str(truth), "--predictions", *map(str, paths), "--json"]) == 0

    report = json.loads(capsys.readouterr().out)
    silent = report["models"]["two/results"]
    for name in ("AP", "AP50", "APs", "AR100"):
        assert silent[name] is None
        assert silent["undefined"][name] == "no prediction has a confidence"
    assert silent["undefined"]["APl"] == "no ground truth of large size to be found"
    assert silent["per_class"]["cat"]["AP"] is None
    assert silent["per_class"]["cat"]["undefined"]["AP"] == "no prediction of this label has a confidence"
    assert silent["nucleus"]["tp"] == 1
    assert [path for path, explained in _nulls(report) if not explained] == []


def test_tables_show_numbers_and_say_what_is_undefined(tmp_path, capsys):
    """No sentinel is ever printed as a score."""
    truth, paths = files(tmp_path)

    assert main(["evaluate", "--ground-truth", str(truth), "--predictions", str(paths[0])]) == 0

    out = capsys.readouterr().out
    assert "results  1.000" in out
    assert "APl, ARl are n/a: no ground truth of large size to be found" in out
    assert "crowd region" in out
    assert "-1" not in out


@pytest.mark.parametrize(
    ("damage", "words"),
    [("gt.json", "not JSON"), ("one/results.json", "not JSON"), ("missing.json", "cannot read")],
)
def test_unusable_files_end_with_status_2_and_a_reason(tmp_path, capsys, damage, words):
    """One line on standard error that names the file; nothing on standard output."""
    truth, paths = files(tmp_path)
    if damage == "missing.json":
        paths[0] = tmp_path / damage
    else:
        (tmp_path / damage).write_text("{")

    assert main(["evaluate", "--ground-truth", str(truth), "--predictions", str(paths[0])]) == 2

    captured = capsys.readouterr()
    assert words in captured.err
    assert Path(damage).name in captured.err
    assert not captured.out


def test_the_console_script_reproduces_the_published_numbers():
    """The installed command, two models of a real set, twelve numbers each."""
    folder = shared_data("home-objects")
    expected = json.loads((folder / "expected.json").read_text())["coco"]
    names = [name.replace("AP_", "AP").replace("AR_", "AR") for name in list(expected["yolo"])[:12]]
    short = [n.replace("small", "s").replace("medium", "m").replace("large", "l") for n in names]
    command = [str(Path(sys.executable).parent / "nucleus-local"), "evaluate", "--json", "--workers", "2"]
    command += ["--ground-truth", str(folder / "ground_truth.json"), "--predictions"]
    command += [str(folder / f"predictions_{model}.json") for model in ("yolo", "centernet")]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    models = json.loads(done.stdout)["models"]
    for model in ("yolo", "centernet"):
        ours = [round(models[f"predictions_{model}"][name], 6) for name in short]
        assert list(expected[model].values())[:12] == ours
    assert models["predictions_yolo"]["nucleus"]["tp"] == 266


@pytest.mark.parametrize("iou_type", ["segm", "keypoints"])
def test_other_kinds_of_shapes(iou_type, capsys):
    """Masks and keypoints from their real sets."""
    name, model, ap = {
        "segm": ("coco-val2014-100", "predictions_fakesegm", 0.319545),
        "keypoints": ("coco-keypoints-4", "predictions_pose", 0.86089),
    }[iou_type]
    folder = shared_data(name)
    arguments = [
        "--ground-truth",
        str(folder / "ground_truth.json"),
        "--predictions",
        str(folder / f"{model}.json"),
    ]

    assert main(["evaluate", *arguments, "--iou-type", iou_type, "--json"]) == 0

    assert ap == round(json.loads(capsys.readouterr().out)["models"][model]["AP"], 6)


def test_boxes_are_not_evaluated_as_masks_in_silence(tmp_path, capsys):
    """Ground truth of boxes is refused by name; results of boxes are their area, which is said under Notes."""
    truth, (boxes, _) = files(tmp_path)
    arguments = ["evaluate", "--predictions", str(boxes), "--iou-type", "segm"]

    assert main([*arguments, "--ground-truth", str(truth)]) == 2
    refused = capsys.readouterr()
    assert not refused.out
    assert "gt.json: row 1: segmentation: is missing" in refused.err

    document = json.loads(truth.read_text())
    for row in document["annotations"]:
        x, y, width, height = row["bbox"]
        row["segmentation"] = [[x, y, x + width, y, x + width, y + height / 2, x, y + height / 2]]
    masks = tmp_path / "masks.json"
    masks.write_text(json.dumps(document))
    assert main([*arguments, "--ground-truth", str(masks)]) == 0
    assert "- results: 1 results have no segmentation" in capsys.readouterr().out
    assert main([*arguments, "--ground-truth", str(masks), "--json"]) == 0
    model = json.loads(capsys.readouterr().out)["models"]["results"]
    assert [(note["note"], note["count"]) for note in model["notes"]] == [("boxes_as_masks", 1)]
    assert (model["nucleus"]["tp"], model["nucleus"]["mean_iou"]) == (1, 0.5)
