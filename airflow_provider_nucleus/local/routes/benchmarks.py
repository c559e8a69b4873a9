"""Routes of benchmarks (contract section 2.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.requests.benchmarks import (
    AddItemsRequest,
    BenchmarkItemsAddress,
    CreateBenchmarkRequest,
    ItemSources,
    RemoveItemsRequest,
    TaxonomyFields,
    UpdateBenchmarkRequest,
)
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import benchmarks
from airflow_provider_nucleus.local.store.catalog.benchmark_sources import Sources, find_sources
from airflow_provider_nucleus.local.store.catalog.benchmark_versions import (
    WantedVersion,
    begin,
    build_request,
    find_parent,
    keep_labels,
)
from airflow_provider_nucleus.local.store.catalog.benchmarks import Labels

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()
_LARGEST_PAGE: Final = 100_000


@ROUTES.post("benchmarks", body=CreateBenchmarkRequest, status=202)
def create(call: RouteCall, request: CreateBenchmarkRequest) -> Any:
    """Create a benchmark and start the job that fills it."""
    with call.db.write() as cursor:
        parent_id = request.parent_benchmark_id
        plan = begin(
            cursor,
            name=request.name,
            draft=bool(request.draft),
            parent=None if parent_id is None else find_parent(cursor, parent_id),
            sources=_sources(cursor, request),
            removed=request.removed_item_ids or [],
            version=WantedVersion(
                major=request.version_major,
                minor=request.version_minor,
                label=request.version_label,
                major_step=request.bump_type == "major",
            ),
            description=request.description,
            metadata=request.metadata,
            labels=_labels(cursor, request),
            rules=request.exclusion_rules,
        )
        job = None
        if plan.request is not None:
            job = call.services.start_job(
                cursor, benchmarks.BENCHMARK_JOB, dataset_no=None, request=plan.request
            )
    return {"benchmark_id": plan.benchmark.id, "job_id": None if job is None else job.id}


def _sources(cursor: Cursor, request: ItemSources) -> Sources:
    return find_sources(
        cursor,
        item_ids=request.item_ids,
        references=request.references,
        slice_ids=[*request.slice_ids, *([] if request.slice_id is None else [request.slice_id])],
        dataset_ids=[*request.dataset_ids, *([] if request.dataset_id is None else [request.dataset_id])],
        scene_ids=request.scene_ids,
    )


def _labels(cursor: Cursor, request: TaxonomyFields) -> Labels | None:
    return keep_labels(
        cursor,
        groups=request.rollup_groups,
        config_id=request.allowed_label_matches_id,
        class_agnostic=request.class_agnostic,
    )


@ROUTES.get("benchmarks")
def listing(call: RouteCall) -> Any:
    """List all benchmarks, newest first."""
    with call.db.read() as cursor:
        return [benchmark.to_wire() for benchmark in benchmarks.listing(cursor)]


@ROUTES.get("benchmarks/{bm}")
def read(call: RouteCall) -> Any:
    """Return a benchmark."""
    with call.db.read() as cursor:
        return benchmarks.find(cursor, call.params["bm"]).to_wire()


@ROUTES.patch("benchmarks/{bm}", body=UpdateBenchmarkRequest)
def update(call: RouteCall, request: UpdateBenchmarkRequest) -> Any:
    """Change name, description and metadata; taxonomy and exclusion rules of a draft."""
    with call.db.write() as cursor:
        benchmark = benchmarks.find(cursor, call.params["bm"])
        values = request.plain_values
        if request.changes_taxonomy:
            benchmarks.require_draft(benchmark, "taxonomy")
            labels = _labels(cursor, request) or Labels()
            values |= {"config_id": labels.config_id, "class_agnostic": labels.class_agnostic}
        if "exclusion_rules" in request.model_fields_set:
            benchmarks.require_draft(benchmark, "exclusion rules")
            values["exclusion_rules"] = [rule.to_wire() for rule in request.exclusion_rules or ()]
        return benchmarks.update(cursor, benchmark, values).to_wire()


@ROUTES.delete("benchmarks/{bm}")
def delete(call: RouteCall) -> Any:
    """Delete a benchmark; evaluations on it stay readable."""
    with call.db.write() as cursor:
        benchmarks.archive(cursor, benchmarks.find(cursor, call.params["bm"]))
    return {}


@ROUTES.get("benchmarks/{bm}/items", query=BenchmarkItemsAddress)
def items(call: RouteCall, address: BenchmarkItemsAddress) -> Any:
    """List the ids of a benchmark's items."""
    with call.db.read() as cursor:
        benchmark = benchmarks.find(cursor, call.params["bm"])
        ids = benchmarks.item_page(
            cursor, benchmark, limit=min(address.limit, _LARGEST_PAGE), offset=address.offset
        )
    return {"item_ids": ids, "total": benchmark.members}


@ROUTES.post("benchmarks/{bm}/items", body=AddItemsRequest, status=202)
def add_items(call: RouteCall, request: AddItemsRequest) -> Any:
    """Start the job that adds items to a draft."""
    with call.db.write() as cursor:
        benchmark = benchmarks.find(cursor, call.params["bm"])
        benchmarks.require_draft(benchmark, "membership")
        sources = _sources(cursor, request)
        job = call.services.start_job(
            cursor, benchmarks.BENCHMARK_JOB, dataset_no=None, request=build_request(benchmark, sources)
        )
    return {"job_id": job.id}


@ROUTES.delete("benchmarks/{bm}/items", body=RemoveItemsRequest)
def remove_items(call: RouteCall, request: RemoveItemsRequest) -> Any:
    """Remove items from a draft; unknown ids are passed over."""
    with call.db.write() as cursor:
        benchmark = benchmarks.find(cursor, call.params["bm"])
        benchmarks.require_draft(benchmark, "membership")
        removed = benchmarks.remove_items(cursor, benchmark, request.item_ids)
    return {"items_removed": removed}


@ROUTES.post("benchmarks/{bm}/finalize")
def finalize(call: RouteCall) -> Any:
    """Freeze a draft."""
    with call.db.write() as cursor:
        return benchmarks.finalize(cursor, benchmarks.find(cursor, call.params["bm"])).to_wire()
