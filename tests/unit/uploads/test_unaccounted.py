"""Rows that the server does not account for: errors of the upload, offered again by a retry, never a line in the log alone."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from airflow_provider_nucleus.client.uploads import MemoryState
from airflow_provider_nucleus.exceptions import NucleusUploadError
from tests.faults import Fault
from tests.unit.uploads.conftest import PUT, SYNC, Stage, box, boxes

LOOK = r"GET .*/job/job_[^/]*$"
APPEND = r"POST .*/append\?async=1"


def without_last_lines(body: bytes) -> bytes:
    """What a store keeps that loses the end of a file: whole lines, fewer of them."""
    return b"".join(body.splitlines(keepends=True)[:-3])


def without_last_rows(body: bytes) -> bytes:
    """A request of which the server hears three rows less."""
    request = json.loads(body)
    return json.dumps(request | {"annotations": request["annotations"][:-3]}).encode()


def counting(**counts: int):
    """Let the job say these counts of its rows, whatever it did with them."""

    def edit(body: bytes) -> bytes:
        status = json.loads(body)
        if status["status"] == "Completed":
            status["message"]["annotation_upload"] |= counts
        return json.dumps(status).encode()

    return edit


def saying(message: object):
    """Let the job say something else than counts."""
    return lambda body: json.dumps(json.loads(body) | {"message": message}).encode()


LOSSES = {
    True: (PUT, without_last_lines),
    False: (SYNC, without_last_rows),
}


@pytest.mark.parametrize("asynchronous", [True, False])
def test_lost_rows_fail_the_upload_and_a_retry_sends_their_chunk(
    stage: Stage, tmp_path, read_jsonl, asynchronous: bool
):
    """The failure names the job or request and both numbers; the retry sends that chunk alone, and every row is there once."""
    pattern, edit = LOSSES[asynchronous]
    stage.faults(Fault("loses rows", pattern, "edit-request", at=2, edit=edit))
    state, where = MemoryState(), tmp_path / "bad.jsonl"
    options = {"asynchronous": asynchronous, "chunk_rows": 10, "state": state, "quarantine": where}
    named = "job job_" if asynchronous else "the request that begins with a row of 'item-10'"
    with pytest.raises(
        NucleusUploadError,
        match=rf"3 of 30 rows are bad .*3 not accounted for by the server.*First: not accounted for by the server: 3 of the 10 rows of {named}.*; it counts 7.*not accounted for again",
    ) as caught:
        stage.upload(boxes(30), concurrency=1, **options).run()
    summary = caught.value.summary
    assert (summary["processed"], summary["errored"], summary["unaccounted"]) == (27, 0, 3)
    assert summary["error_rate"] == pytest.approx(0.1)
    assert [(line["row"], line["data"]) for line in read_jsonl(where)] == [(0, None)]
    assert read_jsonl(where)[0]["reason"] == summary["first_errors"][0]

    stage.proxy.arm()
    again = stage.upload(boxes(30), **options).run()
    assert (again.sent, again.processed, again.ignored, again.unaccounted) == (30, 23, 7, 0)
    assert stage.sent_rows() == 10
    assert stage.bench.stored_ids() == sorted(f"a{n}" for n in range(30))


@pytest.mark.parametrize("asynchronous", [True, False])
def test_lost_rows_may_be_tolerated(stage: Stage, asynchronous: bool, caplog):
    """Within max_error_rate they are counted and told, and the upload goes on."""
    pattern, edit = LOSSES[asynchronous]
    stage.faults(Fault("loses rows", pattern, "edit-request", edit=edit))
    summary = stage.upload(boxes(30), asynchronous=asynchronous, max_error_rate=0.1).run()

    assert (summary.processed, summary.unaccounted, summary.error_rate) == (27, 3, pytest.approx(0.1))
    assert "3 of the 30 rows" in summary.first_errors[0]
    assert "does not account for 3 of 30 rows" in caplog.text


def test_lost_and_rejected_rows_count_together(stage: Stage):
    """Each share is below the rate, their sum is not."""
    stage.faults(Fault("loses rows", PUT, "edit-request", edit=without_last_lines))
    with pytest.raises(NucleusUploadError, match="4 of 30 rows are bad"):
        stage.upload([*boxes(29), box(29, label="")], max_error_rate=0.1).run()


def test_a_count_too_high_hides_no_loss_in_another_chunk(stage: Stage, caplog):
    """One job counts five rows more than it has, another five less: five rows are not accounted for."""
    stage.faults(
        Fault("too many", LOOK, "edit-answer", times=1000, edit=counting(processed=15)),
    )
    upload = stage.upload(boxes(20), chunk_rows=10)
    started = upload.start()
    statuses = upload.wait(started)
    short = json.loads(json.dumps(statuses[started.job_ids[1]].to_wire()))
    short["message"]["annotation_upload"]["processed"] = 5
    with pytest.raises(NucleusUploadError, match="5 of 20 rows are bad"):
        upload.collect({**statuses, started.job_ids[1]: short})

    assert f"accounts for 15 rows of job {started.job_ids[0]}, which has 10" in caplog.text


def test_a_count_too_high_hides_no_loss_in_another_request(stage: Stage, monkeypatch, caplog):
    """Nor within one chunk: each request has to account for its own rows."""
    monkeypatch.setattr("airflow_provider_nucleus.client.uploads.send.requests.LINES_PER_REQUEST", 10)
    counts = iter([15, 5])

    def edit(body: bytes) -> bytes:
        return json.dumps(json.loads(body) | {"annotations_processed": next(counts)}).encode()

    stage.faults(Fault("odd counts", SYNC, "edit-answer", times=2, edit=edit))
    with pytest.raises(NucleusUploadError, match=r"5 of 20 rows are bad.*'item-10'; it counts 5"):
        stage.upload(boxes(20), asynchronous=False, concurrency=1).run()

    assert (
        "accounts for 15 rows of the request that begins with a row of 'item-0', which has 10" in caplog.text
    )


def test_counts_too_high_are_told(stage: Stage, caplog):
    """No row is missing from them, so nothing fails, and the log has both numbers."""
    stage.faults(Fault("too many", LOOK, "edit-answer", times=1000, edit=counting(processed=25)))
    summary = stage.upload(boxes(20)).run()

    assert (summary.sent, summary.processed, summary.unaccounted) == (20, 25, 0)
    assert (
        f"accounts for 25 rows of job {summary.jobs[0]}, which has 20: its counts are too high" in caplog.text
    )


@pytest.mark.parametrize("message", [{}, "done", {"annotation_upload": None}, {"ingested": 20}], ids=str)
def test_a_job_without_counts_accounts_for_nothing(stage: Stage, message: object):
    """Completed is no count: the contract's uploads have one, so without it nothing is known to be stored."""
    stage.faults(Fault("no counts", LOOK, "edit-answer", times=1000, edit=saying(message)))
    state = MemoryState()
    with pytest.raises(NucleusUploadError, match=r"20 of 20 rows are bad.*it counts 0"):
        stage.upload(boxes(20), state=state).run()

    stage.faults()
    assert stage.upload(boxes(20), state=state).run().ignored == 20


def test_an_answer_without_counts_accounts_for_nothing(stage: Stage):
    """As with jobs."""
    stage.faults(Fault("no counts", SYNC, "edit-answer", edit=lambda _: b"{}"))
    with pytest.raises(NucleusUploadError, match="20 of 20 rows are bad"):
        stage.upload(boxes(20), asynchronous=False).run()


def test_errors_beyond_the_counts_are_heard(stage: Stage):
    """The counts leave a refused row out: its reason is asked for, and it is a refused row, no unaccounted one."""
    stage.faults(Fault("no errored", LOOK, "edit-answer", times=1000, edit=counting(errored=0)))
    rows = [*boxes(9), box(9, reference_id="nowhere")]
    summary = stage.upload(rows, max_error_rate=0.1).run()

    assert (summary.processed, summary.errored, summary.unaccounted) == (9, 1, 0)
    assert "nowhere" in summary.first_errors[0]


def test_losses_of_a_deferred_upload_are_found_by_who_collects(stage: Stage):
    """Another process, with nothing but the record, fails the same way."""
    stage.faults(Fault("loses rows", PUT, "edit-request", edit=without_last_lines))
    started = stage.upload(boxes(30), chunk_rows=10).start()
    stage.upload([]).wait(started)

    with pytest.raises(NucleusUploadError, match="3 of 30 rows are bad"):
        stage.upload(boxes(30)).collect(record=json.loads(json.dumps(started.record)))


def files(folder, count: int) -> list[dict]:
    """Items whose images are files."""
    rows = []
    for number in range(count):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(folder / f"{number}.png")
        rows.append({"reference_id": f"local-{number}", "image_url": str(folder / f"{number}.png")})
    return rows


@pytest.mark.parametrize("local", [True, False])
def test_items_are_accounted_for(stage: Stage, tmp_path, local: bool):
    """Images of a job that does not count them are not stored, whether or not they were files of the worker."""

    def edit(body: bytes) -> bytes:
        status = json.loads(body)
        if status["status"] == "Completed":
            status["message"]["image_upload_step"] |= {"completed": 2, "pending": 1}
        return json.dumps(status).encode()

    rows = (
        files(tmp_path, 3)
        if local
        else [{"reference_id": f"far-{n}", "image_url": f"https://images/{n}.png"} for n in range(3)]
    )
    state = MemoryState()
    stage.faults(Fault("pending", LOOK, "edit-answer", times=1000, edit=edit))
    with pytest.raises(NucleusUploadError, match=r"1 of 3 rows are bad.*1 of the 3 rows of job job_"):
        stage.upload(rows, kind="items", state=state, local_root=tmp_path).run()

    stage.proxy.arm()
    assert stage.upload(rows, kind="items", state=state, local_root=tmp_path).run().processed == 3
    assert len(stage.proxy.requests(APPEND)) == 1


def test_refused_images_are_named(stage: Stage, tmp_path):
    """A job that completes and counts refused images is asked which they are."""
    stage.faults(
        Fault(
            "refused",
            LOOK,
            "edit-answer",
            times=1000,
            edit=lambda body: body.replace(b'"errored":0', b'"errored":1').replace(
                b'"completed":3', b'"completed":2'
            ),
        ),
        Fault("reasons", r"/errors", "edit-answer", edit=lambda _: b'["no such pixel"]'),
    )
    with pytest.raises(NucleusUploadError, match=r"1 of 3 rows are bad.*First: no such pixel"):
        stage.upload(files(tmp_path, 3), kind="items", local_root=tmp_path).run()


@pytest.mark.parametrize(
    "message",
    [
        {"annotation_upload": {"processed": 5, "errored": -2}},
        {"annotation_upload": {"processed": -1, "ignored": 4}},
        {"annotation_upload": {"processed": True, "ignored": 2}},
        {"annotation_upload": {"processed": 2}, "metadata_update": {"processed": 1}},
        {"annotation_upload": {"processed": 2}, "scene_upload": {"created": 1}},
        {"annotation_upload": {"processed": 2}, "prediction_upload": {"processed": 1}},
        {"image_upload_step": {"completed": 3}},
    ],
    ids=str,
)
def test_what_is_no_count_of_these_rows_makes_up_for_none(stage: Stage, message: object):
    """Neither odd numbers nor those of other things than annotations."""
    stage.faults(Fault("odd counts", LOOK, "edit-answer", times=1000, edit=saying(message)))
    with pytest.raises(NucleusUploadError, match=r"[13] of 3 rows are bad.*not accounted for"):
        stage.upload(boxes(3)).run()


@pytest.mark.parametrize(
    "answer",
    [
        {"annotations_processed": -1, "annotations_ignored": 4},
        {"annotations_processed": 5, "annotations_ignored": -2},
        {"annotations_processed": True, "annotations_ignored": 2},
        {"predictions_processed": 3},
    ],
    ids=str,
)
def test_nor_does_it_in_an_answer_to_a_request(stage: Stage, answer: dict):
    """One rule for both roads."""
    stage.faults(Fault("odd counts", SYNC, "edit-answer", edit=lambda _: json.dumps(answer).encode()))
    with pytest.raises(NucleusUploadError, match=r"3 of 3 rows are bad.*not accounted for"):
        stage.upload(boxes(3), asynchronous=False).run()


def test_pending_images_are_not_stored_yet(stage: Stage):
    """Even where they are counted as completed too."""
    rows = [{"reference_id": f"far-{n}", "image_url": f"https://images/{n}.png"} for n in range(3)]
    said = {"image_upload_step": {"completed": 3, "pending": 2, "errored": 0}}
    stage.faults(Fault("pending", LOOK, "edit-answer", times=1000, edit=saying(said)))
    with pytest.raises(NucleusUploadError, match="it counts 1 and calls 2 pending") as caught:
        stage.upload(rows, kind="items").run()

    assert (caught.value.summary["processed"], caught.value.summary["unaccounted"]) == (1, 2)
