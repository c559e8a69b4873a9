"""Finding files, rows in memory, fingerprints."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from upath import UPath

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError
from airflow_provider_nucleus.schema.batches import batches_of
from airflow_provider_nucleus.schema.rows import SourceRow
from airflow_provider_nucleus.sources import fingerprint, open_rows
from airflow_provider_nucleus.sources.files import find_files
from airflow_provider_nucleus.sources.fingerprint import file_marks

if TYPE_CHECKING:
    from pathlib import Path


def lay(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps({"label": name}) + "\n")


def labels(source: object) -> list[str]:
    return [row.data["label"] for row in open_rows(source, kind="predictions")]


def test_a_folder_stands_for_its_row_files_in_order(tmp_path: Path):
    """Markers, hidden files and other formats are passed over; sub-folders are not."""
    lay(
        tmp_path,
        "b.jsonl",
        "a.jsonl",
        "sub/c.ndjson",
        "_SUCCESS",
        ".hidden.jsonl",
        "_temporary/x.jsonl",
        "notes.txt",
    )

    assert ["a.jsonl", "b.jsonl", "sub/c.ndjson"] == labels(tmp_path) == labels(str(tmp_path))


def test_a_glob_stands_for_its_matches(tmp_path: Path):
    """Also over folders; a file whose name merely looks like a glob is itself."""
    lay(tmp_path, "day=1/a.jsonl", "day=2/b.jsonl", "day=2/c.json", "odd[1].jsonl")

    assert labels(f"{tmp_path}/day=*/*.jsonl") == ["day=1/a.jsonl", "day=2/b.jsonl"]
    assert labels(tmp_path / "odd[1].jsonl") == ["odd[1].jsonl"]


def test_a_list_of_paths_is_read_in_its_order(tmp_path: Path):
    """The user's order wins over the alphabet."""
    lay(tmp_path, "a.jsonl", "b.jsonl")

    assert labels([str(tmp_path / "b.jsonl"), tmp_path / "a.jsonl"]) == ["b.jsonl", "a.jsonl"]
    assert labels(f"file://{tmp_path}/a.jsonl") == ["a.jsonl"]


@pytest.mark.parametrize("name", ["missing.jsonl", "*.jsonl", "empty"])
def test_nothing_to_read_is_an_error_at_once(tmp_path: Path, name: str):
    """An empty folder or a mistyped path must not look like an empty data set; or the files come later."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(NucleusSourceError, match=name.replace("*", r"\*")):
        open_rows(tmp_path / name, kind="predictions")


def test_credentials_in_addresses_stay_out_of_names():
    """The query of a signed address is a secret; names appear in logs and quarantine files."""

    class Signed:
        def __str__(self) -> str:
            return "https://host/rows.jsonl?X-Signature=secret&X-Expires=9"

        def open(self, mode: str) -> None: ...

    assert find_files(Signed())[0].name == "https://host/rows.jsonl"


def test_rows_in_memory_may_be_anything_that_knows_its_wire_form():
    """Dicts and objects with to_wire; the rest are problems."""

    class Thing:
        def to_wire(self) -> dict:
            return {"label": "thing", "type": "box", "geometry": {}}

    rows = list(open_rows([{"label": "dict"}, Thing(), 7], kind="predictions"))

    assert [row.data["label"] for row in rows[:2]] == ["dict", "thing"]
    assert "int" in rows[2].problem
    assert list(open_rows([], kind="items")) == []
    assert len(list(open_rows(({"n": n} for n in range(5_000)), kind="items"))) == 5_000


def test_arguments_that_do_not_fit_are_refused():
    """A number is no source, and format names are checked."""
    with pytest.raises(NucleusConfigError, match="int"):
        open_rows(7, kind="items")
    with pytest.raises(NucleusConfigError, match="csv"):
        open_rows([], kind="items", format="csv")
    with pytest.raises(NucleusConfigError, match="geometry"):
        open_rows("x.json", kind="annotations", geometry="circle")


def test_the_fingerprint_follows_the_bytes(tmp_path: Path):
    """Same bytes, same settings: same fingerprint, wherever and whenever they were written. Anything else changed: another."""
    lay(tmp_path, "one/a.jsonl", "two/a.jsonl")
    before = fingerprint(tmp_path / "one", {"labels": {}})

    os.utime(tmp_path / "one/a.jsonl", ns=(1, 1))
    assert before == fingerprint(tmp_path / "one", {"labels": {}})
    (tmp_path / "two/a.jsonl").write_bytes((tmp_path / "one/a.jsonl").read_bytes())
    assert before == fingerprint(tmp_path / "two", {"labels": {}})
    assert before != fingerprint(tmp_path / "one", {"labels": {"a": "b"}})
    same = (tmp_path / "one/a.jsonl").stat()
    (tmp_path / "one/a.jsonl").write_text((tmp_path / "one/a.jsonl").read_text().replace("one", "eno"))
    os.utime(tmp_path / "one/a.jsonl", ns=(same.st_atime_ns, same.st_mtime_ns))
    assert before != (edited := fingerprint(tmp_path / "one", {"labels": {}}))
    lay(tmp_path, "one/b.jsonl")
    assert edited != fingerprint(tmp_path / "one", {"labels": {}})


def test_marks_are_those_of_the_files_and_read_nothing(tmp_path: Path):
    """They change with the time stamp, and there are none for rows in memory."""
    lay(tmp_path, "a.jsonl")
    (tmp_path / "a.jsonl").chmod(0)
    before = file_marks(tmp_path, 1)

    assert before == file_marks(tmp_path, 1) != file_marks(tmp_path, 2)
    os.utime(tmp_path / "a.jsonl", ns=(1, 1))
    assert before != file_marks(tmp_path, 1)
    assert file_marks([{"a": 1}]) is None


def test_a_remote_file_without_a_checksum_is_known_by_size_and_samples():
    """Reading all of it again would cost as much as the upload."""
    memory = UPath("memory://fingerprints")
    memory.mkdir(exist_ok=True)
    marks = []
    for name, data in {"one": b"a" * 5_000_000, "two": b"b" * 5_000_000, "three": b"a" * 5_000_001}.items():
        (memory / name).mkdir(exist_ok=True)
        (memory / name / "rows.jsonl").write_bytes(data)
        marks.append(fingerprint(memory / name / "rows.jsonl"))
    (memory / "two" / "rows.jsonl").write_bytes(b"a" * 5_000_000)

    assert len(set(marks)) == 3
    assert marks[0] == fingerprint(memory / "two" / "rows.jsonl")


def test_the_fingerprint_of_rows_in_memory_is_their_content():
    """A list has one; an iterator, which can be read once only, has none."""
    assert fingerprint([{"a": 1, "b": 2}]) == fingerprint([{"b": 2, "a": 1}]) != fingerprint([{"a": 2}])
    assert fingerprint(iter([])) is None


def test_single_rows_are_gathered_into_batches_without_loss():
    """Any iterator of rows can be drained in batches: order within a source, problems included."""
    rows = [
        SourceRow("a", 1, {"n": 1}),
        SourceRow("a", 2, {}, "bad"),
        SourceRow("a", 3, {"n": 3}),
        SourceRow("b", 1, {"n": 4}),
    ]
    batches = list(batches_of(iter(rows), size=2))

    assert [(one.source, list(one.numbers), [bad.number for bad in one.problems]) for one in batches] == [
        ("a", [1, 3], [2]),
        ("b", [1], []),
    ]
    assert list(batches_of(iter([]))) == []


def test_a_file_named_twice_is_refused(tmp_path):
    """A batch that ran again is named by two events; its objects have no ids that would tell."""
    path = tmp_path / "rows.jsonl"
    path.write_text("{}\n")
    for source in ([path, str(path)], [path, tmp_path], [path, str(tmp_path / "*.jsonl")]):
        with pytest.raises(NucleusConfigError, match=r"rows\.jsonl more than once.*count twice"):
            list(open_rows(source, kind="predictions"))
