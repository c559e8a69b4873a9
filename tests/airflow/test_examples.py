"""Every example DAG runs in real Airflow against the embedded Nucleus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow.batches import make_batch
from tests.airflow.harness import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXAMPLES = REPOSITORY / "dags_examples"


@pytest.mark.parametrize("form", ["jsonl", "coco"])
@pytest.mark.parametrize("deferrable", ["False", "True"])
def test_evaluate_inference_batch(run_dag: Callable[..., Any], tmp_path: Path, form: str, deferrable: str) -> None:
    """The whole pipeline gives the hand-counted numbers, from both formats, waiting and deferred."""
    batch = make_batch(tmp_path / "batch")
    coco = form == "coco"
    report = tmp_path / "report.json"
    name = f"batch {form} {deferrable}"
    run = run_dag(
        EXAMPLES / "nucleus_evaluate_inference_batch.py",
        "nucleus_evaluate_inference_batch",
        conf={
            "dataset_name": name,
            "model_name": "detector",
            "model_reference_id": name,
            "items": str(batch.coco if coco else batch.items),
            "images": str(batch.folder),
            "ground_truth": str(batch.coco if coco else batch.ground_truth),
            "predictions": str(batch.coco_results if coco else batch.predictions),
            "report": str(report),
        },
        env={"AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": deferrable},
    )

    assert "success" == run.state, run.log[-6000:]
    metrics = run.tasks["calculate_metrics"].value
    assert (2, 2, 1) == tuple(metrics["overall"][key] for key in ("tp", "fp", "fn"))
    assert (0.5, 2 / 3) == (metrics["overall"]["precision"], pytest.approx(metrics["overall"]["recall"]))
    assert (1, 1, 1) == tuple(metrics["per_label"]["car"][key] for key in ("tp", "fp", "fn"))
    assert 0.5 == metrics["iou_threshold"]
    assert 2 == run.tasks["append_items"].value["processed"]
    assert 3 == run.tasks["upload_ground_truth"].value["processed"]
    assert 4 == run.tasks["upload_predictions"].value["processed"]
    assert metrics == json.loads(report.read_text())["metrics"]
    assert_links(run)


def assert_links(run: Any) -> None:
    """Each task links to its object, deferred or not."""
    dataset, model = run.tasks["create_dataset"].value["dataset_id"], run.tasks["create_model"].value["model_id"]
    upload, metrics = run.tasks["upload_predictions"].xcoms, run.tasks["calculate_metrics"].xcoms

    assert run.tasks["create_dataset"].xcoms["_link_NucleusDatasetLink"].endswith(f"/dataset/{dataset}")
    assert run.tasks["create_model"].xcoms["_link_NucleusModelLink"].endswith(f"/model/{model}")
    assert upload["_link_NucleusJobLink"].endswith(f"/job/{upload['return_value']['jobs'][-1]}")
    assert metrics["_link_NucleusEvaluationLink"].endswith(f"/dataset/{dataset}/model/{model}/evaluation")
