"""Objects of every kind on item a, as they are sent, and an evaluation of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.local.story import annotate, make_model, predict
from tests.local.test_evaluation_geometries import evaluate

if TYPE_CHECKING:
    from tests.local.conftest import Api


def shape(label: str, xywh: tuple[float, ...], name: str, **more: Any) -> dict[str, Any]:
    """Return a box of any size on item a."""
    geometry = dict(zip(("x", "y", "width", "height"), map(float, xywh), strict=True))
    return {
        "type": "box", "label": label, "reference_id": "a", "annotation_id": name, "geometry": geometry, **more
    }  # fmt: skip


def category(label: str, **more: Any) -> dict[str, Any]:
    return {"type": "category", "label": label, "reference_id": "a", "geometry": {}, **more}


def evaluated(api: Api, truth: list[dict], predictions: list[dict], **options: Any) -> str:
    """Upload to one item, evaluate, and return the evaluation."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, *truth)
    return evaluate(api, predict(api, dataset, model, *predictions), **options)


def keypoints(label: str, x: float, name: str, **more: Any) -> dict[str, Any]:
    """Return two visible points on item a."""
    points = [{"x": x + n, "y": n, "visible": True} for n in (1.0, 9.0)]
    geometry = {"keypoints": points, "names": ["a", "b"], "skeleton": []}
    return {
        "type": "keypoints", "label": label, "reference_id": "a", "annotation_id": name, "geometry": geometry, **more
    }  # fmt: skip


def cuboid(label: str, x: float, name: str, *, length: float = 2.0, **more: Any) -> dict[str, Any]:
    """Return a cuboid two metres wide and high on item a."""
    geometry = {
        "position": {"x": x, "y": 0.0, "z": 0.0}, "dimensions": {"x": length, "y": 2.0, "z": 2.0}, "yaw": 0.0,
    }  # fmt: skip
    return {
        "type": "cuboid", "label": label, "reference_id": "a", "annotation_id": name, "geometry": geometry, **more
    }  # fmt: skip
