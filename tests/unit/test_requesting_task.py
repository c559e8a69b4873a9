"""The header that names the task which asks: what is written is read again, and what comes from anybody is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nucleus.client.config import NucleusConfig
from airflow_provider_nucleus.requesting_task import TASK_HEADER, read_task, task_header

IDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=100)


@given(dag=IDS, run=IDS, task=IDS, index=st.none() | st.integers(0, 10_000))
def test_what_is_written_is_read_again(dag: str, run: str, task: str, index: int | None):
    """Ids of any characters, line breaks among them, and a header of printable ASCII."""
    text = task_header({"dag_id": dag, "run_id": run, "task_id": task, "map_index": index, "secret": "x"})

    assert text.isascii()
    assert text.isprintable()
    expected = {"dag_id": dag, "run_id": run, "task_id": task}
    assert read_task(text) == expected | ({} if index is None else {"map_index": str(index)})


@pytest.mark.parametrize("text", ["", "x", "=", "other=1", "dag_id=%ff", "&" * 50, "dag_id=" + "a" * 5000])
def test_what_says_nothing_is_nothing(text: str):
    """Unknown names, broken escapes, too much of it: no task, and no error."""
    assert read_task(text) is None


def test_ids_that_no_header_holds_are_left_out():
    """A request is never lost for the sake of its header."""
    assert task_header({"dag_id": "ä" * 2000}) == ""


@pytest.mark.parametrize(
    ("endpoint", "sent"),
    [
        ("http://127.0.0.1:8787/v1/nucleus", True),
        ("https://nucleus.example.com/v1/nucleus", True),
        ("https://api.scale.com/v1/nucleus", False),
        ("https://nucleus.eu.scale.com/v1/nucleus", False),
    ],
)
def test_the_cloud_is_not_told(endpoint: str, *, sent: bool):
    """Names of DAGs are nobody's business but that of a server of one's own."""
    config = NucleusConfig(endpoint=endpoint, api_key="k", requesting_task="dag_id=a")

    assert config.task_headers() == ({TASK_HEADER: "dag_id=a"} if sent else {})
