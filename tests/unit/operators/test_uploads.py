"""Upload operators: the account of rows, retries, refusals, formats."""

from __future__ import annotations

import json
import time

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_nucleus.exceptions import (
    NucleusConfigError,
    NucleusConnectionError,
    NucleusJobCancelled,
    NucleusJobTimeout,
    NucleusUploadError,
)
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.tasks.results import MAX_XCOM_BYTES
from airflow_provider_nucleus.triggers.events import WaitEvent
from tests.airflow.batches import box, make_batch, write_lines
from tests.faults import Fault
from tests.unit.operators.fakes import StateStore, cancelling, context, losing, run, unseen
from tests.virtual_time import Clock


@pytest.fixture
def batch(tmp_path):
    """The files of a small batch."""
    return make_batch(tmp_path / "batch")


@pytest.fixture
def dataset_id(hook, batch, request):
    """A dataset with the two images of the batch."""
    made = hook.create_dataset(request.node.name)
    run(append(made, batch))
    return made


@pytest.fixture
def model_id(hook, request):
    """A model of this test's own."""
    return hook.create_model("m", reference_id=request.node.name)


def append(dataset_id, batch, **arguments):
    """Return a task that appends the images of a batch."""
    source = arguments.pop("source", str(batch.items))
    return NucleusAppendItemsOperator(
        task_id="items", dataset_id=dataset_id, source=source, image_folder=str(batch.folder), **arguments
    )


def annotate(dataset_id, source, **arguments):
    """Return a task that uploads ground truth."""
    return NucleusUploadAnnotationsOperator(
        task_id="truth", dataset_id=dataset_id, source=source, deferrable=False, **arguments
    )


def test_local_images_are_stored_with_their_bytes(hook, dataset_id, batch):
    """A relative location is a file of the worker under the image folder; its reference id stays."""
    items = list(hook.iter_items(dataset_id))

    assert [item.reference_id for item in items] == ["a.png", "b.png"]
    assert hook.item_by_reference(dataset_id, "a.png").item.metadata == {"time": "day"}


@pytest.mark.parametrize("coco", [False, True])
def test_image_folder_is_not_taken_for_the_start_of_a_name(tmp_path, coco):
    """A folder `images` and a name `images_day/1.png`: the file lies below the folder."""
    rows = [{"reference_id": "1", "image_url": "images_day/1.png"}]
    if coco:
        rows = str(tmp_path / "coco.json")
        document = {"images": [{"id": 1, "file_name": "images_day/1.png"}], "categories": []}
        (tmp_path / "coco.json").write_text(json.dumps(document))
    task = NucleusAppendItemsOperator(
        task_id="items", dataset_id="ds_any", source=rows, image_folder="images"
    )

    assert [row.data["image_url"] for row in task.row_source().rows()] == ["images/images_day/1.png"]


def test_remote_images_stay_where_they_are(hook, request):
    """A location with a scheme is passed on."""
    dataset_id = hook.create_dataset(request.node.name)
    rows = [{"reference_id": str(n), "image_url": f"s3://bucket/{n}.jpg", "metadata": {}} for n in range(3)]
    result = run(NucleusAppendItemsOperator(task_id="items", dataset_id=dataset_id, source=rows))

    assert result["processed"] == 3
    assert [item.location for item in hook.iter_items(dataset_id)][:1] == ["s3://bucket/0.jpg"]


def test_appending_again_changes_nothing(hook, dataset_id, batch):
    """An item that exists stays as it is (the server's account of items does not tell ignored from stored)."""
    run(append(dataset_id, batch))

    assert hook.dataset_size(dataset_id) == 2


@pytest.mark.parametrize("asynchronous", [True, False])
def test_ground_truth_reads_back_as_sent(hook, dataset_id, batch, asynchronous):
    """What was uploaded is what is stored, by jobs and by requests."""
    result = run(annotate(dataset_id, str(batch.ground_truth), asynchronous=asynchronous))

    assert tuple(result[key] for key in ("rows", "processed", "rejected", "errored")) == (3, 3, 0, 0)
    sent = json.loads(batch.ground_truth.read_text().splitlines()[1])
    stored = hook.annotation(dataset_id, "a.png", "t2").to_wire()
    assert sent == {key: stored[key] for key in sent}


def test_retry_after_success_sends_nothing_again(dataset_id, batch):
    """The state store remembers; a retry collects what the first try did."""
    store = StateStore()
    first = run(annotate(dataset_id, str(batch.ground_truth)), store=store)
    again = run(annotate(dataset_id, str(batch.ground_truth)), store=store)

    assert first == again


def test_clear_reruns(dataset_id, batch):
    """A user who clears the task wants it done again; rows that exist are ignored."""
    store = StateStore()
    run(annotate(dataset_id, str(batch.ground_truth)), store=store)
    cleared = run(annotate(dataset_id, str(batch.ground_truth)), store=store, max_tries=1)

    assert (cleared["processed"], cleared["ignored"]) == (0, 3)


def test_changed_input_is_noticed(dataset_id, batch):
    """A retry does not mix two inputs."""
    store = StateStore()
    run(annotate(dataset_id, str(batch.ground_truth)), store=store)
    write_lines(batch.ground_truth, [box("car", "a.png", 1, 1, 5, "other")])

    with pytest.raises(NucleusUploadError, match="changed"):
        run(annotate(dataset_id, str(batch.ground_truth)), store=store)


def test_corrected_dataset_is_where_the_rows_go(hook, dataset_id, batch, request):
    """A retry after the DAG was corrected neither waits for nor reports what went to the wrong dataset."""
    store = StateStore()
    run(annotate(dataset_id, str(batch.ground_truth)), store=store)
    corrected = hook.create_dataset(f"{request.node.name}, corrected")
    run(append(corrected, batch))

    with pytest.raises(NucleusUploadError, match=rf"began for annotations to dataset {dataset_id}"):
        run(annotate(corrected, str(batch.ground_truth)), store=store)
    result = run(annotate(corrected, str(batch.ground_truth), on_change="restart"), store=store)

    assert (result["dataset_id"], result["processed"]) == (corrected, 3)
    assert hook.item_by_reference(corrected, "a.png").annotations


def test_bad_row_stops_everything_and_leaves_evidence(hook, dataset_id, tmp_path):
    """Nothing is sent; the quarantine file has the row and its reason, and an XCom has the account."""
    rows = [box("car", "a.png", 0, 0, 10, "good"), box("car", "a.png", 0, 0, -1, "bad")]
    quarantine = tmp_path / "bad.jsonl"
    task = annotate(dataset_id, str(write_lines(tmp_path / "in.jsonl", rows)), quarantine=str(quarantine))
    surroundings = context(task)
    with pytest.raises(NucleusUploadError, match="1 of 2 rows are bad"):
        task.execute(surroundings)

    assert "bad" in quarantine.read_text()
    assert surroundings["ti"].xcoms["failed_upload"]["rejected"] == 1
    assert not hook.item_by_reference(dataset_id, "a.png").annotations


def test_mapped_siblings_do_not_replace_each_others_files(dataset_id, tmp_path):
    """Each names its own quarantine, and none of those names is that of a part the others read."""
    quarantine = tmp_path / "in.jsonl"
    parts = [
        write_lines(tmp_path / f"in-{index}.jsonl", [box("car", "a.png", 0, 0, -1, bad)])
        for index, bad in enumerate(["one", "two"])
    ]
    before = [part.read_bytes() for part in parts]
    for index in (1, 0):
        # The other's input: what a quarantine called in-<index>.jsonl would have replaced.
        task = annotate(dataset_id, str(parts[1 - index]), quarantine=str(quarantine), max_error_rate=1)
        assert run(task, map_index=index)["quarantine"] == str(tmp_path / f"in.map{index}.jsonl")

    assert [part.read_bytes() for part in parts] == before
    assert "two" in (tmp_path / "in.map0.jsonl").read_text()
    assert "one" in (tmp_path / "in.map1.jsonl").read_text()


@pytest.mark.parametrize("index", [-1, 0, 1, 12])
def test_quarantines_of_mapped_siblings_are_no_input(dataset_id, tmp_path, index):
    """A glob that takes them in is refused, by whichever instance: else rejected rows would come back as rows."""
    write_lines(tmp_path / "in-1.jsonl", [box("car", "a.png", 0, 0, 1, "one")])
    write_lines(tmp_path / "bad.map1.jsonl", [{"source": "in-1.jsonl", "row": 1}])
    task = annotate(
        dataset_id, f"{tmp_path}/*.jsonl", quarantine=str(tmp_path / "bad.jsonl"), max_error_rate=1
    )
    with pytest.raises(NucleusConfigError, match=r"bad(\.map\d+)?\.jsonl is part of the input"):
        run(task, map_index=index)


def test_tolerated_bad_rows_are_counted(dataset_id, tmp_path):
    """Up to max_error_rate the good rows go through; the rate may come from a template."""
    rows = [box("car", "a.png", 0, 0, 10, "good"), box("car", "a.png", 0, 0, -1, "bad")]
    result = run(annotate(dataset_id, str(write_lines(tmp_path / "in.jsonl", rows)), max_error_rate="0.5"))

    assert (result["processed"], result["rejected"]) == (1, 1)


@pytest.mark.parametrize("field", ["reference_id", "annotation_id"])
def test_a_row_whose_id_is_dots_goes_to_the_quarantine(dataset_id, tmp_path, field):
    """HTTP libraries resolve such ids, so that nobody could ask for the object again."""
    rows = [box("car", "a.png", 0, 0, 10, "good"), box("car", "a.png", 0, 0, 10, "bad") | {field: ".."}]
    quarantine = tmp_path / "bad.jsonl"
    source = str(write_lines(tmp_path / "in.jsonl", rows))
    result = run(annotate(dataset_id, source, quarantine=str(quarantine), max_error_rate=0.5))

    assert (result["processed"], result["rejected"]) == (1, 1)
    assert f"{field} must not be . or .." in quarantine.read_text().replace(f"{field}: ", f"{field} ")


def test_row_of_an_unknown_image_is_not_silently_lost(dataset_id, tmp_path):
    """A job that completes with refused rows is a failure that names the image."""
    rows = [box("car", "a.png", 0, 0, 10, "1"), box("car", "nowhere.png", 0, 0, 10, "2")]

    with pytest.raises(NucleusUploadError, match=r"nowhere\.png"):
        run(annotate(dataset_id, str(write_lines(tmp_path / "in.jsonl", rows))))


def test_validate_only_sends_nothing(hook, dataset_id, batch):
    """The account is made, the server is left alone."""
    result = run(annotate(dataset_id, str(batch.ground_truth), validate_only="True"))

    assert (result["rows"], result["sent"], result["jobs"]) == (3, 0, [])
    assert not hook.item_by_reference(dataset_id, "a.png").annotations


def test_foreign_columns_and_labels_are_mapped(hook, dataset_id, model_id, tmp_path):
    """Rows of another system become predictions by a mapping in JSON."""
    row = {"image": "a.png", "cls": "auto", "left": 1, "top": 2, "w": 3, "h": 4, "conf": 90, "id": 7}
    source = write_lines(tmp_path / "foreign.jsonl", [row])
    mapping = {
        "fields": {
            "reference_id": "image",
            "label": "cls",
            "geometry.x": "left",
            "geometry.y": "top",
            "geometry.width": "w",
            "geometry.height": "h",
            "confidence": "conf",
            "type": "=box",
        },
        "labels": {"auto": "car"},
        "scores": [0, 100],
        "annotation_id": "f-{id}",
    }
    task = NucleusUploadPredictionsOperator(
        task_id="p",
        dataset_id=dataset_id,
        model_id=model_id,
        source=str(source),
        mapping=mapping,
        deferrable=False,
    )
    assert run(task)["processed"] == 1
    stored = hook.prediction(dataset_id, model_id, "a.png", "f-7").to_wire()

    assert (
        stored["label"],
        stored["confidence"],
        stored["geometry"],
    ) == ("car", 0.9, {"x": 1, "y": 2, "width": 3, "height": 4})


def test_unknown_part_of_a_mapping_is_named(dataset_id, batch):
    """A column name in the wrong place is an error that says where it belongs."""
    with pytest.raises(NucleusConfigError, match="'cls'"):
        run(annotate(dataset_id, str(batch.ground_truth), mapping={"cls": "label"}))


def test_summary_of_many_bad_rows_fits_an_xcom(dataset_id, tmp_path):
    """However long the reasons, the result stays small."""
    rows = [box("car" * 1000, "a.png" * 500, 0, 0, -1, f"bad {n}") for n in range(50)]
    task = annotate(dataset_id, str(write_lines(tmp_path / "in.jsonl", rows)), max_error_rate=1)

    assert len(json.dumps(run(task))) < MAX_XCOM_BYTES


def test_the_source_is_not_needed_once_its_rows_are_sent(dataset_id, batch, monkeypatch):
    """A worker without the file wakes the task up after its deferral, or takes over a retry."""
    store = StateStore()
    task = annotate(dataset_id, str(batch.ground_truth), quarantine=str(batch.folder / "bad.jsonl"))
    task.deferrable = True
    unseen(monkeypatch, task)
    with pytest.raises(TaskDeferred) as deferred:
        run(task, store=store)
    jobs = deferred.value.trigger.serialize()[1]["job_ids"]
    statuses = {job_id: task.hook.wait_for_job(job_id).to_wire() for job_id in jobs}
    batch.ground_truth.unlink()
    event = WaitEvent("finished", jobs=statuses, resume_payload={"dataset_id": dataset_id}).to_payload()

    again = annotate(dataset_id, str(batch.ground_truth), quarantine=str(batch.folder / "bad.jsonl"))
    result = again.execute_complete(context(again, store=store), event=event)
    assert (result["rows"], result["processed"]) == (3, 3)
    retried = annotate(dataset_id, str(batch.ground_truth), quarantine=str(batch.folder / "bad.jsonl"))
    assert run(retried, store=store) == result


def test_on_kill_cancels_the_jobs_that_were_started(dataset_id, batch, monkeypatch):
    """A task killed while it waits leaves no job behind, where the server can cancel."""
    task = annotate(dataset_id, str(batch.ground_truth))
    cancelled = cancelling(monkeypatch)

    def killed(*_, **__):
        task.on_kill()
        raise KeyboardInterrupt

    monkeypatch.setattr(task, "_wait_here", killed)
    with pytest.raises(KeyboardInterrupt):
        run(task)

    assert len(cancelled) == 1
    assert cancelled[0].startswith("job_")


def test_on_kill_that_cannot_cancel_does_not_raise(dataset_id, batch, monkeypatch):
    """It runs in a signal handler; a server that is away is a line in the log."""
    task = annotate(dataset_id, str(batch.ground_truth))
    asked = cancelling(monkeypatch, NucleusConnectionError("away"))
    waited = task._wait_here
    monkeypatch.setattr(task, "_wait_here", lambda *jobs, **more: task.on_kill() or waited(*jobs, **more))

    assert run(task)["processed"] == 3
    assert len(asked) == 1


@pytest.mark.parametrize("cancel_on_kill", [True, False])
def test_images_that_are_never_taken_in_are_given_up(hook, batch, monkeypatch, request, cancel_on_kill):
    """The wait for the jobs of image files ends with job_timeout, like any other."""
    task = append(
        hook.create_dataset(request.node.name), batch, job_timeout=0.05, cancel_on_kill=cancel_on_kill
    )
    client = task.hook.get_conn()
    real = client.send
    monkeypatch.setattr(
        client,
        "send",
        lambda call, **more: (
            JobStatus(status="Running") if call.name.startswith("look at job") else real(call, **more)
        ),
    )
    cancelled = cancelling(monkeypatch)
    with pytest.raises(NucleusJobTimeout) as caught:
        run(task)

    assert cancelled == ([caught.value.job_id] if cancel_on_kill else [])


@pytest.mark.parametrize("glob", ["*.jsonl", "**/*.jsonl", "b?d.jsonl", "../*/*.jsonl"])
def test_a_quarantine_that_a_glob_will_take_in_is_refused_before_it_is_there(hook, tmp_path, glob):
    """Otherwise the first run makes it, and every retry finds another input."""
    write_lines(tmp_path / "bed.jsonl", [{"reference_id": "a.png"}])
    task = annotate(
        "ds_any",
        f"{tmp_path}/{glob}",
        quarantine=str(tmp_path / "bad.jsonl"),
        max_error_rate=1,
        validate_only=True,
    )

    with pytest.raises(NucleusConfigError, match="part of the input"):
        run(task)
    assert not (tmp_path / "bad.jsonl").exists()


@pytest.mark.parametrize("place", ["in.jsonl", "./in.jsonl", "link.jsonl", "in-*.jsonl", "folder"])
def test_a_quarantine_that_is_the_input_is_refused(hook, tmp_path, place):
    """The file of bad rows never replaces the rows themselves, by whatever name; nor is it read as rows later."""
    rows = [{"reference_id": "a.png"}]
    (tmp_path / "folder").mkdir()
    source = {"in-*.jsonl": "in-1.jsonl", "folder": "folder/in.jsonl"}.get(place, "in.jsonl")
    file = write_lines(tmp_path / source, rows)
    (tmp_path / "link.jsonl").symlink_to(file)
    before = file.read_bytes()
    quarantine = {"in-*.jsonl": str(file), "folder": str(tmp_path / "folder" / "bad.jsonl")}.get(
        place, f"{tmp_path}/{place}"
    )
    given = f"{tmp_path}/{place}" if place in {"in-*.jsonl", "folder"} else str(file)

    with pytest.raises(NucleusConfigError, match="part of the input"):
        run(annotate("ds_any", given, quarantine=quarantine, max_error_rate=1, validate_only=True))

    assert before == file.read_bytes()
    assert not (tmp_path / "folder" / "bad.jsonl").exists()


JOB = r"GET .*/job/[^/]+$"
START = r"POST .*/annotate\?async=1"
CANCEL = r"POST .*/job/[^/]+/cancel"


def test_job_that_vanishes_is_sent_again_by_a_retry(hook, dataset_id, batch, proxy, monkeypatch):
    """The server forgets a job while it is waited for: the try fails without a 404, which would forbid the retry."""
    store = StateStore()
    proxy.arm(Fault("forgotten", JOB, "status", status=404, times=1000))
    task = annotate(dataset_id, str(batch.ground_truth))
    clock = Clock()
    monkeypatch.setattr(task.hook.get_conn(), "clock", clock)
    monkeypatch.setattr(task.hook.get_conn(), "sleep", clock.sleep)
    with pytest.raises(NucleusUploadError, match="unknown to the server"):
        run(task, store=store)
    proxy.arm()
    result = run(annotate(dataset_id, str(batch.ground_truth)), store=store)

    assert (result["rows"], result["processed"] + result["ignored"]) == (3, 3)
    assert len(proxy.requests(START)) == 1


def test_job_that_is_not_found_at_first_is_waited_for(hook, dataset_id, batch, proxy):
    """It was started a moment ago, and not every part of the server may know it yet."""
    proxy.arm(Fault("not yet", JOB, "status", status=404, times=2))

    assert run(annotate(dataset_id, str(batch.ground_truth), poll_interval=0.01))["processed"] == 3


@pytest.mark.parametrize("cancels", [True, False])
def test_job_that_was_being_started_is_cancelled_too(hook, dataset_id, batch, proxy, cancels):
    """The task is killed while the server starts its second job, whose id it learns afterwards: both are seen to."""
    tasks = []
    rows = [box("car", "a.png", n, 0, 10, f"t{n}") for n in range(20)]
    proxy.arm(Fault("killed", START, "crash-late", at=2, crash=lambda: tasks[0].on_kill()))
    tasks.append(annotate(dataset_id, rows, chunk_rows=10, cancel_on_kill=cancels))
    with pytest.raises(NucleusJobCancelled, match="killed while it started job_"):
        run(tasks[0])

    jobs = {job.job_id for job in hook.list_jobs(dataset_id=dataset_id, show_completed=True)}
    asked = {seen.path.split("/")[-2] for seen in proxy.requests(CANCEL)}
    started = jobs - {
        job.job_id for job in hook.list_jobs(job_types=["uploadDatasetItems"], show_completed=True)
    }
    assert asked == (started if cancels else set())
    assert len(started) == 2


def test_on_kill_is_over_before_airflow_loses_patience(dataset_id, batch, proxy, capsys):
    """The server hangs: after SIGTERM there are five seconds until SIGKILL, and the log names every job before they pass."""
    proxy.arm(Fault("hangs", CANCEL, "delay", seconds=5, times=1000))
    task = annotate(dataset_id, str(batch.ground_truth))
    assert task.hook.config
    task._running = [f"job_{number}" for number in range(20)]
    began = time.monotonic()
    task.on_kill()

    assert time.monotonic() - began < 4.8
    said = capsys.readouterr().out
    assert all(said.count(job_id) >= 2 for job_id in task._running)
    assert "may still be running: no answer within 4 s" in said


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("kind", ["annotations", "predictions"])
def test_rows_the_server_lost_fail_the_task_and_a_retry_brings_them(
    hook, dataset_id, model_id, proxy, monkeypatch, deferrable, kind
):
    """The job is Completed, with two rows less than were sent: no green task, and every row once in the end."""
    store = StateStore()
    rows = [box("car", "a.png", n, 0, 10, f"t{n}") for n in range(20)]

    def task():
        arguments = {"dataset_id": dataset_id, "source": rows, "chunk_rows": 10, "poll_interval": 0.05}
        if kind == "annotations":
            made = NucleusUploadAnnotationsOperator(task_id="up", deferrable=deferrable, **arguments)
        else:
            made = NucleusUploadPredictionsOperator(
                task_id="up", model_id=model_id, deferrable=deferrable, **arguments
            )
        if deferrable:
            unseen(monkeypatch, made)
        return made

    def attempt():
        made = task()
        try:
            return made.execute(context(made, store=store))
        except TaskDeferred as deferred:
            waiting = deferred.trigger.serialize()[1]
        statuses = {job_id: hook.wait_for_job(job_id).to_wire() for job_id in waiting["job_ids"]}
        event = WaitEvent("finished", jobs=statuses, resume_payload=waiting["resume_payload"]).to_payload()
        made = task()
        return made.execute_complete(context(made, store=store), event=event)

    proxy.arm(Fault("loses rows", r"PUT ", "edit-request", at=2, edit=losing(2)))
    with pytest.raises(NucleusUploadError, match=r"2 of 20 rows are bad.*2 of the 10 rows of job job_"):
        attempt()
    proxy.arm()
    result = attempt()

    assert (result["sent"], result["processed"], result["ignored"], result["unaccounted"]) == (20, 12, 8, 0)
    assert len(proxy.requests("PUT ")) == 1
