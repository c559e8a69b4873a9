"""The families of objects an evaluation compares, each within itself.

| family | objects | overlap | in AP |
| --- | --- | --- | --- |
| area | boxes and polygons | intersection over union in pixels | yes |
| cuboid | cuboids | 3D intersection over union | yes, not by size |
| keypoints | keypoints (see `engine/keypoints.py`) | object keypoint similarity | yes |
| mask | segments of index masks | intersection over union in pixels | no: segments have no confidence |
| category | categories, per taxonomy | 1 on the same item | no: there is nothing to overlap |
"""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants; values are parameters

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy
from airflow_provider_nucleus.evaluation_options import DEFAULT_OPTIONS, EvaluationOptions
from airflow_provider_nucleus.local.annotation_table import FAMILY_NAMES
from airflow_provider_nucleus.local.engine.keypoints import keypoint_facts
from airflow_provider_nucleus.local.engine.shape_families import SHAPE_FAMILIES
from airflow_provider_nucleus.local.engine.sides import PARTITION_ROWS, item_spans
from airflow_provider_nucleus.local.evaluations.computing.category_matcher import CategoryMatcher
from airflow_provider_nucleus.local.evaluations.computing.mask_matcher import MaskMatcher
from airflow_provider_nucleus.local.evaluations.computing.result_builder import SpanResult, coco_outcome
from airflow_provider_nucleus.local.evaluations.computing.sides import areas_beyond_box, object_rows, sides_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.evaluation.matching.coco import CocoOptions
    from airflow_provider_nucleus.evaluation.sides.columns import Columns
    from airflow_provider_nucleus.keypoint_tolerances import ChosenSigmas
    from airflow_provider_nucleus.local.engine.masks import MaskFiles
    from airflow_provider_nucleus.local.engine.sides import Span
    from airflow_provider_nucleus.local.engine.span_matches import Skipped
    from airflow_provider_nucleus.local.evaluations.computing.population import EvaluatedItems
    from airflow_provider_nucleus.local.evaluations.computing.result_builder import ScoredOutcomes
    from airflow_provider_nucleus.local.evaluations.computing.sides import LabelCodes
    from airflow_provider_nucleus.local.requests.label_taxonomy import Taxonomy
    from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["Family", "families"]


class Family(Protocol):
    """Protocol of a family of objects that are compared with each other."""

    @property
    def types(self) -> tuple[str, ...]:
        """The object types it takes, as provenance names them."""
        ...

    def spans(self, cursor: Cursor, sets: ComparedSets) -> list[Span]:
        """Cut the evaluated items of a dataset that have such objects into spans."""
        ...

    def match_span(
        self, cursor: Cursor, population: EvaluatedItems, sets: ComparedSets, *, span: Span, codes: LabelCodes
    ) -> Iterator[SpanResult]:
        """Match a span."""
        ...

    def skipped(self) -> list[Skipped]:
        """Return what could not be compared so far, item by item."""
        ...


@dataclass(frozen=True, slots=True)
class ShapeMatcher:
    """Objects with a shape of their own; `sized` says that their areas are square pixels, `rows` how many at once.

    With `crowd_as_objects` crowds are ground truth like any other.
    """

    name: str
    types: tuple[str, ...]
    taxonomy: Taxonomy
    options: CocoOptions
    sized: bool
    crowd_as_objects: bool = False
    keypoint_sigmas: ChosenSigmas | None = None
    rows: int = PARTITION_ROWS

    def spans(self, cursor: Cursor, sets: ComparedSets) -> list[Span]:
        """Cut the evaluated items of a dataset that have such objects into spans."""
        condition = (
            f"type IN ({', '.join(map(repr, self.types))}) AND item_no IN (SELECT item_no FROM evaluated)"
        )
        return item_spans(cursor, sets, table="objects", condition=condition, rows=self.rows)

    def match_span(
        self, cursor: Cursor, population: EvaluatedItems, sets: ComparedSets, *, span: Span, codes: LabelCodes
    ) -> Iterator[SpanResult]:
        """Match a span by overlap and by confidence."""
        tables = object_rows(cursor, population, sets, family=self.name, types=self.types, span=span)
        truth, predictions = sides_of(tables, self.name, codes, keypoint_sigmas=self.keypoint_sigmas)
        if self.crowd_as_objects:
            truth = replace(truth, columns=truth.columns.without_crowds())
        rule = LabelMatchPolicy.from_names(self.taxonomy.pairs, codes.canonical)
        yield SpanResult(
            family=FAMILY_NAMES.index(self.name),
            truth=truth,
            predictions=predictions,
            matches=match(truth.columns, predictions.columns, rule=rule),
            outcome=self._outcome(truth.columns, predictions.columns, codes),
            sized=self.sized,
            beyond_box=areas_beyond_box(tables[0]) if self.name == "area" else 0,
            keypoints=keypoint_facts(tables, self.keypoint_sigmas) if self.name == "keypoints" else None,
        )

    def _outcome(self, truth: Columns, predictions: Columns, codes: LabelCodes) -> ScoredOutcomes | None:
        if codes.no_ap:
            return None
        ranked = replace(predictions, label=codes.ranked_under[predictions.label])
        return coco_outcome(truth, ranked, options=self.options)

    def skipped(self) -> list[Skipped]:
        """Return nothing: every stored shape can be compared."""
        return []


def families(
    taxonomy: Taxonomy,
    *,
    masks: MaskFiles,
    options: EvaluationOptions = DEFAULT_OPTIONS,
    rows: int = PARTITION_ROWS,
) -> tuple[Family, ...]:
    """Return every family; `masks` are the files of masks."""
    return (
        *(
            ShapeMatcher(
                each.name,
                each.types,
                taxonomy,
                each.evaluated.limited(options.max_detections),
                sized=each.sized,
                crowd_as_objects=options.crowd_as_objects,
                keypoint_sigmas=options.keypoint_sigmas,
                rows=min(rows, each.rows),
            )
            for each in SHAPE_FAMILIES.values()
        ),
        MaskMatcher(taxonomy, family=FAMILY_NAMES.index("mask"), masks=masks),
        CategoryMatcher(taxonomy, family=FAMILY_NAMES.index("category")),
    )
