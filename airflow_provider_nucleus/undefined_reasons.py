"""Words for undefined numbers: every answer, page and report gives the same reason in the same words."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ABSENT_FROM_BOTH_SIDES",
    "ABSENT_FROM_GROUND_TRUTH",
    "ABSENT_FROM_PREDICTIONS",
    "NO_CONFIDENCE",
    "NO_GROUND_TRUTH",
    "NO_OBJECTS",
    "NO_PREDICTIONS",
    "NO_PREDICTIONS_AT_CONFIDENCE",
    "NO_PREDICTIONS_COUNTED",
    "NO_TRUE_POSITIVES",
    "no_confidence",
    "no_ground_truth",
]

NO_PREDICTIONS: Final = "no predictions"
"""Precision over nothing."""
NO_GROUND_TRUTH: Final = "no ground truth"
"""Recall over nothing."""
NO_OBJECTS: Final = "no predictions and no ground truth"
"""F1 over nothing."""
NO_TRUE_POSITIVES: Final = "no true positives"
"""Mean overlap over nothing."""
NO_PREDICTIONS_COUNTED: Final = "no prediction that counts"
"""Precision of COCO's matching over predictions all of which are ignored."""
NO_PREDICTIONS_AT_CONFIDENCE: Final = "no prediction at this confidence"
"""Precision beyond the most confident prediction."""
NO_CONFIDENCE: Final = "no prediction has a confidence"
"""Curves and AP, for which predictions are ranked by confidence."""

ABSENT_FROM_PREDICTIONS: Final = "never predicted"
ABSENT_FROM_GROUND_TRUTH: Final = "not in the ground truth"
ABSENT_FROM_BOTH_SIDES: Final = "on neither side"
"""Precision, recall and F1 of one class over nothing."""


def no_confidence(*, of_label: bool = False) -> str:
    """Return the reason why predictions, or those of one label, have no ranking."""
    return "no prediction of this label has a confidence" if of_label else NO_CONFIDENCE


def no_ground_truth(*, size: str = "", of_label: bool = False, counted: bool = False) -> str:
    """Return the reason why there is no recall and no AP: of a size range, of one label.

    *counted* says that ground truth may be there, but all of it is ignored.
    """
    return "".join((
        NO_GROUND_TRUTH,
        f" of {size} size" if size else "",
        " of this label" if of_label else "",
        " to be found" if counted else "",
    ))
