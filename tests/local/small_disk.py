"""A disk of a few megabytes that a test fills and makes room on: a file system of its own in memory."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system; `path` is its root."""

    path: Path

    @property
    def _ballast(self) -> Path:
        # What begins with a dot is nobody's business in a data directory.
        return self.path / ".ballast"

    def fill(self, *, left: int = 0) -> None:
        """Leave room for no more than some bytes."""
        state = os.statvfs(self.path)
        # A server that runs may take the rest meanwhile: what fits is written, and less is left.
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            file.write(bytes(max(0, state.f_bavail * state.f_bsize - left)))

    def make_room(self) -> None:
        """Take back what `fill` has put there."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path, *, megabytes: int) -> Generator[SmallDisk]:
    """Mount one, or skip the test where that is not allowed."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command; test_durable.py has what needs none")
    if done.returncode:
        pytest.skip(
            f"no file system may be mounted ({done.stderr.strip()}); test_durable.py has what needs none"
        )
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
