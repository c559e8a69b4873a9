"""Uploads through a network and a server that misbehave: nothing lost, nothing doubled, no job forgotten."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from airflow_provider_nucleus.client.calls.jobs import job_status
from airflow_provider_nucleus.client.uploads import MemoryState
from airflow_provider_nucleus.client.uploads.resume.decision import RemoteJobState
from airflow_provider_nucleus.exceptions import (
    NucleusError,
    NucleusJobTimeout,
    NucleusRequestError,
    NucleusUploadError,
)
from tests.faults import Fault
from tests.unit.uploads.conftest import PUT, START, SYNC, Stage, box, boxes

if TYPE_CHECKING:
    from pathlib import Path


def each_once(stage: Stage, count: int) -> None:
    """The store holds every row exactly once."""
    ids = stage.bench.stored_ids()
    assert ids == sorted({f"a{n}" for n in range(count)})


TRANSIENT = [
    Fault("429 with Retry-After", SYNC, "status", at=2, status=429, headers={"Retry-After": "7"}),
    Fault("429 without", SYNC, "status", at=1, status=429, times=2),
    Fault("503 with Retry-After", SYNC, "status", at=2, status=503, headers={"Retry-After": "3"}),
    Fault("502", SYNC, "status", at=2, status=502),
    Fault("reset before the request", SYNC, "refuse", at=2),
    Fault("reset mid-body", SYNC, "cut-request", at=3),
    Fault("stored, but the answer is lost", SYNC, "cut-answer", at=2),
    Fault("half-written answer", SYNC, "truncate", at=2),
    Fault("delivered twice", SYNC, "twice", at=2),
    Fault("a captive portal answers", SYNC, "garbage", at=1),
    Fault("every other request lost", SYNC, "cut-answer", at=1, times=2),
]


@pytest.mark.parametrize("fault", TRANSIENT, ids=lambda fault: fault.name)
def test_requests_survive_transient_trouble(stage: Stage, fault: Fault, monkeypatch):
    """Synchronous rows arrive once each; only requests that were struck are repeated."""
    monkeypatch.setattr("airflow_provider_nucleus.client.uploads.send.requests.LINES_PER_REQUEST", 20)
    stage.faults(fault)
    summary = stage.upload(boxes(100), asynchronous=False, chunk_rows=50, concurrency=2).run()

    assert (summary.sent, summary.errored, summary.unaccounted) == (100, 0, 0)
    each_once(stage, 100)
    assert stage.sent_rows() <= 100 + 20 * fault.times
    if "Retry-After" in fault.headers:
        assert any(float(fault.headers["Retry-After"]) <= nap for nap in stage.bench.sleeps)


def test_trouble_is_logged_when_it_begins_and_ends(stage: Stage, caplog, monkeypatch):
    """Ten refusals in a row are two lines, not ten."""
    monkeypatch.setattr("airflow_provider_nucleus.client.uploads.send.requests.LINES_PER_REQUEST", 20)
    stage.faults(Fault("busy", SYNC, "status", status=429, times=10))
    with caplog.at_level("INFO"):
        stage.upload(boxes(100), asynchronous=False, concurrency=4).run()

    lines = [record.getMessage() for record in caplog.records if "at once" in record.getMessage()]
    assert len(lines) == 2
    assert "429" in lines[0]
    assert "answers again after 10 failed requests; up to 1 requests at once" in lines[1]


def test_a_server_that_does_not_recover_ends_the_upload(stage: Stage, monkeypatch):
    """After the budget the last error is raised; a retry sends only what is missing."""
    monkeypatch.setattr("airflow_provider_nucleus.client.uploads.send.requests.LINES_PER_REQUEST", 20)
    stage.faults(Fault("down", SYNC, "status", at=4, status=503, times=10_000))
    state = MemoryState()
    with pytest.raises(NucleusError, match="503"):
        stage.upload(
            boxes(200), asynchronous=False, chunk_rows=50, concurrency=1, ride_out=0.2, state=state
        ).run()

    before = stage.sent_rows()
    stage.faults()
    summary = stage.upload(boxes(200), asynchronous=False, chunk_rows=50, concurrency=1, state=state).run()
    assert (summary.rows, summary.sent) == (200, 200)
    each_once(stage, 200)
    assert stage.sent_rows() - before <= 150


def test_a_request_that_cannot_succeed_is_not_repeated(stage: Stage):
    """403 ends the upload at once."""
    stage.faults(Fault("forbidden", SYNC, "status", status=403, times=100))
    with pytest.raises(NucleusError, match="403"):
        stage.upload(boxes(10), asynchronous=False).run()
    assert len(stage.proxy.requests(SYNC)) == 1


ASYNC_TROUBLE = [
    (Fault("file refused", PUT, "status", status=503, times=2), 1),
    (Fault("file reset mid-body", PUT, "cut-request"), 1),
    (Fault("file stored, answer lost", PUT, "cut-answer"), 1),
    (Fault("address expired", PUT, "status", status=403), 1),
    (Fault("address expired twice", PUT, "status", status=403, times=2), 1),
    (Fault("no address at first", "GET .*/signedUrl/", "status", status=502), 1),
    (Fault("start refused", START, "refuse"), 1),
    (Fault("start rate limited", START, "status", status=429, headers={"Retry-After": "1"}), 1),
    (Fault("start fails", START, "status", status=500), 1),
    (Fault("start carried out, answer lost", START, "cut-answer"), 1),
    (Fault("start carried out, answer cut", START, "truncate"), 1),
    (Fault("start answered by a portal", START, "garbage"), 1),
    (Fault("second start carried out, answer lost", START, "cut-answer", at=2), 1),
    (Fault("poll fails", "GET .*/job/job_[^/]*$", "status", status=502), 1),
    (Fault("poll reset", "GET .*/job/job_[^/]*$", "refuse"), 1),
]


@pytest.mark.parametrize(("fault", "starts"), ASYNC_TROUBLE, ids=lambda value: getattr(value, "name", ""))
def test_jobs_survive_transient_trouble(stage: Stage, fault: Fault, starts: int):
    """One job per chunk, whatever became of the request that started it; all rows once."""
    stage.faults(fault)
    summary = stage.upload(boxes(100), chunk_rows=60).run()

    assert (summary.sent, summary.processed, summary.errored) == (100, 100, 0)
    assert sorted(summary.jobs) == sorted(stage.bench.jobs())
    assert len(summary.jobs) == 2 * starts
    each_once(stage, 100)


def test_a_found_job_that_refused_our_rows_is_ours(stage: Stage):
    """The row that is read back to prove a found job was refused by it: its errors say so, and nothing is sent again."""
    stage.faults(Fault("start carried out, answer cut", START, "truncate"))
    rows = [*boxes(20)[:-1], box(19, reference_id="nowhere")]
    summary = stage.upload(rows, max_error_rate=0.5).run()

    assert (summary.processed, summary.errored) == (19, 1)
    assert summary.jobs == stage.bench.jobs()


def test_an_expired_address_is_replaced(stage: Stage):
    """A 403 from the store asks for a fresh address, under a fresh request id."""
    stage.faults(Fault("expired", PUT, "status", status=403))
    stage.upload(boxes(10)).run()

    first, second = (seen.path for seen in stage.proxy.requests("GET .*/signedUrl/"))
    assert first != second
    stage.faults(Fault("expired", PUT, "status", status=403, times=100))
    with pytest.raises(NucleusRequestError, match="403"):
        stage.upload(boxes(20)).run()


def test_a_start_the_server_refuses_leaves_no_intent(stage: Stage):
    """409 is an answer: no job was started, so none is looked for, and a retry begins clean."""
    state = MemoryState()
    stage.faults(Fault("conflict", START, "status", status=409))
    with pytest.raises(NucleusRequestError, match="409"):
        stage.upload(boxes(10), state=state).run()

    assert state.get("nucleus_upload")["open"] == []
    assert stage.proxy.requests("POST .*/jobs/$") != []
    stage.faults()
    assert stage.upload(boxes(10), state=state).run().processed == 10


class DyingStore(MemoryState):
    """A state store whose process dies at a chosen write: right before it, or right after."""

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self.left = at
        self.after = after

    def set(self, key, value):
        self.left -= 1
        if self.left == 0 and not self.after:
            raise KeyboardInterrupt
        super().set(key, json.loads(json.dumps(value)))
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("asynchronous", "at"), [*((True, at) for at in range(1, 10)), *((False, at) for at in range(1, 7))]
)
@pytest.mark.parametrize("after", [True, False])
def test_death_at_any_write_loses_and_doubles_nothing(stage: Stage, asynchronous: bool, after: bool, at: int):
    """Killed at every possible point of the ledger: the retry completes it, one job per chunk, at most one chunk sent twice."""
    store = DyingStore(at, after=after)
    rows = boxes(90)
    options = {"asynchronous": asynchronous, "chunk_rows": 30, "state": store, "fingerprint": "f"}
    with pytest.raises(KeyboardInterrupt):
        stage.upload(rows, **options).run()
    summary = stage.upload(rows, **options).run()

    assert (summary.rows, summary.sent, summary.errored, summary.unaccounted) == (90, 90, 0, 0)
    each_once(stage, 90)
    assert stage.sent_rows() <= 90 + 30
    if asynchronous:
        assert len(stage.bench.jobs()) == 3


def test_an_intent_without_a_job_is_sent_again(stage: Stage):
    """Killed after the intent but before the call: nothing is found, and the chunk is sent."""
    store = DyingStore(2, after=True)
    with pytest.raises(KeyboardInterrupt):
        stage.upload(boxes(10), state=store).run()
    assert [chunk[3] for chunk in store.get("nucleus_upload")["open"]] == [None]
    assert stage.bench.jobs() == []

    assert stage.upload(boxes(10), state=store).run().processed == 10
    assert len(stage.bench.jobs()) == 1


def test_a_job_of_another_size_is_not_taken_for_ours(stage: Stage):
    """A stranger's job, started while ours was lost, must not swallow our rows."""
    store = DyingStore(2, after=True)
    with pytest.raises(KeyboardInterrupt):
        stage.upload(boxes(10), state=store).run()
    stage.bench.upload(boxes(7, label="stranger")).run()
    summary = stage.upload(boxes(10), state=store).run()

    assert (summary.processed, summary.ignored) == (3, 7)
    assert len(stage.bench.jobs()) == 2
    each_once(stage, 10)


def test_two_jobs_that_fit_are_neither_taken(stage: Stage):
    """When it cannot be told which job is ours, starting again is the harmless choice."""
    store = DyingStore(2, after=True)
    with pytest.raises(KeyboardInterrupt):
        stage.upload(boxes(10), state=store).run()
    for _ in range(2):
        stage.bench.upload(boxes(10)).run()
    stage.upload(boxes(10), state=store).run()

    assert len(stage.bench.jobs()) == 3
    each_once(stage, 10)


def test_a_running_job_is_attached_to_and_the_input_not_read(stage: Stage):
    """The retry of a task that died while waiting waits for the same jobs."""
    store = MemoryState()
    started = stage.upload(boxes(60), chunk_rows=30, state=store).start()
    puts = len(stage.proxy.requests(PUT))

    def unreadable():
        raise AssertionError("the input was read")

    again = stage.upload(unreadable, state=store)
    assert again.start().job_ids in (started.job_ids, [])
    assert stage.upload(unreadable, state=store).run().processed == 60
    assert len(stage.proxy.requests(PUT)) == puts


def test_a_job_that_is_gone_is_sent_again(stage: Stage, monkeypatch):
    """A server that forgot the job (404) gets its chunk anew; the other chunk stays."""
    store = MemoryState()
    started = stage.upload(boxes(60), chunk_rows=30, state=store).start()
    record = store.get("nucleus_upload")
    record["open"][0][3] = "job_gone"
    store.set("nucleus_upload", record)
    summary = stage.upload(boxes(60), chunk_rows=30, state=store).run()

    assert started.job_ids[1] in summary.jobs
    assert (summary.sent, summary.unaccounted) == (60, 0)
    each_once(stage, 60)


@pytest.mark.parametrize("status", ["Errored_Server", "Cancelled", "Retried", "Errored", "Something_New"])
def test_a_job_that_ends_badly_fails_the_upload_and_is_sent_again(stage: Stage, status: str):
    """Never a silent success; the retry sends only that chunk."""
    store = MemoryState()
    upload = stage.upload(boxes(60), chunk_rows=30, state=store)
    started = upload.start()
    ended = upload.wait(started)
    worse = ended | {
        started.job_ids[0]: {
            "status": status,
            "message": {"final_error": "Boom: it broke"},
            "job_id": started.job_ids[0],
        }
    }
    with pytest.raises(NucleusUploadError, match=rf"1 of 2 jobs did not end well.*{status} \(Boom") as caught:
        upload.collect(worse)
    assert set(caught.value.job_ids) == set(started.job_ids)

    puts = len(stage.proxy.requests(PUT))
    summary = stage.upload(boxes(60), chunk_rows=30, state=store).run()
    assert len(stage.proxy.requests(PUT)) == puts + 1
    assert (summary.sent, summary.processed, summary.ignored) == (60, 30, 30)


@pytest.mark.parametrize("arrived", [False, True])
@pytest.mark.parametrize("ids", [True, False])
def test_siblings_of_equal_size_do_not_disturb_a_start_without_an_answer(
    stage: Stage, ids: bool, arrived: bool
):
    """The worker died while it started its job, whether that arrived or not: one job, and every row counts as stored, not ignored."""

    def rows(shard):
        made = [box(n, annotation_id=f"{shard}-{n}") for n in range(10)]
        if not ids:
            made = [
                {key: value for key, value in row.items() if key != "annotation_id"}
                | {"type": "line", "geometry": {"vertices": [{"x": shard, "y": n}, {"x": n, "y": 2}]}}
                for n, row in enumerate(made)
            ]
        return made

    store = DyingStore(3, after=False) if arrived else DyingStore(2, after=True)
    with pytest.raises(KeyboardInterrupt):
        stage.upload(rows(0), state=store, stable_ids=False).run()
    for sibling in (1, 2):
        stage.bench.upload(rows(sibling), stable_ids=False).run()
    summary = stage.upload(rows(0), state=store, stable_ids=False).run()

    assert (summary.sent, summary.processed, summary.ignored, summary.unaccounted) == (10, 10, 0, 0)
    assert len(stage.bench.jobs()) == 3
    assert len(stage.bench.stored()) == 30


def test_rows_of_a_start_that_cannot_be_found_count_as_ours(stage: Stage):
    """Where a server does not know its starts, the second one is told that its rows exist: this upload has stored them."""
    store = DyingStore(3, after=False)
    with pytest.raises(KeyboardInterrupt):
        stage.upload(boxes(10), state=store).run()
    stage.bench.upload(boxes(10, items=20)[:10], identity="sibling").run()
    store.get("nucleus_upload")["open"][0][5] = None
    summary = stage.upload(boxes(10), state=store).run()

    assert (summary.processed, summary.ignored) == (10, 0)
    each_once(stage, 10)


def test_a_found_job_that_turns_out_a_strangers_is_given_up(stage: Stage):
    """Taken while its size was unknown, dropped when the size proves it is not ours."""
    store = MemoryState()
    upload = stage.upload(boxes(60), chunk_rows=30, state=store)
    upload.wait(upload.start())
    record = store.get("nucleus_upload")
    record["open"][0][4] = []
    record["open"][0][1] = 31
    store.set("nucleus_upload", record)
    with pytest.raises(NucleusUploadError, match="about 30 rows instead of 31, so it is not ours"):
        stage.upload(boxes(60), chunk_rows=30, state=store).collect()
    assert stage.upload(boxes(60), chunk_rows=30, state=store).run().sent == 60


@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("kind", ["annotations", "predictions", "items"])
def test_a_found_job_that_did_not_store_our_rows_is_given_up(stage: Stage, kind: str, update: bool):
    """Parts of a batch have jobs of equal size: a sibling's job must not swallow our rows."""
    model = stage.bench.model() if kind == "predictions" else None

    def rows(prefix):
        if kind == "items":
            return [
                {"reference_id": f"{prefix}-{n}", "image_url": f"https://images/{n}.png"} for n in range(10)
            ]
        return [box(n, annotation_id=f"{prefix}{n}") for n in range(10)]

    options = {"kind": kind, "model_id": model, "update": update}
    store = DyingStore(2, after=True)
    with pytest.raises(KeyboardInterrupt):
        stage.upload(rows("a"), state=store, **options).run()
    stage.bench.upload(rows("sibling"), **options).run()
    # Scale's jobs do not name the request that started them: there they are searched.
    store.get("nucleus_upload")["open"][0][5] = None

    with pytest.raises(NucleusUploadError, match=r"did not store our row for .* so it is not ours"):
        stage.upload(rows("a"), state=store, **options).run()
    assert stage.upload(rows("a"), state=store, **options).run().processed == 10


@pytest.mark.parametrize("update", [False, True])
def test_a_found_job_that_stored_our_rows_is_kept(stage: Stage, update: bool):
    """Started, unheard of, found, and proven by its rows: no second job."""
    store = DyingStore(3, after=False)
    with pytest.raises(KeyboardInterrupt):
        stage.upload(boxes(10), state=store, update=update).run()
    summary = stage.upload(boxes(10), state=store, update=update).run()

    assert summary.processed == 10
    assert len(stage.bench.jobs()) == 1


def test_jobs_of_a_forgotten_upload_are_cancelled(stage: Stage, caplog, monkeypatch):
    """Clearing begins anew; what still ran is cancelled where the server can, else it is named."""
    store = MemoryState()
    started = stage.upload(boxes(10), state=store).start()
    # Whether the job still runs by now is chance.
    monkeypatch.setattr(
        "airflow_provider_nucleus.client.uploads.upload.remote_job_states",
        lambda *_, **__: {started.job_ids[0]: RemoteJobState.PENDING},
    )
    stage.faults(Fault("cannot cancel", "POST .*/cancel", "status", status=501))
    with caplog.at_level("INFO"):
        stage.upload(boxes(10), state=store, clear_count=1).start()

    assert len(stage.proxy.requests(f"POST .*/job/{started.job_ids[0]}/cancel")) == 1
    assert f"Job {started.job_ids[0]} of the earlier upload is left running" in caplog.text


def test_a_server_that_cannot_be_asked_is_not_guessed_about(stage: Stage):
    """While the record names a job and the server is silent, nothing is sent; later the retry goes on."""
    store = MemoryState()
    stage.upload(boxes(10), state=store).start()
    stage.faults(Fault("down", "GET .*/job/", "status", status=503, times=100))
    with pytest.raises(NucleusUploadError, match=r"the state of .* could not be fetched"):
        stage.upload(boxes(10), state=store).start()
    stage.faults()
    assert stage.upload(boxes(10), state=store).run().processed == 10


def test_a_wait_that_is_given_up_says_what_is_left(stage: Stage):
    """Neither a silent server nor a time-out loses the jobs: both name them, and a retry goes on."""
    store = MemoryState()
    upload = stage.upload(boxes(10), state=store, job_timeout=-1, ride_out=0)
    started = upload.start()
    stage.faults(Fault("down", "GET .*/job/", "status", status=503, times=100))
    with pytest.raises(NucleusError, match=rf"503.*{started.job_ids[0]} was left as it is.*A retry attaches"):
        upload.wait(started)
    body = b'{"status":"Running","job_id":"x","message":{}}'
    stage.proxy.faults[:] = []
    stage.client.send = lambda call, **_: call.parse(json.loads(body))
    with pytest.raises(NucleusJobTimeout, match=f"{started.job_ids[0]}.*A retry attaches"):
        upload.wait(started)
    del stage.client.send

    assert stage.upload(boxes(10), state=store).run().processed == 10


def test_stopping_leaves_a_record_that_a_retry_completes(stage: Stage):
    """Cancelled between two chunks: the jobs are named, the rest is sent by the retry."""
    store = MemoryState()
    upload = stage.upload(
        boxes(90),
        chunk_rows=30,
        state=store,
        progress_interval=0,
        on_progress=lambda reading: reading.phase == "Sent" and upload.cancel(),
    )
    with pytest.raises(NucleusUploadError, match="left running: job_"):
        upload.start()
    assert upload.cancel() == stage.bench.jobs()

    summary = stage.upload(boxes(90), chunk_rows=30, state=store).run()
    assert summary.sent == 90
    assert len(stage.bench.jobs()) == 3


def test_without_a_store_ids_alone_prevent_doubling(stage: Stage):
    """Below Airflow 3.3 nothing is remembered: a retry sends everything, and the server ignores what it has."""
    for _ in range(2):
        summary = stage.upload(boxes(30)).run()

    assert (summary.processed, summary.ignored) == (0, 30)
    each_once(stage, 30)


def test_jobs_can_be_looked_at_while_they_run(stage: Stage):
    """The ids that start() returns are jobs of the server."""
    for job_id in stage.upload(boxes(30), chunk_rows=10).start().job_ids:
        assert stage.client.send(job_status(job_id)).job_id == job_id


LOOK = re.compile(r"job/[^/]+$")


def images(folder: Path, count: int) -> list[dict]:
    """Rows of items whose images are files."""
    rows = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.new("RGB", (8, 6), (number, 0, 0)).save(path)
        rows.append({"reference_id": f"local-{number}", "image_url": str(path)})
    return rows


def forge(stage: Stage, status: dict, *, seen=lambda: None) -> None:
    """Let every look at a job find *status*."""
    real = stage.client.send

    def send(call, **arguments):
        if not LOOK.search(call.path):
            return real(call, **arguments)
        seen()
        return call.parse({"job_id": call.path.rpartition("/")[2], "message": {}, **status})

    stage.client.send = send


@pytest.mark.parametrize("status", ["Errored_Server", "Errored", "Something_New", "Cancelled"])
def test_images_of_a_job_that_failed_are_not_stored(stage: Stage, tmp_path, status: str):
    """However many bad rows are tolerated: the upload fails with the job's name and reason, and a retry sends the images again."""
    state = MemoryState()
    rows = images(tmp_path, 3)
    options = {"kind": "items", "state": state, "max_error_rate": 1, "local_root": tmp_path}
    forge(stage, {"status": status, "message": {"final_error": "Boom: disk full"}})
    with pytest.raises(
        NucleusUploadError,
        match=rf"job_\w+ ended as {status} \(Boom: disk full\), with 3 images.*sends these images again",
    ) as caught:
        stage.upload(rows, **options).run()
    assert caught.value.job_ids == stage.bench.jobs("uploadDatasetItems")[-1:]

    del stage.client.send
    posts = len(stage.proxy.requests("POST .*/append"))
    assert stage.upload(rows, **options).run().processed == 3
    assert len(stage.proxy.requests("POST .*/append")) == posts + 1


@pytest.mark.parametrize("kind", ["annotations", "items"])
def test_a_wait_that_is_given_up_says_why_the_job_waits(stage: Stage, tmp_path, caplog, kind: str):
    """Rows and image files alike."""
    rows = boxes(3) if kind == "annotations" else images(tmp_path, 3)
    upload = stage.upload(rows, kind=kind, local_root=tmp_path, job_timeout=0.05, poll_interval=0.02)
    forge(stage, {"status": "Running", "message": {"waiting": "The disk is full."}})
    with pytest.raises(NucleusJobTimeout, match=r"The server says: The disk is full\. Make room there"):
        upload.run()

    assert caplog.text.count("waits, the server says: The disk is full.") == 1


def test_waiting_for_images_ends(stage: Stage, tmp_path):
    """A job that never ends is given up after job_timeout, by name."""
    upload = stage.upload(
        images(tmp_path, 13), kind="items", local_root=tmp_path, job_timeout=0.05, poll_interval=0.02
    )
    forge(stage, {"status": "Running"})
    with pytest.raises(
        NucleusJobTimeout, match=r"which takes in \d+ images, did not end within 0\.05 s"
    ) as caught:
        upload.start()

    jobs = stage.bench.jobs("uploadDatasetItems")[-2:]
    assert caught.value.job_id in jobs
    assert sorted(upload.cancel()) == sorted(jobs)


def test_stopping_names_the_jobs_that_take_in_images(stage: Stage, tmp_path):
    """Whoever kills the upload learns what to cancel."""
    left = []
    upload = stage.upload(images(tmp_path, 3), kind="items", local_root=tmp_path)
    forge(stage, {"status": "Running"}, seen=lambda: left.extend(upload.cancel()))
    with pytest.raises(NucleusUploadError, match=r"left running: job_"):
        upload.start()

    assert left == stage.bench.jobs("uploadDatasetItems")[-1:]
