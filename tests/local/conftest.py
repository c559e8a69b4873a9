"""Fixtures of the embedded server's tests: the official client, plain HTTP, waits that do not sleep."""

from __future__ import annotations

import gc
import time
import warnings
from typing import TYPE_CHECKING, Any

import nucleus as official
import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.local.testing import LocalNucleus


@pytest.fixture
def client(nucleus: LocalNucleus, monkeypatch: pytest.MonkeyPatch) -> official.NucleusClient:
    """The unmodified official client, whose waits poll every few milliseconds instead of every 5 s."""
    monkeypatch.setattr("nucleus.async_job.JOB_POLLING_INTERVAL", 0.01)
    return official.NucleusClient(api_key=nucleus.api_key, endpoint=nucleus.url)


class Api:
    """Plain HTTP to a server: what other clients, and the official one's rarer corners, send."""

    def __init__(self, nucleus: LocalNucleus) -> None:
        self.nucleus = nucleus
        self.session = requests.Session()
        self.session.auth = (nucleus.api_key, "")

    def __call__(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        return self.session.request(method, f"{self.nucleus.url}/{path}", timeout=60, **kwargs)

    def ok(self, method: str, path: str, **kwargs: Any) -> Any:
        """Send a request that must succeed and return its JSON."""
        response = self(method, path, **kwargs)
        assert response.ok, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    def dataset(self, *references: str, **kwargs: Any) -> str:
        """Create a dataset with some items and return its id."""
        dataset = self.ok("POST", "dataset/create", json={"name": "raw", **kwargs})["dataset_id"]
        if references:
            items = [
                {"reference_id": ref, "image_url": f"s3://b/{ref}.jpg", "metadata": {}} for ref in references
            ]
            self.ok("POST", f"dataset/{dataset}/append", json={"items": items, "update": False})
        return str(dataset)

    def upload(self, dataset: str, route: str, rows: str | bytes, **extra: Any) -> str:
        """PUT rows behind a signed URL, start the job of a route and return its id."""
        request_id = time.monotonic_ns()
        signed = self.ok("GET", f"dataset/{dataset}/signedUrl/{request_id}")["signed_url"]
        put = requests.put(signed, data=rows, timeout=60)
        assert put.ok, put.text
        body = {"requestId": str(request_id), "update": False, **extra}
        return str(self.ok("POST", f"{route}?async=1", json=body)["job_id"])

    def wait(self, job: str) -> dict[str, Any]:
        """Poll a job until it has ended."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            status = self.ok("GET", f"job/{job}")
            if status["status"] != "Running":
                return dict(status)
            time.sleep(0.01)
        raise AssertionError(f"job {job} did not end: {status}")

    def close(self) -> None:
        self.session.close()


@pytest.fixture
def api(nucleus: LocalNucleus) -> Iterator[Api]:
    """Plain HTTP to the shared server."""
    api = Api(nucleus)
    yield api
    api.close()


def box(reference_id: str, annotation_id: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return a box as the official client sends it."""
    return {
        "label": "car",
        "type": "box",
        "geometry": {"x": 10, "y": 20.5, "width": 30, "height": 40},
        "reference_id": reference_id,
        "annotation_id": annotation_id,
        "metadata": {},
        **changes,
    }


_THIRD_PARTY_LEAKS = ("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pass over what the official client leaves open (its event loop and connections), in the modules that use it."""
    using = {item.path for item in items if "client" in getattr(item, "fixturenames", ())}
    for item in items:
        if item.path in using and "tests/local/" in item.path.as_posix():
            for leak in _THIRD_PARTY_LEAKS:
                item.add_marker(pytest.mark.filterwarnings(leak))


@pytest.fixture(scope="module", autouse=True)
def no_leak_travels() -> Iterator[None]:
    """Collect what a module left open before the next one starts, whose tests are not to blame for it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
