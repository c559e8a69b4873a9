"""Kill the embedded Nucleus with SIGKILL at random moments of taking in rows, restart it, and count what is there.

Two clients send rows as fast as the server takes them, one in requests, one as files with jobs. A try kills the server at a random
moment, starts it again on the same data, and checks, when its jobs have ended:

- every row of a request that was answered with 200, and of a job whose start was answered, is stored;
- no row is stored twice;
- a request without an answer is stored whole or not at all;
- no job is left running, and what each job says it stored is what was sent.

The next try goes on with the same server and data. `python benchmarks/crash_ingest.py` runs 200 tries and writes
`benchmarks/results/crash_ingest.md`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.preloaded import Nursery, PreloadedNucleus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

REQUEST_ROWS = 200
JOB_ROWS = 3_000
LONGEST = 0.6
"""Seconds of taking in rows before the server dies, at most."""

RESULTS = Path(__file__).with_name("results") / "crash_ingest.md"


@dataclass
class Sent:
    """What the clients sent in one try: the numbers of the rows, by what became of the request."""

    acknowledged: list[range] = field(default_factory=list)
    unanswered: list[range] = field(default_factory=list)
    jobs: dict[str, range] = field(default_factory=dict)
    """Jobs whose start was answered."""
    lost_starts: list[range] = field(default_factory=list)
    """Rows of jobs whose start was not: they may exist."""


@dataclass(frozen=True)
class Try:
    """How one try ended."""

    problems: list[str]
    delay: float
    restart: float
    rows: int
    """Acknowledged rows, in requests and jobs."""
    resumed: int
    """Jobs that were interrupted and went on."""
    unanswered_stored: int
    """Requests that were stored although their answer never arrived."""


class Crasher:
    """A server that is killed again and again; a context manager."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._stack = contextlib.ExitStack()
        self._dataset = ""

    def __enter__(self) -> Self:
        nursery = self._stack.enter_context(Nursery())
        # Small pieces, so that a job commits many times and most deaths hit one in the middle.
        environment = {"NUCLEUS_LOCAL_CHUNK_BYTES": "40000"}
        self.server = PreloadedNucleus(self._folder / "data", nursery=nursery, environment=environment)
        self._stack.enter_context(self.server)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def attempt(self) -> Try:
        """Take in rows, die, restart, check."""
        self._dataset = self._ok("POST", "dataset/create", json={"name": "crash"})["dataset_id"]
        items = [{"reference_id": "a", "image_url": "s3://b/a.jpg"}]
        self._ok("POST", f"dataset/{self._dataset}/append", json={"items": items, "update": False})
        sent = Sent()
        numbers = _Numbers()
        clients = [
            threading.Thread(target=_until_dead, args=(work, sent, numbers), daemon=True)
            for work in (self._request, self._job)
        ]
        for client in clients:
            client.start()
        delay = self._random.uniform(0, LONGEST)
        time.sleep(delay)
        self.server.kill()
        for client in clients:
            client.join()
        began = time.perf_counter()
        self.server.start()
        restart = time.perf_counter() - began
        return self._checked(sent, delay=delay, restart=restart)

    def _request(self, sent: Sent, numbers: _Numbers) -> None:
        rows = numbers.take(REQUEST_ROWS)
        try:
            body = {"annotations": [_box(n) for n in rows], "update": False}
            self._ok("POST", f"dataset/{self._dataset}/annotate", json=body)
        except requests.RequestException:
            sent.unanswered.append(rows)
            raise
        sent.acknowledged.append(rows)

    def _job(self, sent: Sent, numbers: _Numbers) -> None:
        rows = numbers.take(JOB_ROWS)
        request_id = f"r{rows.start}"
        address = self._ok("GET", f"dataset/{self._dataset}/signedUrl/{request_id}")["signed_url"]
        requests.put(
            address, data="".join(json.dumps(_box(n)) + "\n" for n in rows), timeout=30
        ).raise_for_status()
        try:
            body = {"requestId": request_id, "update": False}
            job = self._ok("POST", f"dataset/{self._dataset}/annotate?async=1", json=body)["job_id"]
        except requests.RequestException:
            sent.lost_starts.append(rows)
            raise
        sent.jobs[job] = rows

    def _checked(self, sent: Sent, *, delay: float, restart: float) -> Try:
        problems: list[str] = []
        resumed = self.server.log.count("was interrupted")
        ended = self._ended_jobs()
        for job, rows in sent.jobs.items():
            if job not in ended:
                problems.append(f"{job}, whose start was answered, is not there")
            elif (status := ended[job])["status"] != "Completed":
                problems.append(f"{job} ended as {status['status']}")
            elif (counts := status["message"]["annotation_upload"])["processed"] != len(rows):
                problems.append(f"{job} stored {counts['processed']} of {len(rows)} rows by its own account")
        strangers = [job for job in ended if job not in sent.jobs]
        if len(strangers) > len(sent.lost_starts):
            problems.append(f"jobs nobody started: {strangers}")
        stored = Counter(self._stored())
        twice = [number for number, count in stored.items() if count > 1]
        if twice:
            problems.append(f"{len(twice)} rows are stored twice")
        acknowledged = [*sent.acknowledged, *sent.jobs.values()]
        lost = sum(number not in stored for rows in acknowledged for number in rows)
        if lost:
            problems.append(f"{lost} acknowledged rows are lost")
        shares = [sum(number in stored for number in rows) for rows in sent.unanswered]
        if any(0 < share < REQUEST_ROWS for share in shares):
            problems.append(f"an unanswered request is stored in part: {shares}")
        expected = {
            number for rows in (*acknowledged, *sent.unanswered, *sent.lost_starts) for number in rows
        }
        if stored.keys() - expected:
            problems.append("there are rows that nobody sent")
        return Try(
            problems=problems,
            delay=delay,
            restart=restart,
            rows=sum(map(len, acknowledged)),
            resumed=resumed,
            unanswered_stored=sum(share > 0 for share in shares),
        )

    def _ended_jobs(self) -> dict[str, Any]:
        """Return the statuses of the dataset's jobs when all have ended."""
        deadline = time.monotonic() + 120
        while True:
            found = self._ok("POST", "jobs/", json={"dataset_id": self._dataset, "show_completed": True})
            statuses = {job["job_id"]: self._ok("GET", f"job/{job['job_id']}") for job in found}
            running = [job for job, status in statuses.items() if status["status"] == "Running"]
            if not running:
                return statuses
            if time.monotonic() > deadline:
                return {job: status for job, status in statuses.items() if job not in running}
            time.sleep(0.01)

    def _stored(self) -> Iterable[int]:
        found = self._ok("GET", f"dataset/{self._dataset}/iloc/0")["annotations"].get("box", [])
        return (int(row["annotation_id"]) for row in found)

    def _ok(self, method: str, path: str, **arguments: Any) -> Any:
        answer = requests.request(
            method, f"{self.server.url}/{path}", auth=(self.server.api_key, ""), timeout=60, **arguments
        )
        answer.raise_for_status()
        return answer.json()


class _Numbers:
    """Numbers for rows, each given out once."""

    def __init__(self) -> None:
        self._next = 0
        self._lock = threading.Lock()

    def take(self, count: int) -> range:
        with self._lock:
            first, self._next = self._next, self._next + count
        return range(first, first + count)


def _until_dead(work: Callable[[Sent, _Numbers], None], sent: Sent, numbers: _Numbers) -> None:
    with contextlib.suppress(requests.RequestException):
        while True:
            work(sent, numbers)


def _box(number: int) -> dict[str, Any]:
    return {
        "label": "car",
        "type": "box",
        "geometry": {"x": number, "y": 1, "width": 2, "height": 3},
        "reference_id": "a",
        "annotation_id": str(number),
        "metadata": {},
    }


def main() -> int:
    """Run the tries and write the result down; the exit status is 1 if a row was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tries: list[Try] = []
    with tempfile.TemporaryDirectory() as folder, Crasher(Path(folder), seed=options.seed) as crasher:
        for number in range(options.tries):
            tries.append(crasher.attempt())
            for problem in tries[-1].problems:
                print(f"try {number}: {problem}", flush=True)
            if number % 20 == 19:
                print(f"{number + 1} tries, {sum(one.rows for one in tries):,} rows", flush=True)
    page = report(tries, seed=options.seed)
    print(page)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(page)
    return int(any(one.problems for one in tries))


def report(tries: list[Try], *, seed: int) -> str:
    """Return the result as a page."""
    restarts = sorted(one.restart for one in tries)
    broken = [(number, problem) for number, one in enumerate(tries) for problem in one.problems]
    lines = [
        "# Death in the middle of taking in rows",
        "",
        f"`python benchmarks/crash_ingest.py --tries {len(tries)} --seed {seed}`,",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}.",
        "SIGKILL of the server at a random moment while one client sends requests and another files with jobs; see the script.",
        "",
        "| | |",
        "|---|---|",
        f"| tries | {len(tries)} |",
        f"| tries in which an acknowledged row was lost, or any row was doubled or torn | {len({n for n, _ in broken})} |",
        f"| acknowledged rows, all checked | {sum(one.rows for one in tries):,} |",
        f"| jobs that were interrupted and went on | {sum(one.resumed for one in tries)} |",
        f"| requests stored although their answer was lost | {sum(one.unanswered_stored for one in tries)} |",
        f"| moment of death, seconds after the clients started | 0 to {LONGEST} |",
        f"| restart until the first answer, median and longest, seconds | {restarts[len(restarts) // 2]:.2f}, {restarts[-1]:.2f} |",
    ]
    lines += [f"- try {number}: {problem}" for number, problem in broken]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
