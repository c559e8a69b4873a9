"""Behaviour of our tasks that only a real Airflow shows."""

from __future__ import annotations

import importlib.util
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.operators.uploads import NucleusUploadPredictionsOperator
from tests.airflow.batches import make_batch
from tests.airflow.harness import REPOSITORY, connection_json
from tests.faults import Fault, FaultyNucleus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "live_0123456789abcdef"

HOPELESS = """
    from datetime import timedelta
    from airflow.sdk import dag
    from airflow_provider_nucleus.operators.datasets import NucleusCreateDatasetOperator

    @dag(dag_id="hopeless", schedule=None, default_args={"retries": 3, "retry_delay": timedelta(hours=1)})
    def hopeless():
        NucleusCreateDatasetOperator(task_id="single", name="x")
        NucleusCreateDatasetOperator.partial(task_id="mapped").expand(name=["a"])

    hopeless()
"""


def test_wrong_key_fails_at_once_and_is_never_shown(run_dag: Callable[..., Any], nucleus: Any) -> None:
    """A key the server refuses is not tried again, mapped or not, and appears in no log, XCom or rendered field."""
    wrong = connection_json(endpoint=nucleus.url, api_key=KEY)
    run = run_dag(HOPELESS, "hopeless", connections={"nucleus_default": wrong})

    assert {name: (task.state, task.try_number) for name, task in run.tasks.items()} == {
        "single": ("failed", 1),
        "mapped[0]": ("failed", 1),
    }
    assert "Check the API key" in run.log
    assert KEY not in run.log
    assert KEY not in repr(run.tasks)


SENSORS = """
    from airflow.sdk import dag
    from airflow_provider_nucleus.operators.uploads import NucleusUploadAnnotationsOperator
    from airflow_provider_nucleus.sensors.job import NucleusJobSensor

    @dag(dag_id="sensors", schedule=None, params={"dataset_id": "", "source": ""})
    def sensors():
        upload = NucleusUploadAnnotationsOperator(
            task_id="upload", dataset_id="{{ params.dataset_id }}", source="{{ params.source }}", deferrable=False
        )
        for deferrable in (False, True):
            NucleusJobSensor(
                task_id=f"wait_{deferrable}",
                job_id="{{ ti.xcom_pull('upload')['jobs'][0] }}",
                deferrable=deferrable,
                poke_interval=0.2,
                on_partial="succeed",
            ).set_upstream(upload)

    sensors()
"""


def test_sensor_finds_the_job_of_another_task(
    run_dag: Callable[..., Any], nucleus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job id comes from a template; both forms succeed, refused rows and all, and link to the job's page."""
    from airflow_provider_nucleus.hooks.nucleus import NucleusHook

    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection_json(endpoint=nucleus.url, api_key=nucleus.api_key))
    batch = make_batch(tmp_path / "batch")
    with NucleusHook("probe") as hook:
        dataset_id = hook.create_dataset("sensors")
    conf = {"dataset_id": dataset_id, "source": str(batch.ground_truth)}
    run = run_dag(
        SENSORS.replace("deferrable=False\n", "deferrable=False, max_error_rate=1\n"), "sensors", conf=conf
    )

    assert run.state == "success", run.log[-5000:]
    (job_id,) = run.tasks["upload"].value["jobs"]
    for name in ("wait_False", "wait_True"):
        assert {"jobs": {job_id: "Errored_Partial"}} == run.tasks[name].value
        assert run.tasks[name].xcoms["_link_NucleusJobLink"].endswith(f"/job/{job_id}")


def _describe_batch(**context: Any) -> dict[str, Any]:
    """Call the first task of the batch example."""
    path = REPOSITORY / "dags_examples" / "nucleus_evaluate_inference_batch.py"
    spec = importlib.util.spec_from_file_location("batch_example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    task = module.nucleus_evaluate_inference_batch().get_task("describe_batch")
    return task.python_callable(**context)


def _events(*extras: dict[str, Any]) -> Any:
    """Return asset events as Airflow hands them to a task."""
    from airflow.sdk.api.datamodels._generated import AssetReferenceAssetEventDagRun
    from airflow.sdk.execution_time.comms import AssetEventDagRunReferenceResult
    from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

    return TriggeringAssetEventsAccessor.build(
        AssetEventDagRunReferenceResult(
            asset=AssetReferenceAssetEventDagRun(name="inference_batch", uri="inference_batch", extra={}),
            extra=extra,
            source_task_id="publish",
            source_dag_id="producer",
            source_run_id="r",
            source_map_index=-1,
            source_aliases=[],
            timestamp=datetime.now(UTC),
        )
        for extra in extras
    )


PARAMS = {"model_reference_id": "m", "ground_truth": "truth", "predictions": "default", "report": ""}


def test_batch_example_takes_the_event_over_its_params() -> None:
    """What the producer attached to the asset event is what is evaluated."""
    events = _events({"predictions": "s3://b/1.jsonl", "unknown": 1})

    assert _describe_batch(params=PARAMS, run_id="run 1", triggering_asset_events=events) == PARAMS | {
        "batch": "run 1",
        "predictions": "s3://b/1.jsonl",
        "truth_of_predictions": "truth",
        "metrics_report": "",
    }
    assert _describe_batch(params=PARAMS | {"batch": "monday"}, triggering_asset_events=None) == PARAMS | {
        "batch": "monday",
        "truth_of_predictions": "truth",
        "metrics_report": "",
    }


def test_batches_that_start_one_run_are_evaluated_together() -> None:
    """No batch is left out when several wait for the same run; their slice has the names of all."""
    first = {"predictions": "1.jsonl", "batch": "mon"}
    events = _events(first, {"predictions": "2.jsonl", "batch": "tue"}, first)
    batch = _describe_batch(params=PARAMS | {"batch": ""}, triggering_asset_events=events)

    assert batch["predictions"] == ["1.jsonl", "2.jsonl"]
    assert batch["batch"] == "mon and tue"


def test_each_batch_keeps_its_own_ground_truth(tmp_path: Path) -> None:
    """Two batches of COCO that both number their images from 1, and two files of results for one of them."""
    events = []
    for day, files in (("mon", ("early", "late")), ("tue", ("all",))):
        truth = tmp_path / f"{day}.json"
        truth.write_text(
            json.dumps({
                "images": [{"id": 1, "file_name": f"{day}.jpg"}],
                "categories": [{"id": 1, "name": "car"}],
                "annotations": [],
            })
        )
        for name in files:
            results = tmp_path / f"{day}-{name}.json"
            results.write_text(
                json.dumps([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}])
            )
            events.append({"ground_truth": str(truth), "predictions": str(results)})
    batch = _describe_batch(params=PARAMS, triggering_asset_events=_events(*events, events[0]))
    upload = NucleusUploadPredictionsOperator(
        task_id="t",
        dataset_id="ds",
        model_id="m",
        source=batch["predictions"],
        ground_truth=batch["truth_of_predictions"],
    )

    assert batch["ground_truth"] == [str(tmp_path / "mon.json"), str(tmp_path / "tue.json")]
    assert [row.data["reference_id"] for row in upload.row_source().rows()] == [
        "mon.jpg",
        "mon.jpg",
        "tue.jpg",
    ]


def test_batches_of_different_models_are_not_mixed() -> None:
    """One run evaluates one model; the error says which batches collide."""
    events = _events({"model_reference_id": "m1"}, {"model_reference_id": "m2"})

    with pytest.raises(ValueError, match=r"m1.*m2"):
        _describe_batch(params=PARAMS, triggering_asset_events=events)


NATIVE = """
    from airflow.sdk import dag
    from airflow_provider_nucleus.operators.datasets import NucleusCreateDatasetOperator
    from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator

    @dag(
        dag_id="native", schedule=None, params={"ref": "1e5", "tags": ["a", "20"], "nothing": None},
        render_template_as_native_obj=NATIVE,
    )
    def native():
        mapped = NucleusCreateModelOperator.partial(
            task_id="mapped", tags="{{ params.tags }}", name="{{ params.nothing }}"
        ).expand(reference_id=["20261125", "True", 7, "{{ params.ref }}"])
        NucleusCreateDatasetOperator(task_id="single", name="0123", is_scene="{{ params.nothing }}").set_upstream(mapped)

    native()
"""


@pytest.mark.parametrize("native", [False, True])
def test_native_rendering_changes_no_text(run_dag: Callable[..., Any], native: bool) -> None:
    """A DAG with `render_template_as_native_obj` does what one without it does, mapped labels included."""
    run = run_dag(NATIVE.replace("=NATIVE", f"={native}"), "native")

    assert run.state == "success", run.log[-5000:]
    assert {
        task.label: task.value["reference_id"] for name, task in run.tasks.items() if name != "single"
    } == {text: text for text in ("20261125", "True", "7", "1e5")}
    assert run.tasks["mapped[0]"].value["name"] == "20261125"
    assert run.tasks["single"].value["name"] == run.tasks["single"].label == "0123"


DEFERRED = """
    from datetime import timedelta
    from airflow.sdk import dag
    from airflow_provider_nucleus.operators.uploads import NucleusUploadAnnotationsOperator
    from airflow_provider_nucleus.sensors.job import NucleusJobSensor

    @dag(dag_id="deferred", schedule=None, params={"dataset_id": "", "source": "", "job_id": ""})
    def deferred():
        shared = {"nucleus_conn_id": "CONNECTION", "deferrable": True}
        upload = {"dataset_id": "{{ params.dataset_id }}", "source": "{{ params.source }}", "poll_interval": 0.2}
        TASKS

    deferred()
"""


@pytest.fixture
def busy(
    nucleus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[FaultyNucleus, dict[str, str]]]:
    """A Nucleus whose jobs seem to run at the first looks, and what to upload to it."""
    from airflow_provider_nucleus.hooks.nucleus import NucleusHook

    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection_json(endpoint=nucleus.url, api_key=nucleus.api_key))
    batch = make_batch(tmp_path / "batch")
    with NucleusHook("probe") as hook:
        dataset_id = hook.create_dataset("deferred")
    with FaultyNucleus(lambda: nucleus.base_url) as proxy:
        yield proxy, {"dataset_id": dataset_id, "source": str(batch.ground_truth)}


def seems_to_run(times: int) -> Fault:
    """Return the fault that shows a job as running."""
    return Fault(
        "running", r"GET .*/job/job_\w+$", "edit-answer", times=times,
        edit=lambda body: re.sub(rb'"(Completed|Errored_\w+)"', b'"Running"', body),
    )  # fmt: skip


def test_a_deferred_task_finds_a_connection_of_the_database(
    run_dag: Callable[..., Any], private_airflow: Any, nucleus: Any, busy: Any
) -> None:
    """One that was made in the form; and a task with `do_xcom_push=False` writes no error into the log."""
    proxy, conf = busy
    proxy.arm(seems_to_run(3))
    connection = connection_json(endpoint=proxy.url, api_key=nucleus.api_key)
    made = private_airflow.cli("connections", "add", "of_the_form", "--conn-json", connection)
    assert made.returncode == 0, made.stdout + made.stderr
    tasks = 'NucleusUploadAnnotationsOperator(task_id="silent", do_xcom_push=False, max_error_rate=1, **shared, **upload)'

    run = run_dag(
        DEFERRED.replace("CONNECTION", "of_the_form").replace("TASKS", tasks), "deferred", conf=conf
    )

    assert run.state == "success", run.log[-5000:]
    assert "Waiting in the triggerer" in run.log
    assert "XCom not found" not in run.log
    assert "[error" not in run.log.lower()


def test_execution_timeout_counts_while_deferred(
    run_dag: Callable[..., Any], nucleus: Any, busy: Any
) -> None:
    """The task ends failed when its time is over, and its job is cancelled; a sensor ends too, and leaves the job alone."""
    proxy, conf = busy
    proxy.arm(seems_to_run(10_000))
    tasks = """
        uploaded = NucleusUploadAnnotationsOperator(
            task_id="upload", execution_timeout=timedelta(seconds=8), max_error_rate=1, **shared, **upload
        )
        NucleusJobSensor(
            task_id="sensor", job_id="{{ ti.xcom_pull('upload', key='_link_NucleusJobLink').rpartition('/')[2] }}",
            poke_interval=0.2, execution_timeout=timedelta(seconds=8), trigger_rule="all_done", **shared
        ).set_upstream(uploaded)
    """.strip()
    connection = connection_json(endpoint=proxy.url, api_key=nucleus.api_key)

    run = run_dag(
        DEFERRED.replace("CONNECTION", "busy").replace("TASKS", tasks),
        "deferred",
        conf=conf,
        connections={"busy": connection},
    )

    assert {name: task.state for name, task in run.tasks.items()} == {"upload": "failed", "sensor": "failed"}
    assert run.log.count("execution_timeout of 8 s passed while the task was deferred") >= 2, run.log[-8000:]
    assert len(proxy.requests(r"POST .*/job/job_\w+/cancel")) == 1
