"""Our own routes with scores that charts have no place for: COCO's numbers, masks, categories; edges of each."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
from PIL import Image

from tests.local.story import annotate, box, make_model, predict
from tests.local.test_evaluation_geometries import evaluate

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus
    from tests.local.conftest import Api

ROUTES = ("coco", "masks", "categories")


class Own:
    """GETs below /ui/api/evaluations."""

    def __init__(self, nucleus: LocalNucleus) -> None:
        self.base, self.key = f"{nucleus.base_url}/ui/api/evaluations", nucleus.api_key

    def __call__(self, evaluation: str, name: str, **query: Any) -> requests.Response:
        asked = {key: json.dumps(value) if key == "filters" else value for key, value in query.items()}
        return requests.get(f"{self.base}/{evaluation}/{name}", params=asked, auth=(self.key, ""), timeout=60)

    def ok(self, evaluation: str, name: str, **query: Any) -> Any:
        answer = self(evaluation, name, **query)
        assert answer.ok, answer.text
        return answer.json()

    def refused(self, evaluation: str, name: str, *, status: int = 400, **query: Any) -> str:
        answer = self(evaluation, name, **query)
        assert answer.status_code == status, answer.text
        return str(answer.json()["error"])


@pytest.fixture
def own(nucleus: LocalNucleus) -> Own:
    return Own(nucleus)


def item(name: str, *, metadata: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"reference_id": name, "image_url": f"s3://b/{name}", "metadata": metadata or {}, **more}


def dataset_of(api: Api, *items: dict[str, Any]) -> tuple[str, str]:
    """Return a dataset with items, and a model."""
    dataset = api.dataset()
    api.ok("POST", f"dataset/{dataset}/append", json={"items": list(items), "update": False})
    return dataset, make_model(api)


def shape(kind: str, geometry: dict[str, Any], name: str, **more: Any) -> dict[str, Any]:
    return {
        "type": kind, "label": "person", "reference_id": "a", "annotation_id": name, "geometry": geometry, **more
    }  # fmt: skip


def points(*xy: tuple[float, float]) -> dict[str, Any]:
    return {
        "keypoints": [{"x": x, "y": y, "visible": True} for x, y in xy],
        "names": [str(number) for number in range(len(xy))],
        "skeleton": [],
    }


def triangle(*xy: tuple[float, float]) -> dict[str, Any]:
    return {"vertices": [{"x": x, "y": y} for x, y in xy]}


def test_families_that_share_a_label_have_numbers_of_their_own(api: Api, own: Own):
    """Boxes found, keypoints not predicted: AP of boxes is 1 and of keypoints 0; cuboids have no sizes."""
    dataset, model = dataset_of(api, item("a"))
    corner = {"x": 0, "y": 0, "width": 10, "height": 10}
    solid = {"position": {"x": 0, "y": 0, "z": 0}, "dimensions": {"x": 4, "y": 2, "z": 1}, "yaw": 0}
    annotate(
        api, dataset, shape("box", corner, "b"), shape("keypoints", points((0, 0), (9, 9)), "k"),
        shape("cuboid", solid, "c"),
    )  # fmt: skip
    raised = {**solid, "position": {"x": 0, "y": 0, "z": 0.5}}
    run = predict(
        api, dataset, model, shape("box", corner, "b", confidence=0.9), shape("cuboid", raised, "c", confidence=0.9)
    )  # fmt: skip

    evaluation = evaluate(api, run)
    found = own.ok(evaluation, "coco")["families"]
    above = own.ok(evaluation, "coco", iou="bev")["families"]
    low = own.ok(evaluation, "coco", iouThreshold=0.3)["families"]["cuboid"]["at_threshold"]

    assert {name: family["numbers"]["AP50"]["value"] for name, family in found.items()} == {
        "area": pytest.approx(1.0),
        "cuboid": 0.0,
        "keypoints": 0.0,
    }
    assert set(found["area"]["numbers"]) == set(found["cuboid"]["numbers"])
    assert found["area"]["numbers"]["ARl"] == {
        "value": None,
        "reason": "no ground truth of large size to be found",
    }
    assert found["cuboid"]["numbers"]["APs"] == {"value": None, "reason": "cuboids have no area in pixels"}
    assert found["keypoints"]["max_detections"] == [20]
    # Half of the height overlaps: a third of the volume, all of the footprint.
    assert list(above) == ["cuboid"]
    assert above["cuboid"]["numbers"]["AP"]["value"] == pytest.approx(1.0)
    assert (low["tp"], low["fp"], low["fn"], low["AP"]["value"]) == (1, 0, 0, pytest.approx(1.0))


def test_polygons_are_drawn_as_coco_draws_them(api: Api, own: Own):
    """A sliver that covers no pixel centre overlaps itself exactly and not at all in pixels; sizes must be known."""
    dataset, model = dataset_of(api, item("a", width=100, height=100), item("b"))
    sliver = triangle((10.1, 10.1), (10.3, 10.1), (10.3, 30))
    annotate(api, dataset, shape("polygon", sliver, "p"))
    run = predict(api, dataset, model, shape("polygon", sliver, "p", confidence=0.9))
    evaluation = evaluate(api, run)

    exact, drawn = (own.ok(evaluation, "coco", iou=kind)["families"]["area"] for kind in ("exact", "raster"))

    assert exact["numbers"]["AP"]["value"] == pytest.approx(1.0)
    assert drawn["numbers"]["AP"]["value"] == 0.0
    annotate(api, dataset, {**shape("polygon", sliver, "q"), "reference_id": "b"})
    again = evaluate(api, run)
    assert "have no width and height (di_" in own.refused(again, "coco", iou="raster")
    assert "cuboids, of which this evaluation has none" in own.refused(again, "coco", iou="bev")


def test_an_outline_that_cannot_be_drawn_is_refused(api: Api, own: Own):
    """Drawing takes memory by the length of the outline; a polygon of a million kilometres is not drawn."""
    dataset, model = dataset_of(api, item("a", width=100, height=100))
    annotate(api, dataset, shape("polygon", triangle((0, 0), (1e12, 0), (0, 1e-4)), "p"))
    run = predict(
        api, dataset, model, shape("box", {"x": 0, "y": 0, "width": 5, "height": 5}, "b", confidence=1)
    )
    evaluation = evaluate(api, run)

    assert "pixels long" in own.refused(evaluation, "coco", iou="raster")
    assert own.ok(evaluation, "coco")["families"]["area"]["numbers"]["AP"]["value"] == 0.0


def test_coco_counts_follow_the_filters_and_crowds(api: Api, own: Own):
    """Confidence, label and area filters; what lies in a crowd is ignored; unscored predictions are counted apart."""
    dataset, model = dataset_of(api, item("a"))
    crowd = box("a", "car", 100, width=50, metadata={"iscrowd": 1, "area": 500})
    annotate(api, dataset, box("a", "car", 0), box("a", "bus", 50, width=40), crowd)
    run = predict(
        api, dataset, model, box("a", "car", 0, confidence=0.6), box("a", "car", 110, confidence=0.9),
        box("a", "bus", 50, width=40), box("a", "van", 80, confidence=0.2),
    )  # fmt: skip
    evaluation = evaluate(api, run)

    def at(**filters: Any) -> tuple[int, int, int, int]:
        found = own.ok(evaluation, "coco", filters=filters)["families"]["area"]["at_threshold"]
        return found["tp"], found["fp"], found["fn"], found["ignored"]

    family = own.ok(evaluation, "coco")["families"]["area"]
    assert (family["ground_truths"], family["predictions"], family["without_confidence"]) == (2, 4, 1)
    assert at() == (1, 1, 1, 1)
    assert at(confidenceRange={"min": 0.5}) == (1, 0, 1, 1)
    assert at(predLabels=["car"]) == (1, 0, 0, 1)
    assert at(gtAreaRange={"max": 200}) == (1, 1, 0, 1)
    assert [entry["label"] for entry in family["per_class"]] == ["bus", "car", "van"]
    van = family["per_class"][2]
    assert van["AP"] == {"value": None, "reason": "no ground truth of this label to be found"}


def test_without_confidence_there_are_counts_of_objects_and_no_numbers(api: Api, own: Own):
    """Predictions nobody can rank are neither hits nor false alarms here; AP and AR are null with the reason."""
    dataset, model = dataset_of(api, item("a"))
    annotate(api, dataset, box("a", "car", 0))
    evaluation = evaluate(api, predict(api, dataset, model, box("a", "car", 0)))

    family = own.ok(evaluation, "coco")["families"]["area"]

    assert (family["predictions"], family["without_confidence"]) == (1, 1)
    for name in ("AP", "AP50", "AR100"):
        assert family["numbers"][name] == {"value": None, "reason": "no prediction has a confidence"}
    (car,) = family["per_class"]
    assert car["AP"] == {"value": None, "reason": "no prediction of this label has a confidence"}
    at = family["at_threshold"]
    assert (at["AP"]["value"], at["tp"], at["fp"], at["fn"]) == (None, 0, 0, 1)
    assert at["recall"] == at["precision"] == {"value": None, "reason": "no prediction has a confidence"}


def test_objects_that_are_gone_cannot_be_compared_again(api: Api, own: Own):
    """The evaluation keeps its exact numbers; pixels of deleted objects are a 409 that says what to do."""
    dataset, model = dataset_of(api, item("a", width=100, height=100))
    annotate(api, dataset, box("a", "car", 0, name="g"))
    run = predict(api, dataset, model, box("a", "car", 0, confidence=0.9))
    evaluation = evaluate(api, run)
    body = {"reference_ids": ["a"]}
    api.wait(api.ok("DELETE", f"annotation/{dataset}", json=body | {"keep_history": False})["job_id"])

    assert own.ok(evaluation, "coco")["families"]["area"]["numbers"]["AP"]["value"] == pytest.approx(1.0)
    assert "no longer stored (an" in own.refused(evaluation, "coco", iou="raster", status=409)


def mask(api: Api, route: str, name: str, pixels: list[list[int]], labels: dict[str, list[int]]) -> None:
    """Upload an index mask; a label may have several segments."""
    masks(api, route, [name], pixels, labels)


def masks(
    api: Api, route: str, names: list[str], pixels: list[list[int]], labels: dict[str, list[int]]
) -> None:
    """Upload the same mask to up to nine items."""
    picture = io.BytesIO()
    Image.fromarray(np.array(pixels, np.uint8)).save(picture, "PNG")
    segments = [{"label": label, "index": index} for label, found in labels.items() for index in found]
    rows = [
        {"type": "mask", "reference_id": name, "mask_url": f"{name}.png", "annotations": segments}
        for name in names
    ]
    request = json.dumps({"segmentations": rows, "update": True})
    form: list[Any] = [("serialized_request", (None, request, "application/json"))]
    form += [("mask", (f"{name}.png", picture.getvalue(), "image/png")) for name in names]
    assert "errors" not in api.ok("POST", route, files=form)


@pytest.fixture
def street(api: Api) -> tuple[str, str, str]:
    """Items a and b with masks of both sides, c with truth only; returns dataset, model and evaluation."""
    dataset, model = dataset_of(
        api,
        item("a", metadata={"hour": 1}),
        item("b", metadata={"hour": 2}),
        item("c", metadata={"tags": []}),
    )
    truth, guess = f"dataset/{dataset}/annotate", f"dataset/{dataset}/model/{model}/uploadPredictions"
    # 9 belongs to no segment.
    mask(api, truth, "a", [[1, 1, 1, 2], [1, 1, 1, 9]], {"road": [1], "sky": [2]})
    mask(api, guess, "a", [[1, 1, 2, 2], [1, 1, 2, 2]], {"road": [1], "sky": [2]})
    # Two cars, of which one is found; predicted 9 is nothing.
    mask(api, truth, "b", [[1, 1, 2, 2]], {"car": [1, 2]})
    mask(api, guess, "b", [[5, 5, 9, 9]], {"car": [5]})
    mask(api, truth, "c", [[1, 1]], {"road": [1]})
    (run,) = api.ok("GET", f"dataset/{dataset}/model_runs")
    return dataset, model, evaluate(api, run)


def test_masks_are_scored_by_pixels_and_by_things(own: Own, street: tuple[str, str, str]):
    """Intersections, unions and panoptic quality by hand; not labelled pixels are left out."""
    found = own.ok(street[2], "masks")

    classes = {entry["label"]: entry for entry in found["per_class"]}
    assert (found["items"], found["classes"], found["items_without_ground_truth"]) == (3, 3, 0)
    assert (found["pixels"], found["pixels_not_labelled"]) == (13, 1)
    assert {label: entry["iou"]["value"] for label, entry in classes.items()} == {
        "car": 2 / 4,
        "road": 4 / 8,
        "sky": 1 / 3,
    }
    assert found["mean_iou"]["value"] == pytest.approx((0.5 + 0.5 + 1 / 3) / 3)
    assert found["pixel_accuracy"]["value"] == pytest.approx(7 / 13)
    assert found["frequency_weighted_iou"]["value"] == pytest.approx((4 * 0.5 + 8 * 0.5 + 1 / 3) / 13)
    # Road on a: 4 of 6 pixels; on c: nothing.
    assert classes["road"]["item_mean_iou"]["value"] == pytest.approx((4 / 6 + 0) / 2)
    car = classes["car"]["panoptic"]
    assert (car["true_positives"], car["false_positives"], car["false_negatives"]) == (1, 0, 1)
    assert car["pq"]["value"] == pytest.approx(1 / 1.5)
    # The pixel without a label does not count against the predicted sky: 1 of 3 is no match.
    sky = classes["sky"]["panoptic"]
    assert (sky["true_positives"], sky["false_positives"], sky["false_negatives"]) == (0, 1, 1)
    assert sky["sq"] == {"value": None, "reason": "no segment of this class matched"}


def test_what_lies_on_pixels_without_label_is_no_false_alarm(api: Api, own: Own):
    """Three quarters of the predicted sky are on unlabelled pixels: it counts by its pixel on the road, not as a thing."""
    dataset, model = dataset_of(api, item("a"))
    mask(api, f"dataset/{dataset}/annotate", "a", [[9, 9, 9, 1]], {"road": [1]})
    guess = f"dataset/{dataset}/model/{model}/uploadPredictions"
    mask(api, guess, "a", [[2, 2, 2, 2]], {"sky": [2]})
    (run,) = api.ok("GET", f"dataset/{dataset}/model_runs")

    found = own.ok(evaluate(api, run), "masks")

    road, sky = found["per_class"]
    reason = "no segment of this label that counts on either side"
    assert (sky["predicted_pixels"], sky["iou"], sky["recall"]["reason"]) == (
        1,
        {"value": 0.0},
        "not in the ground truth",
    )
    assert (sky["panoptic"]["pq"], sky["panoptic"]["false_positives"]) == (
        {"value": None, "reason": reason},
        0,
    )
    assert road["panoptic"]["false_negatives"] == 1


def test_masks_by_group_and_under_filters(own: Own, street: tuple[str, str, str]):
    """Groups by metadata, the same by filter; a choice of labels is a choice of classes."""
    _, _, evaluation = street
    (first, second, rest) = own.ok(evaluation, "masks", groupBy="hour")["groups"]
    hour = {"itemMetadata": [{"key": "hour", "op": "EQ", "value": 2}]}
    filtered = own.ok(evaluation, "masks", filters=hour)
    roads = own.ok(evaluation, "masks", filters={"gtLabels": ["road"]})

    assert (first["value"], second["value"], rest["value"]) == (1, 2, None)
    assert second["mean_iou"] == filtered["mean_iou"] == {"value": 0.5}
    # Classes of the whole evaluation, whichever items are chosen.
    assert filtered["mean_iou_all_classes"]["value"] == pytest.approx(0.5 / 3)
    assert (roads["classes"], roads["pixels"], roads["pixels_not_labelled"]) == (1, 8, 2)
    assert "list" in own.refused(evaluation, "masks", groupBy="tags")
    assert "gtAreaRange" in own.refused(evaluation, "masks", filters={"gtAreaRange": {"min": 1}})
    assert "iouRange" in own.refused(evaluation, "masks", filters={"iouRange": {"min": 0.5}})


def test_many_items_are_scored_and_too_many_groups_are_refused(api: Api, own: Own):
    """Any number of items fits; a key with a value of its own on each of 201 items is no group key."""
    names = [f"m{number}" for number in range(201)]
    dataset, model = dataset_of(
        api,
        *(item(name, metadata={"number": number, "site": number % 2}) for number, name in enumerate(names)),
    )
    for begin in range(0, len(names), 9):
        masks(api, f"dataset/{dataset}/annotate", names[begin : begin + 9], [[1]], {"road": [1]})
    mask(api, f"dataset/{dataset}/model/{model}/uploadPredictions", names[0], [[1]], {"road": [1]})
    (run,) = api.ok("GET", f"dataset/{dataset}/model_runs")
    evaluation = evaluate(api, run)

    found = own.ok(evaluation, "masks", groupBy="site")

    assert (found["items"], [group["items"] for group in found["groups"]]) == (201, [101, 100])
    assert found["pixel_accuracy"]["value"] == pytest.approx(1 / 201)
    assert "201 groups" in own.refused(evaluation, "masks", groupBy="number")


def test_a_mask_that_was_replaced_by_another_size_is_reported(api: Api, own: Own, street):
    """The segments are those of the evaluation, the pixels those stored now: 409 when they do not fit together."""
    dataset, _, evaluation = street
    mask(api, f"dataset/{dataset}/annotate", "a", [[1]], {"road": [1], "sky": [2]})

    assert "differ in size" in own.refused(evaluation, "masks", status=409)


def category(name: str, label: str | list[str], taxonomy: str | None = None, **more: Any) -> dict[str, Any]:
    kind, key = ("category", "label") if isinstance(label, str) else ("multicategory", "labels")
    row = {"type": kind, key: label, "reference_id": name, "geometry": {}, **more}
    return row if taxonomy is None else row | {"taxonomy_name": taxonomy}


def test_taxonomies_are_scored_apart(api: Api, own: Own):
    """Equal labels of two taxonomies do not meet; missing predictions are misses; sets have scores of their own."""
    dataset, model = dataset_of(api, item("a"), item("b"), item("c"))
    for name in ("weather", "mood"):
        body = {"taxonomy_name": name, "type": "category", "labels": ["bright", "dark"]}
        api.ok("POST", f"dataset/{dataset}/add_taxonomy", json=body)
    annotate(
        api, dataset, category("a", "bright", "weather"), category("b", "dark", "weather"),
        category("c", "dark", "weather"), category("a", "dark", "mood"), category("a", ["x", "y"]),
        category("b", ["z"]),
    )  # fmt: skip
    sure, unsure = {"bright": 0.9, "dark": 0.1}, {"bright": 0.6, "dark": 0.4}
    run = predict(
        api, dataset, model, category("a", "bright", "weather", confidence=0.9, class_pdf=sure),
        category("b", "bright", "weather", confidence=0.6, class_pdf=unsure),
        category("a", "bright", "mood", confidence=0.5), category("b", "bright", "mood", confidence=0.5),
    )  # fmt: skip
    evaluation = evaluate(api, run)

    found = {entry["taxonomy"]: entry for entry in own.ok(evaluation, "categories", topK=1)["taxonomies"]}
    two = own.ok(evaluation, "categories", topK=2)["taxonomies"]
    certain = own.ok(evaluation, "categories", filters={"confidenceRange": {"min": 0.8}})["taxonomies"]

    assert list(found) == ["", "mood", "weather"]
    weather = found["weather"]
    assert (weather["items"], weather["missing_predictions"]) == (3, 1)
    assert weather["accuracy"]["value"] == weather["top_k"]["accuracy"]["value"] == pytest.approx(1 / 3)
    assert (two[2]["top_k"]["k"], two[2]["top_k"]["accuracy"]) == (2, {"value": pytest.approx(2 / 3)})
    assert "alphabetical" in two[2]["top_k"]["ties"]
    assert weather["macro"]["f1"]["value"] == pytest.approx((2 / 3 + 0) / 2)
    assert weather["micro"]["precision"]["value"] == 0.5
    mood = found["mood"]
    assert (mood["items"], mood["excluded_without_truth"], mood["accuracy"]["value"]) == (1, 1, 0.0)
    assert mood["top_k"]["accuracy"] == {"value": None, "reason": "1 predictions have no class_pdf"}
    sets = found[""]
    # Nucleus takes no multicategory predictions, so sets of labels can only be missed.
    assert (sets["type"], sets["items"], sets["missing_predictions"]) == ("multicategory", 2, 2)
    assert (sets["jaccard"]["value"], sets["samples"]["recall"]["value"]) == (0.0, 0.0)
    assert {entry["taxonomy"]: entry["missing_predictions"] for entry in certain} == {
        "": 2,
        "mood": 1,
        "weather": 2,
    }


@pytest.mark.parametrize(("b", "hit"), [(0, 0.0), (1e-6, 1.0)])
def test_a_label_of_probability_0_is_never_a_hit(api: Api, own: Own, b: float, hit: float):
    """Among two labels the second best is whatever is left, predicted or not."""
    dataset, model = dataset_of(api, item("a"))
    annotate(api, dataset, category("a", "b"))
    run = predict(api, dataset, model, category("a", "a", confidence=1, class_pdf={"a": 1 - b, "b": b}))
    evaluation = evaluate(api, run)

    for k in (2, 5):
        (found,) = own.ok(evaluation, "categories", topK=k)["taxonomies"]
        assert found["top_k"]["accuracy"] == {"value": hit}
    assert own.ok(evaluation, "categories", topK=1)["taxonomies"][0]["top_k"]["accuracy"] == {"value": 0.0}


def test_rolled_up_labels_share_their_probabilities(api: Api, own: Own):
    """Top-1 of a group goes by the sum over its labels."""
    dataset, model = dataset_of(api, item("a"))
    annotate(api, dataset, category("a", "car"))
    pdf = {"car": 0.3, "van": 0.3, "dog": 0.4}
    run = predict(api, dataset, model, category("a", "dog", confidence=0.4, class_pdf=pdf))
    groups = [{"class_name": "vehicle", "labels": ["car", "van"]}]
    evaluation = evaluate(api, run, rollupGroups=groups)

    (found,) = own.ok(evaluation, "categories", topK=1)["taxonomies"]

    assert found["top_k"]["accuracy"] == {"value": 1.0}
    assert [entry["label"] for entry in found["per_class"]] == ["dog", "vehicle"]


def test_evaluations_without_such_objects_have_empty_scores(api: Api, own: Own):
    """Nothing to score is null with a reason, or an empty list; nonsense in the address is a 400."""
    dataset, model = dataset_of(api, item("a"))
    annotate(api, dataset, category("a", "car"))
    evaluation = evaluate(api, predict(api, dataset, model, category("a", "car", confidence=0.5)))
    boxes, other = dataset_of(api, item("a"))
    annotate(api, boxes, box("a", "car", 0))
    empty = evaluate(api, predict(api, boxes, other, box("a", "car", 0, confidence=0.5)))

    assert own.ok(evaluation, "coco")["families"] == {}
    assert own.ok(empty, "categories") == {"taxonomies": []}
    masks = own.ok(empty, "masks")
    assert (masks["items"], masks["per_class"]) == (0, [])
    assert masks["mean_iou"]["reason"] == "no labelled pixel in the ground truth"
    assert masks["panoptic"]["pq"]["reason"] == "no segment on either side"
    assert "iou must be one of exact, raster, bev" in own.refused(empty, "coco", iou="nearly")
    assert "topK" in own.refused(evaluation, "categories", topK=0)
    for route in ROUTES:
        assert "hasGroundTruth" in own.refused(evaluation, route, filters={"hasGroundTruth": True})
