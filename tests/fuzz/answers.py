"""Hostile answers to both transports and to the shared poll of deferred waits: each must end in one of our errors or in a result.

A server of bare sockets answers with whatever its case says: status lines and headers that nobody would write, redirects to nowhere,
bodies that are endless, drip, burst when they are decoded, end too early, or nest too deep. Cases follow from a seed and a number.

    python -m tests.fuzz.answers --cases 30000 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import logging
import random
import re
import resource
import socket
import sys
import threading
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client import AsyncNucleusClient, NucleusClient, NucleusConfig, RetryPolicy
from airflow_provider_nucleus.client.calls import datasets, evaluations, items, jobs, predictions
from airflow_provider_nucleus.client.retry import NO_RETRY
from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.triggers.poller import JobPoller
from airflow_provider_nucleus.triggers.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from airflow_provider_nucleus.client import Call
    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.triggers.watcher import Observation

TIMEOUT = 0.5
"""Seconds of patience with one request; a redirect is another, and adds little."""

HANGS = 60.0
"""Seconds after which a case counts as one that does not end, on a machine that is busy with other things."""

_CONCURRENCY = 16
_BATCH = 48

_STATUSES = [200] * 8 + [
    *range(200, 209),
    300,
    301,
    302,
    303,
    304,
    307,
    308,
    400,
    401,
    403,
    404,
    404,
    405,
    408,
    409,
    410,
    413,
    418,
    423,
]
_STATUSES += [425, 429, 429, 431, 451, 500, 502, 503, 503, 504, 507, 511, 520, 530, 599, 600, 700, 999, 100, 101, 103, 199]  # fmt: skip
_STATUS_LINES = [
    b"", b"\r\n", b"HTTP/1.1\r\n", b"HTTP/1.1 \r\n", b"HTTP/1.1 abc OK\r\n", b"HTTP/1.1 99999 Yes\r\n", b"HTTP/1.1 -1 No\r\n",
    b"HTTP/9.9 200 OK\r\n", b"ICY 200 OK\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", b"\x16\x03\x01\x02\x00\x01", b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n",
    b"HTTP/1.1 200 \xff\xfe\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 2OO OK\r\n", b"\x00" * 100,
]  # fmt: skip
_LOCATIONS = [
    "http://[", "//", "http://", "http:///x", "\\\\evil\\x", "http://a@b/", "javascript:alert(1)", "/v1/nucleus/datasets", "?", "#", "",
    "../../../..", "http://127.0.0.1:1/", "https://127.0.0.1:1/", "http://\x00/", "http://xn--\xff/", "/%zz", "/" + "a" * 60_000,
    "http://[::ffff:1.2.3.4%25eth0]/", "http://1.2.3.4.5/", "http://0x7f.1/", "ftp://x/", "data:,x", "http://h:99999/", "http://h:-1/", "///x",
    "http://portal.invalid/login?to=" + "x" * 3000, "\u00e4", "http://" + "a." * 200 + "b/",
]  # fmt: skip
_RETRY_AFTERS = [
    "0", "1", "-1", "1e999", "31536000", "9" * 5000, "nan", "inf", "Mon, 01 Jan 99999999999 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -9999",
    "Mon, 01 Jan 0001 00:00:00 +2359", "Thu, 32 Foo 2020 99:99:99 XYZ", ",", "\x00", "1 1", "\u0661", "Sun, 06 Nov 1994 08:49:37", "()" * 40,
]  # fmt: skip
_ENCODINGS = [
    "gzip",
    "deflate",
    "br",
    "zstd",
    "gzip, gzip",
    "identity",
    "",
    "x-gzip",
    "gzip\x00",
    "GZIP",
    "compress",
    "a" * 5000,
]
_ODD_HEADERS = [
    b"X: " + b"a" * 70_000, b"no colon here", b": no name", b"\x00: \x00", b"X\xff: \xff", b" folded: yes", b"Content-Length: -5",
    b"Content-Length: 1\r\nContent-Length: 2", b"Content-Length: " + b"9" * 400, b"Content-Length: 0x10", b"Content-Length: 5, 5",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked\r\nContent-Length: 3", b"Connection: close",
    b"Content-Type: application/json; charset=utf-7", b"Content-Type: " + b"x;" * 5000, b"Set-Cookie: a=b; Domain=.invalid", b"X: 1\rY: 2", b"X: 1\nY: 2",
    b"Upgrade: websocket\r\nConnection: Upgrade", b'WWW-Authenticate: Negotiate, Basic realm="', b"Proxy-Authenticate: NTLM", b"Link: <" + b"<" * 9000,
    b"\r\n".join(b"X-%d: y" % n for n in range(500)), b"Trailer: X", b"Refresh: 0; url=http://evil.invalid/",
]  # fmt: skip


@dataclass
class Answer:
    """The bytes of an answer: `pieces` in turn, then `again` for ever if there is one, with a pause between."""

    pieces: list[bytes] = field(default_factory=list)
    again: bytes = b""
    pause: float = 0.0
    reset: bool = False


def _json(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(10 if depth < 3 else 7)
    if kind >= 8:
        return {rng.choice(_NAMES): _json(rng, depth + 1) for _ in range(rng.randrange(6))}
    if kind == 7:
        return [_json(rng, depth + 1) for _ in range(rng.randrange(6))]
    return rng.choice([None, True, "", "Running", "Completed", "\ud800", "\x00", "x" * 900, 0, -1, 2**70, 10**300, 1e300, 0.5, "1", float("nan"), float("inf")])  # fmt: skip


_NAMES = [
    "status", "job_id", "message", "error", "id", "dataset_id", "data", "progress", "status_code", "job_progress", "nextPageToken", "name", "waiting",
    "detail", "errors", "items", "dataset_items", "totals", "final_error", "", "\x00", "annotation_upload", "job_last_known_status",
]  # fmt: skip


def _body(rng: random.Random) -> bytes:
    kind = rng.randrange(16)
    if kind < 4:
        return json.dumps(_json(rng)).encode("utf-8", "surrogatepass")
    if kind == 4:
        known = {
            "status": rng.choice(["Running", "Completed", "", "Errored_x", 3, None]),
            "job_id": "j",
            "message": _json(rng),
        }
        return json.dumps(known).encode("utf-8", "surrogatepass")
    if kind == 5:
        known_error = {"error": _json(rng)} | ({"status_code": _json(rng)} if rng.random() < 0.3 else {})
        return json.dumps(known_error).encode("utf-8", "surrogatepass")
    if kind == 6:
        opening = rng.choice([b"[", b'{"a":', b'[{"error":', b"{"])
        return opening * rng.choice([900, 20_000, 60_000])
    if kind == 7:
        tag = rng.choice([
            b"<title>",
            b"<",
            b"<!--",
            b"<html><title",
            b"<!DOCTYPE html>",
            b"<meta>",
            b"&#x41;",
            b"</title>",
        ])
        return rng.choice([b"", b"<html>", b"<title>"]) + tag * rng.choice([1, 3000, 30_000])
    if kind == 8:
        return rng.choice([
            b"",
            b"default backend - 404",
            b"OK",
            b"null",
            b"\xef\xbb\xbf{}",
            b"\xff\xfe{\x00}\x00",
            b"\x00" * 1000,
            b"NaN",
            b"1" * 9000,
        ])
    if kind == 9:
        return b" " * rng.choice([10, 70_000, 5_000_000]) + b"{}"
    if kind == 10:
        return json.dumps({"error": "x" * 200_000}).encode()
    if kind == 11:
        return (
            b'{"status": "'
            + rng.choice([b"\xff", b"\\ud800", b"\\u0000", b"\x1b[31m", b"a" * 1_000_000])
            + b'", "job_id": "j"}'
        )
    if kind == 12:
        return (
            b"["
            + b",".join([rng.choice([b"1", b"{}", b"[]", b'""', b"1e5"])] * rng.choice([10, 100_000]))
            + b"]"
        )
    if kind == 13:
        return b'{"status": "Running", "job_id": "j"}'
    return rng.randbytes(rng.choice([1, 100, 5000]))


def _chunked(rng: random.Random, body: bytes) -> bytes:
    size = max(1, len(body) // rng.choice([1, 2, 7]))
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    kind = rng.randrange(8)
    if kind == 0:
        return b"zz\r\n" + body
    if kind == 1:
        return b"-5\r\nhello\r\n0\r\n\r\n"
    if kind == 2:
        return b"f" * 60 + b"\r\n" + body
    if kind == 3:
        return b"5;" + b"x" * 100_000 + b"\r\nhello\r\n0\r\n\r\n"
    framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return framed + rng.choice([
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"",
        b"0\r\n",
        b"0\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    ])


def make_answer(seed: int, number: int) -> Answer:
    """Return the answer of a case."""
    rng = random.Random(f"{seed}/{number}")
    if rng.random() < 0.05:
        return Answer(
            [rng.choice(_STATUS_LINES), rng.choice([b"", b"\r\n", b"Content-Length: 2\r\n\r\n{}"])],
            reset=rng.random() < 0.3,
        )
    status = rng.choice(_STATUSES)
    head = [f"HTTP/1.1 {status} {rng.choice(['OK', '', 'Odd Phrase', 'x' * 200])}".encode()]
    body = _body(rng)
    if (300 <= status < 400 and rng.random() < 0.9) or rng.random() < 0.02:
        location = rng.choice([
            *_LOCATIONS,
            f"/v1/nucleus/job/c{number}",
            f"/v1/nucleus/job/c{number + 1}?x=1",
        ])
        head.append(b"Location: " + location.encode("utf-8", "replace"))
    if status in {429, 503} or rng.random() < 0.05:
        head.append(b"Retry-After: " + rng.choice(_RETRY_AFTERS).encode())
    if rng.random() < 0.2:
        encoding = rng.choice(_ENCODINGS)
        head.append(b"Content-Encoding: " + encoding.encode())
        if rng.random() < 0.7:
            body = body if rng.random() < 0.7 else b" " * 30_000_000
            body = gzip.compress(body, 1) if "gzip" in encoding.lower() else zlib.compress(body, 1)
            body = gzip.compress(body) if "," in encoding else body
        if rng.random() < 0.2:
            body = body[: len(body) // 2]
    head += [rng.choice(_ODD_HEADERS) for _ in range(rng.choice([0, 0, 0, 1, 3]))]
    framing = rng.random()
    if framing < 0.6:
        head.append(b"Content-Length: %d" % (len(body) + rng.choice([0] * 8 + [1, 1000, -1, 10**9])))
    elif framing < 0.8:
        head.append(b"Transfer-Encoding: chunked")
        body = _chunked(rng, body)
    answer = Answer([b"\r\n".join(head) + b"\r\n\r\n", body])
    trouble = rng.random()
    if trouble < 0.02:
        answer.pieces, answer.again = (
            [answer.pieces[0]],
            rng.choice([b" " * 65_536, b"[" * 65_536, b"10\r\n" + b" " * 16 + b"\r\n"]),
        )
    elif trouble < 0.035:
        whole = b"".join(answer.pieces)[:50_000]
        cut = rng.randrange(len(whole))
        answer = Answer([whole[:cut]], again=rng.choice([b" ", b"x", b"X: y\r\n", b"1\r\n \r\n"]), pause=0.05)
    elif trouble < 0.04:
        answer = Answer([], again=rng.choice([b"HTTP/1.1 100 Continue\r\n\r\n", b"X: y\r\n", b"x" * 65_536]))
    elif trouble < 0.08:
        whole = b"".join(answer.pieces)
        answer = Answer([whole[: rng.randrange(len(whole) + 1)]], reset=rng.random() < 0.5)
    return answer


class HostileServer:
    """Answers requests about `c<number>` with the answers of their cases, listings with one of them now and then."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._listings = 0
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1/nucleus"
        self._stopped = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            request = b""
            while b"\r\n\r\n" not in request and (part := connection.recv(65_536)):
                request += part
            found = re.search(rb"/c(\d+)", request.partition(b"\r\n")[0])
            for piece in self._bytes(None if found is None else int(found[1])):
                connection.sendall(piece)
            if found is not None and make_answer(self._seed, int(found[1])).reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def _bytes(self, number: int | None) -> Iterator[bytes]:
        if number is None:
            self._listings += 1
            if self._listings % 3:
                yield b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"
                return
            number = -self._listings
        answer = make_answer(self._seed, number)
        yield from answer.pieces
        ends = time.monotonic() + 20
        while answer.again and time.monotonic() < ends and not self._stopped.is_set():
            yield answer.again
            if answer.pause:
                time.sleep(answer.pause)

    def stop(self) -> None:
        """Stop answering."""
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def call_of(number: int) -> Call[Any]:
    """Return the call of a case."""
    name = f"c{number}"
    return (
        jobs.job_status(name),
        jobs.job_errors(name),
        evaluations.get_evaluation(name),
        datasets.dataset_size(name),
        items.list_items(name),
        datasets.delete_dataset(name),
        predictions.predictions_export(name, "m"),
        jobs.cancel_job(name),
    )[number % 8]


@dataclass
class Outcome:
    """The ends of all cases by kind, and what must not be."""

    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    longest: float = 0.0
    longest_stall: float = 0.0
    grown_mib: float = 0.0

    def note(self, way: str, number: int, error: BaseException | None, seconds: float) -> None:
        """Take note of the end of a case."""
        self.longest = max(self.longest, seconds)
        self.ends[f"{way}: {'a result' if error is None else type(error).__name__}"] += 1
        if error is not None and not isinstance(error, NucleusError):
            self.faults.append(f"{way} case {number}: {error!r:.300}")
        elif error is not None and (len(str(error)) > 8000 or "\x00" in str(error)):
            self.faults.append(f"{way} case {number}: a message of {len(str(error))} characters")
        if seconds > HANGS:
            self.faults.append(f"{way} case {number}: took {seconds:.1f} s")


def _config(server: HostileServer) -> NucleusConfig:
    return NucleusConfig(endpoint=server.endpoint, api_key="live_0123456789abcdef", timeout=TIMEOUT)


def _by_requests(server: HostileServer, numbers: list[int], outcome: Outcome) -> None:
    retry = RetryPolicy(attempts=2, base=0.01)
    with (
        NucleusClient(_config(server), retry=retry, sleep=lambda _: None) as client,
        ThreadPoolExecutor(_CONCURRENCY) as pool,
    ):

        def one(number: int) -> None:
            begun, error = time.monotonic(), None
            try:
                client.send(call_of(number))
            except BaseException as caught:  # ruff: ignore[blind-except] - any of them is what is looked for
                error = caught
            outcome.note("requests", number, error, time.monotonic() - begun)

        list(pool.map(one, numbers))


async def _asleep(_: float) -> None:
    await asyncio.sleep(0)


async def _by_httpx(server: HostileServer, numbers: list[int], outcome: Outcome) -> None:
    left = iter(numbers)
    retry = RetryPolicy(attempts=2, base=0.01)
    async with AsyncNucleusClient(_config(server), retry=retry, sleep=_asleep) as client:

        async def work() -> None:
            for number in left:
                begun, error = time.monotonic(), None
                try:
                    await client.send(call_of(number))
                except BaseException as caught:  # ruff: ignore[blind-except]
                    error = caught
                outcome.note("httpx", number, error, time.monotonic() - begun)

        await asyncio.gather(*(work() for _ in range(_CONCURRENCY)))


class _Reader:
    def __init__(self, client: AsyncNucleusClient) -> None:
        self._client = client

    async def status(self, job_id: str) -> JobStatus:
        return await self._client.send(jobs.job_status(job_id))

    async def running(self, limit: int) -> dict[str, JobStatus]:
        return await self._client.send(jobs.running_jobs(limit=limit))


class _FirstLook(Watcher):
    """Waits until its job was looked at once."""

    def __init__(self, number: int) -> None:
        super().__init__(interval=0.01, deadline=time.time() + 600)
        self.job_id = f"c{number}"
        self.seen: Observation | None = None

    @property
    def waiting(self) -> list[str]:
        return [] if self.seen is not None else [self.job_id]

    def apply(self, seen: Mapping[str, Observation]) -> None:
        self.seen = seen.get(self.job_id, self.seen)


async def _by_poller(server: HostileServer, numbers: list[int], outcome: Outcome) -> None:
    """Have the jobs of many deferred tasks looked at together."""
    async with AsyncNucleusClient(_config(server), retry=NO_RETRY) as client:

        @contextlib.asynccontextmanager
        async def connect() -> AsyncGenerator[_Reader]:
            yield _Reader(client)

        for at in range(0, len(numbers), _BATCH):
            poller = JobPoller(connect)
            watchers = [_FirstLook(number) for number in numbers[at : at + _BATCH]]
            begun = time.monotonic()
            for each in watchers:
                poller.join(each)
            ends = await asyncio.gather(*(each.end for each in watchers), return_exceptions=True)
            for number, each, end in zip(numbers[at:], watchers, ends, strict=False):
                error = end if isinstance(end, BaseException) else None
                error = each.seen if error is None and isinstance(each.seen, NucleusError) else error
                outcome.note("poller", number, error, time.monotonic() - begun)
            for each in watchers:
                await poller.leave(each)


async def _stalls(outcome: Outcome) -> None:
    while True:
        begun = time.monotonic()
        await asyncio.sleep(0.01)
        outcome.longest_stall = max(outcome.longest_stall, time.monotonic() - begun)


def run(cases: int, seed: int) -> Outcome:
    """Run so many cases, a third in each way, and return what became of them."""
    outcome = Outcome()
    logging.getLogger("airflow_provider_nucleus").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    server = HostileServer(seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    third = cases // 3

    async def in_loop() -> None:
        ticker = asyncio.create_task(_stalls(outcome))
        await _by_httpx(server, list(range(third)), outcome)
        await _by_poller(server, list(range(third, 2 * third)), outcome)
        ticker.cancel()

    try:
        asyncio.run(in_loop())
        _by_requests(server, list(range(2 * third, cases)), outcome)
    finally:
        server.stop()
        logging.getLogger("airflow_provider_nucleus").setLevel(logging.NOTSET)
    outcome.grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return outcome


def main() -> int:
    """Run the fuzz from the command line; 1 if anything ended otherwise than it must."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    begun = time.monotonic()
    outcome = run(arguments.cases, arguments.seed)
    for kind, count in sorted(outcome.ends.items()):
        print(f"{count:7,} {kind}")
    print(
        f"{arguments.cases:,} cases of seed {arguments.seed} in {time.monotonic() - begun:.0f} s: {len(outcome.faults)} faults, the longest "
        f"took {outcome.longest:.1f} s, the event loop stalled {outcome.longest_stall:.2f} s at most, memory grew by {outcome.grown_mib:.0f} MiB"
    )
    for fault in outcome.faults[:50]:
        print(fault)
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
