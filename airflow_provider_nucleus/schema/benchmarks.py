"""Benchmarks: frozen sets of items that models are scored against, and the leaderboards over them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from airflow_provider_nucleus.schema.base import Answer
from airflow_provider_nucleus.schema.models import Members

__all__ = ["Benchmark", "BenchmarkItems", "F1Curve", "F1Point", "LeaderboardEntry"]


class Benchmark(Answer):
    """A benchmark version; `status` is draft, building, ready or failed."""

    id: str = Field(alias="benchmark_id")
    name: str
    description: str | None = None
    metadata: Members = Field(default_factory=dict)
    created_by_user_id: str | None = None
    created_at: str | None = None
    item_count: int | None = None
    dataset_count: int | None = None
    skipped_items_without_ground_truth: int | None = None
    status: str | None = None
    parent_benchmark_id: str | None = None
    version_major: int | None = None
    version_minor: int | None = None
    version_label: str | None = None
    allowed_label_matches_id: str | None = None
    class_agnostic: bool | None = None
    exclusion_rules: list[dict[str, Any]] | None = None


class BenchmarkItems(Answer):
    """A page of a benchmark's items; `total` counts all of them."""

    item_ids: list[str]
    total: int


class LeaderboardEntry(Answer):
    """One line of a ranking: best score first, `rank` from 1."""

    evaluation_id: str
    score: float
    rank: int
    evaluation_name: str | None = None
    model_run_id: str | None = None
    model_run_name: str | None = None
    model_id: str | None = None
    model_name: str | None = None
    model_version_major: int | None = None
    model_version_minor: int | None = None
    model_version_label: str | None = None
    parent_model_project_id: str | None = None


class F1Point(Answer):
    """F1 (0 to 1) of the predictions at or above a confidence."""

    confidence_threshold: float
    score: float


class F1Curve(Answer):
    """F1 against confidence for one evaluation, best F1 first among its peers."""

    evaluation_id: str
    points: list[F1Point]
    rank: int
    best_f1: float | None = None
    evaluation_name: str | None = None
    model_run_id: str | None = None
    model_run_name: str | None = None
    model_id: str | None = None
    model_name: str | None = None
