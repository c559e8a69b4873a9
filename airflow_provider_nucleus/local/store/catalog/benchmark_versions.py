"""Creating a benchmark: its version after the parent's, its labels, and the job that fills it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError
from airflow_provider_nucleus.local.requests.exclusion_rules import exclusion_rules
from airflow_provider_nucleus.local.requests.label_taxonomy import rollup_groups
from airflow_provider_nucleus.local.store.catalog import benchmarks, label_configs
from airflow_provider_nucleus.local.store.catalog.benchmark_sources import Sources, read_sources
from airflow_provider_nucleus.local.store.catalog.benchmarks import Labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.local.store.catalog.benchmarks import Benchmark
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["TAXONOMY_FIELDS", "Plan", "begin", "labels_of"]

TAXONOMY_FIELDS: Final = ("rollup_groups", "allowed_label_matches_id", "class_agnostic")
_LARGEST: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A benchmark that was added and what is still to be put into it (None: nothing)."""

    benchmark: Benchmark
    request: dict[str, Any] | None


def begin(cursor: Cursor, body: Mapping[str, Any]) -> Plan:
    """Add the benchmark of a request (keys in snake_case) in the state draft or building.

    Raises :class:`BadRequestError` or :class:`ConflictError` for anything that cannot be meant; nothing is added then.
    """
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise BadRequestError("A benchmark needs a name: a non-empty string.")
    draft = body.get("draft")
    if draft is not None and not isinstance(draft, bool):
        raise BadRequestError("draft must be true or false.")
    parent = _parent(cursor, body.get("parent_benchmark_id"))
    sources = read_sources(cursor, body)
    removed = _removed(body, parent)
    if not sources and not draft and parent is None:
        raise BadRequestError(
            "Give at least one source of items: item_ids, items, slice_id(s), dataset_id(s), scene_ids or "
            "parent_benchmark_id; or set draft."
        )
    benchmark = benchmarks.create(
        cursor,
        name=name,
        status=benchmarks.DRAFT if draft else benchmarks.BUILDING,
        description=_text(body, "description"),
        metadata=_metadata(body),
        version=_version(body, parent),
        parent=parent,
        labels=labels_of(cursor, body, parent=parent),
        rules=_rules(body, parent),
    )
    return Plan(benchmark=benchmark, request=_request(benchmark, sources, parent, removed))


def _request(
    benchmark: Benchmark, sources: Sources, parent: Benchmark | None, removed: list[str]
) -> dict[str, Any] | None:
    if not sources and parent is None:
        return None
    return {
        "benchmark_no": benchmark.number,
        "sources": sources.to_wire(),
        "parent_no": None if parent is None else parent.number,
        "removed": removed,
    }


def _parent(cursor: Cursor, value: Any) -> Benchmark | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequestError("parent_benchmark_id must be a string.")
    parent = benchmarks.find(cursor, value)
    if parent.status != benchmarks.READY:
        raise ConflictError(
            f"Benchmark {parent.id} is {parent.status}: only a ready benchmark can have a new version."
        )
    return parent


def _removed(body: Mapping[str, Any], parent: Benchmark | None) -> list[str]:
    value = body.get("removed_item_ids")
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise BadRequestError("removed_item_ids must be a list of strings.")
    if parent is None:
        raise BadRequestError("removed_item_ids needs parent_benchmark_id: there is nothing to remove from.")
    return value


def _version(body: Mapping[str, Any], parent: Benchmark | None) -> tuple[int, int, str | None]:
    bump = body.get("bump_type", "minor")
    if bump not in {None, "minor", "major"}:
        raise BadRequestError(f"bump_type must be 'minor' or 'major', not {bump!r}.")
    major, minor = (_number(body, f"version_{part}") for part in ("major", "minor"))
    label = _text(body, "version_label")
    if major is None and minor is None:
        if parent is None:
            return 1, 0, label
        if bump == "major":
            return parent.version_major + 1, 0, label
        return parent.version_major, parent.version_minor + 1, label
    chosen = (
        (parent.version_major if parent else 1) if major is None else major,
        0 if minor is None else minor,
    )
    if parent is not None and chosen <= (parent.version_major, parent.version_minor):
        raise BadRequestError(
            f"Version {chosen[0]}.{chosen[1]} does not exceed that of its parent, "
            f"{parent.version_major}.{parent.version_minor}."
        )
    return *chosen, label


def labels_of(cursor: Cursor, body: Mapping[str, Any], *, parent: Benchmark | None = None) -> Labels:
    """Read the taxonomy of a request, at most one of three fields; without one that of the parent is taken."""
    given = [name for name in TAXONOMY_FIELDS if body.get(name) is not None]
    if len(given) > 1:
        raise BadRequestError(
            f"{' and '.join(given)} exclude each other: a benchmark has one taxonomy. Send one of them."
        )
    if not given:
        if parent is None:
            return Labels()
        return Labels(config_id=parent.config_id, class_agnostic=parent.class_agnostic)
    value = body[given[0]]
    if given[0] == "rollup_groups":
        groups = rollup_groups(value)
        return Labels(config_id=label_configs.create(cursor, groups)) if groups else Labels()
    if given[0] == "class_agnostic":
        if not isinstance(value, bool):
            raise BadRequestError("class_agnostic must be true or false.")
        return Labels(class_agnostic=value)
    if not isinstance(value, str):
        raise BadRequestError("allowed_label_matches_id must be a string.")
    label_configs.groups_of(cursor, value)
    return Labels(config_id=value)


def _rules(body: Mapping[str, Any], parent: Benchmark | None) -> Any:
    if body.get("exclusion_rules") is None and parent is not None:
        return exclusion_rules(orjson.loads(parent.exclusion_rules))
    return exclusion_rules(body.get("exclusion_rules"))


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequestError(f"{name} must be a string.")
    return value


def _metadata(body: Mapping[str, Any]) -> dict[str, Any] | None:
    value = body.get("metadata")
    if value is not None and not isinstance(value, dict):
        raise BadRequestError("metadata must be an object.")
    return value


def _number(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        raise BadRequestError(f"{name} must be a whole number, 0 or more.")
    return value
