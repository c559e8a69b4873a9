"""The example DAGs in a whole Airflow: started by hand, and by the asset that an inference job updates."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.airflow.batches import make_batch
from tests.airflow.harness import REPOSITORY, connection_json
from tests.stack.stack import AirflowStack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stack.world import World

CONSUMER = "nucleus_evaluate_inference_batch"
PRODUCER = "nucleus_inference_batch_producer"


@pytest.fixture(scope="module")
def airflow(running_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """An Airflow with the producer of batches and their evaluation, and nothing else; its tasks may wait in the triggerer."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "dags").mkdir()
    for dag in (CONSUMER, PRODUCER):
        shutil.copy(REPOSITORY / "dags_examples" / f"{dag}.py", folder / "dags")
    with AirflowStack(
        folder / "airflow",
        dags=folder / "dags",
        environment={
            "AIRFLOW_CONN_NUCLEUS_DEFAULT": connection_json(
                endpoint=running_world.proxy.url, api_key=running_world.server.api_key
            ),
            "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True",
        },
    ) as running:
        yield running


@pytest.mark.parametrize("way", ["by hand", "by its asset"])
def test_the_pipeline_runs(airflow: AirflowStack, world: World, tmp_path: Path, way: str):
    """The metrics are the hand-counted ones; what the asset event says of the batch reaches the run that it starts."""
    batch = make_batch(tmp_path / "batch")
    conf = {
        "dataset_name": f"scheduled {way}",
        "model_reference_id": f"scheduled {way}",
        "items": str(batch.items),
        "images": str(batch.folder),
        "ground_truth": str(batch.ground_truth),
        "predictions": str(batch.predictions),
    }
    if way == "by hand":
        run = airflow.trigger(CONSUMER, conf)
    else:
        published = airflow.trigger(PRODUCER, conf)
        airflow.wait_for_run(PRODUCER, published)
        assert airflow.task(PRODUCER, published, "publish")["state"] == "success", airflow.log(
            PRODUCER, published, "publish"
        )
        run = airflow.until(lambda: airflow.runs(CONSUMER, "asset_triggered"), timeout=90, what="a run")[0]
    task = airflow.wait_for(CONSUMER, run, "calculate_metrics", timeout=180)

    assert task["state"] == "success", airflow.log(CONSUMER, run, "*") + airflow.tails()
    airflow.wait_for_run(CONSUMER, run)
    metrics = airflow.xcom(CONSUMER, run, "calculate_metrics")
    metrics = json.loads(metrics) if isinstance(metrics, str) else metrics
    assert tuple(metrics["overall"][key] for key in ("tp", "fp", "fn")) == (2, 2, 1)
