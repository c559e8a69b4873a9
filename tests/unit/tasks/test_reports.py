"""Where a task instance writes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_nucleus.tasks.reports import is_mapped_form, path_for_instance, write_report


def at(index: int) -> dict:
    return {"ti": SimpleNamespace(map_index=index)}


@pytest.mark.parametrize(
    ("place", "mapped"),
    [
        ("bad.jsonl", "bad.map3.jsonl"),
        ("s3://bucket/day.1/report.json", "s3://bucket/day.1/report.map3.json"),
        ("s3://bucket/day.1/report", "s3://bucket/day.1/report.map3"),
        ("/tmp/.hidden", "/tmp/.hidden.map3"),
        ("a.b.parquet", "a.b.map3.parquet"),
        (Path("/tmp/bad.jsonl"), Path("/tmp/bad.map3.jsonl")),
    ],
)
def test_mapped_instances_have_files_of_their_own(place, mapped):
    """The suffix, which says what the file is, stays the last; a task that is not mapped writes where it is told to."""
    assert path_for_instance(place, at(3)) == mapped
    assert path_for_instance(place, at(-1)) == place


@pytest.mark.parametrize(
    ("name", "place", "same"),
    [
        ("/d/bad.map0.jsonl", "/d/bad.jsonl", True),
        ("/d/bad.map0.jsonl", "/d/bad.map12.jsonl", True),
        ("s3://b/d/report.map7", "s3://b/d/report", True),
        ("/d/.hidden.map3", "/d/.hidden.map4", True),
        ("/d/bad.jsonl", "/d/bad.map1.jsonl", False),
        ("/d/bad-1.jsonl", "/d/bad.jsonl", False),
        ("/d/bad.mapped.jsonl", "/d/bad.jsonl", False),
        ("/d/bad.map1.txt.jsonl", "/d/bad.jsonl", False),
        ("/d/badXmap1.jsonl", "/d/bad.jsonl", False),
        ("/d/worse.map1.jsonl", "/d/bad.jsonl", False),
        ("/e/bad.map1.jsonl", "/d/bad.jsonl", False),
        ("/d/bad.map1.parquet", "/d/bad.jsonl", False),
    ],
)
def test_files_of_mapped_siblings_are_known_by_their_names(name, place, same):
    """Whatever the index, of the same place only."""
    assert is_mapped_form(name, place) is same


@pytest.mark.parametrize("blank", [None, "", "None"])
def test_no_place_is_no_place(blank):
    """A template that found nothing."""
    assert path_for_instance(blank, at(0)) is None


def test_report_is_json(tmp_path):
    """Whole, and without numbers that JSON does not have."""
    place = tmp_path / "report.json"
    write_report(str(place), {"ap": 0.5})

    assert json.loads(place.read_text()) == {"ap": 0.5}
    with pytest.raises(ValueError, match="JSON"):
        write_report(str(place), {"ap": float("nan")})
