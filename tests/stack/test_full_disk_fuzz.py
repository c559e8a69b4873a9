"""A few of the full disks of `python -m tests.fuzz.full_disk`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.full_disk import fill_under_writers

if TYPE_CHECKING:
    from pathlib import Path


def test_a_disk_that_fills_up_under_ten_kinds_of_writers_loses_nothing(tmp_path: Path):
    """Success or 507, and once there is room every acknowledged row is there once, and jobs end."""
    tries = fill_under_writers(tmp_path, cases=3, seed=1)

    assert tries == [[]] * 3
