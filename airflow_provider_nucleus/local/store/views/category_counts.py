"""Counts of how often the categories of a run agree with the ground truth, made without listing them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.annotation_table import CATEGORY_LABELS
from airflow_provider_nucleus.local.store.views.category_matching import CategoryLabel, match_categories
from airflow_provider_nucleus.rates import precision_terms, quotient, recall_terms

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.requests.match_options import MatchOptions
    from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["CategoryCounts", "category_counts"]


@dataclass(frozen=True, slots=True)
class CategoryCounts:
    """Agreement in one taxonomy: labels that are right, predicted without being right, and not predicted."""

    taxonomy: str
    correct: int
    incorrect: int
    missed: int

    @property
    def precision(self) -> float | None:
        """Share of the predicted labels that are right."""
        return quotient(*precision_terms(self.correct, self.correct + self.incorrect))

    @property
    def recall(self) -> float | None:
        """Share of the ground-truth labels that were predicted."""
        return quotient(*recall_terms(self.correct, self.correct + self.missed))


# Items with the same labels on both sides count alike, so each combination is matched once and multiplied.
_COMBINATIONS: Final = f"""WITH l AS (
        SELECT set_no = $truth AS is_truth, item_no, taxonomy_name,
            {CATEGORY_LABELS} AS labels
        FROM categories WHERE set_no IN ($truth, $predictions) AND item_no IS NOT NULL),
    items_of AS (
        SELECT taxonomy_name, item_no, list_sort(flatten(list(labels) FILTER (is_truth))) AS truth,
            list_sort(flatten(list(labels) FILTER (NOT is_truth))) AS predicted
        FROM l GROUP BY taxonomy_name, item_no)
    SELECT taxonomy_name, truth, predicted, count(*) FROM items_of GROUP BY ALL"""


def category_counts(cursor: Cursor, sets: ComparedSets, options: MatchOptions) -> list[CategoryCounts]:
    """Return the agreement per taxonomy, by name; the default taxonomy has the empty name."""
    truth = -1 if sets.truth is None else sets.truth
    found = cursor.execute(_COMBINATIONS, {"truth": truth, "predictions": sets.predictions}).fetchall()
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for taxonomy, actual, predicted, items in found:
        sums = counts[taxonomy]
        for match in match_categories(_labels(actual), _labels(predicted), options):
            if match.correct:
                sums[0] += items
                continue
            sums[1] += items * (match.prediction is not None)
            sums[2] += items * (match.truth is not None)
    return [CategoryCounts(taxonomy, *sums) for taxonomy, sums in sorted(counts.items())]


def _labels(names: list[str] | None) -> list[CategoryLabel]:
    return [CategoryLabel(0, "", name, 0) for name in names or []]
