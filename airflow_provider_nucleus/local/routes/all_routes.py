"""All routes of the REST contract in one table.

To add a resource, write a module with a `ROUTES` table and add it to `_MODULES`. Order matters only where two
templates match the same path: the first wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.routes import annotations as ground_truth
from airflow_provider_nucleus.local.routes import (
    benchmarks,
    datasets,
    deduplication,
    evaluation_results,
    evaluations,
    exports,
    items,
    jobs,
    leaderboard,
    metrics,
    model_runs,
    models,
    nothing_indexed,
    predictions,
    presets,
    queries,
    scenes,
    slice_building,
    slice_exports,
    slices,
    tracks,
    uploads,
)
from airflow_provider_nucleus.local.routes.routing import RouteTable

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["all_routes"]

_MODULES: Final[tuple[ModuleType, ...]] = (
    datasets,
    items,
    ground_truth,
    predictions,
    models,
    model_runs,
    jobs,
    metrics,
    queries,
    exports,
    slices,
    slice_building,
    slice_exports,
    scenes,
    tracks,
    deduplication,
    nothing_indexed,
    uploads,
    benchmarks,
    evaluations,
    evaluation_results,
    presets,
    leaderboard,
)


def all_routes() -> RouteTable:
    """Return every route the server answers."""
    table = RouteTable()
    for module in _MODULES:
        table.include(module.ROUTES)
    return table
