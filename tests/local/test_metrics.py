"""calculateEvaluationMetrics: what is matched with what, under which options, and what a caller gets back."""

from __future__ import annotations

import io
import json
import math
from itertools import starmap
from typing import TYPE_CHECKING

import nucleus as official
import numpy as np
import pytest
from nucleus.dataset import ObjectQueryType
from PIL import Image

from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.requests.match_options import MatchOptions
from airflow_provider_nucleus.local.store.catalog import matches
from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
from airflow_provider_nucleus.local.store.database import Database
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.story import annotate, box, calculate, make_model, objects, pairs, predict
from tests.shared_data import shared_data

if TYPE_CHECKING:
    from tests.local.conftest import Api


def test_equal_labels_match_and_the_rest_is_left_over(api: Api):
    """Class-sensitive is the default: highest overlap first, one to one, unmatched objects become FP and FN."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "car", 0), box("a", "bus", 100))
    run = predict(
        api,
        dataset,
        model,
        box("a", "car", 1, name="p1"),
        box("a", "car", 2, name="p2"),
        box("a", "van", 100, name="p3"),
    )

    message = calculate(api, dataset, model)

    assert message["options"] == {
        "class_agnostic": False,
        "allowed_label_matches": [],
        "crowd_as_objects": False,
    }
    assert message["rows"] == {"matched": 1, "false_positive": 2, "false_negative": 1}
    assert pairs(objects(api, dataset, "iou", run)) == {("car", "car", round(9 / 11, 6))}
    assert pairs(objects(api, dataset, "false_positive", run)) == {(None, "car", 0), (None, "van", 0)}
    assert pairs(objects(api, dataset, "false_negative", run)) == {("bus", None, 0)}


def test_allowed_label_matches_are_directed(api: Api):
    """A listed pair (ground truth bus, prediction van) matches; the same labels the other way round do not."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "bus", 0), box("a", "van", 100))
    run = predict(api, dataset, model, box("a", "van", 0, name="p1"), box("a", "bus", 100, name="p2"))

    calculate(
        api,
        dataset,
        model,
        allowed_label_matches=[{"ground_truth_label": "bus", "model_prediction_label": "van"}],
    )

    matched = objects(api, dataset, "iou", run)
    assert pairs(matched) == {("bus", "van", 1.0)}
    assert [row["true_positive"] for row in matched] == [True]
    assert pairs(objects(api, dataset, "false_negative", run)) == {("van", None, 0)}


def test_class_agnostic_stores_cross_label_pairs_as_false_positives(api: Api):
    """Every pair may associate, but only equal labels are right; the pair appears in iou and false_positive."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "bus", 0))
    run = predict(api, dataset, model, box("a", "van", 5, name="p1"))

    calculate(api, dataset, model, class_agnostic=True)

    matched = objects(api, dataset, "iou", run)
    assert pairs(matched) == {("bus", "van", round(5 / 15, 6))}
    assert [row["true_positive"] for row in matched] == [False]
    assert objects(api, dataset, "false_positive", run) == matched
    assert objects(api, dataset, "false_negative", run) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {
                "class_agnostic": True,
                "allowed_label_matches": [{"ground_truth_label": "a", "model_prediction_label": "b"}],
            },
            "exclude each other",
        ),
        ({"class_agnostic": "yes"}, "class_agnostic must be"),
        ({"allowed_label_matches": {"a": "b"}}, "must be a list"),
        ({"allowed_label_matches": [{"ground_truth_label": "a"}]}, "allowed_label_matches[0]"),
        ({"class_agnostc": False}, "Unknown options ['class_agnostc']"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(api: Api, options, text: str):
    """Contradictory, malformed and misspelt options are a 400 that names them; nothing is calculated."""
    dataset, model = api.dataset("a"), make_model(api)
    predict(api, dataset, model, box("a", "car", 0))

    answer = api("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json=options)

    assert answer.status_code == 400
    assert text in answer.json()["error"]


def test_ties_are_decided_by_confidence_then_by_id(api: Api):
    """Equal overlaps: the more confident prediction gets the ground truth, then the smaller id."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "car", 0), box("a", "car", 100, name="second"))
    run = predict(
        api, dataset, model,
        box("a", "car", 0, name="z-weak", confidence=0.4), box("a", "car", 0, name="strong", confidence=0.9),
        box("a", "car", 100, name="z", confidence=0.5), box("a", "car", 100, name="a", confidence=0.5),
    )  # fmt: skip

    calculate(api, dataset, model)

    listed = {row["annotation_id"] for row in objects(api, dataset, "predictions_only", run)}
    assert listed == {"z-weak", "strong", "z", "a"}
    matched = {row["model_prediction_id"] for row in objects(api, dataset, "iou", run)}
    unmatched = {row["model_prediction_id"] for row in objects(api, dataset, "false_positive", run)}
    made = api.ok(
        "POST", f"dataset/{dataset}/create_slice", json={"name": "won", "object_ids": sorted(matched)}
    )
    won = api.ok("GET", f"slice/{made['slice_id']}")["items"]
    assert {row["annotation_id"] for row in won} == {"strong", "a"}
    assert len(unmatched) == 2


def test_a_new_calculation_replaces_the_old_one(api: Api):
    """Recalculating with other options leaves exactly one set of matches, and page tokens of the old one end."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "bus", 0), box("a", "bus", 100))
    run = predict(api, dataset, model, box("a", "van", 0, name="p1"), box("a", "van", 100, name="p2"))
    calculate(api, dataset, model, class_agnostic=True)
    body = {"query": "", "patch_mode": "iou", "model_run_id": run, "pageSize": 1}
    token = api.ok("POST", f"dataset/{dataset}/queryObjectsPage", json=body)["nextPageToken"]

    calculate(api, dataset, model)

    assert objects(api, dataset, "iou", run) == []
    assert len(objects(api, dataset, "false_positive", run)) == 2
    stale = api("POST", f"dataset/{dataset}/queryObjectsPage", json={**body, "pageToken": token})
    assert stale.status_code == 400
    assert "calculated anew" in stale.json()["error"]


def test_the_answer_is_a_job_with_the_run_and_dataset(client: official.NucleusClient):
    """The official client gets a job it can wait for, and later finds it in the listing of jobs."""
    dataset = client.create_dataset("metrics")
    dataset.append([official.DatasetItem("https://e/1.jpg", reference_id="a")]).sleep_until_complete(False)
    model = client.create_model("m", f"metrics-{dataset.id}")
    dataset.annotate([official.BoxAnnotation("car", 0, 0, 10, 10, reference_id="a")])
    dataset.upload_predictions(
        model, [official.BoxPrediction("car", 0, 0, 10, 10, reference_id="a", confidence=0.5)]
    )

    answer = dataset.calculate_evaluation_metrics(model)

    job = client.get_job(answer["job_id"])
    job.sleep_until_complete(False)
    assert job.status()["status"] == "Completed"
    assert answer["dataset_id"] == dataset.id
    assert [answer["model_run_id"]] == dataset.model_runs
    assert answer["job_type"] == "modelRunCommit"
    (match,) = dataset.query_objects("", ObjectQueryType.IOU, answer["model_run_id"])
    assert match.iou == 1.0
    assert match.confusion_category.value == "true_positive"


def test_a_committed_run_is_matched_on_every_dataset(api: Api):
    """modelRun/{r}/commit runs the same matching for all datasets the run has predictions on."""
    first, second, model = api.dataset("a"), api.dataset("b"), make_model(api)
    run = predict(api, first, model, box("a", "car", 0))
    api.ok(
        "POST",
        f"dataset/{second}/modelRun/{run}/uploadPredictions",
        json={"annotations": [box("b", "car", 0)]},
    )

    answer = api.ok("POST", f"modelRun/{run}/commit", json={"class_agnostic": False})

    assert answer["model_run_id"] == run
    message = api.wait(answer["job_id"])["message"]
    assert [part["dataset_id"] for part in message["datasets"]] == [first, second]
    assert len(objects(api, second, "false_positive", run)) == 1


def test_a_model_without_predictions_is_not_found(api: Api):
    """Neither a model that never predicted nor an empty dataset can be evaluated; the error says what to do."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "car", 0))

    answer = api("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json={})

    assert answer.status_code == 404
    assert "no predictions" in answer.json()["error"]
    assert "Upload predictions" in answer.json()["error"]


def test_a_run_without_predictions_has_missed_everything(api: Api):
    """A model that found nothing; but predictions that are stored without a run are told of, not counted as none."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "car", 0))
    made = {"name": "none", "reference_id": api.ok("GET", f"model/{model}")["ref_id"]}
    run = api.ok("POST", f"dataset/{dataset}/modelRun/create", json=made)["model_run_id"]

    message = calculate(api, dataset, model)
    missed = objects(api, dataset, "false_negative", run)
    api.ok(
        "POST",
        f"model/{model}/predictions",
        json={"annotations": [box("a", "car", 0, confidence=0.9) | {"dataset_id": dataset}]},
    )
    refused = api("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json={})

    assert message["rows"] == {"matched": 0, "false_positive": 0, "false_negative": 1}
    assert len(missed) == 1
    assert refused.status_code == 404
    assert "belong to no run" in refused.json()["error"]


def test_predictions_without_ground_truth_are_false_positives(api: Api):
    """A dataset nobody annotated has false positives only, and that is no error."""
    dataset, model = api.dataset("a"), make_model(api)
    run = predict(api, dataset, model, box("a", "car", 0))

    message = calculate(api, dataset, model)

    assert message["rows"] == {"matched": 0, "false_positive": 1, "false_negative": 0}
    assert pairs(objects(api, dataset, "false_positive", run)) == {(None, "car", 0)}


def test_matches_of_deleted_things_are_gone(api: Api):
    """Deleting an item removes its matches; deleting the annotations removes them from the next calculation."""
    dataset, model = api.dataset("a", "b"), make_model(api)
    annotate(api, dataset, box("a", "car", 0), box("b", "car", 0))
    run = predict(api, dataset, model, box("a", "car", 0), box("b", "car", 0))
    calculate(api, dataset, model)

    api.ok("DELETE", f"dataset/{dataset}/refloc/a", json={})

    assert len(objects(api, dataset, "iou", run)) == 1


def test_the_latest_request_wins_whichever_is_calculated_first(tmp_path):
    """A job that ends after a later one leaves the later one's matches; a deleted run is an error, not an orphan."""
    db = Database(tmp_path / "x.duckdb", memory_limit="500MB", spill=tmp_path)
    sets = ComparedSets(1, 2)
    with db.write() as cursor:
        early = matches.begin(cursor, sets, dataset_no=1, options=MatchOptions(), job_no=1)
        late = matches.begin(cursor, sets, dataset_no=1, options=MatchOptions(class_agnostic=True), job_no=2)
        gone = matches.begin(cursor, sets, dataset_no=1, options=MatchOptions(), job_no=3)

        assert matches.publish(cursor, late, {})
        assert not matches.publish(cursor, early, {})
        assert matches.current(cursor, 2).number == late.number
        matches.remove_match_sets(cursor, [2])
        with pytest.raises(NotFoundError, match="deleted while the job ran"):
            matches.publish(cursor, gone, {})
        assert cursor.execute("SELECT count(*) FROM match_sets").fetchone() == (0,)
    db.close()


def test_polygons_match_boxes_and_each_other(api: Api):
    """Boxes and polygons are one family by area; a polygon that crosses itself stands for what it encloses."""
    dataset, model = api.dataset("a"), make_model(api)
    square = [{"x": 0, "y": 0}, {"x": 10, "y": 0}, {"x": 10, "y": 10}, {"x": 0, "y": 10}]
    bow = [{"x": 100, "y": 0}, {"x": 110, "y": 10}, {"x": 110, "y": 0}, {"x": 100, "y": 10}]
    annotate(
        api, dataset,
        {"type": "polygon", "label": "car", "reference_id": "a", "annotation_id": "g1", "geometry": {"vertices": square}},
        {"type": "polygon", "label": "bow", "reference_id": "a", "annotation_id": "g2", "geometry": {"vertices": bow}},
    )  # fmt: skip
    run = predict(
        api, dataset, model, box("a", "car", 0, name="p1", width=5), box("a", "bow", 100, name="p2")
    )

    calculate(api, dataset, model)

    assert pairs(objects(api, dataset, "iou", run)) == {("car", "car", 0.5), ("bow", "bow", 0.5)}


def test_cuboids_match_in_three_dimensions(api: Api):
    """Cuboids are matched by volume; a lifted copy shares half of it."""
    dataset, model = api.dataset("a"), make_model(api)

    def cuboid(name: str, z: float) -> dict:
        geometry = {
            "position": {"x": 0, "y": 0, "z": z}, "dimensions": {"x": 4, "y": 2, "z": 2}, "yaw": 0.3,
        }  # fmt: skip
        return {
            "type": "cuboid",
            "label": "car",
            "reference_id": "a",
            "annotation_id": name,
            "geometry": geometry,
        }

    annotate(api, dataset, cuboid("g", 0))
    run = predict(api, dataset, model, cuboid("p", 1))

    calculate(api, dataset, model)

    assert pairs(objects(api, dataset, "iou", run)) == {("car", "car", round(1 / 3, 6))}


def test_keypoints_match_by_their_similarity(api: Api):
    """Names decide which keypoints are compared, published tolerances and the area in the metadata how strictly."""
    dataset, model = api.dataset("a"), make_model(api)

    def person(name: str, places: dict[str, tuple[float | None, float | None]], **extra) -> dict:
        points = [{"x": x, "y": y, "visible": x is not None} for x, y in places.values()]
        geometry = {"keypoints": points, "names": list(places), "skeleton": None}
        return {"type": "keypoints", "label": "person", "reference_id": "a", "annotation_id": name} | {
            "geometry": geometry, **extra,
        }  # fmt: skip

    truth = {"nose": (10.0, 10.0), "tail": (50.0, 10.0), "left_eye": (None, None)}
    annotate(api, dataset, person("g", truth, metadata={"area": 400}))
    # In another order, the nose 3 px off, the tail missing, and one that the truth does not label.
    guess = {"left_eye": (0.0, 0.0), "tail": (None, None), "nose": (13.0, 10.0)}
    run = predict(api, dataset, model, person("p", guess, confidence=0.5))

    message = calculate(api, dataset, model)

    similarity = math.exp(-(3**2) / (2 * 400 * (2 * 0.026) ** 2)) / 2
    assert message["not_matched"] == {}
    assert pairs(objects(api, dataset, "iou", run)) == {("person", "person", round(similarity, 6))}


def test_regions_in_which_nothing_is_counted_are_neither_found_nor_missed(api: Api):
    """Crowds from a COCO file and objects without a labelled keypoint take no part, as in Evaluations V2, and are reported."""
    dataset, model = api.dataset("a"), make_model(api)
    nobody = {"type": "keypoints", "label": "person", "reference_id": "a", "annotation_id": "k"} | {
        "geometry": {
            "keypoints": [{"x": None, "y": None, "visible": False}],
            "names": ["nose"],
            "skeleton": [],
        }
    }
    annotate(
        api, dataset, box("a", "car", 0), box("a", "car", 100, width=50, metadata={"iscrowd": 1}),
        box("a", "car", 300, metadata={"iscrowd": 0}), nobody,
    )  # fmt: skip
    run = predict(api, dataset, model, box("a", "car", 0), box("a", "car", 100, width=50))

    message = calculate(api, dataset, model)
    evaluation = api.ok("POST", f"modelRun/{run}/evaluationsV2", json={})
    api.wait(evaluation["workflow_id"])
    charts = api.ok("POST", f"evaluationsV2/{evaluation['evaluation_id']}/charts", json={})

    assert message["rows"] == {"matched": 1, "false_positive": 1, "false_negative": 1}
    assert message["matched"] == {
        "box": {"ground_truth": 2, "predictions": 2},
        "keypoints": {"ground_truth": 0, "predictions": 0},
    }
    assert message["not_matched"] == {
        "box": {"ground_truth": 1, "predictions": 0},
        "keypoints": {"ground_truth": 1, "predictions": 0},
    }
    assert pairs(objects(api, dataset, "false_negative", run)) == {("car", None, 0)}
    total = charts["totalCounts"]
    assert (total["tp"], total["fp"], total["fn"]) == (1, 1, 1)


def test_mask_segments_are_matched_by_their_pixels(api: Api):
    """Segments of uploaded index masks associate by pixels, each with its own row and label."""
    dataset, model = api.dataset("a"), make_model(api)
    truth = np.zeros((10, 10), dtype=np.uint8)
    truth[:, :4] = 1
    truth[:, 6:] = 2
    predicted = np.zeros((10, 10), dtype=np.uint8)
    predicted[:, :2] = 7
    _upload_mask(api, f"dataset/{dataset}/annotate", truth, {"1": "car", "2": "road"})
    _upload_mask(api, f"dataset/{dataset}/model/{model}/uploadPredictions", predicted, {"7": "car"})
    (run,) = api.ok("GET", f"dataset/{dataset}/model_runs")

    message = calculate(api, dataset, model)

    assert message["matched"] == {"segmentation": {"ground_truth": 2, "predictions": 1}}
    assert pairs(objects(api, dataset, "iou", run)) == {("car", "car", 0.5)}
    assert pairs(objects(api, dataset, "false_negative", run)) == {("road", None, 0)}


def test_what_cannot_be_matched_is_counted_and_named(api: Api):
    """Lines, and masks the server holds no bytes of, are reported as not matched, never dropped in silence."""
    dataset, model = api.dataset("a"), make_model(api)
    line = {"type": "line", "label": "lane", "reference_id": "a", "annotation_id": "l"}
    line["geometry"] = {"vertices": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]}
    mask = {
        "type": "mask",
        "reference_id": "a",
        "mask_url": "s3://b/m.png",
        "annotations": [{"label": "x", "index": 1}],
    }
    annotate(api, dataset, line, segmentations=[mask])
    predict(api, dataset, model, box("a", "car", 0), segmentations=[mask])

    message = calculate(api, dataset, model, ends="Errored_Partial")

    assert message["not_matched"] == {
        "line": {"ground_truth": 1, "predictions": 0},
        "segmentation": {"ground_truth": 1, "predictions": 1},
    }
    assert message["not_matched_reasons"] == {
        "line": {"line objects have no overlap to match by": 1},
        "segmentation": {"masks that cannot be compared, see skipped_items": 2},
    }
    (skipped,) = message["skipped_items"]
    assert "remote address" in skipped["reason"]
    assert "none of the masks could be compared" in message["final_error"]


@pytest.mark.parametrize(
    ("segments", "picture", "reason"),
    [
        ([{"label": "car", "index": 10**12}], None, "from 0 to 65535"),
        ([{"label": "car", "index": None}], None, "not a whole number"),
        ([{"label": "car", "index": 1}], np.zeros((4, 4, 3), np.uint8), "one channel"),
        ([{"label": "car", "index": 1}], np.zeros((4, 5), np.uint8), "differ in size: 4x4 and 5x4 pixels"),
    ],
)
def test_masks_that_cannot_be_compared_are_named(api: Api, segments: list, picture, reason: str):
    """Hostile indices, broken files, colour images and other sizes are reported for their item; a job with nothing else fails."""
    dataset, model = api.dataset("a"), make_model(api)
    _upload_mask(api, f"dataset/{dataset}/annotate", np.ones((4, 4), np.uint8), {"1": "car"})
    route = f"dataset/{dataset}/model/{model}/uploadPredictions"
    _upload_mask(api, route, np.ones((4, 4), np.uint8) if picture is None else picture, segments)

    message = calculate(api, dataset, model, ends="Errored_User")

    assert message["rows"] == {"matched": 0, "false_positive": 0, "false_negative": 0}
    assert message["not_matched"]["segmentation"] == {"ground_truth": 1, "predictions": len(segments)}
    assert reason in message["skipped_items"][0]["reason"]
    assert reason in message["final_error"]


def test_categories_are_matched_without_a_calculation(api: Api):
    """Categories on the same item and taxonomy are compared when asked for; wrong ones are FP and FN."""
    dataset, model = api.dataset("a", "b", "c"), make_model(api)

    def category(reference: str, label: str) -> dict:
        return {"type": "category", "label": label, "reference_id": reference, "geometry": {}}

    annotate(api, dataset, category("a", "day"), category("b", "day"), category("c", "night"))
    run = predict(api, dataset, model, category("a", "day"), category("b", "night"))

    (right,) = objects(api, dataset, "iou", run, size=1)
    assert (right["ground_truth_annotation_label"], right["iou"], right["family"]) == ("day", 1.0, "category")
    assert pairs(objects(api, dataset, "false_positive", run, size=1)) == {(None, "night", 0)}
    assert pairs(objects(api, dataset, "false_negative", run, size=1)) == {
        ("day", None, 0),
        ("night", None, 0),
    }


@pytest.mark.parametrize(("name", "counts"), [("yolo", (266, 228, 420)), ("centernet", (254, 2394, 432))])
def test_home_objects_has_the_reference_counts(client: official.NucleusClient, api: Api, name: str, counts):
    """Real detections give the published tp, fp, fn at IoU 0.5; pairs below it are one FP and one FN each."""
    folder = shared_data("home-objects")
    truth = json.loads((folder / "ground_truth.json").read_text())
    names = {entry["id"]: entry["name"] for entry in truth["categories"]}
    images = {entry["id"]: entry["file_name"] for entry in truth["images"]}
    predictions = json.loads((folder / f"predictions_{name}.json").read_text())
    dataset, model = api.dataset(*images.values()), make_model(api, name)

    def row(place: int, entry: dict) -> dict:
        geometry = dict(zip(("x", "y", "width", "height"), entry["bbox"], strict=True))
        wire = {
            "type": "box", "label": names[entry["category_id"]], "reference_id": images[entry["image_id"]],
            "annotation_id": str(place), "geometry": geometry,
        }  # fmt: skip
        return wire | ({"confidence": entry["score"]} if "score" in entry else {})

    annotate(api, dataset, *starmap(row, enumerate(truth["annotations"])))
    run = predict(api, dataset, model, *starmap(row, enumerate(predictions)))
    calculate(api, dataset, model)

    found = list(client.get_dataset(dataset).query_objects("", ObjectQueryType.IOU, run))
    hits = sum(match.iou >= 0.5 and match.confusion_category.value == "true_positive" for match in found)
    assert (hits, len(predictions) - hits, len(truth["annotations"]) - hits) == counts


def test_a_calculation_killed_half_way_is_finished_after_the_restart(tmp_path):
    """The old matches stay readable over a SIGKILL, and the job ends with one complete new set."""
    from tests.local.conftest import Api

    with LocalNucleus(tmp_path / "data") as server:
        api = Api(server)
        references = [f"r{n}" for n in range(10)]
        dataset, model = api.dataset(*references), make_model(api)
        annotate(
            api, dataset, *(box(ref, "car", 5 * n, name=f"g{n}") for ref in references for n in range(20))
        )
        run = predict(
            api,
            dataset,
            model,
            *(box(ref, "car", 5 * n + 1, name=f"p{n}") for ref in references for n in range(20)),
        )
        calculate(api, dataset, model)
        before = objects(api, dataset, "iou", run)
        job = api.ok("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json={})["job_id"]
        server.kill()
        server.start()

        assert api.wait(job)["status"] == "Completed"
        assert objects(api, dataset, "iou", run) == before
        api.close()


def _upload_mask(
    api: Api, route: str, picture: np.ndarray | bytes, labels: dict[str, str] | list[dict]
) -> None:
    """Upload a mask as a file: an array of indices, or bytes as they are."""
    if isinstance(picture, np.ndarray):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        picture = file.getvalue()
    segments = labels
    if isinstance(labels, dict):
        segments = [{"label": label, "index": int(index)} for index, label in labels.items()]
    mask = {"type": "mask", "reference_id": "a", "mask_url": "local/mask.png", "annotations": segments}
    form = {
        "serialized_request": (
            None,
            json.dumps({"segmentations": [mask], "update": False}),
            "application/json",
        ),
        "mask": ("mask.png", picture, "image/png"),
    }
    answer = api.ok("POST", route, files=form)
    assert "errors" not in answer, answer


def test_match_rows_carry_the_names_that_users_gave(api: Api):
    """Reference id of the item and annotation ids of both sides, beside ours, in every mode and in examples."""
    dataset, model = api.dataset("a", "b"), make_model(api)
    annotate(api, dataset, box("a", "car", 0, name="t1"), box("b", "bus", 0, name="t2"))
    run = predict(api, dataset, model, box("a", "car", 1, name="p1"), box("a", "van", 100, name="p2"))
    calculate(api, dataset, model)

    def names(mode: str) -> list[tuple[str | None, ...]]:
        keys = ("reference_id", "pred_annotation_id", "gt_annotation_id")
        return [tuple(row[key] for key in keys) for row in objects(api, dataset, mode, run)]

    assert names("iou") == [("a", "p1", "t1")]
    assert names("false_positive") == [("a", "p2", None)]
    assert names("false_negative") == [("b", None, "t2")]
    started = api.ok("POST", f"modelRun/{run}/evaluationsV2", json={})
    api.wait(started["workflow_id"])
    examples = api.ok("POST", f"evaluationsV2/{started['evaluation_id']}/examples", json={})["rows"]
    assert {
        (row["match_type"], row["reference_id"], row["pred_annotation_id"], row["gt_annotation_id"])
        for row in examples
    } == {("TP", "a", "p1", "t1"), ("FP", "a", "p2", None), ("FN", "b", None, "t2")}


def test_crowds_as_objects(api: Api):
    """Ground truth that is crowds throughout is said to be, on the page too, and found where it is meant to be objects."""
    dataset, model = api.dataset("a"), make_model(api)
    crowd = {"metadata": {"iscrowd": 1, "area": 100}}
    annotate(api, dataset, box("a", "car", 0, name="t1") | crowd, box("a", "Bus", 50, name="t2") | crowd)
    predict(api, dataset, model, box("a", "car", 0, name="p1"), box("a", "bus ", 50, name="p2"))

    plain, chosen = calculate(api, dataset, model), calculate(api, dataset, model, crowd_as_objects=True)

    assert plain["rows"] == {"matched": 0, "false_positive": 2, "false_negative": 0}
    assert [(note["note"], note["count"]) for note in plain["notes"]] == [
        ("only_crowds", 2),
        ("label_spellings", 2),
    ]
    assert chosen["rows"] == {"matched": 1, "false_positive": 1, "false_negative": 1}
    assert chosen["options"]["crowd_as_objects"] is True
    assert [note["note"] for note in chosen["notes"]] == ["label_spellings"]


def test_metrics_before_the_ground_truth_say_so(api: Api):
    """A precision of 0 because nobody has labelled yet is no verdict on the model."""
    dataset, model = api.dataset("a"), make_model(api)
    predict(api, dataset, model, box("a", "car", 0, name="p1"), box("a", "car", 50, name="p2"))

    early = calculate(api, dataset, model)
    annotate(api, dataset, box("a", "car", 0, name="t1"))
    late = calculate(api, dataset, model)

    assert [(note["note"], note["count"]) for note in early["notes"]] == [("no_ground_truth", 2)]
    assert late["rows"] == {"matched": 1, "false_positive": 1, "false_negative": 0}
    assert late["notes"] == []
