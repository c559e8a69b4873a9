"""COCO ground truth and results as wire rows."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError
from airflow_provider_nucleus.sources import RowMapping, open_rows
from airflow_provider_nucleus.sources.files import in_folder
from tests.shared_data import shared_data

if TYPE_CHECKING:
    from pathlib import Path

TRUTH = {
    "annotations": [
        {"id": 7, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3.5, 4], "area": 14, "iscrowd": 0, "segmentation": [[0, 0, 4, 0, 4, 4]]},
        {"id": 8, "image_id": 2, "category_id": 3, "bbox": [0, 0, 2, 1], "area": 2, "iscrowd": 1, "segmentation": {"size": [2, 3], "counts": [0, 1, 1, 1, 3]}},
        {"id": 9, "image_id": 2, "category_id": 4, "segmentation": [[0, 0, 4, 0, 4, 4], [10, 10, 12, 10, 12, 13]]},
    ],
    "images": [
        {"id": 1, "file_name": "a/one.jpg", "width": 10, "height": 20},
        {"id": 2, "file_name": "a/two.jpg", "coco_url": "http://images/two.jpg", "metadata": {"light": "dusk"}},
    ],
    "categories": [{"id": 3, "name": "car"}, {"id": 4, "name": "van", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]}],
}  # fmt: skip


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(TRUTH))
    return path


def write(tmp_path: Path, results: list[dict]) -> Path:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    return path


def test_ground_truth_becomes_boxes(truth: Path):
    """Boxes keep their numbers; ids, labels, crowd flag and area come along; the images may stand behind the annotations."""
    first, crowd, rings = open_rows(truth, kind="annotations")

    assert first.data == {
        "label": "car",
        "type": "box",
        "geometry": {"x": 1, "y": 2, "width": 3.5, "height": 4},
        "reference_id": "a/one.jpg",
        "annotation_id": "coco-7",
        "metadata": {"iscrowd": 0, "area": 14},
    }
    assert crowd.data["metadata"] == {"iscrowd": 1, "area": 2}
    assert rings.data["geometry"] == {"x": 0, "y": 0, "width": 12, "height": 13}
    assert [first.number, crowd.number, rings.number] == [1, 2, 3]


def test_polygons_split_rings_and_keep_crowds_as_boxes(truth: Path):
    """One polygon per ring; a crowd's run-length mask, which is no polygon, becomes its box with the crowd flag."""
    rows = list(open_rows(truth, kind="annotations", geometry="polygon"))

    assert [row.data["type"] for row in rows] == ["polygon", "box", "polygon", "polygon"]
    assert [row.number for row in rows] == [1, 2, 3, 3]
    assert [row.data["annotation_id"] for row in rows[2:]] == ["coco-9-1", "coco-9-2"]
    assert rows[3].data["metadata"] == {"part": 2, "parts": 2}
    assert rows[3].data["geometry"]["vertices"] == [
        {"x": 10, "y": 10},
        {"x": 12, "y": 10},
        {"x": 12, "y": 13},
    ]


def test_a_run_length_mask_that_is_no_crowd_is_not_sent_as_a_box(tmp_path: Path, truth: Path):
    """Replacing a shape by its box would change what is measured, so the row is a problem."""
    results = write(
        tmp_path,
        [{"image_id": 2, "category_id": 3, "score": 0.5, "segmentation": {"size": [2, 3], "counts": [0, 6]}}],
    )
    (row,) = open_rows(results, kind="predictions", categories=truth, geometry="polygon")

    assert "is a run-length mask, which cannot be sent as polygon" in (row.problem or "")
    (box,) = open_rows(results, kind="predictions", categories=truth)
    assert box.data["geometry"] == {"x": 0, "y": 0, "width": 3, "height": 2}


def test_results_say_the_area_that_coco_tools_see(tmp_path: Path, truth: Path):
    """A polygon's is that of its box, a box's made from a mask that of the mask; what the result states is passed over."""
    ring, mask = [[0, 0, 4, 0, 4, 4]], {"size": [2, 3], "counts": [0, 1, 1, 1, 3]}
    own = {"image_id": 2, "category_id": 3, "score": 0.5, "area": 99, "iscrowd": 1}
    shapes = write(
        tmp_path, [own | {"bbox": [0, 0, 4, 5], "segmentation": ring}, own | {"segmentation": ring}]
    )
    polygons = [
        row.data for row in open_rows(shapes, kind="predictions", categories=truth, geometry="polygon")
    ]
    boxes = [row.data for row in open_rows(shapes, kind="predictions", categories=truth)]
    (drawn,) = open_rows(
        write(tmp_path, [own | {"segmentation": mask}]), kind="predictions", categories=truth
    )

    assert [row["metadata"] for row in polygons] == [{"iscrowd": 0, "area": 20.0}, {}]
    assert [row["metadata"] for row in boxes] == [{}, {}]
    assert drawn.data["geometry"] == {"x": 0, "y": 0, "width": 2, "height": 1}
    assert drawn.data["metadata"] == {"iscrowd": 0, "area": 2}


def test_results_take_names_from_the_ground_truth(tmp_path: Path, truth: Path):
    """Result rows are labelled, referenced, scored, and named by image and content."""
    results = write(
        tmp_path,
        [
            {"image_id": 2, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 0.25},
            {"image_id": 1, "category_id": 4, "bbox": [0, 0, 1, 1], "score": 0.5},
            {"image_id": 2, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 0.75},
        ],
    )
    rows = [row.data for row in open_rows(results, kind="predictions", categories=truth)]

    assert len({row["annotation_id"] for row in rows}) == 3
    assert [row["annotation_id"].rpartition("-")[0] for row in rows] == ["coco-2", "coco-1", "coco-2"]
    assert [row["label"] for row in rows] == ["car", "van", "car"]
    assert [row["confidence"] for row in rows] == [0.25, 0.5, 0.75]
    assert rows[0]["reference_id"] == "a/two.jpg"


def named(tmp_path: Path, truth: Path, results: list[dict], **arguments) -> list[str]:
    """The ids of results."""
    rows = open_rows(write(tmp_path, results), kind="predictions", categories=truth, **arguments)
    return [row.data["annotation_id"] for row in rows]


RESULT = {
    "image_id": 1,
    "category_id": 3,
    "bbox": [0, 0, 1, 1],
    "score": 0.5,
    "segmentation": [[0, 0, 4, 0, 4, 4]],
}


@pytest.mark.parametrize(
    "change",
    [
        {"image_id": 2},
        {"category_id": 4},
        {"bbox": [0, 0, 1, 2]},
        {"score": 0.25},
        {"segmentation": [[0, 0, 4, 0, 4, 5]]},
        {"keypoints": [1, 2, 2]},
        {"id": 9},
    ],
    ids=str,
)
def test_results_are_named_by_what_they_are(tmp_path: Path, truth: Path, change: dict):
    """In whichever file and order: one object has one id, and different objects of an image have different ones."""
    other = RESULT | change
    one, two = named(tmp_path, truth, [RESULT, other])

    assert one != two
    assert named(tmp_path, truth, [other, RESULT]) == [two, one]
    assert named(tmp_path, truth, [RESULT | {"more": "x"}]) == [one]


@pytest.mark.parametrize("numbered", [False, True])
def test_ids_made_of_content_are_marked(tmp_path: Path, truth: Path, numbered: bool):
    """Whoever checks the rows may number equal ones; repeated ids of the file are mistakes. A mapping changes nothing."""
    results = write(tmp_path, [RESULT | ({"id": 1} if numbered else {})] * 2)
    mapping = RowMapping(labels={"car": "auto"})
    stream = open_rows(results, kind="predictions", categories=truth, mapping=mapping)

    assert {batch.made_ids for batch in stream.batches()} == {not numbered}


def test_an_id_of_null_is_no_id(tmp_path: Path, truth: Path):
    """Results of tools that write every member: they are named by their content, not all alike, and 0 is an id."""
    other = RESULT | {"score": 0.125}
    stream = open_rows(
        write(tmp_path, [RESULT | {"id": None}, other | {"id": None}]), kind="predictions", categories=truth
    )
    batches = list(stream.batches())

    assert [row["annotation_id"] for batch in batches for row in batch.rows] == named(
        tmp_path, truth, [RESULT, other]
    )
    assert {batch.made_ids for batch in batches} == {True}
    assert named(tmp_path, truth, [RESULT | {"id": 0}]) == ["coco-0"]


def test_bad_elements_are_problems_with_reasons(tmp_path: Path, truth: Path):
    """Unknown ids, missing members and things that are no objects are each named; the good rows stay."""
    results = write(
        tmp_path,
        [
            {"image_id": 99, "category_id": 3, "bbox": [0, 0, 1, 1]},
            {"image_id": 1, "category_id": 99, "bbox": [0, 0, 1, 1]},
            {"image_id": 1, "category_id": 3},
            {"category_id": 3, "bbox": [0, 0, 1, 1]},
            {"image_id": [1], "category_id": 3, "bbox": [0, 0, 1, 1]},
            {"image_id": 1, "category_id": 3, "bbox": [0, 0, 1]},
            "what",
            {"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1]},
        ],
    )  # fmt: skip
    rows = list(open_rows(results, kind="predictions", categories=truth))

    assert list(range(1, 9)) == [row.number for row in rows]
    assert [at for at, row in enumerate(rows) if row.problem is None] == [7]
    for row, reason in zip(
        rows,
        [
            "image_id: 99 is not among the images",
            "category_id: 99 is not among the categories",
            "bbox: is missing, and there is no segmentation",
            "image_id: is missing",
            "image_id: must be a whole number or text, got [1]",
            "bbox: must be four numbers",
            "must be an object, got 'what'",
        ],
    ):
        assert reason in row.problem


def test_results_without_ground_truth_say_what_is_missing(tmp_path: Path):
    """A result file alone has no names, and the error says which argument brings them."""
    with pytest.raises(NucleusConfigError, match="categories="):
        list(open_rows(write(tmp_path, [{"image_id": 1, "category_id": 1}]), kind="predictions"))


def test_keypoints_keep_their_flags(tmp_path: Path, truth: Path):
    """Truth flags 0, 1, 2 are unlabelled, hidden, visible; a result's score above zero is visible; pairs count from 0."""
    element = {"image_id": 1, "category_id": 4, "keypoints": [1.5, 2, 1, 3, 4, 2]}
    (shown,) = open_rows(
        write(tmp_path, [element | {"score": 0.5}]),
        kind="predictions",
        categories=truth,
        geometry="keypoints",
    )
    (hidden,) = open_rows(
        write(tmp_path, [element | {"keypoints": [0, 0, 0, 3, 4, 1]}]),
        kind="annotations",
        categories=truth,
        geometry="keypoints",
    )

    assert {k: shown.data["geometry"][k] for k in ("names", "skeleton")} == {
        "names": ["nose", "tail"],
        "skeleton": [[0, 1]],
    }
    assert shown.data["geometry"]["keypoints"] == [
        {"x": 1.5, "y": 2, "visible": True},
        {"x": 3, "y": 4, "visible": True},
    ]
    assert hidden.data["geometry"]["keypoints"] == [
        {"x": None, "y": None, "visible": False},
        {"x": 3, "y": 4, "visible": False},
    ]


@pytest.mark.parametrize("folder", ["images", "images/", "/images", "s3://bucket/images"])
@pytest.mark.parametrize(
    ("location", "placed"),
    [
        ("1.png", "{}/1.png"),
        ("images_day/1.png", "{}/images_day/1.png"),
        ("images.png", "{}/images.png"),
        ("{}/1.png", "{}/1.png"),
        ("https://host/1.png", "https://host/1.png"),
        ("/elsewhere/1.png", "/elsewhere/1.png"),
    ],
)
def test_relative_locations_lie_in_the_image_folder(folder: str, location: str, placed: str):
    """Also one that merely begins with the same letters; what lies there already, or says where it lies, stays."""
    place = folder.rstrip("/")

    assert in_folder(folder, location.format(place)) == placed.format(place)
    assert in_folder(folder, in_folder(folder, location.format(place))) == placed.format(place)


def test_images_become_items(truth: Path):
    """Items carry size, metadata and address: below the image folder, or where COCO says they are."""
    first, second = (row.data for row in open_rows(truth, kind="items", image_folder="/images/"))

    assert first == {
        "reference_id": "a/one.jpg",
        "image_url": "/images/a/one.jpg",
        "metadata": {},
        "width": 10,
        "height": 20,
    }
    assert second["metadata"] == {"light": "dusk"}
    missing, remote = open_rows(truth, kind="items")
    assert "image folder" in (missing.problem or "")
    assert remote.data["image_url"] == "http://images/two.jpg"


def test_reference_ids_follow_the_template(truth: Path):
    """The template sees the image entry, with name and stem of its file, for items and annotations alike."""
    mapping = RowMapping(reference_id="{stem}-{id:04d}", labels={"car": "vehicle"})

    assert (
        next(open_rows(truth, kind="items", mapping=mapping, image_folder="x")).data["reference_id"]
        == "one-0001"
    )
    row = next(open_rows(truth, kind="annotations", mapping=mapping))
    assert (row.data["reference_id"], row.data["label"]) == ("one-0001", "vehicle")


def test_fields_cannot_be_mapped(truth: Path):
    """COCO fields are known; mapping them is refused instead of ignored."""
    with pytest.raises(NucleusConfigError, match="only labels, scores, min_confidence and reference_id"):
        list(open_rows(truth, kind="annotations", mapping={"label": "category_id"}))


def test_a_cut_file_is_an_error_not_a_shorter_one(truth: Path):
    """Half a download must not look like a small data set; a later try may find it whole."""
    truth.write_bytes(truth.read_bytes()[:-200])
    with pytest.raises(NucleusSourceError, match=r"truth\.json: the JSON, .* is cut off"):
        list(open_rows(truth, kind="annotations"))


@pytest.mark.parametrize(
    ("name", "model", "count"),
    [
        ("home-objects", "yolo", 494),
        ("coco-val2014-100", "fakebbox", 734),
        ("coco-val2014-100", "fakesegm", 734),
    ],
)
def test_real_results_are_all_read(name: str, model: str, count: int):
    """Every row of the real files comes through once, with ids that are unique per image."""
    folder = shared_data(name)
    rows = list(
        open_rows(
            folder / f"predictions_{model}.json", kind="predictions", categories=folder / "ground_truth.json"
        )
    )

    assert count == len(rows)
    assert not [row for row in rows if row.problem]
    assert max(Counter((row.data["reference_id"], row.data["annotation_id"]) for row in rows).values()) == 1


def test_real_ground_truth_is_all_read():
    """839 objects, 9 of them crowds, whose masks are the only thing that cannot be a polygon."""
    folder = shared_data("coco-val2014-100")
    boxes = list(open_rows(folder / "ground_truth.json", kind="annotations"))
    polygons = list(open_rows(folder / "ground_truth.json", kind="annotations", geometry="polygon"))

    assert 839 == len(boxes) == len({row.number for row in polygons})
    assert not [row for row in polygons if row.problem]
    assert (
        9
        == sum(row.data["metadata"]["iscrowd"] for row in boxes)
        == sum(row.data["type"] == "box" for row in polygons)
    )
