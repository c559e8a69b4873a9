"""Base of the models of requests: strict, and each complaint is one sentence with the field's name as the client wrote it.

Nothing is coerced: true is no number and "1" no 1. A model ignores fields that it does not have, unless it forbids them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.exact_json import parse_json
from airflow_provider_nucleus.local.requests.casing import snake_case, snake_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

__all__ = [
    "DECIMAL", "DIGITS", "AddressModel", "Flag", "Labels", "Name", "RequestModel", "Rows", "Strings", "Switch", "TwoCasingsModel",
    "distinct", "must", "nothing_is", "read_address", "read_body",
]  # fmt: skip

M = TypeVar("M", bound="RequestModel")
A = TypeVar("A", bound="AddressModel")


class RequestModel(BaseModel):
    """A request as it is read by `read_body`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    two_casings: ClassVar[bool] = False
    """True when clients write the keys in snake_case or in camelCase, as they like."""
    complaints: ClassVar[Mapping[str, str]] = {}
    """Sentences for fields whose name says less than a sentence does."""
    unknown: ClassVar[str] = "fields"
    """Word for what is refused where the model forbids what it does not have."""


class TwoCasingsModel(RequestModel):
    """A request whose keys are in snake_case or in camelCase."""

    two_casings: ClassVar[bool] = True


class AddressModel(TwoCasingsModel):
    """A query string as it is read by `read_address`; a parameter without a value is one that is not there."""

    as_json: ClassVar[frozenset[str]] = frozenset()
    """Parameters that hold JSON."""


def nothing_is(default: Any, kind: Any) -> BeforeValidator:
    """Return a validator that takes null for the default, and says so in the schema; `kind` is the type that is sent."""
    return BeforeValidator(lambda value: default if value is None else value, json_schema_input_type=kind)


def must(wanted: str) -> WrapValidator:
    """Return a validator that says in its own words what a field must be."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"must be {wanted}") from None

    return WrapValidator(check)


def distinct(values: Sequence[str]) -> list[str]:
    """Return each text once, in the order of its first mention."""
    return list(dict.fromkeys(values))


Flag = Annotated[bool, nothing_is(False, bool | None)]
"""True or false; null means false."""
Name = Annotated[str, Field(min_length=1), must("a non-empty string")]
Strings = Annotated[list[str], must("a list of strings"), nothing_is([], list[str] | None)]
"""A list of strings; null means an empty one."""
Labels = Annotated[tuple[str, ...], Field(strict=False, min_length=1), must("a non-empty list of strings")]
Rows = Annotated[list[Any], must("a list")]
"""Rows of an upload, which are checked one by one where they are stored."""


def _digits(text: Any) -> Any:
    if isinstance(text, str):
        if not text.isascii() or not text.isdigit() or len(text) > _LONGEST:
            raise ValueError("must be a whole number")
        return int(text)
    return text


def _float(text: Any) -> Any:
    return float(text) if isinstance(text, str) else text


_LONGEST: Final = 18
_EXCERPT: Final = 60
DIGITS = BeforeValidator(_digits)
"""Reads a whole number as an address writes it."""
DECIMAL = BeforeValidator(_float)
"""Reads a number as an address writes it."""

Switch = Annotated[
    bool,
    BeforeValidator(
        lambda text: text in {"1", "true", True}, json_schema_input_type=Literal["0", "1", "false", "true"]
    ),
]
"""On for 1 and true, off for everything else."""

_WANTED: Final[Mapping[str, str]] = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "finite_number": "a number",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "string_type": "a string",
    "literal_error": "{expected}",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
    "string_too_short": "a non-empty string",
    "too_short": "a non-empty list",
}


def read_body(model: type[M], value: Any, *, what: str = "The request body") -> M:
    """Return the request that a JSON value stands for; raises `BadRequestError` with one sentence about what is wrong."""
    if not isinstance(value, dict):
        raise BadRequestError(f"{what} must be a JSON object.")
    return _read(model, value)


def read_address(model: type[A], query: Mapping[str, str]) -> A:
    """Return what the query string of an address says; raises `BadRequestError`."""
    return _read(
        model,
        {
            name: parse_json(text, what=name) if name in model.as_json else text
            for name, text in query.items()
            if text
        },
    )


def _read(model: type[M], value: dict[str, Any]) -> M:
    try:
        return model.model_validate(snake_keys(value) if model.two_casings else value)
    except ValidationError as error:
        raise BadRequestError(_sentence(error, model, value)) from None


def _sentence(error: ValidationError, model: type[RequestModel], value: Any) -> str:
    details = error.errors(include_url=False)
    unknown = [entry for entry in details if entry["type"] == "extra_forbidden"]
    if unknown:
        return _unknown(unknown, model, value)
    first = details[0]
    place = first["loc"]
    if place and str(place[0]) in model.complaints:
        return model.complaints[str(place[0])]
    if first["type"] == "missing":
        return f"{_key_as_sent(place[:-1], value) or 'The request body'} lacks {place[-1]!r}."
    name = _key_as_sent(place, value)
    if first["type"] == "value_error":
        text = str(first["ctx"]["error"])
        return f"{name} {text.rstrip('.')}." if name else text
    context = first.get("ctx", {})
    wanted = _WANTED.get(first["type"])
    if wanted is None:
        return f"{name}: {first['msg']}."
    if "expected" in context:
        context = {"expected": _choice(context["expected"])}
    got = f", not {_excerpt(first['input'])}" if first["type"] == "literal_error" else ""
    return f"{name} must be {wanted.format(**context)}{got}."


def _excerpt(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}..."


def _choice(expected: str) -> str:
    choices = expected.replace("'", "").replace(" or ", ", ").split(", ")
    return f"one of {', '.join(choices)}" if len(choices) > 2 else " or ".join(choices)


def _unknown(unknown: list[ErrorDetails], model: type[RequestModel], value: Any) -> str:
    owner = unknown[0]["loc"][:-1]
    names = sorted(
        _key_as_sent(entry["loc"], value).rpartition(".")[2]
        for entry in unknown
        if entry["loc"][:-1] == owner
    )
    inner = _model_at(model, owner)
    known = (
        ""
        if inner is None
        else ", ".join(sorted(field.alias or name for name, field in inner.model_fields.items()))
    )
    if not owner:
        return f"Unknown {model.unknown} {names}; this route takes {known}."
    where = _key_as_sent(owner, value)
    known = f"; it takes {known}" if known else ""
    return (
        f"Unknown {where} {names}{known}."
        if where.isidentifier()
        else f"{where} has unknown fields {names}{known}."
    )


def _model_at(model: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel] | None:
    """Return the model of a part of a request, None where there are several kinds to choose from."""
    for part in place:
        if isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        models = _models_in(fields[part].annotation) if part in fields else set()
        if len(models) != 1:
            return None
        (model,) = models
    return model


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    """Return the models in a type, however it is wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in get_args(annotation) for model in _models_in(part)}


def _key_as_sent(place: Sequence[int | str], value: Any) -> str:
    """Return the path of a field as the client wrote it; parts that only tell kinds of objects apart are left out."""
    name, current = "", value
    for part in place:
        if isinstance(part, int):
            if isinstance(current, list | tuple):
                name, current = f"{name}[{part}]", current[part]
            continue
        if not isinstance(current, dict):
            continue
        written = next((key for key in current if key == part or snake_case(key) == part), None)
        if written is not None:
            name, current = f"{name}.{written}" if name else written, current[written]
    return name
