"""Jobs that fail between their files and the rows that name them: no file without its row, no row without its file."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from starlette.testclient import TestClient

from airflow_provider_nucleus.local.jobs import chunks, evaluations, uploads
from airflow_provider_nucleus.local.jobs.image_fetch import Fetched
from airflow_provider_nucleus.local.server import API_PREFIX, create_app
from airflow_provider_nucleus.local.settings import Settings
from tests.local.story import annotate, box, make_model, predict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_nucleus.local.blobs import BlobFiles
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.ingest.ndjson import LineChunk


class InProcess:
    """A server in the process of the test, whose parts can be made to fail."""

    def __init__(self, browser: TestClient) -> None:
        self.browser = browser

    def ok(self, method: str, path: str, **kwargs: Any) -> Any:
        answer = self.browser.request(method, f"{API_PREFIX}/{path}", **kwargs)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def dataset(self, *references: str) -> str:
        dataset = self.ok("POST", "dataset/create", json={"name": "d"})["dataset_id"]
        items = [{"reference_id": name, "image_url": "s3://b/x.jpg", "metadata": {}} for name in references]
        self.ok("POST", f"dataset/{dataset}/append", json={"items": items})
        return str(dataset)

    def failed(self, job: str) -> None:
        """Wait until a job has failed for the reason that the test has given it."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            status = self.ok("GET", f"job/{job}")
            if status["status"] != "Running":
                assert "no such luck" in status["message"]["final_error"], status
                return
            time.sleep(0.01)
        raise AssertionError(f"job {job} did not end: {status}")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[InProcess]:
    settings = Settings(api_key="k", fetch_images=True, chunk_bytes=10)
    with TestClient(create_app(tmp_path / "data", settings=settings)) as browser:
        browser.auth = ("k", "")
        yield InProcess(browser)


def fail(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("no such luck")


def fetch(cursor: Cursor, blobs: BlobFiles, _: Callable[[], None]) -> list[Fetched]:
    """Keep a picture for every row, without any web."""
    rows = cursor.execute("SELECT n FROM parsed WHERE reason IS NULL").fetchall()
    kept = [(row, *blobs.keep(io.BytesIO(b"picture"))) for (row,) in rows]
    return [Fetched(row=row, token=token, content_type="image/png", size=size) for row, token, size in kept]


def append(api: InProcess, dataset: str) -> str:
    """Start the job that appends two items with images, a chunk each, and return its id."""
    lines = "".join(
        json.dumps({"reference_id": name, "image_url": f"http://x/{name}"}) + "\n" for name in "ab"
    )
    signed = api.ok("GET", f"dataset/{dataset}/signedUrl/r")["signed_url"]
    assert api.browser.put(signed, content=lines).status_code == 200
    return str(api.ok("POST", f"dataset/{dataset}/append?async=1", json={"requestId": "r"})["job_id"])


def pictures(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "data" / "blobs").glob("*/*") if path.is_file()]


def test_images_of_a_chunk_that_is_not_stored_are_deleted(
    api: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nobody else would: they have no row."""
    dataset = api.dataset()
    monkeypatch.setattr(uploads, "fetch_images", fetch)
    monkeypatch.setattr(uploads.item_chunks, "store_items", fail)

    api.failed(append(api, dataset))

    assert pictures(tmp_path) == []
    assert api.ok("GET", f"dataset/{dataset}/size") == {"count": 0}


def test_images_of_a_stored_chunk_outlive_a_later_failure(
    api: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The job fails behind its first chunk: that item and its image stay."""
    read = chunks.read_chunk

    def first_only(*args: Any, **kwargs: Any) -> LineChunk:
        chunk = read(*args, **kwargs)
        return fail() if args[1] else chunk

    monkeypatch.setattr(uploads, "fetch_images", fetch)
    monkeypatch.setattr(chunks, "read_chunk", first_only)
    dataset = api.dataset()

    api.failed(append(api, dataset))

    assert api.ok("GET", f"dataset/{dataset}/size") == {"count": 1}
    (kept,) = pictures(tmp_path)
    assert api.browser.get(f"{API_PREFIX}/files/{kept.name}").content == b"picture"


def test_a_result_whose_row_is_not_stored_is_deleted(
    api: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An evaluation that cannot say that it has succeeded leaves no files."""
    monkeypatch.setattr(evaluations.evaluations, "succeed", fail)
    dataset = api.dataset("a")
    annotate(api, dataset, box("a", "car", 0))
    run = predict(api, dataset, make_model(api), box("a", "car", 0, confidence=0.9))

    made = api.ok("POST", f"modelRun/{run}/evaluationsV2", json={})
    api.failed(made["workflow_id"])

    assert api.ok("GET", f"evaluationsV2/{made['evaluation_id']}")["status"] == "failed"
    assert list((tmp_path / "data" / "evaluations").iterdir()) == []
