"""Documents at paths and addresses: whole or not at all, packed by suffix, and clear words where they cannot be read."""

from __future__ import annotations

import gzip
import json
import threading

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError
from airflow_provider_nucleus.tasks.documents import read_json, write_json


@pytest.mark.parametrize(
    "form",
    [
        "{folder}/a.json",
        "{folder}/deep/a.json.gz",
        "file://{folder}/b.json",
        "memory://documents/{name}.json.gz",
    ],
)
def test_what_is_written_is_read(form, tmp_path, memory_store):
    """On disks and elsewhere."""
    place = form.format(folder=tmp_path, name=tmp_path.name)
    write_json(place, {"f1": 0.1 + 0.2, "ä": [None]})

    assert read_json(place) == {"f1": 0.1 + 0.2, "ä": [None]}


def test_the_suffix_packs(tmp_path):
    """Equal documents are equal bytes: no time of writing in them."""
    write_json(tmp_path / "a.json.gz", {"a": 1})
    first = (tmp_path / "a.json.gz").read_bytes()
    write_json(tmp_path / "a.json.gz", {"a": 1})

    assert json.loads(gzip.decompress(first)) == {"a": 1}
    assert first == (tmp_path / "a.json.gz").read_bytes()


def test_a_document_that_cannot_be_written_leaves_the_old_one(tmp_path):
    """NaN is no JSON."""
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})

    assert read_json(tmp_path / "a.json") == {"a": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_writers_at_once_leave_one_whole_document(tmp_path):
    """Whoever is last wins; nobody reads a mixture."""
    place = tmp_path / "a.json"
    writers = [
        threading.Thread(target=write_json, args=(place, {"writer": n, "text": str(n) * 50_000}))
        for n in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = read_json(place)

    assert found["text"] == str(found["writer"]) * 50_000
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_what_cannot_be_read_says_why(tmp_path):
    """A missing file is the caller's business; the rest is said here."""
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("verdict: pass")
    with pytest.raises(NucleusConfigError, match=r"text.json is no JSON document"):
        read_json(tmp_path / "text.json")
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(bytes(range(256)))[:40])
    with pytest.raises(NucleusSourceError, match=r"cut.json.gz"):
        read_json(tmp_path / "cut.json.gz")
    with pytest.raises(NucleusConfigError, match=r"nope://bucket/a.json cannot be read"):
        read_json("nope://bucket/a.json")
