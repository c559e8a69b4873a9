"""Operating points as a task: exact from an evaluation, approximate from stored pairs, written and summed up."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement, Subject
from airflow_provider_nucleus.gating.operating_point import OperatingPoints
from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.operating_points import NucleusOperatingPointsOperator
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)
from tests.airflow.batches import box
from tests.unit.gating.match_rows import match_rows
from tests.unit.operators.fakes import context

ROWS = match_rows(
    ("a", "car/1", "car/p1@0.9", 0.8),
    ("a", "car/2", "car/p2@0.6", 0.7),
    ("a", None, "car/p3@0.5"),
    ("b", "van/3", "van/p4@0.3", 0.9),
)


def measured(**parts):
    """Return a measurement document with pairs."""
    return Measurement(**{
        "fingerprint": Fingerprint(data="dataset:ds_1"),
        "subject": Subject(model_name="detector"),
        "iou_threshold": 0.5,
        "matches": ROWS,
        **parts,
    }).model_dump(mode="json", by_alias=True)


def choose(measurement, place, **arguments):
    """Run the task; return its result and the document."""
    task = NucleusOperatingPointsOperator(
        task_id="points", measurement=measurement, operating_points=str(place), min_support=1, **arguments
    )
    result = task.execute(context(task))
    return result, OperatingPoints.model_validate_json(place.read_text())


def test_stored_pairs_give_approximate_cuts(tmp_path):
    """The file has all of it, the result the cuts."""
    result, document = choose(measured(), tmp_path / "points.json")

    assert result == {
        "operating_points": str(tmp_path / "points.json"),
        "method": "approximate",
        "aim": "f1",
        "target": None,
        "iou_threshold": 0.5,
        "overall": 0.3,
        "reason": None,
        "labels_total": 2,
        "per_label": {"car": 0.6, "van": 0.3},
    }
    assert (document.subject.model_name, document.fingerprint.data) == ("detector", "dataset:ds_1")


@pytest.mark.parametrize(("aims", "cut"), [({"precision": 1.0}, 0.6), ({"recall": 0.5}, 0.9)])
def test_targets(tmp_path, aims, cut):
    """Of cars."""
    result, document = choose(measured(), tmp_path / "points.json", **aims)

    assert result["per_label"]["car"] == cut
    assert document.target == next(iter(aims.values()))


def test_a_measurement_at_a_place_is_read(tmp_path):
    """As a measuring task's result names it."""
    (tmp_path / "m.json").write_text(json.dumps(measured()))

    result, _ = choose(
        {"measurement": str(tmp_path / "m.json"), "model_id": "prj_1"}, tmp_path / "points.json"
    )

    assert result["per_label"]["car"] == 0.6


@pytest.mark.parametrize(
    ("measurement", "arguments", "said"),
    [
        (measured(matches=None), {}, "written without its matches"),
        (measured(), {"precision": 0.5, "recall": 0.5}, "cannot both be aimed at"),
    ],
)
def test_what_gives_no_cuts_is_said(tmp_path, measurement, arguments, said):
    """Nothing is written."""
    with pytest.raises(NucleusConfigError, match=said):
        choose(measurement, tmp_path / "points.json", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_gives_exact_cuts(ids, tmp_path):
    """A hesitant box fits better and takes the object from a confident one, which finds it once the cut takes the other away.

    Through upload, evaluation and file, as in a DAG: the confident box alone is right, which the pairs of one match do not know.
    """
    dataset, model = ids["dataset_id"], ids["model_id"]
    truth = [box("car", "a", 0, 0, 10, "t1")]
    seen = [
        box("car", "a", 2, 0, 10, "sure", confidence=0.9),
        box("car", "a", 1, 0, 10, "hesitant", confidence=0.2),
    ]
    items = [{"reference_id": "a", "image_url": "s3://b/a.jpg"}]
    run(NucleusAppendItemsOperator(task_id="items", dataset_id=dataset, source=items))
    run(NucleusUploadAnnotationsOperator(task_id="truth", dataset_id=dataset, source=truth))
    run(NucleusUploadPredictionsOperator(task_id="seen", dataset_id=dataset, model_id=model, source=seen))
    evaluated = run(
        NucleusEvaluateModelOperator(
            task_id="evaluate",
            model_id=model,
            dataset_id=dataset,
            benchmark="exact cuts",
            deferrable=False,
            report=str(tmp_path / "evaluation.json"),
        )
    )

    result, document = choose(evaluated, tmp_path / "points.json")

    assert (result["method"], result["overall"], document.overall.f1) == ("exact", 0.9, 1.0)
    assert document.subject.evaluation_id == evaluated["evaluation_id"]
    assert document.per_label["car"].predictions == 1


def run(task):
    """Run a task."""
    return task.execute(context(task))


def test_an_unknown_evaluation_falls_back_to_the_pairs(hook, tmp_path, caplog):
    """A server without the route, or an evaluation that is gone: said in the log and in the document."""
    result, _ = choose(measured(subject=Subject(evaluation_id="evalv2_gone")), tmp_path / "points.json")

    assert result["method"] == "approximate"
    assert "instead of matching anew" in caplog.text
