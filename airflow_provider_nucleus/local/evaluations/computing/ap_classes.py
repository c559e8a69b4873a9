"""The classes that AP is a mean over: a label within a family of objects.

Boxes and keypoints of one label are two classes, as COCO evaluates them apart. A family of which the model predicts
nothing, while it predicts others, has no classes: it is none of what the model does. A model that predicts nothing at all
misses everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

__all__ = ["ap_classes", "evaluated_families"]


def evaluated_families(predictions: NDArray[np.integer], *, among: Collection[int]) -> list[int]:
    """Return those of some families that the model predicts, given the family of every prediction; all if it predicts none."""
    counts = np.bincount(predictions, minlength=max(among, default=0) + 1)
    return [code for code in sorted(among) if counts[code]] if predictions.size else sorted(among)


def ap_classes(found: dict[str, NDArray[Any]], *, ranked: Collection[int]) -> dict[str, NDArray[Any]]:
    """Return the class of every object, -1 for one that has no place in AP, and per class its family and its label.

    *found* has the family and label of every object, and takes out `ap_label`, under which predictions are ranked.
    """
    labels = {"truth": found["truth_label"], "prediction": found.pop("ap_label")}
    families = evaluated_families(found["prediction_family"], among=ranked)
    span = 1 + max(int(values.max(initial=0)) for values in labels.values())
    keys = {side: found[f"{side}_family"].astype(np.int64) * span + values for side, values in labels.items()}
    size = (max(ranked, default=0) + 1) * span
    present = np.zeros(size, dtype=np.bool_)
    for side, values in keys.items():
        present[values[np.isin(found[f"{side}_family"], families)]] = True
    occurring = np.flatnonzero(present)
    code = np.full(size + 1, NONE, dtype=np.int32)
    code[occurring] = np.arange(occurring.size, dtype=np.int32)
    return {
        **{f"{side}_class": code[np.minimum(values, size)] for side, values in keys.items()},
        "class_family": (occurring // span).astype(np.uint8),
        "class_label": (occurring % span).astype(np.int32),
    }
