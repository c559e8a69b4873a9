"""Every calculation stays readable: its numbers, its coverage, who asked for it, and those of each batch within it."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import duckdb
import pytest

from airflow_provider_nucleus.local.testing import LocalNucleus
from airflow_provider_nucleus.requesting_task import TASK_HEADER, task_header
from airflow_provider_nucleus.tasks.population import read_ground_truth
from tests.local.conftest import Api
from tests.local.story import annotate, box, calculate, make_model, objects, predict
from tests.pictures import picture

TASK = {"dag_id": "daily", "run_id": "scheduled__2026-11-24", "task_id": "calculate", "map_index": 2}


def start(api: Api, dataset: str, model: str, **options: Any) -> str:
    """Calculate as a task of Airflow would, and return the job."""
    answer = api.ok(
        "POST",
        f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics",
        json=options,
        headers={TASK_HEADER: task_header(TASK)},
    )
    assert api.wait(answer["job_id"])["status"] == "Completed"
    return answer["job_id"]


def root(api: Api) -> str:
    """Return the address below which pages are."""
    return api.nucleus.url.removesuffix("/v1/nucleus")


def page(api: Api, path: str, **state: str) -> str:
    """Return the text of a page."""
    answer = api.session.get(root(api) + path, params=state, timeout=60)
    assert answer.ok, answer.text
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))


def ui(api: Api, path: str, **state: Any) -> Any:
    """Return the JSON of a route of the interface."""
    answer = api.session.get(f"{root(api)}/ui/api/{path}", params=state, timeout=60)
    assert answer.ok, answer.text
    return answer.json()


def two_days(api: Api) -> tuple[str, str, str, str]:
    """Day 1: one of two found. Day 2: two more items, all found, one without ground truth."""
    dataset, model = api.dataset("a", "b"), make_model(api)
    annotate(api, dataset, box("a", "car", 0), box("b", "car", 0))
    predict(api, dataset, model, box("a", "car", 0), box("b", "car", 500))
    first = start(api, dataset, model)
    items = [{"reference_id": name, "image_url": f"s3://b/{name}.jpg", "metadata": {}} for name in ("c", "d")]
    api.ok("POST", f"dataset/{dataset}/append", json={"items": items, "update": False})
    annotate(api, dataset, box("c", "car", 0))
    predict(api, dataset, model, box("c", "car", 1), box("d", "car", 0))
    for name, references in (("day-1", ["a", "b"]), ("day-2", ["c", "d"])):
        api.ok("POST", f"dataset/{dataset}/create_slice", json={"name": name, "reference_ids": references})
    return dataset, model, first, start(api, dataset, model)


def test_a_page_at_a_calculation_shows_the_numbers_it_had(api: Api):
    """The address of last week's task shows last week's numbers, and says that there are later ones."""
    dataset, model, first, second = two_days(api)
    path = f"/dataset/{dataset}/model/{model}/evaluation"

    then, now = page(api, path, calculation=first), page(api, path)

    assert "True positives (TP) 1 " in then
    assert "False negatives (FN) 1 " in then
    assert "Earlier numbers." in then
    assert "2 items, 2 of them with ground truth" in then
    assert "daily.calculate [2], scheduled__2026-11-24" in then
    assert "True positives (TP) 2 " in now
    assert "Earlier numbers." not in now
    assert "4 items, 3 of them with ground truth" in now
    assert page(api, path, calculation=second).replace(second, "") == now.replace(second, "")


def test_a_calculation_whose_rows_went_keeps_its_numbers(api: Api):
    """Match rows are those of the newest two; of an earlier one the page says that only the numbers are kept."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "car", 0), box("a", "bus", 100))
    run = predict(api, dataset, model, box("a", "car", 2), box("a", "van", 100))
    first = start(api, dataset, model)
    path = f"/dataset/{dataset}/model/{model}/evaluation"
    before = page(api, path, calculation=first, iou="0.6")
    predict(api, dataset, model, box("a", "bus", 100))
    start(api, dataset, model)
    predict(api, dataset, model, box("a", "bus", 200))
    last = start(api, dataset, model, class_agnostic=True)

    after = page(api, path, calculation=first, iou="0.6")

    for text in ("True positives (TP) 1 ", "False positives (FP) 1 ", "False negatives (FN) 1 ", "0.667"):
        assert text in before
        assert text in after
    assert "the numbers are kept, and not the single matches" in after
    assert "Taken for something else" in before
    assert "Taken for something else" not in after
    kept = {
        point["calculation"]: point["match_rows_kept"]
        for each in ui(api, f"datasets/{dataset}/trend")["series"]
        for point in each["points"]
    }
    assert kept == {first: False, last: True} | {job: True for job in kept if job not in {first, last}}
    assert len(kept) == 3
    assert len(objects(api, dataset, "false_positive", run)) == 2


@pytest.mark.parametrize("iou", ["0", "0.5", "0.55", "0.123456", "1"])
def test_counts_of_a_calculation_are_those_of_its_rows(api: Api, nucleus: LocalNucleus, iou: str):
    """At any threshold the kept counts say what the rows say, labels that may match included."""
    dataset, model = api.dataset("a", "b"), make_model(api)
    annotate(api, dataset, *(box("a", "car", 20 * n, name=f"g{n}") for n in range(4)), box("b", "bus", 0))
    run = predict(
        api,
        dataset,
        model,
        *(box("a", "van", 20 * n + n, name=f"p{n}") for n in range(4)),
        box("b", "bus", 0),
        box("b", "car", 50),
    )
    pairs = [{"ground_truth_label": "car", "model_prediction_label": "van"}]
    calculate(api, dataset, model, allowed_label_matches=pairs)
    found = {mode: objects(api, dataset, mode, run) for mode in ("iou", "false_positive", "false_negative")}

    (point,) = ui(api, f"datasets/{dataset}/trend", iouThreshold=iou)["series"][0]["points"]

    hits = [row["iou"] for row in found["iou"] if row["true_positive"] and row["iou"] >= float(iou)]
    others = sum(row["iou"] < float(iou) for row in found["iou"])
    values = point["values"]
    assert values["tp"] == len(hits)
    assert values["fp"] == len(found["false_positive"]) + others
    assert values["fn"] == len(found["false_negative"]) + others
    assert values["mean_iou"] == (pytest.approx(sum(hits) / len(hits), rel=1e-12) if hits else None)


def test_each_batch_has_numbers_of_its_own(api: Api):
    """One point per slice, in the order of the slices, with the coverage of each; the whole is the sum."""
    dataset, model, _, second = two_days(api)

    answer = ui(api, f"datasets/{dataset}/trend")

    kinds = {each["kind"]: each for each in answer["series"]}
    day_1, day_2 = kinds["batch"]["points"]
    assert [day_1["slice_name"], day_2["slice_name"]] == ["day-1", "day-2"]
    assert {point["calculation"] for point in (day_1, day_2)} == {second}
    assert [day_1["values"][name] for name in ("tp", "fp", "fn")] == [1, 1, 1]
    assert [day_2["values"][name] for name in ("tp", "fp", "fn")] == [1, 1, 0]
    assert day_2["coverage"] == {
        "items": 2, "with_ground_truth": 1, "without_ground_truth": 1, "ground_truth": 1, "predictions": 2,
    }  # fmt: skip
    assert kinds["batch"]["varies"] == ["scope", "ground_truth"]
    then, now = kinds["calculation"]["points"]
    assert [then["values"]["tp"], now["values"]["tp"]] == [1, 2]
    assert then["requested_by"]["run_id"] == "scheduled__2026-11-24"
    assert then["fingerprint"]["ground_truth"] != now["fingerprint"]["ground_truth"]
    text = page(api, f"/dataset/{dataset}/model/{model}/evaluation")
    assert re.search(r"day-1 \S+ \S+ UTC 2 2 1 1 1 ", text)
    assert re.search(r"day-2 \S+ \S+ UTC 2 1 1 1 0 ", text)


def test_a_slice_over_calculations(api: Api):
    """The numbers of one batch in every calculation that had its items."""
    dataset, model, first, second = two_days(api)
    slices = {
        s["name"]: s["id"]
        for s in (
            api.ok("GET", f"slice/{each}/info")
            for each in api.ok("GET", f"dataset/{dataset}/info")["slice_ids"]
        )
    }

    one = ui(api, f"slices/{slices['day-1']}/trend")["series"][0]["points"]
    two = ui(api, f"slices/{slices['day-2']}/trend", modelId=model)["series"][0]["points"]

    assert [point["calculation"] for point in one] == [first, second]
    assert one[0]["values"] == one[1]["values"]
    assert one[0]["fingerprint"] == one[1]["fingerprint"]
    assert [point["calculation"] for point in two] == [second]


def test_other_options_are_another_series(api: Api):
    """Numbers of different definitions are never points of one line."""
    dataset, model, *_ = two_days(api)
    start(api, dataset, model, class_agnostic=True)

    found = [each for each in ui(api, f"models/{model}/trend")["series"] if each["kind"] == "calculation"]

    assert [len(each["points"]) for each in found] == [1, 2]
    assert {each["options"]["class_agnostic"] for each in found} == {True, False}


def test_corrected_ground_truth_is_another_digest(api: Api):
    """A box that was moved changes the fingerprint of what follows."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "car", 0, name="g"))
    predict(api, dataset, model, box("a", "car", 0))
    start(api, dataset, model)
    start(api, dataset, model)
    annotate(api, dataset, box("a", "car", 3, name="g"), update=True)
    start(api, dataset, model)

    (series,) = ui(api, f"datasets/{dataset}/trend")["series"]

    digests = [point["fingerprint"]["ground_truth"] for point in series["points"]]
    assert digests[0] == digests[1] != digests[2]
    assert series["varies"] == ["ground_truth"]


def test_the_digest_of_a_trend_is_that_of_measurements(api: Api):
    """What operators digest, reading the ground truth as clients do, is the number of the trend: of everything and of a slice."""
    dataset, model = api.dataset("a", "bä/b", "c"), make_model(api)
    corners = [{"x": 0, "y": 1e-7}, {"x": 10.0, "y": 123456789.125}, {"x": 3, "y": 1e15}]
    polygon = {
        "type": "polygon",
        "label": "Fußgänger",
        "reference_id": "bä/b",
        "geometry": {"vertices": corners},
    }
    category = {
        "type": "category",
        "label": "night",
        "reference_id": "c",
        "geometry": {},
    }
    segments = [{"label": "road", "index": 3, "metadata": {"a": 1.0}}]
    mask = {
        "type": "mask",
        "reference_id": "a",
        "mask_url": "s3://bucket/mask.png?v=1",
        "annotations": segments,
    }
    rows = (
        box("a", "car", 0.1, metadata={"iscrowd": 1, "note": "x"}),
        box("bä/b", "car", 1e-7),
        box("bä/b", "car", 10.0, metadata={"ignore": True}),
        box("c", "bus", 2.5, name='id "quoted"'),
    )
    annotate(api, dataset, *rows, polygon | {"annotation_id": "p"}, category)
    api.ok("POST", f"dataset/{dataset}/annotate", json={"segmentations": [mask], "update": False})
    uploaded = {"segmentations": [mask | {"reference_id": "c", "mask_url": "c.png"}], "update": False}
    files = [
        ("serialized_request", (None, json.dumps(uploaded), "application/json")),
        ("mask", ("c.png", picture(), "image/png")),
    ]
    assert api.ok("POST", f"dataset/{dataset}/annotate", files=files)["annotations_processed"] == 1
    predict(api, dataset, model, box("a", "car", 0))
    body = {"name": "day", "reference_ids": ["a", "c"]}
    day = api.ok("POST", f"dataset/{dataset}/create_slice", json=body)["slice_id"]
    calculate(api, dataset, model)

    whole = read_ground_truth(objects(api, dataset, "ground_truth_only"))
    part = read_ground_truth(
        each for each in objects(api, dataset, "ground_truth_only") if each["reference_id"] in {"a", "c"}
    )

    def digest(path: str) -> str:
        (series,) = (each for each in ui(api, path)["series"] if each["kind"] == "calculation")
        return str(series["points"][-1]["fingerprint"]["ground_truth"])

    assert (whole.objects, part.objects) == (8, 5)
    assert digest(f"datasets/{dataset}/trend") == whole.digest
    assert digest(f"slices/{day}/trend") == part.digest
    # Metadata that decides nothing leaves it as it was; a region in which nothing is counted does not.
    annotate(api, dataset, rows[0] | {"metadata": {"iscrowd": 1, "note": "y"}}, update=True)
    calculate(api, dataset, model)
    assert digest(f"datasets/{dataset}/trend") == whole.digest
    annotate(api, dataset, rows[0] | {"metadata": {"iscrowd": 0}}, update=True)
    calculate(api, dataset, model)
    assert (
        digest(f"datasets/{dataset}/trend")
        == read_ground_truth(objects(api, dataset, "ground_truth_only")).digest
        != whole.digest
    )


def test_a_calculation_that_is_not_there(api: Api):
    """A job of something else, or none at all, is said; nothing else is shown in its place."""
    dataset, model, first, _ = two_days(api)
    other = make_model(api)
    predict(api, dataset, other, box("a", "car", 0))
    start(api, dataset, other)

    for path in (
        f"dataset/{dataset}/model/{other}/evaluation?calculation={first}",
        f"dataset/{dataset}/model/{model}/evaluation?calculation=job_0",
    ):
        answer = api.session.get(f"{root(api)}/{path}", timeout=60)
        assert answer.status_code == 404, answer.text


def test_history_goes_with_its_run(tmp_path):
    """What was calculated for a run or a dataset that is deleted is deleted with it, counts and all."""
    with LocalNucleus(tmp_path / "data") as server:
        api = Api(server)
        dataset, *_ = two_days(api)
        api.ok("DELETE", f"dataset/{dataset}")
        api.close()
    with duckdb.connect(str(tmp_path / "data" / "nucleus.duckdb"), read_only=True) as store:
        for table in ("match_sets", "kept_counts", "kept_truths", "matches"):
            assert store.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
