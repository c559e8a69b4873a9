"""The embedded Nucleus of the demonstration, as the process a user would start."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from airflow_provider_nucleus.demo.airflow_home import tail
from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.demo.processes import child_environment

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from airflow_provider_nucleus.demo.processes import Children

__all__ = ["Server", "start_server"]

_ADDRESS = re.compile(r"Nucleus listens on (\S+)")


@dataclass(frozen=True)
class Server:
    """A running server: the endpoint for clients (it ends in /v1/nucleus), and the process."""

    endpoint: str
    api_key: str
    process: subprocess.Popen[bytes]


def start_server(
    children: Children, data_dir: Path, *, log: Path, bytecode: Path, timeout: float = 60.0
) -> Server:
    """Start the server on a free loopback port with a key of its own; return when it answers.

    Raises DemoError with the end of its log when it dies or does not answer within *timeout* seconds.
    """
    command = [sys.executable, "-m", "airflow_provider_nucleus.cli.main", "serve", "--port", "0"]
    environment = child_environment(bytecode=bytecode)
    process = children.start([*command, "--data-dir", str(data_dir)], env=environment, log=log)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        status = process.poll()
        if status is not None:
            raise DemoError(
                f"The embedded Nucleus ended with status {status}; its log is {log}.", evidence=tail(log)
            )
        found = _ADDRESS.search(log.read_text(errors="replace"))
        if found and _answers(found[1].removesuffix("/v1/nucleus") + "/health"):
            return Server(found[1], (data_dir / "api-key").read_text().strip(), process)
        time.sleep(0.05)
    raise DemoError(
        f"The embedded Nucleus did not answer within {timeout:g} s; its log is {log}.", evidence=tail(log)
    )


def _answers(url: str) -> bool:
    try:
        # No proxy: the address is our own.
        with build_opener(ProxyHandler({})).open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False
