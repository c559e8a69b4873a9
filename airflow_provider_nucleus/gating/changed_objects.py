"""Objects of the ground truth by who found them: fixed, broken, found by both, missed by both.

An object is found when a prediction whose label may match is paired with it, at the overlap threshold or above and, where one is chosen,
at the confidence threshold or above. The pairs are those of the measurements: a confidence threshold takes pairs away and makes no new
ones, so a model that is to be compared at its own cut is better measured at that cut (`confidence_threshold` of the measurement).

Objects are told apart by item and id of the ground truth. Matches on different ground truth, and objects without an id, are refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_nucleus.gating.fingerprint import same_ground_truth
from airflow_provider_nucleus.gating.verdict import ChangeCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_nucleus.gating.measurement import MatchColumns, Measurement

__all__ = [
    "ChangeKind",
    "ChangedObject",
    "ObjectChanges",
    "PairedWith",
    "UncomparableError",
    "changed_objects",
    "changes_of",
]

ChangeKind = Literal["broken", "fixed", "both_miss", "both_found"]
_ORDER: dict[ChangeKind, int] = {"broken": 0, "fixed": 1, "both_miss": 2, "both_found": 3}


class UncomparableError(ValueError):
    """Two matches whose objects cannot be compared one by one, with the reason."""


@dataclass(frozen=True, slots=True)
class PairedWith:
    """The prediction of one model that is paired with an object, whether or not it counts as found."""

    prediction_id: str | None
    label: str
    confidence: float | None
    iou: float
    found: bool


@dataclass(frozen=True, slots=True)
class ChangedObject:
    """One object of the ground truth, and what either model has there: None where nothing is paired with it."""

    kind: ChangeKind
    item: str
    label: str
    truth_id: str
    candidate: PairedWith | None
    baseline: PairedWith | None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ObjectChanges:
    """The counts, overall and per label, and the objects behind them, the most telling first.

    Broken objects come first, then fixed ones, then those that both miss; among them those that were found, or nearly
    found, with the most confidence.
    """

    iou_threshold: float
    counts: ChangeCounts
    per_label: dict[str, ChangeCounts]
    objects: tuple[ChangedObject, ...]

    def of(self, *kinds: ChangeKind) -> Iterator[ChangedObject]:
        """Return the objects of some kinds, in order."""
        return (each for each in self.objects if each.kind in kinds)


def changes_of(candidate: Measurement, baseline: Measurement) -> ObjectChanges:
    """Compare two measurements at the overlap threshold they state; each at the cut it was measured at.

    Raises UncomparableError where one has no matches, they state different thresholds, or the ground truth differs.
    """
    if candidate.matches is None or baseline.matches is None:
        without = "candidate" if candidate.matches is None else "baseline"
        raise UncomparableError(
            f"the {without} was measured without its matches, so that it is not known which objects it found"
        )
    threshold, other = candidate.iou_threshold, baseline.iou_threshold
    if threshold is None or other is None or threshold != other:
        raise UncomparableError(
            f"objects are found at one overlap threshold: candidate states {threshold}, baseline {other}"
        )
    return changed_objects(candidate.matches, baseline.matches, iou_threshold=threshold)


def changed_objects(
    candidate: MatchColumns,
    baseline: MatchColumns,
    *,
    iou_threshold: float = 0.5,
    confidence_threshold: float | None = None,
    kinds: Iterable[ChangeKind] = ("broken", "fixed", "both_miss"),
) -> ObjectChanges:
    """Compare what two models found of the same ground truth; *kinds* are those that are listed, all are counted.

    Raises UncomparableError where the ground truth is not the same, or cannot be told apart.
    """
    sides = [_pairs(each, iou_threshold, confidence_threshold) for each in (candidate, baseline)]
    if (reason := same_ground_truth(candidate, baseline)) is not None:
        raise UncomparableError(f"the objects of the two matches cannot be compared: {reason}")
    listed = frozenset(kinds)
    totals: Counter[ChangeKind] = Counter()
    by_label: dict[str, Counter[ChangeKind]] = {}
    objects = []
    for key, (label, own) in sides[0].items():
        other = sides[1][key][1]
        kind = _KINDS[own is not None and own.found, other is not None and other.found]
        totals[kind] += 1
        by_label.setdefault(label, Counter())[kind] += 1
        if kind in listed:
            objects.append(ChangedObject(kind, key[0], label, key[1], own, other))
    return ObjectChanges(
        iou_threshold=iou_threshold,
        counts=_counts(totals),
        per_label={label: _counts(by_label[label]) for label in sorted(by_label)},
        objects=tuple(sorted(objects, key=_telling)),
    )


_KINDS: dict[tuple[bool, bool], ChangeKind] = {
    (True, False): "fixed",
    (False, True): "broken",
    (True, True): "both_found",
    (False, False): "both_miss",
}


def _counts(found: Counter[ChangeKind]) -> ChangeCounts:
    return ChangeCounts(
        fixed=found["fixed"],
        broken=found["broken"],
        both_found=found["both_found"],
        both_miss=found["both_miss"],
    )


def _pairs(
    matches: MatchColumns, iou_threshold: float, confidence_threshold: float | None
) -> dict[tuple[str, str], tuple[str, PairedWith | None]]:
    """Return label and partner of every object, by item and id. Raises UncomparableError."""
    found: dict[tuple[str, str], tuple[str, PairedWith | None]] = {}
    for place, truth in enumerate(matches.truth):
        if truth is None:
            continue
        item, truth_id = matches.items[matches.item[place]], matches.truth_id[place]
        if truth_id is None:
            raise UncomparableError(
                f"an object of item {item!r} has no id, so that it is not known again in the other match"
            )
        if (item, truth_id) in found:
            raise UncomparableError(f"item {item!r} has two objects with the id {truth_id!r}")
        found[item, truth_id] = (
            matches.labels[truth],
            _partner(matches, place, iou_threshold, confidence_threshold),
        )
    return found


def _partner(
    matches: MatchColumns, place: int, iou_threshold: float, confidence_threshold: float | None
) -> PairedWith | None:
    predicted = matches.predicted[place]
    if predicted is None:
        return None
    confidence, overlap = matches.confidence[place], matches.iou[place]
    sure = confidence_threshold is None or (confidence is not None and confidence >= confidence_threshold)
    return PairedWith(
        prediction_id=matches.prediction_id[place],
        label=matches.labels[predicted],
        confidence=confidence,
        iou=overlap,
        found=matches.agrees[place] and overlap >= iou_threshold and sure,
    )


def _telling(changed: ChangedObject) -> tuple[int, float, float, str, str]:
    """Sort by kind, then by the most confident partner, then by the greatest overlap."""
    partners = [each for each in (changed.candidate, changed.baseline) if each is not None]
    if changed.kind in {"broken", "fixed"}:
        partners = [each for each in partners if each.found]
    sure = max((each.confidence or 0.0 for each in partners), default=-1.0)
    near = max((each.iou for each in partners), default=-1.0)
    return _ORDER[changed.kind], -sure, -near, changed.item, changed.truth_id
