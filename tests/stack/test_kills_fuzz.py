"""A few of the deaths of `python -m tests.fuzz.kills`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.kills import kill_under_writers

if TYPE_CHECKING:
    from pathlib import Path


def test_a_server_killed_under_ten_kinds_of_writers_keeps_what_it_acknowledged(tmp_path: Path):
    """SIGKILL at random moments: every acknowledged row is there once, jobs end, the store is whole."""
    tries = kill_under_writers(tmp_path, cases=5, seed=1)

    assert tries == [[]] * 5
