"""Provenance of an evaluation: what its numbers are, what is in none of them, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_nucleus.evaluation.matching.coco import COCO_THRESHOLDS
from airflow_provider_nucleus.evaluation.readers.provenance import nucleus_provenance
from airflow_provider_nucleus.local.annotation_table import RANKED_FAMILIES
from airflow_provider_nucleus.local.engine.shape_families import SHAPE_FAMILIES
from airflow_provider_nucleus.local.evaluations.computing.result_builder import SIZES

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.store.catalog.evaluations import EvaluationRecord

__all__ = ["provenance_of"]

_TIES: Final = (
    "of equally confident predictions the one on the item that was ingested earlier comes first, on one item the one uploaded earlier; "
    "of equal overlaps the later ground truth is taken: as in pycocotools"
)
_LABELS_NAMED: Final = 5

_CHARTS: Final = {
    "coco": ["mapSummary", "perClassAp", "apBySize"],
    "nucleus": ["totalCounts", "confusionMatrix", "prCurve", "tideAttribution", "scoreHistogram", "examples"],
}


def provenance_of(
    result: EvaluationResult, evaluation: EvaluationRecord, *, threshold: float
) -> dict[str, Any]:
    """Describe an evaluation read at an overlap threshold."""
    nucleus = nucleus_provenance(result.matches, threshold=threshold, vocabulary=result.labels).to_dict()
    ranked = result.coco["all"]
    counted = np.count_nonzero(ranked.ignored != (1 << len(COCO_THRESHOLDS)) - 1)
    inside = {"AP": int(counted), "without_confidence": ranked.without_confidence}
    about = result.about
    remarks = []
    families = {
        name: {
            side: int(np.count_nonzero(result.arrays[f"{column}_family"] == code))
            for side, column in (("ground_truths", "truth"), ("predictions", "prediction"))
        }
        for code, name in enumerate(about["families"])
    }
    if about["boxes_and_polygons"]:
        remarks.append(
            f"ground truth of one label is boxes as well as polygons on {about['boxes_and_polygons']} items: they are compared "
            "with each other, so an object that is there as both counts twice; evaluate them from two datasets"
        )
    if result.no_ap is not None:
        remarks.append(result.no_ap)
    if any(sum(families[name].values()) for name in ("category", "mask")):
        remarks.append("categories and mask segments are counted, but have no place in AP")
    evaluated, left_out = _families_in_ap(result, families)
    remarks += [
        f"{families[name]['ground_truths']} ground truths of {name} are counted as missed, but are in no AP and no curve: "
        "the model has no prediction of that family"
        for name in left_out
    ]
    shared = _labels_of_several(result)
    if shared:
        remarks.append(
            f"{len(shared)} labels are evaluated once per family ({', '.join(shared[:_LABELS_NAMED])}): mapSummary is the mean "
            "over all of these classes, perClassAp of such a label the mean over its families"
        )
    return {
        "evaluation_id": evaluation.id,
        "engine_version": about["engine_version"],
        "charts": _CHARTS,
        "taxonomy": about["taxonomy"],
        "exclusion_rules": about["rules"],
        "options": result.options.to_dict(),
        "notes": about["notes"],
        "exclusion_stats": evaluation.to_wire()["exclusion_stats"],
        "items": int(result.items.size),
        "families": {name: counts for name, counts in families.items() if any(counts.values())},
        "not_evaluated": about["not_evaluated"],
        "nucleus": nucleus,
        "coco": {
            "thresholds": list(COCO_THRESHOLDS),
            "sizes": list(SIZES),
            "max_detections": {
                name: family.evaluated.limited(result.options.max_detections).max_detections[-1]
                for name, family in SHAPE_FAMILIES.items()
            },
            "ties": _TIES,
            "recall_levels": 101,
            "predictions": inside,
            "families": {
                "in_ap": evaluated,
                "left_out": dict.fromkeys(left_out, "the model has no prediction of it"),
            },
            "overlap": "exact area of boxes and polygons; COCO's tools count the pixels of drawn polygons: see coco?iou=raster",
            "areas": "COCO's area of objects whose metadata has iscrowd, else that of their shape",
        },
        "remarks": remarks,
    }


def _families_in_ap(
    result: EvaluationResult, families: dict[str, dict[str, int]]
) -> tuple[list[str], list[str]]:
    """Return the families AP is about, and those it could be about but that the model does not predict."""
    if result.no_ap is not None:
        return [], []
    names = result.about["families"]
    evaluated = [names[code] for code in sorted(set(result.arrays["class_family"].tolist()))]
    left_out = [name for name in RANKED_FAMILIES if families[name]["ground_truths"] and name not in evaluated]
    return evaluated, left_out


def _labels_of_several(result: EvaluationResult) -> list[str]:
    """Return the labels that are a class in more than one family."""
    counts = np.bincount(result.arrays["class_label"], minlength=len(result.labels))
    return [result.labels.names[code] for code in np.flatnonzero(counts > 1).tolist()]
