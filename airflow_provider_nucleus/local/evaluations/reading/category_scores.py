"""Scores of categories per taxonomy: accuracy, top-k, precision, recall and F1, averaged in three ways and per label.

Labels are those of the evaluation, correct means equal; a taxonomy of multicategories is scored by sets of labels. Which
taxonomy a category belongs to and its `class_pdf` are read from the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from airflow_provider_nucleus.evaluation.images.categories import (
    MISSING,
    MulticategoryScores,
    category_scores,
    multicategory_scores,
    top_k_accuracy,
)
from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from airflow_provider_nucleus.local.errors import BadRequestError, ConflictError

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IndexArray
    from airflow_provider_nucleus.evaluation.images.categories import AveragedScores, LabelScores
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult
    from airflow_provider_nucleus.local.evaluations.reading.selection import Selection
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["category_scores_of"]

_TIES: Final = (
    "of equally probable labels the first in alphabetical order; a label of probability 0 is never a hit"
)
_CELLS_LIMIT: Final = 20_000_000
"""Cells of a confusion matrix or of a table of probabilities, 8 bytes each."""


def category_scores_of(
    cursor: Cursor, result: EvaluationResult, selection: Selection, *, k: int
) -> dict[str, Any]:
    """Score the chosen categories of every taxonomy; raises `BadRequestError` where filters have no meaning."""
    masks = selection.ap
    if masks is None or masks.area is not None:
        raise BadRequestError(
            "Scores of categories need a choice of objects: leave out gtAreaRange, iouRange, labelEquality, hasGroundTruth "
            "and tideBackground."
        )
    truth = _read(cursor, result, "truth", masks.ground_truth)
    predicted = _read(cursor, result, "prediction", masks.predictions)
    names = sorted({*truth, *predicted}, key=lambda key: (key.name, key.kind))
    return {
        "taxonomies": [
            _scores(result, key, truth.get(key, _NOTHING), predicted.get(key, _NOTHING), k=k) for key in names
        ]
    }


@dataclass(frozen=True, slots=True)
class _Taxonomy:
    """The name of a taxonomy ('' is the default one) and its kind: category or multicategory."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """Labels of one taxonomy on one side: place of the item, label code, row of the result, and the class_pdf texts."""

    image: IndexArray
    label: IndexArray
    pdf: tuple[str | None, ...]

    def __len__(self) -> int:
        return int(self.image.size)


_NOTHING: Final = _Labels(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), ())


def _read(
    cursor: Cursor, result: EvaluationResult, side: str, chosen: BoolArray | None
) -> dict[_Taxonomy, _Labels]:
    of_family = result.arrays[f"{side}_family"] == result.about["families"].index("category")
    rows = np.flatnonzero(of_family if chosen is None else of_family & chosen)
    numbers = result.arrays[f"{side}_number"][rows]
    stored = {
        number: (_Taxonomy(name, kind), pdf)
        for number, name, kind, pdf in cursor.execute(
            "SELECT object_no, taxonomy_name, type, class_pdf FROM categories WHERE object_no IN (SELECT unnest(?::BIGINT[]))",
            [numbers.tolist()],
        ).fetchall()
    }
    if missing := set(numbers.tolist()) - stored.keys():
        raise ConflictError(
            f"{len(missing)} categories of evaluation {result.id} are no longer stored, so that their taxonomies cannot be read. "
            "Evaluate again."
        )
    members: dict[_Taxonomy, list[int]] = {}
    for position, number in enumerate(numbers.tolist()):
        members.setdefault(stored[number][0], []).append(position)
    found: dict[_Taxonomy, _Labels] = {}
    for key, positions in members.items():
        of_taxonomy = rows[positions]
        found[key] = _Labels(
            result.arrays[f"{side}_image"][of_taxonomy].astype(np.int64),
            result.arrays[f"{side}_label"][of_taxonomy].astype(np.int64),
            tuple(stored[number][1] for number in numbers[positions].tolist()),
        )
    return found


def _scores(
    result: EvaluationResult, key: _Taxonomy, truth: _Labels, predicted: _Labels, *, k: int
) -> dict[str, Any]:
    codes = np.union1d(truth.label, predicted.label)
    images = np.union1d(truth.image, predicted.image)
    if codes.size**2 > _CELLS_LIMIT:
        raise BadRequestError(
            f"Taxonomy {key.name!r} has {codes.size} labels, which is too many for one confusion matrix: choose some with "
            "gtLabels."
        )
    sides = [
        (np.searchsorted(images, side.image), np.searchsorted(codes, side.label))
        for side in (truth, predicted)
    ]
    found: LabelScores
    if key.kind == "multicategory":
        found = multicategory_scores(
            *sides[0], predicted_items=sides[1][0], predicted_labels=sides[1][1], classes=codes.size,
            items=images.size,
        )  # fmt: skip
        top = undefined("a multicategory has no single label to rank")
    else:
        per_item = np.full((2, images.size), MISSING)
        for row, (item, label) in enumerate(sides):
            per_item[row, item] = label
        found = category_scores(*per_item, classes=codes.size)
        top = _top(result, truth, predicted, k=k)
    return {
        "taxonomy": key.name,
        "type": key.kind,
        "items": found.items,
        "excluded_without_truth": found.excluded_without_truth,
        "missing_predictions": found.missing_predictions,
        "accuracy": found.accuracy.to_dict(),
        "top_k": {"k": k, "accuracy": top.to_dict(), "ties": _TIES},
        **{name: _averaged(getattr(found, name)) for name in ("micro", "macro", "weighted")},
        **(_of_sets(found) if isinstance(found, MulticategoryScores) else {}),
        "per_class": [
            {
                "label": result.labels.names[codes[entry.label]],
                "support": entry.support,
                "predicted": entry.predicted,
                "true_positives": entry.true_positives,
                "precision": entry.precision.to_dict(),
                "recall": entry.recall.to_dict(),
                "f1": entry.f1.to_dict(),
            }
            for entry in found.per_class
        ],
    }


def _averaged(scores: AveragedScores) -> dict[str, Any]:
    return {name: getattr(scores, name).to_dict() for name in ("precision", "recall", "f1")}


def _of_sets(scores: MulticategoryScores) -> dict[str, Any]:
    return {
        "samples": _averaged(scores.samples),
        "jaccard": scores.jaccard.to_dict(),
        "hamming_loss": scores.hamming_loss.to_dict(),
    }


def _top(result: EvaluationResult, truth: _Labels, predicted: _Labels, *, k: int) -> Metric:
    """Return the share of items with ground truth whose label is among the k most probable of `class_pdf`.

    An item without a prediction is a miss, and so is a label of probability 0. Probabilities of labels that are evaluated
    under one name add up. Of equally probable labels the first in alphabetical order comes first.
    """
    label_of = dict(zip(truth.image.tolist(), truth.label.tolist(), strict=True))
    ranked = [
        (label_of[image], pdf)
        for image, pdf in zip(predicted.image.tolist(), predicted.pdf, strict=True)
        if image in label_of
    ]
    if not label_of:
        return undefined("no item has a ground-truth category in this taxonomy")
    without_pdf = sum(pdf is None for _, pdf in ranked)
    if without_pdf or not ranked:
        return undefined(
            f"{without_pdf} predictions have no class_pdf" if ranked else "no prediction in this taxonomy"
        )
    # Labels that are neither truth nor prediction may be in a distribution too.
    probabilities: list[dict[str, float]] = []
    for _, pdf in ranked:
        summed: dict[str, float] = {}
        for label, value in orjson.loads(pdf or "{}").items():
            name = result.taxonomy.canonical(label)
            summed[name] = summed.get(name, 0.0) + value
        probabilities.append(summed)
    labels = sorted(
        {name for row in probabilities for name in row} | {result.labels.names[code] for code, _ in ranked}
    )
    if len(labels) * len(ranked) > _CELLS_LIMIT:
        return undefined(f"{len(ranked)} items with {len(labels)} labels are too many: choose some items")
    place = {name: column for column, name in enumerate(labels)}
    table = np.zeros((len(ranked), len(labels)))
    for row, entries in enumerate(probabilities):
        table[row, [place[name] for name in entries]] = list(entries.values())
    codes = np.array([place[result.labels.names[code]] for code, _ in ranked])
    found = top_k_accuracy(codes, table, k=k)
    assert found.value is not None
    return Metric(round(found.value * len(ranked)) / len(label_of))
