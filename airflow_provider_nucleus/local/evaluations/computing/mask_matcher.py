"""Segments of index masks, compared pixel by pixel; see `engine/masks.py` for what can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_nucleus.evaluation.matching.nucleus import match_pairs
from airflow_provider_nucleus.evaluation.overlap.masks import Segments
from airflow_provider_nucleus.evaluation.sides.columns import columns
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy
from airflow_provider_nucleus.local.engine.masks import MINIMUM_OVERLAP, MaskFamily
from airflow_provider_nucleus.local.engine.sides import item_spans
from airflow_provider_nucleus.local.evaluations.computing.result_builder import ObjectSide, SpanResult
from airflow_provider_nucleus.local.evaluations.computing.sides import codes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.local.engine.masks import MaskFiles, SegmentRows
    from airflow_provider_nucleus.local.engine.sides import Span
    from airflow_provider_nucleus.local.engine.span_matches import Skipped
    from airflow_provider_nucleus.local.evaluations.computing.population import EvaluatedItems
    from airflow_provider_nucleus.local.evaluations.computing.sides import LabelCodes
    from airflow_provider_nucleus.local.requests.label_taxonomy import Taxonomy
    from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["MaskMatcher"]

_EVALUATED = "item_no IN (SELECT item_no FROM evaluated)"
_MASKS_AT_ONCE = 2_000


class MaskMatcher:
    """Mask segments of both sides; segments carry no confidence, so they are counted and not ranked."""

    types: tuple[str, ...] = ("segmentation",)

    def __init__(self, taxonomy: Taxonomy, *, family: int, masks: MaskFiles) -> None:
        self._taxonomy, self._family = taxonomy, family
        self._masks = MaskFamily(masks)
        self._skipped: list[Skipped] = []

    def spans(self, cursor: Cursor, sets: ComparedSets) -> list[Span]:
        """Cut the evaluated items of a dataset that have masks into spans."""
        return item_spans(cursor, sets, table="masks", condition=_EVALUATED, rows=_MASKS_AT_ONCE)

    def match_span(
        self, cursor: Cursor, population: EvaluatedItems, sets: ComparedSets, *, span: Span, codes: LabelCodes
    ) -> Iterator[SpanResult]:
        """Overlay the masks of a span and match their segments."""
        found = self._masks.compare(
            cursor, sets, span=span, items=_EVALUATED,
            dropped=(population.ground_truth.labels, population.predictions.labels),
        )  # fmt: skip
        self._skipped += found.skipped
        sides = [_side(rows, population, codes) for rows in (found.truth, found.predictions)]
        rule = LabelMatchPolicy.from_names(
            self._taxonomy.pairs, codes.canonical, minimum_overlap=MINIMUM_OVERLAP
        )
        yield SpanResult(
            family=self._family,
            truth=sides[0],
            predictions=sides[1],
            matches=match_pairs(
                sides[0].columns,
                sides[1].columns,
                ground_truth_rows=found.truth_rows,
                prediction_rows=found.prediction_rows,
                overlap=found.overlap,
                rule=rule,
            ),
            outcome=None,
            sized=True,
        )

    def skipped(self) -> list[Skipped]:
        """Return the items whose masks could not be compared, with the reason."""
        return self._skipped


def _side(rows: SegmentRows, population: EvaluatedItems, codes: LabelCodes) -> ObjectSide:
    raw, canonical = codes_of(rows.labels, codes)
    item = np.array(rows.item, dtype=np.int64)
    made = columns(
        Segments(np.array(rows.pixels, dtype=np.float64)),
        np.searchsorted(population.items, item),
        label=canonical,
    )
    number = np.array(rows.number, dtype=np.int64)
    return ObjectSide(made, number, np.array(rows.segment, dtype=np.int32), raw)
