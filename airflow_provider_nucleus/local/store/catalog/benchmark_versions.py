"""Creating a benchmark: its version after the parent's, its labels, and the job that fills it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError
from airflow_provider_nucleus.local.store.catalog import benchmarks, label_configs
from airflow_provider_nucleus.local.store.catalog.benchmarks import Labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.local.requests.exclusion_rules import ExclusionRule
    from airflow_provider_nucleus.local.requests.label_taxonomy import LabelGroup
    from airflow_provider_nucleus.local.store.catalog.benchmark_sources import Sources
    from airflow_provider_nucleus.local.store.catalog.benchmarks import BenchmarkRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["BenchmarkPlan", "WantedVersion", "begin", "build_request", "find_parent", "keep_labels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedVersion:
    """The version that a request wants: numbers, or one step after the parent's."""

    major: int | None = None
    minor: int | None = None
    label: str | None = None
    major_step: bool = False

    def after(self, parent: BenchmarkRecord | None) -> tuple[int, int, str | None]:
        """Return major, minor and label; raises `BadRequestError` if that does not exceed the parent's."""
        if self.major is None and self.minor is None:
            if parent is None:
                return 1, 0, self.label
            if self.major_step:
                return parent.version_major + 1, 0, self.label
            return parent.version_major, parent.version_minor + 1, self.label
        chosen = (
            (parent.version_major if parent else 1) if self.major is None else self.major,
            0 if self.minor is None else self.minor,
        )
        if parent is not None and chosen <= (parent.version_major, parent.version_minor):
            raise BadRequestError(
                f"Version {chosen[0]}.{chosen[1]} does not exceed that of its parent, "
                f"{parent.version_major}.{parent.version_minor}."
            )
        return *chosen, self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkPlan:
    """A benchmark that was added and what is still to be put into it (None: nothing)."""

    benchmark: BenchmarkRecord
    request: dict[str, Any] | None


def begin(
    cursor: Cursor,
    *,
    name: str,
    draft: bool,
    parent: BenchmarkRecord | None,
    sources: Sources,
    removed: list[str],
    version: WantedVersion,
    description: str | None,
    metadata: dict[str, Any] | None,
    labels: Labels | None,
    rules: Sequence[ExclusionRule] | None,
) -> BenchmarkPlan:
    """Add a benchmark in the state draft or building; labels and rules that are None are those of the parent."""
    if labels is None:
        labels = Labels() if parent is None else parent.labels
    if rules is None:
        rules = () if parent is None else parent.rules()
    benchmark = benchmarks.create(
        cursor,
        name=name,
        status=benchmarks.DRAFT if draft else benchmarks.BUILDING,
        description=description,
        metadata=metadata,
        version=version.after(parent),
        parent=parent,
        labels=labels,
        rules=rules,
    )
    if not sources and parent is None:
        return BenchmarkPlan(benchmark=benchmark, request=None)
    request = build_request(benchmark, sources, parent=parent, removed=removed)
    return BenchmarkPlan(benchmark=benchmark, request=request)


def build_request(
    benchmark: BenchmarkRecord,
    sources: Sources,
    *,
    parent: BenchmarkRecord | None = None,
    removed: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the request of the job that puts items into a benchmark: those of sources and of its parent, less some."""
    return {
        "benchmark_no": benchmark.number,
        "sources": sources.to_wire(),
        "parent_no": None if parent is None else parent.number,
        "removed": list(removed),
    }


def find_parent(cursor: Cursor, benchmark_id: str) -> BenchmarkRecord:
    """Return the benchmark that a new version is cut from; raises `ConflictError` unless it is ready."""
    parent = benchmarks.find(cursor, benchmark_id)
    if parent.status != benchmarks.READY:
        raise ConflictError(
            f"Benchmark {parent.id} is {parent.status}: only a ready benchmark can have a new version."
        )
    return parent


def keep_labels(
    cursor: Cursor,
    *,
    groups: Sequence[LabelGroup] | None = None,
    config_id: str | None = None,
    class_agnostic: bool | None = None,
) -> Labels | None:
    """Keep at most one of three as the labels of a benchmark; None if none of them is given."""
    if groups is not None:
        return Labels(config_id=label_configs.create(cursor, groups)) if groups else Labels()
    if class_agnostic is not None:
        return Labels(class_agnostic=class_agnostic)
    if config_id is None:
        return None
    label_configs.groups_of(cursor, config_id)
    return Labels(config_id=config_id)
