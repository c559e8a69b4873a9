"""Lineage in real Airflow: what OpenLineage's own listener sends of our tasks."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow.harness import PrivateAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAG = """
    from airflow.providers.common.compat.sdk import DAG
    from airflow_provider_nucleus.assets.factories import accepted
    from airflow_provider_nucleus.operators.datasets import NucleusCreateDatasetOperator
    from airflow_provider_nucleus.operators.gate import NucleusGateOperator
    from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
    from airflow_provider_nucleus.operators.uploads import NucleusUploadAnnotationsOperator

    MEASUREMENT = {
        "schema": "nucleus-measurement/1",
        "subject": {"dataset_id": "ds_1", "model_id": "prj_1", "dataset_name": "street"},
        "fingerprint": {"data": "dataset:ds_1"},
        "coverage": {"items": 10, "with_ground_truth": 10},
        "overall": {"values": {"f1": 0.5}, "ground_truth": 100, "items": 10},
    }
    ROW = {"label": "car", "type": "box", "geometry": {"x": 1, "y": 1, "width": 2, "height": 3}, "reference_id": "a"}

    with DAG("lineage", schedule=None):
        dataset = NucleusCreateDatasetOperator(task_id="dataset", name="lineage {{ run_id }}")
        items = NucleusAppendItemsOperator(
            task_id="items", dataset_id=dataset.output["dataset_id"],
            source=[{"reference_id": "a", "image_url": "s3://b/a.jpg"}],
        )
        upload = NucleusUploadAnnotationsOperator(
            task_id="upload", dataset_id=dataset.output["dataset_id"], source=[ROW], deferrable=True
        )
        items >> upload
        for task_id, least in (("passes", 0.4), ("stops", 0.6)):
            NucleusGateOperator(
                task_id=task_id,
                candidate=MEASUREMENT,
                policy={"rules": [{"id": "f1-least", "metric": "f1", "min": least, "min_support": 0}]},
                outlets=[accepted(dataset="street", model="detector")],
            ).set_upstream(upload)
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateAirflow]:
    """An Airflow whose lineage goes to a file."""
    pytest.importorskip("airflow.providers.openlineage.extractors")
    made = PrivateAirflow(tmp_path_factory.mktemp("lineage"))
    made.environment["AIRFLOW__OPENLINEAGE__TRANSPORT"] = json.dumps({
        "type": "file",
        "log_file_path": str(made.home / "events.jsonl"),
        "append": True,
    })
    made.migrate()
    yield made
    made.close()


@pytest.fixture(scope="module")
def events(airflow: PrivateAirflow, nucleus: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The last event of each task."""
    file: Path = tmp_path_factory.mktemp("dags") / "lineage.py"
    file.write_text(textwrap.dedent(DAG))
    from tests.airflow.harness import connection_json

    run = airflow.run_dag(
        file,
        "lineage",
        connections={"nucleus_default": connection_json(endpoint=nucleus.url, api_key=nucleus.api_key)},
    )
    lines = (airflow.home / "events.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    ends = {one["job"]["name"]: one for one in found if one["eventType"] in {"COMPLETE", "FAIL"}}
    assert {"lineage.upload", "lineage.passes", "lineage.stops"} <= ends.keys(), run.log[-6000:]
    return ends


def test_an_upload_that_was_deferred_says_what_it_stored(events: dict[str, Any], nucleus: Any) -> None:
    """How many rows, in which data set of which server."""
    (output,) = events["lineage.upload"]["outputs"]

    assert output["namespace"] == f"nucleus://{nucleus.url.split('/')[2]}"
    assert output["name"].startswith("dataset/")
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 1


@pytest.mark.parametrize(
    ("task", "event", "status"), [("passes", "COMPLETE", "pass"), ("stops", "FAIL", "fail")]
)
def test_a_gate_sends_its_rules_as_tests(events: dict[str, Any], task: str, event: str, status: str) -> None:
    """One that stops the pipeline fails, and its rules are sent as well; the accepted asset is the output of the other alone."""
    found = events[f"lineage.{task}"]
    (test,) = found["run"]["facets"]["test"]["tests"]
    predictions = {one["name"]: one for one in found["inputs"]}["dataset/ds_1/model/prj_1"]
    (assertion,) = predictions["inputFacets"]["dataQualityAssertions"]["assertions"]

    assert found["eventType"] == event
    assert (test["name"], test["status"], test["actual"]) == ("f1-least", status, "0.5")
    assert assertion["success"] is (status == "pass")
    assert [one["name"] for one in found["outputs"]] == (
        ["accepted/street/detector"] if status == "pass" else []
    )
