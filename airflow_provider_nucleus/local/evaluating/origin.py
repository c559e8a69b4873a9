"""Provenance of an evaluation: what its numbers are, what is in none of them, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_nucleus.evaluation.coco_match import COCO_THRESHOLDS
from airflow_provider_nucleus.evaluation.provenance import nucleus_provenance
from airflow_provider_nucleus.local.evaluating.pieces import SIZES

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.evaluating.loaded import Loaded
    from airflow_provider_nucleus.local.store.evaluations import Evaluation

__all__ = ["origin_of"]

_CHARTS: Final = {
    "coco": ["mapSummary", "perClassAp", "apBySize"],
    "nucleus": ["totalCounts", "confusionMatrix", "prCurve", "tideAttribution", "scoreHistogram", "examples"],
}


def origin_of(loaded: Loaded, evaluation: Evaluation, *, threshold: float) -> dict[str, Any]:
    """Describe an evaluation read at an overlap threshold."""
    nucleus = nucleus_provenance(loaded.matches, threshold=threshold, vocabulary=loaded.labels).to_dict()
    ranked = loaded.coco["all"]
    inside = {"AP": int(ranked.row.size), "without_confidence": ranked.without_confidence}
    about = loaded.about
    remarks = []
    if about["elsewhere"]:
        remarks.append(
            f"the model has {about['elsewhere']} predictions of runs on these items, which an evaluation of the model does "
            "not read: copy them with copy_predictions_from_run, or evaluate the run"
        )
    families = {
        name: {
            side: int(np.count_nonzero(loaded.arrays[f"{column}_family"] == code))
            for side, column in (("ground_truths", "truth"), ("predictions", "prediction"))
        }
        for code, name in enumerate(about["families"])
    }
    if families["category"]["predictions"] or families["mask"]["predictions"]:
        remarks.append("categories and mask segments are counted, but have no place in AP")
    return {
        "evaluation_id": evaluation.id,
        "engine_version": about["engine_version"],
        "charts": _CHARTS,
        "taxonomy": about["taxonomy"],
        "exclusion_rules": about["rules"],
        "exclusion_stats": evaluation.to_wire()["exclusion_stats"],
        "items": int(loaded.items.size),
        "families": {name: counts for name, counts in families.items() if any(counts.values())},
        "not_evaluated": about["not_evaluated"],
        "nucleus": nucleus,
        "coco": {
            "thresholds": list(COCO_THRESHOLDS),
            "sizes": list(SIZES),
            "max_detections": "100 per item and label (20 for keypoints)",
            "recall_levels": 101,
            "predictions": inside,
            "areas": "COCO's area of ground truth whose metadata has iscrowd, else that of its shape",
        },
        "remarks": remarks,
    }
