"""Results of an evaluation: charts, examples, and the filters that narrow both."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from airflow_provider_nucleus.schema.base import Answer, translate

__all__ = [
    "ApBySize",
    "ConfusionEntry",
    "EvaluationCharts",
    "EvaluationExample",
    "EvaluationExamples",
    "EvaluationFilterSchema",
    "EvaluationFilters",
    "FilterMetadataField",
    "MapSummary",
    "MetadataPredicate",
    "PerClassAp",
    "PrPoint",
    "RangeNum",
    "ScoreBucket",
    "TideAttribution",
    "TotalCounts",
]


class _Chart(Answer):
    """Chart bodies are camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel)


class MapSummary(_Chart):
    """Mean average precision over classes, 0 to 1, at IoU 0.5, 0.75 and averaged over 0.50:0.05:0.95; None: not computed."""

    model_config = ConfigDict(
        alias_generator={"map_at50": "mapAt50", "map_at75": "mapAt75", "map_at5095": "mapAt5095"}.__getitem__
    )

    map_at50: float | None = None
    map_at75: float | None = None
    map_at5095: float | None = None


class PerClassAp(_Chart):
    """Average precision of one class, 0 to 1."""

    class_label: str
    ap: float


class ConfusionEntry(_Chart):
    """Count of a ground-truth label that was predicted as another; the empty label is the background."""

    gt_label: str
    pred_label: str
    count: int


class ScoreBucket(_Chart):
    """Number of predictions with a confidence in [min, max)."""

    bucket_min: float
    bucket_max: float
    count: int


class TotalCounts(_Chart):
    """Counts at the requested IoU threshold."""

    tp: int
    fp: int
    fn: int
    preds_with_confidence: int


class ApBySize(_Chart):
    """Average precision by area of the ground truth (bounds 32 and 96 pixels squared); None: no such objects."""

    small: float | None = None
    medium: float | None = None
    large: float | None = None


class PrPoint(_Chart):
    """One point of a class's precision-recall curve."""

    class_label: str
    recall: float
    precision: float


class TideAttribution(_Chart):
    """Predictions and missed objects by kind of error."""

    true_positive: int
    localization: int
    classification: int
    both: int
    duplicate: int
    background: int
    missed: int


class EvaluationCharts(_Chart):
    """Aggregate results at one IoU threshold."""

    map_summary: MapSummary
    per_class_ap: list[PerClassAp]
    confusion_matrix: list[ConfusionEntry]
    score_histogram: list[ScoreBucket]
    computed_iou_ranges: list[float]
    total_counts: TotalCounts
    ap_by_size: ApBySize
    pr_curve: list[PrPoint]
    tide_attribution: TideAttribution


class EvaluationExample(Answer):
    """One match of an evaluation, with both raw records for display."""

    id: str
    evaluation_id: str
    dataset_item_id: str
    true_positive: bool
    match_type: str
    model_prediction_id: str | None = None
    ground_truth_annotation_id: str | None = None
    pred_canonical_label: str | None = None
    gt_canonical_label: str | None = None
    pred_raw_label: str | None = None
    gt_raw_label: str | None = None
    iou: float | None = None
    confidence: float | None = None
    gt_area: float | None = None
    item_metadata: dict[str, Any] | None = None
    prediction_metadata: dict[str, Any] | None = None
    prediction_row: dict[str, Any] | None = None
    annotation_row: dict[str, Any] | None = None
    reference_id: str | None = None
    """The user's own name of the item; like the two below, only the embedded Nucleus says so."""
    pred_annotation_id: str | None = None
    gt_annotation_id: str | None = None


class EvaluationExamples(Answer):
    """A page of examples; `total` counts all that pass the filters."""

    rows: list[EvaluationExample]
    total: int


class FilterMetadataField(Answer):
    """One metadata field of the items, with its distinct values."""

    key: str
    value_type: str
    values: list[str]


class EvaluationFilterSchema(Answer):
    """The labels and metadata fields that filters of an evaluation can name."""

    gt_labels: list[str]
    pred_labels: list[str]
    metadata_fields: list[FilterMetadataField]


class _Argument(Answer):
    """Part of a request: unknown names are a mistake."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=False, alias_generator=to_camel)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise translate(error, type(self).__name__) from None


class RangeNum(_Argument):
    """A range with inclusive bounds, either of which may be open."""

    min: float | None = None
    max: float | None = None


class MetadataPredicate(_Argument):
    """A condition on one metadata field."""

    key: str
    op: Literal["EQ", "IN", "GT", "LT"]
    value: Any = None


class EvaluationFilters(_Argument):
    """Filters of the matches that charts and examples are made of; areas in square pixels, confidences and IoUs 0 to 1."""

    confidence_range: RangeNum | None = None
    iou_range: RangeNum | None = None
    pred_labels: list[str] | None = None
    gt_labels: list[str] | None = None
    item_metadata: list[MetadataPredicate] | None = None
    prediction_metadata: list[MetadataPredicate] | None = None
    gt_area_range: RangeNum | None = None
    label_equality: Literal["EQ", "NEQ"] | None = None
    has_ground_truth: bool | None = None
    tide_background: bool | None = None
    slice_ids: list[str] | None = None

    def to_wire(self) -> dict[str, Any]:
        """Spell the filters as the wire does: camelCase, unset ones left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
