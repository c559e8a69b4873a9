"""The page that says which routes there are is true."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_nucleus.local.contract import contract_routes, coverage_page
from airflow_provider_nucleus.local.routes.all_routes import all_routes
from tests.peer_suite.outcomes import HEADING

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coverage.md"


def test_coverage_page_is_current():
    """Regenerate it with: python -m tests.peer_suite --page, which keeps what is said of the official client's own tests."""
    assert PAGE.read_text().partition(f"\n{HEADING}")[0] == coverage_page(all_routes())


def test_core_of_the_contract_is_complete():
    """Every route of the first tier has a tick."""
    rows = [line for line in PAGE.read_text().splitlines() if "| T1 |" in line]

    assert len(rows) == sum(route.tier == "T1" for route in contract_routes())
    assert [line for line in rows if "\u2713" not in line] == []
