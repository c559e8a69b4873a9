"""`nucleus-local check` and `airflow nucleus check`: a file as an upload would read it, and the mapping that it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_nucleus.cli.main import main
from airflow_provider_nucleus.evaluation.notes import label_spellings
from airflow_provider_nucleus.gating.profile import Profile
from airflow_provider_nucleus.sources import open_rows

if TYPE_CHECKING:
    from pathlib import Path

BOX = {"x": 10, "y": 20, "width": 30, "height": 40}
LAYOUTS: dict[str, list[dict[str, Any]]] = {
    "Ultralytics results": [
        {"image": "d/a.jpg", "name": "car", "class": 2, "confidence": 0.5, "box": {"x1": 10, "y1": 20, "x2": 40, "y2": 60}}
    ],
    "Ultralytics predictions.json": [{"image_id": "a.jpg", "category_id": 2, "bbox": [10, 20, 30, 40], "score": 0.5}],
    "a data frame": [{"path": "d/a.jpg", "xmin": 10, "ymin": 20, "xmax": 40, "ymax": 60, "confidence": 0.5, "class": 2, "name": "car"}],
    "torchvision": [{"image_id": "a.jpg", "boxes": [[10, 20, 40, 60]], "labels": [2], "scores": [0.5]}],
    "Hugging Face": [
        {"image_id": "a.jpg", "width": 99, "height": 99, "objects": {"id": [1], "bbox": [[10, 20, 30, 40]], "category": [2], "area": [1200]}}
    ],
    "detectron2": [
        {"file_name": "d/a.jpg", "height": 99, "width": 99, "annotations": [{"bbox": [10, 20, 40, 60], "bbox_mode": 0, "category_id": 2}]}
    ],
    "a row an image": [{"image": "a.jpg", "pred_boxes": [[10, 20, 40, 60]], "pred_classes": [2], "scores": [0.5]}],
    "shares": [{"file_name": "a.jpg", "image_width": 100, "image_height": 200, "cx": 0.25, "cy": 0.2, "w": 0.3, "h": 0.2, "label": "car"}],
}  # fmt: skip


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = main(["check", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_suggested_mapping_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], layout: str, form: str
):
    """Given back to the command and to the sources, it reads the box, the label, the image."""
    path = tmp_path / f"rows.{form}"
    rows = LAYOUTS[layout]
    path.write_text(json.dumps(rows) if form == "json" else "".join(json.dumps(row) + "\n" for row in rows))
    status, found = checked(capsys, str(path))
    assert status == 1
    mapping = found["suggestion"]["mapping"]
    if "labels" in mapping:
        mapping["labels"] = {"2": "car"}
    status, found = checked(capsys, str(path), "--mapping", json.dumps(mapping))

    assert (status, found["sent"], found["refused"]) == (0, 1, 0)
    (row,) = open_rows(str(path), kind="predictions", mapping=mapping)
    assert row.data["geometry"] == pytest.approx(BOX)
    assert (row.data["label"], row.data["reference_id"]) == ("car", "a.jpg")


def test_reasons_are_counted_with_their_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """And labels that are nearly the same are noted."""
    good = {"reference_id": "a", "label": "car", "type": "box", "geometry": BOX}
    rows = [good, {**good, "label": " Car"}, *[{**good, "label": number} for number in range(7)]]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, found = checked(capsys, str(path))

    assert (status, found["rows"], found["sent"], found["refused"]) == (1, 9, 2, 7)
    (reason,) = found["reasons"]
    assert (reason["count"], reason["numbers"]) == (7, [3, 4, 5, 6, 7])
    assert "labels={0: ...}" in reason["example"]
    assert any("' Car'" in note for note in found["notes"])


def test_the_command_as_a_process(tmp_path: Path):
    """With options instead of a mapping; the text is for people."""
    path = tmp_path / "rows.jsonl"
    path.write_text(
        json.dumps({"path": "d/a.jpg", "x1": 1, "y1": 2, "x2": 3, "y2": 4, "label": 0, "confidence": 0.5})
        + "\n"
    )
    names = tmp_path / "names.txt"
    names.write_text("car\n")
    command = [sys.executable, "-m", "airflow_provider_nucleus.cli.main", "check", str(path), "--box-format", "xyxy", "--labels", str(names), "--reference-id", "{path:basename}", "--min-confidence", "0.1"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert '"label": "car"' in done.stdout
    assert "1 rows: 1 would be sent, 0 refused." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mapping", "{"], "neither JSON nor YAML"),
        (["--mapping", '{"nothing": 1}'], "does not know 'nothing'"),
        (["--image-size", "wide"], "WIDTHxHEIGHT"),
        (["--labels", "[car, bus"], "--labels begins as JSON and is none"),
        (["--format", "xyz"], "choose auto, jsonl"),
    ],
)
def test_a_wrong_mapping_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments, said):
    """And status 2."""
    path = tmp_path / "rows.jsonl"
    path.write_text("{}\n")

    assert main(["check", str(path), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_labels_that_differ_in_spelling_are_noted_as_by_an_evaluation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The same rule: a dash and a blank are one difference, case is another."""
    path = tmp_path / "rows.jsonl"
    row = {"reference_id": "a", "confidence": 0.5, **BOX}
    labels = ("stop sign", "Stop-Sign", "car")
    path.write_text("".join(json.dumps({**row, "label": label}) + "\n" for label in labels))
    status, found = checked(capsys, str(path))

    assert status == 0
    assert found["notes"] == [note.text for note in label_spellings(labels)]
    assert len(found["notes"]) == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.parquet", b"PAR1 and then nothing", "cut off"),
        ("rows.parquet", b"no Parquet at all, whatever it is called", "cannot be read as Parquet"),
        ("rows.csv", b"path,x1,y1,x2,y2\n", "Write it as Parquet"),
        ("labels/train/0001.txt", b"0 0.5 0.5 0.1 0.1\n", "/labels/train/*.txt'"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, said: str
):
    """And status 2; a folder of label files is told as the glob that reads them."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)

    assert main(["check", str(tmp_path if "/" in name else path)]) == 2
    assert said in capsys.readouterr().err


def test_a_suggestion_keeps_images_of_equal_name_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Two cameras number their frames alike: by base names, objects of one would lie on images of the other."""
    corners = {"x1": 10, "y1": 20, "x2": 40, "y2": 60, "label": "car"}
    path = tmp_path / "rows.json"
    for prefix, suggested in (("/mnt/", "path:relative(/mnt/)"), ("", "path")):
        path.write_text(json.dumps([{"path": f"{prefix}{camera}/0001.jpg", **corners} for camera in "ab"]))
        _, found = checked(capsys, str(path))
        assert found["suggestion"]["mapping"]["reference_id"] == f"{{{suggested}}}"
        rows = open_rows(str(path), kind="predictions", mapping=found["suggestion"]["mapping"])
        assert [row.data["reference_id"] for row in rows] == ["a/0001.jpg", "b/0001.jpg"]


def test_rows_in_our_own_form_get_no_suggestion(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """What is wrong with them is no matter of a mapping; predictions without confidence are noted."""
    row = {"reference_id": "a", "label": "car", "type": "box", "geometry": BOX}
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(json.dumps(one) + "\n" for one in (row, {**row, "geometry": {**BOX, "width": -1}}))
    )
    status, found = checked(capsys, str(path))

    assert (status, found["sent"], found["suggestion"]) == (1, 1, None)
    assert any("1 predictions have no confidence" in note for note in found["notes"])


def test_a_file_that_is_nothing_known_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """GeoJSON has coordinates on the earth, not in an image."""
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": []}, indent=1))
    status, found = checked(capsys, str(path))

    assert status == 1
    assert "GeoJSON" in found["error"]


def test_airflow_has_the_same_command():
    """Where it takes commands of providers."""
    pytest.importorskip("airflow.cli.cli_config", reason="Airflow is not installed")
    from airflow_provider_nucleus.cli.airflow_commands import get_commands
    from airflow_provider_nucleus.get_provider_info import get_provider_info

    (group,) = get_commands()
    (command,) = group.subcommands

    assert (group.name, command.name) == ("nucleus", "check")
    assert get_provider_info()["cli"] == ["airflow_provider_nucleus.cli.airflow_commands.get_commands"]


@pytest.mark.parametrize("raw", [b"", b"PAR1" + b"x" * 20, b"[{}]", b"PAR1" + b"x" * 20 + b"PAR1"])
def test_a_damaged_parquet_file_is_told_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], raw: bytes
):
    """With the sentence of an upload, and no traceback."""
    path = tmp_path / "rows.parquet"
    path.write_bytes(raw)

    assert main(["check", str(path)]) == 2
    assert "rows.parquet: " in capsys.readouterr().err


def test_a_cell_that_cannot_be_read_is_shown_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The other rows are looked at."""
    label = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"\xffa"))
    sides = {name: [1.0, 1.0] for name in ("x", "y", "width", "height", "confidence")}
    pq.write_table(pa.table({"reference_id": ["a", "b"], "label": label, **sides}), tmp_path / "rows.parquet")

    status, found = checked(capsys, str(tmp_path / "rows.parquet"))

    assert (status, found["sent"], found["refused"]) == (1, 1, 1)
    assert "label: cannot be read" in json.dumps(found["reasons"])


def test_the_profile_is_written_where_it_is_asked_for(tmp_path, capsys):
    """A reference to begin with, from a file of a batch that was good; rows that would be refused are in no number."""
    rows = [
        {"type": "box", "label": "car", "reference_id": f"{number}", "confidence": 0.5 if number else 7,
         "geometry": {"x": 0, "y": 0, "width": 32, "height": 32}}
        for number in range(5)
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    status = main(["check", str(tmp_path / "rows.jsonl"), "--profile", str(tmp_path / "profile.json")])

    profile = Profile.model_validate(json.loads((tmp_path / "profile.json").read_text()))
    assert (status, profile.objects, profile.items_with_predictions, profile.labels) == (1, 4, 4, {"car": 4})

    assert main(["check", str(tmp_path / "rows.jsonl"), "--profile", str(tmp_path)]) == 2
    assert "cannot be written" in capsys.readouterr().err
