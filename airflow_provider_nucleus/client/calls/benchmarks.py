"""Routes of benchmarks and leaderboards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from airflow_provider_nucleus.client.call import LOOK_LIMIT, Call, path_segment
from airflow_provider_nucleus.client.calls._read import list_of, nothing
from airflow_provider_nucleus.client.calls.evaluations import UNCHANGED, Unchanged
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.base import require_object
from airflow_provider_nucleus.schema.benchmarks import Benchmark, BenchmarkItems, F1Curve, LeaderboardEntry
from airflow_provider_nucleus.schema.evaluations import check_rollup_groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.schema.evaluations import RollupGroup

__all__ = [
    "StartedBenchmark",
    "add_benchmark_items",
    "benchmark_items",
    "create_benchmark",
    "delete_benchmark",
    "finalize_benchmark",
    "get_benchmark",
    "leaderboard_f1_curves",
    "leaderboard_ranking",
    "list_benchmarks",
    "remove_benchmark_items",
    "update_benchmark",
]

MetricType: TypeAlias = Literal[
    "MAP_50", "MAP_50_95", "AP_SMALL", "AP_MEDIUM", "AP_LARGE", "PRECISION", "RECALL", "F1"
]


@dataclass(frozen=True, slots=True)
class StartedBenchmark:
    """A benchmark being made; `job_id` is None when there is nothing to wait for."""

    benchmark_id: str
    job_id: str | None

    @classmethod
    def from_wire(cls, payload: object) -> StartedBenchmark:
        """Read the answer of a creation."""
        answer = require_object(payload, "the answer")
        job_id = answer.get("job_id")
        return cls(str(answer["benchmark_id"]), None if job_id is None else str(job_id))


def create_benchmark(
    name: str,
    *,
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    item_ids: Sequence[str] | None = None,
    items: Sequence[Mapping[str, str]] | None = None,
    slice_ids: Sequence[str] | None = None,
    dataset_ids: Sequence[str] | None = None,
    parent_benchmark_id: str | None = None,
    bump_type: Literal["minor", "major"] | None = None,
    version_major: int | None = None,
    version_minor: int | None = None,
    version_label: str | None = None,
    removed_item_ids: Sequence[str] | None = None,
    draft: bool = False,
    rollup_groups: Sequence[RollupGroup] | None = None,
    allowed_label_matches_id: str | None = None,
    class_agnostic: bool | None = None,
) -> Call[StartedBenchmark]:
    """Create a benchmark from the union of its sources; items without ground truth are skipped by the server.

    `items` are `{"dataset_id": .., "ref_id": ..}`. At most one of the three taxonomies may be given.
    """
    taxonomy = _taxonomy(
        rollup_groups, class_agnostic=class_agnostic, allowed_label_matches_id=allowed_label_matches_id
    )
    sources = _sources(item_ids=item_ids, items=items, slice_ids=slice_ids, dataset_ids=dataset_ids)
    if not sources and not draft and parent_benchmark_id is None:
        raise NucleusValidationError(
            "item_ids", "or another source must be given, unless it is a draft or a version"
        )
    if removed_item_ids and parent_benchmark_id is None:
        raise NucleusValidationError("removed_item_ids", "needs parent_benchmark_id")
    optional = {
        "description": description,
        "metadata": dict(metadata) if metadata is not None else None,
        "parent_benchmark_id": parent_benchmark_id,
        "bump_type": bump_type,
        "version_major": version_major,
        "version_minor": version_minor,
        "version_label": version_label,
        "removed_item_ids": list(removed_item_ids) if removed_item_ids else None,
        "draft": True if draft else None,
    }
    body = (
        {"name": name}
        | {key: value for key, value in optional.items() if value is not None}
        | sources
        | taxonomy
    )
    return Call(
        "POST",
        "benchmarks",
        StartedBenchmark.from_wire,
        f"create benchmark {name!r}",
        body=body,
        repeatable=False,
    )


def _taxonomy(
    rollup_groups: Sequence[RollupGroup] | None,
    *,
    class_agnostic: bool | None,
    allowed_label_matches_id: str | None,
) -> dict[str, Any]:
    taxonomy: dict[str, Any] = {}
    if rollup_groups is not None:
        check_rollup_groups(list(rollup_groups))
        taxonomy["rollupGroups"] = [group.to_wire() for group in rollup_groups]
    if allowed_label_matches_id is not None:
        taxonomy["allowed_label_matches_id"] = allowed_label_matches_id
    if class_agnostic is not None:
        taxonomy["class_agnostic"] = class_agnostic
    if len(taxonomy) > 1:
        raise NucleusValidationError("rollup_groups", f"must be the only taxonomy, got {', '.join(taxonomy)}")
    return taxonomy


def _sources(**sources: Sequence[Any] | None) -> dict[str, Any]:
    return {name: list(members) for name, members in sources.items() if members}


def list_benchmarks() -> Call[list[Benchmark]]:
    """List the benchmarks this key can see."""
    return Call("GET", "benchmarks", list_of(Benchmark.from_wire), "list benchmarks")


def get_benchmark(benchmark_id: str) -> Call[Benchmark]:
    """Return a benchmark."""
    path = f"benchmarks/{path_segment(benchmark_id)}"
    return Call("GET", path, Benchmark.from_wire, f"read benchmark {benchmark_id}", answer_limit=LOOK_LIMIT)


def update_benchmark(
    benchmark_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    rollup_groups: Sequence[RollupGroup] | None = None,
    allowed_label_matches_id: str | Unchanged | None = UNCHANGED,
    class_agnostic: bool | None = None,
) -> Call[Benchmark]:
    """Change a benchmark; its taxonomy only while it is a draft."""
    optional = {
        "name": name,
        "description": description,
        "metadata": dict(metadata) if metadata is not None else None,
    }
    body: dict[str, Any] = {key: value for key, value in optional.items() if value is not None}
    body |= _taxonomy(rollup_groups, class_agnostic=class_agnostic, allowed_label_matches_id=None)
    if not isinstance(allowed_label_matches_id, Unchanged):
        body["allowed_label_matches_id"] = allowed_label_matches_id
    path = f"benchmarks/{path_segment(benchmark_id)}"
    return Call("PATCH", path, Benchmark.from_wire, f"change benchmark {benchmark_id}", body=body)


def delete_benchmark(benchmark_id: str) -> Call[None]:
    """Delete a benchmark; its items stay in their datasets."""
    path = f"benchmarks/{path_segment(benchmark_id)}"
    return Call("DELETE", path, nothing, f"delete benchmark {benchmark_id}", body={}, reads_body=False)


def benchmark_items(benchmark_id: str, *, limit: int = 1000, offset: int = 0) -> Call[BenchmarkItems]:
    """Return some of a benchmark's item ids."""
    return Call(
        "GET",
        f"benchmarks/{path_segment(benchmark_id)}/items",
        BenchmarkItems.from_wire,
        f"list the items of benchmark {benchmark_id}",
        params={"limit": str(limit), "offset": str(offset)},
    )


def add_benchmark_items(
    benchmark_id: str,
    *,
    item_ids: Sequence[str] | None = None,
    items: Sequence[Mapping[str, str]] | None = None,
    slice_ids: Sequence[str] | None = None,
    dataset_ids: Sequence[str] | None = None,
    scene_ids: Sequence[str] | None = None,
) -> Call[str | None]:
    """Add items to a draft; returns the id of the job that does it, if there is one."""
    body = _sources(
        item_ids=item_ids, items=items, slice_ids=slice_ids, dataset_ids=dataset_ids, scene_ids=scene_ids
    )

    def read(payload: Any) -> str | None:
        job_id = require_object(payload, "the answer").get("job_id")
        return None if job_id is None else str(job_id)

    path = f"benchmarks/{path_segment(benchmark_id)}/items"
    # A benchmark is a set, so that adding twice adds once, but each time by a job of its own.
    return Call("POST", path, read, f"add items to benchmark {benchmark_id}", body=body, repeatable=False)


def remove_benchmark_items(benchmark_id: str, item_ids: Sequence[str]) -> Call[None]:
    """Remove items from a draft; unknown ones are ignored."""
    path = f"benchmarks/{path_segment(benchmark_id)}/items"
    body = {"item_ids": list(item_ids)}
    return Call(
        "DELETE", path, nothing, f"remove items from benchmark {benchmark_id}", body=body, reads_body=False
    )


def finalize_benchmark(benchmark_id: str) -> Call[Benchmark]:
    """Freeze a draft, so that it can be evaluated."""
    path = f"benchmarks/{path_segment(benchmark_id)}/finalize"
    name = f"finalize benchmark {benchmark_id}"
    return Call("POST", path, Benchmark.from_wire, name, body={}, repeatable=False)


def leaderboard_ranking(
    benchmark_ids: Sequence[str],
    *,
    metric_type: MetricType = "MAP_50_95",
    confidence_threshold: float | None = None,
    model_ids: Sequence[str] | None = None,
    scope: Literal["all", "mine"] | None = None,
    collapse: Literal["bestPerModel", "allEvaluations"] | None = None,
) -> Call[list[LeaderboardEntry]]:
    """Rank evaluations by one metric, best first; the confidence threshold counts for PRECISION, RECALL and F1."""
    optional: dict[str, Any] = {
        "confidence_threshold": confidence_threshold,
        "model_ids": list(model_ids) if model_ids is not None else None,
        "scope": scope,
        "collapse": collapse,
    }
    body: dict[str, Any] = {"metric_type": metric_type, "benchmark_ids": list(benchmark_ids)}
    body |= {key: value for key, value in optional.items() if value is not None}
    return Call(
        "POST", "leaderboard/ranking", list_of(LeaderboardEntry.from_wire), "rank evaluations", body=body
    )


def leaderboard_f1_curves(
    benchmark_ids: Sequence[str], *, top_n: int = 5, model_ids: Sequence[str] | None = None
) -> Call[list[F1Curve]]:
    """Return F1 against confidence for the best models."""
    body: dict[str, Any] = {"benchmark_ids": list(benchmark_ids), "top_n": top_n}
    if model_ids is not None:
        body["model_ids"] = list(model_ids)
    return Call("POST", "leaderboard/f1Curve", list_of(F1Curve.from_wire), "read F1 curves", body=body)
