from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.demo.coco_folder import coco_batch, find_coco
from airflow_provider_nucleus.demo.errors import DemoError
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
    (data / "empty.json").write_text("[]")
    return data


def test_files_are_known_by_what_is_in_them(folder):
    """Truth and results are found whatever their names are; other JSON files are left alone."""
    found = find_coco(folder)

    assert found.truth.path == folder / "instances.json"
    assert [path.name for path in found.results] == ["predictions_large.json", "predictions_small.json"]
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


@pytest.mark.parametrize(
    ("crowds", "fact"),
    [
        (1, "1 object is a crowd region: it is in no count."),
        (9, "9 objects are crowd regions: they are in no count."),
    ],
)
def test_crowd_regions_are_said_to_be_in_no_count(folder, tmp_path, crowds, fact):
    """The match leaves them out; without any there is nothing to say."""
    plain = coco_batch(find_coco(folder), tmp_path / "batch")
    (row,) = TRUTH["annotations"]
    rows = [row, *({**row, "id": 2 + n, "iscrowd": 1} for n in range(crowds))]
    (folder / "instances.json").write_text(json.dumps({**TRUTH, "annotations": rows}))

    batch = coco_batch(find_coco(folder), tmp_path / "batch")

    assert fact in batch.facts
    assert not any("crowd" in known for known in plain.facts)


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

    assert [path.name for path in found.results] == ["predictions_centernet.json", "predictions_yolo.json"]
    assert found.image_folder == data
    assert found.truth.annotations == 686
    assert len(found.truth.images) == 85


def test_a_set_without_images_uses_the_addresses_of_its_ground_truth(tmp_path):
    """COCO's own addresses are used as they are, and nothing has to be written."""
    data = shared_data("coco-val2014-100")
    batch = coco_batch(find_coco(data), tmp_path)

    assert batch.images is None
    assert batch.items == data / "ground_truth.json"
    assert [model.name for model in batch.models] == ["fakebbox", "fakesegm"]
    assert any("9 objects are crowd regions" in fact for fact in batch.facts)


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
