"""Inputs of a gate's task: places are opened as Airflow can, models by their ids are read from the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusSourceError
from airflow_provider_nucleus.gating.side_reading import SideReader
from airflow_provider_nucleus.tasks.documents import read_json
from airflow_provider_nucleus.tasks.machines import explain_missing_file
from airflow_provider_nucleus.tasks.rendered_values import is_blank

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.confidence_cut import Cut
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.side_reading import Measure

__all__ = ["measurement_of", "profile_of"]

_FORMS = "Give what a metrics or evaluation task returned (task.output), a measurement or its place, or model_id with dataset_id."


def measurement_of(
    value: Any, *, name: str, measure: Measure | None = None, confidence: Cut = None
) -> Measurement | None:
    """Return the measurement that *value* is or names, None for a blank one; *name* is the argument, for errors.

    *measure* reads it from a server where *value* is `{"dataset_id": ..., "model_id": ..., ...}`; None where that is not possible. With
    *confidence* it is that of the predictions above it, or with `best` above the cut of its own best F1.
    """
    if is_blank(value):
        return None
    return SideReader(read=_read, hint=_FORMS, measure=measure).side(value, name, cut=confidence)


def profile_of(value: Any, *, name: str) -> dict[str, Any] | None:
    """Return the profile that *value* is, names or has, None for a blank one."""
    return None if is_blank(value) else SideReader(read=_read, hint=_FORMS).profile(value, name)


def _read(place: str, name: str) -> Any:
    try:
        return read_json(place)
    except FileNotFoundError as error:
        failure = NucleusSourceError(f"there is no such file, which {name} names", source=place)
        explain_missing_file(failure, place)
        raise failure from error
