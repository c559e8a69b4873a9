"""Declaration of the objects that travel: a frozen pydantic dataclass whose complaints name the field.

Constructing an object validates everything. Reading one back (`from_wire`) validates only its shape, because what a
server stored years ago under other rules must stay readable. Parsing a row that is about to be sent (`parse_*`)
validates everything again.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar, cast, dataclass_transform

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema import checks

__all__ = [
    "Answer",
    "ClassPdf",
    "Confidence",
    "Coordinate",
    "Embedding",
    "Extent",
    "Flag",
    "Id",
    "Label",
    "Metadata",
    "NullableMetadata",
    "OptionalId",
    "OptionalText",
    "Position",
    "Text",
    "require_object",
    "translate",
    "trusted",
    "wire_object",
]

T = TypeVar("T")

Text = Annotated[str, PlainValidator(checks.check_text)]
Label = Annotated[str, PlainValidator(checks.check_label)]
OptionalText = Annotated[str | None, PlainValidator(checks.check_optional_text)]
Id = Annotated[str, PlainValidator(checks.check_id)]
OptionalId = Annotated[str | None, PlainValidator(checks.check_optional_id)]
Coordinate = Annotated[float, PlainValidator(checks.check_coordinate)]
Extent = Annotated[float, PlainValidator(checks.check_extent)]
Position = Annotated[int, PlainValidator(checks.check_position)]
Flag = Annotated[bool, PlainValidator(checks.check_flag)]
Metadata = Annotated[dict[str, Any], PlainValidator(checks.check_metadata)]
NullableMetadata = Annotated[dict[str, Any] | None, PlainValidator(checks.check_nullable_metadata)]
Embedding = Annotated[list[float] | None, PlainValidator(checks.check_embedding)]
Confidence = Annotated[float | None, PlainValidator(checks.check_confidence)]
ClassPdf = Annotated[dict[str, float] | None, PlainValidator(checks.check_class_pdf)]


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, dataclasses.Field))
def wire_object(cls: type[T]) -> type[T]:
    """Make a class a frozen, validating dataclass that raises NucleusValidationError and nothing else."""
    made = pydantic_dataclass(frozen=True, config=ConfigDict(extra="forbid"))(cls)
    generated = made.__init__
    positions = tuple(field.name for field in dataclasses.fields(made) if field.init and not field.kw_only)

    @functools.wraps(generated)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # ruff: ignore[dunder-function-name]
        if len(args) > len(positions):
            raise TypeError(
                f"{cls.__name__} takes at most {len(positions)} positional arguments, got {len(args)}"
            )
        try:
            generated(self, *args, **kwargs)
        except ValidationError as error:
            raise translate(error, cls.__name__, positions) from None

    made.__init__ = __init__  # type: ignore[method-assign]
    return cast("type[T]", made)


def translate(error: ValidationError, what: str, positions: tuple[str, ...] = ()) -> NucleusValidationError:
    """Turn the first complaint of pydantic into ours: dotted field and plain reason."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = [
        positions[part] if depth == 0 and isinstance(part, int) and part < len(positions) else str(part)
        for depth, part in enumerate(first["loc"])
    ]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, NucleusValidationError):
        return NucleusValidationError(".".join([*path, *filter(None, [cause.field])]), cause.reason)
    kind = first["type"]
    if kind in {"missing", "missing_argument"}:
        reason = "is missing"
    elif kind in {"unexpected_keyword_argument", "extra_forbidden"}:
        reason = f"is not a field of {what}"
    else:
        reason = str(cause) if cause is not None else first["msg"]
    return NucleusValidationError(".".join(path), reason)


def trusted(cls: type[T], values: dict[str, Any]) -> T:
    """Build an object from values already known to be good, complete and in field order; checks nothing."""
    made = object.__new__(cls)
    made.__dict__.update(values)
    return made


def require_object(payload: object, what: str) -> Mapping[str, Any]:
    """Return the payload if it is a JSON object, else complain about `what`."""
    if not isinstance(payload, Mapping):
        raise NucleusValidationError("", f"{what} must be an object, got {checks.excerpt(payload)}")
    return payload


class Answer(BaseModel):
    """Base of what servers return: frozen, unknown keys ignored, read with `from_wire`."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        protected_namespaces=(),
        coerce_numbers_to_str=True,
    )

    @classmethod
    def from_wire(cls, payload: object) -> Self:
        """Read one object of an answer; NucleusValidationError names the key that is missing or wrong."""
        try:
            return cls.model_validate(payload)
        except ValidationError as error:
            raise translate(error, cls.__name__) from None

    def to_wire(self) -> dict[str, Any]:
        """Spell the object with the keys of the wire."""
        return self.model_dump(mode="json", by_alias=True)
