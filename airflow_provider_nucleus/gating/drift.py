"""Drift of a batch without ground truth: its profile against a reference profile, as numbers that a policy can bound.

Effects (`*_psi`, `*_ks`, changes) say how far apart the two are, levels (`*_ks_p`) how often chance alone gives as much. Levels
count items as observations, not objects: the objects of one image go together. What rests on too little is None with its reason, and
so is no pass. Names and definitions are in `docs/profile.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.gating.distances import ks_distance, ks_level, stability_index
from airflow_provider_nucleus.gating.measurement import Numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.gating.profile import Profile

__all__ = [
    "BATCH_NUMBERS",
    "DEFAULT_MAX_PSI",
    "DRIFT_NUMBERS",
    "LABEL_SHARE",
    "MIN_EXPECTED",
    "MIN_ITEMS",
    "LabelChanges",
    "changed_labels",
    "profile_numbers",
]

DEFAULT_MAX_PSI: Final = 0.2
"""Stability index from which a distribution is usually called changed; a rule states its own."""
LABEL_SHARE: Final = 0.01
"""Share of the objects from which on a label can vanish, or be new."""
MIN_EXPECTED: Final = 5
"""Items that would have a label, had nothing changed, before its absence says anything; as if the objects of an item had one label."""
MIN_ITEMS: Final = 20
"""Items on either side below which distributions are not compared."""

_LABELS_NAMED = 5
_NO_REFERENCE = "there is no reference profile to compare with"
_ITEMS_UNKNOWN = "how many items the batch has is not known: give `items` or `slice_id` to the upload"

BATCH_NUMBERS: Final = (
    "items",
    "items_with_predictions",
    "objects",
    "empty_share",
    "objects_per_item",
    "objects_per_item_with_predictions",
    "labels",
    "mean_confidence",
    "least_confidence",
)
"""Names of the numbers that a batch has by itself."""
_COMPARED = ("confidence", "area", "aspect", "objects_per_item")
DRIFT_NUMBERS: Final = (
    *(f"{name}_{kind}" for name in _COMPARED for kind in ("psi", "ks", "ks_p")),
    "label_psi",
    "vanished_labels",
    "new_labels",
    "empty_share_change",
    "objects_per_item_change",
    "objects_per_item_ratio",
    "mean_confidence_change",
)
"""Names of the numbers that need a reference profile."""


@dataclass(frozen=True, slots=True)
class LabelChanges:
    """Labels with at least a hundredth of the objects on one side and none on the other, in the order of their share."""

    vanished: list[str] = field(default_factory=list)
    """In the reference, and not in the batch."""
    new: list[str] = field(default_factory=list)
    """In the batch, and not in the reference."""
    maybe_vanished: list[str] = field(default_factory=list)
    """Absent, but so few objects were to be expected that absence says nothing, or the profile left labels out."""
    maybe_new: list[str] = field(default_factory=list)


def profile_numbers(candidate: Profile, reference: Profile | None = None) -> Numbers:
    """Return the numbers of a batch, and those of its drift from the reference profile.

    Every name of `BATCH_NUMBERS` and `DRIFT_NUMBERS` is in the values; one that cannot be had is None, with the reason in `undefined`.
    """
    found = _Findings()
    _describe(candidate, found)
    if reference is None:
        for name in DRIFT_NUMBERS:
            found.leave(name, _NO_REFERENCE)
    elif sorted(candidate.cuts) != sorted(reference.cuts):
        reason = f"the batch was cut at {_cut(candidate)} and the reference at {_cut(reference)}: their predictions are not alike"
        for name in DRIFT_NUMBERS:
            found.leave(name, reason)
    else:
        _compare(candidate, reference, found)
    return Numbers(
        values=found.values,
        undefined=found.undefined,
        items=candidate.items,
        predictions=candidate.objects,
    )


def changed_labels(candidate: Profile, reference: Profile) -> LabelChanges:
    """Return the labels that vanished and those that are new."""
    vanished, maybe_vanished = _missing(there=reference, here=candidate)
    new, maybe_new = _missing(there=candidate, here=reference)
    return LabelChanges(vanished, new, maybe_vanished, maybe_new)


class _Findings:
    """Numbers found so far, and the reasons of those that are not there."""

    def __init__(self) -> None:
        self.values: dict[str, int | float | None] = {}
        self.undefined: dict[str, str] = {}

    def add(self, name: str, value: float | None, reason: str) -> None:
        """Keep a number; where it is None, the reason."""
        self.values[name] = value
        if value is None:
            self.undefined[name] = reason

    def leave(self, name: str, reason: str) -> None:
        """Leave a number undefined."""
        self.add(name, None, reason)


def _describe(profile: Profile, found: _Findings) -> None:
    nothing = "no object has a confidence"
    found.add("items", profile.items, _ITEMS_UNKNOWN)
    found.add("items_with_predictions", profile.items_with_predictions, "")
    found.add("objects", profile.objects, "")
    found.add("empty_share", _empty_share(profile), _why_no_items(profile))
    found.add("objects_per_item", _per_item(profile), _why_no_items(profile))
    found.add(
        "objects_per_item_with_predictions",
        _ratio(profile.objects, profile.items_with_predictions),
        "no item has a prediction",
    )
    found.add("labels", len(profile.labels) + profile.other_labels, "")
    found.add("mean_confidence", profile.mean_confidence, nothing)
    found.add("least_confidence", profile.least_confidence, nothing)


def _compare(candidate: Profile, reference: Profile, found: _Findings) -> None:
    for name in _COMPARED:
        sides = [
            _histogram(profile, name, whole=_know_items(candidate, reference))
            for profile in (candidate, reference)
        ]
        items = [
            _observed(profile, whole=name == "objects_per_item" and _know_items(candidate, reference))
            for profile in (candidate, reference)
        ]
        _compare_histograms(name, sides[0], sides[1], items, found)
    items = [candidate.items_with_predictions, reference.items_with_predictions]
    _add_index("label_psi", *_label_histograms(candidate, reference), items, found, of_items=True)
    changes = changed_labels(candidate, reference)
    for name, sure, unsure in (
        ("vanished_labels", changes.vanished, changes.maybe_vanished),
        ("new_labels", changes.new, changes.maybe_new),
    ):
        # One that is certain decides a bound, whatever the others are.
        found.add(name, None if unsure and not sure else len(sure), _undecided(unsure))
    _add_difference("empty_share_change", _empty_share(candidate), _empty_share(reference), found)
    _add_difference("objects_per_item_change", _per_item(candidate), _per_item(reference), found)
    _add_difference("mean_confidence_change", candidate.mean_confidence, reference.mean_confidence, found)
    now, before = _per_item(candidate), _per_item(reference)
    ratio = None if now is None or not before else now / before
    found.add(
        "objects_per_item_ratio",
        ratio,
        found.undefined.get("objects_per_item_change", "the reference has no predictions"),
    )


def _compare_histograms(
    name: str, one: Sequence[int], other: Sequence[int], items: Sequence[int], found: _Findings
) -> None:
    _add_index(f"{name}_psi", one, other, items, found, of_items=name == "objects_per_item")
    reason = _too_few(one, other, items)
    distance = None if reason else ks_distance(one, other)
    found.add(f"{name}_ks", distance, reason)
    found.add(f"{name}_ks_p", None if distance is None else ks_level(distance, *items), reason)


def _add_index(
    name: str,
    one: Sequence[int],
    other: Sequence[int],
    items: Sequence[int],
    found: _Findings,
    *,
    of_items: bool,
) -> None:
    """Keep the stability index, unless chance alone reaches the default bound too often, and explains it.

    `of_items` says that items are the observations: objects of one item often have one label.
    """
    first, second = (max(known, 1) for known in items)
    observations: tuple[float, float] = (first, second)
    if not of_items:
        observations = (_independent(one, first), _independent(other, second))
    index = stability_index(one, other, observations=observations)
    if reason := _too_few(one, other, items):
        found.leave(name, reason)
    elif index is not None and DEFAULT_MAX_PSI < index.by_chance >= index.value:
        found.leave(
            name,
            f"{sum(one):,} against {sum(other):,}: it is {index.value:.2f}, and chance alone exceeds {index.by_chance:.2f} once in a "
            "hundred times",
        )
    else:
        found.add(name, None if index is None else index.value, "a side is empty")


def _too_few(one: Sequence[int], other: Sequence[int], items: Sequence[int]) -> str:
    """Return why two histograms cannot be compared, nothing when they can."""
    for counts, known, side in ((one, items[0], "the batch"), (other, items[1], "the reference")):
        if not sum(counts):
            return f"{side} has nothing to compare"
        if known < MIN_ITEMS:
            return f"{side} has {known} items with predictions, fewer than {MIN_ITEMS}"
    return ""


def _histogram(profile: Profile, name: str, *, whole: bool) -> list[int]:
    counts: list[int] = getattr(profile, name)
    return [profile.empty_items or 0, *counts] if name == "objects_per_item" and whole else counts


def _observed(profile: Profile, *, whole: bool) -> int:
    return (profile.items or 0) if whole else profile.items_with_predictions


def _know_items(candidate: Profile, reference: Profile) -> bool:
    return candidate.items is not None and reference.items is not None


def _label_histograms(candidate: Profile, reference: Profile) -> tuple[list[int], list[int]]:
    """Return both sides over the reference's labels of at least a hundredth, and all others together."""
    total = _labelled(reference)
    names = [label for label, count in reference.labels.items() if count >= LABEL_SHARE * total]
    sides = []
    for profile in (candidate, reference):
        counts = [profile.labels.get(label, 0) for label in names]
        sides.append([*counts, _labelled(profile) - sum(counts)])
    return sides[0], sides[1]


def _missing(*, there: Profile, here: Profile) -> tuple[list[str], list[str]]:
    """Return the labels that one profile has and the other has not: those where this says something, and the others."""
    total = _labelled(there)
    if _know_items(there, here) and there.items:
        scale = (here.items or 0) / there.items
    else:
        scale = _labelled(here) / total if total else 0.0
    sure: list[str] = []
    unsure: list[str] = []
    for label, count in sorted(there.labels.items(), key=lambda pair: (-pair[1], pair[0])):
        if count >= LABEL_SHARE * total and label not in here.labels:
            certain = count * scale >= MIN_EXPECTED * _cluster(there) and not here.other_labels
            (sure if certain else unsure).append(label)
    return sure, unsure


def _cluster(profile: Profile) -> float:
    """Return how many objects an item with predictions has on average, at least 1."""
    return max(profile.objects / max(profile.items_with_predictions, 1), 1.0)


def _independent(counts: Sequence[int], items: int) -> float:
    """Return how many independent observations objects are: the geometric mean of objects and items.

    The objects of an image share its distance, its light and its scene, but are not one observation.
    """
    return sqrt(max(sum(counts), 1) * max(items, 1))


def _undecided(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _LABELS_NAMED} more" if len(labels) > _LABELS_NAMED else ""
    return (
        f"{', '.join(labels[:_LABELS_NAMED])}{more}: absent on one side, where too few objects of it were to be expected, or "
        "not all labels are listed"
    )


def _labelled(profile: Profile) -> int:
    return sum(profile.labels.values()) + profile.other_objects


def _empty_share(profile: Profile) -> float | None:
    return None if profile.empty_items is None else _ratio(profile.empty_items, profile.items)


def _per_item(profile: Profile) -> float | None:
    return _ratio(profile.objects, profile.items)


def _ratio(part: int, whole: int | None) -> float | None:
    return part / whole if whole else None


def _why_no_items(profile: Profile) -> str:
    return _ITEMS_UNKNOWN if profile.items is None else "the batch has no items"


def _add_difference(name: str, now: float | None, before: float | None, found: _Findings) -> None:
    side = "the batch" if now is None else "the reference"
    what = "has no confidence" if name == "mean_confidence_change" else "does not say how many items it has"
    found.add(name, None if now is None or before is None else now - before, f"{side} {what}")


def _cut(profile: Profile) -> str:
    return ", ".join(f"{cut:g}" for cut in profile.cuts) or "no confidence"
