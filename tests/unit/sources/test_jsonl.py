"""JSONL in every packing, with every kind of bad line."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.exceptions import NucleusSourceError, NucleusValidationError
from airflow_provider_nucleus.sources import jsonl, open_rows

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    {"reference_id": f"i{n}", "label": "é", "type": "box", "geometry": {"x": n}, "n": 1.5} for n in range(500)
]
RAW = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def zstd(raw: bytes) -> bytes:
    return pa.compress(raw, codec="zstd", asbytes=True)


def read(path: Path, **options) -> list:
    return list(open_rows(path, kind="predictions", **options))


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("rows.jsonl", RAW),
        ("rows.ndjson", RAW.rstrip()),
        ("rows.jsonl.gz", gzip.compress(RAW)),
        ("rows.jsonl.gz", gzip.compress(RAW[:1000]) + gzip.compress(RAW[1000:])),
        ("rows.jsonl.zst", zstd(RAW)),
        ("rows.jsonl.zst", zstd(RAW[:1000]) + zstd(RAW[1000:])),
        ("misnamed.jsonl", gzip.compress(RAW)),
        ("no_suffix", RAW),
        ("rows.json", RAW),
        ("windows.jsonl", b"\xef\xbb\xbf" + RAW.replace(b"\n", b"\r\n")),
        ("array.json", json.dumps(ROWS).encode()),
        ("array.json.gz", gzip.compress(json.dumps(ROWS, indent=2).encode())),
    ],
    # Not the bytes: gzip writes the time into them, and workers that collect in different seconds would not agree.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_packing_gives_the_same_rows(tmp_path: Path, name: str, raw: bytes):
    """Compression and format are recognised by content; numbers are line numbers."""
    path = tmp_path / name
    path.write_bytes(raw)
    rows = read(path)

    assert [row.data for row in rows] == ROWS
    assert list(range(1, 501)) == [row.number for row in rows]
    assert {str(path)} == {row.source for row in rows}


def test_bad_lines_are_kept_as_problems(tmp_path: Path):
    """Each bad line keeps its number, its text and the reason; good and blank lines are not touched."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n\n{"a": \n[1]\nnull\n"x"\n  \n{"a": NaN}\n{"a": "\xff"}\n{"a": 2}')
    rows = read(path)

    assert [row.number for row in rows] == [1, 3, 4, 5, 6, 8, 9, 10]
    assert [
        row.problem and next(word for word in ("not JSON", "a list", "null", "text") if word in row.problem)
        for row in rows
    ] == [None, "not JSON", "a list", "null", "text", None, "not JSON", None]
    assert rows[1].data["raw"] == '{"a": '
    assert rows[-1].data == {"a": 2}


def test_a_line_that_is_json_but_no_object_does_not_pass_as_a_row(tmp_path: Path):
    """Also when every line of the block is valid JSON."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n[1]\n{"a": 2}\n')
    good, bad, last = read(path)

    assert [good.data, last.data] == [{"a": 1}, {"a": 2}]
    assert bad.problem == "not a JSON object but a list"


@given(
    st.lists(
        st.one_of(st.just(b""), st.just(b'{"a":1}'), st.just(b"bad"), st.just(b'{"b":"\\n"}')), max_size=30
    ),
    st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_blocks_do_not_matter(tmp_path_factory, lines: list[bytes], block: int):
    """Wherever a block ends, the same rows and problems come out."""
    path = tmp_path_factory.mktemp("d") / "rows.jsonl"
    path.write_bytes(b"\n".join(lines))
    before, jsonl.BLOCK = jsonl.BLOCK, block
    try:
        rows = read(path)
    finally:
        jsonl.BLOCK = before

    assert [(n, line == b"bad") for n, line in enumerate(lines, 1) if line] == [
        (row.number, row.problem is not None) for row in rows
    ]


@pytest.mark.parametrize(("name", "pack"), [("rows.jsonl.gz", gzip.compress), ("rows.jsonl.zst", zstd)])
def test_a_cut_compressed_file_is_an_error(tmp_path: Path, name: str, pack):
    """Half a download must not look like a small data set; a later try may find it whole."""
    packed = pack(RAW)
    path = tmp_path / name
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(NucleusSourceError, match=rf"{name}: the compressed file is cut off"):
        read(path)


@pytest.mark.parametrize(("name", "pack"), [("rows.jsonl.gz", gzip.compress), ("rows.jsonl.zst", zstd)])
def test_a_damaged_compressed_file_is_an_error(tmp_path: Path, name: str, pack):
    """Nothing a retry could mend."""
    packed = bytearray(pack(RAW * 50))
    packed[30:60] = b"\xff" * 30
    path = tmp_path / name
    path.write_bytes(packed)
    with pytest.raises(NucleusValidationError, match=rf"{name}: the compressed file is damaged"):
        read(path)


def test_a_file_without_lines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file of another format under a wrong name must not be read into memory as one line."""
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps(ROWS).encode())
    with pytest.raises(NucleusValidationError, match="not JSONL"):
        read(path)


def test_an_empty_file_has_no_rows(tmp_path: Path):
    """Zero bytes are zero rows."""
    for name in ("rows.jsonl", "rows.json", "rows"):
        (tmp_path / name).touch()
        assert read(tmp_path / name) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_text_in_another_encoding_is_no_row(tmp_path: Path, encoding: str):
    """Not even its first line, which happens to be whole."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"label": "a"}\n{"label": "b"}\n'.encode(encoding))
    if encoding == "utf-16":
        with pytest.raises(NucleusValidationError, match="UTF-16"):
            read(path, format="jsonl")
    else:
        assert all(row.problem for row in read(path, format="jsonl"))
