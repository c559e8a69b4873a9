"""Addresses of the diagnostics."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from airflow_provider_nucleus.gating.operating_point import MIN_SUPPORT, TOLERANCE
from airflow_provider_nucleus.local.requests.base import DECIMAL, DIGITS, must
from airflow_provider_nucleus.local.requests.evaluations import DEFAULT_IOU_THRESHOLD, ChartsAddress

__all__ = [
    "CalibrationAddress", "CategoriesAddress", "ChangesAddress", "CocoAddress", "CompareAddress", "CurvesAddress", "ErrorsAddress", "F1Address",
    "MasksAddress", "OperatingPointsAddress", "WholeEvaluationAddress",
]  # fmt: skip

CurveFamily: TypeAlias = Literal["coco", "nucleus"]

_MOST_REPLICATES: Final = 10_000
_Share = Annotated[float, Field(ge=0, le=1), DECIMAL, must("a number from 0 to 1")]
_Percent = Annotated[int, Field(ge=1, le=100), DIGITS, must("a whole number from 1 to 100")]
_Replicates = Annotated[
    int, Field(ge=0, le=_MOST_REPLICATES), DIGITS, must(f"a whole number from 0 to {_MOST_REPLICATES}")
]


class CurvesAddress(ChartsAddress):
    """Curves of one family."""

    family: CurveFamily = "coco"


class F1Address(ChartsAddress):
    """The F1 curve of one family."""

    family: CurveFamily = "nucleus"


class OperatingPointsAddress(ChartsAddress):
    """Cuts by confidence: for the best F1, or for a precision or recall that is wanted."""

    precision: _Share | None = None
    recall: _Share | None = None
    min_support: Annotated[int, Field(ge=0, le=2**31), DIGITS, must(f"a whole number from 0 to {2**31}")] = (
        MIN_SUPPORT
    )
    tolerance: _Share = TOLERANCE

    @model_validator(mode="after")
    def _one_aim(self) -> Self:
        if self.precision is not None and self.recall is not None:
            raise ValueError("precision and recall cannot both be aimed at: choose one.")
        return self


class CalibrationAddress(ChartsAddress):
    """Calibration over a number of bins."""

    bins: _Percent = 10


class CocoAddress(ChartsAddress):
    """COCO's numbers with one kind of overlap."""

    iou: Literal["exact", "raster", "bev"] = "exact"


class MasksAddress(ChartsAddress):
    """Scores of masks, grouped by a key of item metadata if one is given."""

    group_by: str | None = None


class CategoriesAddress(ChartsAddress):
    """Scores of categories with the k most confident ones counted."""

    top_k: _Percent = 5


class WholeEvaluationAddress(ChartsAddress):
    """Numbers of a whole evaluation: filters have no effect, and ignoring them would pass it off as something else."""

    @model_validator(mode="after")
    def _without_filters(self) -> Self:
        for name in ("filters", "query"):
            if name in self.model_fields_set:
                raise ValueError(f"This route answers for the whole evaluation: {name} has no effect here.")
        return self


class ErrorsAddress(WholeEvaluationAddress):
    """Errors of one evaluation, at the one overlap they are told apart at."""

    @model_validator(mode="after")
    def _at_the_threshold(self) -> Self:
        if self.iou_threshold != DEFAULT_IOU_THRESHOLD:
            raise ValueError(
                f"These errors are those at an overlap of {DEFAULT_IOU_THRESHOLD}: iouThreshold has no effect here."
            )
        return self


class CompareAddress(WholeEvaluationAddress):
    """A comparison of two evaluations, with the number of resamples."""

    minimum_confidence: Annotated[float, Field(ge=0, le=1), DECIMAL, must("a number from 0 to 1")] | None = (
        None
    )
    replicates: _Replicates = 1000
    ap_replicates: _Replicates | None = None


class ChangesAddress(WholeEvaluationAddress):
    """A page of the ground truth that one evaluation found and the other did not, or both, or neither."""

    minimum_confidence: Annotated[float, Field(ge=0, le=1), DECIMAL, must("a number from 0 to 1")] | None = (
        None
    )
    change: Literal["gained", "lost", "kept", "missed"] = "gained"
    limit: Annotated[int, Field(ge=0, le=1000), DIGITS, must("a whole number from 0 to 1000")] = 100
    offset: Annotated[int, Field(ge=0, le=2**31), DIGITS, must(f"a whole number from 0 to {2**31}")] = 0
