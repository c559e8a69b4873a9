"""Exports give back what was uploaded, of every type, at once and in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nucleus as official
import requests
from nucleus import (
    CuboidAnnotation,
    KeypointsAnnotation,
    LineAnnotation,
    PolygonAnnotation,
    SegmentationAnnotation,
)
from nucleus.annotation import Keypoint, Point, Point3D, Segment

from airflow_provider_nucleus.local.store.views import exports
from tests.annotation_examples import NOT_OFFICIAL
from tests.local.story import annotate, box, make_model
from tests.pictures import picture

if TYPE_CHECKING:
    import pytest

    from tests.local.conftest import Api

LISTS = {"polygon", "line", "keypoints", "box", "cuboid", "category", "multicategory"}


def every_type(reference: str) -> list[Any]:
    """One annotation of each type on an item."""
    corners = [Point(0, 0), Point(10.5, 0), Point(10, 10)]
    return [
        official.BoxAnnotation("car", 1, 2, 3.5, 4, reference, annotation_id="b", metadata={"k": [1, None]}),
        PolygonAnnotation("road", corners, reference, annotation_id="p", metadata={"deep": {"a": 1}}),
        LineAnnotation("lane", corners[:2], reference, annotation_id="l"),
        KeypointsAnnotation(
            "person", [Keypoint(1, 2), Keypoint(None, None, False)], ["a", "b"], reference, [[0, 1]]
        ),
        CuboidAnnotation("car", Point3D(1, 2, 3), Point3D(4, 5, 6), 0.5, reference, annotation_id="c"),
        official.CategoryAnnotation("day", reference),
        official.MultiCategoryAnnotation(["wet", "dark"], reference),
        SegmentationAnnotation("s3://b/m.png", [Segment("road", 1)], reference, annotation_id="m"),
    ]


def test_every_annotation_comes_back_equal(client: official.NucleusClient, api: Api):
    """items_and_annotations and its generator return what was sent, type by type."""
    dataset = client.get_dataset(api.dataset("a", "empty"))
    sent = every_type("a")
    answer = dataset.annotate(sent)
    assert "errors" not in answer, answer

    at_once = dataset.items_and_annotations()
    in_pages = list(dataset.items_and_annotation_generator(page_size=1))

    for rows in (at_once, in_pages):
        assert [row["item"].reference_id for row in rows] == ["a", "empty"]
        assert not any(rows[1]["annotations"].values())
        found = rows[0]["annotations"]
        received = [*(entry for key in LISTS for entry in found[key]), found["segmentation"]]
        assert sorted(map(repr, received)) == sorted(map(repr, _as_read(sent, received)))


def _as_read(sent: list[Any], received: list[Any]) -> list[Any]:
    """What was sent, with the item id that the server adds."""
    for annotation in sent:
        if hasattr(annotation, "dataset_item_id"):
            annotation.dataset_item_id = received[0].dataset_item_id
    return sent


def test_rows_have_every_list_and_the_mask_only_if_there_is_one(api: Api):
    """Clients insist on the seven lists; an absent mask is absent."""
    dataset = api.dataset("a")
    annotate(api, dataset, box("a", "car", 0))

    (row,) = api.ok("GET", f"dataset/{dataset}/exportForTraining")["exportedRows"]

    assert set(row) == {"item", *LISTS, *NOT_OFFICIAL}
    assert row["item"]["reference_id"] == "a"
    assert row["item"]["dataset_item_id"].startswith("di_")


def test_an_export_can_be_narrowed_by_a_query(client: official.NucleusClient, api: Api):
    """Only the items of the query are exported, each with all its annotations."""
    dataset = client.get_dataset(api.dataset("a", "b"))
    dataset.annotate([official.BoxAnnotation("car", 0, 0, 1, 1, reference_id="b")])

    rows = list(dataset.items_and_annotation_generator(query="annotations.car = 1"))

    assert [(row["item"].reference_id, len(row["annotations"]["box"])) for row in rows] == [("b", 1)]


def test_predictions_of_a_slice_come_back_equal(client: official.NucleusClient, api: Api):
    """Slice exports hold the model's predictions on the items of the slice, at once and in pages."""
    dataset = client.get_dataset(api.dataset("a", "b"))
    model = client.get_model(make_model(api))
    sent = [
        official.BoxPrediction(
            "car", 1, 2, 3, 4, ref, confidence=0.5, annotation_id=ref, class_pdf={"car": 0.5, "bus": 0.5}
        )
        for ref in ("a", "b")
    ]
    dataset.upload_predictions(model, sent)
    made = dataset.create_slice("s", reference_ids=["b"])

    at_once, in_pages = made.export_predictions(model), list(made.export_predictions_generator(model))

    for rows in (at_once, in_pages):
        (row,) = rows
        (found,) = row["predictions"]["box"]
        sent[1].dataset_item_id = found.dataset_item_id
        assert found == sent[1]
    assert [row["item"].reference_id for row in made.items_and_annotations()] == ["b"]
    assert [row["item"].reference_id for row in made.items_and_annotation_generator()] == ["b"]


def test_mirrored_images_lead_to_the_stored_bytes(client: official.NucleusClient, api: Api, tmp_path):
    """chip exports and raw items give an address that serves the uploaded image; remote images keep theirs."""
    file = tmp_path / "scene.png"
    file.write_bytes(picture())
    dataset = client.create_dataset("mirrored", is_scene=False)
    dataset.append([official.DatasetItem(str(file), reference_id="local")]).sleep_until_complete(False)
    dataset.append([official.DatasetItem("https://e/1.jpg", reference_id="remote")]).sleep_until_complete(
        False
    )
    made = dataset.create_slice("s", reference_ids=["local", "remote"])

    local, remote = (row["item"] for row in dataset.items_and_annotation_generator(use_mirrored_images=True))

    assert requests.get(local.image_location, timeout=60).content == file.read_bytes()
    assert remote.image_location == "https://e/1.jpg"
    raw = made.export_raw_items()["raw_dataset_items"]
    assert [entry["ref_id"] for entry in raw] == ["local", "remote"]
    assert requests.get(raw[0]["scale_url"], timeout=60).content == file.read_bytes()


def test_an_unknown_dataset_or_model_fails_before_anything_is_sent(api: Api):
    """Exports are streamed, but an error still is a status."""
    dataset = api.dataset("a")
    made = api.ok("POST", f"dataset/{dataset}/create_slice", json={"name": "s", "reference_ids": ["a"]})[
        "slice_id"
    ]

    assert api("GET", "dataset/ds_gone/exportForTraining").status_code == 404
    assert api("GET", f"slice/{made}/prj_gone/exportForTraining").status_code == 404
    assert api.ok("GET", f"dataset/{api.dataset()}/exportForTraining") == {"exportedRows": []}


def test_a_page_ends_early_rather_than_hold_too_many_objects(
    api: Api, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    """With a budget of 5 objects pages hold one item of three each, and nothing is lost."""
    from starlette.testclient import TestClient

    from airflow_provider_nucleus.local.server import API_PREFIX, create_app
    from airflow_provider_nucleus.local.settings import Settings

    monkeypatch.setattr(exports, "OBJECTS_AT_ONCE", 5)
    with TestClient(create_app(tmp_path / "data", settings=Settings(api_key="k"))) as browser:
        browser.auth = ("k", "")

        def ok(method: str, path: str, **kwargs: Any) -> Any:
            answer = browser.request(method, f"{API_PREFIX}/{path}", **kwargs)
            assert answer.status_code == 200, answer.text
            return answer.json()

        dataset = ok("POST", "dataset/create", json={"name": "d"})["dataset_id"]
        items = [{"reference_id": ref, "image_url": "s3://b/x.jpg", "metadata": {}} for ref in "abc"]
        ok("POST", f"dataset/{dataset}/append", json={"items": items})
        boxes = [box(ref, "car", x) for ref in "abc" for x in (0, 1, 2)]
        ok("POST", f"dataset/{dataset}/annotate", json={"annotations": boxes})

        sizes, token = [], None
        while True:
            page = ok(
                "POST", f"dataset/{dataset}/exportForTrainingPage", json={"pageToken": token, "pageSize": 100}
            )
            sizes.append([len(row["box"]) for row in page["data"]])
            token = page["nextPageToken"]
            if token is None:
                break

    assert sizes == [[3], [3], [3]]
