"""Fixtures of the unit tests."""

from __future__ import annotations

import tests.airflow_home  # ruff: ignore[unused-import] - before anything imports Airflow
