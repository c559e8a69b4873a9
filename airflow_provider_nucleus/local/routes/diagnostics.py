"""Our own read-only routes over evaluations, below ``/ui/api``: what the compatible contract has no place for.

They never change a compatible answer. Threshold, filters and query are those of charts, in the address:
``?iouThreshold=0.5&filters={...}&query=...``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.evaluations.reading.category_scores import category_scores_of
from airflow_provider_nucleus.local.evaluations.reading.coco_numbers import coco_of
from airflow_provider_nucleus.local.evaluations.reading.comparison import (
    CHANGES,
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
from airflow_provider_nucleus.local.evaluations.reading.selection import select
from airflow_provider_nucleus.local.evaluations.reading.shape_reload import OVERLAPS
from airflow_provider_nucleus.local.evaluations.reading.summary import THRESHOLD
from airflow_provider_nucleus.local.requests.fields import query_number
from airflow_provider_nucleus.local.routes.evaluation_results import (
    asked_of_query,
    filters_of,
    result,
    threshold_of,
)
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import evaluations

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import Call
    from airflow_provider_nucleus.local.evaluations.reading.diagnostics import CurveFamily
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.evaluations.reading.selection import Selection
    from airflow_provider_nucleus.local.requests.filters import Filters

__all__ = ["OWN_PREFIX", "ROUTES"]

OWN_PREFIX: Final = "/ui/api"
ROUTES: Final = RouteTable()
_MOST_REPLICATES: Final = 10_000
_PAGE: Final = 100


@ROUTES.get("evaluations/{ev}/histograms")
def histograms(call: Call) -> Any:
    """Histograms of overlap and confidence, split into true and false positives."""
    return histograms_of(*_selected(call))


@ROUTES.get("evaluations/{ev}/prCurves")
def curves(call: Call) -> Any:
    """Precision, recall and confidence per label; ``family=coco`` (default) or ``nucleus``."""
    loaded, selection = _selected(call)
    family = _family(call)
    return {
        "family": family,
        "iou_threshold": selection.threshold,
        "curves": curves_of(loaded, selection, family=family),
    }


@ROUTES.get("evaluations/{ev}/f1Curve")
def f1(call: Call) -> Any:
    """F1 against confidence with the best cut; ``family=nucleus`` or ``coco``."""
    loaded, selection = _selected(call)
    family = _family(call, default="nucleus")
    return {
        "family": family,
        "iou_threshold": selection.threshold,
        **f1_of_selection(loaded, selection, family=family),
    }


@ROUTES.get("evaluations/{ev}/calibration")
def calibration(call: Call) -> Any:
    """Calibration errors and reliability bins; ``bins`` 1 to 100, 10 by default."""
    bins = query_number(call.query, "bins", 10, most=100)
    if bins < 1:
        raise BadRequestError("bins must be 1 to 100.")
    return calibration_of(*_selected(call), bins=bins)


@ROUTES.get("evaluations/{ev}/errors")
def errors(call: Call) -> Any:
    """TIDE counts under confidence-first matching, and the AP each kind of error costs."""
    _of_everything(call)
    if threshold_of(asked_of_query(call).get("iou_threshold")) != THRESHOLD:
        raise BadRequestError(
            f"These errors are those at an overlap of {THRESHOLD}: iouThreshold has no effect here."
        )
    return errors_of(result(call))


@ROUTES.get("evaluations/{ev}/coco")
def coco(call: Call) -> Any:
    """COCO's named numbers with average recall, per family; ``iou=exact`` (default), ``raster`` or ``bev``."""
    value = call.query.get("iou", OVERLAPS[0])
    kind = next((entry for entry in OVERLAPS if entry == value), None)
    if kind is None:
        raise BadRequestError(f"iou must be one of {', '.join(OVERLAPS)}.")
    loaded, selection = _selected(call)
    with call.db.read() as cursor:
        return coco_of(cursor, loaded, selection, kind=kind)


@ROUTES.get("evaluations/{ev}/masks")
def masks(call: Call) -> Any:
    """Pixel and panoptic scores of masks; ``groupBy`` is a key of item metadata."""
    filters = _filters(call)
    loaded, selection = _selected(call)
    with call.db.read() as cursor:
        return mask_scores_of(
            cursor,
            loaded,
            selection,
            mask_path=call.services.blobs.path,
            every_label=filters.gt_labels is None and filters.pred_labels is None,
            group_by=call.query.get("groupBy") or None,
        )


@ROUTES.get("evaluations/{ev}/categories")
def categories(call: Call) -> Any:
    """Accuracy, top-k, precision, recall and F1 of categories, per taxonomy; ``topK`` 1 to 100, 5 by default."""
    k = query_number(call.query, "topK", 5, most=100)
    if k < 1:
        raise BadRequestError("topK must be 1 to 100.")
    loaded, selection = _selected(call)
    with call.db.read() as cursor:
        return category_scores_of(cursor, loaded, selection, k=k)


@ROUTES.get("evaluations/{ev}/provenance")
def provenance(call: Call) -> Any:
    """Where the numbers come from and what is in none of them."""
    _of_everything(call)
    loaded = result(call)
    threshold = threshold_of(asked_of_query(call).get("iou_threshold"))
    with call.db.read() as cursor:
        return provenance_of(loaded, evaluations.find(cursor, call.params["ev"]), threshold=threshold)


@ROUTES.get("evaluations/{ev}/compare/{other}")
def compare(call: Call) -> Any:
    """Differences of another evaluation from this one, with bootstrap intervals."""
    baseline, other = _pair(call)
    asked = call.query.get("apReplicates")
    return comparison_of(
        baseline,
        other,
        threshold=threshold_of(asked_of_query(call).get("iou_threshold")),
        minimum_confidence=_confidence(call),
        replicates=query_number(call.query, "replicates", 1000, most=_MOST_REPLICATES),
        ap_replicates=None
        if not asked
        else query_number(call.query, "apReplicates", 0, most=_MOST_REPLICATES),
    )


@ROUTES.get("evaluations/{ev}/changes/{other}")
def changes(call: Call) -> Any:
    """Ground truth by who found it: ``change`` is gained (default), lost, kept or missed."""
    baseline, other = _pair(call)
    change = call.query.get("change", CHANGES[0])
    known = next((entry for entry in CHANGES if entry == change), None)
    if known is None:
        raise BadRequestError(f"change must be one of {', '.join(CHANGES)}.")
    return changes_of(
        baseline,
        other,
        threshold=threshold_of(asked_of_query(call).get("iou_threshold")),
        minimum_confidence=_confidence(call),
        change=known,
        limit=query_number(call.query, "limit", _PAGE, most=1000),
        offset=query_number(call.query, "offset", 0, most=2**31),
    )


def _filters(call: Call) -> Filters:
    return filters_of(asked_of_query(call))


def _selected(call: Call) -> tuple[EvaluationResult, Selection]:
    filters, threshold = _filters(call), threshold_of(asked_of_query(call).get("iou_threshold"))
    loaded = result(call)
    with call.db.read() as cursor:
        return loaded, select(cursor, loaded, filters, threshold=threshold)


def _of_everything(call: Call) -> None:
    """Refuse filters where the answer is about everything: ignoring them would pass it off as something else."""
    for name in ("filters", "query"):
        if call.query.get(name):
            raise BadRequestError(f"This route answers for the whole evaluation: {name} has no effect here.")


def _pair(call: Call) -> tuple[EvaluationResult, EvaluationResult]:
    _of_everything(call)
    baseline, other = result(call), result(call, call.params["other"])
    if baseline.id == other.id:
        raise BadRequestError("An evaluation is compared with another one, not with itself.")
    require_comparable(baseline, other)
    return baseline, other


def _family(call: Call, *, default: CurveFamily = "coco") -> CurveFamily:
    value = call.query.get("family", default)
    if value == "coco":
        return "coco"
    if value == "nucleus":
        return "nucleus"
    raise BadRequestError("family must be coco or nucleus.")


def _confidence(call: Call) -> float | None:
    text = call.query.get("minimumConfidence", "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise BadRequestError("minimumConfidence must be a number from 0 to 1.")
    return value
