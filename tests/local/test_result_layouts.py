"""Results that cannot be read: of another version, or gone. Which of the two is said, and what to do."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import nucleus as official

from airflow_provider_nucleus.local.evaluations.computing.result_files import LAYOUT
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api
from tests.local.evaluated import result_folder, world

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_results_of_another_version_are_told_from_missing_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """409 and 404, each with one advice; a start counts the first kind in one line of the log."""
    monkeypatch.setattr("nucleus.async_job.JOB_POLLING_INTERVAL", 0.01)
    server = LocalNucleus(tmp_path / "data").start()
    client = official.NucleusClient(api_key=server.api_key, endpoint=server.url)
    found = world(client, {"a": {}}, [("a", "car", 0)], [("a", "car", 0, 0.9)])
    older, lost, whole = (found.evaluate().id for _ in range(3))
    server.stop()
    assert "another layout" not in server.log
    about = result_folder(server, older) / "about.json"
    text = about.read_bytes()
    assert text.startswith(b'{"layout":%d,' % LAYOUT)
    about.write_bytes(text.replace(b'{"layout":%d,' % LAYOUT, b'{"layout":%d,' % (LAYOUT - 1), 1))
    shutil.rmtree(result_folder(server, lost))

    server.start()
    api = Api(server)
    again = (
        f" Evaluate again: POST benchmarks/{found.benchmark.id}/evaluationsV2, or create_evaluation_v2 of the benchmark in the "
        "official client."
    )
    answers = {name: api("POST", f"evaluationsV2/{name}/charts", json={}) for name in (older, lost, whole)}
    refused = api("POST", f"evaluationsV2/{older}/retry", json={})

    assert (answers[older].status_code, answers[older].json()["error"]) == (
        409,
        f"The result of evaluation {older} was written by another version and cannot be read.{again}",
    )
    assert (answers[lost].status_code, answers[lost].json()["error"]) == (
        404,
        f"The result of evaluation {lost} is not in the data directory.{again}",
    )
    assert answers[whole].ok
    assert (refused.status_code, refused.json()["error"]) == (
        409,
        f"Evaluation {older} is succeeded; only a failed one can be retried.{again}",
    )
    assert server.log.count("1 of 3 evaluations have results of another layout") == 1
    api.close()
    server.stop()
