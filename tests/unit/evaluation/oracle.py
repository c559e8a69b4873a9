"""pycocotools as the reference, fed from memory."""

from __future__ import annotations

import contextlib
import copy
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

BOX_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
KEYPOINT_NAMES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")


def reference(document, results, iou_type="bbox"):
    """Return the evaluated and accumulated COCOeval of a ground-truth document and a result list."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(document)
        truth.createIndex()
        if results:
            detections = truth.loadRes(copy.deepcopy(results))
        else:
            detections = COCO()
            detections.dataset = {
                "images": document["images"],
                "categories": document["categories"],
                "annotations": [],
            }
            detections.createIndex()
        evaluation = COCOeval(truth, detections, iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def numbers(evaluation, iou_type="bbox"):
    """Return the named numbers of the reference, None where it says -1."""
    names = KEYPOINT_NAMES if iou_type == "keypoints" else BOX_NAMES
    return {name: None if value == -1 else float(value) for name, value in zip(names, evaluation.stats)}


def precision(evaluation):
    """Return the reference's precision table with NaN for undefined, last detection cut-off."""
    table = evaluation.eval["precision"][..., -1].copy()
    table[table == -1] = np.nan
    return table
