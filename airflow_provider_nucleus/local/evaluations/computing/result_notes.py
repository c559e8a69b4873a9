"""Notes of an evaluation: what is true of its numbers and easily overlooked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.evaluation.notes import (
    Note,
    area_beyond_box,
    beyond_limit,
    empty_segments,
    guessed_areas,
    guessed_tolerances,
    label_spellings,
    only_crowds,
    predictions_of_runs,
    without_ground_truth,
)
from airflow_provider_nucleus.local.annotation_table import FAMILY_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from airflow_provider_nucleus.local.evaluations.computing.left_out import LeftOut
    from airflow_provider_nucleus.local.evaluations.computing.result_builder import ResultBuilder
    from airflow_provider_nucleus.local.requests.label_taxonomy import Taxonomy

__all__ = ["result_notes"]


def result_notes(
    arrays: Mapping[str, NDArray[Any]],
    builder: ResultBuilder,
    *,
    taxonomy: Taxonomy,
    labels: Iterable[str],
    left: LeftOut,
    of_runs: int,
) -> list[Note]:
    """Return the notes of a result: *arrays* are its columns, put together by *builder*; *labels* those evaluated.

    *left* is what the benchmark leaves out, *of_runs* the number of predictions that an evaluation of the model does not read.
    """
    crowd = arrays["truth_crowd"]
    mask = FAMILY_NAMES.index("mask")
    empty = sum(
        int(np.count_nonzero((arrays[f"{side}_family"] == mask) & (arrays[f"{side}_area"] == 0)))
        for side in ("truth", "prediction")
    )
    paired = {label for pair in taxonomy.pairs for label in pair}
    late = [
        note
        for (_, limit), count in sorted(builder.beyond_limit.items())
        for note in beyond_limit(count, limit=limit)
    ]
    return [
        *only_crowds(crowd.size if crowd.all() else 0),
        *late,
        *area_beyond_box(builder.beyond_box),
        *_of_keypoints(builder),
        *label_spellings(label for label in labels if label not in paired),
        *empty_segments(empty),
        *without_ground_truth(left.items, predictions=left.predictions),
        *predictions_of_runs(of_runs),
    ]


def _of_keypoints(builder: ResultBuilder) -> list[Note]:
    guessed = [facts for facts in builder.keypoints if facts.objects and facts.tolerances.guessed]
    notes = guessed_areas(sum(facts.without_area for facts in builder.keypoints))
    if guessed:
        notes = guessed_tolerances(sum(facts.objects for facts in guessed), guessed[0].tolerances) + notes
    return notes
