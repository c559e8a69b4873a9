"""The OpenAPI document of the embedded server, and a fuzzer that sends what the document allows. Needs no Airflow.

Requests are made by schemathesis from the document; ids of things that exist, rows that are nearly right and queries that
can be read are put among what it invents, so that requests get past the door. Bounded: as many requests per operation
as `NUCLEUS_FUZZ_EXAMPLES` says, the same ones in every run unless `NUCLEUS_FUZZ_SEED` is set; `NUCLEUS_FUZZ_PATH` narrows a hunt by hand to paths that hold it.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.fuzz.world import EXTREME_TEXTS, EXTREMES, QUERIES, ROWS, Ids, world
from tests.local.conftest import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemathesis import APIOperation, Case

_EXAMPLES = int(os.environ.get("NUCLEUS_FUZZ_EXAMPLES", "6"))
_SEED = os.environ.get("NUCLEUS_FUZZ_SEED")
_PATH = os.environ.get("NUCLEUS_FUZZ_PATH", "")


@schemathesis.serializer("application/x-ndjson")
def _ndjson(_: Any, value: Any) -> bytes:
    """Rows of an upload: text, which need not be rows at all."""
    return str(value).encode(errors="replace")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNucleus]:
    """A server of this module's own: the fuzzer leaves little standing."""
    with LocalNucleus(tmp_path_factory.mktemp("fuzzed") / "nucleus") as running:
        yield running


@pytest.fixture(scope="module")
def document(server: LocalNucleus) -> dict[str, Any]:
    """The document as the server publishes it."""
    answer = requests.get(f"{server.base_url}/openapi.json", auth=(server.api_key, ""), timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def _row(draw: st.DrawFn) -> Any:
    """A row of an upload, of which up to two fields are anything."""
    row = json.loads(json.dumps(draw(st.sampled_from(ROWS))))
    for _ in range(draw(st.integers(0, 2))):
        place = row
        name = draw(st.sampled_from(sorted(place)))
        if isinstance(place[name], dict) and place[name] and draw(st.booleans()):
            place, name = place[name], draw(st.sampled_from(sorted(place[name])))
        place[name] = draw(_JSON)
    return row


def _known(draw: st.DrawFn, value: Any, ids: Ids) -> Any:
    """Return a body in which most ids name something that is there, and most rows are nearly right."""
    if draw(st.integers(0, 29)) == 0:
        return draw(st.sampled_from(EXTREMES))
    if isinstance(value, list):
        return [_known(draw, entry, ids) for entry in value]
    if not isinstance(value, dict):
        return value
    changed = {}
    for name, entry in value.items():
        likely = draw(st.integers(0, 9)) > 1
        if (
            likely
            and name in {"annotations", "segmentations", "items", "metadata", "scenes"}
            and isinstance(entry, list)
        ):
            changed[name] = draw(st.lists(_row(), max_size=4))
        elif likely and name in ids and isinstance(entry, list):
            changed[name] = draw(st.lists(st.sampled_from(ids[name]), max_size=3))
        elif likely and name in ids and isinstance(entry, str):
            changed[name] = draw(st.sampled_from(ids[name]))
        elif likely and name == "query" and isinstance(entry, str):
            changed[name] = draw(st.sampled_from(QUERIES))
        else:
            changed[name] = _known(draw, entry, ids)
    return changed


@st.composite
def _cases(draw: st.DrawFn, operation: APIOperation, ids: Ids) -> Case:
    case = draw(operation.as_strategy())
    case.headers.clear()
    for part in (case.path_parameters, case.query):
        for name in part:
            if name in ids and draw(st.integers(0, 9)) > 0:
                part[name] = draw(st.sampled_from(ids[name]))
            elif name == "query":
                part[name] = draw(st.sampled_from(QUERIES))
    if case.media_type == "application/json":
        case.body = _known(draw, case.body, ids)
    return case


def _problem(case: Case, answer: requests.Response, declared: dict[str, Any]) -> str | None:
    """Return what is wrong with an answer, or None."""
    request = f"{case.method} {answer.request.path_url}\n{str(answer.request.body)[:600]}\n-> {answer.status_code} {answer.text[:300]}"
    if answer.status_code >= 500 and not (answer.status_code == 501 and "501" in declared):
        return f"an error of the server: {request}"
    if str(answer.status_code) not in declared:
        return f"a status that the document does not have: {request}"
    content = answer.headers.get("content-type", "")
    allowed = declared[str(answer.status_code)].get("content", {})
    if content != "application/json" and "*/*" not in allowed:
        return f"a content type that the document does not have ({content}): {request}"
    if content == "application/json":
        json.loads(answer.content)
    return None


def _fuzz(operation: APIOperation, ids: Ids, send: Callable[[Case], requests.Response]) -> list[str]:
    declared = {
        status: operation.schema.raw_schema["components"]["responses"][entry["$ref"].rpartition("/")[2]]
        if "$ref" in entry
        else entry
        for status, entry in operation.definition.raw["responses"].items()
    }
    problems: list[str] = []

    @settings(
        max_examples=_EXAMPLES,
        derandomize=_SEED is None,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_cases(operation, ids))
    def run(case: Case) -> None:
        found = _problem(case, send(case), declared)
        if found is not None:
            problems.append(found)

    if _SEED is not None:
        run = seed(int(_SEED))(run)
    run()
    return problems[:3]


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that another refers to, or may be beside null."""
    for kind in (schema, *schema.get("anyOf", ())):
        if "$ref" in kind:
            return dict(schemas[kind["$ref"].rpartition("/")[2]])
    return schema


def _fields(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the path of every field of a body, and of the objects in it."""
    for name, kind in schema.get("properties", {}).items():
        yield (name,)
        for path in (
            _fields(_resolved(kind, schemas), schemas) if "$ref" in str(kind.get("anyOf", kind)) else ()
        ):
            yield (name, *path)


def _least(schema: dict[str, Any], schemas: dict[str, Any], ids: Ids) -> dict[str, Any]:
    """Return a small body that most often is taken."""
    body: dict[str, Any] = {}
    for name in schema.get("required", ()):
        kind = _resolved(schema["properties"][name], schemas)
        known = ids.get(name, ["x"])
        examples = {"array": known[:2], "integer": 1, "boolean": False, "object": {}}
        body[name] = kind["enum"][0] if "enum" in kind else examples.get(str(kind.get("type")), known[0])
    return body


def test_every_field_takes_or_refuses_every_extreme(server: LocalNucleus, document: dict[str, Any]):
    """Field by field, and parameter by parameter: values at the ends of what can be computed are no error of the server."""
    api = Api(server)
    ids, schemas, problems = world(api), document["components"]["schemas"], []
    for path, methods in document["paths"].items():
        address = re.sub(r"\{(\w+)\}", lambda found: quote(ids.get(found[1], ["x"])[0], safe=""), path)
        for method, operation in methods.items():
            if method == "delete" or _PATH not in path:
                continue
            for request in _extreme_requests(operation, schemas, ids):
                answer = api.session.request(method, server.base_url + address, timeout=60, **request)
                if answer.status_code not in {int(status) for status in operation["responses"]}:
                    problems.append(
                        f"{method} {path} {str(request)[:200]} -> {answer.status_code} {answer.text[:200]}"
                    )
    api.close()

    assert problems == [], "\n".join(problems[:20])


def _extreme_requests(
    operation: dict[str, Any], schemas: dict[str, Any], ids: Ids
) -> Iterator[dict[str, Any]]:
    for parameter in operation["parameters"]:
        if parameter["in"] == "query":
            yield from ({"params": {parameter["name"]: value}} for value in EXTREME_TEXTS)
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is not None:
        schema = _resolved(content["schema"], schemas)
        for path in _fields(schema, schemas):
            for value in EXTREMES:
                body = _least(schema, schemas, ids)
                place = body
                for name in path[:-1]:
                    place = place.setdefault(name, {}) if isinstance(place.get(name, {}), dict) else place
                place[path[-1]] = value
                yield {"json": body}


def test_server_keeps_its_word_whatever_the_document_allows(server: LocalNucleus, document: dict[str, Any]):
    """No answer is an error of the server, each has a declared status and type; deletions come last."""
    api = Api(server)
    ids = world(api)
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == sum(len(entry) for entry in document["paths"].values())

    def send(case: Case) -> requests.Response:
        arguments = case.as_transport_kwargs(base_url=server.base_url)
        return api.session.request(**arguments, timeout=60, auth=(server.api_key, ""))

    problems = []
    for operation in sorted(operations, key=lambda entry: entry.method.upper() == "DELETE"):
        if _PATH not in operation.path:
            continue
        problems += _fuzz(operation, ids, send)
    api.close()

    assert problems == [], "\n\n".join(problems)
