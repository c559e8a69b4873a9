"""Average precision of many classes at once, from detections in order of confidence.

The precision curve of a class only needs its true positives: between two of them precision falls, so the envelope
(the highest precision at this recall or beyond) is decided at true positives, and a recall level takes the envelope
of the first true positive that reaches it. That turns the 101-point sum into one weight per true positive: how many
recall levels it is the first to reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import group_starts
from airflow_provider_nucleus.evaluation.metric import zero_when_undefined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IndexArray

COCO_RECALLS: FloatArray = np.linspace(0.0, 1.0, 101)
"""The recall levels of COCO; they differ in the last bit from :data:`EXACT_RECALLS`, which decides at equality."""

EXACT_RECALLS: FloatArray = np.arange(101) / 100
"""The recall levels of tidecv, hundredths as exact as they can be."""


def average_precisions(
    label: NDArray[np.integer],
    hit: BoolArray,
    *,
    positives: IndexArray,
    recalls: FloatArray = COCO_RECALLS,
) -> FloatArray:
    """Return the average precision of every class, 0 to 1; 0 for a class without a true positive.

    *label* and *hit* (is it a true positive?) list the detections of all classes from the most confident to the
    least. *positives* counts the ground truths per class code; whether a class without any is "undefined" or "0" is
    for the caller to say.
    """
    classes = len(positives)
    codes = label.astype(np.uint16) if classes <= np.iinfo(np.uint16).max else label
    order = np.argsort(codes, kind="stable")  # a radix sort for 16-bit codes
    starts = np.searchsorted(codes[order], np.arange(classes, dtype=codes.dtype))
    places = np.flatnonzero(hit[order])
    labels = label[order[places]].astype(np.int64)
    runs = group_starts(labels)
    lengths = np.diff(np.append(runs, labels.size))
    found = np.arange(labels.size, dtype=np.int64) - np.repeat(runs, lengths) + 1
    envelope = found / (places - starts[labels] + 1)
    for begin, end in zip(runs.tolist(), (runs + lengths).tolist(), strict=True):
        part = envelope[begin:end][::-1]
        np.maximum.accumulate(part, out=part)
    reached = np.searchsorted(recalls, zero_when_undefined(found, positives[labels]), side="right")
    first = np.diff(reached, prepend=0)
    first[runs] = reached[runs]
    sums = np.bincount(labels, weights=first * envelope, minlength=classes)
    return np.asarray(sums / len(recalls), dtype=np.float64)
