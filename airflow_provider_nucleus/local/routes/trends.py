"""Trends: headline numbers over calculations, batches and evaluations, below `/ui/api`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.requests.trends import TrendAddress
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import benchmarks, datasets, evaluations, models, slices
from airflow_provider_nucleus.local.store.catalog.slice_members import OBJECTS
from airflow_provider_nucleus.local.store.views import trends

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall
    from airflow_provider_nucleus.local.store.catalog.slices import SliceRecord
    from airflow_provider_nucleus.local.store.views.trends import TrendPoint

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.get("datasets/{ds}/trend", query=TrendAddress)
def of_dataset(call: RouteCall, address: TrendAddress) -> Any:
    """Series of the runs on a dataset: its calculations, and its slices within the newest of them."""
    with call.db.read() as cursor:
        dataset = datasets.find(cursor, call.params["ds"])
        condition, parameters = "s.dataset_no = ?", [dataset.number]
        if address.model_id is not None:
            condition += " AND s.model_no = ?"
            parameters.append(models.find(cursor, address.model_id).number)
        batches = _batches(slices.listing(cursor, dataset=dataset))
        points: list[TrendPoint] = []
        for run in trends.runs_where(cursor, condition, parameters):
            points += trends.calculation_points(cursor, run, iou=address.iou_threshold, limit=address.limit)
            points += trends.batch_points(cursor, run, batches[-address.limit :], iou=address.iou_threshold)
    return _answer(address, points, dataset_id=dataset.id, name=dataset.name)


@ROUTES.get("models/{m}/trend", query=TrendAddress)
def of_model(call: RouteCall, address: TrendAddress) -> Any:
    """Series of a model: its calculations and batches on every dataset, and its evaluations."""
    with call.db.read() as cursor:
        model = models.find(cursor, call.params["m"])
        points: list[TrendPoint] = []
        for run in trends.runs_where(cursor, "s.model_no = ?", [model.number]):
            batches = _batches(slices.listing(cursor, dataset=datasets.find(cursor, run.dataset_id)))
            points += trends.calculation_points(cursor, run, iou=address.iou_threshold, limit=address.limit)
            points += trends.batch_points(cursor, run, batches[-address.limit :], iou=address.iou_threshold)
        points += trends.evaluation_points(
            cursor, evaluations.of_whole_model(cursor, model.number), iou=address.iou_threshold
        )
    return _answer(address, points, model_id=model.id, name=model.name)


@ROUTES.get("slices/{s}/trend", query=TrendAddress)
def of_slice(call: RouteCall, address: TrendAddress) -> Any:
    """Series of one slice: its numbers in each calculation of the runs on its dataset."""
    with call.db.read() as cursor:
        found = slices.find(cursor, call.params["s"])
        condition, parameters = "s.dataset_no = ?", [found.dataset_no]
        if address.model_id is not None:
            condition += " AND s.model_no = ?"
            parameters.append(models.find(cursor, address.model_id).number)
        points = [
            point
            for run in trends.runs_where(cursor, condition, parameters)
            for point in trends.slice_points(
                cursor, run, found, iou=address.iou_threshold, limit=address.limit
            )
        ]
    return _answer(address, points, slice_id=found.id, name=found.name)


@ROUTES.get("benchmarks/{bm}/trend", query=TrendAddress)
def of_benchmark(call: RouteCall, address: TrendAddress) -> Any:
    """Series of the evaluations on a benchmark and on its other versions."""
    with call.db.read() as cursor:
        benchmark = benchmarks.find(cursor, call.params["bm"])
        found = evaluations.of_benchmarks(cursor, benchmarks.versions_of(cursor, benchmark))
        if address.model_id is not None:
            model_id = models.find(cursor, address.model_id).id
            found = [each for each in found if each.model_id == model_id]
        points = trends.evaluation_points(cursor, found, iou=address.iou_threshold)
    return _answer(address, points, benchmark_id=benchmark.id, name=benchmark.name)


def _batches(found: list[SliceRecord]) -> list[SliceRecord]:
    """Leave out slices of objects: a batch is items."""
    return [each for each in found if each.type != OBJECTS]


def _answer(address: TrendAddress, points: list[TrendPoint], **subject: str) -> dict[str, Any]:
    return {
        **subject,
        "iou_threshold": address.iou_threshold,
        "series": trends.series(points, limit=address.limit),
    }
