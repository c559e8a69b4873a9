"""Measurements from the charts of an evaluation."""

from __future__ import annotations

from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Subject
from airflow_provider_nucleus.gating.policy_reading import read_policy
from airflow_provider_nucleus.schema.charts import EvaluationCharts
from airflow_provider_nucleus.tasks.evaluation_measurement import chart_measurement
from tests.unit.schema.test_reading import CHARTS


def measured(cells, *, tp, fp, fn):
    """Return the measurement of charts with a confusion matrix and its total counts."""
    charts = CHARTS | {
        "confusionMatrix": [
            {"gtLabel": truth, "predLabel": predicted, "count": count} for truth, predicted, count in cells
        ],
        "totalCounts": {"tp": tp, "fp": fp, "fn": fn, "predsWithConfidence": tp + fp},
        "perClassAp": [{"classLabel": "car", "ap": 0.6}, {"classLabel": "van", "ap": 0.5}],
    }
    return chart_measurement(
        EvaluationCharts.from_wire(charts),
        subject=Subject(),
        fingerprint=Fingerprint(data="benchmark:b@1.0"),
        coverage=Coverage(items=9, with_ground_truth=9, ground_truth=tp + fn, predictions=tp + fp),
        iou_threshold=0.5,
    )


def test_counts_of_labels_are_those_of_the_matrix():
    """A cell off the diagonal is a miss of the one and a false positive of the other."""
    found = measured(
        [("car", "car", 20), ("car", "van", 3), ("van", "", 7), ("", "van", 2)], tp=20, fp=5, fn=10
    )

    assert {name: found.per_label["car"].values[name] for name in ("tp", "fp", "fn", "ap")} == {
        "tp": 20, "fp": 0, "fn": 3, "ap": 0.6,
    }  # fmt: skip
    assert (found.per_label["van"].values["fp"], found.per_label["van"].ground_truth) == (5, 7)


def test_labels_that_may_match_keep_their_support():
    """Where a cell off the diagonal is a true positive, counts by label are not known; how many objects there are is."""
    found = measured([("car", "car", 20), ("car", "van", 10), ("van", "", 25)], tp=30, fp=0, fn=25)
    rule = {"id": "ap", "metric": "ap", "scope": "per_label", "labels": ["car", "van"], "min": 0.55}

    assert {
        label: (numbers.ground_truth, "tp" in numbers.values) for label, numbers in found.per_label.items()
    } == {
        "car": (30, False),
        "van": (25, False),
    }
    results = judge(read_policy({"rules": [rule]}), found).verdict.results
    assert [each.status for each in results] == ["pass", "fail"]
