"""One calculation: match every partition of images and store the rows, then let readers see them all at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import airflow_provider_nucleus
from airflow_provider_nucleus.local.matching.masks import MaskFamily
from airflow_provider_nucleus.local.matching.objects import ObjectFamily
from airflow_provider_nucleus.local.store import matches
from airflow_provider_nucleus.local.store.ids import ITEM, numbered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_nucleus.local.matching.parts import Skipped
    from airflow_provider_nucleus.local.store.database import Cursor, Database

__all__ = ["calculate"]

_LOG: Final = logging.getLogger(__name__)
_KEYPOINTS_AT_ONCE: Final = 20_000
_REASONS_SHOWN: Final = 20


def calculate(
    db: Database,
    match_set: matches.MatchSet,
    *,
    mask_path: Callable[[str], Path],
    step: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Match the sets of a begun match set and make it the current one; returns its summary.

    Everything is read from one snapshot, so objects uploaded meanwhile count wholly or not at all. ``mask_path`` says
    where the bytes of a mask lie. ``step`` is called after each span of items with how many are done and how many
    there are; what it raises ends the calculation, and the matches of the one before stay the current ones.
    """
    sets = match_set.sets
    families: list[ObjectFamily | MaskFamily] = [
        ObjectFamily("area", ("box", "polygon")),
        ObjectFamily("cuboid", ("cuboid",)),
        ObjectFamily("keypoints", ("keypoints",), rows=_KEYPOINTS_AT_ONCE),
        MaskFamily(mask_path),
    ]
    skipped: list[Skipped] = []
    written = 0
    with db.read() as snapshot:
        work = [(family, span) for family in families for span in family.spans(snapshot, sets)]
        for done, (family, span) in enumerate(work, start=1):
            part = family.match(snapshot, sets, span=span, options=match_set.options, first=written)
            with db.write() as cursor:
                matches.insert_rows(cursor, match_set, part.rows)
            written += part.rows.num_rows
            skipped += part.skipped
            step(done, len(work))
        matched = frozenset(kind for family in families for kind in family.types)
        summary = _summary(snapshot, match_set, matched, skipped)
    with db.write() as cursor:
        summary["rows"] = matches.tally(cursor, match_set)
        matches.publish(cursor, match_set, summary)
    _LOG.info(
        "match set %s of object set %s is current: %s rows", match_set.number, sets.predictions, written
    )
    return summary


def _summary(
    cursor: Cursor, match_set: matches.MatchSet, matched: frozenset[str], skipped: list[Skipped]
) -> dict[str, Any]:
    """Say what was matched, under which options, and what was not matched and therefore counts nowhere."""
    counts = matches.objects_by_type(cursor, match_set.sets)
    left_out = {kind: count for kind, count in counts.items() if kind not in matched}
    compared = {kind: count for kind, count in counts.items() if kind in matched}
    summary: dict[str, Any] = {
        "options": match_set.options.to_wire(),
        "engine": f"airflow-provider-nucleus {airflow_provider_nucleus.__version__}",
        "matched": compared,
        "not_matched": left_out,
    }
    if skipped:
        sides = {
            "ground_truth": sum(entry.ground_truth for entry in skipped),
            "predictions": sum(entry.predictions for entry in skipped),
        }
        left_out["segmentation"] = sides
        for side, count in sides.items():
            compared["segmentation"][side] -= count
        summary["skipped_items"] = [
            {"dataset_item_id": numbered(ITEM, entry.item_no), "reason": entry.reason}
            for entry in skipped[:_REASONS_SHOWN]
        ]
    return summary
