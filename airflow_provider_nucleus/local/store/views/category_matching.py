"""Categories are matched by where they stand, not by overlap: same item, same taxonomy.

Nothing has to be calculated for them; their matches are made when they are asked for. The label options of the last
calculation apply. A pair is whole-image, so its overlap is 1.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from airflow_provider_nucleus.local.requests.match_options import MatchOptions

    Associates: TypeAlias = Callable[["CategoryLabel", "CategoryLabel"], bool]

__all__ = ["CategoryLabel", "CategoryMatch", "match_categories"]


@dataclass(frozen=True, slots=True, order=True)
class CategoryLabel:
    """One label of an item in a taxonomy; a multicategory has several."""

    item_no: int
    taxonomy: str
    label: str
    object_no: int


@dataclass(frozen=True, slots=True)
class CategoryMatch:
    """A matched pair, a prediction without ground truth, or ground truth without a prediction."""

    prediction: CategoryLabel | None
    truth: CategoryLabel | None
    correct: bool

    @property
    def item_no(self) -> int:
        """The item both sides belong to."""
        side = self.prediction or self.truth
        assert side is not None
        return side.item_no


def match_categories(
    truth: Iterable[CategoryLabel], predictions: Iterable[CategoryLabel], options: MatchOptions
) -> Iterator[CategoryMatch]:
    """Yield the matches by item and taxonomy: equal labels first, then listed pairs, then whatever may associate."""
    places: dict[tuple[int, str], tuple[list[CategoryLabel], list[CategoryLabel]]] = defaultdict(
        lambda: ([], [])
    )
    for side, labels in enumerate((truth, predictions)):
        for label in sorted(labels):
            places[label.item_no, label.taxonomy][side].append(label)
    allowed = frozenset(options.allowed_label_matches)
    for place in sorted(places):
        actual, predicted = places[place]
        yield from _take(actual, predicted, lambda t, p: t.label == p.label, correct=True)
        yield from _take(actual, predicted, lambda t, p: (t.label, p.label) in allowed, correct=True)
        if options.class_agnostic:
            yield from _take(actual, predicted, lambda _t, _p: True, correct=False)
        yield from (CategoryMatch(label, None, correct=False) for label in predicted)
        yield from (CategoryMatch(None, label, correct=False) for label in actual)


def _take(
    actual: list[CategoryLabel], predicted: list[CategoryLabel], associates: Associates, *, correct: bool
) -> Iterator[CategoryMatch]:
    """Pair what associates, in order, and take it off both lists."""
    for prediction in list(predicted):
        partner = next((label for label in actual if associates(label, prediction)), None)
        if partner is not None:
            actual.remove(partner)
            predicted.remove(prediction)
            yield CategoryMatch(prediction, partner, correct=correct)
