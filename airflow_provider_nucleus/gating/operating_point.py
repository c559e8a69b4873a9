"""Operating points: the confidence from which predictions are kept, per label and over all, as a document for the inference job.

| aim | the cut |
| --- | --- |
| `f1` | of the greatest F1; of equal ones the highest |
| `precision` | the lowest whose precision is the target or more, so that recall is what it can be |
| `recall` | the highest whose recall is the target or more |

Every distinct confidence is tried. Predictions of the cut's confidence are kept. Labels with less ground truth than `min_support` get the cut
over all labels, and say so; a cut that does not exist is None, with its reason.

`method` says how true the counts at a cut are. A Nucleus match goes by overlap: without the hesitant predictions, a confident one may
find an object that it had to yield before. With the shapes at hand each cut is matched anew (`exact`); from the rows of one match
(`outcomes_of`) pairs only go away (`approximate`), and recall at a cut is then a lower bound.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from airflow_provider_nucleus.gating.measurement import Document, Fingerprint, MatchColumns, Subject
from airflow_provider_nucleus.rates import f1_terms, precision_terms, quotient, recall_terms
from airflow_provider_nucleus.undefined_reasons import NO_CONFIDENCE, NO_GROUND_TRUTH, NO_PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_nucleus.gating.measurement import Measurement

__all__ = [
    "APPROXIMATE",
    "EXACT",
    "MIN_SUPPORT",
    "OPERATING_POINTS_SCHEMA",
    "TOLERANCE",
    "Aim",
    "OperatingPoint",
    "OperatingPoints",
    "Outcomes",
    "cut_for",
    "operating_points",
    "operating_points_of",
    "outcomes_of",
]

OPERATING_POINTS_SCHEMA: Final = "nucleus-operating-points/1"
MIN_SUPPORT: Final = 20
TOLERANCE: Final = 0.01
"""How much lower than the best F1 that of the plateau may be."""
EXACT: Final = "exact"
APPROXIMATE: Final = "approximate"

Aim = Literal["f1", "precision", "recall"]


class OperatingPoint(Document):
    """One cut, and what the predictions of its confidence or more are."""

    confidence: float | None
    """None where there is no cut; `reason` says why."""
    source: Literal["own", "overall"] = "own"
    """`overall` where the label has too little ground truth for a cut of its own."""
    reason: str | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    true_positives: int = 0
    predictions: int = 0
    ground_truth: int = 0
    without_confidence: int = 0
    """Predictions that no cut can keep or leave."""
    plateau: tuple[float, float] | None = None
    """Lowest and highest cut around this one with nearly the same F1: how exactly the cut is known."""


class OperatingPoints(Document):
    """The document: cuts of one model on stated data, with what they were chosen for and how."""

    schema_: Literal["nucleus-operating-points/1"] = Field(default=OPERATING_POINTS_SCHEMA, alias="schema")
    subject: Subject = Subject()
    fingerprint: Fingerprint
    iou_threshold: float
    aim: Aim = "f1"
    target: float | None = None
    """The precision or recall that was asked for; None with F1."""
    method: Literal["exact", "approximate"]
    min_support: int = MIN_SUPPORT
    tolerance: float = TOLERANCE
    least_confidence: float | None = None
    """Least confidence of the predictions that were looked at; cuts below it are unknown."""
    overall: OperatingPoint
    per_label: dict[str, OperatingPoint] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Predictions of each label as (confidence, whether it adds a true positive), and how many objects there are to be found."""

    predictions: Mapping[str, list[tuple[float, bool]]]
    ground_truth: Mapping[str, int]
    method: Literal["exact", "approximate"]
    without_confidence: Mapping[str, int] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """All labels, sorted."""
        return sorted({*self.predictions, *self.ground_truth, *self.without_confidence})


def outcomes_of(matches: MatchColumns, *, iou_threshold: float) -> Outcomes:
    """Read outcomes from the rows of one match; a true positive is one of its ground truth's label."""
    predictions: dict[str, list[tuple[float, bool]]] = {}
    ground_truth: dict[str, int] = {}
    unscored: dict[str, int] = {}
    rows = zip(matches.truth, matches.predicted, matches.iou, matches.confidence, matches.agrees, strict=True)
    for truth, predicted, overlap, confidence, agrees in rows:
        if truth is not None:
            label = matches.labels[truth]
            ground_truth[label] = ground_truth.get(label, 0) + 1
        if predicted is None:
            continue
        hit = truth is not None and agrees and overlap >= iou_threshold
        label = matches.labels[truth if hit and truth is not None else predicted]
        if confidence is None:
            unscored[label] = unscored.get(label, 0) + 1
        else:
            predictions.setdefault(label, []).append((confidence, hit))
    return Outcomes(predictions, ground_truth, "approximate", unscored)


def operating_points_of(
    measurement: Measurement,
    *,
    aim: Aim = "f1",
    target: float | None = None,
    min_support: int = MIN_SUPPORT,
    tolerance: float = TOLERANCE,
) -> OperatingPoints:
    """Choose cuts from the matches of a measurement; `approximate`. Raises ValueError where it has none."""
    if measurement.matches is None or measurement.iou_threshold is None:
        raise ValueError(
            "this measurement was written without its matches: operating points need one that has them"
        )
    return operating_points(
        outcomes_of(measurement.matches, iou_threshold=measurement.iou_threshold),
        subject=measurement.subject,
        fingerprint=measurement.fingerprint,
        iou_threshold=measurement.iou_threshold,
        least_confidence=measurement.confidence_threshold,
        aim=aim,
        target=target,
        min_support=min_support,
        tolerance=tolerance,
    )


def operating_points(
    outcomes: Outcomes,
    *,
    fingerprint: Fingerprint,
    iou_threshold: float,
    subject: Subject = Subject(),  # ruff: ignore[function-call-in-default-argument] - frozen
    least_confidence: float | None = None,
    aim: Aim = "f1",
    target: float | None = None,
    min_support: int = MIN_SUPPORT,
    tolerance: float = TOLERANCE,
) -> OperatingPoints:
    """Choose a cut per label and one over all. Raises ValueError for an aim without its target, or one that F1 does not have."""
    if (aim == "f1") != (target is None):
        raise ValueError(
            "f1 is made as great as it can be and takes no target"
            if aim == "f1"
            else f"{aim} needs a target from 0 to 1"
        )
    if target is not None and not 0 <= target <= 1:
        raise ValueError(f"the target of {aim} lies in 0 to 1, not {target}")
    overall = _point(
        list(chain.from_iterable(outcomes.predictions.values())),
        ground_truth=sum(outcomes.ground_truth.values()),
        unscored=sum(outcomes.without_confidence.values()),
        aim=aim,
        target=target,
        tolerance=tolerance,
    )
    per_label = {}
    for label in outcomes.labels:
        rows = outcomes.predictions.get(label, [])
        truth, unscored = outcomes.ground_truth.get(label, 0), outcomes.without_confidence.get(label, 0)
        if truth < min_support:
            per_label[label] = _fallback(
                overall, rows, ground_truth=truth, unscored=unscored, least=min_support
            )
        else:
            per_label[label] = _point(
                rows, ground_truth=truth, unscored=unscored, aim=aim, target=target, tolerance=tolerance
            )
    return OperatingPoints(
        subject=subject,
        fingerprint=fingerprint,
        iou_threshold=iou_threshold,
        aim=aim,
        target=target,
        method=outcomes.method,
        min_support=min_support,
        tolerance=tolerance,
        least_confidence=least_confidence,
        overall=overall,
        per_label=per_label,
    )


def cut_for(points: OperatingPoints, label: str) -> float | None:
    """Return the cut of a label, that over all for a label the document does not have; None where there is none."""
    return points.per_label.get(label, points.overall).confidence


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Every distinct confidence from the highest on, with the true positives and predictions at or above it."""

    confidence: list[float]
    found: list[int]
    kept: list[int]
    positives: int

    @classmethod
    def of(cls, rows: Iterable[tuple[float, bool]], positives: int) -> _Cuts:
        cuts = cls([], [], [], positives)
        found = 0
        for kept, (confidence, hit) in enumerate(sorted(rows, key=lambda row: -row[0]), 1):
            found += hit
            if cuts.confidence and cuts.confidence[-1] == confidence:
                cuts.found[-1], cuts.kept[-1] = found, kept
            else:
                cuts.confidence.append(confidence)
                cuts.found.append(found)
                cuts.kept.append(kept)
        return cuts

    def precision(self, place: int) -> float:
        """Precision at a cut; there is one, since a cut keeps the prediction it is named after."""
        return self.found[place] / self.kept[place]

    def recall(self, place: int) -> float:
        return self.found[place] / self.positives

    def f1(self, place: int) -> float:
        return 2 * self.found[place] / (self.kept[place] + self.positives)

    def best(self, aim: Aim, target: float) -> int | str:
        """Return the place of the cut, or why there is none."""
        places = range(len(self.confidence))
        if aim == "f1":
            return max(places, key=lambda place: (self.f1(place), -place))
        if aim == "recall":
            place = bisect_left(places, target, key=self.recall)
            if place < len(self.confidence):
                return place
            return f"recall {target:g} is not reached: {self.recall(-1):.3f} with all predictions"
        reached = [place for place in places if self.precision(place) >= target]
        if reached:
            return reached[-1]
        place = max(places, key=lambda place: (self.precision(place), -place))
        return (
            f"precision {target:g} is not reached: at most {self.precision(place):.3f}, from confidence "
            f"{self.confidence[place]:.3f} on"
        )

    def plateau(self, place: int, tolerance: float) -> tuple[float, float]:
        """Return the lowest and highest confidence of the cuts around *place* whose F1 is nearly that of it."""
        least = self.f1(place) - tolerance
        low = high = place
        while high > 0 and self.f1(high - 1) >= least:
            high -= 1
        while low + 1 < len(self.confidence) and self.f1(low + 1) >= least:
            low += 1
        return self.confidence[low], self.confidence[high]


def _point(
    rows: list[tuple[float, bool]],
    *,
    ground_truth: int,
    unscored: int,
    aim: Aim,
    target: float | None,
    tolerance: float,
) -> OperatingPoint:
    if not ground_truth or not rows:
        reason = NO_GROUND_TRUTH if not ground_truth else NO_CONFIDENCE if unscored else NO_PREDICTIONS
        return OperatingPoint(
            confidence=None, reason=reason, ground_truth=ground_truth, without_confidence=unscored
        )
    cuts = _Cuts.of(rows, ground_truth)
    place = cuts.best(aim, 0.0 if target is None else target)
    if isinstance(place, str):
        return OperatingPoint(
            confidence=None, reason=place, ground_truth=ground_truth, without_confidence=unscored
        )
    return OperatingPoint(
        confidence=cuts.confidence[place],
        precision=cuts.precision(place),
        recall=cuts.recall(place),
        f1=cuts.f1(place),
        true_positives=cuts.found[place],
        predictions=cuts.kept[place],
        ground_truth=ground_truth,
        without_confidence=unscored,
        plateau=cuts.plateau(place, tolerance) if aim == "f1" else None,
    )


def _fallback(
    overall: OperatingPoint,
    rows: list[tuple[float, bool]],
    *,
    ground_truth: int,
    unscored: int,
    least: int,
) -> OperatingPoint:
    """Return the cut over all labels, with what it does to this one."""
    reason = f"{ground_truth} objects of ground truth, fewer than {least}: the cut over all labels"
    if overall.confidence is None:
        reason = f"{reason}, which does not exist ({overall.reason})"
    cut = overall.confidence
    kept = [hit for confidence, hit in rows if cut is not None and confidence >= cut]
    found = sum(kept)
    return OperatingPoint(
        confidence=cut,
        source="overall",
        reason=reason,
        precision=quotient(*precision_terms(found, len(kept))),
        recall=quotient(*recall_terms(found, ground_truth)),
        f1=quotient(*f1_terms(found, len(kept), ground_truth)),
        true_positives=found,
        predictions=len(kept),
        ground_truth=ground_truth,
        without_confidence=unscored,
    )
