"""A proxy that stands before a real Nucleus and misbehaves on request: it refuses, delays, truncates, repeats, dies.

The server behind it is the embedded Nucleus, untouched: what a client sees is what a bad network, a restarting load
balancer or a crashing service shows it. A `Fault` says which request (the n-th that matches a pattern) and what
happens to it; every request is recorded, so that a test can count what was sent and how often.
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Action = Literal[
    "status",
    "refuse",
    "cut-request",
    "cut-answer",
    "truncate",
    "garbage",
    "delay",
    "twice",
    "edit-request",
    "edit-answer",
    "crash",
    "crash-late",
]
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}


@dataclass(frozen=True)
class Fault:
    """What happens to which request.

    *pattern* is searched in `"METHOD /path?query"`. The fault strikes the *at*-th match (1-based) and the *times* - 1
    matches after it. Actions: `status` answers *status* without asking the server; `refuse` resets the connection
    before the request is read; `cut-request` after half of its body, the server sees nothing; `cut-answer` lets the
    server do the work and resets instead of answering; `truncate` sends half of the answer; `garbage` answers 200
    with a page that is not JSON; `delay` waits *seconds* first; `twice` delivers the request twice and answers the
    second time's answer; `edit-request` and `edit-answer` let *edit* change the body on its way; `crash` calls *crash* (which kills and restarts the server, or kills the client) and resets the
    connection; `crash-late` lets the server do the work before.
    """

    name: str
    pattern: str
    action: Action
    at: int = 1
    times: int = 1
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    edit: Callable[[bytes], bytes] = bytes
    crash: Callable[[], None] | None = None


@dataclass(frozen=True)
class Seen:
    """One request that reached the proxy: its line, the size of its body in bytes, the fault that struck it."""

    method: str
    path: str
    size: int
    body: bytes
    fault: str | None

    @property
    def line(self) -> str:
        """`"METHOD /path?query"`."""
        return f"{self.method} {self.path}"


class FaultyNucleus:
    """The proxy: a context manager whose `url` takes the place of the server's.

    *upstream* is asked for the server's base address at every request, because a server that was killed comes back
    on another port. Bodies are kept only when *keep_bodies* is set.
    """

    def __init__(
        self, upstream: Callable[[], str], faults: Sequence[Fault] = (), *, keep_bodies: bool = False
    ) -> None:
        self.upstream = upstream
        self.faults = list(faults)
        self.keep_bodies = keep_bodies
        self.seen: list[Seen] = []
        self._hits: dict[int, int] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """The endpoint to give to clients."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1/nucleus"

    def arm(self, *faults: Fault) -> None:
        """Replace the faults, count their matches anew and forget what was seen."""
        with self._lock:
            self.faults = list(faults)
            self._hits.clear()
            self.seen.clear()

    def requests(self, pattern: str) -> list[Seen]:
        """Every request seen so far whose line matches."""
        with self._lock:
            return [seen for seen in self.seen if re.search(pattern, seen.line)]

    def strike(self, line: str) -> Fault | None:
        """Return the fault that meets this request, counting every match."""
        with self._lock:
            struck = None
            for number, fault in enumerate(self.faults):
                if re.search(fault.pattern, line):
                    hit = self._hits[number] = self._hits.get(number, 0) + 1
                    if struck is None and fault.at <= hit < fault.at + fault.times:
                        struck = fault
            return struck

    def record(self, seen: Seen) -> None:
        """Remember one request."""
        with self._lock:
            self.seen.append(seen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    proxy: FaultyNucleus

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: broken connections are what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer are two writes; the second must not wait for the first to be acknowledged.
    disable_nagle_algorithm = True
    server: _Server

    def do_any(self) -> None:
        proxy = self.server.proxy
        fault = proxy.strike(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length") or 0)
        wanted = length // 2 if fault and fault.action == "cut-request" else length
        body = b"" if fault and fault.action == "refuse" else self._read(wanted)
        kept = body if proxy.keep_bodies else b""
        proxy.record(Seen(self.command, self.path, length, kept, fault.name if fault else None))
        if fault is None:
            self._answer(*self._forward(body))
        else:
            self._misbehave(fault, body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_any

    def _misbehave(self, fault: Fault, body: bytes) -> None:
        match fault.action:
            case "status":
                text = b'{"error":"the fault %s"}' % fault.name.encode()
                self._answer(fault.status, {"Content-Type": "application/json", **fault.headers}, text)
            case "garbage":
                self._answer(
                    200,
                    {"Content-Type": "text/html"},
                    b"<html><body>Welcome to the captive portal</body></html>",
                )
            case "refuse" | "cut-request":
                self._reset()
            case "cut-answer":
                self._forward(body)
                self._reset()
            case "truncate":
                self._answer(*self._forward(body), cut=True)
            case "delay":
                threading.Event().wait(fault.seconds)
                self._answer(*self._forward(body))
            case "twice":
                self._forward(body)
                self._answer(*self._forward(body))
            case "edit-request":
                self._answer(*self._forward(fault.edit(body)))
            case "edit-answer":
                status, headers, answer = self._forward(body)
                self._answer(status, headers, fault.edit(answer))
            case "crash" | "crash-late":
                if fault.action == "crash-late":
                    self._forward(body)
                assert fault.crash is not None, "a crash needs something that kills the server"
                fault.crash()
                self._reset()

    def _read(self, length: int) -> bytes:
        return self.rfile.read(length) if length else b""

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send the request on. The Host header stays ours, so that signed URLs lead through the proxy again."""
        address = urlsplit(self.server.proxy.upstream())
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=120)
        try:
            # The length is that of the body as it goes on, which a fault may have changed.
            dropped = _HOP_BY_HOP | {"content-length"}
            headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
            connection.request(self.command, self.path, body=body or None, headers=headers)
            response = connection.getresponse()
            answer = {name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP}
            return response.status, answer, response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.wfile.flush()
        if cut:
            self._reset()

    def _reset(self) -> None:
        """Close with a TCP reset, as a dying peer does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        # A second handle that http.server keeps would hold the socket open; shutdown sends what is left at once.
        self.connection.close()
        self.rfile.close()

    def log_message(self, format: str, *args: object) -> None:  # ruff: ignore[builtin-argument-shadowing] - the parent's name
        """Be quiet: tests read `seen`."""
