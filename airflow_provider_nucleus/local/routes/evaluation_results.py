"""Routes that read evaluations: charts, examples, the vocabulary of filters (contract section 2.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError, NotFoundError
from airflow_provider_nucleus.local.evaluations.computing.result_layouts import (
    evaluate_again,
    has_other_layout,
)
from airflow_provider_nucleus.local.evaluations.reading.charts import charts
from airflow_provider_nucleus.local.evaluations.reading.examples import examples, read_request
from airflow_provider_nucleus.local.evaluations.reading.filter_vocabulary import filter_schema
from airflow_provider_nucleus.local.evaluations.reading.selection import select
from airflow_provider_nucleus.local.evaluations.reading.summary import THRESHOLD
from airflow_provider_nucleus.local.http.messages import parse_json
from airflow_provider_nucleus.local.requests.casing import snake_keys
from airflow_provider_nucleus.local.requests.filters import read_filters
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import evaluations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.local.call import Call
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.requests.filters import Filters

__all__ = ["LEAST_IOU_THRESHOLD", "ROUTES", "asked_of_query", "filters_of", "result", "threshold_of"]

ROUTES: Final = RouteTable()

LEAST_IOU_THRESHOLD: Final = 0.001
"""Below it an overlap says nothing, and half of it, where background begins, rounds to nothing."""
_THRESHOLD_BOUNDS: Final = f"iouThreshold must be a number from {LEAST_IOU_THRESHOLD:g} to 1."


@ROUTES.post("evaluationsV2/{ev}/charts")
def post_charts(call: Call) -> Any:
    """Return the charts of an evaluation."""
    return _charts(call, call.snake_json())


@ROUTES.get("evaluationsV2/{ev}/charts")
def get_charts(call: Call) -> Any:
    """Return the charts of an evaluation, asked for in the address: what older clients send."""
    return _charts(call, asked_of_query(call))


@ROUTES.post("evaluationsV2/{ev}/examples")
def post_examples(call: Call) -> Any:
    """Return a page of match rows."""
    body = call.snake_json()
    request, filters = read_request(body), filters_of(body)
    loaded = result(call)
    with call.db.read() as cursor:
        selection = select(cursor, loaded, filters, threshold=THRESHOLD)
        return examples(cursor, loaded, selection, request)


@ROUTES.get("evaluationsV2/{ev}/filterSchema")
def get_filter_schema(call: Call) -> Any:
    """Return what filters can name."""
    loaded = result(call)
    with call.db.session() as session:
        return filter_schema(session, loaded)


def _charts(call: Call, asked: Mapping[str, Any]) -> Any:
    filters = filters_of(asked)
    threshold = threshold_of(asked.get("iou_threshold"))
    loaded = result(call)
    with call.db.read() as cursor:
        selection = select(cursor, loaded, filters, threshold=threshold)
    return charts(loaded, selection)


def result(call: Call, evaluation_id: str | None = None) -> EvaluationResult:
    """Return the result of the evaluation in the path.

    Raises :class:`ConflictError` until it has succeeded, or if another version has written it, and :class:`NotFoundError` if
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


def filters_of(asked: Mapping[str, Any]) -> Filters:
    """Return the filters and the query of a request; absent or null filters leave nothing out."""
    filters = asked.get("filters")
    return read_filters({} if filters is None else filters, asked.get("query"))


def threshold_of(value: Any) -> float:
    """Return the overlap threshold of a request, 0.5 by default."""
    if value is None:
        return THRESHOLD
    if not isinstance(value, int | float) or isinstance(value, bool) or not LEAST_IOU_THRESHOLD <= value <= 1:
        raise BadRequestError(_THRESHOLD_BOUNDS)
    return float(value)


def asked_of_query(call: Call) -> dict[str, Any]:
    """Return threshold, filters and query of an address, as a body would have them."""
    asked: dict[str, Any] = {"query": call.query.get("query")}
    text = call.query.get("iouThreshold", call.query.get("iou_threshold"))
    if text:
        try:
            asked["iou_threshold"] = float(text)
        except ValueError:
            raise BadRequestError(_THRESHOLD_BOUNDS) from None
    if call.query.get("filters"):
        asked["filters"] = snake_keys(parse_json(call.query["filters"], what="filters"))
    return asked
