"""Images that the server fetches: from the web and nowhere else, wherever it is sent on to, and whole."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from airflow_provider_nucleus.local import remote_files
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api
from tests.pictures import picture

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

PICTURE = picture()


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


class Odd(BaseHTTPRequestHandler):
    """A web server that says of everything that it is a picture, and hangs up behind each answer."""

    answers: ClassVar[dict[str, tuple[int | None, bytes]]] = {
        "/whole": (len(PICTURE), PICTURE),
        "/undeclared": (None, PICTURE),
        "/cut": (len(PICTURE), PICTURE[:-7]),
        "/lost": (len(PICTURE), b""),
        "/empty": (0, b""),
        "/nothing": (None, b""),
        "/text": (9, b"not found"),
    }

    def do_GET(self) -> None:
        declared, sent = self.answers[self.path]
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        if declared is not None:
            self.send_header("Content-Length", str(declared))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        pass


class Visited(socketserver.BaseRequestHandler):
    """Takes note of whoever connects, and hangs up."""

    def handle(self) -> None:
        self.server.visits += 1  # type: ignore[attr-defined]


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def web() -> Iterator[str]:
    with serving(Redirecting) as address:
        yield address


@pytest.fixture
def odd() -> Iterator[str]:
    with serving(Odd) as address:
        yield address


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


def test_what_is_no_whole_image_is_an_error_of_its_row(tmp_path: Path, odd: str):
    """Cut short, empty or no image: the row is named with its reason, and neither stored nor counted."""
    with LocalNucleus(tmp_path / "data", environment={"NUCLEUS_LOCAL_FETCH_IMAGES": "1"}) as server:
        api = Api(server)
        dataset = api.dataset()
        lines = "".join(
            json.dumps({"reference_id": path[1:], "image_url": f"{odd}{path}"}) + "\n" for path in Odd.answers
        )
        job = api.upload(dataset, f"dataset/{dataset}/append", lines)
        status = api.wait(job)
        errors = [json.loads(text) for text in api.ok("GET", f"job/{job}/errors")]
        stored = api.ok("GET", f"dataset/{dataset}/size")
        kept = [path.read_bytes() for path in (server.data_dir / "blobs").glob("*/*")]
        api.close()

    reasons = {error["item"]["referenceId"]: error["error"].rpartition('": ')[2] for error in errors}
    assert reasons == {
        "cut": "the connection ended 7 bytes before its end",
        "lost": f"the connection ended {len(PICTURE)} bytes before its end",
        "empty": "it has no bytes",
        "nothing": "it has no bytes",
        "text": "it has bytes of no image format",
    }
    assert status["status"] == "Errored_Partial"
    assert "5 images could not be fetched" in status["message"]["final_error"]
    assert stored == {"count": 2}
    assert kept == [PICTURE, PICTURE]


class Dripping(BaseHTTPRequestHandler):
    """A web server that sends a byte now and then: of the head under /head, else of the picture."""

    def do_GET(self) -> None:
        if self.path != "/head":
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", "1000000")
            self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b"x")
                time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("path", ["/picture", "/head"])
def test_a_dripping_host_is_in_the_way_of_no_cancel_and_no_end(tmp_path: Path, path: str):
    """Both workers wait for it: a cancelled job ends, and so does the server that is told to, without being killed."""
    with (
        serving(Dripping) as url,
        LocalNucleus(tmp_path / "data", environment={"NUCLEUS_LOCAL_FETCH_IMAGES": "1"}) as server,
    ):
        api = Api(server)
        dataset = api.dataset()
        lines = "".join(
            json.dumps({"reference_id": str(n), "image_url": f"{url}{path}"}) + "\n" for n in range(100)
        )
        jobs = [api.upload(dataset, f"dataset/{dataset}/append", lines) for _ in range(2)]
        api.ok("POST", f"job/{jobs[0]}/cancel")

        cancelled = api.wait(jobs[0])
        still = api.ok("GET", f"job/{jobs[1]}")["status"]
        api.close()

        assert (cancelled["status"], still) == ("Cancelled", "Running")
        assert server.stop(timeout=120) == 0


@pytest.mark.parametrize("path", ["/picture", "/head"])
@pytest.mark.parametrize("stopped", [True, False])
def test_a_dripping_host_has_a_deadline_from_its_first_byte(
    monkeypatch: pytest.MonkeyPatch, path: str, stopped: bool
):
    """Whoever fetches (images, masks, what is deduplicated): the head of an answer has no more time than what it announces."""
    monkeypatch.setattr(remote_files, "_DEADLINE", 60 if stopped else 0.3)
    with serving(Dripping) as url, pytest.raises(remote_files.SlowFileError, match="did not come within"):
        remote_files.read_web(f"{url}{path}", limit=10**7, stopped=lambda: stopped)
