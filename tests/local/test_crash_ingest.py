"""A few of the two hundred deaths of `benchmarks/crash_ingest.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.crash_ingest import Crasher, report

if TYPE_CHECKING:
    from pathlib import Path


def test_server_killed_while_taking_in_rows_keeps_what_it_acknowledged(tmp_path: Path):
    """SIGKILL at random moments: acknowledged rows are there once, requests whole or not at all, jobs go on."""
    with Crasher(tmp_path, seed=1) as crasher:
        tries = [crasher.attempt() for _ in range(4)]

    assert [one.problems for one in tries] == [[]] * 4
    assert "| tries | 4 |" in report(tries, seed=1)
