"""The embedded Nucleus, started within milliseconds: forked from a process that has imported everything.

Importing the server takes two seconds, which nobody notices once and everybody two hundred times. What runs is the command
`nucleus-local serve` in a process of its own, killed with SIGKILL like any other.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.error import URLError
from urllib.request import urlopen

from airflow_provider_nucleus.local.testing import LocalNucleus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOLD_JOBS = "TESTS_HOLD_JOBS"
"""Variable in a server's environment: its jobs stay Running, because nobody works on them; no setting of the server does that."""


class Nursery:
    """A process that has imported the server and forks one on request; a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.preloaded"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait()
        process.stdout.close()

    def fork(self, arguments: list[str], *, environment: Mapping[str, str], log: Path) -> int:
        """Start `nucleus-local` with *arguments* and return its process id."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"arguments": arguments, "environment": dict(environment), "log": str(log)}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())


class PreloadedNucleus(LocalNucleus):
    """A `LocalNucleus` out of a nursery."""

    def __init__(
        self, data_dir: Path, *, nursery: Nursery, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(data_dir, environment=environment)
        self._nursery = nursery
        self._pid = 0

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._pid

    def start(self, *, timeout: float = 30.0) -> Self:
        """Start the server and return when it answers."""
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        log = self._log_path
        log.write_bytes(b"")
        self._pid = self._nursery.fork(
            ["serve", "--port", "0", "--data-dir", str(self.data_dir)],
            environment={**self._environment, "NUCLEUS_LOCAL_API_KEY": self.api_key},
            log=log,
        )
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if "Nucleus listens on " in self.log:
                self.url = self.log.split("Nucleus listens on ")[1].split()[0]
                with (
                    contextlib.suppress(URLError, ConnectionError),
                    urlopen(f"{self.base_url}/health", timeout=5),
                ):
                    return self
            assert _alive(self._pid), f"the server died:\n{self.log}"
            time.sleep(0.005)
        raise AssertionError(f"the server did not answer within {timeout} s:\n{self.log}")

    def stop(self, *, timeout: float = 30.0) -> int:
        """Ask the server to shut down; kills it after *timeout* seconds."""
        self._end(signal.SIGTERM, timeout)
        return 0

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        self._end(signal.SIGKILL, 30)

    def _end(self, number: int, timeout: float) -> None:
        if not self._pid:
            return
        pid, self._pid = self._pid, 0
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + timeout
        while _alive(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _serve(request: dict[str, Any]) -> None:
    """Become the server; never returns."""
    from airflow_provider_nucleus.cli.main import main
    from airflow_provider_nucleus.local import server

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for number, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
        os.dup2(number, target)
    os.environ.update(request["environment"])
    if os.environ.get(HOLD_JOBS):
        pool = server.JobPool
        server.JobPool = lambda runners, *, workers: pool(runners, workers=0)
    status = 1
    try:
        status = main(request["arguments"])
    finally:
        sys.stdout.flush()
        os._exit(status)


def _nurse() -> None:
    import duckdb  # ruff: ignore[unused-import]
    import uvicorn  # ruff: ignore[unused-import]

    import airflow_provider_nucleus.local.server  # ruff: ignore[unused-import]

    # Nobody asks how the children ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _serve(request)
        print(pid, flush=True)


if __name__ == "__main__":
    _nurse()
