"""Results and the ground truths they belong to: ids mean something within one file only."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.coco.entries import CocoCategories
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.sources import open_rows

if TYPE_CHECKING:
    from pathlib import Path


def truth_of(day: str, images: range = range(1, 3), label: str = "car") -> dict[str, Any]:
    return {
        "images": [{"id": number, "file_name": f"{day}-{number}.jpg", "width": 100, "height": 80} for number in images],
        "categories": [{"id": 1, "name": label}],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 1, "bbox": [number, 2, 3, 4], "iscrowd": 0}
            for number in images
        ],
    }  # fmt: skip


def results_of(truth: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"image_id": row["image_id"], "category_id": 1, "bbox": row["bbox"], "score": 0.5}
        for row in truth["annotations"]
    ]


def write(folder: Path, **documents: Any) -> dict[str, Path]:
    paths = {}
    for name, document in documents.items():
        paths[name] = folder / f"{name}.json"
        paths[name].write_text(json.dumps(document))
    return paths


def found(results: list[Path], truths: list[Path]) -> list[str]:
    rows = list(open_rows(results, kind="predictions", images=truths, categories=truths))

    assert [row.problem for row in rows if row.problem] == []
    return [f"{row.data['label']} on {row.data['reference_id']}" for row in rows]


def test_each_file_of_results_is_read_against_the_ground_truth_at_its_place(tmp_path: Path):
    """Both days number their images and classes from 1."""
    mon, tue = truth_of("mon"), truth_of("tue", label="van")
    paths = write(tmp_path, mon=mon, tue=tue, first=results_of(mon), second=results_of(tue))
    expected = ["car on mon-1.jpg", "car on mon-2.jpg", "van on tue-1.jpg", "van on tue-2.jpg"]

    assert found([paths["first"], paths["second"]], [paths["mon"], paths["tue"]]) == expected


def test_what_fits_decides_where_places_do_not(tmp_path: Path):
    """Other numbers of files, or another order: a file belongs to the only ground truth that has its images."""
    mon, tue = truth_of("mon"), truth_of("tue", range(2, 6))
    paths = write(tmp_path, mon=mon, tue=tue, r_mon=results_of(mon), r_tue=results_of(tue))
    of_mon, of_tue = ["car on mon-1.jpg", "car on mon-2.jpg"], [f"car on tue-{n}.jpg" for n in range(2, 6)]
    both = [paths["mon"], paths["tue"]]

    assert found([paths["r_tue"]], both) == of_tue
    assert found([paths["r_tue"], paths["r_mon"]], both) == of_tue + of_mon


def test_results_of_two_ground_truths_that_share_no_image_may_lie_in_one_file(tmp_path: Path):
    """The image of an object says which classes are meant."""
    mon, tue = truth_of("mon"), truth_of("tue", range(3, 5), label="van")
    paths = write(tmp_path, mon=mon, tue=tue, both=results_of(tue) + results_of(mon))
    expected = ["van on tue-3.jpg", "van on tue-4.jpg", "car on mon-1.jpg", "car on mon-2.jpg"]

    assert found([paths["both"]], [paths["mon"], paths["tue"]]) == expected


@pytest.mark.parametrize("extra", [0, 1])
def test_results_that_belong_to_no_certain_ground_truth_are_refused(tmp_path: Path, extra: int):
    """Several fit, or none does: nothing is guessed."""
    mon, tue = truth_of("mon"), truth_of("tue")
    results = results_of(truth_of("mon", range(1, 3 + extra)))
    paths = write(tmp_path, mon=mon, tue=tue, results=results)

    with pytest.raises(
        NucleusConfigError,
        match=r"results\.json has its images in (none|more than one) of the ground truths .*mon",
    ):
        found([paths["results"]], [paths["mon"], paths["tue"]])


@pytest.mark.parametrize(
    ("section", "entries", "message"),
    [
        ("images", [{"id": 1, "file_name": "a"}, {"id": "1", "file_name": "b"}], r"row 2: images\.id: 1 is the id of two images"),
        ("images", [{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}], r"row 2: images\.file_name: 'a' is the name of the images 1 and 2"),
        ("images", [{"id": 1}], r"row 1: images\.file_name: is missing"),
        ("images", [None], r"row 1: images: must be objects, got None"),
        ("categories", [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], r"row 2: categories\.id: 1 is the id of two categories"),
        ("categories", [{"id": None, "name": "a"}], r"row 1: categories\.id: is missing"),
        ("categories", None, r"categories: must be a list"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["annotations", "predictions"])
def test_ids_and_names_are_unique(tmp_path: Path, section: str, entries: Any, message: str, kind: Any):
    """Objects would land on the wrong image or class."""
    mon = truth_of("mon")
    paths = write(tmp_path, mon=mon | {section: entries}, results=results_of(mon))
    source = paths["mon"] if kind == "annotations" else paths["results"]
    truth = paths["mon"] if kind == "predictions" else None

    with pytest.raises(NucleusValidationError, match=message):
        list(open_rows(source, kind=kind, categories=truth))


def test_two_classes_of_one_name_stay_two(tmp_path: Path):
    """Their labels have the id behind them."""
    mon = truth_of("mon")
    mon["categories"].append({"id": 7, "name": "car"})
    mon["annotations"][0]["category_id"] = 7

    rows = open_rows(write(tmp_path, mon=mon)["mon"], kind="annotations")
    assert [row.data["label"] for row in rows] == ["car (7)", "car (1)"]


def test_labels_that_are_made_do_not_meet_names_that_are_given():
    """`car (1)` may be the name of a third category: it is another label than the one made for number 1."""
    categories = CocoCategories()
    for number, name in ((0, "car"), (1, "car"), (2, "car (1)")):
        categories.add({"id": number, "name": name})

    assert [one.name for one in categories.labelled().values()] == ["car (0)", "car (1) (1)", "car (1) (2)"]


def test_results_that_were_joined_are_refused(tmp_path):
    """`cat mon.json tue.json` makes two lists, of which the second would be lost."""
    truth = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [],
    }
    result = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "joined.json").write_text(json.dumps([result]) + "\n" + json.dumps([result]))
    rows = open_rows(
        tmp_path / "joined.json", kind="predictions", categories=tmp_path / "truth.json", format="coco"
    )

    with pytest.raises(NucleusValidationError, match=r"joined\.json.*were two files joined"):
        list(rows)


@pytest.mark.parametrize("number", [1, 2**63, 2**64 + 1, 2**100 + 1])
@pytest.mark.parametrize("spelling", [int, str])
def test_numbers_and_text_of_digits_are_one_id(tmp_path: Path, number: int, spelling: type):
    """Of any size, digit by digit."""
    mon = truth_of("mon")
    for row in mon["images"]:
        row["id"] += number
    for row in mon["annotations"]:
        row["image_id"] = spelling(row["image_id"] + number)
    paths = write(tmp_path, mon=mon, results=results_of(mon))

    assert found([paths["results"]], [paths["mon"]]) == ["car on mon-1.jpg", "car on mon-2.jpg"]
    assert [row.data["reference_id"] for row in open_rows(paths["mon"], kind="annotations")] == [
        "mon-1.jpg",
        "mon-2.jpg",
    ]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"version": "5", "shapes": [{"label": "a"}], "imagePath": "a.jpg"}, "labelme"),
        ({"type": "FeatureCollection", "features": []}, "GeoJSON"),
        ({"_via_settings": {}, "_via_img_metadata": {}}, "VGG Image Annotator"),
        ({"images": [], "categories": []}, "has no 'annotations'"),
        ({"images": [], "annotations": []}, "has no 'categories'"),
        ({}, "has no 'categories' and no 'images'"),
        ([{"image": "a.jpg", "annotations": []}], "CreateML"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("indent", [None, 1])
def test_a_document_that_is_not_coco_is_refused(
    tmp_path: Path, document: Any, message: str, indent: int | None
):
    """With what it lacks and what it looks like, instead of no rows and success."""
    path = tmp_path / "file.json"
    path.write_text(json.dumps(document, indent=indent))

    with pytest.raises(NucleusValidationError, match=message):
        list(open_rows(path, kind="annotations", format="coco"))


@pytest.mark.parametrize(
    ("skeleton", "drawn"),
    [
        ([[1, 2]], [[0, 1]]),
        ([[0, 1]], [[0, 1]]),
        ([["nose", "tail"]], [[0, 1]]),
        ([[1.0, 2.0]], [[0, 1]]),
        ([[1, 9]], None),
        ([["nose", "foot"]], None),
        ([[1, 2, 3]], None),
        ([[0, 2]], None),
        ([None], None),
        ("none", None),
        ([], None),
    ],
)
def test_no_row_is_lost_to_a_skeleton(
    tmp_path: Path, skeleton: Any, drawn: Any, caplog: pytest.LogCaptureFixture
):
    """One that can be drawn is, however it counts; another is left out with one warning."""
    mon = truth_of("mon")
    mon["categories"] = [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"], "skeleton": skeleton}]
    for row in mon["annotations"]:
        row["keypoints"] = [1, 2, 2, 3, 4, 1]
    path = write(tmp_path, mon=mon)["mon"]

    with caplog.at_level(logging.WARNING):
        boxes = list(open_rows(path, kind="annotations"))
        assert len(caplog.records) == (1 if drawn is None and skeleton else 0)
        points = list(open_rows(path, kind="annotations", geometry="keypoints"))

    assert [row.problem for row in boxes + points] == [None] * 4
    assert [row.data["geometry"]["skeleton"] for row in points] == [drawn] * 2


def test_names_of_other_keypoints_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A skeleton of three beside objects of two points: taken, with one warning."""
    mon = truth_of("mon")
    mon["categories"] = [{"id": 1, "name": "cat", "keypoints": ["a", "b", "c"], "skeleton": [[1, 3]]}]
    for row in mon["annotations"]:
        row["keypoints"] = [1, 2, 2, 3, 4, 1]

    rows = list(open_rows(write(tmp_path, mon=mon)["mon"], kind="annotations", geometry="keypoints"))
    assert [row.data["geometry"]["names"] for row in rows] == [["0", "1"]] * 2
    assert [row.data["geometry"]["skeleton"] for row in rows] == [None] * 2
    assert len(caplog.records) == 1


@pytest.mark.parametrize("given", [{"keypoints": []}, {}, {"keypoints": None}])
def test_an_object_without_points_is_an_ignored_one(tmp_path: Path, given: dict[str, Any]):
    """It is sent with keypoints of which none is labelled, and its box."""
    mon = truth_of("mon")
    mon["categories"] = [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"]}]
    for row in mon["annotations"]:
        row |= {"num_keypoints": 0} | given

    rows = list(open_rows(write(tmp_path, mon=mon)["mon"], kind="annotations", geometry="keypoints"))
    hidden = {"x": None, "y": None, "visible": False}
    assert [row.data["geometry"]["keypoints"] for row in rows] == [[hidden, hidden]] * 2
    assert rows[0].data["metadata"]["bbox"] == [1, 2, 3, 4]


@pytest.mark.parametrize("flag", [0, 1, 2, 0.3])
def test_the_third_number_of_results_is_no_visibility(tmp_path: Path, flag: float):
    """Some tools write 0 for every point."""
    mon = truth_of("mon")
    results = [row | {"keypoints": [1, 2, flag]} for row in results_of(mon)]
    paths = write(tmp_path, mon=mon, results=results)
    rows = open_rows(paths["results"], kind="predictions", categories=paths["mon"], geometry="keypoints")

    assert [row.data["geometry"]["keypoints"] for row in rows] == [[{"x": 1, "y": 2, "visible": True}]] * 2


def test_results_in_which_nothing_was_found_belong_anywhere(tmp_path: Path):
    """An empty list refers to no image, so it does not matter that two ground truths number theirs alike."""
    paths = write(tmp_path, mon=truth_of("mon"), tue=truth_of("tue"), none=[])

    assert (
        list(
            open_rows(
                paths["none"], kind="predictions", categories=[paths["mon"], paths["tue"]], format="coco"
            )
        )
        == []
    )


@pytest.mark.parametrize(
    ("images", "categories", "message"),
    [
        ({1: None}, {1: "car"}, "images: 1 is named None, which is no text"),
        ({1: "a.jpg"}, {1: 5}, "categories: 1 is named 5, which is no text"),
        ({1: "a.jpg", "1": "b.jpg"}, {1: "car"}, "images: 1 is there twice"),
    ],
)
def test_names_that_are_given_are_names(tmp_path: Path, images: Any, categories: Any, message: str):
    """None does not become an item of the name None."""
    results = [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]
    source = write(tmp_path, results=results)["results"]

    with pytest.raises(NucleusValidationError, match=message):
        list(open_rows(source, kind="predictions", images=images, categories=categories, format="coco"))
