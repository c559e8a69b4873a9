"""The route that matches predictions with ground truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.call import Call, path_segment
from airflow_provider_nucleus.client.calls._read import as_is
from airflow_provider_nucleus.evaluation_options import DEFAULT_OPTIONS
from airflow_provider_nucleus.exceptions import NucleusValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_nucleus.schema.matches import AllowedLabelMatch

__all__ = ["calculate_metrics"]


def calculate_metrics(
    dataset_id: str,
    model_id: str,
    *,
    class_agnostic: bool = False,
    allowed_label_matches: Sequence[AllowedLabelMatch] = (),
    crowd_as_objects: bool = DEFAULT_OPTIONS.crowd_as_objects,
) -> Call[dict[str, Any]]:
    """Match the predictions of a model on a dataset with the ground truth; the answer usually names a job to wait for.

    `class_agnostic` is always sent, because two public texts disagree about its default. The matches replace those of earlier
    calls, so that repeating this is harmless. *crowd_as_objects* (see `evaluation_options`) is known to the embedded Nucleus alone, and
    only sent when it differs from the default.
    """
    if class_agnostic and allowed_label_matches:
        raise NucleusValidationError(
            "allowed_label_matches", "has no meaning when labels are ignored (class_agnostic)"
        )
    body: dict[str, Any] = {"class_agnostic": class_agnostic}
    if allowed_label_matches:
        body["allowed_label_matches"] = [pair.to_wire() for pair in allowed_label_matches]
    if crowd_as_objects != DEFAULT_OPTIONS.crowd_as_objects:
        body["crowd_as_objects"] = crowd_as_objects
    return Call(
        "POST",
        f"dataset/{path_segment(dataset_id)}/model/{path_segment(model_id)}/calculateEvaluationMetrics",
        as_is,
        f"calculate metrics of model {model_id} on dataset {dataset_id}",
        body=body,
    )
