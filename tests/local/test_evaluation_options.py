"""Options and notes of evaluations on the server: recorded, shown, and the same sentences as everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nucleus as official
import numpy as np
import pytest

from tests.local.evaluated import world
from tests.local.shapes import shape
from tests.local.story import annotate, calculate, make_model, predict
from tests.local.test_diagnostics_scores import Own, dataset_of, evaluate, item, mask, own

if TYPE_CHECKING:
    from tests.local.conftest import Api

__all__ = ["own"]

MANY = 120


def many(count: int = MANY) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Objects of one label on item a that do not touch each other, and perfect predictions of falling confidence."""
    boxes = [((n % 20) * 20, (n // 20) * 20, 15, 15) for n in range(count)]
    truth = [shape("can", box, f"t{n}") for n, box in enumerate(boxes)]
    guess = [shape("can", box, f"p{n}", confidence=1 - n / 1000) for n, box in enumerate(boxes)]
    return truth, guess


def evaluated(api: Api, truth: list[dict[str, Any]], guess: list[dict[str, Any]], **options: Any) -> str:
    """Upload to one item, evaluate with options, and return the evaluation."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, *truth)
    return evaluate(api, predict(api, dataset, model, *guess), **options)


def read(api: Api, evaluation: str) -> dict[str, Any]:
    """Return the evaluation as clients read it."""
    return dict(api.ok("GET", f"evaluationsV2/{evaluation}"))


def notes(found: dict[str, Any]) -> dict[str, int]:
    """Return kinds and counts."""
    return {note["note"]: note["count"] for note in found["notes"]}


def test_more_objects_than_the_limit(api: Api, own: Own):
    """AP looks at the first hundred and says so; counts at a threshold have all, of either matching."""
    evaluation = evaluated(api, *many())

    charts = api.ok("POST", f"evaluationsV2/{evaluation}/charts", json={})
    coco = own.ok(evaluation, "coco")["families"]["area"]
    found, origin = read(api, evaluation), own.ok(evaluation, "provenance")

    assert charts["mapSummary"]["mapAt50"] == pytest.approx(84 / 101)
    assert (charts["totalCounts"]["tp"], charts["totalCounts"]["fn"]) == (MANY, 0)
    assert [coco["at_threshold"][name] for name in ("tp", "fp", "fn")] == [MANY, 0, 0]
    assert coco["at_threshold"]["AP"]["value"] == pytest.approx(84 / 101)
    assert coco["numbers"]["AP"]["value"] == pytest.approx(84 / 101)
    assert (coco["beyond_limit"], coco["max_detections"]) == (20, [1, 10, 100])
    assert found["notes"] == origin["notes"] == coco["notes"]
    assert notes(found) == {"beyond_max_detections": 20}
    assert "evaluate with a higher max_detections" in found["notes"][0]["text"]
    assert origin["coco"]["max_detections"] == {"area": 100, "cuboid": 100, "keypoints": 20}
    assert own.ok(evaluation, "coco", iouThreshold=0.3)["families"]["area"]["at_threshold"]["tp"] == MANY
    for family in ("coco", "nucleus"):
        best = own.ok(evaluation, "f1Curve", family=family)["best"]
        assert (best["true_positives"], best["f1"]["value"]) == (MANY, 1.0)
    errors = own.ok(evaluation, "errors")
    assert (errors["max_detections"], notes(errors)) == (100, {"beyond_max_detections": 20})


@pytest.mark.parametrize("spelling", ["max_detections", "maxDetections"])
def test_a_higher_limit(api: Api, own: Own, spelling: str):
    """Perfect boxes have an AP of 1; the option is recorded and nothing is left to be said."""
    evaluation = evaluated(api, *many(), options={spelling: 300})

    charts = api.ok("POST", f"evaluationsV2/{evaluation}/charts", json={})
    coco = own.ok(evaluation, "coco")["families"]["area"]
    found, origin = read(api, evaluation), own.ok(evaluation, "provenance")

    assert charts["mapSummary"]["mapAt5095"] == pytest.approx(1)
    assert coco["numbers"]["AR300"]["value"] == pytest.approx(1)
    assert found["options"] == origin["options"]
    assert found["options"] == {"max_detections": 300, "crowd_as_objects": False, "ignore_labels": []}
    assert origin["coco"]["max_detections"]["keypoints"] == 300
    errors = own.ok(evaluation, "errors")
    assert (errors["max_detections"], errors["notes"], errors["ap"]["value"]) == (300, [], pytest.approx(1))
    assert found["notes"] == []


def test_a_lower_limit_under_filters(api: Api):
    """When the most confident are filtered away, the next ones move up, as if evaluated without them."""
    truth, guess = many(10)
    evaluation = evaluated(api, truth, guess, options={"max_detections": 4})
    rest = evaluated(api, truth, guess[3:], options={"max_detections": 4})

    filters = {"filters": {"confidenceRange": {"max": guess[3]["confidence"]}}}
    found = api.ok("POST", f"evaluationsV2/{evaluation}/charts", json=filters)

    assert found["mapSummary"] == api.ok("POST", f"evaluationsV2/{rest}/charts", json={})["mapSummary"]
    assert found["mapSummary"]["mapAt50"] == pytest.approx(41 / 101)


def test_crowds_as_objects(api: Api, own: Own):
    """Ground truth that is crowds throughout has no AP: that is said, and the option finds the objects."""
    truth, guess = many(4)
    truth = [row | {"metadata": {"iscrowd": 1, "area": 225}} for row in truth]
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, *truth)
    run = predict(api, dataset, model, *guess)

    plain, objects = evaluate(api, run), evaluate(api, run, options={"crowdAsObjects": True})

    first, second = (api.ok("POST", f"evaluationsV2/{each}/charts", json={}) for each in (plain, objects))
    assert (first["mapSummary"]["mapAt50"], first["totalCounts"]["fp"]) == (None, 4)
    assert notes(read(api, plain)) == {"only_crowds": 4}
    assert "evaluate with crowd_as_objects" in read(api, plain)["notes"][0]["text"]
    assert (second["mapSummary"]["mapAt50"], second["totalCounts"]["tp"]) == (pytest.approx(1), 4)
    assert notes(read(api, objects)) == {}
    assert own.ok(objects, "coco")["families"]["area"]["ground_truths"] == 4
    error = own.refused(plain, f"compare/{objects}", status=409)
    assert "different options" in error


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_detections": 0}, "options max_detections must be a whole number from 1"),
        ({"max_detections": True}, "max_detections must be a whole number"),
        ({"max_detections": 1.5}, "max_detections must be a whole number"),
        ({"crowd_as_objects": "yes"}, "crowd_as_objects must be true or false"),
        ({"ignore_labels": "void"}, "ignore_labels must be a list of labels"),
        ({"maxdets": 3}, "has no option 'maxdets': there are max_detections"),
        ([1], "must be an object of options"),
    ],
    ids=str,
)
def test_options_that_are_none(api: Api, options: Any, words: str):
    """A misspelt one would change every number without a word."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, *many(1)[0])
    run = predict(api, dataset, model, *many(1)[1])

    answer = api("POST", f"modelRun/{run}/evaluationsV2", json={"options": options})

    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_labels_that_differ_in_spelling_only(api: Api):
    """The two sides do not meet, which is said; a rollup group is the way out."""
    guess = [shape("stop_sign ", (0, 0, 15, 15), "p", confidence=0.9)]
    truth = [
        shape("Stop Sign", (0, 0, 15, 15), "t"),
        shape("cafe\u0301", (50, 0, 9, 9), "u"),
        shape("dog", (90, 0, 9, 9), "v"),
    ]
    groups = [{"class_name": "stop", "labels": ["Stop Sign", "stop_sign "]}]

    first, second = evaluated(api, truth, guess), evaluated(api, truth, guess, rollupGroups=groups)

    (note,) = read(api, first)["notes"]
    assert (note["note"], note["count"]) == ("label_spellings", 2)
    assert "'Stop Sign' and 'stop_sign '" in note["text"]
    assert read(api, second)["notes"] == []


def test_an_area_larger_than_its_box(api: Api):
    """COCO's area decides AP by size."""
    truth = [
        shape("dog", (0, 0, 20, 20), "t", metadata={"iscrowd": 0, "area": 40_000}),
        shape("dog", (50, 0, 20, 20), "u", metadata={"iscrowd": 0, "area": 400.5}),
        shape("dog", (90, 0, 20, 20), "v", metadata={"area": 40_000}),
    ]

    assert notes(read(api, evaluated(api, truth, []))) == {"area_beyond_box": 1}


def test_items_without_ground_truth_are_counted(client: official.NucleusClient, api: Api, own: Own):
    """A benchmark leaves them out; how many, and with how many predictions, is in result, statistics and provenance."""
    found = world(
        client, {"a": {}, "b": {}, "c": {}}, [("a", "car", 0)],
        [("a", "car", 0, 0.9), ("b", "car", 0, 0.9), ("b", "car", 50, 0.9), ("c", "dog", 0, 0.1)],
    )  # fmt: skip

    evaluation = found.evaluate()

    totals = read(api, evaluation.id)["exclusion_stats"]["totals"]
    assert (totals["itemsWithoutGroundTruth"], totals["predictionsOnItemsWithoutGroundTruth"]) == (2, 3)
    assert notes(read(api, evaluation.id)) == {"without_ground_truth": 3}
    assert read(api, evaluation.id)["notes"] == own.ok(evaluation.id, "provenance")["notes"]
    assert evaluation.exclusion_stats["totals"]["itemsDropped"] == 0
    newer = client.create_benchmark(
        "all", parent_benchmark_id=found.benchmark.id, item_ids=[found.item_ids()["b"]], verbose=False
    )
    made = newer.create_evaluation_v2(model_id=found.model.id).wait_for_completion(
        timeout_sec=60, poll_interval=0.02
    )
    assert notes(read(api, made.id)) == {"without_ground_truth": 3}


def test_what_came_in_later_is_not_left_out(client: official.NucleusClient, api: Api):
    """An item that a draft passed over, was annotated and added again is a member like the others."""
    found = world(client, {"a": {}, "b": {}}, [("a", "car", 0)], [("b", "car", 0, 0.9)], benchmark=False)
    draft = client.create_benchmark("all", draft=True)
    draft.add_items(dataset_ids=[found.dataset.id], verbose=False)
    found.dataset.annotate([
        official.BoxAnnotation("car", 0, 0, 10, 10, reference_id="b", annotation_id="late")
    ])
    draft.add_items(dataset_ids=[found.dataset.id], verbose=False)
    found.benchmark = draft.finalize()

    assert notes(read(api, found.evaluate().id)) == {}


def test_pixels_by_true_and_predicted_label(api: Api, own: Own):
    """The confusion matrix of pixels against a literal count, with and without ignored labels."""
    random = np.random.default_rng(5)
    names = ["road", "sky", "void"]
    truth, guess = random.integers(0, 4, (2, 12, 15))
    dataset, model = dataset_of(api, item("a"))
    segments = {name: [index] for index, name in enumerate(names, start=1)}
    mask(api, f"dataset/{dataset}/annotate", "a", truth.tolist(), segments)
    mask(api, f"dataset/{dataset}/model/{model}/uploadPredictions", "a", guess.tolist(), segments)
    (run,) = api.ok("GET", f"dataset/{dataset}/model_runs")

    def literal(ignored: set[str]) -> dict[tuple[str, str | None], int]:
        cells: dict[tuple[str, str | None], int] = {}
        for actual, predicted in zip(truth.ravel(), guess.ravel(), strict=True):
            row = names[actual - 1] if actual else None
            column = names[predicted - 1] if predicted else None
            if row is not None and row not in ignored:
                key = row, None if column in ignored else column
                cells[key] = cells.get(key, 0) + 1
        return cells

    for options, ignored in (({}, set()), ({"ignore_labels": ["void", "unknown"]}, {"void"})):
        found = own.ok(evaluate(api, run, options=options), "masks")

        cells = {(cell["truth"], cell["predicted"]): cell["pixels"] for cell in found["confusion"]}
        assert cells == literal(ignored)
        assert found["pixels"] == sum(cells.values())
        assert found["pixels_not_labelled"] == truth.size - sum(cells.values())
        assert found["classes"] == 3 - len(ignored)
        right = sum(count for (row, column), count in cells.items() if row == column)
        assert found["pixel_accuracy"]["value"] == pytest.approx(right / found["pixels"])
        assert found["confusion_cells_left_out"] == 0


def test_segments_without_a_pixel(api: Api):
    """An index that is listed and not in the mask is missed, or a false positive, for want of a pixel."""
    dataset, model = dataset_of(api, item("a"))
    mask(api, f"dataset/{dataset}/annotate", "a", [[1, 1, 2]], {"road": [1], "sky": [2], "car": [7]})
    mask(
        api,
        f"dataset/{dataset}/model/{model}/uploadPredictions",
        "a",
        [[1, 1, 2]],
        {"road": [1], "sky": [2, 9]},
    )
    (run,) = api.ok("GET", f"dataset/{dataset}/model_runs")

    assert notes(read(api, evaluate(api, run))) == {"empty_segments": 2}
    assert notes(calculate(api, dataset, model)) == {"empty_segments": 2}
