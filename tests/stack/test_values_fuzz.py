"""A tenth of the odd values of `tests.fuzz.values`, in a process whose memory is bounded. Needs no Airflow."""

from __future__ import annotations

import os
import subprocess
import sys


def test_every_odd_value_ends_in_a_result_or_a_refusal_and_in_one_verdict():
    """By the command, an upload and the server; `NUCLEUS_FUZZ_SEED` chooses others."""
    seed = os.environ.get("NUCLEUS_FUZZ_SEED", "1")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.values", "--cases", "2000", "--seed", seed],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
