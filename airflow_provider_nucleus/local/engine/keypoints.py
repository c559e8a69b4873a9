"""Stored keypoints as columns: both sides brought to the same names, whatever order each object lists them in.

Keypoints are compared by object keypoint similarity. The tolerances are those that were chosen, or follow from the names
(`keypoint_tolerances.py`). An object without a labelled keypoint stands where the `bbox` in its metadata says (x, y, width, height),
as COCO has it.

Distances are measured against the object's area in square pixels: `area` in its metadata, where uploads from COCO keep it; else the
first of these that is above 0: `bbox` in its metadata; the box around its keypoints; the larger side of the box around its keypoints,
squared; 1,000 for a single point, which is within 4 pixels of what passes at a similarity of 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeGuard

import numpy as np

from airflow_provider_nucleus.evaluation.overlap.keypoints import KeypointArrays, boxes_around, object_areas
from airflow_provider_nucleus.keypoint_tolerances import Tolerances, tolerances_of
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.store.geometry_rules import COORDINATE_LIMIT

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_nucleus.evaluation.arrays import FloatArray
    from airflow_provider_nucleus.keypoint_tolerances import ChosenSigmas

__all__ = ["KEYPOINT_COLUMNS", "KeypointFacts", "keypoint_facts", "keypoint_shapes"]

KEYPOINT_COLUMNS: Final = (
    "g, try_cast(json_extract_string(metadata, '$.area') AS DOUBLE) AS area, "
    "try_cast(json_extract(metadata, '$.bbox') AS DOUBLE[]) AS bbox FROM (SELECT *, from_json(geometry, "
    '\'{"keypoints":[{"x":"DOUBLE","y":"DOUBLE"}],"names":["VARCHAR"]}\') AS g FROM objects)'
)
"""Select list and source of the stored keypoints."""

_NAMES_LIMIT: Final = 500
"""Different names in one step: more would need more memory than a step may have."""
_FAR: Final = 1e12
"""Where a keypoint is that a prediction does not have: pixels away from everything."""


def keypoint_shapes(
    truth: pa.Table, predictions: pa.Table, chosen: ChosenSigmas | None = None
) -> tuple[KeypointArrays, KeypointArrays]:
    """Return the keypoints of both sides over the names that occur; a keypoint without coordinates is not labelled.

    *chosen* are the tolerances of the evaluation's options. Raises `BadRequestError` if there are more than 500 different names, or
    more or fewer chosen tolerances than keypoints.
    """
    tables = [_Table(table) for table in (truth, predictions)]
    names = _common_names(tables)
    if len(names) > _NAMES_LIMIT:
        raise BadRequestError(
            f"keypoints have {len(names)} different names, of which {_NAMES_LIMIT} can be compared: give the keypoints "
            "of different objects the same names."
        )
    sigmas = np.array(_tolerances(names, chosen).sigmas, dtype=np.float64)
    left, right = (table.shapes(names, sigmas) for table in tables)
    return left, right


@dataclass(frozen=True, slots=True)
class KeypointFacts:
    """The measure of some keypoints: their tolerances, the labelled objects, and how many of these have no area of their own."""

    tolerances: Tolerances
    objects: int
    without_area: int


def keypoint_facts(tables: tuple[pa.Table, pa.Table], chosen: ChosenSigmas | None = None) -> KeypointFacts:
    """Return how the ground truth of two tables of keypoints is measured."""
    both = [_Table(table) for table in tables]
    return KeypointFacts(_tolerances(_common_names(both), chosen), *both[0].measured())


def _tolerances(names: list[str], chosen: ChosenSigmas | None) -> Tolerances:
    """Return the tolerances of keypoints; none where there are no keypoints."""
    if not names:
        return Tolerances((), "none")
    try:
        return tolerances_of(names, chosen)
    except ValueError as error:
        raise BadRequestError(f"{error}.") from None


def _common_names(tables: list[_Table]) -> list[str]:
    """Return the names in the order of the objects' lists, where all objects that have the most list them alike; else sorted."""
    names = sorted({name for table in tables for name in table.names})
    lists = [table.first_list() for table in tables]
    longest = max(lists, key=len, default=[])
    if sorted(longest) == names and all(table.lists_are(longest) for table in tables):
        return longest
    if all(name.isdigit() for name in names):
        return sorted(names, key=int)
    return names


class _Table:
    """The keypoints of a side, flat: row, name and place of each."""

    def __init__(self, table: pa.Table) -> None:
        column = table.column("g").combine_chunks()
        points, names = column.field("keypoints"), column.field("names")
        self._count = table.num_rows
        self._row = np.repeat(np.arange(self._count), points.value_lengths().to_numpy())
        self._x = np.asarray(points.flatten().field("x").to_numpy(zero_copy_only=False), dtype=np.float64)
        self._y = np.asarray(points.flatten().field("y").to_numpy(zero_copy_only=False), dtype=np.float64)
        self._boxes: list[list[float] | None] = table.column("bbox").to_pylist()
        self._area = np.asarray(table.column("area").to_numpy(), dtype=np.float64)
        encoded = names.flatten().dictionary_encode()
        self._code = np.asarray(encoded.indices.to_numpy(), dtype=np.int64)
        self._lengths = np.asarray(points.value_lengths().to_numpy(), dtype=np.int64)
        self.names: list[str] = encoded.dictionary.to_pylist()

    def first_list(self) -> list[str]:
        """Return the names of the keypoints of the first object, in its order."""
        return (
            [self.names[code] for code in self._code[: int(self._lengths[0])].tolist()] if self._count else []
        )

    def lists_are(self, names: list[str]) -> bool:
        """Return whether every object lists just these names in this order."""
        if not self._count:
            return True
        if not (self._lengths == len(names)).all():
            return False
        place = {name: code for code, name in enumerate(self.names)}
        expected = np.array([place.get(name, -1) for name in names], dtype=np.int64)
        return bool((self._code.reshape(self._count, len(names)) == expected).all())

    def measured(self) -> tuple[int, int]:
        """Return how many objects have a labelled keypoint, and how many of them no area."""
        some = np.zeros(self._count, dtype=np.bool_)
        some[self._row[~(np.isnan(self._x) | np.isnan(self._y))]] = True
        stated = np.isfinite(self._area) & (self._area >= 0)
        return int(some.sum()), int((some & ~stated).sum())

    def shapes(self, names: list[str], sigmas: FloatArray) -> KeypointArrays:
        """Lay the keypoints out with one column per name."""
        place = {name: column for column, name in enumerate(names)}
        columns = np.array([place[name] for name in self.names], dtype=np.int64)[self._code]
        x, y = np.full((2, self._count, len(names)), np.nan)
        x[self._row, columns] = self._x
        y[self._row, columns] = self._y
        labelled = ~(np.isnan(x) | np.isnan(y))
        around = boxes_around(x, y, labelled)
        stated = np.array(
            [box if _is_box(box) else [np.nan] * 4 for box in self._boxes], dtype=np.float64
        ).reshape(-1, 4)
        nowhere = ~labelled.any(axis=1) & ~np.isnan(stated[:, 0])
        return KeypointArrays(
            x=np.where(labelled, x, _FAR),
            y=np.where(labelled, y, _FAR),
            labelled=labelled,
            box=np.where(nowhere[:, None], stated, around),
            scale=object_areas(self._area, box=stated, around=around),
            sigmas=sigmas,
        )


def _is_box(values: list[float] | None) -> TypeGuard[list[float]]:
    return (
        values is not None
        and len(values) == 4
        and all(value is not None and abs(value) <= COORDINATE_LIMIT for value in values)
        and min(values[2:]) >= 0
    )
