"""Routes that read evaluations: charts, examples, the vocabulary of filters (contract section 2.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import ConflictError, NotFoundError
from airflow_provider_nucleus.local.evaluations.computing.result_layouts import (
    evaluate_again,
    has_other_layout,
)
from airflow_provider_nucleus.local.evaluations.reading.charts import charts
from airflow_provider_nucleus.local.evaluations.reading.diagnostics import operating_points_of_selection
from airflow_provider_nucleus.local.evaluations.reading.examples import ExamplePage, examples
from airflow_provider_nucleus.local.evaluations.reading.filter_vocabulary import filter_schema
from airflow_provider_nucleus.local.evaluations.reading.selection import select
from airflow_provider_nucleus.local.requests.diagnostics import OperatingPointsAddress
from airflow_provider_nucleus.local.requests.evaluations import (
    DEFAULT_IOU_THRESHOLD,
    ChartsAddress,
    ChartsRequest,
    ExamplesRequest,
)
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import evaluations

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.evaluations.reading.selection import Selection

__all__ = ["ROUTES", "get_operating_points", "read_result", "selected"]

ROUTES: Final = RouteTable()


@ROUTES.post("evaluationsV2/{ev}/charts", body=ChartsRequest, reads=True)
def post_charts(call: RouteCall, request: ChartsRequest) -> Any:
    """Return the charts of an evaluation."""
    return charts(*selected(call, request))


@ROUTES.get("evaluationsV2/{ev}/charts", query=ChartsAddress)
def get_charts(call: RouteCall, address: ChartsAddress) -> Any:
    """Return the charts of an evaluation by an address, as older clients send it."""
    return charts(*selected(call, address))


@ROUTES.post("evaluationsV2/{ev}/examples", body=ExamplesRequest, reads=True)
def post_examples(call: RouteCall, request: ExamplesRequest) -> Any:
    """Return a page of match rows."""
    page = ExamplePage(
        match_type=request.match_type,
        limit=request.limit,
        offset=request.offset,
        sort_by=request.sort_by,
        descending=request.sort_order != "ASC",
    )
    result = read_result(call)
    with call.db.read() as cursor:
        selection = select(cursor, result, request.chosen, threshold=DEFAULT_IOU_THRESHOLD)
        return examples(cursor, result, selection, page)


@ROUTES.get("evaluationsV2/{ev}/filterSchema")
def get_filter_schema(call: RouteCall) -> Any:
    """Return what filters can name."""
    result = read_result(call)
    with call.db.session() as session:
        return filter_schema(session, result)


@ROUTES.get("evaluationsV2/{ev}/operatingPoints", query=OperatingPointsAddress)
def get_operating_points(call: RouteCall, address: OperatingPointsAddress) -> Any:
    """Best confidence per label and over all: for F1, or for a `precision` or `recall`; `minSupport` 20 by default."""
    aims = {"precision": address.precision, "recall": address.recall}
    aim, target = next(((name, value) for name, value in aims.items() if value is not None), ("f1", None))
    result, selection = selected(call, address)
    return operating_points_of_selection(
        result,
        selection,
        aim=aim,
        target=target,
        min_support=address.min_support,
        tolerance=address.tolerance,
    )


def selected(call: RouteCall, request: ChartsRequest | ChartsAddress) -> tuple[EvaluationResult, Selection]:
    """Return the result of the evaluation in the path, and what a request selects of it."""
    result = read_result(call)
    with call.db.read() as cursor:
        return result, select(cursor, result, request.chosen, threshold=request.iou_threshold)


def read_result(call: RouteCall, evaluation_id: str | None = None) -> EvaluationResult:
    """Return the result of the evaluation in the path.

    Raises `ConflictError` until it has succeeded, or if another version has written it, and `NotFoundError` if
    its files are gone.
    """
    with call.db.read() as cursor:
        evaluation = evaluations.find(cursor, evaluation_id or call.params["ev"])
    evaluations.require_succeeded(evaluation)
    try:
        return call.services.results.get(evaluation)
    except FileNotFoundError as error:
        again = evaluate_again(evaluation)
        if has_other_layout(call.services.folder.evaluations, evaluation.result):
            raise ConflictError(
                f"The result of evaluation {evaluation.id} was written by another version and cannot be read. {again}."
            ) from error
        raise NotFoundError(
            f"The result of evaluation {evaluation.id} is not in the data directory. {again}."
        ) from error
