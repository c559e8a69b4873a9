"""The kind of error each prediction is: the six rules of TIDE (Bolya et al. 2020), on any match.

With the foreground threshold tf (0.5) and the background threshold tb (0.1), the first rule that holds:

| kind | the prediction ... | meaning |
| --- | --- | --- |
| true positive | is matched under the match's own rule at tf | right |
| localization | overlaps a ground truth of its class by tb to tf | right class, badly placed |
| classification | overlaps one of another class by tf or more | well placed, wrong class |
| duplicate | overlaps one of its class by tf or more, taken by another prediction | found twice |
| background | overlaps nothing by more than tb | nothing is there |
| both | is none of these | wrong class and badly placed |

Missed: a ground truth that is neither found nor pointed at (as the best overlap) by a localization or
classification error. "Class" means the label rule of the match: equal, or listed as allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE, frozen
from airflow_provider_nucleus.evaluation.matching.counts import true_positives

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray, IntArray
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches

__all__ = ["Attribution", "ErrorCounts", "ErrorKind", "Overlaps", "attribute", "attribute_match"]


class ErrorKind(IntEnum):
    """Kinds of predictions; the codes of `Attribution.kind`."""

    LEFT_OUT = -1
    TRUE_POSITIVE = 0
    LOCALIZATION = 1
    CLASSIFICATION = 2
    BOTH = 3
    DUPLICATE = 4
    BACKGROUND = 5


_RULES = (
    ErrorKind.LEFT_OUT,
    ErrorKind.TRUE_POSITIVE,
    ErrorKind.LOCALIZATION,
    ErrorKind.CLASSIFICATION,
    ErrorKind.DUPLICATE,
    ErrorKind.BACKGROUND,
)
"""The kind of a prediction, by the first of these that holds; BOTH if none does."""

_FIRST_RULE: NDArray[np.int8] = np.array(
    [
        next((kind for bit, kind in enumerate(_RULES) if bits >> bit & 1), ErrorKind.BOTH)
        for bits in range(1 << len(_RULES))
    ],
    dtype=np.int8,
)


_BLOCK = 1 << 15
"""Predictions looked at together: each overlap is compared several times, and so many stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """Number of each kind; *missed* counts ground truths, the rest predictions."""

    true_positive: int
    localization: int
    classification: int
    both: int
    duplicate: int
    background: int
    missed: int


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """The kind of every prediction and whether each ground truth was missed."""

    kind: NDArray[np.int8]
    """Per prediction, an `ErrorKind`; LEFT_OUT for rows that take no part."""
    towards: IntArray
    """Per prediction, the ground truth a localization or classification error points at, else -1."""
    missed: BoolArray
    """Per ground truth."""

    def counts(
        self, *, predictions: BoolArray | None = None, ground_truth: BoolArray | None = None
    ) -> ErrorCounts:
        """Count the kinds, over the rows chosen by the masks where they are given."""
        kinds = self.kind if predictions is None else self.kind[predictions]
        missed = self.missed if ground_truth is None else self.missed[ground_truth]
        of = {kind: int(np.count_nonzero(kinds == kind)) for kind in ErrorKind}
        return ErrorCounts(
            true_positive=of[ErrorKind.TRUE_POSITIVE],
            localization=of[ErrorKind.LOCALIZATION],
            classification=of[ErrorKind.CLASSIFICATION],
            both=of[ErrorKind.BOTH],
            duplicate=of[ErrorKind.DUPLICATE],
            background=of[ErrorKind.BACKGROUND],
            missed=int(np.count_nonzero(missed)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Per prediction: the ground truth it overlaps most among those with a correct label, and among the others."""

    correct: IntArray
    correct_overlap: FloatArray
    incorrect: IntArray
    incorrect_overlap: FloatArray


def attribute_match(matches: Matches, *, foreground: float = 0.5, background: float = 0.1) -> Attribution:
    """Attribute the errors of a Nucleus match read at the overlap threshold *foreground*.

    An overlap of exactly *foreground* with a ground truth of the right label is either the true positive or a
    duplicate, never a localization error.
    """
    return attribute(
        Overlaps(
            correct=matches.best_correct,
            correct_overlap=matches.best_correct_overlap,
            incorrect=matches.best_incorrect,
            incorrect_overlap=matches.best_incorrect_overlap,
        ),
        true_positive=(hits := true_positives(matches, foreground)),
        considered=matches.predictions.counted,
        missing=_not_found(matches, hits),
        foreground=foreground,
        background=background,
        localized=matches.best_correct_overlap >= foreground,
    )


def attribute(
    overlaps: Overlaps,
    *,
    true_positive: BoolArray,
    considered: BoolArray,
    missing: BoolArray,
    foreground: float,
    background: float,
    localized: BoolArray,
) -> Attribution:
    """Apply the rules. *localized* marks predictions placed too well for a localization error.

    *missing* marks the counted ground truths that no true positive found; *considered* the predictions that take
    part. Raises ValueError unless 0 < background < foreground <= 1.
    """
    if not 0.0 < background < foreground <= 1.0:
        raise ValueError(f"TIDE needs 0 < background < foreground <= 1, not {background} and {foreground}")
    # One bit a rule, and a table from the bits to the first rule that holds: no branch per prediction.
    kind = np.empty(true_positive.size, dtype=np.int8)
    for begin in range(0, kind.size, _BLOCK):
        part = slice(begin, begin + _BLOCK)
        correct, incorrect = overlaps.correct_overlap[part], overlaps.incorrect_overlap[part]
        rules = np.zeros(correct.size, dtype=np.uint8)
        for bit, holds in enumerate((
            ~considered[part],
            true_positive[part],
            (correct >= background) & ~localized[part],
            incorrect >= foreground,
            correct >= foreground,
            (correct <= background) & (incorrect <= background),
        )):
            rules |= holds.view(np.uint8) << np.uint8(bit)
        kind[part] = _FIRST_RULE[rules]

    towards = np.full(kind.size, NONE, dtype=np.int32)
    missed = missing.copy()
    for error, partner in (
        (ErrorKind.LOCALIZATION, overlaps.correct),
        (ErrorKind.CLASSIFICATION, overlaps.incorrect),
    ):
        rows = np.flatnonzero(kind == error)
        towards[rows] = pointed_at = partner[rows]
        missed[pointed_at] = False
    return Attribution(kind=frozen(kind), towards=frozen(towards), missed=frozen(missed))


def _not_found(matches: Matches, hits: BoolArray) -> BoolArray:
    missing = matches.ground_truth.counted.copy()
    missing[matches.match[hits]] = False
    return missing
