"""Child processes that never outlive the demonstration.

Every child leads a process group of its own, so that Ctrl-C at the terminal reaches this process alone and the children are
ended in order, their own children with them. SIGINT, SIGTERM and SIGHUP all end the same way: `Interrupted` is raised where the
program waits, and leaving the `Children` block ends every group: by a signal first, then killed.
"""

from __future__ import annotations

import os
import signal
import subprocess  # ruff: ignore[suspicious-subprocess-import] - children are what this module is about
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import FrameType, TracebackType

__all__ = ["Children", "Interrupted", "child_environment"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal stopped the demonstration; like KeyboardInterrupt it is no Exception. `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Children:
    """Starts children and ends them all on leaving the block, which also restores the former signal handlers.

    *patience* is how long, in seconds, a child may take to end after the signal.
    """

    def __init__(self, *, patience: float = 15.0) -> None:
        self._patience = patience
        self._running: list[subprocess.Popen[bytes]] = []
        self._former: dict[signal.Signals, Any] = {}
        self._starting = False
        self._pending: int | None = None

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path | None = None,
        piped: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a command whose output, errors included, goes to the file *log*.

        With *piped* its input and its plain output are pipes, and only the errors go there.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        # A signal between the fork and the note of it would leave an unknown child: it waits until both are done.
        self._starting = True
        try:
            with log.open("wb") as output:
                child = subprocess.Popen(
                    command,
                    env=dict(env),
                    cwd=cwd,
                    stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                    stdout=subprocess.PIPE if piped else output,
                    stderr=output if piped else subprocess.STDOUT,
                    start_new_session=True,
                )
            self._running.append(child)
        finally:
            self._starting = False
        if self._pending is not None:
            raise Interrupted(self._pending)
        return child

    def stop(self, child: subprocess.Popen[bytes]) -> None:
        """End one child and everything it started."""
        _end([child], self._patience)
        self._running.remove(child)

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._former[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in _SIGNALS:  # a second Ctrl-C must not stop the tidying up
            signal.signal(number, signal.SIG_IGN)
        try:
            _end(self._running, self._patience)
            self._running.clear()
        finally:
            for number, handler in self._former.items():
                signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._starting:
            self._pending = number
        else:
            raise Interrupted(number)


def _end(children: Sequence[subprocess.Popen[bytes]], patience: float) -> None:
    for child in children:
        _signal_group(child, signal.SIGTERM)
    deadline = time.monotonic() + patience
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(deadline - time.monotonic(), 0.1))
    for child in children:
        # Also when the leader has ended: what it started may still be there.
        _signal_group(child, signal.SIGKILL)
        child.wait()
    for child in children:
        _await_group(child)


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _await_group(child: subprocess.Popen[bytes], *, timeout: float = 2.0) -> None:
    """Wait until a killed group is gone; members that are not our children cannot be waited for in any other way."""
    deadline = time.monotonic() + timeout
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(child.pid, 0)
            time.sleep(0.01)


def child_environment(*, bytecode: Path) -> dict[str, str]:
    """Return the environment without any setting of Airflow or Nucleus, and with loopback kept from proxies.

    Airflow consists of two thousand modules. Where PYTHONDONTWRITEBYTECODE would have them compiled at every start, they
    are compiled into the folder *bytecode* instead: still nothing is written beside the sources, and starts get faster.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "_AIRFLOW", "NUCLEUS_"))
    }
    loopback = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), "127.0.0.1,localhost"]))
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept["PYTHONPYCACHEPREFIX"] = str(bytecode.resolve())
    return {**kept, "NO_PROXY": loopback, "no_proxy": loopback}
