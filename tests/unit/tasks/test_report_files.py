"""Files of a report on a real S3 server: with their types, and nothing new after a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_nucleus.tasks.report_files import write_files

if TYPE_CHECKING:
    from collections.abc import Iterator

moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed (dependency group s3)")
s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (dependency group s3)")
io = pytest.importorskip("airflow.sdk.io", reason="stores are attached on Airflow 3")

FILES = {
    "crops/0001.webp": b"RIFF",
    "metrics.json": b"{}",
    "report.md": b"#",
    "report.html": b"<!doctype html>",
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A bucket `reports` that Airflow reaches as `s3://reports_test@reports`; its plain address."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    files = s3fs.S3FileSystem(
        endpoint_url=f"http://{host}:{port}", key="k", secret="s", skip_instance_cache=True
    )
    files.mkdir("reports", acl="public-read")
    io.attach("s3", "reports_test", fs=files)
    yield f"http://{host}:{port}/reports"
    server.stop()


def types(address: str, folder: str) -> dict[str, str]:
    """Return the content types with which a browser gets the files."""
    found = {}
    for name in FILES:
        answer = requests.get(f"{address}/{folder}/{name}", timeout=10, auth=None)
        found[name] = answer.headers.get("Content-Type", "") if answer.ok else str(answer.status_code)
    return found


def test_a_browser_gets_a_page(address: str):
    """A page without its type would be downloaded."""
    write_files("s3://reports_test@reports/a", FILES)

    assert types(address, "a") == {
        "crops/0001.webp": "image/webp",
        "metrics.json": "application/json",
        "report.md": "text/markdown; charset=utf-8",
        "report.html": "text/html; charset=utf-8",
    }


def test_a_failure_takes_back_what_is_new(address: str, monkeypatch: pytest.MonkeyPatch):
    """What an earlier report has stays, even if it was replaced."""
    write_files("s3://reports_test@reports/b", {"metrics.json": b"{1}"})
    store = ObjectStoragePath("s3://reports_test@reports/b").fs
    real = store.pipe_file

    def failing(path: str, *rest: Any, **options: Any) -> Any:
        if path.endswith("report.html"):
            raise OSError("503 Slow Down")
        return real(path, *rest, **options)

    monkeypatch.setattr(store, "pipe_file", failing)
    with pytest.raises(OSError, match="Slow Down"):
        write_files("s3://reports_test@reports/b", FILES)

    found = types(address, "b")
    assert found.pop("metrics.json") == "application/json"
    assert set(found.values()) <= {"403", "404"}
