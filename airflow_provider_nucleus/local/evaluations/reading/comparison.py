"""Two evaluations on the same items: differences with paired bootstrap intervals, and the objects that changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.metric import undefined
from airflow_provider_nucleus.evaluation.readers.changes import changed_objects, same_ground_truth
from airflow_provider_nucleus.evaluation.readers.compare import BootstrapOptions, Entry, compare
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy, Vocabulary
from airflow_provider_nucleus.local.errors import ConflictError
from airflow_provider_nucleus.local.store.ids import ANNOTATION, ITEM, PREDICTION, numbered

if TYPE_CHECKING:
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches
    from airflow_provider_nucleus.evaluation.readers.compare import Difference
    from airflow_provider_nucleus.evaluation.sides.columns import Columns
    from airflow_provider_nucleus.local.evaluations.reading.result import EvaluationResult

__all__ = ["CHANGES", "Change", "changes_of", "comparison_of", "require_comparable"]

Change: TypeAlias = Literal["gained", "lost", "kept", "missed"]
CHANGES: Final[tuple[Change, ...]] = ("gained", "lost", "kept", "missed")

_AP_ROWS: Final = 300_000
"""Predictions of both sides up to which AP is resampled by default: a replicate reads all of them."""


def require_comparable(baseline: EvaluationResult, other: EvaluationResult) -> None:
    """Raise `ConflictError` unless both were evaluated on the same items and ground truth, with the same options."""
    if baseline.options != other.options:
        raise ConflictError(
            f"Evaluations {baseline.id} and {other.id} have different options ({baseline.options.to_wire()} and "
            f"{other.options.to_wire()}): evaluate both with the same, then compare."
        )
    pairs = (
        ("items", baseline.items, other.items),
        *(
            (f"ground truth ({name})", baseline.arrays[f"truth_{name}"], other.arrays[f"truth_{name}"])
            for name in ("number", "segment", "image", "raw", "area", "crowd", "ignore")
        ),
    )
    names = baseline.labels.names, other.labels.names
    for what, first, second in pairs:
        if what.endswith("(raw)"):
            first, second = (
                np.array(side.raw.names)[codes] if codes.size else codes
                for side, codes in ((baseline, first), (other, second))
            )
        if not np.array_equal(first, second):
            raise ConflictError(
                f"Evaluations {baseline.id} and {other.id} do not have the same {what}: the benchmark, its ground truth or "
                "the exclusion rules differ. Evaluate both models on one benchmark with the same rules, then compare."
            )
    if baseline.about["taxonomy"] != other.about["taxonomy"]:
        raise ConflictError(
            f"Evaluations {baseline.id} and {other.id} group labels differently ({len(names[0])} and {len(names[1])} labels): "
            "evaluate both with the same rollup groups, then compare."
        )


def comparison_of(
    baseline: EvaluationResult,
    other: EvaluationResult,
    *,
    threshold: float,
    minimum_confidence: float | None,
    replicates: int,
    ap_replicates: int | None,
) -> dict[str, Any]:
    """Return every number of both, the difference and its interval, and how many objects changed."""
    if ap_replicates is None:
        many = len(baseline.predictions) + len(other.predictions) > _AP_ROWS
        ap_replicates = 0 if many else 200
    options = BootstrapOptions(replicates=replicates, ap_replicates=ap_replicates)
    # AP over what either predicts: a family only one of them predicts is missed by the other.
    families = {*baseline.ap_families, *other.ap_families}
    entries = [
        Entry(side.id, matches, side.coco_over(families).above(minimum_confidence))
        for side, matches in zip(
            (baseline, other), _matches_alike(baseline, other, minimum_confidence), strict=True
        )
    ]
    (found,) = compare(entries, images=int(baseline.items.size), threshold=threshold, bootstrap=options)
    return {
        "baseline": found.baseline,
        "other": found.other,
        "iou_threshold": threshold,
        "minimum_confidence": minimum_confidence,
        "items": found.items,
        "bootstrap": {
            "replicates": options.replicates,
            "ap_replicates": options.ap_replicates,
            "level": options.level,
            "seed": options.seed,
        },
        "differences": {
            name: _difference(
                _without_ap(value, baseline.no_ap, other.no_ap) if name.startswith("AP") else value
            )
            for name, value in found.differences.items()
        },
        "changes": {name: int(getattr(found.changes, name).size) for name in CHANGES},
    }


def _matches_alike(
    baseline: EvaluationResult, other: EvaluationResult, minimum_confidence: float | None
) -> tuple[Matches, Matches]:
    """Return both matches above a confidence with label codes of one vocabulary.

    Raises `ConflictError` if they are of other objects.

    An evaluation numbers the labels it has seen, those of the predictions included, so that ground truth of one label has
    different codes as soon as the models name different labels. The classes of AP are numbered so too, but each side's
    AP is a mean over its own: those are never compared.
    """
    shared = Vocabulary.of(baseline.labels, other.labels)
    first, second = (
        _recoded(side, side.matches_above(minimum_confidence), shared) for side in (baseline, other)
    )
    try:
        same_ground_truth(first, second)
    except ValueError as error:
        raise ConflictError(
            f"Evaluations {baseline.id} and {other.id} cannot be compared: {error}. Evaluate both models anew on one "
            "benchmark, then compare."
        ) from error
    return first, second


def _recoded(side: EvaluationResult, matches: Matches, shared: Vocabulary) -> Matches:
    if side.labels == shared:
        return matches
    code = shared.encode(side.labels.names)

    def recoded(columns: Columns) -> Columns:
        return replace(columns, label=code[columns.label])

    return replace(
        matches,
        ground_truth=recoded(matches.ground_truth),
        predictions=recoded(matches.predictions),
        rule=LabelMatchPolicy.from_names(side.taxonomy.pairs, shared),
    )


def _without_ap(value: Difference, of_baseline: str | None, of_other: str | None) -> Difference:
    """Say why there is no AP, and no difference of it, where the labels of either leave none."""
    reason = of_baseline or of_other
    if reason is None:
        return value
    nothing = undefined(reason)
    return replace(
        value,
        baseline=value.baseline if of_baseline is None else undefined(of_baseline),
        other=value.other if of_other is None else undefined(of_other),
        difference=nothing,
        low=nothing,
        high=nothing,
        higher=nothing,
    )


def _difference(value: Difference) -> dict[str, Any]:
    return {
        "baseline": value.baseline.to_dict(),
        "other": value.other.to_dict(),
        "difference": value.difference.to_dict(),
        "low": value.low.to_dict(),
        "high": value.high.to_dict(),
        "share_higher": value.higher.to_dict(),
        "replicates": value.replicates,
    }


def changes_of(
    baseline: EvaluationResult,
    other: EvaluationResult,
    *,
    threshold: float,
    minimum_confidence: float | None,
    change: Change,
    limit: int,
    offset: int,
) -> dict[str, Any]:
    """Return a page of the ground truth that one found and the other did not (or both, or neither)."""
    first, second = _matches_alike(baseline, other, minimum_confidence)
    found = changed_objects(first, second, threshold=threshold)
    rows = getattr(found, change)

    def entry(row: int) -> dict[str, Any]:
        return {
            **_object(baseline, row),
            "baseline": _found_by(baseline, first, int(found.by_first[row])),
            "other": _found_by(other, second, int(found.by_second[row])),
        }

    return {
        "change": change,
        "total": int(rows.size),
        "rows": [entry(row) for row in rows[offset : offset + limit].tolist()],
    }


def _object(baseline: EvaluationResult, row: int) -> dict[str, Any]:
    truth = baseline.truth
    return {
        "dataset_item_id": numbered(ITEM, int(baseline.items[truth.image[row]])),
        "ground_truth_annotation_id": numbered(ANNOTATION, int(baseline.arrays["truth_number"][row])),
        "label": baseline.labels.names[truth.label[row]],
    }


def _found_by(side: EvaluationResult, matches: Matches, row: int) -> dict[str, Any] | None:
    if row == NONE:
        return None
    confidence = float(side.predictions.confidence[row])
    return {
        "model_prediction_id": numbered(PREDICTION, int(side.arrays["prediction_number"][row])),
        "iou": float(matches.overlap[row]),
        "confidence": None if np.isnan(confidence) else confidence,
    }
