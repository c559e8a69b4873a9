"""The filters of charts and examples, checked once at the edge.

Three kinds, which mean different things for what is left:

| kind | filters | effect |
| --- | --- | --- |
| items | itemMetadata, sliceIds, query | only these items |
| objects | confidenceRange, predictionMetadata | only these predictions; ground truth they do not find is missed |
| | predLabels, gtLabels | objects of these labels on that side; one given alone holds for the other side too, both together choose |
| | | where they meet: a prediction goes by its partner's label, else by its own |
| | gtAreaRange | ground truth of this area; a prediction goes by its partner's area, else by its own |
| matches | iouRange, labelEquality, hasGroundTruth, tideBackground | only rows of the match that satisfy it |

The partner of a prediction is the ground truth it is matched to or, unmatched, shown beside. A row without what a
filter looks at (a missed ground truth has no overlap) does not satisfy it. Labels are canonical ones. Ranges include
both ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.requests.metadata_predicates import Predicate, predicate

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NO_FILTERS", "Filters", "Range", "read_filters"]

Equality: TypeAlias = Literal["EQ", "NEQ"]


@dataclass(frozen=True, slots=True)
class Range:
    """A closed range; None means open on that side."""

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Every filter; None or empty means it is not set."""

    confidence: Range | None = None
    iou: Range | None = None
    gt_area: Range | None = None
    pred_labels: frozenset[str] | None = None
    gt_labels: frozenset[str] | None = None
    item_metadata: tuple[Predicate, ...] = ()
    prediction_metadata: tuple[Predicate, ...] = ()
    label_equality: Equality | None = None
    has_ground_truth: bool | None = None
    tide_background: bool | None = None
    slice_ids: tuple[str, ...] = field(default=())
    query: str = ""

    @property
    def of_items(self) -> bool:
        """Whether items are chosen."""
        return bool(self.item_metadata or self.slice_ids or self.query)

    @property
    def of_matches(self) -> bool:
        """Whether rows of the match are chosen, after which recall and AP have no meaning."""
        return (
            self.iou is not None
            or self.label_equality is not None
            or self.has_ground_truth is not None
            or self.tide_background is not None
        )


NO_FILTERS = Filters()

_FIELDS = frozenset({
    "confidence_range", "iou_range", "gt_area_range", "pred_labels", "gt_labels", "item_metadata", "prediction_metadata",
    "label_equality", "has_ground_truth", "tide_background", "slice_ids",
})  # fmt: skip


def read_filters(body: Mapping[str, Any], query: Any = None) -> Filters:
    """Read filters with keys in snake_case; raises :class:`BadRequestError` for any that is not understood."""
    if not isinstance(body, dict):
        raise BadRequestError("filters must be an object.")
    if unknown := sorted(set(body) - _FIELDS):
        raise BadRequestError(f"Unknown filters {unknown}; the filters are {sorted(_FIELDS)}.")
    if not isinstance(query, str | None):
        raise BadRequestError("query must be a string.")
    return Filters(
        confidence=_range(body, "confidence_range"),
        iou=_range(body, "iou_range"),
        gt_area=_range(body, "gt_area_range"),
        pred_labels=_labels(body, "pred_labels"),
        gt_labels=_labels(body, "gt_labels"),
        item_metadata=_predicates(body, "item_metadata"),
        prediction_metadata=_predicates(body, "prediction_metadata"),
        label_equality=_equality(body),
        has_ground_truth=_flag(body, "has_ground_truth"),
        tide_background=_flag(body, "tide_background"),
        slice_ids=_strings(body, "slice_ids"),
        query=(query or "").strip(),
    )


def _range(body: Mapping[str, Any], name: str) -> Range | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, dict) or not set(value) <= {"min", "max"}:
        raise BadRequestError(f"filters.{name} must be an object with min, max or both.")
    low, high = (_number(value.get(end), f"filters.{name}.{end}") for end in ("min", "max"))
    if low is None and high is None:
        return None
    if low is not None and high is not None and low > high:
        raise BadRequestError(f"filters.{name}: min is greater than max.")
    return Range(low, high)


def _number(value: Any, field_name: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise BadRequestError(f"{field_name} must be a number.")
    return float(value)


def _strings(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = body.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise BadRequestError(f"filters.{name} must be a list of strings.")
    return tuple(dict.fromkeys(value))


def _labels(body: Mapping[str, Any], name: str) -> frozenset[str] | None:
    # An empty list is what a form sends when nothing is ticked: not "no label at all".
    return frozenset(_strings(body, name)) or None


def _predicates(body: Mapping[str, Any], name: str) -> tuple[Predicate, ...]:
    value = body.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadRequestError(f"filters.{name} must be a list of predicates.")
    return tuple(predicate(entry, field=f"filters.{name}[{place}]") for place, entry in enumerate(value))


def _equality(body: Mapping[str, Any]) -> Equality | None:
    value = body.get("label_equality")
    if value is None:
        return None
    if value == "EQ":
        return "EQ"
    if value == "NEQ":
        return "NEQ"
    raise BadRequestError(f"filters.label_equality must be EQ or NEQ, not {value!r}.")


def _flag(body: Mapping[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if not isinstance(value, bool | None):
        raise BadRequestError(f"filters.{name} must be true or false.")
    return value
