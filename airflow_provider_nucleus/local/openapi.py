"""OpenAPI document of the server, derived from its route tables and the models of its requests."""

from __future__ import annotations

import inspect
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from airflow_provider_nucleus import __version__
from airflow_provider_nucleus.local.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    FullDiskError,
    MemoryLimitError,
    NotFoundError,
    TooLargeError,
    UnauthorizedError,
    UnsupportedEncodingError,
)
from airflow_provider_nucleus.local.requests.casing import camel_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_nucleus.local.errors import ApiError
    from airflow_provider_nucleus.local.requests.base import AddressModel, RequestModel
    from airflow_provider_nucleus.local.routes.routing import FormParts, Route, RouteTable

__all__ = ["openapi_document"]

_JSON: Final = "application/json"
_PARAMETER: Final = re.compile(r"\{(\w+)(\*?)\}")
_SCHEMAS: Final = "#/components/schemas/"
_BOTH_CASINGS: Final = "Keys may be written in camelCase as well."
_SECURITY: Final[dict[str, Any]] = {
    "key": {
        "type": "http",
        "scheme": "basic",
        "description": "The key is the user name, the password empty.",
    },
    "limitedKey": {"type": "apiKey", "in": "header", "name": "x-limited-access-key"},
}


def openapi_document(tables: Mapping[str, RouteTable], *, root: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of route tables by their prefix; `root` is where the server itself is mounted."""
    routes = [(prefix, route) for prefix, table in tables.items() for route in table]
    schemas = _schemas(route for _, route in routes)
    paths: dict[str, dict[str, Any]] = {}
    for prefix, route in routes:
        path = _PARAMETER.sub(r"{\1}", route.template)
        paths.setdefault(f"{prefix}/{path}", {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nucleus (embedded)",
            "version": __version__,
            "description": "The REST contract of Scale Nucleus as this server has it, and read-only routes of its own.",
        },
        "servers": [{"url": root or "/"}],
        "security": [{name: []} for name in _SECURITY],
        "tags": _tags(route for _, route in routes),
        "paths": paths,
        "components": {
            "schemas": {
                **{name: schema for name, schema in schemas.items() if not name.endswith("Address")},
                "Error": {
                    "type": "object",
                    "properties": {"error": {"type": "string"}},
                    "required": ["error"],
                },
            },
            "responses": _responses({error for _, route in routes for error in _errors(route)}),
            "securitySchemes": _SECURITY,
        },
    }


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the schema of every model by its name."""
    models = {model for route in routes for model in (route.body, route.query) if model is not None}
    named = sorted(models, key=lambda model: model.__name__)
    _, found = models_json_schema(
        [(model, "validation") for model in named], ref_template=_SCHEMAS + "{model}"
    )
    schemas: dict[str, Any] = found.get("$defs", {})
    for model in named:
        if model.two_casings:
            schema = schemas[model.__name__]
            schema["description"] = f"{schema['description']} {_BOTH_CASINGS}"
    return schemas


def _operation(route: Route, schemas: Mapping[str, Any]) -> dict[str, Any]:
    module = _module(route)
    operation: dict[str, Any] = {
        "operationId": f"{module}.{route.handler.__name__}",
        "summary": inspect.cleandoc(route.handler.__doc__ or "").partition("\n")[0],
        "tags": [module],
        "parameters": [*map(_path_parameter, _PARAMETER.findall(route.template))],
        "responses": {
            str(route.status): {"description": "Success.", "content": {route.answers: {"schema": {}}}},
            **{
                str(error.status): {"$ref": f"#/components/responses/{error.__name__}"}
                for error in sorted(_errors(route), key=lambda error: error.status)
            },
        },
    }
    if route.query is not None:
        operation["parameters"] += _query_parameters(route.query, schemas)
    if route.body is not None:
        operation["requestBody"] = _body(route.body, route.form, schemas)
    if route.raw is not None:
        operation["requestBody"] = {"content": {route.raw: {"schema": {"type": "string"}}}}
    if route.public:
        operation["security"] = []
    return operation


def _path_parameter(found: tuple[str, str]) -> dict[str, Any]:
    name, greedy = found
    parameter: dict[str, Any] = {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    }
    return parameter | ({"description": "May hold slashes, percent-encoded or not."} if greedy else {})


def _query_parameters(model: type[AddressModel], schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
    schema = schemas[model.__name__]
    parameters = []
    for name, given in schema.get("properties", {}).items():
        plain = {key: value for key, value in given.items() if key not in {"title", "anyOf"}}
        # An address has no null, and writes true and false as text.
        kinds = [kind for kind in given.get("anyOf", ()) if kind != {"type": "null"}]
        kind = {**plain, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})}
        if isinstance(kind.get("default"), bool | None):
            kind.pop("default", None)
        content: dict[str, Any] = (
            {"content": {_JSON: {"schema": kind}}} if name in model.as_json else {"schema": kind}
        )
        parameters.append({"name": camel_case(name), "in": "query", **content})
    return parameters


def _body(model: type[RequestModel], form: FormParts | None, schemas: Mapping[str, Any]) -> dict[str, Any]:
    reference = {"$ref": _SCHEMAS + model.__name__}
    content: dict[str, Any] = {_JSON: {"schema": reference}}
    if form is not None:
        part = reference if form.field is None else schemas[model.__name__]["properties"][form.field]
        content["multipart/form-data"] = {
            "schema": {
                "type": "object",
                "properties": {
                    form.json: part,
                    form.files: {"type": "array", "items": {"type": "string", "format": "binary"}},
                },
                "required": [form.json],
            },
            "encoding": {form.json: {"contentType": _JSON}},
        }
    return {"required": bool(schemas[model.__name__].get("required")), "content": content}


def _errors(route: Route) -> set[type[ApiError]]:
    """Return the errors a route may answer with: by its kind, and those it declares."""
    errors: set[type[ApiError]] = {BadRequestError, FullDiskError, MemoryLimitError, *route.errors}
    if not route.public:
        errors.add(UnauthorizedError)
    if route.method != "GET":
        errors |= {ForbiddenError, TooLargeError, UnsupportedEncodingError}
    if "{" in route.template or route.body is not None:
        errors |= {NotFoundError, ConflictError}
    return errors


def _responses(errors: set[type[ApiError]]) -> dict[str, Any]:
    content = {_JSON: {"schema": {"$ref": f"{_SCHEMAS}Error"}}}
    return {
        error.__name__: {
            "description": inspect.cleandoc(error.__doc__ or "").partition("\n")[0],
            "content": content,
        }
        for error in sorted(errors, key=lambda error: error.status)
    }


def _tags(routes: Iterable[Route]) -> list[dict[str, str]]:
    names = dict.fromkeys(route.handler.__module__ for route in routes)
    return [
        {"name": name.rpartition(".")[2], "description": (sys.modules[name].__doc__ or "").partition("\n")[0]}
        for name in names
    ]


def _module(route: Route) -> str:
    return route.handler.__module__.rpartition(".")[2]
