"""Objects as clients read them back: every value as it was sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.local.annotation_table import EXPORT_KEYS, STORED_TYPES
from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.store.database import rows
from airflow_provider_nucleus.local.store.ids import ANNOTATION, ITEM, PREDICTION, SCENE, number_of, numbered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.models import ModelRecord, Run
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "by_type", "object_by_path", "objects_of_items", "objects_of_set", "objects_where", "parsed_objects", "predicted_item_at",
    "predictions_of_run", "run_free_predictions",
]  # fmt: skip

_OBJECTS: Final = """SELECT o.object_no, o.item_no, i.reference_id, o.type, o.label, o.annotation_id, o.task_id, o.confidence,
    o.x, o.y, o.w, o.h, o.geometry, o.metadata, o.class_pdf, o.track_reference_id, o.embedding_vector
    FROM objects o JOIN items i USING (item_no) WHERE {} ORDER BY o.object_no"""
_CATEGORIES: Final = """SELECT o.object_no, o.item_no, o.scene_no, coalesce(i.reference_id, s.reference_id) AS reference_id,
    o.type, o.label, o.labels, o.taxonomy_name, o.task_id, o.confidence, o.metadata, o.class_pdf, o.track_reference_id
    FROM categories o LEFT JOIN items i USING (item_no) LEFT JOIN scenes s ON s.scene_no = o.scene_no
    WHERE {} ORDER BY o.object_no"""
_MASKS: Final = """SELECT o.object_no, o.item_no, i.reference_id, o.annotation_id, o.mask_url, o.segments
    FROM masks o JOIN items i USING (item_no) WHERE {} ORDER BY o.object_no"""

_COLUMNS: Final = {kind.name: tuple(kind.columns.items()) for kind in STORED_TYPES if kind.columns}


def objects_of_items(
    cursor: Cursor, set_nos: list[int], item_nos: list[int], *, truth: bool
) -> list[dict[str, Any]]:
    """Return every object of some sets on some items, as wire objects."""
    return list(
        objects_where(
            cursor,
            "o.set_no IN (SELECT unnest(?::INTEGER[])) AND o.item_no IN (SELECT unnest(?::BIGINT[]))",
            [set_nos, item_nos],
            truth=truth,
        )
    )


def objects_where(
    cursor: Cursor, condition: str, parameters: list[Any], *, truth: bool, with_id: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the objects, categories and masks (alias `o`) that a condition selects, as wire objects.

    `truth` says whether they are ground truth, which has no confidence; `with_id` adds the internal `ann_` or
    `pred_` id as `id`, which object slices need.
    """
    for query in (_OBJECTS, _CATEGORIES, _MASKS):
        for row in rows(cursor, query.format(condition), parameters):
            if query is _MASKS:
                wire = _mask(row)
            else:
                wire = (_object if query is _OBJECTS else _category)(row, truth=truth)
            yield _named(wire, row, truth=truth) if with_id else wire


def _named(wire: dict[str, Any], row: dict[str, Any], *, truth: bool) -> dict[str, Any]:
    return {"id": numbered(ANNOTATION if truth else PREDICTION, row["object_no"]), **wire}


def _named_objects(
    cursor: Cursor, condition: str, parameters: list[Any], *, truth: bool
) -> list[dict[str, Any]]:
    """Return the geometric objects and masks (alias `o`) that a condition on their annotation ids selects."""
    found = [_object(row, truth=truth) for row in rows(cursor, _OBJECTS.format(condition), parameters)]
    return found or [_mask(row) for row in rows(cursor, _MASKS.format(condition), parameters)]


def objects_of_set(cursor: Cursor, set_no: int | None, *, truth: bool) -> Iterator[dict[str, Any]]:
    """Yield every object of a set (None: none), as wire objects."""
    return objects_where(cursor, "o.set_no = ?", [set_no], truth=truth)


def parsed_objects(cursor: Cursor, set_no: int, numbers: list[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield some objects of ground truth by number (ascending), with the number of their item, as a client has read them."""
    found = objects_where(
        cursor,
        "o.set_no = ? AND o.object_no BETWEEN ? AND ? AND o.object_no IN (SELECT unnest(?::BIGINT[]))",
        [set_no, numbers[0], numbers[-1], numbers],
        truth=True,
    )
    for wire in found:
        item_no = number_of(ITEM, wire["dataset_item_id"])
        assert item_no is not None
        yield item_no, json.loads(orjson.dumps(wire))


def predictions_of_run(cursor: Cursor, run: Run) -> Iterator[dict[str, Any]]:
    """Yield every prediction of a run on any dataset, as wire objects."""
    condition = "o.set_no IN (SELECT set_no FROM object_sets WHERE role = 'run' AND run_no = ?)"
    return objects_where(cursor, condition, [run.number], truth=False)


def run_free_predictions(cursor: Cursor, model: ModelRecord, item_nos: list[int]) -> list[dict[str, Any]]:
    """Return a model's predictions without a run on some items, as wire objects."""
    found = cursor.execute(
        "SELECT set_no FROM object_sets WHERE role = 'model' AND model_no = ?", [model.number]
    ).fetchall()
    return objects_of_items(cursor, [set_no for (set_no,) in found], item_nos, truth=False)


def predicted_item_at(cursor: Cursor, model: ModelRecord, index: str) -> int:
    """Return the number of the n-th item with predictions of a model without a run, by dataset and insertion.

    Raises `NotFoundError` if there are not as many.
    """
    found = None
    if index.isascii() and index.isdigit() and len(index) < 19:
        found = cursor.execute(
            "SELECT DISTINCT dataset_no, item_no FROM objects JOIN object_sets USING (set_no) "
            "WHERE role = 'model' AND model_no = ? ORDER BY dataset_no, item_no LIMIT 1 OFFSET ?",
            [model.number, int(index)],
        ).fetchone()
    if found is None:
        raise NotFoundError(f"Model {model.id} has no run-free predictions at index {index}.")
    return int(found[1])


def object_by_path(
    cursor: Cursor, dataset: DatasetRecord, set_no: int | None, path: str, *, truth: bool
) -> dict[str, Any]:
    """Return the object that `<reference id>/<annotation id>` names; both may contain slashes themselves.

    Raises `NotFoundError` if there is none.
    """
    cuts = [index for index, character in enumerate(path) if character == "/"]
    condition = (
        "o.set_no = ? AND o.annotation_id = ? "
        "AND o.item_no IN (SELECT item_no FROM items WHERE dataset_no = ? AND reference_id = ?)"
    )
    for cut in cuts:
        for found in _named_objects(
            cursor, condition, [set_no, path[cut + 1 :], dataset.number, path[:cut]], truth=truth
        ):
            return found
    raise NotFoundError(f"No object {path} (reference id/annotation id) in dataset {dataset.id}.")


def by_type(objects: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Group wire objects under their types; types without objects are left out."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for item in objects:
        grouped.setdefault(EXPORT_KEYS[item["type"]], []).append(item)
    return grouped


def _json(text: str | None, default: str) -> orjson.Fragment:
    return orjson.Fragment(default if text is None else text)


def _number(value: float) -> float | int:
    # A client that sent 10 reads 10; one that sent 10.0 reads a number equal to it.
    return int(value) if value.is_integer() else value


def _common(row: dict[str, Any], *, truth: bool) -> dict[str, Any]:
    wire: dict[str, Any] = {"type": row["type"], "reference_id": row["reference_id"]}
    if row["item_no"] is not None:
        wire["dataset_item_id"] = numbered(ITEM, row["item_no"])
    wire |= {
        "metadata": _json(row["metadata"], "{}"),
        "task_id": row["task_id"],
        "track_reference_id": row["track_reference_id"],
    }
    if not truth:
        if row["confidence"] is not None:
            wire["confidence"] = _number(row["confidence"])
        if row["class_pdf"] is not None:
            wire["class_pdf"] = _json(row["class_pdf"], "null")
    return wire


def _object(row: dict[str, Any], *, truth: bool) -> dict[str, Any]:
    wire = _common(row, truth=truth)
    wire |= {"label": row["label"], "annotation_id": row["annotation_id"]}
    if columns := _COLUMNS.get(row["type"]):
        wire["geometry"] = {name: _number(row[column]) for name, column in columns}
    else:
        wire["geometry"] = _json(row["geometry"], "{}")
    if row["embedding_vector"] is not None:
        wire["embedding_vector"] = _json(row["embedding_vector"], "null")
    return wire


def _category(row: dict[str, Any], *, truth: bool) -> dict[str, Any]:
    wire = _common(row, truth=truth)
    if row["labels"] is not None:
        wire["labels"] = _json(row["labels"], "[]")
    else:
        wire["label"] = row["label"]
    if row["scene_no"] is not None:
        wire["scene_id"] = numbered(SCENE, row["scene_no"])
    if row["taxonomy_name"]:
        wire["taxonomy_name"] = row["taxonomy_name"]
    wire["geometry"] = {}
    return wire


def _mask(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "mask",
        "reference_id": row["reference_id"],
        "dataset_item_id": numbered(ITEM, row["item_no"]),
        "mask_url": row["mask_url"],
        "annotations": _json(row["segments"], "[]"),
        "annotation_id": row["annotation_id"],
    }
