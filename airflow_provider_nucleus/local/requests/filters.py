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

from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, model_validator

from airflow_provider_nucleus.local.requests.base import RequestModel, Strings, distinct
from airflow_provider_nucleus.local.requests.metadata_predicates import Predicate

__all__ = ["NO_FILTERS", "FilterFields", "Filters", "Range"]

Equality: TypeAlias = Literal["EQ", "NEQ"]


class Range(RequestModel):
    """A closed range; null means open on that side."""

    model_config = ConfigDict(extra="forbid")

    low: float | None = Field(None, alias="min")
    high: float | None = Field(None, alias="max")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("must hold something, and its min is greater than its max")
        return self


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
    slice_ids: tuple[str, ...] = ()
    query: str = ""

    @property
    def of_items(self) -> bool:
        """True if items are chosen."""
        return bool(self.item_metadata or self.slice_ids or self.query)

    @property
    def of_matches(self) -> bool:
        """True if rows of the match are chosen, after which recall and AP have no meaning."""
        return (
            self.iou is not None
            or self.label_equality is not None
            or self.has_ground_truth is not None
            or self.tide_background is not None
        )


NO_FILTERS = Filters()


class FilterFields(RequestModel):
    """Filters as a request names them, with keys in snake_case; an unknown one is refused."""

    model_config = ConfigDict(extra="forbid")

    confidence_range: Range | None = None
    iou_range: Range | None = None
    gt_area_range: Range | None = None
    pred_labels: Strings = Field(default_factory=list)
    gt_labels: Strings = Field(default_factory=list)
    item_metadata: list[Predicate] | None = None
    prediction_metadata: list[Predicate] | None = None
    label_equality: Equality | None = None
    has_ground_truth: bool | None = None
    tide_background: bool | None = None
    slice_ids: Strings = Field(default_factory=list)

    def filters(self, query: str) -> Filters:
        """Return the filters that are set, with a query beside them."""
        return Filters(
            confidence=_set(self.confidence_range),
            iou=_set(self.iou_range),
            gt_area=_set(self.gt_area_range),
            # An empty list is what a form sends when nothing is ticked: not "no label at all".
            pred_labels=frozenset(self.pred_labels) or None,
            gt_labels=frozenset(self.gt_labels) or None,
            item_metadata=tuple(self.item_metadata or ()),
            prediction_metadata=tuple(self.prediction_metadata or ()),
            label_equality=self.label_equality,
            has_ground_truth=self.has_ground_truth,
            tide_background=self.tide_background,
            slice_ids=tuple(distinct(self.slice_ids)),
            query=query.strip(),
        )


def _set(given: Range | None) -> Range | None:
    return None if given is None or (given.low is None and given.high is None) else given
