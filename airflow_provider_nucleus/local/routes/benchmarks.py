"""Routes of benchmarks (contract section 2.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.http.messages import Answer
from airflow_provider_nucleus.local.requests.exclusion_rules import exclusion_rules
from airflow_provider_nucleus.local.requests.fields import query_number, strings
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import benchmarks
from airflow_provider_nucleus.local.store.catalog.benchmark_sources import SOURCES, read_sources
from airflow_provider_nucleus.local.store.catalog.benchmark_versions import TAXONOMY_FIELDS, begin, labels_of

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import Call

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()
_PAGE: Final = 1000
_LARGEST_PAGE: Final = 100_000
_MOST: Final = 2**53


@ROUTES.post("benchmarks")
def create(call: Call) -> Any:
    """Create a benchmark and start the job that fills it."""
    body = call.snake_json()
    with call.db.write() as cursor:
        plan = begin(cursor, body)
        job = None
        if plan.request is not None:
            job = call.services.start_job(
                cursor, benchmarks.BENCHMARK_JOB, dataset_no=None, request=plan.request
            )
    return Answer({"benchmark_id": plan.benchmark.id, "job_id": None if job is None else job.id}, 202)


@ROUTES.get("benchmarks")
def listing(call: Call) -> Any:
    """List all benchmarks, newest first."""
    with call.db.read() as cursor:
        return [benchmark.to_wire() for benchmark in benchmarks.listing(cursor)]


@ROUTES.get("benchmarks/{bm}")
def read(call: Call) -> Any:
    """Return a benchmark."""
    with call.db.read() as cursor:
        return benchmarks.find(cursor, call.params["bm"]).to_wire()


@ROUTES.patch("benchmarks/{bm}")
def update(call: Call) -> Any:
    """Change name, description and metadata; taxonomy and exclusion rules of a draft."""
    body = call.snake_json()
    with call.db.write() as cursor:
        benchmark = benchmarks.find(cursor, call.params["bm"])
        values = _plain_fields(body)
        if any(name in body for name in TAXONOMY_FIELDS):
            benchmarks.require_draft(benchmark, "taxonomy")
            labels = labels_of(cursor, body)
            values |= {"config_id": labels.config_id, "class_agnostic": labels.class_agnostic}
        if "exclusion_rules" in body:
            benchmarks.require_draft(benchmark, "exclusion rules")
            values["exclusion_rules"] = [rule.to_wire() for rule in exclusion_rules(body["exclusion_rules"])]
        return benchmarks.update(cursor, benchmark, values).to_wire()


def _plain_fields(body: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: body[name] for name in ("name", "description", "metadata") if name in body
    }
    if "name" in values and (not isinstance(values["name"], str) or not values["name"]):
        raise BadRequestError("name must be a non-empty string.")
    if not isinstance(values.get("description"), str | None):
        raise BadRequestError("description must be a string or null.")
    if not isinstance(values.get("metadata"), dict | None):
        raise BadRequestError("metadata must be an object or null.")
    return values


@ROUTES.delete("benchmarks/{bm}")
def delete(call: Call) -> Any:
    """Delete a benchmark; evaluations on it stay readable."""
    with call.db.write() as cursor:
        benchmarks.archive(cursor, benchmarks.find(cursor, call.params["bm"]))
    return {}


@ROUTES.get("benchmarks/{bm}/items")
def items(call: Call) -> Any:
    """List the ids of a benchmark's items."""
    limit = query_number(call.query, "limit", _PAGE, most=_MOST)
    offset = query_number(call.query, "offset", 0, most=_MOST)
    with call.db.read() as cursor:
        benchmark = benchmarks.find(cursor, call.params["bm"])
        ids = benchmarks.item_page(cursor, benchmark, limit=min(limit, _LARGEST_PAGE), offset=offset)
    return {"item_ids": ids, "total": benchmark.members}


@ROUTES.post("benchmarks/{bm}/items")
def add_items(call: Call) -> Any:
    """Start the job that adds items to a draft."""
    body = call.snake_json()
    with call.db.write() as cursor:
        benchmark = benchmarks.find(cursor, call.params["bm"])
        benchmarks.require_draft(benchmark, "membership")
        sources = read_sources(cursor, body)
        if not sources:
            raise BadRequestError(f"Give at least one source of items: {', '.join(SOURCES)}.")
        request = {
            "benchmark_no": benchmark.number,
            "sources": sources.to_wire(),
            "parent_no": None,
            "removed": [],
        }
        job = call.services.start_job(cursor, benchmarks.BENCHMARK_JOB, dataset_no=None, request=request)
    return Answer({"job_id": job.id}, 202)


@ROUTES.delete("benchmarks/{bm}/items")
def remove_items(call: Call) -> Any:
    """Remove items from a draft; unknown ids are passed over."""
    body = call.snake_json()
    with call.db.write() as cursor:
        benchmark = benchmarks.find(cursor, call.params["bm"])
        benchmarks.require_draft(benchmark, "membership")
        removed = benchmarks.remove_items(cursor, benchmark, strings(body, "item_ids"))
    return {"items_removed": removed}


@ROUTES.post("benchmarks/{bm}/finalize")
def finalize(call: Call) -> Any:
    """Freeze a draft."""
    with call.db.write() as cursor:
        return benchmarks.finalize(cursor, benchmarks.find(cursor, call.params["bm"])).to_wire()
