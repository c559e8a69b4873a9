from __future__ import annotations

import pytest

from airflow_provider_nucleus.demo.scenes import RenderedScene, render_scenes


@pytest.fixture(scope="session")
def scenes() -> list[RenderedScene]:
    """Eight scenes: both cameras, all four kinds of weather."""
    return list(render_scenes(8, seed=3))
