"""Measurements for tests of judging: numbers given by hand, or counted from rows of a match."""

from __future__ import annotations

from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement, Numbers

FINGERPRINT = Fingerprint(
    data="benchmark:bm_1@3", ground_truth="120-ab", options={"iou_threshold": 0.5}, engine="test 1.0"
)


def numbers(ground_truth=100, undefined=None, **values):
    """Return numbers with a support; those that are None get a reason."""
    reasons = {name: "no predictions" for name, value in values.items() if value is None}
    return Numbers(values=values, undefined=reasons | (undefined or {}), ground_truth=ground_truth)


def measurement(
    *, overall=None, labels=None, slices=None, fingerprint=FINGERPRINT, coverage=None, supplied=None, **values
):
    """Return a measurement of 120 objects on 40 items, all with ground truth; `f1=0.7` is a number over all of them."""
    return Measurement(
        fingerprint=fingerprint,
        coverage=coverage
        or Coverage(
            items=40, with_ground_truth=40, without_ground_truth=0, ground_truth=120, predictions=130
        ),
        iou_threshold=0.5,
        overall=overall or numbers(120, **values),
        per_label=labels or {},
        slices=slices or {},
        supplied=supplied or {},
    )
