"""Diagnostics: read-only routes over evaluations below `/ui/api`, for which the compatible contract has no place.

They never change a compatible answer. Threshold, filters and query are those of charts, in the address:
`?iouThreshold=0.5&filters={...}&query=...`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.evaluations.reading.category_scores import category_scores_of
from airflow_provider_nucleus.local.evaluations.reading.coco_numbers import coco_of
from airflow_provider_nucleus.local.evaluations.reading.comparison import (
    changes_of,
    comparison_of,
    require_comparable,
)
from airflow_provider_nucleus.local.evaluations.reading.diagnostics import (
    calibration_of,
    curves_of,
    errors_of,
    f1_of_selection,
    histograms_of,
)
from airflow_provider_nucleus.local.evaluations.reading.mask_scores import mask_scores_of
from airflow_provider_nucleus.local.evaluations.reading.provenance import provenance_of
from airflow_provider_nucleus.local.requests.diagnostics import (
    CalibrationAddress,
    CategoriesAddress,
    ChangesAddress,
    CocoAddress,
    CompareAddress,
    CurvesAddress,
    ErrorsAddress,
    F1Address,
    MasksAddress,
    OperatingPointsAddress,
    WholeEvaluationAddress,
)
from airflow_provider_nucleus.local.requests.evaluations import ChartsAddress
from airflow_provider_nucleus.local.routes.evaluation_results import (
    get_operating_points,
    read_result,
    selected,
)
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.routes.trends import ROUTES as TRENDS
from airflow_provider_nucleus.local.store.catalog import evaluations

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult

__all__ = ["DIAGNOSTICS_PREFIX", "ROUTES"]

DIAGNOSTICS_PREFIX: Final = "/ui/api"
ROUTES: Final = RouteTable()
ROUTES.include(TRENDS)


@ROUTES.get("evaluations/{ev}/histograms", query=ChartsAddress)
def histograms(call: RouteCall, address: ChartsAddress) -> Any:
    """Histograms of overlap and confidence, split into true and false positives."""
    return histograms_of(*selected(call, address))


@ROUTES.get("evaluations/{ev}/prCurves", query=CurvesAddress)
def curves(call: RouteCall, address: CurvesAddress) -> Any:
    """Precision, recall and confidence per label; `family=coco` (default) or `nucleus`."""
    result, selection = selected(call, address)
    return {
        "family": address.family,
        "iou_threshold": selection.threshold,
        "curves": curves_of(result, selection, family=address.family),
    }


@ROUTES.get("evaluations/{ev}/f1Curve", query=F1Address)
def f1(call: RouteCall, address: F1Address) -> Any:
    """F1 against confidence with the best cut; `family=nucleus` or `coco`."""
    result, selection = selected(call, address)
    return {
        "family": address.family,
        "iou_threshold": selection.threshold,
        **f1_of_selection(result, selection, family=address.family),
    }


@ROUTES.get("evaluations/{ev}/operatingPoints", query=OperatingPointsAddress)
def operating_points(call: RouteCall, address: OperatingPointsAddress) -> Any:
    """Best confidence per label and over all, as clients read it at `evaluationsV2/{ev}/operatingPoints`."""
    return get_operating_points(call, address)


@ROUTES.get("evaluations/{ev}/calibration", query=CalibrationAddress)
def calibration(call: RouteCall, address: CalibrationAddress) -> Any:
    """Calibration errors and reliability bins; `bins` 1 to 100, 10 by default."""
    return calibration_of(*selected(call, address), bins=address.bins)


@ROUTES.get("evaluations/{ev}/errors", query=ErrorsAddress)
def errors(call: RouteCall, _: ErrorsAddress) -> Any:
    """TIDE counts under confidence-first matching, and the AP each kind of error costs."""
    return errors_of(read_result(call))


@ROUTES.get("evaluations/{ev}/coco", query=CocoAddress)
def coco(call: RouteCall, address: CocoAddress) -> Any:
    """COCO's named numbers with average recall, per family; `iou=exact` (default), `raster` or `bev`."""
    result, selection = selected(call, address)
    with call.db.read() as cursor:
        return coco_of(cursor, result, selection, kind=address.iou)


@ROUTES.get("evaluations/{ev}/masks", query=MasksAddress)
def masks(call: RouteCall, address: MasksAddress) -> Any:
    """Pixel and panoptic scores of masks; `groupBy` is a key of item metadata."""
    filters = address.chosen
    result, selection = selected(call, address)
    with call.db.read() as cursor:
        return mask_scores_of(
            cursor,
            result,
            selection,
            mask_path=call.services.blobs.path,
            every_label=filters.gt_labels is None and filters.pred_labels is None,
            group_by=address.group_by,
        )


@ROUTES.get("evaluations/{ev}/categories", query=CategoriesAddress)
def categories(call: RouteCall, address: CategoriesAddress) -> Any:
    """Accuracy, top-k, precision, recall and F1 of categories, per taxonomy; `topK` 1 to 100, 5 by default."""
    result, selection = selected(call, address)
    with call.db.read() as cursor:
        return category_scores_of(cursor, result, selection, k=address.top_k)


@ROUTES.get("evaluations/{ev}/provenance", query=WholeEvaluationAddress)
def provenance(call: RouteCall, address: WholeEvaluationAddress) -> Any:
    """Provenance of the numbers, and what is in none of them."""
    result = read_result(call)
    with call.db.read() as cursor:
        return provenance_of(
            result, evaluations.find(cursor, call.params["ev"]), threshold=address.iou_threshold
        )


@ROUTES.get("evaluations/{ev}/compare/{other}", query=CompareAddress)
def compare(call: RouteCall, address: CompareAddress) -> Any:
    """Differences of another evaluation from this one, with bootstrap intervals."""
    return comparison_of(
        *_pair(call),
        threshold=address.iou_threshold,
        minimum_confidence=address.minimum_confidence,
        replicates=address.replicates,
        ap_replicates=address.ap_replicates,
    )


@ROUTES.get("evaluations/{ev}/changes/{other}", query=ChangesAddress)
def changes(call: RouteCall, address: ChangesAddress) -> Any:
    """Ground truth by who found it: `change` is gained (default), lost, kept or missed."""
    return changes_of(
        *_pair(call),
        threshold=address.iou_threshold,
        minimum_confidence=address.minimum_confidence,
        change=address.change,
        limit=address.limit,
        offset=address.offset,
    )


def _pair(call: RouteCall) -> tuple[EvaluationResult, EvaluationResult]:
    baseline, other = read_result(call), read_result(call, call.params["other"])
    if baseline.id == other.id:
        raise BadRequestError("An evaluation is compared with another one, not with itself.")
    require_comparable(baseline, other)
    return baseline, other
