"""The families of objects an evaluation compares, each within itself.

| family | objects | overlap | in AP |
| --- | --- | --- | --- |
| area | boxes and polygons | intersection over union in pixels | yes |
| cuboid | cuboids | 3D intersection over union | yes, not by size |
| keypoints | keypoints with the same names | object keypoint similarity | yes |
| mask | segments of index masks | intersection over union in pixels | no: segments have no confidence |
| category | categories, per taxonomy | 1 on the same item | no: there is nothing to overlap |
"""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants; values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from airflow_provider_nucleus.evaluation.coco_match import BOX_OPTIONS
from airflow_provider_nucleus.evaluation.labels import LabelRule
from airflow_provider_nucleus.evaluation.matching import match
from airflow_provider_nucleus.local.evaluating.category_pieces import CategoryPieces
from airflow_provider_nucleus.local.evaluating.keypoint_pieces import KeypointPieces
from airflow_provider_nucleus.local.evaluating.mask_pieces import MaskPieces
from airflow_provider_nucleus.local.evaluating.pieces import Piece, coco_outcome
from airflow_provider_nucleus.local.evaluating.reading import object_rows, side_of
from airflow_provider_nucleus.local.matching.sides import item_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_nucleus.local.evaluating.reading import LabelCodes
    from airflow_provider_nucleus.local.evaluating.scope import Scope
    from airflow_provider_nucleus.local.evaluating.taxonomy import Taxonomy
    from airflow_provider_nucleus.local.matching.parts import Skipped
    from airflow_provider_nucleus.local.matching.sides import Sets, Span
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["FAMILY_NAMES", "Family", "families"]

FAMILY_NAMES: Final = ("area", "cuboid", "keypoints", "mask", "category")
"""The names behind the family codes of stored columns."""


class Family(Protocol):
    """What every family offers."""

    @property
    def types(self) -> tuple[str, ...]:
        """The object types it takes, as provenance names them."""
        ...

    def spans(self, cursor: Cursor, sets: Sets) -> list[Span]:
        """Cut the evaluated items of a dataset that have such objects into spans."""
        ...

    def pieces(
        self, cursor: Cursor, scope: Scope, sets: Sets, *, span: Span, codes: LabelCodes
    ) -> Iterator[Piece]:
        """Match a span."""
        ...

    def skipped(self) -> list[Skipped]:
        """Return what could not be compared so far, item by item."""
        ...


class ShapePieces:
    """Objects with a shape of their own: boxes with polygons, cuboids with cuboids."""

    def __init__(self, name: str, types: tuple[str, ...], taxonomy: Taxonomy, *, sized: bool) -> None:
        self._name, self.types, self._taxonomy, self._sized = name, types, taxonomy, sized

    def spans(self, cursor: Cursor, sets: Sets) -> list[Span]:
        """Cut the evaluated items of a dataset that have such objects into spans."""
        condition = (
            f"type IN ({', '.join(map(repr, self.types))}) AND item_no IN (SELECT item_no FROM evaluated)"
        )
        return item_spans(cursor, sets, table="objects", condition=condition)

    def pieces(
        self, cursor: Cursor, scope: Scope, sets: Sets, *, span: Span, codes: LabelCodes
    ) -> Iterator[Piece]:
        """Match a span by overlap and by confidence."""
        tables = object_rows(cursor, scope, sets, family=self._name, types=self.types, span=span)
        truth = side_of(tables[0], self._name, codes, truth=True)
        predictions = side_of(tables[1], self._name, codes, truth=False)
        rule = LabelRule.from_names(self._taxonomy.pairs, codes.canonical)
        yield Piece(
            family=FAMILY_NAMES.index(self._name),
            truth=truth,
            predictions=predictions,
            matches=match(truth.columns, predictions.columns, rule=rule),
            outcome=coco_outcome(truth.columns, predictions.columns, options=BOX_OPTIONS),
            sized=self._sized,
        )

    def skipped(self) -> list[Skipped]:
        """Return nothing: every stored shape can be compared."""
        return []


def families(taxonomy: Taxonomy, *, mask_path: Callable[[str], Path]) -> tuple[Family, ...]:
    """Return every family, in the order of :data:`FAMILY_NAMES`."""
    return (
        ShapePieces("area", ("box", "polygon"), taxonomy, sized=True),
        ShapePieces("cuboid", ("cuboid",), taxonomy, sized=False),
        KeypointPieces(taxonomy, family=2),
        MaskPieces(taxonomy, family=3, mask_path=mask_path),
        CategoryPieces(taxonomy, family=4),
    )
