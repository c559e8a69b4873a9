"""SIGKILL at the worst moments: what was acknowledged is there, once; jobs go on where they were."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api, box

if TYPE_CHECKING:
    from pathlib import Path


SMALL_CHUNKS = {"NUCLEUS_LOCAL_CHUNK_BYTES": "5000"}


def rows(count: int) -> str:
    return "".join(json.dumps(box("a", str(n))) + "\n" for n in range(count))


def stored_ids(api: Api, dataset: str) -> list[int]:
    found = api.ok("GET", f"dataset/{dataset}/iloc/0")["annotations"].get("box", [])
    return [int(entry["annotation_id"]) for entry in found]


def test_killed_job_goes_on_after_a_restart(tmp_path: Path):
    """Killed between chunks again and again, an upload job ends Completed with every row once."""
    server = LocalNucleus(tmp_path / "data", environment=SMALL_CHUNKS).start()
    api = Api(server)
    count = 600
    dataset = api.dataset("a")
    job = api.upload(dataset, f"dataset/{dataset}/annotate", rows(count))
    seen = 0
    for _ in range(2):
        status = api.ok("GET", f"job/{job}")
        while status["completed_steps"] <= seen and status["status"] == "Running":
            status = api.ok("GET", f"job/{job}")
        assert status["status"] == "Running", (
            "the job ended before it could be killed; make the chunks smaller"
        )
        seen = status["completed_steps"]
        server.kill()
        server.start()
        restarted = api.ok("GET", f"job/{job}")["completed_steps"]
        assert restarted >= seen

    final = api.wait(job)

    assert final["status"] == "Completed"
    counts = final["message"]["annotation_upload"]
    assert (counts["total"], counts["processed"], counts["ignored"], counts["errored"]) == (
        count,
        count,
        0,
        0,
    )
    assert stored_ids(api, dataset) == list(range(count))
    assert not list((server.data_dir / "spool").glob("*.ndjson"))
    api.close()
    server.stop()


def test_acknowledged_synchronous_rows_survive_a_kill(tmp_path: Path):
    """A 200 means the rows are on disk: they are there after a kill, and nothing else is."""
    server = LocalNucleus(tmp_path / "data").start()
    api = Api(server)
    dataset = api.dataset("a")
    for n in range(10):
        body = {"annotations": [box("a", str(n))], "update": False}
        assert api.ok("POST", f"dataset/{dataset}/annotate", json=body)["annotations_processed"] == 1
    server.kill()
    server.start()

    assert stored_ids(api, dataset) == list(range(10))
    api.close()
    server.stop()


def test_stopped_server_finishes_its_jobs_next_time(tmp_path: Path):
    """SIGTERM ends the server cleanly in the middle of a job, which goes on at the next start."""
    server = LocalNucleus(tmp_path / "data", environment=SMALL_CHUNKS).start()
    api = Api(server)
    dataset = api.dataset("a")
    job = api.upload(dataset, f"dataset/{dataset}/annotate", rows(600))

    assert server.stop() == 0
    assert "Traceback" not in server.log
    server.start()

    assert api.wait(job)["status"] == "Completed"
    assert stored_ids(api, dataset) == list(range(600))
    api.close()
    server.stop()


def test_running_jobs_can_be_cancelled(tmp_path: Path):
    """A cancelled job stops before its next chunk, says so, and keeps what it had stored."""
    server = LocalNucleus(tmp_path / "data", environment=SMALL_CHUNKS).start()
    api = Api(server)
    dataset = api.dataset("a")
    job = api.upload(dataset, f"dataset/{dataset}/annotate", rows(2000))
    api.ok("POST", f"job/{job}/cancel")

    status = api.wait(job)

    assert status["status"] == "Cancelled"
    assert status["completed_steps"] < 2000
    assert len(stored_ids(api, dataset)) == status["completed_steps"]
    api.close()
    server.stop()


def test_second_server_on_the_same_directory_is_refused(nucleus: LocalNucleus):
    """The data directory has one server; the second says who holds it and ends."""
    command = [sys.executable, "-m", "airflow_provider_nucleus.cli.main", "serve", "--port", "0"]
    second = subprocess.run(
        [*command, "--data-dir", str(nucleus.data_dir)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert second.returncode == 2
    assert f"in use by another nucleus-local (process {nucleus.pid})" in second.stderr


def test_generated_key_is_kept_and_never_printed(tmp_path: Path):
    """Without a key one is made; the next start uses it, and no log has it."""
    keys = set()
    for _ in range(2):
        server = LocalNucleus(tmp_path / "data", api_key="").start()
        key = (server.data_dir / "api-key").read_text().strip()
        keys.add(key)
        server.api_key = key
        api = Api(server)
        assert api("GET", "dataset/details").ok
        api.close()
        server.stop()
        assert key not in server.log

    assert len(keys) == 1
    assert (server.data_dir / "api-key").stat().st_mode & 0o077 == 0
