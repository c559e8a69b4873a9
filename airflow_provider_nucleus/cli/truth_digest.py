"""Digest of the ground truth of a COCO file: whatever numbers depend on makes another of it, the order of its rows does not."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.overlap.keypoints import KeypointArrays
from airflow_provider_nucleus.evaluation.overlap.rle import Runs
from airflow_provider_nucleus.gating.fingerprint import digest_ground_truth

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.coco_files.json import CocoTruth
    from airflow_provider_nucleus.evaluation.sides.columns import Geometry

__all__ = ["truth_digest"]


def truth_digest(truth: CocoTruth) -> str:
    """Return the digest over image, label, id, shape and area of every annotation, and whether it is to be found; ids must have been read."""
    side = truth.columns
    rows = zip(
        side.image.tolist(),
        side.label.tolist(),
        truth.ids,
        _shapes(side.geometry),
        side.area.tolist(),
        side.counted.tolist(),
        strict=True,
    )
    return digest_ground_truth(
        (
            str(truth.images.ids[image]),
            truth.vocabulary.names[label],
            truth_id,
            shape,
            repr(area),
            str(counted),
        )
        for image, label, truth_id, shape, area, counted in rows
    )


def _shapes(geometry: Geometry) -> list[str]:
    """Return a text for each shape, the same for the same shape on every machine."""
    if isinstance(geometry, Boxes):
        columns = (geometry.x, geometry.y, geometry.width, geometry.height)
        return [repr(row) for row in np.stack(columns, axis=1).tolist()]
    if isinstance(geometry, KeypointArrays):
        return [
            repr(row)
            for row in zip(
                geometry.x.tolist(),
                geometry.y.tolist(),
                geometry.labelled.tolist(),
                geometry.box.tolist(),
                strict=True,
            )
        ]
    if isinstance(geometry, Runs):
        lengths, starts = geometry.lengths.astype("<i8"), geometry.starts.tolist()
        return [
            f"{height}x{width} {hashlib.sha256(lengths[begin:end].tobytes()).hexdigest()}"
            for begin, end, height, width in zip(
                starts[:-1], starts[1:], geometry.height.tolist(), geometry.width.tolist(), strict=True
            )
        ]
    raise TypeError(f"no file of COCO has {type(geometry).__name__}")
