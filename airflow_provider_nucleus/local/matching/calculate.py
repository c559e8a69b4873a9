"""One calculation: match every partition of images and store the rows, then let readers see them all at once."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import airflow_provider_nucleus
from airflow_provider_nucleus.evaluation.notes import (
    Note,
    empty_segments,
    label_spellings,
    no_ground_truth,
    only_crowds,
)
from airflow_provider_nucleus.local.engine.ignored_regions import CROWD
from airflow_provider_nucleus.local.engine.masks import MaskFamily
from airflow_provider_nucleus.local.engine.shape_families import SHAPE_FAMILIES
from airflow_provider_nucleus.local.matching.objects import ObjectFamily
from airflow_provider_nucleus.local.store.catalog import kept_counts, matches
from airflow_provider_nucleus.local.store.ids import ITEM, numbered
from airflow_provider_nucleus.local.store.views.category_counts import category_counts
from airflow_provider_nucleus.local.store.views.match_counts import totals_on_grid
from airflow_provider_nucleus.local.store.views.match_coverage import coverage
from airflow_provider_nucleus.local.store.views.objects import parsed_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_nucleus.local.engine.masks import MaskFiles
    from airflow_provider_nucleus.local.engine.span_matches import SpanMatches
    from airflow_provider_nucleus.local.store.database import Cursor, Database

__all__ = ["calculate"]

log = logging.getLogger(__name__)
_REASONS_SHOWN: Final = 20


def calculate(
    db: Database,
    match_set: matches.MatchSet,
    *,
    masks: MaskFiles,
    step: Callable[[int, int], None] = lambda _done, _total: None,
    kept: int = 1,
) -> dict[str, Any]:
    """Match the sets of a begun match set and make it the current one; returns its summary.

    Everything is read from one snapshot, so objects uploaded meanwhile count wholly or not at all. `masks` are
    their files. `step` is called after each span of items with how many are done and how many
    there are; what it raises ends the calculation, and the matches of the one before stay the current ones.
    So they do when nothing but masks is there and not one of them could be compared. Where masks could not, `final_error` says why.
    Of the calculations of a run the newest `kept` keep their rows.
    """
    sets = match_set.sets
    families: list[ObjectFamily | MaskFamily] = [
        *(ObjectFamily(each.name, each.types, rows=each.rows) for each in SHAPE_FAMILIES.values()),
        MaskFamily(masks),
    ]
    left_out = _LeftOut()
    written = 0
    with db.session() as session, db.read() as snapshot:
        work = [(family, span) for family in families for span in family.spans(snapshot, sets)]
        for done, (family, span) in enumerate(work, start=1):
            part = family.match(snapshot, sets, span=span, options=match_set.options, first=written)
            with db.write() as cursor:
                matches.insert_rows(cursor, match_set, part.rows)
            written += part.rows.num_rows
            left_out.add(part)
            step(done, len(work))
        matched = frozenset(kind for family in families for kind in family.types)
        summary = _summary(snapshot, match_set, matched, left_out)
        summary["notes"] = [note.to_dict() for note in _notes(snapshot, match_set, summary, left_out)]
        if found := category_counts(snapshot, match_set.sets, match_set.options):
            summary["categories"] = [dataclasses.asdict(each) for each in found]
        failure = _mask_failure(summary)
        if failure is not None:
            summary["final_error"] = failure
        kept_counts.stage(
            session, match_set.number, truth=sets.truth, snapshot=snapshot, listing=parsed_objects
        )
        totals = totals_on_grid(session)
        with db.write(session) as cursor:
            matches.require(cursor, match_set)
            kept_counts.keep(
                cursor, match_set.number, truth=sets.truth, snapshot=snapshot, listing=parsed_objects
            )
            summary["coverage"] = coverage(cursor, match_set)
            summary["rows"] = matches.tally(cursor, match_set)
            if failure is not None and not _others_compared(summary):
                # There would be nothing to read but zeros.
                matches.discard(cursor, match_set)
            elif not matches.publish(cursor, match_set, summary, totals=totals, kept=kept):
                summary["superseded"] = (
                    "A later request was calculated first; its matches are the current ones."
                )
    log.info("match set %s of object set %s is done: %s rows", match_set.number, sets.predictions, written)
    return summary


def _mask_failure(summary: dict[str, Any]) -> str | None:
    """Return why the masks were not compared, if not one was that should have been."""
    skipped = summary.get("skipped_items")
    if not skipped or sum(summary["matched"]["segmentation"].values()):
        return None
    first = skipped[0]
    return f"MaskError: none of the masks could be compared, so they are in no count. {first['dataset_item_id']}: {first['reason']}."


def _others_compared(summary: dict[str, Any]) -> bool:
    return any(sum(count.values()) for kind, count in summary["matched"].items() if kind != "segmentation")


def _notes(
    cursor: Cursor, match_set: matches.MatchSet, summary: Mapping[str, Any], left_out: _LeftOut
) -> list[Note]:
    """Return what is true of the matches and easily overlooked."""
    crowds = sum(count for (_, reason), count in left_out.ignored_regions.items() if reason == CROWD)
    matched = sum(count["ground_truth"] for count in summary["matched"].values())
    predictions = sum(count["predictions"] for count in summary["matched"].values())
    spellings: list[Note] = []
    if not match_set.options.class_agnostic:
        paired = {label for pair in match_set.options.allowed_label_matches for label in pair}
        sets = [number for number in (match_set.sets.truth, match_set.sets.predictions) if number is not None]
        labels = cursor.execute(
            "SELECT DISTINCT label FROM objects WHERE set_no IN (SELECT unnest(?::INTEGER[]))", [sets]
        ).fetchall()
        spellings = label_spellings(label for (label,) in labels if label not in paired)
    return [
        *(only_crowds(crowds) if not matched else ()),
        *(no_ground_truth(predictions) if not matched + crowds + left_out.ground_truth else ()),
        *spellings,
        *empty_segments(left_out.empty_segments),
    ]


@dataclass(slots=True)
class _LeftOut:
    """Objects that could not be compared: counted in all, named for the first items only."""

    ground_truth: int = 0
    predictions: int = 0
    items: list[dict[str, str]] = field(default_factory=list)
    ignored_regions: Counter[tuple[str, str]] = field(default_factory=Counter)
    empty_segments: int = 0

    def add(self, part: SpanMatches) -> None:
        """Count what a span left out."""
        self.ignored_regions.update(part.ignored_regions)
        self.empty_segments += part.empty_segments
        for entry in part.skipped:
            self.ground_truth += entry.ground_truth
            self.predictions += entry.predictions
            if len(self.items) < _REASONS_SHOWN:
                self.items.append({"dataset_item_id": numbered(ITEM, entry.item_no), "reason": entry.reason})


def _summary(
    cursor: Cursor, match_set: matches.MatchSet, matched: frozenset[str], left_out: _LeftOut
) -> dict[str, Any]:
    """Say what was matched, under which options, and what was not matched and therefore counts nowhere."""
    counts = matches.objects_by_type(cursor, match_set.sets)
    compared = {kind: count for kind, count in counts.items() if kind in matched}
    not_matched = {kind: count for kind, count in counts.items() if kind not in matched}
    summary: dict[str, Any] = {
        "options": match_set.options.to_wire(),
        "engine": f"airflow-provider-nucleus {airflow_provider_nucleus.__version__}",
        "matched": compared,
        "not_matched": not_matched,
    }
    reasons: dict[str, dict[str, int]] = {
        kind: {f"{kind} objects have no overlap to match by": sum(count.values())}
        for kind, count in not_matched.items()
    }
    for (kind, reason), count in sorted(left_out.ignored_regions.items()):
        compared[kind]["ground_truth"] -= count
        not_matched.setdefault(kind, {"ground_truth": 0, "predictions": 0})["ground_truth"] += count
        reasons.setdefault(kind, {})[reason] = count
    if left_out.items:
        masks = {"ground_truth": left_out.ground_truth, "predictions": left_out.predictions}
        not_matched["segmentation"] = masks
        reasons["segmentation"] = {"masks that cannot be compared, see skipped_items": sum(masks.values())}
        for side, count in masks.items():
            compared["segmentation"][side] -= count
        summary["skipped_items"] = left_out.items
    summary["not_matched_reasons"] = reasons
    return summary
