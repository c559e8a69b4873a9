"""The record of an upload: what it knows, how small it is, and that it is not trusted blindly."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.client.uploads.resume.ledger import (
    DIGEST_CHARS,
    AcceptedChunks,
    FlawedChunk,
    Ledger,
    MemoryState,
    OpenChunk,
    Record,
)
from airflow_provider_nucleus.exceptions import NucleusUploadError


def digest(number: int) -> str:
    return f"{number:0{DIGEST_CHARS}d}"


def test_a_record_survives_being_saved():
    """Everything comes back, through real JSON."""
    record = Record(
        clear_count=3,
        fingerprint="f",
        destination="annotations to dataset ds_1",
        accepted=digest(1) + digest(2),
        flawed=[FlawedChunk(digest(3), 5, 2, 1, 1, 1)],
        refused=["Item with id x doesn't exist"],
        open=[
            OpenChunk(digest(4), 7, "2026-01-01T00:00:00.000Z", "job_1", samples=[{"reference_id": "i"}]),
            OpenChunk(digest(5), 8),
        ],
        all_sent=True,
        outcomes=[AcceptedChunks(1, 10, 9, 1), AcceptedChunks(1, 5, 5, 0)],
        input={"rows": 30},
        summary=None,
    )

    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_digests_are_found_whole_only():
    """A digest that happens to span two neighbours is not accepted."""
    record = Record(
        accepted="a" * 6 + "b" * 6 + "c" * 6 + "d" * 6, flawed=[FlawedChunk("f" * 12, 1, 0, 0, 1, 0)]
    )

    assert record.is_settled("a" * 6 + "b" * 6)
    assert record.is_settled("c" * 6 + "d" * 6)
    assert not record.is_settled("b" * 6 + "c" * 6)
    assert record.is_settled("f" * 12)
    assert not Record().is_settled(digest(1))


def test_accepting_moves_a_chunk_and_adds_its_counts():
    """A whole chunk joins the accepted, one with refused rows the flawed; neither is under way any longer."""
    record = Record(open=[OpenChunk(digest(1), 10, job_id="j1"), OpenChunk(digest(2), 10, job_id="j2")])
    record.accept(digest(1), 10, processed=9, ignored=1)
    record.accept(digest(2), 10, processed=5, ignored=2, errored=2, unaccounted=1)

    assert record.open == []
    assert record.accepted == digest(1)
    assert record.totals == {
        "sent": 20,
        "processed": 14,
        "ignored": 3,
        "errored": 2,
        "unaccounted": 1,
        "chunks": 2,
    }


def test_rows_under_way_are_sent_and_not_accounted_for():
    """Nobody has said what became of them: they are in no other number."""
    record = Record(open=[OpenChunk(digest(1), 7), OpenChunk(digest(2), 10, job_id="j2")])
    record.accept(digest(2), 10, processed=9, ignored=0, unaccounted=1)

    assert record.totals == {
        "sent": 17,
        "processed": 9,
        "ignored": 0,
        "errored": 0,
        "unaccounted": 8,
        "chunks": 2,
    }


def test_chunks_of_another_input_are_forgotten_with_their_counts():
    """Each accepted chunk keeps its own outcome, however many of them had the same one."""
    record = Record()
    for number in range(6):
        record.accept(digest(number), 10, processed=9 if number == 4 else 10, ignored=number == 4)
    assert record.outcomes == [
        AcceptedChunks(4, 10, 10, 0),
        AcceptedChunks(1, 10, 9, 1),
        AcceptedChunks(1, 10, 10, 0),
    ]
    forgotten = record.keep_only({digest(0), digest(3), digest(5)})

    assert record.accepted == digest(0) + digest(3) + digest(5)
    assert record.outcomes == [AcceptedChunks(3, 10, 10, 0)]
    assert record.totals == {
        "sent": 30,
        "processed": 30,
        "ignored": 0,
        "errored": 0,
        "unaccounted": 0,
        "chunks": 3,
    }
    assert forgotten.totals == {
        "sent": 30,
        "processed": 29,
        "ignored": 1,
        "errored": 0,
        "unaccounted": 0,
        "chunks": 3,
    }


@pytest.mark.parametrize(
    ("rows", "chunk", "state"),
    [(10_000_000, 196_000, "open"), (10_000_000, 40_000, "accepted"), (100_000_000, 196_000, "open")],
)
def test_the_record_is_small(rows, chunk, state):
    """Ten million rows need a few kilobytes, and ten times that still fits into the 64 KB of one stored value."""
    count = rows // chunk
    record = Record(fingerprint="f" * 32)
    if state == "open":
        record.open = [
            OpenChunk(digest(n), chunk, "2026-01-01T00:00:00.000Z", f"job_{n:022d}") for n in range(count)
        ]
    else:
        for n in range(count):
            record.accept(digest(n), chunk, processed=chunk, ignored=0)

    assert len(json.dumps(record.to_json())) < (64_000 if rows > 10_000_000 else 6_000)


@pytest.mark.parametrize(
    "value",
    [
        [],
        "x",
        {},
        {"v": 99},
        {"v": 1},
        {"v": 2},
        {"v": 3},
        Record().to_json() | {"open": [[1]]},
        Record().to_json() | {"accepted": 1, "taken": []},
        Record().to_json() | {"accepted": digest(1), "taken": [[2, 10, 10, 0]]},
        Record().to_json() | {"accepted": digest(1), "taken": [[1, 10]]},
    ],
)
def test_a_value_that_is_not_ours_is_refused(value):
    """Users can edit the store; guessing from a broken record could lose rows."""
    store = MemoryState()
    store.set("nucleus_upload", value)
    with pytest.raises(NucleusUploadError, match="Delete it in the task's state store"):
        Ledger(store).load()


def test_a_store_that_fails_is_not_an_empty_store():
    """An error of the store passes through: it must not look like a first attempt."""

    class Broken(MemoryState):
        def get(self, key):
            raise ConnectionError("store is down")

    with pytest.raises(ConnectionError):
        Ledger(Broken()).load()


def test_records_of_different_uploads_do_not_mix():
    """The identity is part of the key."""
    store = MemoryState()
    one, two = Ledger(store, identity="a"), Ledger(store, identity="b")
    one.save(Record(clear_count=1))
    two.save(Record(clear_count=2))

    assert one.load() == Record(clear_count=1)
    assert two.load() == Record(clear_count=2)
