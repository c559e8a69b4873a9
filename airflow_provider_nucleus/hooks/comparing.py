"""Comparison of two evaluations on the server that made them: intervals of their differences, and how many objects changed.

Evaluations come without their matches, so nothing can be resampled here; an embedded Nucleus has them, and resamples AP as well. Scale's
cloud has no such route, and what a policy says of changes is decided by the numbers alone there.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.cloud import is_scale
from airflow_provider_nucleus.exceptions import NucleusAPIError
from airflow_provider_nucleus.gating.bounds import Interval
from airflow_provider_nucleus.gating.fingerprint import differences
from airflow_provider_nucleus.gating.verdict import ChangeCounts
from airflow_provider_nucleus.tasks.gating import ServerComparison

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.hooks.nucleus import NucleusHook

__all__ = ["compare_measured"]

log = logging.getLogger(__name__)

_CHANGES: Final = {"fixed": "gained", "broken": "lost", "both_found": "kept", "both_miss": "missed"}


def compare_measured(
    hook: NucleusHook, candidate: Measurement, baseline: Measurement
) -> ServerComparison | None:
    """Return what the server says of two evaluations of one benchmark, None where they are none or it does not say it.

    Raises NucleusConnectionError and NucleusServerError: a verdict must not depend on whether the server was away.
    """
    ids = candidate.subject.evaluation_id, baseline.subject.evaluation_id
    if ids[0] is None or ids[1] is None or ids[0] == ids[1] or candidate.fingerprint.scope is not None:
        return None
    if (
        differences(candidate.fingerprint, baseline.fingerprint)
        or candidate.iou_threshold != baseline.iou_threshold
    ):
        return None
    if is_scale(Address.parse(hook.config.endpoint).host):
        return None
    try:
        found = hook.compare_evaluations(ids[1], ids[0], iou_threshold=candidate.iou_threshold or 0.5)
    except NucleusAPIError as error:
        if error.retryable:
            raise
        log.warning("Without intervals: %s", error)
        return None
    level = float(found.bootstrap.get("level", 0.95))
    intervals = {
        (name.lower(), "overall"): Interval(*ends, level, "bootstrap over items, on the server")
        for name, difference in found.differences.items()
        if (ends := difference.interval) is not None
    }
    changes = ChangeCounts(**{kind: found.changes.get(name, 0) for kind, name in _CHANGES.items()})
    return ServerComparison(intervals=intervals, changes=changes)
