"""Evaluations V2 through the official client: life cycle, configuration, numbers on real data, undefined numbers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import nucleus as official
import pytest
from nucleus.evaluation_v2 import RollupGroup
from nucleus.evaluation_v2_exclusions import BoxAreaExclusionRule, LabelExclusionRule, MetadataExclusionRule

from airflow_provider_nucleus.local.evaluations.computing.result_files import LAYOUT
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api
from tests.local.evaluated import coco_world, predict, result_folder, world
from tests.shared_data import shared_data

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = {"a": {"weather": "rain"}, "b": {"weather": "sun"}}


def counts(evaluation, **options) -> tuple[int, int, int]:
    found = evaluation.charts(**options).totalCounts
    return found.tp, found.fp, found.fn


@pytest.mark.parametrize(
    ("data", "predictions", "key"),
    [
        ("home-objects", "predictions_yolo.json", "yolo"),
        ("home-objects", "predictions_centernet.json", "centernet"),
        ("coco-val2014-100", "predictions_fakebbox.json", "fakebbox/bbox"),
    ],
)
def test_charts_are_cocos_numbers_on_real_data(client: official.NucleusClient, data, predictions, key):
    """Upload, benchmark, evaluation, charts: AP of all truth classes, by class and by size, as pycocotools has it."""
    folder = shared_data(data)
    expected = json.loads((folder / "expected.json").read_text())["coco"][key]

    charts = coco_world(client, folder, predictions).evaluate().charts()

    found = charts.mapSummary
    assert (found.mapAt5095, found.mapAt50, found.mapAt75) == pytest.approx(
        (expected["AP"], expected["AP50"], expected["AP75"]), abs=1e-6
    )
    sizes = charts.apBySize
    assert (sizes.small, sizes.medium, sizes.large) == pytest.approx(
        (expected["AP_small"], expected["AP_medium"], expected["AP_large"]), abs=1e-6
    )
    if "per_category" in expected:
        wanted = {name: entry["AP"] for name, entry in expected["per_category"].items()}
        assert {entry.classLabel: entry.ap for entry in charts.perClassAp} == pytest.approx(wanted, abs=1e-6)


def test_nothing_is_left_out_of_the_nine_charts(client: official.NucleusClient):
    """A hand-made case: every chart has the numbers one can count on fingers."""
    found = world(
        client,
        ITEMS,
        [("a", "car", 0), ("a", "bus", 100), ("b", "car", 0)],
        [("a", "car", 0, 0.9), ("a", "van", 100, 0.8), ("b", "car", 8, 0.3), ("b", "car", 500, 0.25)],
    )

    charts = found.evaluate().charts()

    assert (charts.totalCounts.tp, charts.totalCounts.fp, charts.totalCounts.fn) == (1, 3, 2)
    assert charts.totalCounts.predsWithConfidence == 4
    # car: one of two found before any error: precision 1 up to recall 0.5; bus: nothing found; van: no ground truth.
    assert {entry.classLabel: entry.ap for entry in charts.perClassAp} == {
        "bus": 0.0,
        "car": pytest.approx(51 / 101),
    }
    assert charts.mapSummary.mapAt50 == pytest.approx(51 / 202)
    assert {(entry.gtLabel, entry.predLabel): entry.count for entry in charts.confusionMatrix} == {
        ("car", "car"): 1,
        ("bus", "van"): 1,
        ("car", "__background__"): 1,
        ("__background__", "car"): 2,
    }
    assert {bucket.bucketMin: bucket.count for bucket in charts.scoreHistogram if bucket.count} == {
        0.25: 1,
        0.3: 1,
        0.8: 1,
        0.9: 1,
    }
    assert charts.computedIouRanges == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    tide = charts.tideAttribution
    assert (tide.truePositive, tide.localization, tide.classification, tide.both) == (1, 1, 1, 0)
    assert (tide.duplicate, tide.background, tide.missed) == (0, 1, 0)
    assert charts.apBySize.small == pytest.approx(51 / 202)
    assert charts.apBySize.large is None
    curve = [(point.recall, point.precision) for point in charts.prCurve if point.classLabel == "car"]
    assert curve[0] == (0.0, 1.0)
    assert curve[-1] == (0.5, 1.0)


def test_predictions_of_other_items_and_uncovered_items_count_as_they_should(client: official.NucleusClient):
    """Only benchmark items are scored; one without predictions is missed entirely."""
    found = world(
        client,
        {**ITEMS, "c": {}},
        [("a", "car", 0), ("b", "car", 0)],
        [("a", "car", 0, 0.9), ("c", "car", 0, 0.9)],
    )

    assert counts(found.evaluate()) == (1, 0, 1)


def test_undefined_numbers_are_null(client: official.NucleusClient):
    """No predictions: AP is 0 where there is ground truth; no confidence: AP is null, counts are there."""
    found = world(client, ITEMS, [("a", "car", 0)], [])
    nothing = found.evaluate().charts()
    predict(found, [("a", "car", 0)])
    unscored = found.evaluate().charts()

    assert (nothing.mapSummary.mapAt50, nothing.apBySize.medium) == (0.0, None)
    assert nothing.scoreHistogram == []
    assert (unscored.mapSummary.mapAt50, unscored.perClassAp) == (None, [])
    assert (unscored.totalCounts.tp, unscored.totalCounts.predsWithConfidence) == (1, 0)
    assert unscored.prCurve == []


def test_an_evaluation_of_nothing_has_no_numbers(client: official.NucleusClient):
    """Every item excluded: counts are 0, AP and curves are not there, pages are empty; nothing fails."""
    found = world(client, ITEMS, [("a", "car", 0)], [("a", "car", 0, 0.9)])

    evaluation = found.evaluate(exclusion_rules=[MetadataExclusionRule("weather", "IN", ["rain", "sun"])])

    charts = evaluation.charts()
    assert counts(evaluation) == (0, 0, 0)
    assert (charts.mapSummary.mapAt50, charts.perClassAp, charts.confusionMatrix, charts.prCurve) == (
        None,
        [],
        [],
        [],
    )
    assert evaluation.examples(sort_by="confidence").total == 0
    assert evaluation.filter_schema().metadata_fields == []
    assert client.leaderboard_ranking("F1", [found.benchmark.id]) == []
    assert client.leaderboard_f1_curve([found.benchmark.id]) == []


def test_deleted_items_leave_their_benchmarks(client: official.NucleusClient):
    """An item that is deleted is no longer counted, listed or scored; evaluations of before keep their numbers."""
    found = world(client, ITEMS, [("a", "car", 0), ("b", "car", 0)], [("a", "car", 0, 0.9)])
    before = found.evaluate()

    found.dataset.delete_item("b")

    assert found.benchmark.refresh().item_count == 1
    assert found.benchmark.items().total == 1
    assert counts(found.evaluate()) == (1, 0, 0)
    assert counts(before) == (1, 0, 1)
    (missed,) = before.examples(match_type="FN").rows
    assert (missed.annotation_row, missed.item_metadata) == (None, None)


def test_a_run_can_be_the_anchor(client: official.NucleusClient, api: Api):
    """Predictions of a run are read, run-free ones are not, and each anchor lists its own evaluations, newest first."""
    found = world(client, ITEMS, [("a", "car", 0)], [("a", "car", 500, 0.9)])
    run = found.dataset.upload_predictions(
        found.model, [official.BoxPrediction("car", 0, 0, 10, 10, reference_id="a", confidence=0.5)]
    )["model_run_id"]

    with pytest.warns(DeprecationWarning, match="Model-run-anchored"):
        of_run = found.benchmark.create_evaluation_v2(run).wait_for_completion(60, 0.02)
    first, second = found.evaluate(name="one"), found.evaluate(name="two")

    assert counts(of_run) == (1, 0, 0)
    assert (of_run.model_run_id, of_run.model_id) == (run, None)
    assert counts(second) == (0, 1, 1)
    assert [entry["id"] for entry in api.ok("GET", f"model/{found.model.id}/evaluationsV2", json={})] == [
        second.id,
        first.id,
    ]
    assert [entry["id"] for entry in api.ok("GET", f"modelRun/{run}/evaluationsV2", json={})] == [of_run.id]


def test_rollup_groups_merge_labels_and_ungrouped_ones_keep_their_name(client: official.NucleusClient):
    """Van for bus is right in one group; examples show raw and canonical labels."""
    found = world(
        client, ITEMS, [("a", "bus", 0), ("b", "dog", 0)], [("a", "van", 0, 0.9), ("b", "cat", 0, 0.8)]
    )
    groups = [RollupGroup("vehicle", ["bus", "van"])]

    evaluation = found.evaluate(rollup_groups=groups)

    assert evaluation.rollup_groups == groups
    assert counts(evaluation) == (1, 1, 1)
    (row,) = evaluation.examples(match_type="TP").rows
    assert (row.pred_raw_label, row.gt_raw_label) == ("van", "bus")
    assert (row.pred_canonical_label, row.gt_canonical_label) == ("vehicle", "vehicle")
    assert evaluation.filter_schema().gt_labels == ["dog", "vehicle"]


def test_benchmark_taxonomy_applies_unless_the_evaluation_has_its_own(client: official.NucleusClient):
    """The benchmark's groups are the default; class-agnostic benchmarks have one class and take no groups."""
    truth, predictions = [("a", "bus", 0)], [("a", "van", 0, 0.9)]
    grouped = world(client, ITEMS, truth, predictions, rollup_groups=[RollupGroup("vehicle", ["bus", "van"])])
    agnostic = world(client, ITEMS, truth, predictions, class_agnostic=True)

    assert counts(grouped.evaluate()) == (1, 0, 0)
    assert counts(grouped.evaluate(rollup_groups=[RollupGroup("big", ["bus"])])) == (0, 1, 1)
    assert counts(agnostic.evaluate()) == (1, 0, 0)
    with pytest.raises(official.NucleusAPIError, match="class_agnostic"):
        agnostic.evaluate(rollup_groups=[RollupGroup("big", ["bus"])])


@pytest.mark.parametrize(
    ("rule", "expected", "dropped"),
    [
        (MetadataExclusionRule("weather", "EQ", "rain"), (1, 0, 0), (1, 0, 0)),
        (LabelExclusionRule("annotation", "prediction", ["dog"]), (2, 0, 1), (0, 0, 1)),
        (LabelExclusionRule("annotation", "groundTruth", ["dog"]), (2, 1, 0), (0, 1, 0)),
        (LabelExclusionRule("item", "groundTruth", ["dog"]), (1, 0, 0), (1, 0, 0)),
        (BoxAreaExclusionRule("annotation", "prediction", max=99), (0, 0, 3), (0, 0, 3)),
        (BoxAreaExclusionRule("item", "groundTruth", min=100, max=100), (2, 1, 1), (0, 0, 0)),
    ],
)
def test_exclusion_rules_drop_before_matching_and_are_counted(client, rule, expected, dropped):
    """Items or objects are gone from every number; the stats say how many."""
    found = world(
        client,
        ITEMS,
        [("a", "car", 0), ("a", "dog", 100), ("b", "car", 0)],
        [("a", "car", 0, 0.9), ("a", "dog", 300, 0.8), ("b", "car", 0, 0.7)],
    )

    evaluation = found.evaluate(exclusion_rules=[rule])

    assert counts(evaluation) == expected
    totals = evaluation.exclusion_stats["totals"]
    assert (totals["itemsDropped"], totals["groundTruthDropped"], totals["predictionsDropped"]) == dropped
    assert evaluation.exclusion_rules == [rule.to_api_dict()]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"type": "labels", "scope": "item", "target": "truth", "labels": ["a"]}, "target"),
        ({"type": "labels", "scope": "annotation", "target": "prediction", "labels": []}, "non-empty"),
        ({"type": "metadata", "key": "k", "op": "LIKE", "value": 1}, "op must be"),
        ({"type": "metadata", "scope": "annotation", "key": "k", "op": "EQ", "value": 1}, "scope must be 'item'"),
        ({"type": "boxArea", "scope": "item", "target": "prediction"}, "min or max"),
        ({"type": "boxArea", "scope": "item", "target": "prediction", "min": 5, "max": 1}, "greater than its max"),
        ({"type": "colour"}, "type must be"),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused_with_the_reason(client: official.NucleusClient, rule, text: str):
    """400 at creation, naming the rule; nothing is started."""
    found = world(client, ITEMS, [("a", "car", 0)], [])

    with pytest.raises(official.NucleusAPIError) as caught:
        found.evaluate(exclusion_rules=[rule])

    assert caught.value.status_code == 400
    assert "exclusionRules[0]" in str(caught.value)
    assert text in str(caught.value)
    assert client.list_evaluations_v2(model_id=found.model.id) == []


def test_older_clients_evaluate_a_run_over_its_dataset(client: official.NucleusClient, api: Api):
    """The model-run POST: allowed label pairs, a slice, only items with predictions, charts in the address."""
    found = world(client, ITEMS, [("a", "bus", 0), ("b", "bus", 0)], [])
    run = found.dataset.upload_predictions(
        found.model, [official.BoxPrediction("van", 0, 0, 10, 10, reference_id="a", confidence=0.5)]
    )["model_run_id"]
    piece = found.dataset.create_slice("s", ["b"])

    def evaluate(**body) -> dict:
        made = api.ok("POST", f"modelRun/{run}/evaluationsV2", json=body)
        client.get_evaluation_v2(made["evaluation_id"]).wait_for_completion(60, 0.02)
        filters = json.dumps({"gtLabels": ["bus"]})
        path = f"evaluationsV2/{made['evaluation_id']}/charts?iouThreshold=0.6&filters={filters}"
        found_counts = api.ok("GET", path)["totalCounts"]
        return {**api.ok("GET", f"evaluationsV2/{made['evaluation_id']}"), **found_counts}

    pair = {"ground_truth_label": "bus", "model_prediction_label": "van"}
    whole = evaluate(allowed_label_matches=[pair])
    assert (whole["tp"], whole["fp"], whole["fn"]) == (1, 0, 1)
    assert whole["dataset_id"] == found.dataset.id
    assert whole["allowed_label_matches"] == [{"groundTruthLabel": "bus", "modelPredictionLabel": "van"}]
    covered = evaluate(allowed_label_matches=[pair], onlyItemsWithPredictions=True)
    assert (covered["tp"], covered["fp"], covered["fn"]) == (1, 0, 0)
    sliced = evaluate(sliceId=piece.id)
    assert (sliced["slice_id"], sliced["tp"], sliced["fn"]) == (piece.id, 0, 1)


def test_ended_evaluations_refuse_what_makes_no_sense(client: official.NucleusClient):
    """A finished one cannot be cancelled or retried; a deleted one is gone, its files too."""
    found = world(client, ITEMS, [("a", "car", 0)], [("a", "car", 0, 0.9)])
    evaluation = found.evaluate()

    for call in (evaluation.cancel, evaluation.retry):
        with pytest.raises(official.NucleusAPIError) as caught:
            call()
        assert caught.value.status_code == 409
    evaluation.delete()
    with pytest.raises(official.NucleusAPIError) as caught:
        client.get_evaluation_v2(evaluation.id)
    assert caught.value.status_code == 404
    assert client.list_evaluations_v2(model_id=found.model.id) == []


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "exactly one"),
        ({"model_id": "prj_nope"}, 404, "prj_nope"),
        ({"model_id": "m", "model_run_id": "r"}, 400, "exactly one"),
        ({"modelId": "MODEL", "rollupGroup": []}, 400, "Unknown fields ['rollupGroup']"),
        ({"modelId": "MODEL", "rollupGroups": [{"className": "a", "labels": []}]}, 400, "labels"),
    ],
)
def test_evaluations_that_cannot_be_meant_are_refused(client, api: Api, body, status: int, text: str):
    """Both casings are read; a field nobody knows is an error, not a silent default."""
    found = world(client, ITEMS, [("a", "car", 0)], [])
    body = {key: found.model.id if value == "MODEL" else value for key, value in body.items()}

    answer = api("POST", f"benchmarks/{found.benchmark.id}/evaluationsV2", json=body)

    assert (answer.status_code, text in answer.json()["error"]) == (status, True), answer.text


def test_presets_are_kept_changed_and_applied(client: official.NucleusClient):
    """A preset's values are copied into the evaluation; names are unique; null clears, absent leaves alone."""
    found = world(client, ITEMS, [("a", "bus", 0)], [("a", "van", 0, 0.9)])
    rule = LabelExclusionRule("item", "groundTruth", ["nothing"])
    preset = client.create_evaluation_v2_preset(
        f"p {found.model.id}", rollup_groups=[RollupGroup("vehicle", ["bus", "van"])], exclusion_rules=[rule]
    )

    evaluation = found.evaluate(preset=preset)
    preset.update(rollup_groups=None)
    (stored,) = [entry for entry in client.list_evaluation_v2_presets() if entry.id == preset.id]

    assert counts(evaluation) == (1, 0, 0)
    assert (stored.rollup_groups, stored.exclusion_rules) == (None, [rule.to_api_dict()])
    with pytest.raises(official.NucleusAPIError, match="exists"):
        client.create_evaluation_v2_preset(preset.name)
    preset.delete()
    assert preset.id not in {entry.id for entry in client.list_evaluation_v2_presets()}


def _many(server: LocalNucleus):
    """A server whose evaluation takes long enough to be interrupted: one step per twenty boxes."""
    client = official.NucleusClient(api_key=server.api_key, endpoint=server.url)
    rows = [(f"i{n}", "car", 20.0 * k) for n in range(200) for k in range(20)]
    return world(client, {f"i{n}": {} for n in range(200)}, rows, [(*row, 0.5) for row in rows])


SMALL_STEPS = {"NUCLEUS_LOCAL_EVALUATION_ROWS": "200"}


def test_killed_evaluations_resume_and_cancelled_ones_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """SIGKILL in the middle: after the restart it succeeds with complete numbers. Cancelled: no result is left."""
    monkeypatch.setattr("nucleus.async_job.JOB_POLLING_INTERVAL", 0.01)
    server = LocalNucleus(tmp_path / "data", environment=SMALL_STEPS).start()
    found = _many(server)
    api = Api(server)

    def started() -> tuple[str, str]:
        made = api.ok(
            "POST", f"benchmarks/{found.benchmark.id}/evaluationsV2", json={"model_id": found.model.id}
        )
        while api.ok("GET", f"job/{made['workflow_id']}")["completed_steps"] < 1:
            assert api.ok("GET", f"evaluationsV2/{made['evaluation_id']}")["status"] in {
                "pending",
                "computing",
            }
        return made["evaluation_id"], made["workflow_id"]

    evaluation, _ = started()
    server.kill()
    server.start()
    api = Api(server)
    client = official.NucleusClient(api_key=server.api_key, endpoint=server.url)
    resumed = client.get_evaluation_v2(evaluation).wait_for_completion(60, 0.02)
    assert resumed.status == "succeeded"
    assert counts(resumed) == (4000, 0, 0)

    evaluation, job = started()
    cancelled = client.get_evaluation_v2(evaluation).cancel()
    assert cancelled.status == "cancelled"
    assert api.wait(job)["status"] == "Cancelled"
    assert client.get_evaluation_v2(evaluation).status == "cancelled"
    answer = api("POST", f"evaluationsV2/{evaluation}/charts", json={})
    assert answer.status_code == 409
    assert "is cancelled" in answer.json()["error"]
    assert list((server.data_dir / "evaluations").iterdir()) == [result_folder(server, resumed.id)]
    api.close()
    server.stop()


def test_failed_evaluations_say_why_and_can_be_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The reason reaches the client; a retry is a new evaluation with the same configuration."""
    monkeypatch.setattr("nucleus.async_job.JOB_POLLING_INTERVAL", 0.01)
    with LocalNucleus(tmp_path / "data") as server:
        client = official.NucleusClient(api_key=server.api_key, endpoint=server.url)
        found = world(client, ITEMS, [("a", "car", 0)], [("a", "car", 0, 0.9)])
        # The result cannot be written where a file is in the way.
        results = server.data_dir / "evaluations"
        results.write_text("in the way")
        broken = found.benchmark.create_evaluation_v2(model_id=found.model.id, name="n")
        with pytest.raises(RuntimeError, match="failed: FileExistsError: File exists") as caught:
            broken.wait_for_completion(60, 0.02)
        assert str(tmp_path) not in str(caught.value)
        results.unlink()

        again = broken.retry().wait_for_completion(60, 0.02)

        assert again.id != broken.id
        assert (again.status, again.name) == ("succeeded", "n")
        assert counts(again) == (1, 0, 0)


LAYOUT_COLUMNS = {
    6: """
        best_correct best_correct_overlap best_incorrect best_incorrect_overlap candidate_count
        candidate_overlap candidate_prediction class_family class_label coco_all_area
        coco_all_confidence coco_all_hit coco_all_ignored coco_all_label coco_all_row
        coco_large_confidence coco_large_hit coco_large_ignored coco_large_label coco_large_row
        coco_medium_confidence coco_medium_hit coco_medium_ignored coco_medium_label coco_medium_row
        coco_small_confidence coco_small_hit coco_small_ignored coco_small_label coco_small_row correct
        displayed displayed_candidate_count displayed_candidate_overlap displayed_candidate_prediction
        displayed_overlap displayed_with edge_overlap edge_place edge_prediction edge_taken edge_truth
        found_by items long_first long_limit long_row match overlap prediction_area prediction_bucket
        prediction_class prediction_confidence prediction_family prediction_image prediction_label
        prediction_number prediction_ordinal prediction_raw prediction_segment ranked_area
        ranked_confidence ranked_label ranked_row truth_area truth_class truth_crowd truth_family
        truth_ignore truth_image truth_label truth_number truth_ordinal truth_raw truth_segment
    """,
}


def test_columns_of_a_result_belong_to_its_layout(client: official.NucleusClient, nucleus: LocalNucleus):
    """Who adds or changes a column raises LAYOUT: results of before would be read as if they had it."""
    found = world(client, {"a": {}}, [("a", "car", 0)], [("a", "car", 0, 0.9)]).evaluate()
    about = json.loads((result_folder(nucleus, found.id) / "about.json").read_text())

    assert about["layout"] == LAYOUT
    assert list(about["columns"]) == LAYOUT_COLUMNS[LAYOUT].split()
