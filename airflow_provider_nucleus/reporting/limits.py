"""Names of the files of a report, and limits of its page: how many rows of each kind it shows, and what it then says of the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from airflow_provider_nucleus.reporting.extras import Omission

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "DOCUMENT_NAME",
    "MOST_BYTES",
    "MOST_BYTES_WITH_CROPS",
    "PAGE_NAME",
    "SUMMARY_NAME",
    "PageLimits",
    "first_rows",
]

PAGE_NAME: Final = "report.html"
DOCUMENT_NAME: Final = "metrics.json"
SUMMARY_NAME: Final = "report.md"

MOST_BYTES: Final = 300_000
"""Largest page without pictures."""
MOST_BYTES_WITH_CROPS: Final = 2_000_000
"""Largest page with pictures in it."""

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLimits:
    """Most rows of each table of a page."""

    rules: int = 60
    """Results that are no pass, each with its chart."""
    passed: int = 400
    labels: int = 300
    slices: int = 100
    changed: int = 120
    cuts: int = 300
    batches: int = 60

    def smaller(self) -> PageLimits:
        """Return three quarters of every limit."""
        return replace(
            self, **{name: max(getattr(self, name) * 3 // 4, 1) for name in self.__dataclass_fields__}
        )

    @property
    def smallest(self) -> bool:
        """True when there is nothing left to take away."""
        return all(getattr(self, name) <= 1 for name in self.__dataclass_fields__)


def first_rows(
    rows: Sequence[_Row],
    most: int,
    what: str,
    left_out: list[Omission],
    *,
    total: int | None = None,
    there: int | None = None,
) -> Sequence[_Row]:
    """Return the first *most* rows, and add to *left_out* how many are not among them; the document has *there* of them, or all."""
    of = max(total or 0, len(rows))
    kept = rows[:most]
    if len(kept) < of:
        partly = there if there is not None and there < of else None
        left_out.append(Omission(what=what, left=of - len(kept), of=of, there=partly))
    return kept
