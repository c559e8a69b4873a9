"""Rows of a match written in a test."""

from __future__ import annotations

from airflow_provider_nucleus.gating.measurement import MatchColumns


def match_rows(*rows, items=()):
    """Build columns from rows (item, truth, predicted[, iou]).

    *truth* is `label/id` or None, *predicted* `label/id@confidence` or `label/id` or None. Labels that are equal agree.
    """
    names, labels = list(items), []

    def place(known, name):
        if name not in known:
            known.append(name)
        return known.index(name)

    columns = {name: [] for name in MatchColumns.model_fields if name not in {"items", "labels", "groups"}}
    for item, truth, predicted, *overlap in rows:
        truth_label, _, truth_id = (truth or "").partition("/")
        label, _, rest = (predicted or "").partition("/")
        prediction_id, _, confidence = rest.partition("@")
        columns["item"].append(place(names, item))
        columns["truth"].append(place(labels, truth_label) if truth else None)
        columns["predicted"].append(place(labels, label) if predicted else None)
        columns["iou"].append(overlap[0] if overlap else 0.0)
        columns["confidence"].append(float(confidence) if confidence else None)
        columns["truth_id"].append(truth_id or None)
        columns["prediction_id"].append(prediction_id or None)
        columns["agrees"].append(bool(truth and predicted and truth_label == label))
    return MatchColumns(items=names, labels=labels, **columns)
