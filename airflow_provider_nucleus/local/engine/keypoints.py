"""Stored keypoints as columns: both sides brought to the same names, whatever order each object lists them in.

Keypoints are compared by object keypoint similarity. Nucleus has no tolerances, so a name of COCO's person skeleton
has the published one and every other name the engine's default. An object without a labelled keypoint stands where the
`bbox` in its metadata says (x, y, width, height), as COCO has it.

Distances are measured against the object's area, the first of these that is above 0, in square pixels: `area` in its
metadata, where uploads from COCO keep it; the box around its keypoints; `bbox` in its metadata; the larger side of the box
around its keypoints, squared; 1,000 for a single point, which is within 4 pixels of what passes at a similarity of 0.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeGuard

import numpy as np

from airflow_provider_nucleus.evaluation.overlap.keypoints import PERSON_SIGMAS, UNIFORM_SIGMA, KeypointArrays
from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.store.geometry_rules import COORDINATE_LIMIT

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_nucleus.evaluation.arrays import FloatArray

__all__ = ["KEYPOINT_COLUMNS", "keypoint_shapes"]

KEYPOINT_COLUMNS: Final = (
    "g, try_cast(json_extract_string(metadata, '$.area') AS DOUBLE) AS area, "
    "try_cast(json_extract(metadata, '$.bbox') AS DOUBLE[]) AS bbox FROM (SELECT *, from_json(geometry, "
    '\'{"keypoints":[{"x":"DOUBLE","y":"DOUBLE"}],"names":["VARCHAR"]}\') AS g FROM objects)'
)
"""Select list and source of the stored keypoints."""

_NAMES_LIMIT: Final = 500
"""Different names in one step: more would need more memory than a step may have."""
_POINT_AREA: Final = 1000.0
"""Square pixels an object has whose keypoints have no extent and whose metadata has no area: COCO calls it small."""
_FAR: Final = 1e12
"""Where a keypoint is that a prediction does not have: pixels away from everything."""
_PERSON: Final = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
_SIGMAS: Final = dict(zip(_PERSON, PERSON_SIGMAS, strict=True))


def keypoint_shapes(truth: pa.Table, predictions: pa.Table) -> tuple[KeypointArrays, KeypointArrays]:
    """Return the keypoints of both sides over the names that occur; a keypoint without coordinates is not labelled.

    Raises `BadRequestError` if there are more than 500 different names.
    """
    tables = [_Table(table) for table in (truth, predictions)]
    names = sorted({name for table in tables for name in table.names})
    if len(names) > _NAMES_LIMIT:
        raise BadRequestError(
            f"keypoints have {len(names)} different names, of which {_NAMES_LIMIT} can be compared: give the keypoints "
            "of different objects the same names."
        )
    sigmas = np.array([_SIGMAS.get(name, UNIFORM_SIGMA) for name in names], dtype=np.float64)
    left, right = (table.shapes(names, sigmas) for table in tables)
    return left, right


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
        self.names: list[str] = encoded.dictionary.to_pylist()

    def shapes(self, names: list[str], sigmas: FloatArray) -> KeypointArrays:
        """Lay the keypoints out with one column per name."""
        place = {name: column for column, name in enumerate(names)}
        columns = np.array([place[name] for name in self.names], dtype=np.int64)[self._code]
        x, y = np.full((2, self._count, len(names)), np.nan)
        x[self._row, columns] = self._x
        y[self._row, columns] = self._y
        labelled = ~(np.isnan(x) | np.isnan(y))
        box = _boxes(x, y, labelled)
        for row in np.flatnonzero(~labelled.any(axis=1)).tolist() if labelled.shape[1] else ():
            if _is_box(stated := self._boxes[row]):
                box[row] = stated
        return KeypointArrays(
            x=np.where(labelled, x, _FAR),
            y=np.where(labelled, y, _FAR),
            labelled=labelled,
            box=box,
            scale=self._areas(box),
            sigmas=sigmas,
        )

    def _areas(self, box: FloatArray) -> FloatArray:
        """Return what distances are measured against, given the boxes around the keypoints."""
        area = np.where(np.isfinite(self._area) & (self._area > 0), self._area, box[:, 2] * box[:, 3])
        for row in np.flatnonzero(area == 0).tolist():
            stated = self._boxes[row]
            if _is_box(stated):
                area[row] = stated[2] * stated[3]
        area = np.where(area > 0, area, box[:, 2:].max(axis=1, initial=0.0) ** 2)
        return np.where(area > 0, area, _POINT_AREA)


def _is_box(values: list[float] | None) -> TypeGuard[list[float]]:
    return (
        values is not None
        and len(values) == 4
        and all(value is not None and abs(value) <= COORDINATE_LIMIT for value in values)
        and min(values[2:]) >= 0
    )


def _boxes(
    x: FloatArray, y: FloatArray, labelled: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> FloatArray:
    """Return x, y, width, height around the labelled keypoints of each row; zeros for a row without any."""
    some = labelled.any(axis=1) if labelled.shape[1] else np.zeros(len(labelled), dtype=np.bool_)
    box = np.zeros((len(labelled), 4))
    for column, values in enumerate((x[some], y[some])):
        low, high = np.nanmin(values, axis=1), np.nanmax(values, axis=1)
        box[some, column], box[some, column + 2] = low, high - low
    return box
