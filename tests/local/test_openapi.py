"""The OpenAPI document: valid, complete, behind the key, and right wherever the server is mounted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from openapi_spec_validator import validate
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from airflow_provider_nucleus.local.openapi import openapi_document
from airflow_provider_nucleus.local.routes.all_routes import all_routes
from airflow_provider_nucleus.local.routes.diagnostics import DIAGNOSTICS_PREFIX
from airflow_provider_nucleus.local.routes.diagnostics import ROUTES as DIAGNOSTICS
from airflow_provider_nucleus.local.server import API_PREFIX, create_app
from airflow_provider_nucleus.local.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_nucleus.local.testing import LocalNucleus

TABLES = {API_PREFIX: all_routes(), DIAGNOSTICS_PREFIX: DIAGNOSTICS}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document of a server that is mounted nowhere."""
    return openapi_document(TABLES, root="")


def test_document_is_valid(document: dict[str, Any]):
    """It is OpenAPI 3.1 to the letter: ids are unique, every reference leads somewhere, defaults fit their schemas."""
    validate(document)


def test_every_route_is_in_the_document(document: dict[str, Any]):
    """One operation per route, named by its handler, with the first line that says what it does."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]

    assert len(operations) == sum(len(list(table)) for table in TABLES.values())
    assert all(operation["summary"].endswith((".", ":")) or operation["summary"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_routes_say_what_they_take(document: dict[str, Any]):
    """Path, address, body, form, status and security of a route are what its decorator declares."""
    append = document["paths"]["/v1/nucleus/dataset/{ds}/append"]["post"]
    benchmark = document["paths"]["/v1/nucleus/benchmarks"]["post"]
    upload = document["paths"]["/v1/nucleus/uploads/{token}"]["put"]
    compare = document["paths"]["/ui/api/evaluations/{ev}/compare/{other}"]["get"]

    assert [(entry["name"], entry["in"]) for entry in append["parameters"]] == [
        ("ds", "path"),
        ("async", "query"),
    ]
    assert set(append["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert set(append["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]) == {
        "items",
        "image",
    }
    assert [status for status in benchmark["responses"] if status < "300"] == ["202"]
    assert benchmark["requestBody"]["required"]
    assert (upload["security"], "410" in upload["responses"], "401" in upload["responses"]) == (
        [],
        True,
        False,
    )
    assert {"iouThreshold", "minimumConfidence", "apReplicates"} <= {
        entry["name"] for entry in compare["parameters"]
    }


def test_schemas_carry_the_bounds_of_the_models(document: dict[str, Any]):
    """What a model refuses, its schema refuses."""
    schemas = document["components"]["schemas"]

    assert schemas["ExamplesRequest"]["properties"]["match_type"]["anyOf"][0]["enum"] == ["TP", "FP", "FN"]
    assert schemas["BuildSliceRequest"]["properties"]["sampleSize"]["maximum"] == 100_000
    assert schemas["MatchRequest"]["additionalProperties"] is False
    assert schemas["CreateModelRequest"]["required"] == ["name", "reference_id"]
    assert not [name for name in schemas if name.endswith("Address")]


def test_document_needs_the_key(nucleus: LocalNucleus):
    """Either kind of key opens it; without one the answer is that of every route."""
    url = f"{nucleus.base_url}/openapi.json"

    assert requests.get(url, timeout=60).status_code == 401
    assert requests.get(url, timeout=60).headers["WWW-Authenticate"].startswith("Basic")
    limited = requests.get(url, headers={"x-limited-access-key": nucleus.api_key}, timeout=60)
    assert limited.json() == requests.get(url, auth=(nucleus.api_key, ""), timeout=60).json()
    assert limited.json()["servers"] == [{"url": "/"}]


def test_paths_lie_below_the_mount(tmp_path: Path):
    """A server below another application is found where it is mounted, by its document as well."""
    app = create_app(tmp_path / "data", settings=Settings(api_key="k"))
    outer = Starlette(routes=[Mount("/some/where", app)])
    with TestClient(app), TestClient(outer) as client:
        client.auth = ("k", "")
        document = client.get("/some/where/openapi.json").json()

        assert document["servers"] == [{"url": "/some/where"}]
        made = client.post(
            f"{document['servers'][0]['url']}/v1/nucleus/dataset/create", json={"name": "below the mount"}
        )
        assert made.status_code == 200, made.text
