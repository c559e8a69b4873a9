"""Where the real evaluation data lies: a folder `shared` beside the checkout, absent on most machines."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_data(name: str) -> Path:
    """Return the folder of one data set, or skip the calling test with the reason."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"evaluation data {name!r} is not beside this checkout (looked for {SHARED})")
    return folder
