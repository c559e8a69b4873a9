"""Objects at the edge of what can be evaluated: crowds of cuboids, keypoints without extent, sizes beyond all bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_nucleus.evaluation.sides.labels import Vocabulary
from airflow_provider_nucleus.local.evaluations.computing.sides import LabelCodes, sides_of
from airflow_provider_nucleus.local.requests.evaluations import LEAST_IOU_THRESHOLD
from airflow_provider_nucleus.local.store.geometry_rules import COORDINATE_LIMIT
from airflow_provider_nucleus.operators import evaluations as operator
from airflow_provider_nucleus.schema import checks
from tests.local.shapes import cuboid, evaluated, keypoints, shape
from tests.local.story import box
from tests.local.test_evaluation_geometries import charts

if TYPE_CHECKING:
    from tests.local.conftest import Api


def test_a_crowd_of_cuboids_is_an_ignored_region(api: Api):
    """Predictions inside it, by the share of their volume, are neither right nor wrong; the rest is evaluated."""
    evaluation = evaluated(
        api,
        [cuboid("car", 0, "g"), cuboid("car", 100, "c", length=60.0, metadata={"iscrowd": 1})],
        [
            cuboid("car", 90, "in", confidence=0.95),
            cuboid("car", 110, "also", confidence=0.94),
            cuboid("car", 0, "p", confidence=0.9),
        ],
    )

    found = charts(api, evaluation)

    assert found["mapSummary"]["mapAt5095"] == 1.0
    assert found["totalCounts"] == {"tp": 1, "fp": 2, "fn": 0, "predsWithConfidence": 3}


@pytest.mark.parametrize(
    ("points", "metadata", "off"),
    [
        ([(1.0, 1.0)], {}, 1.0),
        ([(1.0, 1.0), (40.0, 1.0)], {}, 1.0),
        ([(1.0, 1.0)], {"bbox": [0, 0, 50, 50]}, 1.0),
        ([(1.0, 1.0)], {"area": "inf"}, 1.0),
        ([(1.0, 1.0)], {"bbox": [0, 0, 1e200, 1e200]}, 1.0),
    ],
)
def test_keypoints_without_extent_can_be_found(api: Api, points, metadata: dict[str, Any], off: float):
    """One visible point, or two on a line, have no area of their own; a prediction one pixel off still finds them."""

    def row(name: str, by: float, **more: Any) -> dict[str, Any]:
        geometry = {
            "keypoints": [{"x": x + by, "y": y, "visible": True} for x, y in points],
            "names": [f"k{n}" for n in range(len(points))],
            "skeleton": [],
        }
        return {
            "type": "keypoints", "label": "tip", "reference_id": "a", "annotation_id": name, "geometry": geometry, **more
        }  # fmt: skip

    evaluation = evaluated(api, [row("g", 0, metadata=metadata)], [row("p", off, confidence=0.9)])

    assert charts(api, evaluation)["mapSummary"]["mapAt50"] == 1.0


def test_twenty_keypoints_of_an_item_count_beside_its_boxes_and_others_move_up(api: Api):
    """COCO's limit of keypoints holds within their family, and for what a filter leaves."""
    far = [keypoints("person", 500.0 + 50 * n, f"f{n}", confidence=0.9) for n in range(20)]
    boxes = [shape("person", (500 + 50 * n, 0, 10, 10), f"b{n}", confidence=0.95) for n in range(30)]
    evaluation = evaluated(
        api,
        [shape("person", (0, 0, 10, 10), "g"), keypoints("person", 0, "k")],
        [
            *far,
            *boxes,
            keypoints("person", 0, "hit", confidence=0.3),
            shape("person", (0, 0, 10, 10), "p", confidence=0.2),
        ],
    )

    def per_family(**filters: Any) -> list[float]:
        answer = charts(api, evaluation, filters=filters)
        # One label in two families: the mean of both.
        return [answer["mapSummary"]["mapAt50"], answer["perClassAp"][0]["ap"]]

    assert per_family() == pytest.approx([1 / 31 / 2] * 2)
    assert per_family(confidenceRange={"max": 0.5}) == [1.0, 1.0]
    assert per_family(confidenceRange={"max": 0.92}) == [0.5, 0.5]


@pytest.mark.parametrize("threshold", [5e-324, 1e-9, 0.0009])
def test_thresholds_near_nothing_are_refused(api: Api, threshold: float):
    """Below a thousandth an overlap says nothing: 400 with the bounds."""
    evaluation = evaluated(api, [box("a", "car", 0)], [box("a", "car", 9, confidence=0.9)])

    answer = api("POST", f"evaluationsV2/{evaluation}/charts", json={"iouThreshold": threshold})
    least = charts(api, evaluation, iouThreshold=0.001)

    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "iouThreshold must be a number from 0.001 to 1.",
    )
    assert least["totalCounts"]["tp"] == 1


def test_an_object_that_cannot_be_evaluated_is_named():
    """A box an older store may hold, whose area is no number: the error says which one, on which item."""
    row = {
        "object_no": 1, "item_no": 7, "annotation_id": "far out", "place": 0, "label": "car", "confidence": 0.5, "ordinal": 0,
        "crowd": False, "coco_area": None, "type": "box", "x": 0.0, "y": 0.0, "w": 1e200, "h": 1e200, "g": None,
    }  # fmt: skip
    table = pa.Table.from_pylist([row])
    labels = Vocabulary(("car",))
    codes = LabelCodes(labels, labels, np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.int32))

    with pytest.raises(ValueError, match=r"far out on item di_.*area is inf"):
        sides_of((table, table), "area", codes)


def test_server_and_client_have_the_same_bounds():
    """The server does not import the schema, which would double its start: its copies are compared here."""
    assert COORDINATE_LIMIT == checks.COORDINATE_LIMIT
    assert operator._LEAST_IOU_THRESHOLD == LEAST_IOU_THRESHOLD
