"""The append operator with lidar scenes: one job for all, what a retry attaches to, scenes that are lost or refused."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.exceptions import (
    NucleusConfigError,
    NucleusConnectionError,
    NucleusJobFailed,
    NucleusValidationError,
)
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.schema.items import DatasetItem
from airflow_provider_nucleus.schema.scenes import Frame, LidarScene
from tests.airflow.batches import write_lines
from tests.faults import Fault
from tests.unit.operators.fakes import StateStore, losing, run

SCENES = r"POST .*/upload_scenes"
JOB = r"GET .*/job/[^/]+$"


def test_lidar_scenes_are_appended(hook, request):
    """Scenes with point clouds go into a scene dataset; appending them again is harmless."""
    dataset_id = hook.create_dataset(request.node.name, is_scene=True)
    scene = LidarScene(
        "drive-1",
        [
            Frame(lidar=DatasetItem(pointcloud_location=f"s3://bucket/{n}.json", reference_id=f"cloud-{n}"))
            for n in range(2)
        ],
    )
    task = NucleusAppendItemsOperator(
        task_id="scenes", dataset_id=dataset_id, source=[scene], kind="lidar_scenes", deferrable=False
    )

    assert run(task)["rows"] == 1
    assert [found["reference_id"] for found in hook.list_scenes(dataset_id)] == ["drive-1"]


def drive(name, frames=2):
    """A lidar scene."""
    return {
        "reference_id": name,
        "frames": [
            {
                "lidar": {
                    "url": f"s3://bucket/{name}-{n}.json",
                    "reference_id": f"{name}-{n}",
                    "type": "pointcloud",
                }
            }
            for n in range(frames)
        ],
    }


def append_scenes(dataset_id, source, **arguments):
    """Return a task that appends lidar scenes."""
    return NucleusAppendItemsOperator(
        task_id="scenes",
        dataset_id=dataset_id,
        source=str(source),
        kind="lidar_scenes",
        deferrable=False,
        poll_interval=0.1,
        **arguments,
    )


def dies_before_the_end(task, monkeypatch):
    """Let a task lose its worker once its jobs have ended."""
    monkeypatch.setattr(task, "jobs_ended", lambda *_: pytest.fail("the worker died"))
    return task


@pytest.mark.parametrize("change", ["nothing", "source", "update"])
def test_a_retry_attaches_to_scenes_of_the_same_source_only(
    hook, request, tmp_path, proxy, monkeypatch, change
):
    """Scenes that were corrected between two tries, or are to replace the old ones, are sent; the same ones are not."""
    dataset_id = hook.create_dataset(request.node.name, is_scene=True)
    store, source = StateStore(), write_lines(tmp_path / "scenes.jsonl", [drive("one")])
    with pytest.raises(pytest.fail.Exception):
        run(dies_before_the_end(append_scenes(dataset_id, source), monkeypatch), store=store)
    if change == "source":
        write_lines(source, [drive("one"), drive("two")])
    result = run(append_scenes(dataset_id, source, update=change == "update"), store=store)

    assert len(proxy.requests(SCENES)) == (1 if change == "nothing" else 2)
    assert result["rows"] == (2 if change == "source" else 1)
    names = [found["reference_id"] for found in hook.list_scenes(dataset_id)]
    assert names == (["one", "two"] if change == "source" else ["one"])
    assert store.values == {}


@pytest.mark.parametrize(("lost", "starts"), [("cut-answer", 1), ("refuse", 2)])
def test_a_start_of_scenes_without_an_answer_is_looked_for(hook, request, tmp_path, proxy, lost, starts):
    """The worker is lost, or the answer, after the start: the retry takes the job that came of it, or starts one."""
    dataset_id = hook.create_dataset(request.node.name, is_scene=True)
    store, source = StateStore(), write_lines(tmp_path / "scenes.jsonl", [drive("one"), drive("two")])
    run(append_scenes(dataset_id, write_lines(tmp_path / "older.jsonl", [drive("a"), drive("b")])))
    proxy.arm(Fault("lost", SCENES, lost))
    with pytest.raises(NucleusConnectionError):
        run(append_scenes(dataset_id, source), store=store)
    result = run(append_scenes(dataset_id, source), store=store)

    assert len(proxy.requests(SCENES)) == starts
    assert len(hook.list_scenes(dataset_id)) == 4
    jobs = hook.list_jobs(dataset_id=dataset_id, show_completed=True)
    assert result["jobs"] == [max(jobs, key=lambda job: job.job_creation_time).job_id]
    assert len(jobs) == 2


@pytest.mark.parametrize(
    "arguments", [{"on_change": "continue"}, {"on_clear": "reattach"}, {"chunk_rows": 5}], ids=str
)
def test_arguments_that_mean_nothing_for_scenes_are_refused_in_the_dag_file(arguments):
    """Rather than ignored."""
    with pytest.raises(ValueError, match="would have no effect"):
        append_scenes("ds_1", "scenes.jsonl", **arguments)


@pytest.mark.parametrize("arguments", [{"max_error_rate": "0.5"}, {"quarantine": "bad.jsonl"}], ids=str)
def test_templates_that_mean_nothing_for_scenes_are_refused(hook, tmp_path, arguments):
    """Once they are rendered."""
    source = write_lines(tmp_path / "scenes.jsonl", [drive("one")])
    with pytest.raises(NucleusConfigError, match="no quarantine and no max_error_rate"):
        run(append_scenes("ds_1", source, **arguments))


def test_bad_scene_is_refused_before_anything_is_sent(hook, request):
    """A scene without a point cloud is named by its row."""
    dataset_id = hook.create_dataset(request.node.name, is_scene=True)
    task = NucleusAppendItemsOperator(
        task_id="scenes", dataset_id=dataset_id, source=[{"reference_id": "empty"}], kind="lidar_scenes"
    )

    with pytest.raises(NucleusValidationError, match="row 1"):
        run(task)
    assert list(hook.list_scenes(dataset_id)) == []


def silent(body):
    """Let a job say nothing of its rows."""
    return json.dumps(json.loads(body) | {"message": {}}).encode()


@pytest.mark.parametrize("counted", [True, False])
def test_scenes_the_server_lost_fail_the_task_and_a_retry_brings_them(
    hook, request, tmp_path, proxy, counted
):
    """By the counts of the job, or, where it has none, because the scene is not in the data set."""
    dataset_id = hook.create_dataset(request.node.name, is_scene=True)
    store, source = StateStore(), write_lines(tmp_path / "scenes.jsonl", [drive("one"), drive("two")])
    faults = [Fault("loses a scene", r"PUT ", "edit-request", edit=losing(1))]
    if not counted:
        faults.append(Fault("no counts", JOB, "edit-answer", times=1000, edit=silent))
    proxy.arm(*faults)
    wrong = "accounts for 1 of 2 scenes" if counted else "did not store 1 scenes, 'two' first"
    with pytest.raises(NucleusJobFailed, match=rf"Completed, but {wrong}.*A retry sends all scenes again"):
        run(append_scenes(dataset_id, source), store=store)
    proxy.arm(*faults[1:])
    result = run(append_scenes(dataset_id, source), store=store)

    assert result["rows"] == 2
    assert [found["reference_id"] for found in hook.list_scenes(dataset_id)] == ["one", "two"]


@pytest.mark.parametrize("counted", [True, False])
def test_refused_scenes_fail_the_task_with_their_reasons(hook, request, tmp_path, proxy, counted):
    """Although the job may end well; and a retry does not attach to it, but sends them."""
    dataset_id = hook.create_dataset(request.node.name, is_scene=True)
    store = StateStore()
    source = write_lines(tmp_path / "scenes.jsonl", [drive("one"), drive("two")])
    faults = [] if counted else [Fault("no counts", JOB, "edit-answer", times=1000, edit=silent)]
    twice = Fault(
        "one frame twice", r"PUT ", "edit-request", edit=lambda body: body.replace(b"one-1", b"one-0")
    )
    proxy.arm(twice, *faults)
    with pytest.raises(NucleusJobFailed, match="lidar needs a reference_id that no other item"):
        run(append_scenes(dataset_id, source), store=store)
    proxy.arm(*faults)

    assert run(append_scenes(dataset_id, source), store=store)["rows"] == 2
    assert len(hook.list_scenes(dataset_id)) == 2
