"""The metrics operator: what it sends, how it finds its job, what a retry does, how it defers and gives up."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from pathlib import Path

import pytest
import requests
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_nucleus.client.cancellation import Cancellation
from airflow_provider_nucleus.exceptions import (
    NucleusConfigError,
    NucleusEventError,
    NucleusJobFailed,
    NucleusJobTimeout,
    NucleusServerError,
)
from airflow_provider_nucleus.gating.measurement import Measurement
from airflow_provider_nucleus.links.nucleus import RESUMED
from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.uploads import NucleusUploadPredictionsOperator
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.tasks.measured_results import flat_numbers, label_numbers
from airflow_provider_nucleus.tasks.results import MAX_XCOM_BYTES
from airflow_provider_nucleus.triggers.events import WaitEvent
from tests.airflow.batches import box
from tests.airflow.harness import connection_json
from tests.faults import Fault
from tests.local.small_disk import small_disk
from tests.unit.operators.fakes import StateStore, cancelling, context, looks

LOOK = r"GET .*/job/[^/]+$"


@pytest.fixture
def evaluated(hook, request):
    """A dataset and a model: one hit at IoU 1, one mix-up of labels at IoU 1, one miss, one false alarm."""
    name = request.node.name
    dataset_id = hook.create_dataset(name)
    from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator

    rows = [{"reference_id": "a", "image_url": "s3://b/a.jpg", "metadata": {}}]
    items = NucleusAppendItemsOperator(task_id="i", dataset_id=dataset_id, source=rows, deferrable=False)
    items.execute(context(items))
    model_id = hook.create_model(name, reference_id=name)
    truth = [
        box("car", "a", 0, 0, 10, "t1"),
        box("van", "a", 50, 0, 10, "t2"),
        box("van", "a", 90, 90, 5, "t3"),
    ]
    predictions = [
        box("car", "a", 0, 0, 10, "p1", confidence=0.9),
        box("car", "a", 50, 0, 10, "p2", confidence=0.8),
        box("car", "a", 70, 70, 10, "p3", confidence=0.7),
    ]
    hook.annotate(dataset_id, truth)
    hook.upload_predictions(dataset_id, model_id, predictions)
    return {"dataset_id": dataset_id, "model_id": model_id}


def calculate(evaluated, **arguments):
    """Return a task that calculates metrics."""
    return NucleusCalculateMetricsOperator(
        task_id="metrics", **{"deferrable": False, "poll_interval": 0.2} | evaluated | arguments
    )


def counts(result):
    """Return the overall counts."""
    return tuple(result["overall"][key] for key in ("tp", "fp", "fn", "mislabelled"))


def run(task, **surroundings):
    """Execute a task once."""
    return task.execute(context(task, **surroundings))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, (1, 2, 2, 0)),
        ({"class_agnostic": "True"}, (1, 2, 2, 1)),
        (
            {"allowed_label_matches": [{"ground_truth_label": "van", "model_prediction_label": "car"}]},
            (2, 1, 1, 0),
        ),
        (
            {"allowed_label_matches": [{"ground_truth_label": "car", "model_prediction_label": "van"}]},
            (1, 2, 2, 0),
        ),
    ],
)
def test_label_rules(evaluated, arguments, expected):
    """Equal labels by default; any labels, or listed pairs in their direction, when asked for."""
    assert expected == counts(run(calculate(evaluated, **arguments)))


def test_class_agnostic_is_always_sent(hook, evaluated, monkeypatch):
    """Two public texts disagree about the default, so it is never left to the server."""
    task = calculate(evaluated)
    sent = []
    original = task.hook.calculate_metrics
    monkeypatch.setattr(task.hook, "calculate_metrics", lambda *a, **k: sent.append(k) or original(*a, **k))
    run(task)

    assert sent == [{"class_agnostic": False, "allowed_label_matches": [], "crowd_as_objects": False}]


def test_contradicting_label_rules_are_refused(evaluated):
    """A list of pairs has no meaning when every pair may match."""
    pairs = [{"ground_truth_label": "van", "model_prediction_label": "car"}]
    with pytest.raises(NucleusConfigError, match="exclude each other"):
        run(calculate(evaluated, class_agnostic=True, allowed_label_matches=pairs))


@pytest.mark.parametrize("threshold", ["1.5", "half", None])
def test_senseless_threshold_is_refused(evaluated, threshold):
    """An IoU threshold lies between 0 and 1."""
    with pytest.raises(NucleusConfigError, match="iou_threshold"):
        run(calculate(evaluated, iou_threshold=threshold))


@pytest.mark.parametrize("kept", [(), ("model_run_id",)])
def test_answer_without_a_job_is_looked_up(evaluated, monkeypatch, kept):
    """The cloud's answer is not specified: the job is found by listing, the run among the dataset's runs."""
    task = calculate(evaluated)
    original = task.hook.calculate_metrics

    def taciturn(*arguments, **options):
        answer = original(*arguments, **options)
        return {key: answer[key] for key in kept}

    monkeypatch.setattr(task.hook, "calculate_metrics", taciturn)
    result = run(task)

    assert counts(result) == (1, 2, 2, 0)
    assert result["job_id"].startswith("job_")
    assert result["model_run_id"].startswith("run_")


def test_report_has_everything(evaluated, tmp_path):
    """The report file is the whole measurement, with the rows that its numbers can be computed from again."""
    report = tmp_path / "very" / "deep" / "report.json"
    result = run(calculate(evaluated, report=str(report)))
    found = Measurement.model_validate_json(report.read_text())

    assert (result["report"], result["measurement"]) == (str(report), str(report))
    assert flat_numbers(found.overall) == result["overall"]
    assert label_numbers(found) == result["per_label"]
    assert found.coverage.model_dump() == result["coverage"]
    assert (found.subject.task_id, found.subject.model_run_id) == ("metrics", result["model_run_id"])
    assert (found.matches.items, found.matches.confidence) == (["a"], [0.9, 0.8, 0.7, None, None])
    packed = run(calculate(evaluated, report=f"{report}.gz"))["measurement"]
    assert (
        Measurement.model_validate_json(gzip.decompress(Path(packed).read_bytes())).overall == found.overall
    )
    assert run(calculate(evaluated, report=str(report)), map_index=7)["report"].endswith(
        "deep/report.map7.json"
    )
    assert (report.parent / "report.map7.json").exists()


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("{folder}", "it is a folder"),
        ("{folder}/", "it is a folder"),
        ("{folder}/file/report.json", "File exists|Not a directory"),
        ("/proc/nowhere/report.json", "No such file or directory"),
        ("nosuchstore://bucket/report.json", "nosuchstore"),
        ("file://elsewhere/report.json", "file of another machine"),
    ],
)
def test_a_report_that_cannot_be_written_stops_the_task_before_it_starts_anything(
    evaluated, tmp_path, monkeypatch, place, reason
):
    """Found out afterwards, it would cost the result."""
    (tmp_path / "file").touch()
    task = calculate(evaluated, report=place.format(folder=tmp_path))
    monkeypatch.setattr(task.hook, "calculate_metrics", lambda *_, **__: pytest.fail("started"))

    with pytest.raises(NucleusConfigError, match=f"report '.*' cannot be written: .*({reason})") as caught:
        run(task)
    assert caught.value.field == "report"


def test_the_result_does_not_depend_on_its_report(evaluated, tmp_path, monkeypatch):
    """The folder is gone when the job has ended, and a file has its name; the result is there."""
    task = calculate(evaluated, report=str(tmp_path / "gone" / "report.json"))
    start = task.hook.calculate_metrics

    def started(*arguments, **options):
        (tmp_path / "gone").rmdir()
        (tmp_path / "gone").touch()
        return start(*arguments, **options)

    monkeypatch.setattr(task.hook, "calculate_metrics", started)
    result = run(task)

    assert counts(result) == (1, 2, 2, 0)
    assert result["report"] is None
    assert str(tmp_path) in result["report_error"]


def test_a_full_disk_costs_the_report_only(evaluated, tmp_path):
    """No half of a report is left."""
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        disk.fill()
        full = run(calculate(evaluated, report=str(disk.path / "report.json")))
        left = list(disk.path.glob("*report*"))

    assert counts(full) == (1, 2, 2, 0)
    assert full["report_error"].endswith("No space left on device")
    assert left == []


def test_links_lead_where_browsers_reach_the_page_and_show_the_same_numbers(evaluated, nucleus, monkeypatch):
    """`public_url` of the connection, the threshold of the task, and its own calculation."""
    connection = connection_json(
        endpoint=nucleus.url, api_key=nucleus.api_key, public_url="https://ml.example.com/nucleus/"
    )
    monkeypatch.setenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", connection)
    task = calculate(evaluated, iou_threshold="0.75")
    surroundings = context(task)
    result = task.execute(surroundings)
    page = f"https://ml.example.com/nucleus/dataset/{evaluated['dataset_id']}/model/{evaluated['model_id']}"

    link = surroundings["ti"].xcoms["_link_NucleusEvaluationLink"]
    assert link == f"{page}/evaluation?iou=0.75&calculation={result['job_id']}"
    # What comes after the task (a gate, its report, a message) leads to the same page.
    assert link == result["url"]
    assert surroundings["ti"].xcoms["_link_NucleusJobLink"].startswith("https://ml.example.com/nucleus/job/")


def test_the_link_of_last_week_shows_the_numbers_of_last_week(evaluated, hook, nucleus):
    """What was uploaded and calculated since changes nothing on the page of the first task."""
    first, second = calculate(evaluated), calculate(evaluated)
    before, after = context(first), context(second)
    first.execute(before)
    hook.upload_predictions(
        evaluated["dataset_id"], evaluated["model_id"], [box("van", "a", 90, 90, 5, "p4", confidence=0.5)]
    )
    second.execute(after)

    pages = [
        requests.get(each["ti"].xcoms["_link_NucleusEvaluationLink"], auth=(nucleus.api_key, ""), timeout=60)
        for each in (before, after)
    ]
    shown = [re.findall(r"\((TP|FP|FN)\)</dt><dd>(\d+)</dd>", page.text) for page in pages]

    assert shown == [
        [("TP", "1"), ("FP", "2"), ("FN", "2")],
        [("TP", "2"), ("FP", "2"), ("FN", "1")],
    ]
    assert ["Earlier numbers." in page.text for page in pages] == [True, False]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_silent_task_asks_for_no_link(evaluated, monkeypatch, resumed):
    """Airflow writes an error into the log for each XCom that is looked for and not there; so does a task that failed early."""
    monkeypatch.setattr(
        "airflow_provider_nucleus.links.nucleus.XCom.get_value", lambda **_: pytest.fail("looked up")
    )
    silent = calculate(evaluated, do_xcom_push=False)
    setattr(silent, RESUMED, resumed)
    run(silent)
    early = calculate(evaluated, iou_threshold="high")
    with pytest.raises(NucleusConfigError):
        run(early)

    for task in (silent, early):
        assert [link.get_link(task, ti_key=None) for link in task.operator_extra_links] == [""] * 4


def test_many_labels_fit_an_xcom(hook, evaluated):
    """With hundreds of labels the busiest are kept, and the result says how many there are."""
    many = [box(f"label {n:04}", "a", n, 200, 1, f"m{n}") for n in range(500)]
    hook.annotate(evaluated["dataset_id"], many)
    result = run(calculate(evaluated))

    assert result["labels"] == 502
    assert {"car", "van"} <= set(result["per_label"])
    assert len(json.dumps(result)) <= MAX_XCOM_BYTES


def test_retry_attaches_to_the_job_of_the_first_try(evaluated, monkeypatch):
    """A worker that died after starting the calculation does not have it started twice."""
    store = StateStore()
    first = calculate(evaluated)
    monkeypatch.setattr(first, "jobs_ended", lambda *_: pytest.fail("the worker died"))
    with pytest.raises(pytest.fail.Exception):
        run(first, store=store)
    retry = calculate(evaluated)
    monkeypatch.setattr(retry.hook, "calculate_metrics", lambda *_, **__: pytest.fail("started twice"))

    assert counts(run(retry, store=store)) == (1, 2, 2, 0)
    assert store.values == {}


@pytest.mark.parametrize("change", ["cleared", "other settings"])
def test_clear_or_other_settings_start_anew(evaluated, monkeypatch, change):
    """What the first try started is not what is asked for now."""
    store = StateStore()
    first = calculate(evaluated)
    monkeypatch.setattr(first, "jobs_ended", lambda *_: pytest.fail("the worker died"))
    with pytest.raises(pytest.fail.Exception):
        run(first, store=store)
    started = []
    retry = calculate(evaluated, **{"iou_threshold": 0.7} if change == "other settings" else {})
    original = retry.hook.calculate_metrics
    monkeypatch.setattr(
        retry.hook, "calculate_metrics", lambda *a, **k: started.append(1) or original(*a, **k)
    )
    run(retry, store=store, max_tries=int(change == "cleared"))

    assert started == [1]


def deferred(task, monkeypatch, **surroundings):
    """Execute a deferrable task whose job is still running, and return what it deferred with."""
    looks(monkeypatch, task, lambda job_id: JobStatus(status="Running", job_id=job_id))
    made = context(task, **surroundings)
    with pytest.raises(TaskDeferred) as caught:
        task.execute(made)
    return caught.value, made


@pytest.mark.parametrize("keeps_state", [True, False], ids=["3.3", "before"])
def test_deferral_gives_the_same_result_as_waiting(evaluated, monkeypatch, keeps_state):
    """Everything the resumed task needs is in the event: it runs in a process that remembers nothing."""
    deferral, surroundings = deferred(
        calculate(evaluated, deferrable=True), monkeypatch, store=StateStore() if keeps_state else None
    )

    async def events():
        return [event.payload async for event in deferral.trigger.run()]

    (payload,) = asyncio.run(events())
    resumed = calculate(evaluated, deferrable=True)
    surroundings["task"] = resumed
    result = resumed.resume_execution(deferral.method_name, {"event": payload}, surroundings)

    assert counts(result) == (1, 2, 2, 0)
    link = surroundings["ti"].xcoms["_link_NucleusJobLink"]
    assert link.endswith(f"/job/{result['job_id']}")


def test_foreign_event_fails_the_task(evaluated):
    """An event that no trigger of ours sends never becomes a success."""
    task = calculate(evaluated, deferrable=True)

    with pytest.raises(NucleusEventError):
        task.resume_execution("execute_complete", {"event": {"status": "success"}}, context(task))


@pytest.mark.parametrize("keeps_state", [True, False], ids=["3.3", "before"])
def test_deferral_timeout_cancels_and_names_the_job(evaluated, monkeypatch, keeps_state):
    """When the scheduler wakes the task only to fail it, its job is seen to first."""
    deferral, surroundings = deferred(
        calculate(evaluated, deferrable=True), monkeypatch, store=StateStore() if keeps_state else None
    )
    woken = calculate(evaluated, deferrable=True)
    looks(monkeypatch, woken, lambda job_id: JobStatus(status="Running", job_id=job_id))
    cancelled = cancelling(monkeypatch)
    with pytest.raises(NucleusJobTimeout) as caught:
        woken.resume_execution("__fail__", {"error": "Trigger timeout"}, surroundings)

    assert deferral.trigger.job_ids == cancelled
    assert cancelled[0] in str(caught.value)


def test_trigger_crash_leaves_the_job_running(evaluated, monkeypatch):
    """A crashed trigger says nothing about the job: it is left, and a retry attaches to it."""
    _, surroundings = deferred(calculate(evaluated, deferrable=True), monkeypatch, store=StateStore())
    woken = calculate(evaluated, deferrable=True)
    cancelled = cancelling(monkeypatch)

    with pytest.raises(Exception, match="Trigger failure"):
        woken.resume_execution("__fail__", {"error": "Trigger failure"}, surroundings)
    assert cancelled == []


@pytest.mark.parametrize("keeps_state", [True, False], ids=["3.3", "before"])
@pytest.mark.parametrize("woken_by", ["trigger", "scheduler"])
def test_what_ended_while_nobody_looked_has_not_timed_out(evaluated, monkeypatch, keeps_state, woken_by):
    """The triggerer was down when the deadline passed; the job is done, and its result is there to be read."""
    deferral, surroundings = deferred(
        calculate(evaluated, deferrable=True), monkeypatch, store=StateStore() if keeps_state else None
    )
    woken = calculate(evaluated, deferrable=True)
    woken.hook.wait_for_job(deferral.trigger.job_ids[0], poll_interval=0.1)
    cancelled = cancelling(monkeypatch)
    if woken_by == "trigger":
        event = WaitEvent("timeout", {deferral.trigger.job_ids[0]: {}}, deferral.trigger.resume_payload)
        result = woken.resume_execution("execute_complete", {"event": event.to_payload()}, surroundings)
    else:
        result = woken.resume_execution("__fail__", {"error": "Trigger timeout"}, surroundings)

    assert counts(result) == (1, 2, 2, 0)
    assert cancelled == []


@pytest.mark.parametrize("status", ["finished", "unreachable", "timeout"])
def test_job_that_vanished_has_failed(evaluated, monkeypatch, status):
    """However the wait ended: no 404, which would not be retried, but a failure, and a retry calculates again."""
    from airflow_provider_nucleus.client.job_outcome import gone

    deferral, surroundings = deferred(calculate(evaluated, deferrable=True), monkeypatch)
    lost = "job_0000000000000000000000000000"
    jobs = {lost: gone(lost).model_dump(mode="json") if status == "finished" else {}}
    event = WaitEvent(status, jobs, deferral.trigger.resume_payload)
    woken = calculate(evaluated, deferrable=True)

    with pytest.raises(NucleusJobFailed, match="does not know it"):
        woken.resume_execution("execute_complete", {"event": event.to_payload()}, surroundings)


def test_job_that_fails_fails_the_task_with_its_errors(evaluated, monkeypatch):
    """The error names the job, its status and the server's reasons."""
    task = calculate(evaluated)
    ended = JobStatus(status="Errored_Server", job_id="job_x", message={"final_error": "ValueError: no"})
    looks(monkeypatch, task, lambda _: ended)
    monkeypatch.setattr(task.hook, "job_errors", lambda _: ["row 7 is bad"])

    with pytest.raises(NucleusJobFailed, match=r"ValueError: no.*row 7 is bad"):
        run(task)


def test_a_job_that_ended_is_looked_at_once(evaluated, proxy):
    """And its errors are fetched once, though the task waits in the worker and fails."""
    ended = json.dumps({"status": "Errored", "job_id": "job_x", "message": {"final_error": "no"}}).encode()
    proxy.arm(Fault("fails", LOOK, "edit-answer", edit=lambda _: ended, times=1_000))

    with pytest.raises(NucleusJobFailed, match="Errored: no"):
        run(calculate(evaluated))
    assert len(proxy.requests(LOOK)) == 1
    assert len(proxy.requests(r"GET .*/job/[^/]+/errors")) == 1


def test_wait_that_takes_too_long_is_given_up(evaluated, monkeypatch):
    """Without deferral, job_timeout ends the wait and the job is cancelled where that can be done."""
    task = calculate(evaluated, job_timeout=0.01, poll_interval=0.005)
    cancelled = cancelling(monkeypatch, Cancellation.UNSUPPORTED)
    looks(monkeypatch, task, lambda job_id: JobStatus(status="Running", job_id=job_id))
    with pytest.raises(NucleusJobTimeout, match="Gave up"):
        run(task)
    assert len(cancelled) == 1


def test_on_kill_before_anything_was_started_does_nothing(evaluated):
    """A signal may come at any time."""
    calculate(evaluated).on_kill()


def full(job_id):
    """A job that waits for room."""
    return JobStatus(status="Running", job_id=job_id, message={"waiting": "The disk is full."})


def away(_):
    raise NucleusServerError("503", status=503)


@pytest.mark.parametrize("sees", ["worker", "last look", "event"])
def test_a_wait_that_is_given_up_says_why_the_job_waits(evaluated, monkeypatch, caplog, capsys, sees):
    """Whoever saw it last: more time would not help, room would."""
    cancelling(monkeypatch)
    task = calculate(evaluated, deferrable=sees != "worker", job_timeout=0.05, poll_interval=0.01)
    looks(monkeypatch, task, full)
    with pytest.raises((NucleusJobTimeout, TaskDeferred)) as caught:
        task.execute(surroundings := context(task))
    if isinstance(deferral := caught.value, TaskDeferred):
        woken = calculate(evaluated, deferrable=True)
        (job,) = deferral.trigger.job_ids
        seen = {job: full(job).model_dump(mode="json") if sees == "event" else {}}
        event = WaitEvent("timeout", seen, deferral.trigger.resume_payload)
        looks(monkeypatch, woken, full if sees == "last look" else away)
        with pytest.raises(NucleusJobTimeout) as caught:
            woken.resume_execution("execute_complete", {"event": event.to_payload()}, surroundings)

    assert "The server says: The disk is full. Make room there; a retry goes on." in str(caught.value)
    assert "Raise job_timeout" not in str(caught.value)
    # Tasks log through the standard library or not, as the Airflow is.
    assert "waits, the server says: The disk is full." in caplog.text + capsys.readouterr().out


def test_crowds_are_objects_where_they_are_meant_to_be(hook, evaluated, capsys):
    """By default nothing is counted in them; that everything is a crowd is in the result and in the log."""
    crowds = [
        row | {"metadata": {"iscrowd": 1, "area": 100}}
        for row in (
            box("car", "a", 0, 0, 10, "t1"),
            box("van", "a", 50, 0, 10, "t2"),
            box("van", "a", 90, 90, 5, "t3"),
        )
    ]
    hook.annotate(evaluated["dataset_id"], crowds, update=True)

    plain, chosen = run(calculate(evaluated)), run(calculate(evaluated, crowd_as_objects="True"))

    assert counts(plain) == (0, 3, 0, 0)
    assert [(note["note"], note["count"]) for note in plain["notes"]] == [("only_crowds", 3)]
    assert plain["notes"][0]["text"] in capsys.readouterr().out
    assert counts(chosen) == (1, 2, 2, 0)
    assert (chosen["crowd_as_objects"], chosen["notes"]) == (True, [])


@pytest.mark.parametrize("source", ["[]", "", {"images": [], "annotations": [], "categories": []}])
def test_a_model_that_found_nothing_has_missed_everything(hook, evaluated, tmp_path, request, source):
    """An inference batch without any detection is a result: there is a run, and its metrics and evaluations are real."""
    file = tmp_path / "results.json"
    file.write_text(source if isinstance(source, str) else json.dumps(source))
    model_id = hook.create_model("blind", reference_id=f"{request.node.name} blind")
    arguments = {"dataset_id": evaluated["dataset_id"], "model_id": model_id}
    upload = NucleusUploadPredictionsOperator(
        task_id="u",
        source=str(file),
        format="json" if source == "[]" else "auto",
        deferrable=False,
        **arguments,
    )
    for _ in range(2):
        assert run(upload)["rows"] == 0
    result = run(calculate(arguments))

    assert counts(result) == (0, 0, 3, 0)
    assert hook.dataset_model_runs(arguments["dataset_id"]).count(result["model_run_id"]) == 1
    for more in (
        {"dataset_id": arguments["dataset_id"]},
        {"model_run_id": result["model_run_id"], "model_id": None},
    ):
        evaluation = NucleusEvaluateModelOperator(
            task_id="e", deferrable=False, poll_interval=0.2,
            **{"model_id": model_id, "benchmark": request.node.name, "slice_id": None} | more,
        )  # fmt: skip
        charts = run(evaluation)

        assert {name: charts["counts"][name] for name in ("tp", "fp", "fn")} == {"tp": 0, "fp": 0, "fn": 3}
        assert charts["map"]["map_at50"] == 0
