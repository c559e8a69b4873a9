"""Names of the numbers that can be judged, which way each is better, and what a mistyped one was meant to be."""

from __future__ import annotations

import difflib
from typing import Final, Literal

__all__ = ["BETTER", "RATES", "Direction", "direction_of", "suggested_name"]

Direction = Literal["higher", "lower"]

_HIGHER: Final = (
    "precision", "recall", "f1", "mean_iou", "tp", "accuracy",
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large",
    "pq", "sq", "rq",
)  # fmt: skip
_LOWER: Final = ("fp", "fn", "mislabelled", "empty_share", "vanished_labels", "new_labels")
_LOWER_ENDINGS: Final = ("_psi", "_ks")

BETTER: Final[dict[str, Direction]] = {
    **dict.fromkeys(_HIGHER, "higher"),
    **dict.fromkeys(_LOWER, "lower"),
}
"""Which way the known numbers are better; others have no direction of their own."""

RATES: Final = frozenset(_HIGHER) - {"tp"}
"""Known numbers that lie in 0 to 1."""

_ALIASES: Final = {
    "map": "ap", "map50": "ap50", "map75": "ap75", "map_50": "ap50", "map_75": "ap75", "ap_50": "ap50", "ap_75": "ap75",
    "map_small": "ap_small", "map_medium": "ap_medium", "map_large": "ap_large", "average_precision": "ap",
    "iou": "mean_iou", "miou": "mean_iou", "f1_score": "f1", "f_1": "f1", "true_positives": "tp", "false_positives": "fp",
    "false_negatives": "fn", "mislabeled": "mislabelled",
}  # fmt: skip


def direction_of(name: str) -> Direction | None:
    """Return which way a number is better, None where that is not known of its name."""
    return "lower" if name.endswith(_LOWER_ENDINGS) else BETTER.get(name)


def suggested_name(name: str) -> str | None:
    """Return the known number that a name was probably meant to be, None for known names and for names like no known one."""
    if direction_of(name) is not None:
        return None
    plain = name.strip().lower().replace("-", "_").replace(" ", "_").replace("@", "")
    if plain in BETTER:
        return plain
    if plain in _ALIASES:
        return _ALIASES[plain]
    # The names of counts are too short to be resembled by chance.
    close = difflib.get_close_matches(plain, [each for each in BETTER if len(each) > 2], n=1, cutoff=0.8)
    return close[0] if close else None
