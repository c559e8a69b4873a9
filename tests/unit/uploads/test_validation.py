"""Checking the whole input: counts, quarantine, duplicates, memory."""

from __future__ import annotations

import json
import tracemalloc

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.client.uploads.check import duplicates
from airflow_provider_nucleus.client.uploads.check.duplicates import ExactKeys, KeyHashes
from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
from airflow_provider_nucleus.client.uploads.check.quarantine import Quarantine
from airflow_provider_nucleus.client.uploads.check.spool import ChunkPlan
from airflow_provider_nucleus.client.uploads.check.validation import validate_input
from airflow_provider_nucleus.exceptions import NucleusUploadError
from airflow_provider_nucleus.schema.rows import SourceRow

PLAN = ChunkPlan(1_000, 10, "", lambda _: False)


def box(number: int, **change) -> dict:
    return {"label": "car", "type": "box", "geometry": {"x": number, "y": 0, "width": 1, "height": 1}, "reference_id": "i", "annotation_id": f"a{number}"} | change  # fmt: skip


def source(rows, name="rows"):
    return lambda: iter([
        row if isinstance(row, SourceRow) else SourceRow(name, at, dict(row))
        for at, row in enumerate(rows, 1)
    ])


def check(rows, tmp_path, *, destination=None, kind="annotations"):
    with Quarantine(destination, tmp_path) as quarantine:
        return validate_input(rows, Encoder(kind), PLAN, folder=tmp_path, quarantine=quarantine)


def sent(validated) -> list[dict]:
    return [json.loads(line) for chunk in validated.spool.chunks for line in validated.spool.lines(chunk)]


def test_bad_rows_go_to_the_quarantine_and_good_ones_to_the_spool(tmp_path):
    """Each bad row with source, number, reason and the row itself, whoever found it bad."""
    rows = source([box(1), box(2, label=None), SourceRow("rows", 3, {"raw": "{"}, "not JSON"), box(4)])
    validated = check(rows, tmp_path, destination=tmp_path / "out" / "bad.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out" / "bad.jsonl").read_text().splitlines()]

    assert (validated.rows, validated.rejected, validated.good, validated.duplicates) == (4, 2, 2, 0)
    assert [row["annotation_id"] for row in sent(validated)] == ["a1", "a4"]
    assert sorted(line["row"] for line in lines) == [2, 3]
    by_row = {line["row"]: line for line in lines}
    assert by_row[3] == {"source": "rows", "row": 3, "reason": "not JSON", "data": {"raw": "{"}}
    assert by_row[2]["reason"].startswith("label")
    assert by_row[2]["data"]["annotation_id"] == "a2"


def test_the_quarantine_may_be_parquet(tmp_path):
    """The same columns, the row as JSON text."""
    where = tmp_path / "bad.parquet"
    check(source([box(1, label="")]), tmp_path, destination=str(where))
    (row,) = pq.read_table(where).to_pylist()

    assert (row["source"], row["row"]) == ("rows", 1)
    assert json.loads(row["data"])["annotation_id"] == "a1"


def test_an_old_quarantine_does_not_outlive_its_reasons(tmp_path):
    """After a clean run the file is empty; where there was none, none is made."""
    old, none = tmp_path / "old.jsonl", tmp_path / "none.jsonl"
    old.write_text("stale")

    assert check(source([box(1)]), tmp_path, destination=old).quarantine == str(old)
    assert old.read_text() == ""
    assert check(source([box(1)]), tmp_path, destination=none).quarantine is None
    assert not none.exists()


def test_values_json_cannot_carry_are_shown_as_text(tmp_path):
    """The row that is bad because of NaN can still be written down."""
    where = tmp_path / "bad.jsonl"
    check(source([box(1, confidence=float("nan"), metadata={"o": object()})]), tmp_path, destination=where)

    assert json.loads(where.read_text())["data"]["confidence"] == "nan"


def test_a_quarantine_that_cannot_be_written_is_an_error(tmp_path):
    """The report is a promise; without it the upload does not go on."""
    (tmp_path / "file").touch()
    with pytest.raises(NucleusUploadError, match="Could not write the quarantine file"):
        check(source([{}]), tmp_path, destination=tmp_path / "file" / "bad.jsonl")


def test_duplicates_name_the_first_of_their_kind(tmp_path):
    """The first row is kept; later ones say where it was, also in another file."""
    rows = source([box(1), box(2), box(1, label="van"), SourceRow("other", 1, box(2)), box(1)])
    where = tmp_path / "bad.jsonl"
    validated = check(rows, tmp_path, destination=where)
    lines = [json.loads(line) for line in where.read_text().splitlines()]

    assert (validated.rows, validated.rejected, validated.duplicates) == (5, 3, 3)
    assert [row["label"] for row in sent(validated)] == ["car", "car"]
    assert [(line["source"], line["row"]) for line in lines] == [("rows", 3), ("other", 1), ("rows", 5)]
    assert "duplicate of row 1:" in lines[0]["reason"]
    assert "duplicate of rows row 2:" in lines[1]["reason"]


def test_an_input_that_can_be_read_only_once_is_noticed(tmp_path):
    """When a second look is needed and gives other rows, nothing is sent instead of half."""
    rows = source([box(1), box(1)])()
    with (
        Quarantine(None, tmp_path) as quarantine,
        pytest.raises(NucleusUploadError, match=r"2 rows .* 0 the second"),
    ):
        validate_input(lambda: rows, Encoder("annotations"), PLAN, folder=tmp_path, quarantine=quarantine)


def test_equal_rows_without_ids_are_numbered_not_lost(tmp_path):
    """Two equal polygons without ids are two objects to the server, and stay two, with ids that a retry repeats."""
    polygon = {"label": "car", "type": "polygon", "geometry": {"vertices": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}]}, "reference_id": "i"}  # fmt: skip
    first = [row["annotation_id"] for row in sent(check(source([polygon] * 3), tmp_path))]
    (tmp_path / "again").mkdir()
    again = [row["annotation_id"] for row in sent(check(source([polygon] * 3), tmp_path / "again"))]

    assert len(set(first)) == 3
    assert first == again
    assert first[1] == f"{first[0]}-2"


@given(st.lists(st.integers(0, 12), max_size=40))
@settings(max_examples=60, deadline=None)
def test_duplicates_are_exactly_the_repetitions(tmp_path_factory, numbers):
    """Whatever the order, every identity is sent once."""
    folder = tmp_path_factory.mktemp("p")
    validated = check(source([box(number) for number in numbers]), folder)

    assert validated.duplicates == len(numbers) - len(set(numbers))
    assert [row["annotation_id"] for row in sent(validated)] == [f"a{n}" for n in dict.fromkeys(numbers)]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60), st.lists(st.integers(0, 3), max_size=60))
@settings(max_examples=60, deadline=None)
def test_suspects_are_the_hashes_that_repeat(tmp_path_factory, wide, narrow):
    """In memory and on disk alike; -1 stands for no identity and is never suspect."""
    values = [*wide, *narrow, *wide[:3], -1, -1]
    expected = {value for value in values if values.count(value) > 1 and value != -1}
    for limit in (10, 1_000):
        before, duplicates.IN_MEMORY = duplicates.IN_MEMORY, limit
        try:
            hashes = KeyHashes(tmp_path_factory.mktemp("h"))
            for at in range(0, len(values), 7):
                hashes.add(values[at : at + 7])
            repeated = hashes.repeated()
        finally:
            duplicates.IN_MEMORY = before
        assert {value for value in set(values) if value in repeated} == expected
        assert len(repeated) == len(expected)


def test_exact_keys_do_not_confuse_their_parts(tmp_path):
    """("a", "bc") is not ("ab", "c"), and None is not the text "None"."""
    with ExactKeys(tmp_path) as exact:
        assert [exact.count(key, "s", at)[0] for at, key in enumerate([("a", "bc"), ("ab", "c"), (None,), ("None",), ("a", "bc")])] == [1, 1, 1, 1, 2]  # fmt: skip


def test_colliding_hashes_are_no_duplicates(tmp_path, monkeypatch):
    """Equal hashes of different identities only cost a second look."""
    monkeypatch.setattr(Encoder, "encode_batch", _with_equal_hashes(Encoder.encode_batch))
    validated = check(source([box(1), box(2)]), tmp_path)

    assert (validated.good, validated.duplicates) == (2, 0)


def _with_equal_hashes(real):
    def encode_batch(self, rows):
        batch = real(self, rows)
        batch.hashes[:] = [7] * len(batch.hashes)
        return batch

    return encode_batch


def test_memory_does_not_follow_the_number_of_rows(tmp_path):
    """Five times the rows, the same peak (the batch), give or take the hashes."""

    def peak(count: int) -> int:
        rows = lambda: (SourceRow("rows", n, box(n)) for n in range(count))  # ruff: ignore[lambda-assignment]
        tracemalloc.start()
        check(rows, tmp_path)
        _, top = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return top

    assert peak(50_000) < peak(10_000) * 1.3 + 50_000 * 10
