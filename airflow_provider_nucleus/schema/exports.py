"""Items together with what stands on them: single reads and rows of exports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.annotation_table import ANNOTATION_TYPES, EXPORT_KEYS, PREDICTION_TYPES
from airflow_provider_nucleus.schema.base import require_object
from airflow_provider_nucleus.schema.checks import excerpt
from airflow_provider_nucleus.schema.items import DatasetItem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.schema.annotations import AnyAnnotation
    from airflow_provider_nucleus.schema.predictions import AnyPrediction

__all__ = ["ExportRow", "ItemWithAnnotations", "annotations_by_type", "predictions_by_type"]


@dataclass(frozen=True)
class ItemWithAnnotations:
    """An item and its ground truth, as the single-item reads return them."""

    item: DatasetItem
    annotations: dict[str, list[AnyAnnotation]] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, payload: object) -> ItemWithAnnotations:
        """Read the answer of iloc, refloc or loc."""
        members = require_object(payload, "an item with its annotations")
        item = DatasetItem.from_wire(members.get("item"))
        return cls(item, annotations_by_type(members.get("annotations") or {}))


@dataclass(frozen=True)
class ExportRow:
    """An item and its objects (ground truth, or the predictions of one model), as exports return them."""

    item: DatasetItem
    objects: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, payload: object, *, predictions: bool = False) -> ExportRow:
        """Read one row; objects without a reference id take the item's."""
        members = require_object(payload, "an export row")
        item = DatasetItem.from_wire(members.get("item"))
        stamp = {"reference_id": item.reference_id, "dataset_item_id": item.dataset_item_id}
        groups = {}
        for name in EXPORT_KEYS:
            found = members.get(name)
            # A mask travels alone, everything else in a list.
            listed = [found] if isinstance(found, dict) else found or []
            groups[name] = [stamp | _set(require_object(each, "an object")) for each in listed]
        return cls(item, _by_type(groups, PREDICTION_TYPES if predictions else ANNOTATION_TYPES))


def _set(members: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}


def annotations_by_type(groups: object) -> dict[str, list[AnyAnnotation]]:
    """Read `{type: [annotation, ...]}`; unknown types are skipped, empty ones left out."""
    return _by_type(groups, ANNOTATION_TYPES)


def predictions_by_type(groups: object) -> dict[str, list[AnyPrediction]]:
    """Read `{type: [prediction, ...]}`; unknown types are skipped, empty ones left out."""
    return _by_type(groups, PREDICTION_TYPES)


def _by_type(groups: object, kinds: Mapping[str, type[Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, objects in require_object(groups, "objects by type").items():
        kind = kinds.get(name)
        if kind is None or not objects:
            continue
        if not isinstance(objects, list):
            raise NucleusValidationError(name, f"must be a list, got {excerpt(objects)}")
        read = []
        for position, each in enumerate(objects):
            try:
                read.append(kind.from_wire(each))
            except NucleusValidationError as error:
                where = ".".join(filter(None, [name, str(position), error.field]))
                raise NucleusValidationError(where, error.reason) from None
        found[name] = read
    return found
