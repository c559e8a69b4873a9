"""Where the server goes for images that it fetches: the web, and nothing else, wherever it is sent on to."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PICTURE = b"\x89PNG picture"


class Redirecting(BaseHTTPRequestHandler):
    """A web server that sends every path on to the address behind it, and has one picture."""

    def do_GET(self) -> None:
        found = self.path == "/a.png"
        self.send_response(200 if found else 302)
        if not found:
            self.send_header("Location", self.path[1:])
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        self.wfile.write(PICTURE if found else b"")

    def log_message(self, *_: object) -> None:
        pass


class Visited(socketserver.BaseRequestHandler):
    """Takes note of whoever connects, and hangs up."""

    def handle(self) -> None:
        self.server.visits += 1  # type: ignore[attr-defined]


@pytest.fixture
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def elsewhere() -> Iterator[socketserver.TCPServer]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Visited) as server:
        server.visits = 0  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_redirects_stay_on_the_web(tmp_path: Path, web: str, elsewhere: socketserver.TCPServer):
    """To http they are followed; what leads to ftp or to a file is the row's error, and nobody is called."""
    wanted = {
        "web": f"{web}/{web}/a.png",
        "ftp": f"{web}/ftp://127.0.0.1:{elsewhere.server_address[1]}/a.png",
        "file": f"{web}/file:///etc/passwd",
    }
    with LocalNucleus(tmp_path / "data", environment={"NUCLEUS_LOCAL_FETCH_IMAGES": "1"}) as server:
        api = Api(server)
        dataset = api.dataset()
        lines = "".join(
            json.dumps({"reference_id": name, "image_url": url}) + "\n" for name, url in wanted.items()
        )
        job = api.upload(dataset, f"dataset/{dataset}/append", lines)
        api.wait(job)
        errors = [json.loads(text) for text in api.ok("GET", f"job/{job}/errors")]
        kept = [path.read_bytes() for path in (server.data_dir / "blobs").glob("*/*")]
        api.close()

    assert sorted(error["item"]["referenceId"] for error in errors) == ["file", "ftp"]
    assert kept == [PICTURE]
    assert elsewhere.visits == 0  # type: ignore[attr-defined]
