"""Requests that start evaluations and read them; keys in either casing."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from airflow_provider_nucleus.evaluation_options import (
    DEFAULT_OPTIONS,
    MAX_DETECTIONS_LIMIT,
    EvaluationOptions,
    parse_options,
)
from airflow_provider_nucleus.local.requests.base import (
    DECIMAL,
    AddressModel,
    Flag,
    RequestModel,
    TwoCasingsModel,
    must,
    nothing_is,
)
from airflow_provider_nucleus.local.requests.exclusion_rules import ExclusionRules
from airflow_provider_nucleus.local.requests.filters import FilterFields, Filters
from airflow_provider_nucleus.local.requests.label_taxonomy import RollupGroups
from airflow_provider_nucleus.local.requests.match_options import LabelPair

__all__ = [
    "DEFAULT_IOU_THRESHOLD", "LEAST_IOU_THRESHOLD", "ChartsAddress", "ChartsRequest", "Collapse", "EvaluateRequest", "EvaluateRunRequest", "ExamplesRequest",
    "F1CurveRequest", "LeaderboardRequest", "MatchType", "Metric", "OptionsObject", "RankingRequest",
]  # fmt: skip

LEAST_IOU_THRESHOLD: Final = 0.001
"""Below it an overlap says nothing, and half of it, where background begins, rounds to nothing."""
DEFAULT_IOU_THRESHOLD: Final = 0.5

MatchType: TypeAlias = Literal["TP", "FP", "FN"]
Metric: TypeAlias = Literal[
    "MAP_50", "MAP_50_95", "AP_SMALL", "AP_MEDIUM", "AP_LARGE", "PRECISION", "RECALL", "F1"
]
Collapse: TypeAlias = Literal["bestPerModel", "allEvaluations"]

_MOST: Final = 2**53
_BOUNDS = must(f"a number from {LEAST_IOU_THRESHOLD:g} to 1")


class OptionsObject(RequestModel):
    """The options of an evaluation as a client sends them; null stands for the default."""

    max_detections: Annotated[int, Field(ge=1, le=MAX_DETECTIONS_LIMIT)] | None = None
    crowd_as_objects: bool | None = None
    ignore_labels: list[str] | None = None
    keypoint_sigmas: str | list[float] | None = None


Options = Annotated[
    EvaluationOptions, BeforeValidator(parse_options, json_schema_input_type=OptionsObject | None)
]


class EvaluateRequest(TwoCasingsModel):
    """An evaluation of a model or of a run on a benchmark."""

    model_config = ConfigDict(extra="forbid")

    model_id: str | None = None
    model_run_id: str | None = None
    name: str | None = None
    rollup_groups: RollupGroups | None = None
    exclusion_rules: ExclusionRules | None = None
    options: Options = DEFAULT_OPTIONS

    @model_validator(mode="after")
    def _one_anchor(self) -> Self:
        if (self.model_id is None) == (self.model_run_id is None):
            raise ValueError("Give exactly one of model_id and model_run_id.")
        return self


class EvaluateRunRequest(TwoCasingsModel):
    """An evaluation of a run on the items of its datasets, or of a slice."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    rollup_groups: RollupGroups | None = None
    exclusion_rules: ExclusionRules | None = None
    allowed_label_matches: list[LabelPair] | None = None
    allowed_label_matches_id: str | None = None
    slice_id: str | None = None
    only_items_with_predictions: Flag = False
    options: Options = DEFAULT_OPTIONS

    @model_validator(mode="after")
    def _one_taxonomy(self) -> Self:
        names = ("rollup_groups", "allowed_label_matches", "allowed_label_matches_id")
        given = [name for name in names if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other: send one of them.")
        return self


class SelectionRequest(TwoCasingsModel):
    """Filters and a query; without them nothing is left out."""

    filters: Annotated[FilterFields, nothing_is(FilterFields(), FilterFields | None)] = Field(
        default_factory=FilterFields
    )
    query: str | None = None

    @property
    def chosen(self) -> Filters:
        """The filters that are set, with the query."""
        return self.filters.filters(self.query or "")


class ChartsRequest(SelectionRequest):
    """Charts at an overlap."""

    iou_threshold: Annotated[
        Annotated[float, Field(ge=LEAST_IOU_THRESHOLD, le=1)],
        _BOUNDS,
        nothing_is(DEFAULT_IOU_THRESHOLD, float | None),
    ] = DEFAULT_IOU_THRESHOLD


class ChartsAddress(AddressModel, SelectionRequest):
    """Charts at an overlap, as an address asks for them; `filters` is JSON."""

    as_json: ClassVar[frozenset[str]] = frozenset({"filters"})

    iou_threshold: Annotated[float, Field(ge=LEAST_IOU_THRESHOLD, le=1), DECIMAL, _BOUNDS] = (
        DEFAULT_IOU_THRESHOLD
    )


class ExamplesRequest(SelectionRequest):
    """A page of the rows of the match."""

    match_type: MatchType | None = None
    limit: Annotated[
        Annotated[int, Field(ge=1, le=100)], must("a whole number from 1 to 100"), nothing_is(50, int | None)
    ] = 50
    offset: Annotated[
        Annotated[int, Field(ge=0, le=_MOST)],
        must(f"a whole number from 0 to {_MOST}"),
        nothing_is(0, int | None),
    ] = 0
    sort_by: Literal["confidence", "iou", "dataset_item_id", "gt_area"] | None = None
    sort_order: Annotated[
        Literal["ASC", "DESC"] | None,
        BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
    ] = None


class LeaderboardRequest(TwoCasingsModel):
    """Benchmarks, and the models that are looked at: all of them unless some are named."""

    benchmark_ids: Annotated[list[str], Field(min_length=1), must("a list of strings, one benchmark or more")]
    model_ids: list[str] | None = None


_COLLAPSES: Final = {
    None: "bestPerModel",
    "best_per_model": "bestPerModel",
    # `allRuns` is the old name of all evaluations.
    "all_evaluations": "allEvaluations",
    "allRuns": "allEvaluations",
    "all_runs": "allEvaluations",
}


class RankingRequest(LeaderboardRequest):
    """A ranking of evaluations by a metric; counts are taken at a confidence."""

    scope: Literal["all", "mine"] | None = None
    metric_type: Metric
    confidence_threshold: Annotated[
        Annotated[float, Field(ge=0, le=1)] | None, must("a number from 0 to 1")
    ] = None
    collapse: Annotated[
        Collapse,
        BeforeValidator(
            lambda value: _COLLAPSES.get(value, value) if isinstance(value, str | None) else value,
            json_schema_input_type=Collapse | Literal["allRuns"] | None,
        ),
    ] = "bestPerModel"


class F1CurveRequest(LeaderboardRequest):
    """F1 curves of the best models."""

    top_n: Annotated[int, Field(ge=1), must("a whole number, 1 or more")] = 5
