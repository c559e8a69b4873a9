"""Options and notes of `nucleus-local evaluate`: what is a choice can be chosen, and what misleads is said."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from airflow_provider_nucleus.cli.main import main


def write(tmp_path, annotations, results, *, categories=("box",), images=1):
    """Write a ground truth and results; annotations and results lack what is the same for all."""
    document = {
        "images": [
            {"id": n + 1, "width": 400, "height": 400, "file_name": f"{n}.jpg"} for n in range(images)
        ],
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(categories)],
        "annotations": [
            {
                "id": n + 1,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 0,
                "area": a["bbox"][2] * a["bbox"][3],
                **a,
            }
            for n, a in enumerate(annotations)
        ],
    }
    (tmp_path / "gt.json").write_text(json.dumps(document))
    (tmp_path / "dt.json").write_text(
        json.dumps([{"image_id": 1, "category_id": 1, "score": 0.5, **row} for row in results])
    )


def evaluate(tmp_path, capsys, *arguments):
    """Run the command and return its report and the tables."""
    command = [
        "evaluate",
        "--ground-truth",
        str(tmp_path / "gt.json"),
        "--predictions",
        str(tmp_path / "dt.json"),
    ]
    assert main([*command, *arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert main([*command, *arguments]) == 0
    return report, capsys.readouterr().out


def reference(tmp_path, *, kind="bbox", most=100, crowds=False):
    """Return AP and AR at the last cut-off as pycocotools computes them."""
    document = json.loads((tmp_path / "gt.json").read_text())
    if crowds:
        for annotation in document["annotations"]:
            annotation["iscrowd"] = 0
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = document
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "dt.json")), kind)
        evaluation.params.maxDets = [*(cut for cut in (1, 10) if cut < most), most]
        evaluation.evaluate()
        evaluation.accumulate()
    found = (evaluation.eval[name] for name in ("precision", "recall"))
    precision, recall = (table[..., 0, -1] for table in found)
    return np.mean(precision[precision > -1]), np.mean(recall[recall > -1])


def grid(count):
    """Return boxes that do not touch each other."""
    return [[(n % 18) * 20, (n // 18) * 20, 15, 15] for n in range(count)]


def drawn(polygons):
    """Return polygons as run lengths, the only masks of results that pycocotools reads."""
    (mask,) = coco_masks.frPyObjects(polygons, 400, 400)
    return {**mask, "counts": mask["counts"].decode()}


def notes(entry):
    """Return kinds and counts."""
    return {note["note"]: note["count"] for note in entry["notes"]}


def test_more_than_a_hundred_objects(tmp_path, capsys):
    """The limit of COCO is said, with how many it leaves out; a higher one gives the AP of perfect boxes; counts have all."""
    boxes = grid(151)
    results = [{"bbox": box, "score": round(1 - n / 1000, 3)} for n, box in enumerate(boxes)]
    write(tmp_path, [{"bbox": box} for box in boxes], results)

    report, text = evaluate(tmp_path, capsys)

    model = report["models"]["dt"]
    assert notes(model) == {"beyond_max_detections": 51}
    assert "51 predictions lie beyond the 100 most confident" in text
    assert "max_detections" in text
    assert (model["nucleus"]["tp"], model["nucleus"]["fn"]) == (151, 0)
    assert pytest.approx(reference(tmp_path)) == (model["AP"], model["AR100"])

    report, text = evaluate(tmp_path, capsys, "--max-detections", "200")

    model = report["models"]["dt"]
    assert notes(model) == {}
    assert report["options"]["max_detections"] == 200
    assert report["options"]["coco"]["max_detections"] == [1, 10, 200]
    assert pytest.approx(reference(tmp_path, most=200)) == (model["AP"], model["AR200"])
    assert pytest.approx(1.0) == model["AP"]


def test_a_limit_of_few(tmp_path, capsys):
    """A limit below COCO's own cut-offs replaces them."""
    boxes = grid(5)
    write(tmp_path, [{"bbox": box} for box in boxes], [{"bbox": box} for box in boxes])

    report, _ = evaluate(tmp_path, capsys, "--max-detections", "3")

    model = report["models"]["dt"]
    assert report["options"]["coco"]["max_detections"] == [1, 3]
    assert pytest.approx(reference(tmp_path, most=3)[0]) == model["AP"]
    assert notes(model) == {"beyond_max_detections": 2}


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "many"])
def test_a_limit_that_is_none(tmp_path, capsys, given):
    """What is no limit is refused with what would be."""
    write(tmp_path, [], [])

    with pytest.raises(SystemExit):
        evaluate(tmp_path, capsys, "--max-detections", given)

    assert "is not a whole number from 1" in capsys.readouterr().err


def test_every_mask_a_crowd(tmp_path, capsys):
    """Exports that mark every mask as a crowd have no AP: that is said, and the option takes them for objects."""
    masks = [
        {"bbox": box, "iscrowd": 1, "segmentation": [[x, y, x + 15, y, x + 15, y + 15, x, y + 15]]}
        for box in grid(4)
        for x, y in [box[:2]]
    ]
    results = [{"segmentation": drawn(mask["segmentation"]), "score": 0.9} for mask in masks]
    write(tmp_path, masks, results)

    report, text = evaluate(tmp_path, capsys, "--iou-type", "segm")

    assert report["models"]["dt"]["AP"] is None
    assert report["models"]["dt"]["nucleus"]["fp"] == 4
    assert notes(report["ground_truth"]) == {"only_crowds": 4}
    assert "evaluate with crowd_as_objects" in text

    report, _ = evaluate(tmp_path, capsys, "--iou-type", "segm", "--crowd-as-objects")

    assert pytest.approx(reference(tmp_path, kind="segm", crowds=True)[0]) == report["models"]["dt"]["AP"]
    assert report["models"]["dt"]["nucleus"]["tp"] == 4
    assert report["options"]["crowd_as_objects"] is True
    assert notes(report["ground_truth"]) == {}
    assert report["ground_truth"]["excluded"] == {}


def test_some_crowds_are_no_note(tmp_path, capsys):
    """A crowd beside objects is what crowds are for."""
    write(tmp_path, [{"bbox": [0, 0, 20, 20]}, {"bbox": [50, 0, 20, 20], "iscrowd": 1}], [])

    report, _ = evaluate(tmp_path, capsys)

    assert notes(report["ground_truth"]) == {}


def test_an_area_larger_than_its_box(tmp_path, capsys):
    """AP by size goes by what is stated, which is said where it cannot be."""
    write(tmp_path, [{"bbox": [0, 0, 20, 20], "area": 40000}, {"bbox": [50, 0, 20, 20], "area": 401}], [])

    report, text = evaluate(tmp_path, capsys)

    assert notes(report["ground_truth"]) == {"area_beyond_box": 1}
    assert "1 annotations state an area larger than their box" in text


def test_categories_that_differ_in_spelling_only(tmp_path, capsys):
    """Two categories of one name but for case, blanks or Unicode form are named."""
    write(tmp_path, [{"bbox": [0, 0, 20, 20]}], [], categories=("Caf\u00e9", "cafe\u0301 ", "bar"))

    report, text = evaluate(tmp_path, capsys)

    assert notes(report["ground_truth"]) == {"label_spellings": 2}
    assert "differ only in case, blanks or Unicode form" in text


@pytest.mark.parametrize("reverse", [False, True])
def test_equal_confidences_are_in_the_order_of_rows(tmp_path, capsys, reverse):
    """As in pycocotools: AP of equal confidences depends on the order of the file, and the report says how."""
    rows = [{"bbox": [0, 0, 20, 20]}, {"bbox": [200, 200, 20, 20]}]
    write(tmp_path, [{"bbox": [0, 0, 20, 20]}, {"bbox": [60, 60, 20, 20]}], rows[:: -1 if reverse else 1])

    report, _ = evaluate(tmp_path, capsys)

    assert pytest.approx(reference(tmp_path)[0]) == report["models"]["dt"]["AP"]
    assert "earlier row" in report["options"]["coco"]["ties"]


def test_what_was_chosen_stands_above_the_numbers(tmp_path, capsys):
    """AP with a limit of one object is not the AP that people compare; what does not exist is said once for each reason."""
    write(tmp_path, [{"bbox": [0, 0, 20, 20]}], [{"bbox": [0, 0, 20, 20]}])

    _, text = evaluate(tmp_path, capsys, "--max-detections", "1", "--crowd-as-objects")
    assert text.splitlines()[1].startswith("With max_detections 1 ")
    assert text.splitlines()[1].endswith("crowd_as_objects")
    assert "- dt: APl, ARl are n/a: no ground truth of large size" in text
    _, text = evaluate(tmp_path, capsys)
    assert "With " not in text


def test_an_empty_file_is_called_so(tmp_path, capsys):
    """It is no batch without detections, which is []."""
    write(tmp_path, [{"bbox": [0, 0, 20, 20]}], [])
    (tmp_path / "dt.json").write_text("")
    files = ["--ground-truth", str(tmp_path / "gt.json"), "--predictions", str(tmp_path / "dt.json")]

    assert main(["evaluate", *files]) == 2
    assert "dt.json: is empty; results without any detection are []" in capsys.readouterr().err
