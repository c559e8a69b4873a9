"""The harness runs the DAG that a test wrote, and no other."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.airflow.harness import PrivateAirflow

SOURCE = """
    try:
        from airflow.sdk import dag, task
    except ImportError:  # Airflow < 3
        from airflow.decorators import dag, task

    @dag(schedule=None)
    def rewritten():
        @task
        def number(): return {number}

        number()

    rewritten()
"""


def test_a_file_rewritten_within_a_second_is_read_anew(
    private_airflow: PrivateAirflow, tmp_path: Path
) -> None:
    """Python keeps bytecode by name, size and second; two tests with a DAG of one name once ran the first one's twice."""
    file = tmp_path / "rewritten.py"
    found = []
    for number in (1, 2):
        file.write_text(textwrap.dedent(SOURCE.format(number=number)))
        os.utime(file, (1_700_000_000, 1_700_000_000))
        found.append(private_airflow.run_dag(file, "rewritten").tasks["number"].value)

    assert found == [1, 2]
