"""Slices: made from ids of any kind, read back, appended to, exported, deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import nucleus as official
import pytest
from nucleus.slice import SliceBuilderFilters, SliceBuilderMethods

from tests.local.story import annotate, box, make_model, objects, predict

if TYPE_CHECKING:
    from tests.local.conftest import Api


def test_the_official_client_creates_reads_appends_and_deletes(client: official.NucleusClient, api: Api):
    """The life of a slice of items."""
    dataset = client.get_dataset(api.dataset("a", "b", "c"))
    made = dataset.create_slice("night", reference_ids=["a", "b"])

    assert made.name == "night"
    assert made.dataset_id == dataset.id
    assert [item.reference_id for item in made.items] == ["a", "b"]
    assert made.append(["b", "c"]) == {"slice_id": made.id, "new_items": ["c"]}
    assert [item.reference_id for item in made.items_generator(page_size=1)] == ["a", "b", "c"]
    assert dataset.info().slice_ids == [made.id]
    assert made.add_tags(["hard", "hard"])["tags"] == ["hard"]
    assert made.tags == ["hard"]
    assert [found.id for found in dataset.get_slices(name="night", slice_type="dataset_item")] == [made.id]
    client.delete_slice(made.id)
    assert dataset.info().slice_ids == []
    assert len(list(dataset.items_generator())) == 3


def test_both_spellings_of_a_slice_type_are_understood(api: Api):
    """Clients on Python 3.12 send the name of their enumeration."""
    dataset = api.dataset("a")
    made = api.ok("POST", f"dataset/{dataset}/create_slice", json={"name": "s", "reference_ids": ["a"]})[
        "slice_id"
    ]

    for spelling in ("dataset_item", "SliceType.DATASET_ITEM"):
        assert [s["id"] for s in api.ok("GET", f"dataset/{dataset}/slices?type={spelling}")] == [made]
    assert api.ok("GET", f"dataset/{dataset}/slices?type=SliceType.OBJECT") == []
    assert [s["id"] for s in api.ok("GET", f"dataset/{dataset}/slices?")] == [made]
    assert made in [s["id"] for s in api.ok("GET", "slice/")]


def test_an_object_slice_holds_annotations_and_predictions(client: official.NucleusClient, api: Api):
    """Objects are named by the ids that evaluation matches carry, and come back as what they are."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "car", 0), box("a", "bus", 50))
    predict(api, dataset, model, box("a", "car", 1, confidence=0.5))
    run = api.ok("GET", f"dataset/{dataset}/model_runs")[0]
    job = api.ok("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json={})["job_id"]
    api.wait(job)
    (match,) = objects(api, dataset, "iou", run)
    ids = [match["ground_truth_annotation_id"], match["model_prediction_id"]]

    made = client.get_dataset(dataset).create_slice_by_ids(
        "pair", annotation_ids=ids[:1], prediction_ids=ids[1:]
    )

    truth, prediction = made.items
    assert (truth.label, truth.x, type(truth)) == ("car", 0, official.BoxAnnotation)
    assert (prediction.x, prediction.confidence, type(prediction)) == (1, 0.5, official.BoxPrediction)
    raw = made.export_raw_json()
    assert [sorted(row) for row in raw] == [["annotation", "item"], ["item", "prediction"]]
    assert {row["item"]["reference_id"] for row in raw} == {"a"}


def test_a_slice_of_scenes_holds_scenes(api: Api):
    """Reference ids in a scene dataset name scenes first, frames otherwise."""
    dataset = api.ok("POST", "dataset/create", json={"name": "lidar", "is_scene": True})["dataset_id"]
    frame = {"lidar": {"url": "s3://b/1.json", "type": "pointcloud", "reference_id": "pc", "metadata": {}}}
    scenes = [{"reference_id": "scene", "frames": [frame], "metadata": {}}]
    job = api.upload(dataset, f"{dataset}/upload_scenes", json.dumps(scenes[0]) + "\n")
    assert api.wait(job)["status"] == "Completed"

    of_scenes = api.ok(
        "POST", f"dataset/{dataset}/create_slice", json={"name": "s", "reference_ids": ["scene"]}
    )
    of_frames = api.ok("POST", f"dataset/{dataset}/create_slice", json={"name": "f", "reference_ids": ["pc"]})

    (scene,) = api.ok("GET", f"slice/{of_scenes['slice_id']}")["items"]
    assert scene["id"].startswith("scn_")
    assert [
        i["reference_id"]
        for i in api.ok("POST", f"slice/{of_scenes['slice_id']}/itemsPage", json={})["items"]
    ] == ["pc"]
    assert api.ok("GET", f"slice/{of_frames['slice_id']}/info")["type"] == "dataset_item"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"name": "", "reference_ids": ["a"]}, "needs a name"),
        ({"name": "s"}, "allow_empty"),
        ({"name": "s", "reference_ids": ["a", "nobody"]}, "nobody"),
        ({"name": "s", "reference_ids": ["a"], "dataset_item_ids": ["di_1"]}, "members of one kind"),
        ({"name": "s", "dataset_item_ids": ["di_00000000deadbeef"]}, "di_00000000deadbeef"),
        ({"name": "s", "object_ids": ["ann_0000000000000001; DROP"]}, "ann_0000000000000001; DROP"),
        ({"name": "s", "reference_ids": [f"r{n}" for n in range(10_001)]}, "10001 ids"),
        ({"name": "s", "reference_ids": "a"}, "list of strings"),
    ],
)
def test_members_that_cannot_be_are_refused(api: Api, body: dict[str, Any], text: str):
    """Unknown ids, mixed kinds, too many ids and no ids at all: 400, and no slice is made."""
    dataset = api.dataset("a")

    answer = api("POST", f"dataset/{dataset}/create_slice", json=body)

    assert answer.status_code == 400
    assert text in answer.json()["error"]
    assert api.ok("GET", f"dataset/{dataset}/slices") == []


def test_an_empty_slice_can_be_filled_later(api: Api):
    """allow_empty makes a slice to append to; ids of items of other datasets are unknown to it."""
    dataset = api.dataset("a")
    made = api.ok("POST", f"dataset/{dataset}/create_slice", json={"name": "s", "allow_empty": 1})["slice_id"]

    api.dataset("elsewhere")
    refused = api(
        "POST", f"slice/{made}/append", json={"reference_ids": ["elsewhere"], "dataset_id": dataset}
    )
    taken = api.ok("POST", f"slice/{made}/append", json={"reference_ids": ["a", "a"], "dataset_id": dataset})

    assert refused.status_code == 400
    assert taken["new_items"] == ["a"]


def test_deleting_an_item_takes_it_out_of_its_slices(api: Api):
    """A slice never lists what is gone; deleting the dataset deletes its slices."""
    dataset = api.dataset("a", "b")
    made = api.ok("POST", f"dataset/{dataset}/create_slice", json={"name": "s", "reference_ids": ["a", "b"]})[
        "slice_id"
    ]

    api.ok("DELETE", f"dataset/{dataset}/refloc/a", json={})
    assert [item["ref_id"] for item in api.ok("GET", f"slice/{made}")["items"]] == ["b"]

    api.ok("DELETE", f"dataset/{dataset}", json={})
    assert api("GET", f"slice/{made}").status_code == 404


def test_a_slice_narrows_a_query(api: Api):
    """Evaluations can be read for the items of a slice only."""
    dataset, model = api.dataset("a", "b"), make_model(api)
    annotate(api, dataset, box("a", "car", 0), box("b", "bus", 0))
    run = predict(api, dataset, model, box("a", "car", 0), box("b", "bus", 0))
    api.wait(api.ok("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json={})["job_id"])
    made = api.ok("POST", f"dataset/{dataset}/create_slice", json={"name": "one", "reference_ids": ["b"]})[
        "slice_id"
    ]

    for query in ("slice = one", f'slice = "{made}"'):
        (match,) = objects(api, dataset, "iou", run, query=query)
        assert match["ground_truth_annotation_label"] == "bus"
    assert api.ok("GET", f"slice/{made}/class_labels") == {"data": ["bus"]}


def test_a_slice_can_be_drawn_at_random(client: official.NucleusClient, api: Api):
    """build_slice draws distinct items, from another slice if one is named; its name must be new."""
    dataset = client.get_dataset(api.dataset(*(f"r{n}" for n in range(20))))
    some = dataset.create_slice("some", reference_ids=["r1", "r2", "r3"])

    drawn = dataset.build_slice("drawn", 5, SliceBuilderMethods.RANDOM, None)
    narrow = dataset.build_slice(
        "narrow", 5, SliceBuilderMethods.RANDOM, SliceBuilderFilters(slice_id=some.id)
    )

    items = client.get_slice(drawn["slice_id"]).items
    assert len({item.reference_id for item in items}) == 5
    assert [item.reference_id for item in client.get_slice(narrow["slice_id"]).items] == ["r1", "r2", "r3"]
    with pytest.raises(official.errors.NucleusAPIError, match="already"):
        dataset.build_slice("drawn", 5, SliceBuilderMethods.RANDOM, None)
    body = {"name": "u", "sampleSize": 1, "sampleMethod": "Uniqueness", "filters": {}}
    refused = api("POST", f"dataset/{dataset.id}/build_slice", json=body)
    assert refused.status_code == 501
    assert "embeddings" in refused.json()["error"]
