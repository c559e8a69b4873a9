"""Numbers as readers see them: one text for one number, wherever it is written.

In tables, pages, charts and messages rates have three decimals, counts none, other numbers four significant digits. Where two numbers
that differ would be the same text (0.7996 against a bound of 0.8), both get as many decimals more as it takes. Thresholds and limits alone
are as short as they can be written. Sentences have four significant digits (`plain_text`), with the signs of a keyboard, for they are kept
in documents, printed and searched for; columns of a terminal have three decimals and nothing else (`column_text`).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "COUNTS",
    "MISSING",
    "column_text",
    "count_text",
    "decimals_apart",
    "number_text",
    "percent_text",
    "plain_share_text",
    "plain_text",
    "share_text",
    "short_text",
    "signed_text",
]

MISSING: Final = "n/a"
"""Text of a number that is not defined or not known."""

COUNTS: Final = frozenset({
    "tp", "fp", "fn", "mislabelled", "items", "ground_truth", "predictions", "items_with_predictions", "objects", "labels",
    "vanished_labels", "new_labels", "images", "detections",
})  # fmt: skip
"""Names of numbers that count something."""

_RATES: Final = re.compile(r"(ap|ar|f1|precision|recall|mean_iou|psi|ks)", re.IGNORECASE)
"""Beginnings of the names of numbers that are read to the third decimal; others are the user's, with four digits."""

_DECIMALS: Final = 3
_MOST_DECIMALS: Final = 6


def count_text(value: int | None) -> str:
    """Return a count: `412`, `1,204,377`."""
    return MISSING if value is None else f"{value:,}"


def share_text(value: float | None) -> str:
    """Return a share in percent: `97.5 %`; never 100 or 0 for a share that is neither."""
    if value is None:
        return MISSING
    percent = 100 * value
    text = f"{percent:.1f}"
    if (text == "100.0" and value < 1) or (text == "0.0" and value > 0):
        return "> 99.9 %" if value > 0.5 else "< 0.1 %"
    return f"{text.removesuffix('.0')} %"


def percent_text(value: float | None, *, decimals: int = 1) -> str:
    """Return a relative change in percent, with its sign: `−3.4 %`."""
    if value is None:
        return MISSING
    text = f"{100 * value:+.{decimals}f}".replace("-", "\u2212")
    return f"{text.removesuffix('.0')} %"


def number_text(value: float | None, name: str = "", *, decimals: int = _DECIMALS) -> str:
    """Return a number of the given name: a count, a rate with *decimals*, or a number of the user's with a digit more than that."""
    if value is None:
        return MISSING
    if name in COUNTS and float(value).is_integer():
        return count_text(int(value)).replace("-", "\u2212")
    if not math.isfinite(value):
        return MISSING
    if abs(value) >= 1000:
        text = f"{value:,.{decimals - 3}f}"
    elif name and not _RATES.match(name):
        text = f"{value:.{decimals + 1}g}"
    else:
        text = f"{value:.{decimals}f}"
        # Small numbers are no zeros.
        text = f"{value:.2g}" if value and not float(text) else text
    return text.replace("-", "\u2212")


def short_text(value: float | None) -> str:
    """Return a threshold or a limit as short as it can be written: `0.5`, `3`, `0.125`."""
    return MISSING if value is None else f"{value:.6g}".replace("-", "\u2212")


def signed_text(value: float | None, name: str = "", *, decimals: int = _DECIMALS) -> str:
    """Return a difference with its sign; the sign of less is U+2212, as long as that of more."""
    text = number_text(value, name, decimals=decimals)
    return f"+{text}" if value is not None and value > 0 else text


def decimals_apart(values: Iterable[float | None], name: str = "") -> int:
    """Return the least number of decimals, 3 to 6, at which those of the values that differ have different texts."""
    different = {value for value in values if value is not None}
    for decimals in range(_DECIMALS, _MOST_DECIMALS):
        if len({number_text(value, name, decimals=decimals) for value in different}) == len(different):
            return decimals
    return _MOST_DECIMALS


def plain_text(value: float) -> str:
    """Return a number for a sentence: four digits, counts whole, no minus zero."""
    if abs(value) < 5e-13:
        return "0"
    return f"{value:,.0f}" if value == round(value) and abs(value) >= 1000 else f"{value:.4g}"


def plain_share_text(value: float) -> str:
    """Return a share as percent for a sentence: 0.95 as `95 %`."""
    return f"{plain_text(100 * value)} %"


def column_text(value: float | None) -> str:
    """Return a number for a column of a terminal: three decimals, whatever its size."""
    return MISSING if value is None else f"{value:.3f}"
