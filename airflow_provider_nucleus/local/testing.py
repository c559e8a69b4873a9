"""A real server in a process of its own, for tests: started, killed and restarted at will."""

from __future__ import annotations

import os
import re
import subprocess  # ruff: ignore[suspicious-subprocess-import] - starting the real command is the point
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.error import URLError
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["LocalNucleus"]

_ADDRESS = re.compile(r"Nucleus listens on (\S+)")


class LocalNucleus:
    """`nucleus-local serve` on a free loopback port, in a subprocess.

    `url` is the endpoint for clients (it ends in `/v1/nucleus`), `base_url` the address of the pages. As a
    context manager it starts on entry and stops on exit. `environment` is added to the server's environment.
    """

    def __init__(
        self, data_dir: Path | str, *, api_key: str = "test_key", environment: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = Path(data_dir)
        self.api_key = api_key
        self.url = ""
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """The server's address without the API prefix."""
        return self.url.removesuffix("/v1/nucleus")

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything the server has printed."""
        return self._log_path.read_text(errors="replace")

    @property
    def _log_path(self) -> Path:
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    def start(self, *, timeout: float = 60.0) -> Self:
        """Start the server and return when it answers; raises RuntimeError with its output if it dies."""
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "airflow_provider_nucleus.cli.main", "serve", "--port", "0"]
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--data-dir", str(self.data_dir)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment, "NUCLEUS_LOCAL_API_KEY": self.api_key},
            )
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"nucleus-local ended with {self._process.returncode}:\n{self.log}")
            if found := _ADDRESS.search(self.log):
                self.url = found[1]
                if _answers(f"{self.base_url}/health"):
                    return self
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"nucleus-local did not answer within {timeout} s:\n{self.log}")

    def stop(self, *, timeout: float = 30.0) -> int:
        """Ask the server to shut down and return its exit status."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process = None

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as response:  # ruff: ignore[suspicious-url-open-usage] - our own loopback address
            return bool(response.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False
