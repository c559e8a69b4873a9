"""Routes of Evaluations V2 and of their presets."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from airflow_provider_nucleus.client.call import LOOK_LIMIT, Call, path_segment
from airflow_provider_nucleus.client.calls._read import list_of, nothing, text_member
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.gating.operating_point import MIN_SUPPORT, TOLERANCE
from airflow_provider_nucleus.schema.base import require_object
from airflow_provider_nucleus.schema.charts import (
    EvaluationCharts,
    EvaluationExamples,
    EvaluationFilters,
    EvaluationFilterSchema,
)
from airflow_provider_nucleus.schema.evaluations import (
    Evaluation,
    EvaluationPreset,
    ExclusionRule,
    RollupGroup,
    check_evaluation_options,
    check_rollup_groups,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.evaluation_options import EvaluationOptions
    from airflow_provider_nucleus.gating.operating_point import Aim

__all__ = [
    "UNCHANGED",
    "Unchanged",
    "cancel_evaluation",
    "create_evaluation",
    "create_preset",
    "delete_evaluation",
    "delete_preset",
    "evaluation_charts",
    "evaluation_examples",
    "evaluation_filter_schema",
    "evaluation_operating_points",
    "get_evaluation",
    "list_model_evaluations",
    "list_presets",
    "list_run_evaluations",
    "retry_evaluation",
    "update_preset",
]


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""Leave a field as it is, where None would clear it."""

Filters: TypeAlias = EvaluationFilters | dict[str, Any]
MatchType: TypeAlias = Literal["TP", "FP", "FN"]
SortBy: TypeAlias = Literal["confidence", "iou", "dataset_item_id", "gt_area"]


def create_evaluation(
    benchmark_id: str,
    *,
    model_id: str | None = None,
    model_run_id: str | None = None,
    name: str | None = None,
    rollup_groups: Sequence[RollupGroup] | None = None,
    exclusion_rules: Sequence[ExclusionRule | dict[str, Any]] | None = None,
    options: EvaluationOptions | Mapping[str, Any] | None = None,
) -> Call[str]:
    """Start evaluating a model (or, deprecated, a model run) against a benchmark; returns the evaluation's id.

    *options* are choices in the definition of the numbers (see `evaluation_options`), which only the embedded Nucleus
    knows: those that are the default are not sent.
    """
    if (model_id is None) == (model_run_id is None):
        raise NucleusValidationError("model_id", "or model_run_id must be given, exactly one of them")
    body: dict[str, Any] = {"model_id": model_id} if model_id is not None else {"model_run_id": model_run_id}
    if name is not None:
        body["name"] = name
    body |= _configuration(rollup_groups, exclusion_rules)
    if chosen := check_evaluation_options(options).to_wire():
        body["options"] = chosen
    return Call(
        "POST",
        f"benchmarks/{path_segment(benchmark_id)}/evaluationsV2",
        text_member("evaluation_id"),
        f"evaluate {model_id or model_run_id} against benchmark {benchmark_id}",
        body=body,
        repeatable=False,
    )


def _configuration(
    rollup_groups: Sequence[RollupGroup] | None,
    exclusion_rules: Sequence[ExclusionRule | dict[str, Any]] | None,
) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if rollup_groups is not None:
        check_rollup_groups(list(rollup_groups))
        body["rollupGroups"] = [group.to_wire() for group in rollup_groups]
    if exclusion_rules is not None:
        body["exclusionRules"] = _rules(exclusion_rules)
    return body


def _rules(rules: Sequence[ExclusionRule | dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule if isinstance(rule, dict) else rule.to_wire() for rule in rules]


def get_evaluation(evaluation_id: str) -> Call[Evaluation]:
    """Look at an evaluation."""
    path = f"evaluationsV2/{path_segment(evaluation_id)}"
    return Call(
        "GET", path, Evaluation.from_wire, f"look at evaluation {evaluation_id}", answer_limit=LOOK_LIMIT
    )


def delete_evaluation(evaluation_id: str) -> Call[None]:
    """Archive an evaluation."""
    path = f"evaluationsV2/{path_segment(evaluation_id)}"
    return Call("DELETE", path, nothing, f"delete evaluation {evaluation_id}", body={}, reads_body=False)


def cancel_evaluation(evaluation_id: str) -> Call[None]:
    """Cancel an evaluation that is pending or computing."""
    path = f"evaluationsV2/{path_segment(evaluation_id)}/cancel"
    return Call("POST", path, nothing, f"cancel evaluation {evaluation_id}", body={}, reads_body=False)


def retry_evaluation(evaluation_id: str) -> Call[str]:
    """Start a failed evaluation again, with the same configuration; returns the id of the new one."""
    path = f"evaluationsV2/{path_segment(evaluation_id)}/retry"
    name = f"retry evaluation {evaluation_id}"
    return Call("POST", path, text_member("evaluation_id"), name, body={}, repeatable=False)


def evaluation_charts(
    evaluation_id: str,
    *,
    iou_threshold: float = 0.5,
    filters: Filters | None = None,
    query: str | None = None,
) -> Call[EvaluationCharts]:
    """Return aggregate results at an IoU threshold (0 to 1)."""
    body: dict[str, Any] = {"iouThreshold": iou_threshold}
    return Call(
        "POST",
        f"evaluationsV2/{path_segment(evaluation_id)}/charts",
        EvaluationCharts.from_wire,
        f"read the charts of evaluation {evaluation_id}",
        body=body | _narrowed(filters, query),
    )


def evaluation_examples(
    evaluation_id: str,
    *,
    match_type: MatchType | None = None,
    limit: int = 50,
    offset: int = 0,
    sort_by: SortBy | None = None,
    sort_order: Literal["ASC", "DESC"] | None = None,
    filters: Filters | None = None,
    query: str | None = None,
) -> Call[EvaluationExamples]:
    """Return matches of an evaluation, at most 100 at a time."""
    body: dict[str, Any] = {"limit": limit, "offset": offset}
    optional = {"match_type": match_type, "sort_by": sort_by, "sort_order": sort_order}
    body |= {key: value for key, value in optional.items() if value is not None}
    return Call(
        "POST",
        f"evaluationsV2/{path_segment(evaluation_id)}/examples",
        EvaluationExamples.from_wire,
        f"read examples of evaluation {evaluation_id}",
        body=body | _narrowed(filters, query),
    )


def evaluation_operating_points(
    evaluation_id: str,
    *,
    iou_threshold: float = 0.5,
    aim: Aim = "f1",
    target: float | None = None,
    min_support: int = MIN_SUPPORT,
    tolerance: float = TOLERANCE,
    filters: Filters | None = None,
    query: str | None = None,
) -> Call[dict[str, Any]]:
    """Return the best confidence per label and over all, each matched anew; the embedded Nucleus alone knows this route."""
    params = {"iouThreshold": str(iou_threshold), "minSupport": str(min_support), "tolerance": str(tolerance)}
    if aim != "f1":
        params[aim] = str(target)
    for name, value in _narrowed(filters, query).items():
        params[name] = value if isinstance(value, str) else json.dumps(value)
    return Call(
        "GET",
        f"evaluationsV2/{path_segment(evaluation_id)}/operatingPoints",
        lambda answer: dict(require_object(answer, "the answer")),
        f"read the operating points of evaluation {evaluation_id}",
        params=params,
    )


def _narrowed(filters: Filters | None, query: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if filters is not None:
        body["filters"] = filters if isinstance(filters, dict) else filters.to_wire()
    if query:
        body["query"] = query
    return body


def evaluation_filter_schema(evaluation_id: str) -> Call[EvaluationFilterSchema]:
    """Return the labels and metadata fields that filters of an evaluation can name."""
    return Call(
        "GET",
        f"evaluationsV2/{path_segment(evaluation_id)}/filterSchema",
        EvaluationFilterSchema.from_wire,
        f"read the filter schema of evaluation {evaluation_id}",
    )


def list_model_evaluations(model_id: str) -> Call[list[Evaluation]]:
    """List the evaluations of a model, newest first."""
    path = f"model/{path_segment(model_id)}/evaluationsV2"
    return Call("GET", path, list_of(Evaluation.from_wire), f"list the evaluations of model {model_id}")


def list_run_evaluations(model_run_id: str) -> Call[list[Evaluation]]:
    """List the evaluations of a model run, newest first (deprecated by the API)."""
    path = f"modelRun/{path_segment(model_run_id)}/evaluationsV2"
    return Call(
        "GET", path, list_of(Evaluation.from_wire), f"list the evaluations of model run {model_run_id}"
    )


def list_presets() -> Call[list[EvaluationPreset]]:
    """List the presets of this user."""
    return Call("GET", "evaluationV2Presets", list_of(EvaluationPreset.from_wire), "list evaluation presets")


def create_preset(
    name: str,
    *,
    rollup_groups: Sequence[RollupGroup] | None = None,
    exclusion_rules: Sequence[ExclusionRule | dict[str, Any]] | None = None,
) -> Call[EvaluationPreset]:
    """Save a configuration under a name that is unique for this user."""
    return Call(
        "POST",
        "evaluationV2Presets",
        EvaluationPreset.from_wire,
        f"create evaluation preset {name!r}",
        body={"name": name} | _configuration(rollup_groups, exclusion_rules),
        repeatable=False,
    )


def update_preset(
    preset_id: str,
    *,
    name: str | Unchanged = UNCHANGED,
    rollup_groups: Sequence[RollupGroup] | Unchanged | None = UNCHANGED,
    exclusion_rules: Sequence[ExclusionRule | dict[str, Any]] | Unchanged | None = UNCHANGED,
) -> Call[EvaluationPreset]:
    """Change a preset; None clears the groups or the rules."""
    body: dict[str, Any] = {}
    if not isinstance(name, Unchanged):
        body["name"] = name
    if not isinstance(rollup_groups, Unchanged):
        body |= {"rollupGroups": None} | _configuration(rollup_groups, None)
    if not isinstance(exclusion_rules, Unchanged):
        body |= {"exclusionRules": None} | _configuration(None, exclusion_rules)
    path = f"evaluationV2Presets/{path_segment(preset_id)}"
    return Call("PATCH", path, EvaluationPreset.from_wire, f"change evaluation preset {preset_id}", body=body)


def delete_preset(preset_id: str) -> Call[None]:
    """Delete a preset."""
    path = f"evaluationV2Presets/{path_segment(preset_id)}"
    return Call("DELETE", path, nothing, f"delete evaluation preset {preset_id}", body={}, reads_body=False)
