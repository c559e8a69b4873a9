"""Labels of mapped tasks fit Airflow's column, whatever the argument is."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.models.taskinstance import TaskInstance

from airflow_provider_nucleus.tasks.labels import MAX_LABEL, short_label

LONG = "s3://bucket/" + "deep/" * 100


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("rows.jsonl", "rows.jsonl"),
        (Path("rows.jsonl"), "rows.jsonl"),
        (["rows.jsonl"], "rows.jsonl"),
        (["a.jsonl", "b.jsonl", "c.jsonl"], "a.jsonl and 2 more"),
        (("job_1", "job_2"), "job_1 and 1 more"),
        ([{"label": "car"}], "1 row"),
        ([{}] * 120, "120 rows"),
        ([], "0 rows"),
        (iter([]), "list_iterator"),
        (None, ""),
        ("None", ""),
        (7, "7"),
    ],
)
def test_label_says_what_it_is_about(value, label):
    """One place is named, several by the first and their number, rows by their number."""
    assert short_label(value) == label


@pytest.mark.parametrize("value", [LONG + "x.jsonl", [LONG + "x.jsonl"] * 1_000, [LONG] * 2, "x" * 251])
def test_label_fits_the_column(value):
    """Longer text would be refused by PostgreSQL, and with it the end of the task."""
    column = TaskInstance.__table__.columns["rendered_map_index"]

    assert column.type.length == MAX_LABEL
    assert len(short_label(value)) == MAX_LABEL


def test_label_keeps_the_end_of_a_path():
    """Parts of a batch differ there."""
    assert short_label(LONG + "part-7.jsonl").endswith("/part-7.jsonl")
    assert short_label([LONG + "part-7.jsonl", "other"]).endswith("/part-7.jsonl and 1 more")
