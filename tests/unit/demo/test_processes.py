from __future__ import annotations

import os
import pathlib
import signal
import sys

import pytest

from airflow_provider_nucleus.demo.processes import Children, Interrupted

FOREVER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOREVER}"
WITH_GRANDCHILD = (
    "import subprocess, sys, time;"
    f"p = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], stdout=subprocess.DEVNULL);"
    "print('pid', p.pid, flush=True); time.sleep(600)"
)


def start(children, code, log):
    child = children.start([sys.executable, "-c", code], env=os.environ, log=log)
    while "\n" not in log.read_text():
        assert child.poll() is None, log.read_text()
    return child


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that init has not collected yet is dead as well.
    with pathlib.Path(f"/proc/{pid}/stat").open() as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_leaving_the_block_ends_the_children(tmp_path):
    """Nothing that was started outlives the block."""
    with Children() as children:
        child = start(children, FOREVER, tmp_path / "log")

    assert child.returncode == -signal.SIGTERM


def test_a_child_that_does_not_listen_is_killed(tmp_path):
    """Patience ends."""
    with Children(patience=0.2) as children:
        child = start(children, STUBBORN, tmp_path / "log")

    assert child.returncode == -signal.SIGKILL


def test_grandchildren_end_with_their_parent(tmp_path):
    """The whole process group is ended, also when its leader has gone before the rest."""
    log = tmp_path / "log"
    with Children(patience=5) as children:
        start(children, WITH_GRANDCHILD, log)
        grandchild = int(log.read_text().split()[1])
        assert alive(grandchild)

    assert not alive(grandchild)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_and_ends_the_children(tmp_path, number):
    """The signal becomes Interrupted where the program waits, and the former handlers come back."""
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught, Children() as children:  # ruff: ignore[pytest-raises-with-multiple-statements]
        child = start(children, FOREVER, tmp_path / "log")
        os.kill(os.getpid(), number)
        child.wait()

    assert caught.value.number == number
    assert child.returncode == -signal.SIGTERM
    assert signal.getsignal(number) is before


def test_a_signal_while_a_child_is_being_started_loses_no_child(tmp_path, monkeypatch):
    """A signal between the fork and the note of it waits until the child is known, and then counts."""
    import subprocess

    started = []

    class Slow(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(subprocess, "Popen", Slow)
    with pytest.raises(Interrupted), Children() as children:
        children.start([sys.executable, "-c", FOREVER], env=os.environ, log=tmp_path / "log")

    assert started[0].returncode is not None


def test_one_child_can_be_stopped_early(tmp_path):
    """The others go on."""
    with Children() as children:
        first = start(children, FOREVER, tmp_path / "first")
        second = start(children, FOREVER, tmp_path / "second")
        children.stop(first)

        assert first.returncode == -signal.SIGTERM
        assert second.poll() is None
