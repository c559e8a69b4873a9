"""Sides of a gate, candidate or baseline, as measurements: one reader of all forms that a task or the command is given.

| given | the measurement |
| --- | --- |
| a measurement, or its document | itself |
| a judgement | its candidate |
| what a measuring task returned | the document that it names, else the numbers in it |
| a profile, or what an upload of predictions returned | one with that profile alone: a gate without ground truth |
| a list of what the uploads of all shards returned | one with the profile of them together |
| ids of a model and a data set | what is measured by them |
| the place of one of these | what is there |

Nothing is opened here: whoever reads sides says how a place and how a server are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydantic import BaseModel, ValidationError

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.confidence_cut import at_cut
from airflow_provider_nucleus.gating.fingerprint import data_name
from airflow_provider_nucleus.gating.measurement import (
    MEASUREMENT_SCHEMA,
    Coverage,
    Fingerprint,
    Measurement,
    Numbers,
    Subject,
    numbers_of,
)
from airflow_provider_nucleus.gating.profile import PROFILE_SCHEMA, Profile, merge_profiles
from airflow_provider_nucleus.gating.verdict import VERDICT_SCHEMA

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.confidence_cut import Cut

__all__ = ["LABELS_LEFT_OUT", "Measure", "SideReader", "measurement_of_result"]

LABELS_LEFT_OUT: Final = "labels_left_out"
"""Note of a measurement whose labels are not all there."""

Measure: TypeAlias = Callable[[Mapping[str, Any]], Measurement]
"""Reads the measurement of a model from a server, by the ids that it is given."""

_IDS: Final = ("dataset_id", "model_id", "model_run_id", "slice_id")
_MOST: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SideReader:
    """Reader of sides and profiles; errors are NucleusConfigError and begin with the name that the caller gives the side.

    *read* returns what the JSON document at a place holds (place, name of the side), *measure* reads a model's numbers from a server, where
    there is one; *hint* says in errors what would be right.
    """

    read: Callable[[str, str], Any]
    hint: str
    measure: Measure | None = None

    def side(self, value: Any, name: str, *, cut: Cut = None) -> Measurement:
        """Return the measurement that *value* is or names, above *cut*."""
        if isinstance(value, Measurement):
            return self._above(value, cut, name)
        value = self._joined(value, name)
        return self.document(
            value if isinstance(value, Mapping) else self.read(str(value), name), name, cut=cut
        )

    def document(self, value: Any, name: str, *, cut: Cut = None) -> Measurement:
        """Return the measurement that an object is, above *cut*."""
        if not isinstance(value, Mapping):
            raise NucleusConfigError(
                f"{name} is {type(value).__name__}, not an object.", field=name, hint=self.hint
            )
        try:
            found = self._of_object(value, name)
        except ValidationError as error:
            raise self._unknown(error, name, "a measurement") from error
        return self._above(found, cut, name)

    def profile(self, value: Any, name: str) -> dict[str, Any]:
        """Return the profile that *value* is, that an upload or the uploads of all shards returned, or that is at a place."""
        value = self._joined(value, name)
        found = value if isinstance(value, Mapping) else self.read(str(value), name)
        if isinstance(found, Mapping) and "schema" not in found:
            found = found.get("profile")
        if not isinstance(found, Mapping):
            raise NucleusConfigError(
                f"{name} holds no profile.",
                field=name,
                hint="Give what NucleusUploadPredictionsOperator returned, its profile or its profile_file.",
            )
        return dict(found)

    def _joined(self, value: Any, name: str) -> Any:
        """Return the uploads of all shards as one, anything but a list as it is."""
        if isinstance(value, Mapping | str) or not isinstance(value, Sequence):
            return value
        try:
            return _one_upload(value, name)
        except ValidationError as error:
            raise self._unknown(error, name, "a list of uploads") from error

    def _unknown(self, error: ValidationError, name: str, kind: str) -> NucleusConfigError:
        wrong = [
            f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False)
        ]
        more = f" and {len(wrong) - _MOST} more" if len(wrong) > _MOST else ""
        return NucleusConfigError(
            f"{name} is not {kind} as this version knows it: {'; '.join(wrong[:_MOST])}{more}.",
            field=name,
            hint=self.hint,
        )

    def _of_object(self, value: Mapping[str, Any], name: str) -> Measurement:
        schema = value.get("schema")
        if schema == MEASUREMENT_SCHEMA:
            return Measurement.model_validate(value)
        if schema == VERDICT_SCHEMA:
            return Measurement.model_validate(value.get("candidate"))
        if schema == PROFILE_SCHEMA:
            return _of_upload({"profile": value})
        if schema is None:
            if (place := str(value.get("measurement") or "").strip()) not in {"", "None"}:
                return self.document(self.read(place, name), name)
            if isinstance(value.get("overall"), Mapping):
                return measurement_of_result(value)
            if value.get("profile"):
                return _of_upload(value)
            if self.measure is not None and value.get("model_id") and value.get("dataset_id"):
                return self.measure(value)
        members = ", ".join(sorted(map(str, value))[:12]) or "no members"
        raise NucleusConfigError(
            f"{name} is neither a measurement ({MEASUREMENT_SCHEMA}) nor a judgement ({VERDICT_SCHEMA}), a profile ({PROFILE_SCHEMA}) or what "
            f"a task returned with its numbers; {f'it has {members}' if schema is None else f'its schema is {schema!r}'}.",
            field=name,
            hint=self.hint,
        )

    def _above(self, measurement: Measurement, cut: Cut, name: str) -> Measurement:
        try:
            return at_cut(measurement, cut)
        except ValueError as error:
            raise NucleusConfigError(
                f"confidence: of {name} the numbers above a confidence cannot be had: {error}.",
                field="confidence",
                hint="Give the metrics task a report=, which has the matches; evaluations and baseline records have none.",
            ) from error


class _Result(BaseModel):
    """Result of a measuring task, as far as a measurement needs it; anybody may have written it by hand."""

    overall: dict[str, Any]
    fingerprint: Fingerprint
    coverage: Coverage | None = None
    iou_threshold: Any = None
    per_class_ap: dict[str, Any] | None = None
    per_label: dict[str, dict[str, Any]] | None = None
    labels: int | None = None
    notes: list[dict[str, Any]] | None = None


def measurement_of_result(result: Mapping[str, Any]) -> Measurement:
    """Return the measurement in what a measuring task returned, without rows; a note says how many labels the result lacks.

    Raises NucleusConfigError when the result is not one of a task that measures, pydantic's ValidationError when a member of it is wrong.
    """
    if not isinstance(result.get("fingerprint"), dict) or not isinstance(result.get("overall"), dict):
        raise NucleusConfigError(
            "The result of a task has no numbers with a fingerprint.",
            hint="Give what NucleusCalculateMetricsOperator or NucleusEvaluateModelOperator returned, or the place of a measurement.",
        )
    read = _Result.model_validate(result)
    # Precision over classes has one number a label.
    per_label = {label: Numbers(values={"ap": value}) for label, value in (read.per_class_ap or {}).items()}
    per_label |= {label: numbers_of(counts) for label, counts in (read.per_label or {}).items()}
    notes = list(read.notes or ())
    missing = (read.labels or 0) - len(per_label)
    if missing > 0:
        notes.append({
            "note": LABELS_LEFT_OUT,
            "count": missing,
            "text": f"{missing} labels are not in the task's result, which was too small for them; its report has all.",
        })
    coverage = read.coverage or Coverage()
    return Measurement(
        subject=Subject(**{
            name: result[name] for name in Subject.model_fields if result.get(name) is not None
        }),
        fingerprint=read.fingerprint,
        coverage=coverage,
        iou_threshold=read.iou_threshold,
        overall=numbers_of(read.overall, items=coverage.items),
        per_label=per_label,
        notes=notes,
    )


def _of_upload(value: Mapping[str, Any]) -> Measurement:
    """Return a measurement that has nothing but the profile of predictions."""
    dataset_id, slice_id = value.get("dataset_id"), value.get("slice_id")
    return Measurement(
        subject=Subject(**{member: value[member] for member in _IDS if value.get(member)}),
        fingerprint=Fingerprint(
            data=data_name("dataset", str(dataset_id)) if dataset_id else "unknown",
            scope=f"slice:{slice_id}" if slice_id else None,
        ),
        profile=value["profile"],
    )


def _one_upload(results: Sequence[Any], name: str) -> dict[str, Any]:
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
    for member in _IDS:
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
