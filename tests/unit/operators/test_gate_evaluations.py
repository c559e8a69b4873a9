"""Gates on Evaluations V2: the embedded Nucleus that made them compares them, with intervals of AP; without it the numbers decide."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_nucleus.exceptions import NucleusNotFoundError, NucleusServerError
from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
from airflow_provider_nucleus.operators.gate import NucleusGateOperator
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from tests.airflow.batches import box
from tests.unit.operators.fakes import context
from tests.unit.operators.test_gate import run as judged

IMAGES = 40
POLICY = {
    "rules": [
        {"id": f"{name}-drop", "metric": name, "max_drop": 0.02} for name in ("ap", "ap50", "f1", "recall")
    ]
}


@pytest.fixture(scope="module")
def evaluations(nucleus: Any) -> dict[str, Any]:
    """Results of three evaluation tasks on one benchmark: a good model, its equal, and one that misses a quarter."""
    from airflow_provider_nucleus.hooks.nucleus import NucleusHook
    from tests.airflow.harness import connection_json

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "AIRFLOW_CONN_NUCLEUS_DEFAULT", connection_json(endpoint=nucleus.url, api_key=nucleus.api_key)
        )
        with NucleusHook() as hook:
            dataset_id = hook.create_dataset("gated evaluations")
            rows = [
                {"reference_id": f"i{n}", "image_url": f"s3://b/{n}.jpg", "metadata": {}}
                for n in range(IMAGES)
            ]
            items = NucleusAppendItemsOperator(
                task_id="items", dataset_id=dataset_id, source=rows, deferrable=False
            )
            items.execute(context(items))
            places = [(n, k) for n in range(IMAGES) for k in range(3)]
            hook.annotate(dataset_id, [box("car", f"i{n}", 20 * k, 0, 10, f"t{n}-{k}") for n, k in places])
            found = {}
            for name, missed in (("good", 17), ("equal", 19), ("bad", 4)):
                model_id = hook.create_model(name, reference_id=f"gated {name}")
                hook.upload_predictions(
                    dataset_id,
                    model_id,
                    [
                        box("car", f"i{n}", 20 * k, 0, 10, f"p{n}-{k}", confidence=0.9 - 0.001 * n)
                        for n, k in places
                        if (3 * n + k) % missed
                    ],
                )
                task = NucleusEvaluateModelOperator(
                    task_id="evaluate",
                    model_id=model_id,
                    dataset_id=dataset_id,
                    benchmark="gated",
                    deferrable=False,
                    poll_interval=0.1,
                )
                found[name] = task.execute(context(task))
    return found


def gate(candidate: Any, baseline: Any, **arguments: Any) -> Any:
    """Return what a gate returned or raised, and its results by rule."""
    found, xcoms = judged(candidate, baseline=baseline, policy=POLICY, **arguments)
    return found, {each["rule_id"]: each for each in xcoms["return_value"]["results"]}, xcoms["return_value"]


def test_evaluations_are_judged_by_the_intervals_of_the_server(hook, evaluations):
    """Of AP as well; the ends are those of its comparison, to the last digit."""
    error, results, result = gate(evaluations["bad"], evaluations["good"])
    compared = hook.compare_evaluations(
        evaluations["good"]["evaluation_id"], evaluations["bad"]["evaluation_id"]
    )

    assert error.verdict == "fail"
    assert {each["status"] for each in results.values()} == {"fail"}
    for name, theirs in (("ap", "AP"), ("ap50", "AP50"), ("f1", "f1"), ("recall", "recall")):
        interval = compared.differences[theirs].interval
        assert (results[f"{name}-drop"]["low"], results[f"{name}-drop"]["high"]) == interval
        assert "server" in results[f"{name}-drop"]["method"]
    assert result["changes"]["fixed"] - result["changes"]["broken"] == round(
        (evaluations["bad"]["overall"]["recall"] - evaluations["good"]["overall"]["recall"]) * 3 * IMAGES
    )


def test_equal_models_are_not_told_apart_by_chance(evaluations, hook):
    """Their numbers differ a little, and the interval says how little that means: undecided or passed, never failed."""
    found, results, _ = gate(evaluations["equal"], evaluations["good"])

    assert getattr(found, "verdict", None) in {None, "inconclusive"}
    assert "fail" not in {each["status"] for each in results.values()}


def test_without_the_server_the_numbers_decide_and_say_so(evaluations, monkeypatch, tmp_path):
    """There is no connection where the gate runs."""
    monkeypatch.delenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", raising=False)
    error, results, _ = gate(evaluations["bad"], evaluations["good"])

    assert error.verdict == "fail"
    assert results["ap-drop"].get("low") is None
    assert "without an interval" in results["ap-drop"]["text"]


def test_a_server_that_is_away_is_no_verdict(evaluations, hook, monkeypatch):
    """A retry asks again: the numbers alone might decide otherwise."""
    task = NucleusGateOperator(
        task_id="gate", candidate=evaluations["bad"], baseline=evaluations["good"], policy=POLICY
    )

    def away(*_: Any, **__: Any) -> None:
        raise NucleusServerError("away", status=503)

    monkeypatch.setattr(type(task.hook), "compare_evaluations", away)
    surroundings = context(task)
    with pytest.raises(NucleusServerError):
        task.execute(surroundings)
    assert surroundings["ti"].xcoms == {}


def test_an_older_server_without_the_route_is_no_failure(evaluations, hook, monkeypatch, caplog):
    """The numbers decide, and the log says why there are no intervals."""

    def unknown(*_: Any, **__: Any) -> None:
        raise NucleusNotFoundError("no such route", status=404)

    monkeypatch.setattr("airflow_provider_nucleus.hooks.nucleus.NucleusHook.compare_evaluations", unknown)
    error, results, _ = gate(evaluations["bad"], evaluations["good"])

    assert error.verdict == "fail"
    assert "Without intervals: no such route" in caplog.text
    assert "without an interval" in results["ap-drop"]["text"]
