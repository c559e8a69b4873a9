"""Identity of batches: whether two measurements are of one batch, and which of them was measured later.

Labels come late, and a batch is then measured again: other ground truth on the same items. Ground truth is therefore no part of what names
a batch. A slice, a file with a `scope` and a version of a benchmark are one batch whatever is measured of them; a whole data set, and the
items that a query finds, are one batch as long as they are as many items.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING

from airflow_provider_nucleus.gating.fingerprint import differences, lineage, window_differences

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.measurement import Measurement

__all__ = ["batch_name", "is_later", "is_measured_later", "is_one_batch", "is_one_model", "is_same_source"]

_NAME_CHARS = 10


def batch_name(measurement: Measurement) -> str | None:
    """Return a short name of the batch; None for items that are named by nothing and not counted."""
    made, items = measurement.fingerprint, measurement.coverage.items
    if _is_named(measurement):
        items = None
    elif items is None:
        return None
    text = json.dumps([made.data, made.scope, items], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_NAME_CHARS]


def is_one_batch(first: Measurement, second: Measurement) -> bool:
    """Return whether two measurements are of one batch in one definition, ground truth apart: the later one is in place of the other."""
    one, other = first.fingerprint, second.fingerprint
    if (first.confidence_threshold is None) != (second.confidence_threshold is None):
        return False
    if (name := batch_name(first)) is None:
        return not differences(one, other)
    return name == batch_name(second) and not window_differences(one, other)


def is_same_source(first: Measurement, second: Measurement) -> bool:
    """Return whether two measurements are of one whole data set, or of what one query finds, however many items that was."""
    one, other = first.fingerprint, second.fingerprint
    return not _is_named(first) and (one.data, one.scope) == (other.data, other.scope)


def is_one_model(first: Measurement, second: Measurement) -> bool | None:
    """Return whether two measurements of one batch are of one model; None where neither says.

    Files have no ids. Of one name, on a batch with a name and on other ground truth, they are one model measured again.
    """
    one, other = first.subject, second.subject
    if one.model_id or other.model_id:
        return one.model_id == other.model_id
    truths = {first.fingerprint.ground_truth, second.fingerprint.ground_truth}
    if None in truths or len(truths) == 1 or not _is_named(first):
        return None
    return one.model_name == other.model_name


def is_measured_later(first: Measurement, second: Measurement) -> bool:
    """Return whether *first* was measured after *second*; False where they do not say when."""
    return is_later(first.subject.measured_at, second.subject.measured_at)


def is_later(first: str | None, second: str | None) -> bool:
    """Return whether an instant (ISO 8601, UTC without an offset) is after another; False where one of them is none."""
    one, other = _instant(first), _instant(second)
    return one is not None and other is not None and one > other


def _is_named(measurement: Measurement) -> bool:
    """Return whether the batch has a name of its own: a slice, a scope, a version."""
    made = measurement.fingerprint
    if made.scope is not None:
        return not made.scope.startswith("query:")
    return lineage(made.data) != made.data


def _instant(text: str | None) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text or "")
    except (TypeError, ValueError):
        return None
    return found.replace(tzinfo=found.tzinfo or dt.UTC)
