"""Pages of stored matches, as `queryObjectsPage` lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.requests.query.compile import EVERYTHING
from airflow_provider_nucleus.local.store.ids import ANNOTATION, ITEM, PREDICTION, numbered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.matches import MatchSet
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["MATCH_MODES", "UserNames", "match_page", "match_wire", "user_names"]

MATCH_MODES: Final = {
    "iou": "m.kind = 'matched'",
    # A pair whose labels may associate but do not match is a false positive too.
    "false_positive": "(m.kind = 'false_positive' OR (m.kind = 'matched' AND NOT m.true_positive))",
    "false_negative": "m.kind = 'false_negative'",
}
"""Which rows each mode lists."""

_COLUMNS: Final = "m.match_no, m.item_no, m.prediction_no, m.truth_no, m.prediction_label, m.truth_label, m.iou, m.true_positive, m.family, m.confidence"


def match_page(
    cursor: Cursor,
    match_set: MatchSet,
    *,
    mode: str,
    dataset: DatasetRecord,
    condition: Fragment,
    after: int,
    size: int,
    run_id: str,
) -> tuple[list[dict[str, Any]], int | None]:
    """Return up to `size` rows of a mode behind `after` and the row to go on after, None at the end."""
    chosen = ""
    parameters: list[Any] = [match_set.number, after]
    if condition != EVERYTHING:
        chosen = (
            f" AND m.item_no IN (SELECT i.item_no FROM items i WHERE i.dataset_no = ? AND {condition.sql})"
        )
        parameters += [dataset.number, *condition.parameters]
    found = cursor.execute(
        f"SELECT {_COLUMNS} FROM matches m WHERE m.match_set_no = ? AND m.match_no > ? AND {MATCH_MODES[mode]}{chosen} "
        "ORDER BY m.match_no LIMIT ?",
        [*parameters, size + 1],
    ).fetchall()
    names = user_names(
        cursor,
        items=[row[1] for row in found[:size]],
        objects=[number for row in found[:size] for number in row[2:4]],
    )
    rows = [
        match_wire(
            run_id, names, item_no=item, prediction_no=prediction, truth_no=truth, prediction_label=predicted,
            truth_label=actual, iou=iou, true_positive=correct, family=family, confidence=confidence,
        )
        for _, item, prediction, truth, predicted, actual, iou, correct, family, confidence in found[:size]
    ]  # fmt: skip
    return rows, found[size - 1][0] if len(found) > size else None


@dataclass(frozen=True, slots=True)
class UserNames:
    """The names that users gave: reference ids of items, annotation ids of objects, by internal number."""

    references: Mapping[int, str]
    annotation_ids: Mapping[int, str]


def user_names(cursor: Cursor, *, items: Sequence[int], objects: Sequence[int | None]) -> UserNames:
    """Look up the names of items and objects; those that are deleted, and categories, have none."""
    numbers = [number for number in objects if number is not None]
    return UserNames(
        _texts(cursor, "SELECT item_no, reference_id FROM items", "item_no", items),
        _texts(cursor, "SELECT object_no, annotation_id FROM objects", "object_no", numbers)
        | _texts(cursor, "SELECT object_no, annotation_id FROM masks", "object_no", numbers),
    )


def _texts(cursor: Cursor, select: str, column: str, numbers: Sequence[int]) -> dict[int, str]:
    if not numbers:
        return {}
    return dict(
        # The range lets the scan skip row groups, which the list does not.
        cursor.execute(
            f"{select} WHERE {column} BETWEEN ? AND ? AND {column} IN (SELECT unnest(?::BIGINT[]))",
            [min(numbers), max(numbers), list(numbers)],
        ).fetchall()
    )


def match_wire(
    run_id: str,
    names: UserNames,
    *,
    item_no: int,
    prediction_no: int | None,
    truth_no: int | None,
    prediction_label: str | None,
    truth_label: str | None,
    iou: float,
    true_positive: bool,
    family: str,
    confidence: float | None = None,
) -> dict[str, Any]:
    """Return an evaluation match as clients read it; the absent side of an unmatched object is null.

    Ours are `family`, what was compared with what (area, cuboid, keypoints, mask, category), the prediction's `confidence`, and the names that users gave:
    `reference_id` of the item, `pred_annotation_id` and `gt_annotation_id`.
    """
    return {
        "model_run_id": run_id,
        "dataset_item_id": numbered(ITEM, item_no),
        "model_prediction_id": None if prediction_no is None else numbered(PREDICTION, prediction_no),
        "model_prediction_label": prediction_label,
        "ground_truth_annotation_id": None if truth_no is None else numbered(ANNOTATION, truth_no),
        "ground_truth_annotation_label": truth_label,
        "iou": iou,
        "true_positive": true_positive,
        "family": family,
        "confidence": confidence,
        "reference_id": names.references.get(item_no),
        "pred_annotation_id": None if prediction_no is None else names.annotation_ids.get(prediction_no),
        "gt_annotation_id": None if truth_no is None else names.annotation_ids.get(truth_no),
    }
