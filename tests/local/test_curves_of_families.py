"""Curves over confidence where one item has objects of several families."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local import story
from tests.local.story import annotate, make_model, predict
from tests.local.test_diagnostics import InterfaceClient
from tests.local.test_evaluation_geometries import charts, evaluate

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus
    from tests.local.conftest import Api


@pytest.fixture
def own(nucleus: LocalNucleus) -> InterfaceClient:
    """Our own routes."""
    return InterfaceClient(nucleus)


def mixed(api: Api, predictions: list[dict[str, Any]]) -> str:
    """Evaluate predictions on an item with a car as a box and another one as keypoints."""
    dataset, model = api.dataset("i"), make_model(api)
    annotate(api, dataset, box("g1", 0), points("g2", 50))
    return evaluate(api, predict(api, dataset, model, *predictions))


def box(name: str, x: float, **more: Any) -> dict[str, Any]:
    """Spell a box 10 pixels wide and high."""
    return story.box("i", "car", x, name=name, **more)


def points(name: str, x: float, **more: Any) -> dict[str, Any]:
    """Spell two keypoints."""
    marks = [{"x": x, "y": 0, "visible": True}, {"x": x + 9, "y": 9, "visible": True}]
    geometry = {"names": ["a", "b"], "skeleton": [[0, 1]], "keypoints": marks}
    return {
        "type": "keypoints",
        "label": "car",
        "reference_id": "i",
        "annotation_id": name,
        "geometry": geometry,
        **more,
    }


def test_families_without_predictions_are_missed_in_f1_curves(api: Api, own: InterfaceClient):
    """A model that knows boxes only misses the keypoints in the F1 curve as it does in the charts."""
    found = mixed(api, [box("p1", 0, confidence=0.9)])

    counts = charts(api, found, filters={"confidenceRange": {"min": 0.5}})["totalCounts"]
    curve = own.ok(f"evaluations/{found}/f1Curve")

    assert (counts["tp"], counts["fp"], counts["fn"]) == (1, 0, 1)
    assert curve["best"]["f1"]["value"] == pytest.approx(2 / 3)
    assert curve["points"][50]["recall"]["value"] == 0.5


def test_curves_without_predictions_say_so(api: Api, own: InterfaceClient):
    """What filters leave nothing of is not said to lack confidences."""
    found = mixed(api, [box("p1", 0, confidence=0.2), box("p2", 20)])

    filters = {"confidenceRange": {"min": 0.5}}
    assert own.ok(f"evaluations/{found}/f1Curve", filters=json.dumps(filters))["reason"] == "no predictions"


def test_ties_between_families_do_not_depend_on_what_is_gone(api: Api, own: InterfaceClient):
    """Equal confidences of a box and of keypoints come in one order, however many boxes came before."""
    left = [box("p2", 30, confidence=0.5), points("k1", 50, confidence=0.5)]
    before = [box("p0", 70, confidence=0.2), box("p1", 90, confidence=0.2)]
    asked = {"family": "nucleus", "iouThreshold": 0.5}

    alone = own.ok(f"evaluations/{mixed(api, left)}/prCurves", **asked)
    cut = own.ok(
        f"evaluations/{mixed(api, before + left)}/prCurves",
        filters=json.dumps({"confidenceRange": {"min": 0.4}}),
        **asked,
    )

    assert alone["curves"] == cut["curves"]
