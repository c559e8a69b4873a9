"""Whole uploads against the real embedded Nucleus."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from PIL import Image

from airflow_provider_nucleus.client.calls.datasets import create_dataset
from airflow_provider_nucleus.client.uploads import MemoryState, UploadSummary
from airflow_provider_nucleus.exceptions import NucleusSourceError, NucleusUploadError
from airflow_provider_nucleus.sources import fingerprint, open_rows
from airflow_provider_nucleus.sources.fingerprint import file_marks
from tests.shared_data import shared_data
from tests.unit.uploads.conftest import Bench, box, boxes

POLYGON = {"label": "car", "type": "polygon", "geometry": {"vertices": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}]}, "reference_id": "item-1"}  # fmt: skip
MASK = {"type": "mask", "mask_url": "https://masks/1.png", "annotations": [{"label": "road", "index": 1}]}


@pytest.mark.parametrize("asynchronous", [True, False])
def test_every_row_arrives_once(bench: Bench, asynchronous: bool):
    """By jobs and by requests: all rows processed, all stored, sending again changes nothing."""
    rows = boxes(120)
    first = bench.upload(rows, asynchronous=asynchronous, chunk_rows=50).run()
    again = bench.upload(rows, asynchronous=asynchronous, chunk_rows=50).run()

    assert (first.rows, first.sent, first.processed, first.ignored, first.errored) == (120, 120, 120, 0, 0)
    assert (again.processed, again.ignored) == (0, 120)
    assert first.chunks == 3
    assert len(first.jobs) == (3 if asynchronous else 0)
    assert bench.stored_ids() == sorted(row["annotation_id"] for row in rows)


def test_input_without_rows_is_warned_about(bench: Bench, caplog):
    """It stores nothing and takes nothing away, which looks like success all too easily."""
    summary = bench.upload([]).run()

    assert summary.rows == 0
    assert any("has no rows" in record.message and record.levelname == "WARNING" for record in caplog.records)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_update_replaces(bench: Bench, asynchronous: bool):
    """With update the rows that exist are replaced and counted as processed."""
    bench.upload(boxes(10), asynchronous=asynchronous).run()
    summary = bench.upload(boxes(10, label="new"), asynchronous=asynchronous, update=True).run()

    assert (summary.processed, summary.ignored) == (10, 0)
    assert {row["label"] for row in bench.stored()} == {"new"}


@pytest.mark.parametrize("asynchronous", [True, False])
def test_predictions_go_to_their_model(bench: Bench, asynchronous: bool):
    """Confidence and class_pdf arrive as they were sent."""
    model = bench.model()
    rows = boxes(30, confidence=0.25, class_pdf={"a": 0.25, "b": 0.75})
    summary = bench.upload(rows, kind="predictions", model_id=model, asynchronous=asynchronous).run()

    assert (summary.processed, summary.model_id) == (30, model)
    stored = bench.predictions(model)
    assert len(stored) == 30
    assert {(row["confidence"], row["class_pdf"]["b"]) for row in stored} == {(0.25, 0.75)}


@pytest.mark.parametrize("asynchronous", [True, False])
def test_all_kinds_of_rows_travel_together(bench: Bench, asynchronous: bool):
    """Masks in requests of their own, everything else side by side."""
    rows = [
        box(1),
        POLYGON,
        POLYGON,
        {"type": "line", "label": "l", "geometry": {"vertices": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]}, "reference_id": "item-2"},
        {"type": "category", "label": "day", "geometry": {}, "reference_id": "item-3"},
        *({**MASK, "reference_id": f"item-{n}"} for n in range(25)),
    ]  # fmt: skip
    summary = bench.upload(rows, asynchronous=asynchronous).run()
    again = bench.upload(rows, asynchronous=asynchronous).run()

    assert (summary.rejected, summary.processed, summary.errored, summary.unaccounted) == (0, 30, 0, 0)
    assert (again.processed, again.ignored) == (0, 30)


def test_local_masks_go_by_multipart(bench: Bench, tmp_path):
    """Ten files a request, counters summed; the stored mask keeps its path."""
    rows = []
    for number in range(23):
        path = tmp_path / f"mask {number}.png"
        Image.new("L", (4, 4), 1).save(path)
        rows.append({**MASK, "mask_url": str(path), "reference_id": f"item-{number}"})
    summary = bench.upload([*rows, box(1)], asynchronous=False, local_root=tmp_path).run()

    assert (summary.processed, summary.errored, summary.chunks) == (24, 0, 2)
    assert {row["mask_url"] for row in bench.stored() if row["type"] == "mask"} == {
        row["mask_url"] for row in rows
    }
    refused = bench.upload(rows, asynchronous=True, max_error_rate=1, local_root=tmp_path).run()
    assert (refused.rejected, refused.sent) == (23, 0)


@pytest.mark.parametrize("path", ["nowhere/mask.png", "folder.png", "bad\x00.png"])
def test_a_local_file_that_cannot_be_sent_is_a_bad_row(bench: Bench, tmp_path, path: str, read_jsonl):
    """Found while the rows are checked: it names the file, counts into the error rate, and does not stop the others."""
    (tmp_path / "folder.png").mkdir()
    where = tmp_path / "bad.jsonl"
    row = {**MASK, "mask_url": str(tmp_path / path), "reference_id": "item-1"}
    image = {"reference_id": "new", "image_url": str(tmp_path / path)}
    local = {"local_root": tmp_path}
    with pytest.raises(
        NucleusUploadError, match=r"Nothing was sent.*1 of 2 rows are bad.*mask_url: cannot be sent"
    ):
        bench.upload([box(1), row], asynchronous=False, quarantine=where, **local).run()
    assert bench.stored_ids() == []
    assert [line["row"] for line in read_jsonl(where)] == [2]

    bench.upload([box(1), row], asynchronous=False, max_error_rate=0.5, **local).run()
    assert bench.stored_ids() == ["a1"]
    good = {"reference_id": "remote", "image_url": "https://images/remote.png"}
    summary = bench.upload([image, good], kind="items", max_error_rate=0.5, **local).run()
    assert (summary.rejected, summary.processed) == (1, 1)


def test_a_local_file_that_goes_away_names_itself(bench: Bench, tmp_path, caplog):
    """Between check and sending: no request is repeated in vain, the server is not blamed, and a retry goes on."""
    path = tmp_path / "mask.png"
    Image.new("L", (4, 4), 1).save(path)
    row = {**MASK, "mask_url": str(path), "reference_id": "item-1"}
    state = MemoryState()
    options = {"asynchronous": False, "state": state, "progress_interval": 0, "local_root": tmp_path}

    def removed(reading):
        if reading.phase == "Sent":
            path.unlink(missing_ok=True)

    with pytest.raises(NucleusSourceError, match=r"mask\.png: cannot be sent: .*No such file"):
        bench.upload([box(1), row], on_progress=removed, **options).run()
    assert bench.stored_ids() == ["a1"]
    assert "at once" not in caplog.text
    Image.new("L", (4, 4), 1).save(path)
    assert bench.upload([box(1), row], **options).run().processed == 2


def test_local_and_remote_images_become_items(bench: Bench, tmp_path):
    """Files are sent along, addresses are handed over; both are counted."""
    rows = []
    for number in range(12):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (8, 6), (number, 0, 0)).save(path)
        rows.append({"reference_id": f"local-{number}", "image_url": str(path), "width": 8, "height": 6})
    rows += [{"reference_id": f"remote-{n}", "image_url": f"https://images/{n}.png"} for n in range(3)]
    summary = bench.upload(rows, kind="items", local_root=tmp_path).run()

    assert (summary.rows, summary.sent, summary.processed, summary.errored) == (15, 15, 15, 0)
    assert len(summary.jobs) == 1


@pytest.mark.parametrize("asynchronous", [True, False])
def test_above_the_error_rate_nothing_is_sent(bench: Bench, tmp_path, asynchronous: bool, read_jsonl):
    """All rows are checked, the report is written, and the server is untouched."""
    rows = [*boxes(9), box(9, label="")]
    where = tmp_path / "bad.jsonl"
    with pytest.raises(
        NucleusUploadError, match=r"Nothing was sent.*1 of 10 rows are bad \(10\.00%"
    ) as caught:
        bench.upload(rows, asynchronous=asynchronous, quarantine=where).run()

    assert caught.value.quarantine == str(where)
    assert (caught.value.summary["sent"], caught.value.summary["rejected"]) == (0, 1)
    assert [line["row"] for line in read_jsonl(where)] == [10]
    assert bench.stored() == []
    assert bench.jobs() == []


@pytest.mark.parametrize("asynchronous", [True, False])
def test_below_the_error_rate_the_good_rows_are_sent(bench: Bench, asynchronous: bool):
    """Bad rows and duplicates are counted, the rest arrives."""
    rows = [*boxes(18), box(18, label=""), box(0)]
    summary = bench.upload(rows, asynchronous=asynchronous, max_error_rate=0.1).run()

    assert (summary.rejected, summary.duplicates, summary.processed) == (2, 1, 18)
    assert summary.error_rate == pytest.approx(0.1)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_rows_the_server_refuses_are_reported_and_count(
    bench: Bench, tmp_path, asynchronous: bool, read_jsonl
):
    """Unknown items are no silent success: source row, reason and row are in the quarantine, and the upload fails."""
    rows = [box(0, label=""), *boxes(20), box(21, reference_id="nowhere"), box(22, reference_id="nowhere")]
    where = tmp_path / "bad.jsonl"
    with pytest.raises(NucleusUploadError, match="The good rows are stored") as caught:
        bench.upload(rows, asynchronous=asynchronous, quarantine=where, max_error_rate=0.1).run()

    assert caught.value.summary["errored"] == 2
    assert [(line["row"], "nowhere" in line["reason"]) for line in read_jsonl(where)] == [
        (1, False),
        (22, True),
        (23, True),
    ]
    assert read_jsonl(where)[1]["data"] == rows[21]
    assert len(bench.stored()) == 20
    summary = bench.upload(rows, asynchronous=asynchronous, quarantine=where, max_error_rate=0.2).run()
    assert (summary.rejected, summary.ignored, summary.errored) == (1, 20, 2)
    assert summary.quarantine == str(where)


def test_where_everything_is_refused_nothing_is_said_to_be_stored(bench: Bench):
    """And the server's sentence keeps its one full stop."""
    with pytest.raises(NucleusUploadError, match=r"First: Item with id nowhere .*") as caught:
        bench.upload([box(0, reference_id="nowhere")]).run()

    assert "rows are stored" not in str(caught.value)
    assert ".." not in str(caught.value)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_retry_offers_only_refused_chunks_again(bench: Bench, asynchronous: bool):
    """Once the missing items exist, the retry sends the chunk that had errors and nothing else."""
    state = MemoryState()
    rows = [*boxes(20), box(20, reference_id="late"), *(box(n) for n in range(21, 40))]
    options = {"asynchronous": asynchronous, "chunk_rows": 10, "state": state}
    with pytest.raises(NucleusUploadError):
        bench.upload(rows, **options).run()
    bench.upload([{"reference_id": "late", "image_url": "https://images/late.png"}], kind="items").run()
    jobs = len(bench.jobs())
    summary = bench.upload(rows, **options).run()

    assert (summary.sent, summary.processed, summary.ignored, summary.errored) == (40, 31, 9, 0)
    assert len(bench.jobs()) == jobs + asynchronous
    assert len(bench.stored()) == 40


def test_reasons_lost_with_a_dead_process_are_heard_again(bench: Bench, tmp_path, read_jsonl):
    """A chunk whose refused rows nobody could report is sent again, so that the report is complete."""
    state = MemoryState()
    where = tmp_path / "bad.jsonl"
    rows = [box(0, reference_id="nowhere"), *(box(n) for n in range(1, 30))]
    options = {
        "asynchronous": False,
        "chunk_rows": 10,
        "state": state,
        "max_error_rate": 0.5,
        "quarantine": where,
    }
    bench.upload(rows, **options).start()
    summary = bench.upload(rows, **options | {"on_change": "continue"}).run()

    assert summary.errored == 1
    assert [line["row"] for line in read_jsonl(where)] == [1]


def test_validation_only_sends_nothing(bench: Bench, tmp_path):
    """It counts, reports and judges, and the server does not hear of it."""
    where = tmp_path / "bad.parquet"
    summary = bench.upload([box(1), {}], validate_only=True, quarantine=where, max_error_rate=0.5).run()

    assert (summary.rows, summary.rejected, summary.sent, summary.validate_only) == (2, 1, 0, True)
    assert where.exists()
    with pytest.raises(NucleusUploadError, match="1 of 2 rows are bad"):
        bench.upload([box(1), {}], validate_only=True).run()
    assert bench.stored() == []


def test_an_empty_input_is_an_upload_of_nothing(bench: Bench):
    """No rows, no jobs, no failure."""
    assert bench.upload([]).run() == UploadSummary(kind="annotations", dataset_id=bench.dataset_id)


def test_collecting_in_another_process_needs_only_the_record(bench: Bench):
    """What start() returns travels as JSON through a trigger; another Upload object takes stock from it."""
    rows = [*boxes(30), box(31, reference_id="nowhere")]
    started = bench.upload(rows, chunk_rows=10, max_error_rate=0.5).start()
    assert len(started.job_ids) == 4
    assert not started.done
    waiter = bench.upload([], max_error_rate=0.5)
    waiter.wait(started)

    record = json.loads(json.dumps(started.record))
    summary = bench.upload(rows, max_error_rate=0.5).collect(record=record)
    assert (summary.rows, summary.processed, summary.errored, len(summary.jobs)) == (31, 30, 1, 4)
    with pytest.raises(NucleusUploadError, match="no record"):
        bench.upload(rows).collect()


def test_statuses_may_come_from_the_trigger(bench: Bench):
    """Statuses are taken as JSON, as bare words, or asked for."""
    started = bench.upload(boxes(30), chunk_rows=10).start()
    statuses = bench.upload([]).wait(started)
    handed = {
        started.job_ids[0]: statuses[started.job_ids[0]].to_wire(),
        started.job_ids[1]: "Completed",
    }

    assert bench.upload([]).collect(handed, record=started.record).processed == 30


def test_a_job_that_still_runs_is_not_collected(bench: Bench):
    """Settling too early must not look like success."""
    started = bench.upload(boxes(5)).start()
    upload = bench.upload([])
    with pytest.raises(NucleusUploadError, match="cannot be settled yet"):
        upload.collect({started.job_ids[0]: {"status": "Running", "message": {}}}, record=started.record)


def test_progress_is_reported_while_rows_are_checked_and_sent(bench: Bench):
    """With an interval of nothing every step is a reading; shares end at one and never fall."""
    readings = []
    bench.upload(
        boxes(300), chunk_rows=100, asynchronous=False, progress_interval=0, on_progress=readings.append
    ).run()

    assert {reading.phase for reading in readings} == {"Checked", "Sent"}
    shares = [reading.share for reading in readings if reading.phase == "Sent"]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert "300 of 300 (100%)" in str(readings[-1])


def test_the_last_reading_of_each_phase_is_the_whole(bench: Bench):
    """However long the interval: gauges must not stay at what the last interval saw."""
    readings = []
    bench.upload(boxes(300), progress_interval=3_600, on_progress=readings.append).run()

    assert [(reading.phase, reading.rows) for reading in readings] == [("Checked", 300), ("Sent", 300)]


def test_validation_keeps_no_copy_of_the_rows(bench: Bench, tmp_path):
    """Nothing will be sent, so the disk need not hold what would be."""
    sizes = []

    def look(_):
        sizes.extend(file.stat().st_size for file in tmp_path.glob("*/rows.ndjson"))

    bench.upload(boxes(300), chunk_rows=100, validate_only=True, spool=str(tmp_path), on_progress=look).run()

    assert sizes == [0]


def test_a_finished_upload_is_not_repeated_by_a_retry(bench: Bench):
    """The summary is in the record; the input is not even read."""
    state = MemoryState()
    first = bench.upload(boxes(10), state=state).run()

    def unreadable():
        raise AssertionError("the input was read")

    assert bench.upload(unreadable, state=state).run() == first


def test_a_cleared_task_runs_again_unless_told_otherwise(bench: Bench):
    """Another clear_count: everything is sent anew, or the old result is returned."""
    state = MemoryState()
    bench.upload(boxes(10), state=state).run()

    assert bench.upload(boxes(10), state=state, clear_count=1, on_clear="reattach").run().processed == 10
    assert bench.upload(boxes(10), state=state, clear_count=1).run().ignored == 10


def test_a_changed_input_fails_restarts_or_continues(bench: Bench):
    """Continuing sends only the chunks that are new."""
    state = MemoryState()
    bench.upload(boxes(30), state=state, fingerprint="f1", chunk_rows=10).run()
    more = boxes(45)
    with pytest.raises(NucleusUploadError, match="input changed"):
        bench.upload(more, state=state, fingerprint="f2", chunk_rows=10).run()
    jobs = len(bench.jobs())
    summary = bench.upload(more, state=state, fingerprint="f2", chunk_rows=10, on_change="continue").run()

    assert len(bench.jobs()) == jobs + 2
    assert (summary.rows, summary.sent, summary.processed) == (45, 45, 45)
    restarted = bench.upload(more, state=state, fingerprint="f3", chunk_rows=10, on_change="restart").run()
    assert restarted.ignored == 45


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize("stored", [True, False])
def test_continuing_counts_the_rows_of_the_present_input_only(
    bench: Bench, asynchronous: bool, stored: bool, caplog
):
    """What was sent of an input that lost or replaced rows since stays on the server, but is none of its rows."""
    caplog.set_level("INFO")
    state = MemoryState()
    options = {"state": state, "chunk_rows": 10, "asynchronous": asynchronous}
    if stored:
        bench.upload(boxes(8), asynchronous=asynchronous).run()
    before = bench.upload(boxes(35), fingerprint="f1", **options).run()
    rows = [*boxes(20), *(box(n) for n in range(100, 115))]
    summary = bench.upload(rows, fingerprint="f2", on_change="continue", **options).run()
    less = bench.upload(boxes(20), fingerprint="f3", on_change="continue", **options).run()

    found = 8 if stored else 0
    assert (before.sent, before.processed, before.ignored, before.chunks) == (35, 35 - found, found, 4)
    assert (summary.rows, summary.sent, summary.processed, summary.ignored) == (35, 35, 35 - found, found)
    assert (less.rows, less.sent, less.processed, less.ignored) == (20, 20, 20 - found, found)
    assert (summary.chunks, less.chunks, summary.unaccounted, less.unaccounted) == (4, 2, 0, 0)
    assert caplog.text.count("2 chunks (15 rows) of the earlier input stay stored") == 2
    assert len(bench.stored_ids()) == 50


def gone():
    """An input that is not on this machine."""
    raise NucleusSourceError("does not exist or is not a file", source="rows.jsonl")


def test_an_attempt_with_nothing_to_send_needs_no_input(bench: Bench, caplog):
    """Attaching, collecting and finding a finished upload work on a worker that does not have the file."""
    state = MemoryState()
    absent = {"state": state, "fingerprint": gone, "chunk_rows": 10}
    with pytest.raises(NucleusSourceError, match=r"rows\.jsonl: does not exist"):
        bench.upload(gone, **absent).start()
    assert bench.jobs() == []
    bench.upload(boxes(30), state=state, fingerprint="f", chunk_rows=10).start()

    attached = bench.upload(gone, **absent).start()
    bench.upload(gone).wait(attached)
    assert bench.upload(gone, **absent).collect().processed == 30
    assert bench.upload(gone, **absent).run().processed == 30
    assert "Whether the input changed is not known" in caplog.text


def test_a_missing_input_is_asked_for_by_who_has_to_send(bench: Bench):
    """A chunk whose job failed needs its rows; nothing is forgotten or cancelled for want of them."""
    state = MemoryState()
    upload = bench.upload(boxes(30), state=state, fingerprint="f", chunk_rows=10)
    started = upload.start()
    ended = upload.wait(started)
    with pytest.raises(NucleusUploadError, match="did not end well"):
        upload.collect(ended | {started.job_ids[0]: {"status": "Errored", "message": {}}})
    before = state.get("nucleus_upload")

    with pytest.raises(NucleusSourceError):
        bench.upload(gone, state=state, fingerprint=gone, chunk_rows=10).run()
    assert state.get("nucleus_upload") == before
    with pytest.raises(NucleusSourceError):
        bench.upload(gone, state=state, fingerprint=gone, chunk_rows=10, clear_count=1).run()
    assert state.get("nucleus_upload") == before


def test_refused_rows_of_a_missing_input_are_counted(bench: Bench, tmp_path, read_jsonl):
    """The quarantine file stays as the checks left it, and the reasons are in the summary."""
    where = tmp_path / "bad.jsonl"
    rows = [*boxes(20), box(20, reference_id="nowhere"), box(21, label="")]
    options = {"max_error_rate": 0.5, "quarantine": where}
    upload = bench.upload(rows, **options)
    started = upload.start()
    upload.wait(started)
    summary = bench.upload(gone, **options).collect(record=started.record)

    assert (summary.processed, summary.errored, summary.rejected) == (20, 1, 1)
    assert any("nowhere" in reason for reason in summary.first_errors)
    assert [line["row"] for line in read_jsonl(where)] == [22]


DAMAGES = {
    "damaged gzip": b"\x1f\x8b\x08\x00 no longer what it was",
    "cut off": b"",
    "no text": b"\xff\xfe\x00",
    "other rows": b"".join(json.dumps(box(n)).encode() + b"\n" for n in range(100, 103)),
    "as many other rows": b'{"broken\n'
    + b"".join(json.dumps(box(n)).encode() + b"\n" for n in range(100, 121)),
    "Parquet": b"PAR1 but not really PAR1",
}


@pytest.mark.parametrize(
    ("damage", "noticed"),
    # Without a fingerprint nothing tells as many other rows from those that were sent.
    [
        *((damage, True) for damage in DAMAGES),
        *((damage, False) for damage in DAMAGES if "many" not in damage),
    ],
)
def test_refused_rows_of_an_input_that_changed_are_counted(
    bench: Bench, tmp_path, read_jsonl, caplog, damage: str, noticed: bool
):
    """The rows are stored, whatever became of the file since: no failure, and no complaints about rows that were never sent."""
    source = tmp_path / "rows.jsonl"
    where = tmp_path / "bad.jsonl"
    rows = [*boxes(20), box(20, reference_id="nowhere"), box(21, label="")]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"max_error_rate": 0.5, "quarantine": where, "state": MemoryState()}
    if noticed:
        options["fingerprint"] = lambda: fingerprint(source)
    upload = bench.upload(lambda: open_rows(source, kind="annotations"), **options)
    ended = upload.wait(upload.start())
    source.write_bytes(DAMAGES[damage])
    summary = upload.collect(ended)

    assert (summary.rows, summary.processed, summary.errored, summary.rejected) == (22, 20, 1, 1)
    assert any("nowhere" in reason for reason in summary.first_errors)
    assert summary.quarantine == str(where)
    assert [line["row"] for line in read_jsonl(where)] == [22]
    assert "counted, but not in the quarantine file" in caplog.text


def test_a_quarantine_that_cannot_be_written_is_no_damaged_input(bench: Bench, tmp_path):
    """The user asked for the file; that it is not there must not be found out later."""
    where = tmp_path / "bad.jsonl"
    upload = bench.upload([*boxes(20), box(20, reference_id="nowhere")], max_error_rate=0.5, quarantine=where)
    ended = upload.wait(upload.start())
    where.mkdir()

    with pytest.raises(NucleusUploadError, match="Could not write the quarantine file"):
        upload.collect(ended)


def test_what_the_jobs_did_is_recorded_before_the_report(bench: Bench, tmp_path, read_jsonl):
    """A process that ends while it reads the input once more: what is stored is known, and what was refused is asked for again."""
    state = MemoryState()
    where = tmp_path / "bad.jsonl"
    rows = [*boxes(20), box(20, reference_id="nowhere")]
    options = {"max_error_rate": 0.5, "quarantine": where, "state": state, "chunk_rows": 10}
    upload = bench.upload(rows, **options)
    jobs = upload.start().job_ids
    upload.wait(upload.start())

    def killed():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.upload(killed, **options).collect()
    record = state.get("nucleus_upload")
    assert (record["taken"], [chunk[3] for chunk in record["open"]]) == ([[2, 10, 10, 0]], jobs[2:])
    summary = bench.upload(rows, **options).run()

    assert (summary.rows, summary.processed, summary.errored, summary.unaccounted) == (21, 20, 1, 0)
    assert [line["row"] for line in read_jsonl(where)] == [21]
    assert bench.jobs() == jobs


def test_a_start_names_the_jobs_of_an_earlier_attempt(bench: Bench):
    """Whoever waits can tell them from its own: theirs may end cancelled for reasons of the past."""
    state = MemoryState()
    first = bench.upload(boxes(20), state=state, fingerprint="f1", chunk_rows=10).start()
    again = bench.upload(boxes(20), state=state, fingerprint="f1", chunk_rows=10).start()
    more = {"fingerprint": "f2", "chunk_rows": 10, "on_change": "continue"}
    continued = bench.upload(boxes(30), state=state, **more).start()

    assert (first.attached, again.attached) == ([], first.job_ids)
    assert continued.attached == first.job_ids
    assert len(continued.job_ids) == 3


def test_continuing_sends_again_what_jobs_lost(bench: Bench):
    """A job the server no longer knows is not counted as under way because the rest of the input changed."""
    state = MemoryState()
    bench.upload(boxes(20), state=state, fingerprint="f1", chunk_rows=10).start()
    record = state.get("nucleus_upload")
    record["open"][0][3] = "job_0000000000000000000000000000"
    state.set("nucleus_upload", record)
    summary = bench.upload(
        boxes(25), state=state, fingerprint="f2", chunk_rows=10, on_change="continue"
    ).run()

    assert (summary.rows, summary.processed + summary.ignored) == (25, 25)
    assert len(bench.stored_ids()) == 25


CHANGES = ["dataset", "model", "update", "slice"]


def elsewhere(bench: Bench, change: str) -> tuple[Bench, dict]:
    """The same rows for another place: the bench of it, and the arguments of its upload."""
    if change == "dataset":
        other = replace(bench, dataset_id=bench.client.send(create_dataset("another")))
        items = [{"reference_id": f"item-{n}", "image_url": f"http://images/{n}.jpg"} for n in range(50)]
        other.upload(items, kind="items").run()
        return other, {}
    different = {
        "model": {"model_id": bench.model()},
        "update": {"update": True},
        "slice": {"trained_slice_id": "slc_1"},
    }
    return bench, different[change]


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_a_record_of_another_place_is_not_taken_for_this_one(bench: Bench, change: str, finished: bool):
    """Correcting the dataset or the model and trying again sends the rows there; nothing is said to be stored that is not."""
    state = MemoryState()
    first = {"kind": "predictions", "model_id": bench.model(), "state": state, "fingerprint": "f"}
    wrong = bench.upload(boxes(10), **first)
    wrong.wait(wrong.start())
    if finished:
        wrong.collect()
    there, different = elsewhere(bench, change)
    corrected = first | different

    with pytest.raises(NucleusUploadError, match=r"began for predictions of model .* on_change='restart'"):
        there.upload(boxes(10), **corrected).run()
    # Cleared, to go on where it stopped: that it is another place counts more.
    again = {"clear_count": 1, "on_clear": "reattach", "on_change": "restart"}
    summary = there.upload(boxes(10), **corrected, **again).run()

    assert (summary.dataset_id, summary.model_id) == (there.dataset_id, corrected["model_id"])
    assert (summary.sent, summary.processed + summary.ignored) == (10, 10)
    assert len(there.predictions(corrected["model_id"])) == 10


def test_rows_sent_elsewhere_are_not_collected_here(bench: Bench):
    """A task that wakes up with another dataset says so, instead of reporting the rows as stored there."""
    started = bench.upload(boxes(10)).start()
    other = replace(bench, dataset_id="ds_other")

    with pytest.raises(NucleusUploadError, match=rf"went as annotations to dataset {bench.dataset_id}"):
        other.upload(boxes(10)).collect(record=started.record)
    bench.upload(boxes(10)).wait(started)


def test_real_detections_arrive(bench: Bench):
    """The COCO results of a real detector, from the file to the store."""
    folder = shared_data("home-objects")
    truth = folder / "ground_truth.json"
    images = bench.upload(
        lambda: open_rows(truth, kind="items", image_folder="https://images"), kind="items"
    ).run()
    model = bench.model()
    summary = bench.upload(
        lambda: open_rows(folder / "predictions_yolo.json", kind="predictions", categories=truth),
        kind="predictions",
        model_id=model,
    ).run()

    assert (images.processed, summary.processed, summary.unaccounted) == (85, 494, 0)
    assert len(bench.predictions(model)) == 494


def coco_results(tmp_path, name: str, results: list[dict]):
    """A file of COCO results about one image, and the rows of it."""
    truth = {"images": {1: "item-1"}, "categories": {1: "car"}}
    path = tmp_path / name
    path.write_text(json.dumps([{"image_id": 1, "category_id": 1, **result} for result in results]))
    return lambda: open_rows(path, kind="predictions", images=truth["images"], categories=truth["categories"])


def test_shards_of_one_image_do_not_take_each_others_ids(bench: Bench, tmp_path, caplog):
    """Uploaded side by side, every detection is stored; sent again in another order, none is stored twice."""
    model = bench.model()
    seen = [{"bbox": [n, 0, 5, 5], "score": score} for n in range(3) for score in (0.25, 0.5)]
    twice = {"bbox": [9, 9, 5, 5], "score": 0.5}
    target = {"kind": "predictions", "model_id": model}
    first = bench.upload(coco_results(tmp_path, "a.json", [*seen[:3], twice, twice, twice]), **target).run()
    second = bench.upload(coco_results(tmp_path, "b.json", seen[3:]), **target).run()

    assert (first.processed, first.duplicates, second.processed) == (6, 0, 3)
    stored = bench.predictions(model)
    assert len(stored) == len({row["annotation_id"] for row in stored}) == 9
    assert "were ignored" not in caplog.text
    again = bench.upload(
        coco_results(tmp_path, "c.json", [twice, *reversed(seen), twice, twice]), **target
    ).run()
    assert (again.processed, again.ignored) == (0, 9)
    assert "9 rows were ignored: objects with their ids exist" in caplog.text


def test_refusals_before_the_deferral_are_reported_after_it(bench: Bench, tmp_path, read_jsonl):
    """Sent in one process, collected in another: the record carries the server's words."""
    where = tmp_path / "bad.jsonl"
    rows = [*boxes(10), box(10, reference_id="nowhere")]
    options = {"asynchronous": False, "max_error_rate": 0.5, "quarantine": where}
    started = bench.upload(rows, **options).start()
    summary = bench.upload(rows, **options).collect(record=json.loads(json.dumps(started.record)))

    assert summary.errored == 1
    assert "nowhere" in summary.first_errors[0]
    assert [line["row"] for line in read_jsonl(where)] == [11]


@pytest.mark.parametrize("finished", [True, False])
def test_the_same_file_on_another_worker_is_the_same_input(bench, tmp_path, finished):
    """A retry elsewhere goes on, and so does one after `touch`; time stamps that are the same spare the reading; an edit is an edit."""
    state, read = MemoryState(), []

    def upload(path):
        def digest():
            read.append(path)
            return fingerprint(path)

        return bench.upload(
            lambda: open_rows(path, kind="annotations"),
            state=state,
            fingerprint=digest,
            file_marks=lambda: file_marks(path),
            chunk_rows=10,
        )

    here, there = tmp_path / "here.jsonl", tmp_path / "worker-2" / "here.jsonl"
    here.write_text("".join(json.dumps(row) + "\n" for row in boxes(30)))
    first = upload(here)
    started = first.start()
    if finished:
        first.collect(first.wait(started))
    upload(here).start()
    assert read == [here]

    there.parent.mkdir()
    there.write_bytes(here.read_bytes())
    os.utime(there, ns=(1, 1))
    assert upload(there).run().processed == 30
    os.utime(there, ns=(2, 2))
    assert upload(there).run().processed == 30
    assert read[-2:] == [there, there]
    assert len(bench.jobs()) == 3

    there.write_text(there.read_text().replace("label-0", "label-9"))
    with pytest.raises(NucleusUploadError, match="input changed"):
        upload(there).run()
