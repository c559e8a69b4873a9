"""The same COCO files, by the command and by an upload to the server: one value, and the same notes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.cli.main import main
from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
from airflow_provider_nucleus.sources import open_rows
from tests.local.reference_sets import Upload, send
from tests.local.test_diagnostics_scores import Own, own
from tests.shared_data import shared_data

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Api

__all__ = ["own"]

PERSON = [
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
]  # fmt: skip


def skeleton_of(
    count: int, names: list[str] | None = None, *, area: bool = True, flag: float = 1.0
) -> tuple[Any, Any]:
    """Ground truth and results of twelve objects with so many keypoints, each a little off."""
    truth: dict[str, Any] = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 500, "height": 500} for n in range(4)],
        "categories": [{"id": 1, "name": "person"} | ({"keypoints": names} if names else {})],
        "annotations": [],
    }
    results = []
    for n in range(12):
        points = [(50 + 7 * k % 90 + 10 * n, 60 + 11 * k % 130) for k in range(count)]
        row = {
            "id": n, "image_id": n % 4, "category_id": 1, "iscrowd": 0, "bbox": [40 + 10 * n, 50, 120, 150], "num_keypoints": count,
            "keypoints": [value for x, y in points for value in (x, y, 2)],
        } | ({"area": 9000.0} if area else {})  # fmt: skip
        truth["annotations"].append(row)
        moved = [(x + n * (k % 3), y + n) for k, (x, y) in enumerate(points)]
        results.append(
            {
                "image_id": row["image_id"], "category_id": 1, "score": 1 - n / 20,
                "keypoints": [value for x, y in moved for value in (x, y, flag)],
            }
        )  # fmt: skip
    return truth, results


def by_command(
    capsys: pytest.CaptureFixture[str], truth: Path, results: Path, *more: str
) -> tuple[float, dict[str, int]]:
    arguments = [
        "--ground-truth",
        str(truth),
        "--predictions",
        str(results),
        "--iou-type",
        "keypoints",
        "--json",
    ]
    assert main(["evaluate", *arguments, *more]) == 0
    report = json.loads(capsys.readouterr().out)
    return report["models"]["results"]["AP"], {
        note["note"]: note["count"] for note in report["ground_truth"]["notes"]
    }


def by_server(api: Api, own: Own, truth: Path, results: Path, **options: Any) -> tuple[float, dict[str, int]]:
    rows = {}
    for kind, source in (("items", truth), ("annotations", truth), ("predictions", results)):
        stream = open_rows(source, kind=kind, categories=truth, geometry="keypoints", image_folder="s3://b")
        rows[kind] = [Encoder(kind).encode(row.data).wire for row in stream]
    made = send(api, Upload(rows["items"], rows["annotations"], rows["predictions"]), **options)
    found = own.ok(made, "coco")["families"]["keypoints"]
    return found["numbers"]["AP"]["value"], {
        note["note"]: note["count"] for note in own.ok(made, "provenance")["notes"]
    }


@pytest.mark.parametrize(
    ("made", "chosen", "notes"),
    [
        (skeleton_of(17, PERSON), None, {}),
        (skeleton_of(17), None, {}),
        (skeleton_of(17, [f"joint {k}" for k in range(17)]), None, {"guessed_tolerances": 12}),
        (skeleton_of(14), None, {}),
        (skeleton_of(14, [*PERSON[5:], "head", "neck"]), None, {}),
        (skeleton_of(14, [f"joint {k}" for k in range(14)]), [0.02 + k / 100 for k in range(14)], {}),
        (skeleton_of(5), None, {"guessed_tolerances": 12}),
        (skeleton_of(5), [0.01, 0.02, 0.03, 0.1, 0.2], {}),
        (skeleton_of(133), None, {}),
        (skeleton_of(133), "coco-wholebody", {}),
        (skeleton_of(17, PERSON, flag=0), None, {}),
        (skeleton_of(17, PERSON, area=False), None, {"guessed_areas": 12}),
    ],
    ids=[
        "names",
        "17",
        "17-other",
        "14",
        "crowdpose",
        "14-chosen",
        "5",
        "5-chosen",
        "133",
        "133-named",
        "visibility-0",
        "no-area",
    ],
)
def test_keypoints_have_one_value(
    api: Api,
    own: Own,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    made: Any,
    chosen: Any,
    notes: dict[str, int],
):
    """Of any skeleton, with chosen tolerances or without, with a guess that is said."""
    truth, results = tmp_path / "truth.json", tmp_path / "results.json"
    truth.write_text(json.dumps(made[0]))
    results.write_text(json.dumps(made[1]))
    flag = (
        []
        if chosen is None
        else ["--keypoint-sigmas", chosen if isinstance(chosen, str) else ",".join(map(str, chosen))]
    )
    options = {} if chosen is None else {"options": {"keypointSigmas": chosen}}

    command = by_command(capsys, truth, results, *flag)
    server = by_server(api, own, truth, results, **options)

    assert 0 < command[0] < 1
    assert server == (pytest.approx(command[0], abs=1e-12), command[1])
    assert command[1] == notes


def test_published_values_are_those_of_either_interface(
    api: Api, own: Own, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Four photographs of COCO: AP as pycocotools has it."""
    folder = shared_data("coco-keypoints-4")
    results = tmp_path / "results.json"
    results.write_bytes((folder / "predictions_pose.json").read_bytes())

    assert round(by_command(capsys, folder / "ground_truth.json", results)[0], 6) == 0.86089
    assert round(by_server(api, own, folder / "ground_truth.json", results)[0], 6) == 0.86089


def test_two_batches_that_number_their_images_alike(api: Api, tmp_path: Path):
    """Each file of results is read against its own ground truth: two perfect batches are perfect."""
    files: dict[str, list[Path]] = {"truth": [], "results": []}
    for day, wide in (("mon", 30), ("tue", 60)):
        truth, _ = skeleton_of(17)
        for image in truth["images"]:
            image["file_name"] = f"{day}-{image['file_name']}"
        truth["annotations"] = truth["annotations"][:6]
        for n, row in enumerate(truth["annotations"]):
            row["bbox"] = [100 * n + wide, wide, wide, wide]
        results = [{**row, "score": 0.9, "id": None} for row in truth["annotations"]]
        for name, document in (("truth", truth), ("results", results)):
            files[name].append(tmp_path / f"{day}-{name}.json")
            files[name][-1].write_text(json.dumps(document))
    rows: dict[str, list[Any]] = {}
    for kind, source in (
        ("items", files["truth"]),
        ("annotations", files["truth"]),
        ("predictions", files["results"]),
    ):
        stream = open_rows(
            source, kind=kind, images=files["truth"], categories=files["truth"], image_folder="s3://b"
        )
        if kind == "annotations":
            stream = open_rows(source, kind=kind)
        rows[kind] = [Encoder(kind).encode(row.data).wire for row in stream]
    made = send(api, Upload(rows["items"], rows["annotations"], rows["predictions"]))
    counts = api.ok("POST", f"evaluationsV2/{made}/charts", json={})["totalCounts"]

    assert [counts[name] for name in ("tp", "fp", "fn")] == [12, 0, 0]


@pytest.mark.parametrize("chosen", ["0.1,0.2", "crowdpose"])
def test_too_few_tolerances_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], chosen: str):
    """With both numbers."""
    truth, results = tmp_path / "truth.json", tmp_path / "results.json"
    made = skeleton_of(5)
    truth.write_text(json.dumps(made[0]))
    results.write_text(json.dumps(made[1]))
    arguments = ["--ground-truth", str(truth), "--predictions", str(results), "--iou-type", "keypoints"]

    assert main(["evaluate", *arguments, "--keypoint-sigmas", chosen]) == 2
    assert "tolerances, and objects have 5 keypoints: give one for each" in capsys.readouterr().err


def test_tolerances_are_of_keypoints(capsys: pytest.CaptureFixture[str]):
    """Where boxes are compared they would have no effect."""
    arguments = ["--ground-truth", "t.json", "--predictions", "r.json", "--keypoint-sigmas", "0.1,0.2"]

    assert main(["evaluate", *arguments]) == 2
    assert "--keypoint-sigmas is about keypoints, and --iou-type is bbox" in capsys.readouterr().err


@pytest.mark.parametrize("chosen", ["person", "0.1,x", "", "0.1,-1", "nan", "1e-300,1", "1e300", "1e400"])
def test_what_is_no_tolerance_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], chosen: str):
    """With what it must be."""
    arguments = ["--ground-truth", "t.json", "--predictions", "r.json", "--keypoint-sigmas", chosen]

    with pytest.raises(SystemExit):
        main(["evaluate", *arguments])
    assert (
        "keypoint_sigmas must be coco, crowdpose, coco-wholebody, or a list of positive numbers"
        in capsys.readouterr().err
    )
