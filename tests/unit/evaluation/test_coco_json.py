"""Loading COCO files: id spaces, what is left out, and what is refused."""

from __future__ import annotations

import gzip
from json import dumps, loads

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
    return dumps(base | changes).encode()


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


ROW = {"id": 5, "image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": None}, "images: must be a list"),
        ({"images": [{"id": 1}, {"id": "1"}]}, r"row 2: images\.id: 1 is the id of two images"),
        ({"images": [{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}]}, r"row 2: images\.file_name: 'a' is the name of"),
        ({"images": [{}]}, r"row 1: images\.id: is missing"),
        ({"images": [{"id": True}]}, r"images\.id: must be a whole number or text, got True"),
        ({"images": [{"id": 1.5}]}, r"images\.id: must be a whole number or text, got 1\.5"),
        ({"images": [{"id": 9, "width": "wide"}]}, r"row 1: images\.width: must be a whole number"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, r"row 2: categories\.id: 1 is the id of two categories"),
        ({"annotations": [{"id": 5, "image_id": 9, "category_id": 1}]}, "row 1: bbox: is missing"),
        ({"annotations": [ROW, {"id": 6, "category_id": 1}]}, "row 2: image_id: is missing"),
        ({"annotations": [ROW, None]}, "row 2: must be an object, got None"),
        ({"annotations": [ROW, ROW]}, "row 2: id: 5 is the id of two objects of image 9"),
        ({"annotations": [ROW | {"category_id": None}]}, "row 1: category_id: is missing"),
        ({"annotations": [ROW | {"bbox": [1, 2, 3]}]}, "row 1: bbox: must be four numbers"),
        ({"annotations": [ROW | {"bbox": [1, 2, 3, -4]}]}, "row 1: bbox: width and height must not be negative"),
        ({"annotations": [ROW | {"bbox": [1, 2, 3, 1e300]}]}, r"row 1: bbox: .*1e\+300 is too large for a coordinate"),
        ({"annotations": [ROW | {"area": -1}]}, "row 1: area: must be a finite number from 0"),
        ({"annotations": [ROW | {"area": 10**400}]}, "row 1: area: must be a finite number from 0"),
        ({"annotations": [ROW | {"area": "big"}]}, "row 1: area: must be a finite number from 0, got 'big'"),
        ({"annotations": [ROW, ROW | {"id": 6, "bbox": [2**53 + 1, 2, 3, 4]}]}, "row 2: bbox: .* too large for a coordinate"),
        ({"annotations": [ROW | {"id": "\ud800"}]}, "row 1: id: contains half of a surrogate pair"),
        ({"annotations": [ROW | {"iscrowd": "0"}]}, "row 1: iscrowd: must be 0 or 1, got '0'"),
    ],
)  # fmt: skip
def test_broken_ground_truth_is_refused(change, words):
    """Each message says where and what."""
    with pytest.raises(CocoFormatError, match=words):
        read_truth(document(**change))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[{", "not JSON"),
        (b'[{"image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4], "score": NaN}]', "row 1: score: must be a finite number, got nan"),
        (b'[{"image_id": 9, "category_id": 1, "bbox": [1, 2, Infinity, 4], "score": 1}]', "row 1: bbox: .* inf is not a finite number"),
        (b"{}", "not a COCO result list"),
        (b"[1]", "row 1: must be an object, got 1"),
        (orjson.dumps([RESULT, RESULT | {"image_id": 77}]), r"row 2: image_id: 77 is not among the images of the document .*belong together"),
        (orjson.dumps([RESULT | {"bbox": [1, 2, 3, "x"]}]), "row 1: bbox: .*'x' is not a finite number"),
        (orjson.dumps([RESULT | {"bbox": [1, 2, 3, -1]}]), "row 1: bbox"),
        (orjson.dumps([RESULT | {"score": "high"}]), "row 1: score: must be a finite number, got 'high'"),
        (orjson.dumps([RESULT | {"score": "0.9"}]), "row 1: score: must be a finite number, got '0.9'"),
        (orjson.dumps([RESULT | {"score": -(2**53) - 1}]), "row 1: score: .* too large for a score"),
        (orjson.dumps([RESULT | {"bbox": [2**53 + 1, 2, 3, 4]}]), "row 1: bbox: .* too large for a coordinate"),
        (orjson.dumps([RESULT | {"score": True}]), "row 1: score: must be a finite number, got True"),
        (orjson.dumps([RESULT | {"category_id": [1]}]), r"row 1: category_id: must be a whole number or text, got \[1\]"),
        (orjson.dumps([{"image_id": 9, "category_id": 1}]), "row 1: bbox: is missing"),
        (orjson.dumps([{"image": "a.jpg", "annotations": []}]), "CreateML"),
    ],
)  # fmt: skip
def test_broken_results_are_refused(content, words):
    """Results are untrusted input: the file and the row are named."""
    with pytest.raises(CocoFormatError, match=words):
        read_results(content, read_truth(document()))


def test_a_keypoint_object_with_a_box_that_is_none_is_refused():
    """An empty list is no box; a list in a list is a broken one."""
    row = ROW | {"keypoints": [1, 1, 2], "num_keypoints": 1}
    with pytest.raises(CocoFormatError, match=r"row 1: bbox: must be four numbers .* got \[\[\]\]"):
        read_truth(document(annotations=[row | {"bbox": [[]]}]), iou_type="keypoints")

    assert len(read_truth(document(annotations=[row | {"bbox": []}]), iou_type="keypoints").columns) == 1


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
        CocoFormatError, match=r"row 2: segmentation: is missing \(2 annotations like it\).*bbox"
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
    with pytest.raises(CocoFormatError, match=r"row 2: segmentation: is missing"):
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
        RESULT | {"image_id": 9.0},
        RESULT | {"image_id": 2**64 + 9},
        RESULT | {"score": "0.9"},
        RESULT | {"score": True},
        RESULT | {"score": None},
        RESULT | {"score": 1e300},
        RESULT | {"bbox": [1, 2, "3", 4]},
        RESULT | {"bbox": [1, 2, True, 4]},
        RESULT | {"bbox": [1, 2, None, 4]},
        RESULT | {"bbox": [1, 2, 1e300, 4]},
        RESULT | {"bbox": None},
        RESULT | {"id": 7},
        RESULT | {"segmentation": [], "note": "n"},
        {"image_id": 9, "category_id": 1, "score": 0.5, "segmentation": [[0, 0, 5, 0, 5, 5]]},
    ],
)
def test_large_files_are_read_like_small_ones(row, tmp_path, monkeypatch):
    """The columns read by DuckDB, or the error, are those of the reader by rows."""
    path = tmp_path / "results.json"
    path.write_text(dumps([RESULT] * 3 + [row]))
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


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_refused_in_files_of_any_size(number, tmp_path, monkeypatch):
    """With row and field, by the reader of large files as well."""
    path = tmp_path / "results.json"
    path.write_text(dumps([RESULT, RESULT]).replace("0.5}]", f"{number}}}]"))
    for least in (json.BULK_BYTES, 0):
        monkeypatch.setattr(json, "BULK_BYTES", least)
        with pytest.raises(CocoFormatError, match=r"results\.json: row 2: score: must be a finite number"):
            read_results(path, read_truth(document()))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda text: b"\xef\xbb\xbf" + text])
def test_files_are_read_compressed_and_with_a_byte_order_mark(pack, tmp_path):
    """As uploads read them."""
    path, other = tmp_path / "truth.json", tmp_path / "results.json"
    path.write_bytes(pack(document()))
    other.write_bytes(pack(orjson.dumps([RESULT])))

    assert len(read_results(other, read_truth(path)).columns) == 1


def test_utf_16_is_named(tmp_path):
    """Not a character position of what is no UTF-8."""
    path = tmp_path / "truth.json"
    path.write_bytes(document().decode().encode("utf-16"))

    with pytest.raises(CocoFormatError, match=r"truth\.json: is not JSON: .*UTF-16"):
        read_truth(path)


@pytest.mark.parametrize("number", [2**63, 2**64 + 1, -(2**63) - 1, 2**100 + 1])
def test_ids_of_any_size_are_exact(number):
    """Neighbours beyond 64 bits are two images."""
    images = [{"id": number}, {"id": number + 1}]
    truth = read_truth(dumps(loads(document(annotations=[])) | {"images": images}).encode())
    results = [RESULT | {"image_id": number + 1}, RESULT | {"image_id": str(number)}]

    assert read_results(dumps(results).encode(), truth).columns.image.tolist() == [1, 0]
