"""Loading COCO files: id spaces, what is left out, and what is refused."""

from __future__ import annotations

import orjson
import pytest

from airflow_provider_nucleus.evaluation.coco_files import json
from airflow_provider_nucleus.evaluation.coco_files.bulk import read_box_rows
from airflow_provider_nucleus.evaluation.coco_files.json import CocoFormatError, read_results, read_truth


def document(**changes):
    base = {
        "images": [{"id": 10, "width": 20, "height": 20}, {"id": "9", "width": 20, "height": 20}],
        "categories": [{"id": 2, "name": "b"}, {"id": 1, "name": "a"}],
        "annotations": [{"id": 5, "image_id": "10", "category_id": 2, "bbox": [0, 0, 4, 5]}],
    }
    return orjson.dumps(base | changes)


RESULT = {"image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}


def test_ids_written_as_numbers_or_as_digits_are_the_same_ids():
    """10 and "10" are one image; images are coded in numeric order, so 9 comes before 10."""
    truth = read_truth(document())
    results = read_results(orjson.dumps([RESULT, RESULT | {"image_id": "10", "category_id": "2"}]), truth)

    assert truth.images.ids == (9, 10)
    assert truth.columns.image.tolist() == [1]
    assert truth.vocabulary.names == ("a", "b")
    assert results.columns.image.tolist() == [0, 1]
    assert results.columns.label.tolist() == [0, 1]


def test_text_ids_are_ordered_as_text():
    """One id that is no number makes the order that of the texts."""
    images = [{"id": "b"}, {"id": "a"}, {"id": 3}]
    truth = read_truth(document(images=images, annotations=[]))

    assert truth.images.ids == (3, "a", "b")
    assert read_results(orjson.dumps([RESULT | {"image_id": "b"}]), truth).columns.image.tolist() == [2]


def test_categories_of_the_same_name_stay_apart():
    """Two categories called alike are two labels."""
    truth = read_truth(document(categories=[{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]))

    assert truth.vocabulary.names == ("a (1)", "a (2)")


def test_rows_that_belong_nowhere_are_left_out_and_counted():
    """An annotation of an unlisted image or category, a result of an unknown category."""
    row = {"id": 1, "image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]}
    truth = read_truth(
        document(annotations=[row, row | {"id": 2, "image_id": 77}, row | {"id": 3, "category_id": 77}])
    )
    results = read_results(orjson.dumps([RESULT, RESULT | {"category_id": 77}]), truth)

    assert len(truth.columns) == 1
    assert list(truth.excluded.values()) == [1, 1]
    assert len(results.columns) == 1
    assert list(results.excluded.values()) == [1]


def test_a_missing_area_is_that_of_the_box():
    """COCO's area field wins; without it the box decides."""
    rows = [{"id": k, "image_id": 9, "category_id": 1, "bbox": [0, 0, 4, 5]} for k in (1, 2)]
    rows[1]["area"] = 7

    assert read_truth(document(annotations=rows)).columns.area.tolist() == [20.0, 7.0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": None}, "no list 'images'"),
        ({"images": [{"id": 1}, {"id": "1"}]}, "image id 1 appears twice"),
        ({"images": [{}]}, "no id"),
        ({"images": [{"id": True}]}, "not an id"),
        ({"images": [{"id": 1.5}]}, "not an id"),
        ({"annotations": [{"id": 5, "image_id": 9, "category_id": 1}]}, r"row 0 \(id 5\) has no 'bbox'"),
        ({"annotations": [{"id": 5, "category_id": 1}]}, "row 0 has no 'image_id'"),
        (
            {"annotations": [{"id": 5, "image_id": 9, "category_id": 1, "bbox": [1, 2, 3]}]},
            r"row 0 \(id 5\).*four",
        ),
        (
            {"annotations": [{"id": 5, "image_id": 9, "category_id": 1, "bbox": [1, 2, 3, -4]}]},
            r"\(id 5\).*box",
        ),
        (
            {"annotations": [{"id": 5, "image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4], "area": -1}]},
            "area",
        ),
        (
            {
                "annotations": [
                    {"id": 5, "image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4], "area": "big"}
                ]
            },
            "area must be a number",
        ),
        ({"images": [{"id": 9, "width": "wide"}]}, "width and height of images"),
    ],
)
def test_broken_ground_truth_is_refused(change, words):
    """Each message says where and what."""
    with pytest.raises(CocoFormatError, match=words):
        read_truth(document(**change))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[{", "not JSON"),
        (b'[{"image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4], "score": NaN}]', "NaN"),
        (b"{}", "not a COCO result list"),
        (b"[1]", "not a COCO result list"),
        (orjson.dumps([RESULT | {"image_id": 77}]), r"result 0: image 77.*belong together"),
        (orjson.dumps([RESULT | {"bbox": [1, 2, 3, "x"]}]), "row 0"),
        (orjson.dumps([RESULT | {"bbox": [1, 2, 3, -1]}]), "row 0"),
        (orjson.dumps([RESULT | {"score": "high"}]), "score is 'high'"),
        (orjson.dumps([RESULT | {"score": "0.9"}]), r"row 0 .*score is '0.9', not a number"),
        (orjson.dumps([RESULT | {"score": True}]), "score is True"),
        (orjson.dumps([RESULT | {"category_id": [1]}]), r"category_id: \[1\] is not an id"),
        (orjson.dumps([{"image_id": 9, "category_id": 1}]), "no 'bbox'"),
    ],
)
def test_broken_results_are_refused(content, words):
    """Results are untrusted input: the file and the row are named."""
    with pytest.raises(CocoFormatError, match=words):
        read_results(content, read_truth(document()))


SQUARE = [[0, 0, 4, 0, 4, 4, 0, 4]]


@pytest.mark.parametrize(
    "more", [{}, {"segmentation": None}, {"segmentation": []}], ids=["no", "null", "empty"]
)
def test_masks_need_a_segmentation_in_every_annotation(more):
    """A box is no mask: ground truth without one is refused by name, as pycocotools stumbles over it."""
    row = {"id": 5, "image_id": 9, "category_id": 1, "bbox": [0, 0, 4, 4]}
    truth = document(
        annotations=[row | {"id": 4, "segmentation": SQUARE}, row | more, row | {"id": 6} | more]
    )

    with pytest.raises(
        CocoFormatError, match=r"row 1 \(id 5\) has no 'segmentation' \(2 annotations like it\).*bbox"
    ):
        read_truth(truth, iou_type="segm")
    assert len(read_truth(truth).columns) == 3


def test_results_that_are_boxes_are_masks_of_their_box_and_counted():
    """As in pycocotools, where the first result has a box; without one every result needs a segmentation."""
    row = {"id": 5, "image_id": 9, "category_id": 1, "bbox": [0, 0, 4, 4], "segmentation": SQUARE}
    truth = read_truth(document(annotations=[row]), iou_type="segm")
    mask = {"image_id": 9, "category_id": 1, "segmentation": SQUARE, "score": 0.5}

    boxes = read_results(orjson.dumps([RESULT, RESULT | mask, RESULT]), truth)
    assert boxes.columns.area.tolist() == [12.0, 12.0, 12.0]
    assert boxes.columns.geometry.area.tolist() == [12.0, 16.0, 12.0]
    assert [(note.note, note.count) for note in boxes.notes] == [("boxes_as_masks", 2)]
    assert "box" in boxes.notes[0].text
    assert read_results(orjson.dumps([mask]), truth).notes == ()
    with pytest.raises(CocoFormatError, match=r"row 1 .*has no 'segmentation'"):
        read_results(orjson.dumps([mask, RESULT]), truth)


def test_results_on_a_ground_truth_without_images_belong_elsewhere():
    """An empty list of images is no error of its own."""
    truth = read_truth(document(images=[], annotations=[]))

    assert len(read_results(b"[]", truth).columns) == 0
    with pytest.raises(CocoFormatError, match="belong together"):
        read_results(orjson.dumps([RESULT]), truth)


def test_ground_truth_that_is_a_list_is_refused():
    """The two files handed over the wrong way round."""
    with pytest.raises(CocoFormatError, match="is a list"):
        read_truth(orjson.dumps([RESULT]))


@pytest.mark.parametrize(
    "row",
    [
        RESULT,
        RESULT | {"image_id": "10", "extra": {"a": [1]}},
        {key: value for key, value in RESULT.items() if key != "score"},
        RESULT | {"category_id": 77},
        RESULT | {"bbox": [1, 2, 3]},
        RESULT | {"bbox": [1, 2, 3, -1]},
        RESULT | {"image_id": 77},
        RESULT | {"image_id": 9.5},
        {"image_id": 9, "category_id": 1, "score": 0.5, "segmentation": [[0, 0, 5, 0, 5, 5]]},
    ],
)
def test_large_files_are_read_like_small_ones(row, tmp_path, monkeypatch):
    """The columns read by DuckDB, or the error, are those of the reader by rows."""
    path = tmp_path / "results.json"
    path.write_bytes(orjson.dumps([RESULT] * 3 + [row]))
    truth = read_truth(document())

    def outcome():
        try:
            read = read_results(path, truth)
        except CocoFormatError as error:
            return str(error)
        side = read.columns
        return (
            side.image.tolist(), side.label.tolist(), str(side.confidence.tolist()), side.area.tolist(), read.excluded
        )  # fmt: skip

    by_rows = outcome()
    monkeypatch.setattr(json, "BULK_BYTES", 0)

    assert by_rows == outcome()


def test_plain_files_are_read_in_bulk(tmp_path):
    """The fast way is really taken for the common form."""
    path = tmp_path / "results.json"
    path.write_bytes(orjson.dumps([RESULT] * 5))

    rows = read_box_rows(path)

    assert rows.image_id.tolist() == [9] * 5
    assert rows.boxes.height.tolist() == [4.0] * 5
