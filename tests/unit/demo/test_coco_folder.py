from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.demo.coco_batch import coco_batch, coco_numbers
from airflow_provider_nucleus.demo.coco_folder import find_coco
from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.demo.remarks import remarks
from tests.shared_data import shared_data

TRUTH = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 20, "height": 10}, {"id": 2, "file_name": "b c.jpg"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    "categories": [{"id": 1, "name": "cup"}],
}
RESULTS = [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]


@pytest.fixture
def folder(tmp_path):
    """A folder with truth, two results, and other things that are neither."""
    data = tmp_path / "mugs"
    (data / "pictures").mkdir(parents=True)
    (data / "instances.json").write_text(json.dumps(TRUTH))
    (data / "predictions_small.json").write_text(json.dumps(RESULTS))
    (data / "predictions_large.json").write_text(json.dumps(RESULTS))
    (data / "expected.json").write_text('{"images": 2}')
    (data / "names.json").write_text('["cup"]')
    return data


def test_files_are_known_by_what_is_in_them(folder):
    """Truth and results are found whatever their names are; other JSON files are left alone."""
    found = find_coco(folder)

    assert found.truth.path == folder / "instances.json"
    assert [results.path.name for results in found.results] == [
        "predictions_large.json",
        "predictions_small.json",
    ]
    assert found.image_folder is None


def test_images_are_found_in_a_sub_folder(folder):
    """The folder that holds all file names is the image folder."""
    for name in ("a.jpg", "b c.jpg"):
        (folder / "pictures" / name).write_bytes(b"")

    assert find_coco(folder).image_folder == folder / "pictures"


def test_some_missing_images_are_an_error_that_names_one(folder):
    """Half an image folder is a mistake, not a choice."""
    (folder / "pictures" / "a.jpg").write_bytes(b"")

    with pytest.raises(DemoError, match=r"1 of 2 images .* b c\.jpg for one"):
        find_coco(folder)


def test_without_image_files_items_get_addresses(folder, tmp_path):
    """No file is needed then: every item has an https address that resolves nowhere, and the facts say so."""
    batch = coco_batch(find_coco(folder), tmp_path / "batch")
    rows = [json.loads(line) for line in batch.items.read_text().splitlines()]

    assert batch.images is None
    assert rows[0] == {
        "metadata": {},
        "reference_id": "a.jpg",
        "image_url": "https://images.invalid/a.jpg",
        "width": 20,
        "height": 10,
    }
    assert rows[1]["image_url"] == "https://images.invalid/b%20c.jpg"
    assert any("No image files" in fact for fact in batch.facts)


def test_crowd_regions_are_said_to_be_in_no_count(folder, tmp_path):
    """The match leaves them out; without any there is nothing to say."""
    plain = report_of(folder, tmp_path)
    (row,) = TRUTH["annotations"]
    rows = [row, *({**row, "id": 2 + n, "iscrowd": 1} for n in range(9))]
    (folder / "instances.json").write_text(json.dumps({**TRUTH, "annotations": rows}))

    notes = "\n".join(remarks(report_of(folder, tmp_path)))

    assert "instances.json: 9 x crowd region" in notes
    assert "crowd" not in "\n".join(remarks(plain))


def report_of(folder, tmp_path):
    found = find_coco(folder)
    return coco_numbers(found, coco_batch(found, tmp_path / "batch"), iou_threshold=0.5)


def test_an_empty_list_is_a_model_that_found_nothing(folder, tmp_path):
    """It stays in the comparison, with everything missed."""
    (folder / "predictions_none.json").write_text("[]")
    batch = coco_batch(find_coco(folder), tmp_path / "batch")
    counts = report_of(folder, tmp_path)["models"]["none"]["nucleus"]

    assert [model.name for model in batch.models] == ["large", "none", "small"]
    assert "predictions_none.json is an empty list: taken for a model that found nothing." in batch.facts
    assert (counts["tp"], counts["fp"], counts["fn"]) == (0, 0, 1)


def test_every_guess_is_a_sentence(folder, tmp_path):
    """Which file is what, what is compared, whose labels and ids."""
    (folder / "other.json").write_text('{"shapes": [], "imagePath": "a.jpg"}')
    facts = coco_batch(find_coco(folder), tmp_path / "batch").facts

    assert facts[:-1] == (
        "Ground truth: instances.json, 2 images.",
        "No COCO, left alone: expected.json, names.json, other.json (a labelme file, one image each).",
        "Boxes are compared, as no --geometry was given.",
        "Labels are the names of the 1 category; category ids of the results are those of instances.json.",
        "No image files and no addresses: items are registered under https://images.invalid/..., which shows nothing.",
        "Model large: predictions_large.json.",
    )


def test_categories_without_a_name_and_of_one_name(folder, tmp_path):
    """What became of them is said, because labels are what is compared."""
    categories = [{"id": 1, "name": "cup"}, {"id": 2}, {"id": 3, "name": "jug"}, {"id": 4, "name": "jug"}]
    (folder / "instances.json").write_text(json.dumps({**TRUTH, "categories": categories}))
    facts = coco_batch(find_coco(folder), tmp_path / "batch").facts

    assert "1 category has no name of its own; the id is the label: 2." in facts
    assert "Categories of one name have their id behind it: jug (3), jug (4)." in facts


KEYPOINTS = [{"image_id": 1, "category_id": 1, "keypoints": [2, 3, 2, 4, 5, 2], "score": 0.5}]


def with_keypoints(folder):
    row = {**TRUTH["annotations"][0], "keypoints": [2, 3, 2, 4, 5, 2], "num_keypoints": 2, "area": 12}
    (folder / "instances.json").write_text(json.dumps({**TRUTH, "annotations": [row]}))
    (folder / "predictions_small.json").write_text(json.dumps(KEYPOINTS))


def test_a_model_that_cannot_be_compared_is_left_out_by_name(folder, tmp_path):
    """Boxes and keypoints cannot be compared with each other; the way to compare the other is named."""
    with_keypoints(folder)
    boxes = coco_batch(find_coco(folder), tmp_path / "batch")
    points = coco_batch(find_coco(folder), tmp_path / "batch", shape="keypoints")
    row = json.loads(points.models[0].path.read_text())

    assert [model.name for model in boxes.models] == ["large"]
    assert "predictions_small.json has no boxes: left out; --geometry keypoints compares it." in boxes.facts
    assert [model.name for model in points.models] == ["small"]
    assert row["type"] == "keypoints"
    assert row["reference_id"] == "a.jpg"


def test_keypoints_are_compared_where_no_model_has_boxes(folder, tmp_path):
    """Without being asked for, and said."""
    with_keypoints(folder)
    (folder / "predictions_large.json").unlink()
    batch = coco_batch(find_coco(folder), tmp_path / "batch")

    assert batch.shape == "keypoints"
    assert "Keypoints are compared, as no --geometry was given." in batch.facts


def test_what_no_model_has_cannot_be_compared(folder, tmp_path):
    """The error says what each has."""
    with pytest.raises(DemoError, match=r"as polygons .*predictions_large\.json: boxes"):
        coco_batch(find_coco(folder), tmp_path / "batch", shape="polygon")


def test_a_row_that_cannot_be_read_is_named_before_anything_starts(folder, tmp_path):
    """File, row and field."""
    (folder / "predictions_small.json").write_text(json.dumps([*RESULTS, {**RESULTS[0], "bbox": [1, 2, 3]}]))

    with pytest.raises(DemoError, match=r"predictions_small\.json: row 2: bbox: must be four numbers"):
        report_of(folder, tmp_path)


@pytest.mark.parametrize(
    ("name", "model", "shape", "number"),
    [
        ("home-objects", "yolo", None, 0.149298), ("home-objects", "centernet", None, 0.095640),
        ("coco-val2014-100", "fakebbox", None, 0.504581), ("coco-val2014-100", "fakesegm", None, 0.482892),
        ("coco-keypoints-4", "pose", "keypoints", 0.860890), ("coco-keypoints-4", "wholebody", "keypoints", 0.937603),
        ("coco-keypoints-4", "detections_person", None, 0.789121), ("kitti-cuboids", "boxes2d_rrc", None, 0.515165),
        ("shapes-polygons", "predictions", None, 0.694719), ("spacenet-buildings", "predictions", "polygon", 0.118921),
    ],
)  # fmt: skip
def test_real_sets_have_the_published_ap(tmp_path, name, model, shape, number):
    """As the reference tools give it, to the six digits that the collection lists."""
    found = find_coco(shared_data(name))
    batch = coco_batch(found, tmp_path / "batch", shape=shape)
    report = coco_numbers(found, batch, iou_threshold=0.5)

    assert report["models"][model]["AP"] == pytest.approx(number, abs=6e-7)


@pytest.mark.parametrize("name", ["ade20k-sample", "davis-masks", "digits-categories"])
def test_real_sets_that_are_no_coco_are_refused_by_name(name):
    """Masks as pictures, categories: the files that were seen are named."""
    with pytest.raises(DemoError, match=r"No COCO ground truth .*expected\.json"):
        find_coco(shared_data(name))


def test_models_are_named_after_the_result_files(folder, tmp_path):
    """Common prefixes are dropped, and the model ids name the data set."""
    batch = coco_batch(find_coco(folder), tmp_path / "batch")

    assert [model.name for model in batch.models] == ["large", "small"]
    assert [model.reference_id for model in batch.models] == ["demo-mugs-large", "demo-mugs-small"]
    assert batch.dataset_name == "demo-mugs"


def test_two_ground_truths_are_ambiguous(folder):
    """The error names both."""
    (folder / "other.json").write_text(json.dumps(TRUTH))

    with pytest.raises(DemoError, match=r"more than one COCO ground truth: instances\.json, other\.json"):
        find_coco(folder)


def test_no_ground_truth_says_what_was_expected_and_seen(folder):
    """Results alone are not enough."""
    (folder / "instances.json").unlink()

    with pytest.raises(DemoError, match=r"No COCO ground truth .* predictions_small\.json"):
        find_coco(folder)


def test_no_results_is_an_error(folder):
    """Truth alone is not enough."""
    for path in folder.glob("predictions_*"):
        path.unlink()

    with pytest.raises(DemoError, match="no results to evaluate"):
        find_coco(folder)


def test_a_missing_folder_is_an_error(tmp_path):
    """The message names it."""
    with pytest.raises(DemoError, match="nowhere"):
        find_coco(tmp_path / "nowhere")


def test_broken_json_is_an_error_that_names_the_file(folder):
    """A file that stops in the middle is not silently left out."""
    (folder / "predictions_small.json").write_text('[{"image_id": 1, "cat')

    with pytest.raises(DemoError, match=r"predictions_small\.json cannot be read"):
        find_coco(folder)


def test_an_image_without_a_name_is_an_error(folder):
    """Its name would become the reference id."""
    (folder / "instances.json").write_text(json.dumps(TRUTH | {"images": [{"id": 1}]}))

    with pytest.raises(DemoError, match=r"instances\.json: image 1: images\.file_name: is missing"):
        find_coco(folder)


def test_home_objects_are_understood():
    """Two detectors and all images of a real set."""
    data = shared_data("home-objects")
    found = find_coco(data)

    assert [results.path.name for results in found.results] == [
        "predictions_centernet.json",
        "predictions_yolo.json",
    ]
    assert found.image_folder == data
    assert len(found.truth.images) == 85


def test_a_set_without_images_uses_the_addresses_of_its_ground_truth(tmp_path):
    """COCO's own addresses are used as they are, and nothing has to be written."""
    data = shared_data("coco-val2014-100")
    batch = coco_batch(find_coco(data), tmp_path)

    assert batch.images is None
    assert batch.items == data / "ground_truth.json"
    assert [model.name for model in batch.models] == ["fakebbox", "fakesegm"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": [{"id": 1, "file_name": "a.jpg"}, {"id": "1", "file_name": "b.jpg"}]}, r"image 2: images\.id: 1 is the id of two images"),
        ({"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "a.jpg"}]}, r"image 2: images\.file_name: 'a\.jpg' is the name"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, r"category 2: categories\.id: 1 is the id of two categories"),
    ],
)  # fmt: skip
def test_what_an_upload_would_refuse_is_refused_before(folder, change, words):
    """By the same rules and in the same words."""
    (folder / "instances.json").write_text(json.dumps(TRUTH | change))

    with pytest.raises(DemoError, match=words):
        find_coco(folder)


def test_files_of_other_tools_are_named(tmp_path):
    """A folder of labelme files is said to be one."""
    (tmp_path / "a.json").write_text(json.dumps({"shapes": [], "imagePath": "a.jpg"}))

    with pytest.raises(DemoError, match=r"a\.json \(a labelme file"):
        find_coco(tmp_path)
