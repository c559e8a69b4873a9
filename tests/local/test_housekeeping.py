"""What the server keeps besides rows: metadata updates, fetched images, and files that nobody needs any more."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import duckdb
import pytest
import requests
from nucleus.async_job import JobError
from starlette.testclient import TestClient

from airflow_provider_nucleus.local.datadir import DataDir
from airflow_provider_nucleus.local.errors import DataDirError
from airflow_provider_nucleus.local.jobs.cleanup import sweep_uploads
from airflow_provider_nucleus.local.server import API_PREFIX, create_app
from airflow_provider_nucleus.local.settings import Settings
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api, box
from tests.pictures import picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import nucleus as official

PICTURE = picture()


def test_metadata_updates_merge(client: official.NucleusClient, api: Api):
    """New keys win, others stay, digits and all; synchronously and as a job."""
    dataset = client.get_dataset(api.dataset())
    long = 123456789012345678901234567890
    item = {"reference_id": "a", "image_url": "x", "metadata": {"keep": 1, "change": 2}}
    api.ok("POST", f"dataset/{dataset.id}/append", data=json.dumps({"items": [item]}))

    answer = dataset.update_item_metadata({"a": {"change": long}})
    job = dataset.update_item_metadata({"a": {"new": "x"}, "nowhere": {}}, asynchronous=True)
    with pytest.raises(JobError):
        job.sleep_until_complete(verbose_std_out=False)

    assert answer == {"dataset_id": dataset.id, "updated": 1}
    assert job.status()["status"] == "Errored_Partial"
    assert job.status()["message"]["metadata_update"] == {"processed": 1, "errored": 1}
    assert "nowhere" in job.errors()[0]
    assert dataset.refloc("a")["item"].metadata == {"keep": 1, "change": long, "new": "x"}


def test_metadata_updates_keep_types(api: Api):
    """The type of a key is that of the first upload, for updates too."""
    dataset = api.dataset("a")
    route = f"dataset/{dataset}/metadata?async=0"
    api.ok("POST", route, json={"metadata": [{"reference_id": "a", "metadata": {"k": 1}}], "level": "item"})

    answer = api.ok(
        "POST", route, json={"metadata": [{"reference_id": "a", "metadata": {"k": "x"}}], "level": "item"}
    )

    assert answer["updated"] == 0
    assert "metadata.k is a number" in answer["errors"][0]


class Pictures(BaseHTTPRequestHandler):
    """A web server with one picture."""

    def do_GET(self) -> None:
        found = self.path == "/a.png"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        self.wfile.write(PICTURE if found else b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def pictures() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_images_are_fetched_when_asked_for(tmp_path: Path, pictures: str):
    """A reachable image is kept; an unreachable one is an error of its row and of the job, the others are stored."""
    with LocalNucleus(tmp_path / "data", environment={"NUCLEUS_LOCAL_FETCH_IMAGES": "1"}) as server:
        api = Api(server)
        dataset = api.dataset()
        urls = [f"{pictures}/a.png", f"{pictures}/gone.png", "s3://not/fetched.png"]
        lines = "".join(json.dumps({"reference_id": url[-5:], "image_url": url}) + "\n" for url in urls)
        job = api.upload(dataset, f"dataset/{dataset}/append", lines)

        status = api.wait(job)

        assert status["status"] == "Errored_Partial"
        assert "1 images could not be fetched" in status["message"]["final_error"]
        (error,) = api.ok("GET", f"job/{job}/errors")
        assert f'Failure when processing the image "{urls[1]}"' in json.loads(error)["error"]
        assert api.ok("GET", f"dataset/{dataset}/size") == {"count": 2}
        assert [path.read_bytes() for path in (server.data_dir / "blobs").glob("*/*")] == [PICTURE]
        api.close()


def test_leftovers_are_removed_at_start(tmp_path: Path):
    """Half-received files and bytes that nothing shows any more go, files without rows are put aside; the rest stays."""
    server = LocalNucleus(tmp_path / "data").start()
    api = Api(server)
    dataset, gone = api.dataset("a"), api.dataset()
    for name in (dataset, gone):
        item = {"reference_id": "pic", "image_url": "pic.png", "metadata": {}}
        files = [
            ("items", (None, json.dumps([item]), "application/json")),
            ("image", ("pic.png", PICTURE, "image/png")),
        ]
        api.wait(api.ok("POST", f"dataset/{name}/append?async=1", files=files)["job_id"])
    waiting = api.ok("GET", f"dataset/{dataset}/signedUrl/later")["signed_url"]
    assert requests.put(waiting, data=json.dumps(box("a", "1")), timeout=60).ok
    api.ok("DELETE", f"dataset/{gone}", json={})
    server.stop()
    spool, blobs = server.data_dir / "spool", server.data_dir / "blobs"
    (kept,) = (path.name for path in spool.glob("*.ndjson"))
    stray, unknown = f"{'s' * 43}.ndjson", "00" * 20
    (spool / stray).write_bytes(b"{}")
    (spool / f"{stray}.12345678.part").write_bytes(b"{}")
    (spool / "spill").mkdir(exist_ok=True)
    (spool / "spill" / "duckdb_temp_1_0_storage_DEFAULT-0.tmp").write_bytes(b"memory")
    (spool / "notes.ndjson").write_bytes(b"not the server's")
    (blobs / "00").mkdir(exist_ok=True)
    (blobs / "00" / unknown).write_bytes(b"unknown")
    (blobs / "00" / f"{unknown}.12345678.part").write_bytes(b"unk")
    with duckdb.connect(str(server.data_dir / "nucleus.duckdb")) as store:
        store.execute("UPDATE blobs SET created_at = TIMESTAMP '2020-01-01'")

    server.start()

    assert {path.name for path in spool.glob("*.*")} == {
        kept,
        "notes.ndjson",
    }
    assert not list((spool / "spill").glob("*DEFAULT-0.tmp"))
    assert len(list(blobs.glob("*/*"))) == 1
    aside = server.data_dir / "not-in-the-store"
    assert {
        str(path.relative_to(aside)): path.read_bytes() for path in aside.rglob("*") if path.is_file()
    } == {
        f"spool/{stray}": b"{}",
        f"blobs/00/{unknown}": b"unknown",
    }
    assert f"moved 2 files or results (9 bytes) that the store does not know to {aside}" in server.log
    job = api.ok("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": "later"})
    assert api.wait(job["job_id"])["message"]["annotation_upload"]["processed"] == 1
    api.close()
    server.stop()


def test_uploads_that_nobody_came_for_go_once_their_address_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A client that died between PUT and the start of its job leaves nothing for good, kills of the server or not."""
    now, later = timestamps.now(), timedelta(0)
    monkeypatch.setattr(timestamps, "now", lambda: now + later)
    spool = tmp_path / "data" / "spool"
    app = create_app(tmp_path / "data", settings=Settings(api_key="k"))
    with TestClient(app) as browser:
        browser.auth = ("k", "")
        dataset = browser.post(f"{API_PREFIX}/dataset/create", json={"name": "d"}).json()["dataset_id"]
        signed = browser.get(f"{API_PREFIX}/dataset/{dataset}/signedUrl/1").json()["signed_url"]
        assert browser.put(signed, content=b"{}\n").status_code == 200
        later = timedelta(hours=1.9)
        sweep_uploads(app.state.services)
        kept = len(list(spool.glob("*.ndjson")))
        later = timedelta(hours=2.1)
        sweep_uploads(app.state.services)

    assert (kept, list(spool.glob("*.ndjson"))) == (1, [])


def test_copies_beside_what_was_moved_aside_are_named(tmp_path: Path):
    """Neither of the two is deleted or replaced, whether the store knows them or not; the log names both."""
    server = LocalNucleus(tmp_path / "data").start()
    api = Api(server)
    dataset = api.dataset()
    item = {"reference_id": "pic", "image_url": "pic.png", "metadata": {}}
    files = [
        ("items", (None, json.dumps([item]), "application/json")),
        ("image", ("pic.png", PICTURE, "image/png")),
    ]
    api.wait(api.ok("POST", f"dataset/{dataset}/append?async=1", files=files)["job_id"])
    api.close()
    server.stop()
    aside, blobs = server.data_dir / "not-in-the-store", server.data_dir / "blobs"
    (known,) = blobs.glob("*/*")
    unknown = blobs / "00" / ("00" * 20)
    for path in (known, unknown):
        for copy in (path, aside / path.relative_to(server.data_dir)):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(PICTURE)

    server.start()
    server.stop()

    for path in (known, unknown):
        copy = aside / path.relative_to(server.data_dir)
        assert path.read_bytes() == copy.read_bytes() == PICTURE
        first, second = (copy, path) if path == known else (path, copy)
        assert f"{first} stays where it is: {second} is there as well" in server.log


def test_newer_stores_are_refused(tmp_path: Path):
    """A store written by a later version is left alone, with a message that says what to do."""
    with DataDir(tmp_path / "data") as folder:
        with duckdb.connect(str(folder.database)) as store:
            store.execute("CREATE TABLE store_version (version INTEGER)")
            store.execute("INSERT INTO store_version VALUES (99)")

        with pytest.raises(DataDirError, match="newer version"):
            create_app(folder, settings=Settings(api_key="k"))


def test_unusable_data_directories_are_explained(tmp_path: Path):
    """A file in the place of the directory is an error that names it."""
    (tmp_path / "file").write_text("")

    with pytest.raises(DataDirError, match="cannot be written"):
        DataDir(tmp_path / "file")


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    """Every limit has a variable; a value of the wrong type is refused by its name."""
    monkeypatch.setenv("NUCLEUS_LOCAL_JOB_WORKERS", "5")
    monkeypatch.setenv("NUCLEUS_LOCAL_FETCH_IMAGES", "true")

    settings = Settings.from_environment(api_key="k")

    assert (settings.job_workers, settings.fetch_images, settings.memory_limit) == (5, True, "2GB")
    assert "secret" not in repr(Settings(api_key="secret"))
    monkeypatch.setenv("NUCLEUS_LOCAL_JOB_WORKERS", "many")
    with pytest.raises(ValueError, match="NUCLEUS_LOCAL_JOB_WORKERS must be of type int"):
        Settings.from_environment(api_key="k")
