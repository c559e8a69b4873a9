"""The streaming JSON reader against the whole-document decoder."""

from __future__ import annotations

import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.exceptions import NucleusSourceError, NucleusValidationError
from airflow_provider_nucleus.sources import json_stream
from airflow_provider_nucleus.sources.json_stream import JsonFile

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["}, {", '"},{"', "é\\", "\U0001f600"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abé", max_size=3), inner, max_size=4)
    ),
)
ROWS = st.lists(st.dictionaries(st.text("ab", max_size=2), VALUES, max_size=3), max_size=12)


@pytest.fixture
def tiny_window(monkeypatch: pytest.MonkeyPatch):
    """Return a function that sets the window, so that every boundary falls inside something."""
    return lambda size: monkeypatch.setattr(json_stream, "WINDOW", size)


def read_array(raw: bytes) -> list[object]:
    return [element for batch in JsonFile(io.BytesIO(raw), "f.json").batches() for element in batch]


def read_members(raw: bytes) -> None:
    document = JsonFile(io.BytesIO(raw), "f.json")
    for _ in document.members():
        document.skip()


@given(
    rows=st.one_of(ROWS, st.lists(VALUES, max_size=12)),
    window=st.sampled_from([3, 16, 100, 1 << 20]),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_elements_equal_those_of_the_whole_document(rows, window, indent, ascii_only):
    """Whatever the window cuts through, the elements are those json.loads finds."""
    raw = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode()
    before, json_stream.WINDOW = json_stream.WINDOW, window
    try:
        assert rows == read_array(raw)
    finally:
        json_stream.WINDOW = before


@given(
    rows=ROWS,
    cut=st.integers(0, 10_000),
    window=st.sampled_from([5, 64, 1 << 20]),
    ascii_only=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_a_cut_document_is_refused(rows, cut, window, ascii_only):
    """A document that ends too early raises instead of looking shorter than it is; it may be whole at the next try."""
    raw = json.dumps({"a": rows, "b": 1}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    before, json_stream.WINDOW = json_stream.WINDOW, window
    try:
        with pytest.raises(NucleusSourceError, match=r"f\.json: the JSON, after \d+ bytes, is cut off"):
            read_members(raw[: cut % len(raw)])
    finally:
        json_stream.WINDOW = before


def test_members_are_read_one_by_one(tiny_window):
    """An object's arrays stream while its other members are read or skipped."""
    tiny_window(7)
    document = JsonFile(
        io.BytesIO(b'{"info": {"v": [1]}, "rows": [{"a": 1}, {"a": 2}], "end": -1.5e3}'), "f.json"
    )
    found: dict[str, object] = {}
    for key in document.members():
        found[key] = (
            [row for batch in document.batches() for row in batch] if key == "rows" else document.value()
        )

    assert found == {"info": {"v": [1]}, "rows": [{"a": 1}, {"a": 2}], "end": -1500.0}


def test_a_byte_order_mark_is_ignored():
    """Files written by Windows tools begin with a byte order mark."""
    assert read_array(b'\xef\xbb\xbf[{"a":1}]') == [{"a": 1}]


@pytest.mark.parametrize(
    "raw", [b"", b"[", b"[1", b"[1.", b"[1e", b"[-", b"[tru", b'["a', b'["\\', b'["\\u12', b'["\xc3']
)
def test_an_end_that_comes_too_early_is_told_from_nonsense(raw: bytes):
    """Wherever the writer of the file was interrupted: a later try may find the rest."""
    with pytest.raises(NucleusSourceError, match=f"after {len(raw)} bytes"):
        read_array(raw)


@pytest.mark.parametrize("raw", [b"[1 2]", b"[1,]", b'[{"a":}]', b"{", b"[\xff]", b'["\\x41"]', b"[truer]"])
def test_nonsense_names_the_byte(raw: bytes):
    """Text that is not JSON raises with its place in the file."""
    with pytest.raises(NucleusValidationError, match="near byte"):
        read_array(raw)


@pytest.mark.parametrize("more", [b"[]", b"\n{}", b"x", b"\0", b","])
def test_nothing_may_follow_the_document(more: bytes):
    """Of two files that were joined, the second would not be read."""
    document = JsonFile(io.BytesIO(b"[1]" + more), "joined.json")
    assert list(document.batches()) == [[1]]

    with pytest.raises(NucleusValidationError, match="follows the end of the document"):
        document.finish()


def test_a_key_that_is_there_twice_is_refused():
    """Two lists of one name are not read as one, nor is one of them left out."""
    document = JsonFile(io.BytesIO(b'{"images": [1], "images": [2]}'), "twice.json")

    members = document.members()
    assert next(members) == "images"
    document.skip()

    with pytest.raises(NucleusValidationError, match="'images' is there twice"):
        next(members)


def test_depth_is_bounded():
    """A hostile document of nothing but brackets raises instead of exhausting the stack."""
    with pytest.raises(NucleusValidationError, match=r"nested too deeply|not valid JSON"):
        read_array(b"[" * 200_000)


def test_memory_is_set_by_the_window(tmp_path):
    """Reading an array does not hold it: the peak stays far under the size of the document."""
    row = json.dumps({"image_id": 1, "bbox": [1.5, 2.5, 3.5, 4.5], "pad": "x" * 200}).encode()
    path = tmp_path / "rows.json"
    path.write_bytes(b"[" + b",".join([row] * 100_000) + b"]")
    with path.open("rb") as stream:
        tracemalloc.start()
        count = sum(len(batch) for batch in JsonFile(stream, "rows.json").batches())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert count == 100_000
    assert peak < path.stat().st_size / 4
