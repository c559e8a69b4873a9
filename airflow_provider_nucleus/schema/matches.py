"""Matches: which prediction was paired with which ground truth, and what that makes of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from airflow_provider_nucleus.schema.base import Answer, Text, require_object, wire_object

__all__ = ["AllowedLabelMatch", "ConfusionCategory", "EvaluationMatch"]


class ConfusionCategory(StrEnum):
    """Kinds of matches, as they are counted."""

    TRUE_POSITIVE = "true_positive"
    FALSE_POSITIVE = "false_positive"
    FALSE_NEGATIVE = "false_negative"


@wire_object
class AllowedLabelMatch:
    """A pair of different labels that may be matched: this ground truth with that prediction, not the other way round."""

    ground_truth_label: Text
    model_prediction_label: Text

    def to_wire(self) -> dict[str, Any]:
        """Spell the pair as the wire does."""
        return {
            "ground_truth_label": self.ground_truth_label,
            "model_prediction_label": self.model_prediction_label,
        }

    @classmethod
    def from_wire(cls, payload: object) -> AllowedLabelMatch:
        """Read a pair, in either casing of its keys."""
        members = require_object(payload, "an allowed label match")
        return cls(
            members.get("ground_truth_label", members.get("groundTruthLabel")),
            members.get("model_prediction_label", members.get("modelPredictionLabel")),
        )


class EvaluationMatch(Answer):
    """One row of the legacy matching: a pair with its overlap, or one side alone (`iou` 0, the other side None).

    No overlap threshold is applied: a true positive may overlap very little, and whoever refuses a match below a threshold of
    their own turns it into one false positive and one false negative.
    """

    model_run_id: str
    iou: float
    dataset_item_id: str
    model_prediction_id: str | None = None
    model_prediction_label: str | None = None
    ground_truth_annotation_id: str | None = None
    ground_truth_annotation_label: str | None = None
    true_positive: bool | None = False
    confidence: float | None = None
    family: str | None = None
    """The kind of what was compared: area, cuboid, keypoints, mask or category. Only the embedded Nucleus says so."""
    reference_id: str | None = None
    """The user's own name of the item; like the two below, only the embedded Nucleus says so."""
    pred_annotation_id: str | None = None
    gt_annotation_id: str | None = None

    @property
    def confusion_category(self) -> ConfusionCategory:
        """Kind of the match, by the official client's rule: equal labels are a true positive whatever the flag says."""
        if self.true_positive or self.model_prediction_label == self.ground_truth_annotation_label:
            return ConfusionCategory.TRUE_POSITIVE
        if self.model_prediction_label is not None:
            return ConfusionCategory.FALSE_POSITIVE
        return ConfusionCategory.FALSE_NEGATIVE
