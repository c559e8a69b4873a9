"""One of everything on a server, and values that a fuzzer puts in the place of others."""

from __future__ import annotations

import json
from typing import Any

from tests.local.conftest import Api, box

Ids = dict[str, list[str]]
"""What exists, by the name under which a path, an address or a body asks for it."""


def world(api: Api) -> Ids:
    """Make one of everything, and return the ids."""
    references = ["a", "b", "c", "d"]
    dataset = api.dataset(*references)
    truth = [box(name, f"t-{name}") for name in references[:3]]
    truth += [
        {
            "type": "category",
            "label": "rain",
            "reference_id": "a",
            "taxonomy_name": "weather",
            "metadata": {},
        },
        shape("polygon", "b", vertices=[{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"x": 9, "y": 9}]),
        shape("line", "c", vertices=[{"x": 0, "y": 0}, {"x": 9, "y": 0}]),
    ]
    taxonomy = {"taxonomy_name": "weather", "type": "category", "labels": ["rain", "sun"]}
    api.ok("POST", f"dataset/{dataset}/add_taxonomy", json=taxonomy)
    api.ok("POST", f"dataset/{dataset}/annotate", json={"annotations": truth, "update": False})
    model = api.ok("POST", "models/add", json={"name": "m", "reference_id": f"model-{dataset}"})["model_id"]
    predictions = [box(name, f"p-{name}", confidence=0.9) for name in references]
    upload = {"annotations": predictions, "update": False}
    runs = [
        api.ok("POST", f"dataset/{dataset}/model/{model}/uploadPredictions", json=upload)["model_run_id"],
        api.ok("POST", f"model/{model}/modelRun/create", json={"name": "second"})["model_run_id"],
    ]
    api.ok("POST", f"dataset/{dataset}/modelRun/{runs[1]}/uploadPredictions", json=upload)
    api.ok("POST", f"model/{model}/predictions/copyFromRun", json={"model_run_id": runs[0]})
    matching = api.ok("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json={})[
        "job_id"
    ]
    sliced = api.ok(
        "POST", f"dataset/{dataset}/create_slice", json={"name": "s", "reference_ids": ["a", "b"]}
    )
    ready = api.ok("POST", "benchmarks", json={"name": "ready", "dataset_id": dataset})
    draft = api.ok("POST", "benchmarks", json={"name": "draft", "dataset_id": dataset, "draft": True})
    for job in (matching, ready["job_id"], draft["job_id"]):
        api.wait(job)
    anchors = [{"model_id": model}, {"model_run_id": runs[0]}, {"model_run_id": runs[1]}]
    started = [
        api.ok("POST", f"benchmarks/{ready['benchmark_id']}/evaluationsV2", json=anchor) for anchor in anchors
    ]
    for entry in started:
        api.wait(entry["workflow_id"])
    preset = api.ok("POST", "evaluationV2Presets", json={"name": f"preset of {dataset}"})["id"]
    scenes = api.dataset(is_scene=True)
    frame = {"url": "s3://b/f.jpg", "reference_id": "frame", "type": "image", "metadata": {}}
    video = {"reference_id": "video", "frames": [frame], "frame_rate": 5, "metadata": {}}
    api.ok("POST", f"{scenes}/upload_video_scenes", json={"scenes": [video], "update": False})
    items = [
        entry["dataset_item_id"]
        for entry in api.ok("GET", f"dataset/{dataset}/datasetItems")["dataset_items"]
    ]
    benchmarks = [ready["benchmark_id"], draft["benchmark_id"]]
    evaluations = [entry["evaluation_id"] for entry in started]
    config = api.ok(
        "POST",
        "benchmarks",
        json={"name": "grouped", "draft": True, "rollup_groups": [{"class_name": "v", "labels": ["car"]}]},
    )["benchmark_id"]
    return {
        "ds": [dataset, scenes], "dataset_id": [dataset, scenes], "dataset_ids": [dataset], "m": [model, *runs], "model_id": [model],
        "model_ids": [model], "r": runs, "model_run_id": runs, "model_run_ids": runs, "bm": benchmarks, "benchmark_ids": benchmarks,
        "parent_benchmark_id": benchmarks, "ev": evaluations, "other": evaluations, "s": [sliced["slice_id"]],
        "slice_id": [sliced["slice_id"]], "sliceId": [sliced["slice_id"]], "slice_ids": [sliced["slice_id"]],
        "trained_slice_ids": [sliced["slice_id"]], "item": items, "item_ids": items, "removed_item_ids": items,
        "dataset_item_ids": items, "object_ids": [f"ann_{number:016x}" for number in (1, 2, 3)],
        "ref": [*references, "frame", "video"], "reference_ids": references, "ref_id": references,
        "rest": ["a/t-a", "b/p-b"], "index": ["0", "3", "-1"], "job": [matching, started[0]["workflow_id"]], "p": [preset],
        "name": ["weather"], "labels": ["car", "rain"], "pred_labels": ["car"], "gt_labels": ["car"], "reference_id": [f"model-{dataset}"],
        "allowed_label_matches_id": [api.ok("GET", f"benchmarks/{config}")["allowed_label_matches_id"]],
        "request_id": ["r1"], "scene_ids": ["scn_0000000000000001"], "groupBy": ["hour"], "key": ["hour"],
    }  # fmt: skip


def shape(kind: str, reference_id: str, **geometry: Any) -> dict[str, Any]:
    return {
        "type": kind, "label": "car", "geometry": geometry, "reference_id": reference_id, "annotation_id": f"{kind}-1",
        "metadata": {},
    }  # fmt: skip


ROWS: list[dict[str, Any]] = [
    box("a", "new", confidence=0.5, task_id=None),
    shape("polygon", "b", vertices=[{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"x": 9, "y": 9}]),
    shape("line", "c", vertices=[{"x": 0, "y": 0}, {"x": 9, "y": 0}]),
    shape(
        "keypoints",
        "a",
        keypoints=[{"x": 1, "y": 1, "visible": True, "label": "k"}],
        names=["k"],
        skeleton=[],
    ),
    shape("cuboid", "a", position={"x": 0, "y": 0, "z": 0}, dimensions={"x": 1, "y": 1, "z": 1}, yaw=0.5),
    {"type": "category", "label": "rain", "reference_id": "a", "taxonomy_name": "weather", "metadata": {}},
    {"type": "multicategory", "labels": ["rain"], "reference_id": "a", "taxonomy_name": "weather"},
    {
        "type": "mask",
        "mask_url": "s3://b/m.png",
        "annotations": [{"index": 1, "label": "car"}],
        "reference_id": "a",
    },
    {"reference_id": "fresh", "image_url": "s3://b/x.jpg", "metadata": {"hour": 5}, "width": 9, "height": 9},
    {"reference_id": "a", "metadata": {"hour": 7}, "camera_params": None},
    {
        "reference_id": "sc",
        "frames": [{"url": "s3://b/f.jpg", "reference_id": "fr", "type": "image"}],
        "frame_rate": 2,
    },
    {
        "reference_id": "sc",
        "frames": [{"lidar": {"url": "s3://b/f.json", "reference_id": "fr", "type": "pointcloud"}}],
    },
]
QUERIES = [
    "", "metadata.hour > 5", 'annotations.label = "car"', "predictions.confidence > 0.5 AND metadata.hour < 9",
    'reference_id = "a"', "annotations.metadata.a = 1", 'predictions.label = "car" OR NOT metadata.x = true', 'slice = "s"', "annotations.count > 1", "annotations.box.count >= 1", "scene.metadata.x = 1", "annotations.position.x > 3",
    "metadata.", "(",
]  # fmt: skip

EXTREMES: list[Any] = [
    None, True, -1, 2**53 + 1, 2**63, 10**40, 1.7e308, "", "\x00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", [[]], {},
    json.loads("[" * 300 + "]" * 300),
]  # fmt: skip
"""Values at the ends of what can be computed, stored or written."""
EXTREME_TEXTS: list[str] = [
    "", "\x00", "-1", "9" * 40, "1e999", "nan", "0x1", "\u0663", "true", "[", "[" * 900 + "]" * 900, '{"iouRange":{"min":1e308}}', "x" * 5000,
]  # fmt: skip
