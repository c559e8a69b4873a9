"""Paths of one machine, where tasks run on several: said in the log, hinted at in errors, and nowhere else."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError
from airflow_provider_nucleus.operators.uploads import NucleusUploadAnnotationsOperator
from airflow_provider_nucleus.tasks.machines import local_paths, runs_on_several_machines, spool_folder
from airflow_provider_nucleus.tasks.reports import write_report
from tests.airflow.harness import connection_json
from tests.unit.operators.fakes import context

CELERY = "airflow.providers.celery.executors.celery_executor.CeleryExecutor"


@pytest.mark.parametrize(
    ("executor", "several"),
    [
        ("LocalExecutor", False),
        ("SequentialExecutor", False),
        ("CeleryExecutor", True),
        ("LocalExecutor,KubernetesExecutor", True),
        (f"LocalExecutor, big:{CELERY}", True),
        ("team=a:LocalExecutor", False),
        ("my.own.SpreadingExecutor", True),
    ],
)
def test_executors_that_run_tasks_on_several_machines_are_known(monkeypatch, executor, several):
    """By what they are not: those of Airflow's own that run on one."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)

    assert several == runs_on_several_machines()


def test_paths_of_one_machine_are_told_from_addresses():
    """One place or a list of them; rows in memory are none."""
    assert local_paths(["/a.jsonl", Path("b"), "s3://x/y", None, "", {"label": "car"}]) == ["/a.jsonl", "b"]


@pytest.mark.parametrize("executor", ["LocalExecutor", "CeleryExecutor"])
def test_a_report_that_only_this_machine_has_is_said_to_be_so(monkeypatch, tmp_path, caplog, executor):
    """Where others run tasks too."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    with caplog.at_level(logging.WARNING):
        write_report(str(tmp_path / "r.json"), {"a": 1})

    assert (str(tmp_path) in caplog.text and "on several" in caplog.text) == (executor == "CeleryExecutor")


def _upload(**arguments: Any) -> Any:
    return NucleusUploadAnnotationsOperator(task_id="up", dataset_id="ds_1", deferrable=False, **arguments)


@pytest.mark.parametrize("executor", ["LocalExecutor", "CeleryExecutor"])
def test_a_source_that_is_not_there_may_be_on_another_worker(monkeypatch, tmp_path, executor):
    """The error says so, and what to do."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    monkeypatch.setenv(
        "AIRFLOW_CONN_NUCLEUS_DEFAULT", connection_json(endpoint="http://127.0.0.1:1/v1", api_key="key")
    )
    task = _upload(source=str(tmp_path / "rows.jsonl"))

    with pytest.raises(NucleusSourceError, match="does not exist") as caught:
        task.execute(context(task))

    assert ("another task wrote the file" in str(caught.value)) == (executor == "CeleryExecutor")


def test_the_spool_is_an_argument(tmp_path):
    """Its folder is made; what cannot be one is refused by name."""
    task = _upload(source="x.jsonl", spool=str(tmp_path / "a" / "b"))

    assert (options := task._options(None)).spool == str(tmp_path / "a" / "b")
    assert Path(options.spool or "").is_dir()
    assert spool_folder(" ") is None
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "file", "s3://bucket/spool"):
        with pytest.raises(NucleusConfigError, match="spool"):
            spool_folder(str(wrong))
