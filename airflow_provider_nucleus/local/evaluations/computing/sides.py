"""Stored objects of an evaluation as sides of the engine: one family, one span of items at a time."""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants; values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.notes import beyond_box
from airflow_provider_nucleus.evaluation.sides.columns import columns
from airflow_provider_nucleus.evaluation.sides.labels import Vocabulary
from airflow_provider_nucleus.local.annotation_table import CATEGORY_LABELS
from airflow_provider_nucleus.local.engine.ignored_regions import COCO_FIELDS, crowds, without_points
from airflow_provider_nucleus.local.engine.keypoints import keypoint_shapes
from airflow_provider_nucleus.local.engine.row_names import RowNames
from airflow_provider_nucleus.local.engine.shape_families import SHAPE_FAMILIES
from airflow_provider_nucleus.local.engine.shapes import floats, integers
from airflow_provider_nucleus.local.evaluations.computing.allowed_labels import ranked_labels
from airflow_provider_nucleus.local.evaluations.computing.population import NO_SET
from airflow_provider_nucleus.local.evaluations.computing.result_builder import ObjectSide

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from airflow_provider_nucleus.evaluation.arrays import FloatArray, IntArray
    from airflow_provider_nucleus.evaluation.sides.columns import Geometry
    from airflow_provider_nucleus.keypoint_tolerances import ChosenSigmas
    from airflow_provider_nucleus.local.engine.sides import Span
    from airflow_provider_nucleus.local.evaluations.computing.population import EvaluatedItems
    from airflow_provider_nucleus.local.requests.label_taxonomy import Taxonomy
    from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "LabelCodes",
    "areas_beyond_box",
    "codes_of",
    "label_codes",
    "no_segments",
    "object_rows",
    "sides_of",
]

_LABELS: Final = f"""SELECT DISTINCT label FROM (
    SELECT label, set_no, item_no FROM objects UNION ALL
    SELECT unnest({CATEGORY_LABELS}), set_no, item_no
    FROM categories UNION ALL SELECT unnest(from_json(segments, '[{{{{"label":"VARCHAR"}}}}]')).label, set_no, item_no FROM masks)
    JOIN evaluated USING (item_no) WHERE set_no IN ({{}})"""


@dataclass(frozen=True, slots=True)
class LabelCodes:
    """The labels of an evaluation: as uploaded (`raw`), as evaluated (`canonical`), and the way from one to the other.

    `ranked_under` has per canonical code the one under which predictions of it are ranked in AP; `no_ap` says why
    there is no AP (None: there is).
    """

    raw: Vocabulary
    canonical: Vocabulary
    to_canonical: IntArray
    ranked_under: IntArray
    no_ap: str | None = None


def label_codes(cursor: Cursor, population: EvaluatedItems, taxonomy: Taxonomy) -> LabelCodes:
    """Collect the labels of both sides of all evaluated items."""
    truth = _labels(cursor, [entry.truth for entry in population.datasets])
    predicted = _labels(cursor, [entry.predictions for entry in population.datasets])
    raw = Vocabulary.of(truth, predicted)
    named = [taxonomy.canonical(label) for label in raw]
    canonical = Vocabulary.of(named)
    ranked = ranked_labels(taxonomy.pairs, truth=truth, predicted=predicted)
    return LabelCodes(
        raw,
        canonical,
        canonical.encode(named),
        # With pairs labels are what they are: groups and pairs exclude each other.
        canonical.encode([ranked.under.get(label, label) for label in canonical]),
        ranked.reason if taxonomy.pairs else None,
    )


def _labels(cursor: Cursor, sets: Iterable[int | None]) -> set[str]:
    numbers = sorted({NO_SET if number is None else number for number in sets} or {NO_SET})
    found = cursor.execute(_LABELS.format(", ".join(map(str, numbers)))).fetchall()
    return {label for (label,) in found}


def object_rows(
    cursor: Cursor,
    population: EvaluatedItems,
    sets: ComparedSets,
    *,
    family: str,
    types: Sequence[str],
    span: Span,
) -> tuple[pa.Table, pa.Table]:
    """Read ground truth and predictions of some types on a span of items, by (item, order of upload)."""
    tables = []
    for number, dropped in (
        (sets.truth, population.ground_truth),
        (sets.predictions, population.predictions),
    ):
        # The ordinal, which decides between equal overlaps, is the rank of the annotation id among the item's objects.
        sql = (
            "SELECT object_no, item_no, annotation_id, place, label, confidence, row_number() OVER (PARTITION BY place ORDER BY annotation_id, "
            f"object_no) - 1 AS ordinal, {COCO_FIELDS}, {SHAPE_FAMILIES[family].columns} JOIN evaluated USING (item_no) "
            f"WHERE set_no = ? AND item_no BETWEEN ? AND ? AND type IN ({', '.join(map(repr, types))}) "
            f"AND {dropped.kept.sql} ORDER BY place, object_no"
        )
        parameters = [NO_SET if number is None else number, span.first, span.last, *dropped.kept.parameters]
        tables.append(cursor.sql(sql, params=parameters).to_arrow_table())
    return tables[0], tables[1]


def sides_of(
    tables: tuple[pa.Table, pa.Table],
    family: str,
    codes: LabelCodes,
    *,
    keypoint_sigmas: ChosenSigmas | None = None,
) -> tuple[ObjectSide, ObjectSide]:
    """Turn the rows of `object_rows` into ground truth and predictions of the engine; keypoints by the tolerances chosen for them."""
    truth: Geometry
    predictions: Geometry
    if family == "keypoints":
        truth, predictions = keypoint_shapes(*tables, keypoint_sigmas)
    else:
        truth, predictions = SHAPE_FAMILIES[family].shapes(*tables)
    return _side(tables[0], truth, codes, truth=True), _side(tables[1], predictions, codes, truth=False)


def _side(table: pa.Table, geometry: Geometry, codes: LabelCodes, *, truth: bool) -> ObjectSide:
    column = table.column("label").combine_chunks().dictionary_encode()
    names = codes.raw.encode(column.dictionary.to_pylist())
    raw = names[column.indices.to_numpy()] if len(names) else np.zeros(0, dtype=np.int32)
    made = columns(
        geometry,
        integers(table, "place"),
        label=codes.to_canonical[raw],
        confidence=None if truth else floats(table, "confidence"),
        ordinal=integers(table, "ordinal"),
        crowd=crowds(table) if truth else None,
        ignore=without_points(geometry) if truth else None,
        area=_areas(table, geometry),
        ids=RowNames(table),
    )
    return ObjectSide(made, integers(table, "object_no"), no_segments(len(table)), raw)


def _areas(table: pa.Table, geometry: Geometry) -> FloatArray:
    """Return the areas that size ranges look at."""
    stated = floats(table, "coco_area")
    usable = np.isfinite(stated) & (stated >= 0)
    return np.where(usable, stated, geometry.area)


def areas_beyond_box(table: pa.Table) -> int:
    """Count the boxes of ground truth whose stated area cannot be that of something inside."""
    return int(
        np.count_nonzero(beyond_box(floats(table, "coco_area"), floats(table, "w") * floats(table, "h")))
    )


def no_segments(count: int) -> IntArray:
    """Return the segment column of objects that are one thing."""
    return np.full(count, NONE, dtype=np.int32)


def codes_of(labels: Iterable[str], codes: LabelCodes) -> tuple[IntArray, IntArray]:
    """Return the raw and the canonical codes of labels."""
    raw = codes.raw.encode(list(labels))
    return raw, codes.to_canonical[raw] if len(raw) else raw
