"""A disk that is really full under the real server: what is answered is true, and everything goes on once there is room."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import nucleus as official
import pytest
import requests
from starlette.testclient import TestClient

from airflow_provider_nucleus.client.calls.jobs import job_status
from airflow_provider_nucleus.client.config import NucleusConfig
from airflow_provider_nucleus.client.jobs import wait_for_job
from airflow_provider_nucleus.client.sync import NucleusClient
from airflow_provider_nucleus.local.server import API_PREFIX, create_app
from airflow_provider_nucleus.local.settings import Settings
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api, box
from tests.local.evaluated import world
from tests.local.small_disk import SmallDisk, small_disk
from tests.pictures import picture

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from airflow_provider_nucleus.local.store.database import Cursor

MEGABYTE = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small disk whose root is the data directory."""
    with small_disk(tmp_path / "data", megabytes=24) as mounted:
        yield mounted


@pytest.fixture
def server(disk: SmallDisk) -> Iterator[LocalNucleus]:
    """A server on the small disk that commits uploads in pieces of 100 kB."""
    started = LocalNucleus(disk.path, environment={"NUCLEUS_LOCAL_CHUNK_BYTES": "100000"}).start()
    yield started
    started.stop()


@pytest.fixture
def api(server: LocalNucleus) -> Iterator[Api]:
    api = Api(server)
    yield api
    api.close()


def lines(count: int) -> str:
    """Rows of 500 bytes or more."""
    return "".join(json.dumps(box("a", str(n), metadata={"text": f"{n:0>300}"})) + "\n" for n in range(count))


def stored_ids(api: Api, dataset: str) -> list[int]:
    found = api.ok("GET", f"dataset/{dataset}/iloc/0")["annotations"].get("box", [])
    return sorted(int(entry["annotation_id"]) for entry in found)


def assert_full(answer: requests.Response, disk: SmallDisk) -> None:
    """The answer says what is the matter, what became of the request and what to do, and names no path."""
    assert answer.status_code == 507, answer.text
    text = answer.json()["error"]
    assert "disk of this Nucleus server is full" in text
    assert "nothing of this request was stored" in text
    assert str(disk.path) not in text


def waiting(api: Api, job: str) -> dict[str, Any]:
    """Poll a job until it says that it waits for room."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = api.ok("GET", f"job/{job}")
        assert status["status"] == "Running", status
        if "waiting" in status["message"]:
            return dict(status)
        time.sleep(0.01)
    raise AssertionError(f"job {job} does not wait for room: {status}")


def test_an_upload_that_does_not_fit_is_refused_whole(api: Api, disk: SmallDisk):
    """Whatever room is left, a PUT is stored to the last byte or answered with 507 and not at all."""
    body = lines(2000)
    dataset = api.dataset("a")
    for left in (500_001, 300_000, len(body) - 1, 50_000, 4096, 1000, 0):
        signed = api.ok("GET", f"dataset/{dataset}/signedUrl/r{left}")["signed_url"]
        disk.fill(left=left)

        refused = requests.put(signed, data=body, timeout=60)
        started = api("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": f"r{left}"})

        assert_full(refused, disk)
        assert started.status_code == 400
        assert "Nothing was uploaded" in started.json()["error"]
        assert not list((disk.path / "spool").glob("*.*"))
        disk.make_room()

    assert requests.put(signed, data=body, timeout=60).ok
    job = api.ok("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": f"r{left}"})["job_id"]
    assert api.wait(job)["message"]["annotation_upload"]["processed"] == 2000


@contextmanager
def transaction_without_room(cursor: Cursor) -> Generator[None]:
    """A transaction whose commit finds no room."""
    cursor.execute("BEGIN")
    try:
        yield
    finally:
        cursor.execute("ROLLBACK")
    raise OSError(errno.ENOSPC, "no room")


def test_an_upload_whose_commit_finds_no_room_leaves_the_former_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Refused rows are not there, and those of an earlier PUT to the same address are."""
    with TestClient(create_app(tmp_path / "data", settings=Settings(api_key="k"))) as browser:
        browser.auth = ("k", "")
        made = browser.post(f"{API_PREFIX}/dataset/create", json={"name": "d"}).json()["dataset_id"]
        signed = browser.get(f"{API_PREFIX}/dataset/{made}/signedUrl/r").json()["signed_url"]
        spool = tmp_path / "data" / "spool"

        def refused(rows: str) -> list[bytes]:
            with monkeypatch.context() as patch:
                patch.setattr(
                    "airflow_provider_nucleus.local.store.database._transaction", transaction_without_room
                )
                assert browser.put(signed, content=rows).status_code == 507
            return [path.read_bytes() for path in spool.glob("*.ndjson*")]

        assert refused("other rows\n") == []
        assert browser.put(signed, content="first\n").status_code == 200
        assert refused("other rows\n" * 5) == [b"first\n"]
        assert browser.put(signed, content="second\n").status_code == 200
        assert [path.read_bytes() for path in spool.glob("*.ndjson*")] == [b"second\n"]


def test_a_request_on_a_full_disk_is_undone(api: Api, disk: SmallDisk):
    """Rows without room are answered with 507 and not stored, reads go on, and with room the request succeeds."""
    dataset = api.dataset("a")
    rows = [json.loads(line) for line in lines(1000).splitlines()]
    body = {"annotations": rows, "update": False}
    disk.fill(left=20_000)

    assert_full(api("POST", f"dataset/{dataset}/annotate", json=body), disk)
    assert stored_ids(api, dataset) == []

    disk.make_room()
    assert api.ok("POST", f"dataset/{dataset}/annotate", json=body)["annotations_processed"] == 1000
    assert stored_ids(api, dataset) == list(range(1000))


@pytest.mark.parametrize("temporary", ["elsewhere", "on the full disk"])
def test_images_without_room_leave_nothing(disk: SmallDisk, tmp_path: Path, temporary: str):
    """One image fits, two do not: 507, no file is left, and with room both are served."""
    folder = tmp_path if temporary == "elsewhere" else disk.path / ".tmp"
    folder.mkdir(exist_ok=True)
    with LocalNucleus(disk.path, environment={"TMPDIR": str(folder)}) as server:
        api = Api(server)
        dataset = api.dataset()
        large = picture() + bytes(2 * MEGABYTE)
        items = [{"reference_id": name, "image_url": name, "metadata": {}} for name in "ab"]

        def append() -> requests.Response:
            images = [("image", (f"{name}.png", large, "image/png")) for name in "ab"]
            files = [("items", (None, json.dumps(items), "application/json")), *images]
            return api("POST", f"dataset/{dataset}/append?async=1", files=files)

        disk.fill(left=3 * MEGABYTE)

        assert_full(append(), disk)
        place = disk.path / "blobs" if temporary == "elsewhere" else folder
        assert f"a disk is full, that of {place}" in server.log
        assert not [path for path in (disk.path / "blobs").glob("*/*") if path.is_file()]
        assert api.ok("GET", f"dataset/{dataset}/size") == {"count": 0}

        disk.make_room()
        assert api.wait(append().json()["job_id"])["status"] == "Completed"
        kept = [path for path in (disk.path / "blobs").glob("*/*") if path.is_file()]
        assert len(kept) == 2
        for path in kept:
            assert requests.get(f"{server.url}/files/{path.name}", timeout=60).content == large
        api.close()


def test_a_job_waits_for_room_and_goes_on(api: Api, disk: SmallDisk):
    """Without room in the middle of its rows a job stays Running and says why; with room it ends with every row once."""
    dataset = api.dataset("a")
    disk.fill(left=3 * MEGABYTE)
    job = api.upload(dataset, f"dataset/{dataset}/annotate", lines(3000))
    disk.fill(left=60_000)

    status = waiting(api, job)

    assert status["completed_steps"] < 3000
    assert "disk of this Nucleus server is full" in status["message"]["waiting"]
    assert str(disk.path) not in str(status)
    disk.make_room()
    final = api.wait(job)
    assert (final["status"], list(final["message"])) == ("Completed", ["annotation_upload"])
    assert final["message"]["annotation_upload"]["processed"] == 3000
    assert stored_ids(api, dataset) == list(range(3000))


def test_the_client_of_the_provider_reads_why_a_job_waits(server: LocalNucleus, api: Api, disk: SmallDisk):
    """From the real answer, whatever else is in it."""
    dataset = api.dataset("a")
    job = api.upload(dataset, f"dataset/{dataset}/annotate", lines(3000))
    disk.fill(left=60_000)

    with NucleusClient(NucleusConfig(endpoint=server.url, api_key=server.api_key)) as client:
        # It looks again now and then, and does not wait while it does.
        while (reason := client.send(job_status(job)).waiting) is None:
            pass
        assert "disk of this Nucleus server is full" in reason
        disk.make_room()
        assert wait_for_job(client, job, poll_interval=0.05).waiting is None


def test_a_waiting_job_can_be_cancelled(api: Api, disk: SmallDisk):
    """Cancelled, a job that waits for room ends at once with what it had stored."""
    dataset = api.dataset("a")
    disk.fill(left=3 * MEGABYTE)
    job = api.upload(dataset, f"dataset/{dataset}/annotate", lines(3000))
    disk.fill(left=60_000)
    waiting(api, job)

    api.ok("POST", f"job/{job}/cancel")

    status = api.wait(job)
    assert status["status"] == "Cancelled"
    assert len(stored_ids(api, dataset)) == status["completed_steps"] < 3000


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_waiting_job_survives_the_server(api: Api, server: LocalNucleus, disk: SmallDisk, end: str):
    """Stopped or killed on a full disk, a server loses nothing; the next one goes on with the job."""
    dataset = api.dataset("a")
    disk.fill(left=3 * MEGABYTE)
    job = api.upload(dataset, f"dataset/{dataset}/annotate", lines(3000))
    disk.fill(left=60_000)
    waiting(api, job)

    assert getattr(server, end)() in {0, None}
    disk.make_room()
    server.start()

    again = Api(server)
    assert again.wait(job)["message"]["annotation_upload"]["processed"] == 3000
    assert stored_ids(again, dataset) == list(range(3000))
    again.close()


def test_what_was_acknowledged_survives_a_kill_on_a_full_disk(
    api: Api, server: LocalNucleus, disk: SmallDisk
):
    """Every row that was answered with 200 is there after a kill and a restart, first without room, and none else."""
    dataset = api.dataset("a")
    disk.fill(left=100_000)
    acknowledged, refused = [], 0
    for n in range(40):
        row = box("a", str(n), metadata={"text": "x" * 9000})
        answer = api("POST", f"dataset/{dataset}/annotate", json={"annotations": [row], "update": False})
        if answer.ok:
            acknowledged.append(n)
        else:
            assert_full(answer, disk)
            refused += 1
    assert acknowledged
    assert refused

    for prepare in (lambda: None, disk.make_room):
        server.kill()
        prepare()
        server.start()
        again = Api(server)
        assert stored_ids(again, dataset) == acknowledged
        again.close()


def test_an_evaluation_waits_for_room(server: LocalNucleus, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch):
    """A result that does not fit leaves nothing half; with room the evaluation succeeds."""
    monkeypatch.setattr("nucleus.async_job.JOB_POLLING_INTERVAL", 0.01)
    client = official.NucleusClient(api_key=server.api_key, endpoint=server.url)
    places = range(0, 60_000, 20)
    found = world(
        client, {"a": {}}, [("a", "car", x) for x in places], [("a", "car", x, 0.9) for x in places]
    )
    assert found.benchmark is not None
    api = Api(server)
    disk.fill(left=100_000)
    made = found.benchmark.create_evaluation_v2(model_id=found.model.id)

    waiting(api, api.ok("GET", f"evaluationsV2/{made.id}")["temporal_workflow_id"])

    assert not list((disk.path / "evaluations").iterdir())
    disk.make_room()
    assert made.wait_for_completion(60, 0.02).status == "succeeded"
    api.close()


def test_metrics_wait_for_room(api: Api, disk: SmallDisk):
    """Matches that do not fit are calculated again when there is room."""
    dataset = api.dataset("a")
    model = api.ok("POST", "models/add", json={"name": "m", "reference_id": "m", "metadata": {}})["model_id"]
    rows = [box("a", str(n), geometry={"x": 50 * n, "y": 0, "width": 9, "height": 9}) for n in range(3000)]
    for route in (f"dataset/{dataset}/annotate", f"dataset/{dataset}/model/{model}/uploadPredictions"):
        api.ok("POST", route, json={"annotations": rows, "update": False})
    disk.fill(left=20_000)
    job = api.ok("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json={})["job_id"]

    waiting(api, job)

    disk.make_room()
    final = api.wait(job)
    assert (final["status"], final["message"]["rows"]["matched"]) == ("Completed", 3000)


@pytest.mark.parametrize("left", [0, 4096, 8192, 12288])
def test_a_first_start_without_room_leaves_a_directory_that_can_be_used(
    disk: SmallDisk, left: int, tmp_path: Path
):
    """The command says that there is no room, in one sentence, and starts when there is."""
    disk.fill(left=left)
    command = [sys.executable, "-m", "airflow_provider_nucleus.cli.main", "serve", "--port", "0"]
    refused = subprocess.run(
        [*command, "--data-dir", str(disk.path)], capture_output=True, text=True, timeout=60, check=False
    )

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "room" in refused.stderr
    assert "Traceback" not in refused.stderr
    disk.make_room()
    with LocalNucleus(disk.path):
        pass
