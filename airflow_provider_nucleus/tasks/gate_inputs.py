"""Inputs of a gate: what candidate, baseline, numbers and profile mean, as measurements.

A side of a gate is a measurement, its document, the place of one, what a measuring task returned (which names the place of its document,
or has the numbers itself), what an upload of predictions returned (its profile: a gate without ground truth), what the uploads of all shards returned (a list: the profile
of them together), the place of a profile, or a model by its id.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError
from airflow_provider_nucleus.gating.confidence_cut import at_cut
from airflow_provider_nucleus.gating.fingerprint import data_name
from airflow_provider_nucleus.gating.measurement import MEASUREMENT_SCHEMA, Fingerprint, Measurement, Subject
from airflow_provider_nucleus.gating.profile import PROFILE_SCHEMA, Profile, merge_profiles
from airflow_provider_nucleus.gating.verdict import VERDICT_SCHEMA
from airflow_provider_nucleus.tasks.documents import read_json
from airflow_provider_nucleus.tasks.machines import explain_missing_file
from airflow_provider_nucleus.tasks.measured_results import LABELS_LEFT_OUT, measurement_of_result
from airflow_provider_nucleus.tasks.rendered_values import is_blank

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.confidence_cut import Cut
    from airflow_provider_nucleus.gating.policy import Policy

__all__ = ["Measure", "at_confidence", "measurement_of", "require_labels", "with_numbers", "with_profile"]

Measure: TypeAlias = Callable[[Mapping[str, Any]], Measurement]
"""Reads the measurement of a model from a server, by the ids that it is given."""

_FORMS = "Give what a metrics or evaluation task returned (task.output), a measurement or its place, or model_id with dataset_id."


def measurement_of(value: Any, *, name: str, measure: Measure | None = None) -> Measurement | None:
    """Return the measurement that *value* is or names, None for a blank one; *name* is the argument, for errors.

    *measure* reads it from a server where *value* is `{"dataset_id": ..., "model_id": ..., ...}`; None where that is not possible.
    """
    if is_blank(value):
        return None
    if isinstance(value, Measurement):
        return value
    if isinstance(value, Mapping):
        return _of_object(value, name=name, measure=measure)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _of_upload(_joined(value, name))
    return _of_object(_read(str(value), name), name=name, measure=measure)


def _of_object(value: Any, *, name: str, measure: Measure | None) -> Measurement:
    if not isinstance(value, Mapping):
        raise NucleusConfigError(f"{name} is {type(value).__name__}, not an object.", field=name, hint=_FORMS)
    schema = value.get("schema")
    if schema == MEASUREMENT_SCHEMA:
        return _parsed(value, name)
    if schema == VERDICT_SCHEMA:
        return _parsed(value.get("candidate"), name)
    if schema == PROFILE_SCHEMA:
        return _of_upload({"profile": value})
    if schema is not None:
        raise NucleusConfigError(
            f"{name} is a document {schema!r}, not a measurement ({MEASUREMENT_SCHEMA!r}).",
            field=name,
            hint=_FORMS,
        )
    if not is_blank(place := value.get("measurement")):
        return _of_object(_read(str(place), name), name=name, measure=measure)
    if isinstance(value.get("overall"), Mapping):
        return measurement_of_result(value)
    if value.get("profile"):
        return _of_upload(value)
    if measure is not None and value.get("model_id") and value.get("dataset_id"):
        return measure(value)
    raise NucleusConfigError(
        f"{name} has no numbers: it has {', '.join(sorted(map(str, value))[:12]) or 'no members'}.",
        field=name,
        hint=_FORMS,
    )


def _read(place: str, name: str) -> Any:
    try:
        return read_json(place)
    except FileNotFoundError as error:
        failure = NucleusSourceError(f"there is no such file, which {name} names", source=place)
        explain_missing_file(failure, place)
        raise failure from error


def _parsed(value: Any, name: str) -> Measurement:
    try:
        return Measurement.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise NucleusConfigError(
            f"{name} is no measurement: {where}: {first['msg']}.", field=name, hint=_FORMS
        ) from error


def _of_upload(value: Mapping[str, Any]) -> Measurement:
    """Return a measurement that has nothing but the profile of predictions."""
    dataset_id = value.get("dataset_id")
    named = {
        member: value[member]
        for member in ("dataset_id", "model_id", "model_run_id", "slice_id")
        if value.get(member)
    }
    slice_id = value.get("slice_id")
    return Measurement(
        subject=Subject(**named),
        fingerprint=Fingerprint(
            data=data_name("dataset", str(dataset_id)) if dataset_id else "unknown",
            scope=f"slice:{slice_id}" if slice_id else None,
        ),
        profile=dict(value["profile"]),
    )


def _joined(results: Sequence[Any], name: str) -> dict[str, Any]:
    """Return what one upload of all shards would have returned, as far as a gate reads it.

    Each shard of a slice was told how many items the whole slice has: they count once.
    """
    uploads = [one for one in results if isinstance(one, Mapping) and one.get("profile")]
    if not uploads or len(uploads) < len(results):
        raise NucleusConfigError(
            f"{name} is a list of {len(results)} of which {len(uploads)} have a profile: a list is what the uploads of all shards of a "
            "batch returned.",
            field=name,
            hint="Of other mapped tasks judge one by one: NucleusGateOperator.partial(...).expand(candidate=task.output).",
        )
    named: dict[str, Any] = {}
    for member in ("dataset_id", "model_id", "model_run_id", "slice_id"):
        found = {str(one.get(member)) for one in uploads if one.get(member)}
        if len(found) > 1:
            raise NucleusConfigError(
                f"{name} is a list of uploads of {len(found)} different {member}: {', '.join(sorted(found)[:5])}.",
                field=name,
                hint="Give a gate the shards of one model and one batch.",
            )
        named[member] = found.pop() if found else None
    parts = [Profile.model_validate(one["profile"]) for one in uploads]
    profile = merge_profiles(parts)
    if named["slice_id"] and all(one.get("slice_id") for one in uploads):
        known = [part.items for part in parts if part.items is not None]
        # An item in two shards counts as two with predictions. Where that shows, how many items are empty is not known.
        whole = max(known) if known and max(known) >= profile.items_with_predictions else None
        profile = profile.model_copy(update={"items": whole})
    return named | {"profile": profile.to_dict()}


def at_confidence(measurement: Measurement, confidence: Cut, *, name: str) -> Measurement:
    """Return *measurement* above a confidence, or with `best` above its own cut of the best F1; as it is for None.

    Raises NucleusConfigError where it has no matches to count anew.
    """
    try:
        return at_cut(measurement, confidence)
    except ValueError as error:
        raise NucleusConfigError(
            f"confidence: of {name} the numbers above a confidence cannot be had: {error}.",
            field="confidence",
            hint="Give the metrics task a report=, which has the matches; evaluations and baseline records have none.",
        ) from error


def require_labels(measurement: Measurement, policy: Policy, *, name: str) -> None:
    """Raise NucleusConfigError where rules are about labels that the result of a task was too small for: they are not missing."""
    cut = sum(
        int(note.get("count") or 0) for note in measurement.notes if note.get("note") == LABELS_LEFT_OUT
    )
    if not cut:
        return
    about = [
        rule.id
        for rule in policy.rules
        if rule.scope == "per_label" and not (rule.labels and set(rule.labels) <= set(measurement.per_label))
    ]
    if about:
        raise NucleusConfigError(
            f"{name} has the numbers of {len(measurement.per_label)} labels, and lacks {cut} that the result of a task was too small for; "
            f"{'rule' if len(about) == 1 else 'rules'} {', '.join(about)} would take them for vanished.",
            field=name,
            hint="Give the task that measures a report=: the gate reads all labels from there.",
        )


def with_numbers(measurement: Measurement, numbers: Any, *, name: str) -> Measurement:
    """Return *measurement* with numbers that the user supplies, latency for example; those of a name that it has are replaced."""
    if is_blank(numbers) or not numbers:
        return measurement
    if not isinstance(numbers, Mapping):
        raise NucleusConfigError(
            f"{name} must be an object of numbers by name, not {type(numbers).__name__}.",
            field=name,
            hint='For example {"latency_ms": 41.5}.',
        )
    supplied = dict(measurement.supplied)
    for key, value in numbers.items():
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise NucleusConfigError(
                f"{name}: {key} is {value!r}, and must be a finite number.",
                field=name,
                hint="Leave it out where it was not measured: a rule about it is missing then, which is no pass.",
            )
        supplied[str(key)] = number
    return measurement.model_copy(update={"supplied": supplied})


def with_profile(measurement: Measurement, profile: Any, *, name: str) -> Measurement:
    """Return *measurement* with the profile of its predictions: the profile, its place, or what the upload returned."""
    if is_blank(profile):
        return measurement
    if isinstance(profile, Sequence) and not isinstance(profile, str):
        profile = _joined(profile, name)
    found = profile if isinstance(profile, Mapping) else _read(str(profile), name)
    if isinstance(found, Mapping) and "schema" not in found:
        found = found.get("profile")
    if not isinstance(found, Mapping):
        raise NucleusConfigError(
            f"{name} holds no profile.",
            field=name,
            hint="Give what NucleusUploadPredictionsOperator returned, its profile or its profile_file.",
        )
    return measurement.model_copy(update={"profile": dict(found)})
