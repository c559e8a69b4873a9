"""Small evaluated datasets, made over plain HTTP."""

from __future__ import annotations

from typing import Any


def box(
    reference: str, label: str, x: float, *, name: str | None = None, width: float = 10, **extra: Any
) -> dict[str, Any]:
    """A box of height 10 at (x, 0) on an item."""
    geometry = {"x": x, "y": 0, "width": width, "height": 10}
    return {
        "type": "box",
        "label": label,
        "reference_id": reference,
        "annotation_id": name or f"{label}-{x}",
        "geometry": geometry,
        **extra,
    }


def make_model(api, name: str = "model") -> str:
    """Create a model under a reference id nobody else uses."""
    make_model.count += 1
    body = {"name": name, "reference_id": f"{name}-{make_model.count}-{id(api)}", "metadata": {}}
    return api.ok("POST", "models/add", json=body)["model_id"]


make_model.count = 0


def annotate(api, dataset: str, *rows: dict[str, Any], **extra: Any) -> dict[str, Any]:
    """Upload ground truth and expect every row to be taken."""
    answer = api.ok(
        "POST", f"dataset/{dataset}/annotate", json={"annotations": list(rows), "update": False, **extra}
    )
    assert "errors" not in answer, answer
    return answer


def predict(api, dataset: str, model: str, *rows: dict[str, Any], **extra: Any) -> str:
    """Upload predictions, expect every row to be taken, and return the run."""
    body = {"annotations": list(rows), "update": False, **extra}
    answer = api.ok("POST", f"dataset/{dataset}/model/{model}/uploadPredictions", json=body)
    assert "errors" not in answer, answer
    return answer["model_run_id"]


def calculate(api, dataset: str, model: str, *, ends: str = "Completed", **options: Any) -> dict[str, Any]:
    """Calculate metrics, wait for the end that is expected, and return the message of the job."""
    job = api.ok("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json=options)[
        "job_id"
    ]
    status = api.wait(job)
    assert status["status"] == ends, status
    return status["message"]


def objects(
    api, dataset: str, mode: str, run: str | None = None, *, query: str = "", size: int = 10_000
) -> list[Any]:
    """List the objects of a mode, all pages of them."""
    found: list[Any] = []
    token = None
    while True:
        body = {"query": query, "patch_mode": mode, "model_run_id": run, "pageToken": token, "pageSize": size}
        page = api.ok("POST", f"dataset/{dataset}/queryObjectsPage", json=body)
        assert len(page["items"]) <= size
        found += page["items"]
        token = page["nextPageToken"]
        if not token:
            return found


def pairs(rows: list[dict[str, Any]]) -> set[tuple[str | None, str | None, float]]:
    """Matches as (ground-truth label, predicted label, IoU rounded to 6 digits)."""
    return {
        (row["ground_truth_annotation_label"], row["model_prediction_label"], round(row["iou"], 6))
        for row in rows
    }
