"""Changed objects as a page shows them: one card each, in words first, with a picture where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.number_texts import number_text
from airflow_provider_nucleus.reporting.texts import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from airflow_provider_nucleus.reporting.extras import DrawnObject, ObjectChange

__all__ = ["KINDS", "ChangeCard", "change_card", "crop_key", "spread"]

KINDS: Final = {
    "broken": "Broken: found by the baseline, not by the candidate",
    "fixed": "Fixed: found by the candidate, not by the baseline",
    "both_miss": "Missed by both",
}
"""Kinds of changed objects, the most telling first, with their meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCard:
    """One changed object. `picture` is mark-up; without one, `no_picture` says why."""

    kind: str
    item: str
    label: str
    truth_id: str
    candidate: str
    baseline: str
    picture: Markup | None
    no_picture: str
    url: str


def crop_key(change: ObjectChange) -> tuple[str, str]:
    """Return what tells the object from all others: its item and its id."""
    return change.item, change.truth.id or ""


def change_card(
    change: ObjectChange,
    pictures: Mapping[tuple[str, str], Markup],
    reasons: Mapping[tuple[str, str], str],
    *,
    url: str = "",
) -> ChangeCard:
    """Return the card of one object."""
    key = crop_key(change)
    return ChangeCard(
        kind=change.kind,
        item=shortened(change.item),
        label=shortened(change.truth.label or "without label"),
        truth_id=shortened(change.truth.id or "without id"),
        candidate=_side(change.candidate),
        baseline=_side(change.baseline),
        picture=pictures.get(key),
        no_picture="" if key in pictures else reasons.get(key, ""),
        url=url,
    )


def _side(outline: DrawnObject | None) -> str:
    """Return what a model has at an object, in words."""
    if outline is None:
        return "nothing there"
    words = [shortened(outline.label or "without label")]
    if outline.confidence is not None:
        words.append(f"confidence {number_text(outline.confidence)}")
    if outline.iou is not None:
        words.append(f"overlap {number_text(outline.iou)}")
    return ", ".join(words)


def spread(changes: Sequence[ObjectChange], most: int) -> list[ObjectChange]:
    """Return the *most* telling changes: all kinds have their share, broken ones the largest, each in its own order.

    A page that shows a hundred broken objects and no fixed one would be a half of the story.
    """
    by_kind = {kind: [change for change in changes if change.kind == kind] for kind in KINDS}
    shares = {"broken": most - 2 * (most // 4), "fixed": most // 4, "both_miss": most // 4}
    kept = {kind: found[: shares[kind]] for kind, found in by_kind.items()}
    free = most - sum(map(len, kept.values()))
    for kind, found in by_kind.items():
        more = found[len(kept[kind]) : len(kept[kind]) + free]
        kept[kind] += more
        free -= len(more)
    return [change for kind in KINDS for change in kept[kind]]
