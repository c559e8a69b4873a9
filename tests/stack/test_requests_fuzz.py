"""A tenth of the odd requests of `python -m tests.fuzz.requests`, and less where the whole takes longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.requests import fuzz

if TYPE_CHECKING:
    from pathlib import Path


def test_odd_requests_are_no_errors_of_the_server(tmp_path: Path):
    """Every route, every position: answered with less than 500, in bounded memory, and the store is whole afterwards."""
    outcome = fuzz(tmp_path, cases=10_000, seed=1)

    assert outcome.problems == [], "\n\n".join(outcome.problems[:10])
    assert sum(outcome.statuses.values()) == 10_000
    assert outcome.statuses[200] > 1_000
