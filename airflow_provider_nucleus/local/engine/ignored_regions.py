"""Ignored regions: ground truth in which nothing is counted, by the metadata of objects from COCO files.

Nucleus has no crowd regions and the contract does not name them. COCO's are uploaded as objects whose metadata has
`iscrowd`; a region that is not to be taken apart is neither found nor missed, so such an object takes no part in any match.
Neither does an object without a labelled keypoint. A prediction that lies in one and fits nothing else is a false positive
of the Nucleus match; COCO's numbers ignore it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_nucleus.evaluation.overlap.keypoints import KeypointArrays

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_nucleus.evaluation.arrays import BoolArray
    from airflow_provider_nucleus.evaluation.sides.columns import Geometry

__all__ = ["COCO_FIELDS", "CROWD", "NO_POINTS", "crowds", "without_points"]

CROWD: Final = "crowd region"
NO_POINTS: Final = "no labelled keypoint"

COCO_FIELDS: Final = (
    "metadata LIKE '%\"iscrowd\"%' AND coalesce(json_extract_string(metadata, '$.iscrowd') IN ('1', '1.0', 'true'), false) "
    "AS crowd, CASE WHEN metadata LIKE '%\"iscrowd\"%' THEN TRY_CAST(json_extract_string(metadata, '$.area') AS DOUBLE) END "
    "AS coco_area"
)
"""Objects from COCO files are recognized by `iscrowd`; size ranges then read their `area`.

For predictions that matters where a result's area is not that of its shape: pycocotools takes a polygon's from its box.
"""


def crowds(table: pa.Table) -> BoolArray:
    """Return the crowd flag of every row read with `COCO_FIELDS`."""
    return np.asarray(table.column("crowd").combine_chunks().to_numpy(zero_copy_only=False), dtype=np.bool_)


def without_points(geometry: Geometry) -> BoolArray | None:
    """Mark objects without a labelled keypoint, None where objects have no keypoints."""
    return np.count_nonzero(geometry.labelled, axis=1) == 0 if isinstance(geometry, KeypointArrays) else None
