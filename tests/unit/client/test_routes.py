"""Every call, compared with what the official client sends for the same intention."""

from __future__ import annotations

import contextlib
import inspect
import pkgutil
from importlib import import_module
from urllib.parse import parse_qsl, unquote, urlsplit

import nucleus
import pytest
from nucleus.benchmark import Benchmark
from nucleus.data_transfer_object.evaluation_v2 import EvaluationV2FilterArgs
from nucleus.dataset import ObjectQueryType
from nucleus.evaluation_v2 import EvaluationV2
from nucleus.evaluation_v2 import RollupGroup as OfficialGroup
from nucleus.evaluation_v2_exclusions import BoxAreaExclusionRule as OfficialArea
from nucleus.evaluation_v2_exclusions import LabelExclusionRule as OfficialLabels

from airflow_provider_nucleus import schema
from airflow_provider_nucleus.client import NO_RETRY, NucleusClient, NucleusConfig, calls
from airflow_provider_nucleus.client.calls import (
    annotations,
    benchmarks,
    datasets,
    evaluations,
    items,
    jobs,
    metrics,
    models,
    predictions,
    query,
    scenes,
    slices,
)
from airflow_provider_nucleus.exceptions import NucleusError, NucleusValidationError
from tests.unit.client.scripted import Reply

ODD = "street 7/a?b#c%20d&[1]é"
"""A reference id with everything that has a meaning in URLs."""


def dataset(client):
    return client.get_dataset("ds_1")


def model(client):
    return nucleus.Model("prj_1", "m", "ref", {}, client)


def evaluation(client):
    return EvaluationV2(id="evalv2_1", model_run_id=None, status="pending", _client=client)


def benchmark(client):
    return Benchmark(id="bm_1", name="b", _client=client)


BOX = {"label": "car", "x": 0, "y": 0.5, "width": 10, "height": 10, "reference_id": "image_1"}

ROUTES = {
    "datasets.list_datasets": (lambda c: c.datasets, datasets.list_datasets()),
    "datasets.create_dataset": (
        lambda c: c.create_dataset("n", is_scene=True),
        datasets.create_dataset("n", is_scene=True),
    ),
    "datasets.delete_dataset": (lambda c: c.delete_dataset("ds_1"), datasets.delete_dataset("ds_1")),
    "datasets.dataset_name": (lambda c: dataset(c).name, datasets.dataset_name("ds_1")),
    "datasets.dataset_is_scene": (lambda c: dataset(c).is_scene, datasets.dataset_is_scene("ds_1")),
    "datasets.dataset_uses_privacy_mode": (
        lambda c: dataset(c).use_privacy_mode,
        datasets.dataset_uses_privacy_mode("ds_1"),
    ),
    "datasets.dataset_info": (lambda c: dataset(c).info(), datasets.dataset_info("ds_1")),
    "datasets.dataset_size": (lambda c: dataset(c).size, datasets.dataset_size("ds_1")),
    "datasets.dataset_model_runs": (lambda c: dataset(c).model_runs, datasets.dataset_model_runs("ds_1")),
    "datasets.dataset_slices": (
        lambda c: dataset(c).get_slices(name="s"),
        datasets.dataset_slices("ds_1", name="s"),
    ),
    "datasets.dataset_label_schema": (
        lambda c: dataset(c).evaluation_label_schema(),
        datasets.dataset_label_schema("ds_1"),
    ),
    "datasets.dataset_class_labels": (
        lambda c: dataset(c).export_class_labels(),
        datasets.dataset_class_labels("ds_1"),
    ),
    "datasets.dataset_tags": (lambda c: dataset(c).get_tags(), datasets.dataset_tags("ds_1")),
    "datasets.tag_dataset": (lambda c: dataset(c).add_tags(["a"]), datasets.tag_dataset("ds_1", ["a"])),
    "datasets.untag_dataset": (
        lambda c: dataset(c).remove_tags(["a"]),
        datasets.untag_dataset("ds_1", ["a"]),
    ),
    "datasets.add_taxonomy": (
        lambda c: dataset(c).add_taxonomy("t", "category", ["a"], True),
        datasets.add_taxonomy("ds_1", "t", labels=["a"], update=True),
    ),
    "datasets.delete_taxonomy": (
        lambda c: dataset(c).delete_taxonomy("t"),
        datasets.delete_taxonomy("ds_1", "t"),
    ),
    "items.list_items": (lambda c: dataset(c).items, items.list_items("ds_1")),
    "items.items_page": (
        lambda c: list(dataset(c).items_generator(page_size=7)),
        items.items_page("ds_1", page_size=7),
    ),
    "items.item_by_index": (lambda c: dataset(c).iloc(3), items.item_by_index("ds_1", 3)),
    "items.item_by_reference": (lambda c: dataset(c).refloc(ODD), items.item_by_reference("ds_1", ODD)),
    "items.item_by_id": (lambda c: dataset(c).loc("di_1"), items.item_by_id("ds_1", "di_1")),
    "items.delete_item": (lambda c: dataset(c).delete_item(ODD), items.delete_item("ds_1", ODD)),
    "items.update_item_metadata": (
        lambda c: dataset(c).update_item_metadata({"a": {"k": 1}}),
        items.update_item_metadata("ds_1", {"a": {"k": 1}}),
    ),
    "items.export_page": (
        lambda c: list(dataset(c).items_and_annotation_generator(query="q", page_size=7)),
        items.export_page("ds_1", query="q", page_size=7),
    ),
    "annotations.annotate": (
        lambda c: dataset(c).annotate([nucleus.BoxAnnotation(**BOX)], update=True),
        annotations.annotate("ds_1", [schema.BoxAnnotation(**BOX).to_wire()], update=True),
    ),
    "annotations.annotation": (
        lambda c: dataset(c).ground_truth_loc("a/b", "box/1"),
        annotations.annotation("ds_1", "a/b", "box/1"),
    ),
    "annotations.delete_annotations": (
        lambda c: dataset(c).delete_annotations(["a"], keep_history=False),
        annotations.delete_annotations("ds_1", ["a"], keep_history=False),
    ),
    "predictions.upload_predictions": (
        lambda c: dataset(c).upload_predictions(model(c), [nucleus.BoxPrediction(**BOX, confidence=0.5)]),
        predictions.upload_predictions(
            "ds_1", "prj_1", [schema.BoxPrediction(**BOX, confidence=0.5).to_wire()]
        ),
    ),
    "predictions.upload_run_predictions": (
        lambda c: dataset(c).upload_predictions_for_model_run("run_1", [nucleus.BoxPrediction(**BOX)]),
        predictions.upload_run_predictions(
            "run_1", [schema.BoxPrediction(**BOX).to_wire()], dataset_id="ds_1"
        ),
    ),
    "predictions.upload_model_predictions": (
        lambda c: model(c).upload_predictions([nucleus.BoxPrediction(**BOX)]),
        predictions.upload_model_predictions("prj_1", [schema.BoxPrediction(**BOX).to_wire()]),
    ),
    "predictions.copy_predictions_from_run": (
        lambda c: model(c).copy_predictions_from_run("run_1"),
        predictions.copy_predictions_from_run("prj_1", "run_1"),
    ),
    "predictions.item_predictions_by_index": (
        lambda c: dataset(c).predictions_iloc(model(c), 3),
        predictions.item_predictions_by_index("ds_1", "prj_1", 3),
    ),
    "predictions.item_predictions_by_reference": (
        lambda c: dataset(c).predictions_refloc(model(c), "a/b c"),
        predictions.item_predictions_by_reference("ds_1", "prj_1", "a/b c"),
    ),
    "predictions.prediction": (
        lambda c: dataset(c).prediction_loc(model(c), "a/b", "box-1.5"),
        predictions.prediction("ds_1", "prj_1", "a/b", "box-1.5"),
    ),
    "predictions.predictions_export": (
        lambda c: dataset(c).export_predictions(model(c)),
        predictions.predictions_export("ds_1", "prj_1"),
    ),
    "predictions.model_predictions_by_item": (
        lambda c: model(c).predictions_loc("di_1"),
        predictions.model_predictions_by_item("prj_1", "di_1"),
    ),
    "predictions.model_predictions_by_reference": (
        lambda c: model(c).predictions_refloc("a/b"),
        predictions.model_predictions_by_reference("prj_1", "a/b"),
    ),
    "predictions.model_predictions_by_index": (
        lambda c: model(c).predictions_iloc(2),
        predictions.model_predictions_by_index("prj_1", 2),
    ),
    "models.list_models": (lambda c: c.models, models.list_models()),
    "models.create_model": (
        lambda c: c.create_model("m", "ref", {"a": 1}, tags=["t"]),
        models.create_model("m", reference_id="ref", metadata={"a": 1}, tags=["t"]),
    ),
    "models.get_model": (lambda c: c.get_model("prj_1"), models.get_model("prj_1")),
    "models.delete_model": (lambda c: c.delete_model("prj_1"), models.delete_model("prj_1")),
    "models.tag_model": (lambda c: model(c).add_tags(["t"]), models.tag_model("prj_1", ["t"])),
    "models.untag_model": (lambda c: model(c).remove_tags(["t"]), models.untag_model("prj_1", ["t"])),
    "models.set_trained_slices": (
        lambda c: model(c).add_trained_slice_ids(["slc_1"]),
        models.set_trained_slices("prj_1", ["slc_1"]),
    ),
    "models.unset_trained_slices": (
        lambda c: model(c).remove_trained_slice_ids(["slc_1"]),
        models.unset_trained_slices("prj_1", ["slc_1"]),
    ),
    "models.model_runs": (
        lambda c: model(c).model_runs(include_versions=True),
        models.model_runs("prj_1", family=True),
    ),
    "models.create_model_run": (
        lambda c: model(c).create_run("r", metadata={"a": 1}),
        models.create_model_run("prj_1", "r", metadata={"a": 1}),
    ),
    "models.model_run": (lambda c: c.model_run_info("run_1"), models.model_run("run_1")),
    "models.delete_model_run": (lambda c: c.delete_model_run("run_1"), models.delete_model_run("run_1")),
    "models.commit_model_run": (
        lambda c: c.commit_model_run("run_1", {"class_agnostic": False}),
        models.commit_model_run("run_1"),
    ),
    "jobs.list_jobs": (lambda c: c.list_jobs(limit=5), jobs.list_jobs(limit=5)),
    "jobs.running_jobs": (lambda c: c.list_jobs(limit=5, show_completed=True), jobs.running_jobs(limit=5)),
    "jobs.job_status": (lambda c: job(c).status(), jobs.job_status("job_1")),
    "jobs.job_errors": (lambda c: job(c).errors(), jobs.job_errors("job_1")),
    "jobs.get_job": (lambda c: c.get_job("job_1"), jobs.get_job("job_1")),
    "metrics.calculate_metrics": (
        lambda c: dataset(c).calculate_evaluation_metrics(
            model(c),
            {
                "class_agnostic": False,
                "allowed_label_matches": [{"ground_truth_label": "car", "model_prediction_label": "bus"}],
            },
        ),
        metrics.calculate_metrics(
            "ds_1", "prj_1", allowed_label_matches=[schema.AllowedLabelMatch("car", "bus")]
        ),
    ),
    "query.query_items_page": (
        lambda c: list(dataset(c).query_items("metadata.a = 1")),
        query.query_items_page("ds_1", "metadata.a = 1"),
    ),
    "query.query_objects_page": (
        lambda c: list(dataset(c).query_objects("", ObjectQueryType.IOU, "run_1")),
        query.query_objects_page("ds_1", "", mode="iou", model_run_id="run_1"),
    ),
    "query.query_predicted_page": (
        lambda c: list(dataset(c).query_objects("q", ObjectQueryType.PREDICTIONS_ONLY, "run_1")),
        query.query_predicted_page("ds_1", "q", model_run_id="run_1"),
    ),
    "query.query_ground_truth_page": (
        lambda c: list(dataset(c).query_objects("q", ObjectQueryType.GROUND_TRUTH_ONLY)),
        query.query_ground_truth_page("ds_1", "q"),
    ),
    "query.query_matches_page": (
        lambda c: list(dataset(c).query_objects("q", ObjectQueryType.FALSE_NEGATIVE, "run_1")),
        query.query_matches_page("ds_1", "run_1", mode="false_negative", query="q"),
    ),
    "slices.list_slices": (lambda c: c.slices, slices.list_slices()),
    "slices.create_slice": (
        lambda c: dataset(c).create_slice("s", ["a"]),
        slices.create_slice("ds_1", "s", reference_ids=["a"]),
    ),
    "slices.append_to_slice": (
        lambda c: c.append_to_slice("slc_1", ["a"], "ds_1"),
        slices.append_to_slice("slc_1", "ds_1", ["a"]),
    ),
    "slices.slice_info": (lambda c: c.get_slice("slc_1").info(), slices.slice_info("slc_1")),
    "slices.delete_slice": (lambda c: c.delete_slice("slc_1"), slices.delete_slice("slc_1")),
    "slices.tag_slice": (lambda c: c.get_slice("slc_1").add_tags(["t"]), slices.tag_slice("slc_1", ["t"])),
    "slices.slice_items_page": (
        lambda c: list(c.get_slice("slc_1").items_generator(page_size=7)),
        slices.slice_items_page("slc_1", page_size=7),
    ),
    "slices.slice_export_page": (
        lambda c: list(c.get_slice("slc_1").items_and_annotation_generator()),
        slices.slice_export_page("slc_1"),
    ),
    "slices.slice_predictions_export_page": (
        lambda c: list(c.get_slice("slc_1").export_predictions_generator(model(c))),
        slices.slice_predictions_export_page("slc_1", "prj_1", page_size=100_000),
    ),
    "scenes.list_scenes": (lambda c: dataset(c).scenes, scenes.list_scenes("ds_1")),
    "scenes.delete_scene": (lambda c: dataset(c).delete_scene(ODD), scenes.delete_scene("ds_1", ODD)),
    "scenes.lidar_scene": (lambda c: dataset(c).get_scene("s 1"), scenes.lidar_scene("ds_1", "s 1")),
    "evaluations.create_evaluation": (
        lambda c: c.create_benchmark_evaluation_v2(
            "bm_1",
            model_id="prj_1",
            name="n",
            rollup_groups=[OfficialGroup("vehicle", ["car", "truck"])],
            exclusion_rules=[OfficialArea("annotation", "groundTruth", min=1024)],
        ),
        evaluations.create_evaluation(
            "bm_1",
            model_id="prj_1",
            name="n",
            rollup_groups=[schema.RollupGroup("vehicle", ["car", "truck"])],
            exclusion_rules=[schema.BoxAreaExclusionRule("annotation", "groundTruth", min=1024)],
        ),
    ),
    "evaluations.get_evaluation": (
        lambda c: c.get_evaluation_v2("evalv2_1"),
        evaluations.get_evaluation("evalv2_1"),
    ),
    "evaluations.delete_evaluation": (
        lambda c: evaluation(c).delete(),
        evaluations.delete_evaluation("evalv2_1"),
    ),
    "evaluations.cancel_evaluation": (
        lambda c: evaluation(c).cancel(),
        evaluations.cancel_evaluation("evalv2_1"),
    ),
    "evaluations.retry_evaluation": (
        lambda c: evaluation(c).retry(),
        evaluations.retry_evaluation("evalv2_1"),
    ),
    "evaluations.evaluation_charts": (
        lambda c: evaluation(c).charts(0.75, EvaluationV2FilterArgs(pred_labels=["car"]), "q"),
        evaluations.evaluation_charts(
            "evalv2_1", iou_threshold=0.75, filters=schema.EvaluationFilters(pred_labels=["car"]), query="q"
        ),
    ),
    "evaluations.evaluation_examples": (
        lambda c: evaluation(c).examples("FP", 10, 20, "iou", "ASC"),
        evaluations.evaluation_examples(
            "evalv2_1", match_type="FP", limit=10, offset=20, sort_by="iou", sort_order="ASC"
        ),
    ),
    "evaluations.evaluation_filter_schema": (
        lambda c: evaluation(c).filter_schema(),
        evaluations.evaluation_filter_schema("evalv2_1"),
    ),
    "evaluations.list_model_evaluations": (
        lambda c: c.list_evaluations_v2(model_id="prj_1"),
        evaluations.list_model_evaluations("prj_1"),
    ),
    "evaluations.list_run_evaluations": (
        lambda c: c.list_evaluations_v2("run_1"),
        evaluations.list_run_evaluations("run_1"),
    ),
    "evaluations.list_presets": (lambda c: c.list_evaluation_v2_presets(), evaluations.list_presets()),
    "evaluations.create_preset": (
        lambda c: c.create_evaluation_v2_preset(
            "p", exclusion_rules=[OfficialLabels("item", "prediction", ["ignore"])]
        ),
        evaluations.create_preset(
            "p", exclusion_rules=[schema.LabelExclusionRule("item", "prediction", ["ignore"])]
        ),
    ),
    "evaluations.update_preset": (
        lambda c: c.update_evaluation_v2_preset("prev_1", name="n", rollup_groups=None),
        evaluations.update_preset("prev_1", name="n", rollup_groups=None),
    ),
    "evaluations.delete_preset": (
        lambda c: c.delete_evaluation_v2_preset("prev_1"),
        evaluations.delete_preset("prev_1"),
    ),
    "benchmarks.create_benchmark": (
        lambda c: c.create_benchmark(
            "b", slice_ids=["slc_1"], item_ids=["di_1"], rollup_groups=[OfficialGroup("vehicle", ["car"])]
        ),
        benchmarks.create_benchmark(
            "b",
            slice_ids=["slc_1"],
            item_ids=["di_1"],
            rollup_groups=[schema.RollupGroup("vehicle", ["car"])],
        ),
    ),
    "benchmarks.list_benchmarks": (lambda c: c.list_benchmarks(), benchmarks.list_benchmarks()),
    "benchmarks.get_benchmark": (lambda c: c.get_benchmark("bm_1"), benchmarks.get_benchmark("bm_1")),
    "benchmarks.update_benchmark": (
        lambda c: c.update_benchmark("bm_1", description="d", allowed_label_matches_id=None),
        benchmarks.update_benchmark("bm_1", description="d", allowed_label_matches_id=None),
    ),
    "benchmarks.delete_benchmark": (
        lambda c: c.delete_benchmark("bm_1"),
        benchmarks.delete_benchmark("bm_1"),
    ),
    "benchmarks.benchmark_items": (
        lambda c: c.list_benchmark_items("bm_1", limit=10, offset=20),
        benchmarks.benchmark_items("bm_1", limit=10, offset=20),
    ),
    "benchmarks.add_benchmark_items": (
        lambda c: c.add_benchmark_items("bm_1", dataset_ids=["ds_1"]),
        benchmarks.add_benchmark_items("bm_1", dataset_ids=["ds_1"]),
    ),
    "benchmarks.remove_benchmark_items": (
        lambda c: c.remove_benchmark_items("bm_1", ["di_1"]),
        benchmarks.remove_benchmark_items("bm_1", ["di_1"]),
    ),
    "benchmarks.finalize_benchmark": (
        lambda c: c.finalize_benchmark("bm_1"),
        benchmarks.finalize_benchmark("bm_1"),
    ),
    "benchmarks.leaderboard_ranking": (
        lambda c: c.leaderboard_ranking("MAP_50", ["bm_1"], scope="mine"),
        benchmarks.leaderboard_ranking(["bm_1"], metric_type="MAP_50", scope="mine"),
    ),
    "benchmarks.leaderboard_f1_curves": (
        lambda c: c.leaderboard_f1_curve(["bm_1"], top_n=3),
        benchmarks.leaderboard_f1_curves(["bm_1"], top_n=3),
    ),
}

ELSEWHERE = {
    # Compared with the official client, bytes and all, in test_uploads_on_the_wire.py.
    "annotations.annotate_local_masks",
    "annotations.start_annotate",
    "items.append_local_images",
    "items.put_signed",
    "items.signed_url",
    "items.start_append",
    "predictions.start_upload_predictions",
    "predictions.start_upload_run_predictions",
    "predictions.upload_local_prediction_masks",
    "scenes.start_append_lidar_scenes",
    "scenes.start_append_video_scenes",
    # An embedded Nucleus has it beside its API: tests/unit/operators/test_gate_evaluations.py.
    "comparisons.compare_evaluations",
    # The official client cannot cancel.
    "evaluations.evaluation_operating_points",
    "jobs.cancel_job",
    # The official client has it on a deprecated object only.
    "models.create_dataset_model_run",
}


def job(client):
    return nucleus.AsyncJob("job_1", "Running", "t", "now", client)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ROUTES)
def test_a_call_asks_for_the_same_as_the_official_client(server, name):
    """Same method, same address, same JSON."""
    official, ours = ROUTES[name]
    server.otherwise = Reply(404, {"error": "enough"})
    with contextlib.suppress(Exception):
        official(nucleus.NucleusClient("k" * 20, endpoint=server.endpoint))
    expected = server.requests[0]
    server.requests.clear()

    config = NucleusConfig(endpoint=server.endpoint, api_key="k" * 20)
    with NucleusClient(config) as client, contextlib.suppress(NucleusError):
        client.send(ours, retry=NO_RETRY)

    actual = server.requests[0]
    assert expected.method == actual.method
    assert _address(expected.path) == _address(actual.path)
    if expected.method != "GET":
        assert expected.json == actual.json


def _address(path):
    parts = urlsplit(path)
    return parts.path, sorted(parse_qsl(parts.query, keep_blank_values=True))


def test_every_call_is_compared_somewhere():
    """A new route needs a line above."""
    found = set()
    for module in pkgutil.iter_modules(calls.__path__):
        if module.name.startswith("_"):
            continue
        loaded = import_module(f"{calls.__name__}.{module.name}")
        for name in loaded.__all__:
            function = getattr(loaded, name)
            if inspect.isfunction(function) and "Call[" in str(inspect.signature(function).return_annotation):
                found.add(f"{module.name}.{name}")

    assert found == set(ROUTES) | ELSEWHERE


@pytest.mark.parametrize("value", ["..", "."])
def test_an_id_that_would_turn_into_another_address_is_refused(value):
    """HTTP libraries resolve dot segments: deleting item ".." would delete the dataset."""
    for call in (items.delete_item, scenes.delete_scene, datasets.delete_taxonomy, items.item_by_reference):
        with pytest.raises(NucleusValidationError, match=r"must not be \. or \.\."):
            call("ds_1", value)
    for call in (datasets.delete_dataset, models.delete_model, slices.delete_slice, models.delete_model_run):
        with pytest.raises(NucleusValidationError, match=r"must not be \. or \.\."):
            call(value)


@pytest.mark.parametrize("value", ["../images/1.jpg", "a/../b", "a/..", "./a", "a/./b/", ".../..a"])
def test_an_id_with_dots_in_it_goes_out_as_it_is(server, transport, value):
    """To the byte, through both libraries, whether or not the route encodes slashes."""
    client = transport(server)
    for call, before in (
        (items.delete_item("ds_1", value), "dataset/ds_1/refloc/"),
        (annotations.annotation("ds_1", value, "a"), "dataset/ds_1/groundTruth/loc/"),
    ):
        with contextlib.suppress(NucleusError):
            client.send(call)

        assert value == unquote(
            server.requests[-1].path.removeprefix(f"/v1/nucleus/{before}").removesuffix("/a")
        )


def test_an_empty_id_is_refused():
    """dataset// is another route, too."""
    with pytest.raises(NucleusValidationError, match="empty"):
        datasets.delete_dataset("")


def test_deleting_the_annotations_of_nothing_does_not_delete_those_of_everything():
    """An empty list means the whole dataset to the server."""
    with pytest.raises(ValueError, match="whole dataset"):
        annotations.delete_annotations("ds_1", [])
    with pytest.raises(ValueError, match="whole dataset"):
        annotations.delete_annotations("ds_1", ["a"], whole_dataset=True)

    assert annotations.delete_annotations("ds_1", [], whole_dataset=True).body["reference_ids"] == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"type": "box", "annotation_id": "a"}], True),
        ([{"type": "polygon", "annotation_id": None}], False),
        ([{"type": "category"}, {"type": "mask", "annotation_id": None}], True),
        ([{"type": "box", "annotation_id": "a"}, {"type": "line"}], False),
    ],
)
def test_an_upload_is_repeatable_when_every_row_has_an_identity(rows, expected):
    """A polygon without an id would be stored twice."""
    assert expected == annotations.annotate("ds_1", rows).repeatable


def test_an_evaluation_has_exactly_one_anchor():
    """Model or model run."""
    with pytest.raises(NucleusValidationError):
        evaluations.create_evaluation("bm_1")
    with pytest.raises(NucleusValidationError):
        evaluations.create_evaluation("bm_1", model_id="prj_1", model_run_id="run_1")


def test_a_label_in_two_rollup_groups_is_refused_before_sending():
    """The server would refuse it later."""
    groups = [schema.RollupGroup("a", ["car"]), schema.RollupGroup("b", ["car"])]

    with pytest.raises(NucleusValidationError, match="'car'"):
        evaluations.create_preset("p", rollup_groups=groups)


def test_a_list_of_allowed_pairs_excludes_ignoring_classes():
    """The combination has no meaning."""
    with pytest.raises(NucleusValidationError):
        metrics.calculate_metrics(
            "ds_1", "prj_1", class_agnostic=True, allowed_label_matches=[schema.AllowedLabelMatch("a", "b")]
        )


def test_class_agnostic_is_always_sent():
    """Two public texts disagree about its default."""
    assert metrics.calculate_metrics("ds_1", "prj_1").body == {"class_agnostic": False}
