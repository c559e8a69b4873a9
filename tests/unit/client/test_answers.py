"""Answers that no Nucleus gives: without end, without sense, too big; an exchange ends in our errors, in both transports."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import zlib
from typing import TYPE_CHECKING

import pytest

from airflow_provider_nucleus.client import BytesContent, RetryPolicy
from airflow_provider_nucleus.client.answer_body import AnswerBody
from airflow_provider_nucleus.client.calls import datasets, items, jobs
from airflow_provider_nucleus.client.exchange import SLOWEST_RATE
from airflow_provider_nucleus.client.request_deadline import RequestDeadline
from airflow_provider_nucleus.client.sync import _Body
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusAuthError,
    NucleusConnectionError,
    NucleusError,
    NucleusNotFoundError,
    NucleusServerError,
)
from tests.unit.client.scripted import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ONCE = RetryPolicy(attempts=1)


class RawServer:
    """Answers each connection with bytes, one piece after the other, until the other side has enough."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]], *, pause: float = 0.0) -> None:
        self._pieces = pieces
        self._pause = pause
        self._stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1/nucleus"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self._socket.accept()
                with connection:
                    connection.recv(65_536)
                    for piece in self._pieces():
                        connection.sendall(piece)
                        if self._stopped.wait(self._pause):
                            return

    def stop(self) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


def forever(head: bytes, piece: bytes) -> Iterator[bytes]:
    """A beginning, and then the same again and again."""
    yield head
    while True:
        yield piece


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (OK, b"x"),
        (OK + b"X-A: ", b"a"),
        (OK + b"Content-Length: 1000\r\n\r\n", b" "),
        (OK + b"\r\n", b" "),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 1000\r\n\r\n", b" "),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_an_answer_that_drips_ends(transport, head, piece):
    """However little it is that comes before each time-out."""
    dripping = RawServer(lambda: forever(head, piece), pause=0.02)
    try:
        with pytest.raises(NucleusConnectionError):
            transport(dripping.endpoint, timeout=0.3, retry=ONCE).send(datasets.list_datasets())
    finally:
        dripping.stop()


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_without_end_ends_at_its_limit(transport, chunked):
    """And is an error that says so, which no memory pays for."""
    head = OK + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n")
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n" if chunked else b" " * 0x10000
    endless = RawServer(lambda: forever(head, piece))
    try:
        with pytest.raises(NucleusAnswerError, match="more than 4,194,304 bytes"):
            transport(endless.endpoint, retry=ONCE).send(jobs.job_status("job_1"))
    finally:
        endless.stop()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "x-gzip"])
def test_compressed_answers_are_read_up_to_the_limit(server, transport, encoding):
    """A bomb is one body more than is read; damage and foreign encodings are told."""
    pack = zlib.compress if encoding == "deflate" else gzip.compress
    good = pack(b'{"status": "Running"}')
    server.answers(
        Reply(200, good, {"Content-Encoding": encoding}),
        Reply(200, pack(b" " * 50_000_000), {"Content-Encoding": encoding}),
        Reply(200, good[:-6], {"Content-Encoding": encoding}),
        Reply(200, b"{}", {"Content-Encoding": encoding}),
        Reply(200, good, {"Content-Encoding": "br"}),
        Reply(200, pack(pack(b"{}")), {"Content-Encoding": f"{encoding}, {encoding}"}),
    )
    client = transport(server, retry=ONCE)

    assert client.send(jobs.job_status("job_1")).status == "Running"
    for said in (
        "more than",
        "cut off",
        "although it says so|cut off",
        "'br', which was not asked for",
        "not asked for",
    ):
        with pytest.raises(NucleusAnswerError, match=said):
            client.send(jobs.job_status("job_1"))


def test_bodies_of_several_members_and_padding_are_whole():
    """As all readers of gzip take them; deflate comes with and without its header."""
    raw = zlib.compressobj(wbits=-15)
    for encoding, data in (
        ("gzip", gzip.compress(b"ab") + gzip.compress(b"cd") + bytes(8)),
        ("deflate", zlib.compress(b"abcd")),
        ("deflate", raw.compress(b"abcd") + raw.flush()),
        ("identity", b"abcd"),
        (None, b"abcd"),
    ):
        body = AnswerBody(encoding, limit=100)
        for byte in data:
            assert body.feed(bytes([byte]))
        assert (body.content(), body.problem) == (b"abcd", None)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 60_000,
        b"<title>" * 30_000,
        b"<html>" + b"<" * 200_000,
        b"\xff\xfe\x00",
        b'{"status": "\\ud800\\u0000"',
        b"1" * 5000,
        b'{"id": 1e999}',
        b"\x00",
        b'{"error": {"a": [1, 2, {"b": null}]}}',
    ],
)
@pytest.mark.parametrize("status", [200, 206, 302, 400, 403, 404, 500, 600])
def test_whatever_a_body_holds_ends_in_our_errors(server, transport, status, body):
    """Short ones that can be stored and printed anywhere."""
    server.answers(Reply(status, body))

    with pytest.raises(NucleusError) as caught:
        transport(server, retry=ONCE).send(datasets.list_datasets())

    said = str(caught.value)
    assert len(said) < 3000
    assert "\x00" not in said + caught.value.body
    said.encode()


@pytest.mark.parametrize(
    "body",
    ["default backend - 404", "", '{"message":"Not Found"}', '{"detail":"Not Found"}', "<html>404</html>"],
)
def test_a_404_of_somebody_else_is_not_about_the_object(server, transport, body):
    """It says what was received, from where, and what to check."""
    server.answers(Reply(404, body), Reply(404, {"error": "no such dataset"}))
    client = transport(server)

    with pytest.raises(NucleusAnswerError, match="says nothing about the object") as caught:
        client.send(datasets.dataset_size("ds_1"))
    with pytest.raises(NucleusNotFoundError):
        client.send(datasets.dataset_size("ds_1"))

    assert server.endpoint in str(caught.value)
    assert "404" in str(caught.value)


def test_a_page_in_place_of_an_answer_that_is_not_read_is_no_success(server, transport):
    """A portal says 200 to everything."""
    server.answers(Reply(200, "<html><title>Log in</title></html>"))

    with pytest.raises(NucleusAnswerError, match="Log in"):
        transport(server).send(datasets.delete_dataset("ds_1"))


@pytest.mark.parametrize("status", [408, 425, 521, 522, 523, 525, 526, 527, 529, 530])
def test_more_statuses_pass_where_repeating_is_harmless(server, transport, status):
    """And none of them repeats what may have taken effect."""
    server.answers(Reply(status, ""), Reply(200, []), Reply(status, ""))
    client = transport(server)

    assert client.send(datasets.list_datasets()) == []
    with pytest.raises(NucleusServerError):
        client.send(datasets.create_dataset("d"))


def test_a_key_that_is_refused_stays_an_error_of_the_key(server, transport):
    """Unless it is a web page that says so."""
    server.answers(Reply(401, "Unauthorized"), Reply(403, "<!DOCTYPE html><title>Blocked</title>"))

    with pytest.raises(NucleusAuthError):
        transport(server).send(datasets.list_datasets())
    with pytest.raises(NucleusAnswerError):
        transport(server).send(datasets.list_datasets())


def test_an_address_of_sixty_kilobytes_is_not_repeated(server, transport):
    """Neither one that is followed, nor one that is not."""
    for location in ("/v1/nucleus/" + "a" * 30_000, "http://portal.test/" + "a" * 30_000):
        server.answers(
            Reply(302, "", {"Location": location}), *([Reply(404, "no")] if location[0] == "/" else [])
        )
        with pytest.raises(NucleusAnswerError) as caught:
            transport(server, retry=ONCE).send(datasets.list_datasets())
        assert len(str(caught.value)) < 5000


def test_a_long_body_is_sent_in_linear_time(server, transport):
    """One value of a hundred megabytes is cut, not copied for each of its pieces."""
    copied = 0

    class Counted(bytes):
        def __getitem__(self, key):
            nonlocal copied
            part = super().__getitem__(key)
            copied += len(part)
            return part

    class One:
        size = 4_000_000

        def chunks(self):
            yield Counted(self.size)

    with RequestDeadline(60, rate=SLOWEST_RATE) as deadline:
        body = _Body(One(), deadline)
        found = 0
        while part := body.read(8192):
            found += len(part)
    assert (One.size, One.size) == (found, deadline.moved)
    assert copied <= One.size

    transport(server).send(items.put_signed(f"{server.origin}/bucket", BytesContent(b"x" * 3_000_000)))
    assert server.requests[-1].body == b"x" * 3_000_000
