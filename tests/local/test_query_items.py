"""The query language: what each path means, how conditions join, and what a query that is not one gets back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nucleus as official
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.local.requests.query import paths
from airflow_provider_nucleus.local.requests.query.compile import QueriedObjects, compile_query
from airflow_provider_nucleus.local.requests.query.errors import QueryError
from tests.local.conftest import Api
from tests.local.story import annotate, box, make_model, predict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.local.testing import LocalNucleus


@pytest.fixture(scope="module")
def street(nucleus: LocalNucleus) -> Iterator[tuple[Api, str]]:
    """Four items with metadata, boxes, a cuboid, a polygon, a mask, categories, a slice and predictions."""
    api = Api(nucleus)
    dataset = api.ok("POST", "dataset/create", json={"name": "street"})["dataset_id"]
    metadata: dict[str, dict[str, Any]] = {
        "foggy": {"weather": "fog", "frame": 5, "day": "2024-05-01T10:00:00Z", "deep": {"er/e": "x"}},
        "sunny": {"weather": "sun", "frame": 6, "day": "2024-06-01", "two words": "traffic jam"},
        "night": {"weather": "fog", "frame": 10, "is_night": True},
        "bare": {},
    }
    items = [{"reference_id": n, "image_url": f"s3://b/{n}.jpg", "metadata": m} for n, m in metadata.items()]
    api.ok("POST", f"dataset/{dataset}/append", json={"items": items, "update": False})
    cuboid = {"position": {"x": 1, "y": 2, "z": 3}, "dimensions": {"x": 4, "y": 5, "z": 6}, "yaw": 0}
    annotate(
        api, dataset,
        box("foggy", "car", 0, metadata={"speed": 30}), box("foggy", "car", 50, metadata={"speed": 80}),
        box("foggy", "traffic light", 90), box("sunny", "truck", 0), box("sunny", "bus", 40),
        {"type": "cuboid", "label": "car", "reference_id": "night", "annotation_id": "c", "geometry": cuboid},
        {"type": "category", "label": "day", "reference_id": "sunny", "geometry": {}},
        {"type": "category", "label": "dark", "reference_id": "night", "geometry": {}},
        segmentations=[
            {"type": "mask", "reference_id": "night", "mask_url": "s3://b/m.png",
             "annotations": [{"label": "road", "index": 1}, {"label": "car", "index": 2}]},
        ],
    )  # fmt: skip
    api.ok("POST", f"dataset/{dataset}/add_taxonomy", json={
        "taxonomy_name": "light", "type": "category", "labels": ["dim", "bright"], "update": False})  # fmt: skip
    annotate(
        api, dataset, {"type": "category", "label": "dim", "reference_id": "night", "taxonomy_name": "light"}
    )
    api.ok(
        "POST",
        f"dataset/{dataset}/create_slice",
        json={"name": "hard ones", "reference_ids": ["foggy", "night"]},
    )
    predict(api, dataset, make_model(api), box("sunny", "car", 0, confidence=0.5))
    yield api, dataset
    api.close()


def select(api: Api, dataset: str, query: str, **extra: Any) -> list[str]:
    """The reference ids that a query selects, in the order of the answer."""
    body = {"query": query, "pageToken": None, "pageSize": 10_000, **extra}
    return [
        item["reference_id"]
        for item in api.ok("POST", f"dataset/{dataset}/queryItemsPage", json=body)["items"]
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "foggy sunny night bare"),
        ("annotations.count = 0", "bare"),
        ("annotations.count = 3", "foggy"),
        ("annotations.count = 2", "sunny night"),  # categories do not count; a cuboid and one mask
        ("annotations.car >= 2", "foggy night"),  # a cuboid and a segment of the mask
        ('annotations."traffic light" = 1', "foggy"),
        ("annotations.box.count >= 2", "foggy sunny"),
        ("annotations.box = 3", "foggy"),
        ("annotations.box.car = 2", "foggy"),
        ("annotations.cuboid.car = 1", "night"),
        ("annotations.segmentation.road = 1", "night"),
        ("annotations.truck + annotations.bus >= 2", "sunny"),
        ("annotations.car.speed > 50", "foggy"),
        ("annotations.metadata.speed <= 30", "foggy"),
        ("annotations.metadata.speed + 20 = 50", "foggy"),
        ("annotations.position.x >= 90", "foggy"),
        ("annotations.position.z = 3", "night"),
        ("annotations.dimensions.x = 4", "night"),
        ("annotations.dimensions.x - annotations.position.x = 3", "night"),
        ("annotations.light = dim", "night"),
        ("annotations.light != dim", ""),
        ("annotations.light != bright", "night"),
        ("metadata.weather = fog", "foggy night"),
        ("metadata.weather != fog", "sunny"),  # an item without the field satisfies no comparison
        ("metadata.frame % 5 = 0", "foggy night"),
        ("metadata.frame + 1 > 6", "sunny night"),
        ("metadata.frame < -1", ""),
        ("metadata.day >= 2024-05-15", "sunny"),
        ("metadata.day = 2024-05-01", "foggy"),
        ('metadata."two words" = "traffic jam"', "sunny"),
        ('metadata.deep."er/e" = x', "foggy"),
        ("metadata.is_night = true", "night"),
        ('reference_id = "bare"', "bare"),
        ("ref_id != bare", "foggy sunny night"),
        ('slice = "hard ones"', "foggy night"),
        ('slice != "hard ones"', "sunny bare"),
        ("predictions.car = 1", "sunny"),
        ("metadata.weather = fog AND annotations.car = 2 OR reference_id = bare", "foggy night bare"),
        ("metadata.weather = sun or metadata.weather = fog and metadata.frame = 10", "sunny night"),
        ("(metadata.weather = sun or metadata.weather = fog) and metadata.frame = 10", "night"),
        ("((metadata.frame - 1) % 2) = 1 AND (annotations.car > 0)", "night"),
    ],
)
def test_a_query_selects(street: tuple[Api, str], query: str, expected: str):
    """Each path, operator and precedence of the language."""
    api, dataset = street

    assert select(api, dataset, query) == expected.split()


@pytest.mark.parametrize(
    ("query", "position", "text"),
    [
        ("annotations.car", 16, "a comparison is missing"),
        ("annotations.car >=", 19, "expected a value"),
        ("(annotations.car = 1", 1, "never closed"),
        ("annotations.car = 1 metadata.x = 2", 21, "goes on where it should end"),
        ('metadata.x = "open', 14, "never closed"),
        ("metadata.x = 'single'", 14, "no meaning here"),
        ("metadata.x = 3d", 14, "starts with a digit"),
        ("annotations.traffic-light = 1", 21, "no such path"),
        ("annotations.car = many AND annotations.count = x", 28, ""),
        ("nonsense = 1", 1, "no such path"),
        ("autotag.image.fog > 0.5", 1, "no autotags"),
        ("metadata.d = 2024-13-01", 14, "no such day"),
        ("metadata.x == 1", 13, "expected a value"),
        ("AND", 1, "expected a path"),
        ("metadata.x + 1 = fog", 18, "compared with text"),
        ("slice > night", 7, "by its name or id"),
        ("(" * 60 + "metadata.x = 1" + ")" * 60, 42, "parentheses"),
        ("metadata.x = 1 AND " * 300 + "metadata.x = 1", None, "operators"),
        ("metadata.x = 1; DROP TABLE items", 15, "no meaning here"),
        ("x" * 10_001, 10_001, "10001 characters"),
    ],
)
def test_a_malformed_query_is_a_bad_request(
    street: tuple[Api, str], query: str, position: int | None, text: str
):
    """400 with the position, what is wrong and a way out; never a server error."""
    api, dataset = street

    answer = api("POST", f"dataset/{dataset}/queryItemsPage", json={"query": query})

    if text == "":  # reads as a category and a count compared with text
        assert answer.status_code == 400
        return
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert text in error
    if position is not None:
        assert f"at character {position}," in error or "at its end" in error


def test_predictions_need_a_selected_run(street: tuple[Api, str]):
    """With two runs on a dataset the query must say which; one run is taken as selected."""
    api, _ = street
    dataset, first, second = api.dataset("a", "b"), make_model(api), make_model(api)
    run = predict(api, dataset, first, box("a", "car", 0))
    assert select(api, dataset, "predictions.car = 1") == ["a"]
    other = predict(api, dataset, second, box("b", "car", 0))

    answer = api("POST", f"dataset/{dataset}/queryItemsPage", json={"query": "predictions.car = 1"})

    assert answer.status_code == 400
    assert "no model run is selected" in answer.json()["error"]
    assert select(api, dataset, "predictions.car = 1", model_run_id=run) == ["a"]
    assert select(api, dataset, "predictions.car = 1", model_run_id=other) == ["b"]


def test_pages_are_complete_and_tokens_belong_to_their_listing(street: tuple[Api, str]):
    """Pages of one item give every item once; a token of another query, a forged or altered one is refused."""
    api, dataset = street
    body: dict[str, Any] = {"query": "metadata.weather = fog", "pageSize": 1}
    first = api.ok("POST", f"dataset/{dataset}/queryItemsPage", json=body)
    token = first["nextPageToken"]
    second = api.ok("POST", f"dataset/{dataset}/queryItemsPage", json={**body, "pageToken": token})

    assert [i["reference_id"] for i in first["items"] + second["items"]] == ["foggy", "night"]
    assert second["nextPageToken"] is None
    bad = [
        ("", token),
        ("metadata.weather = fog", token[:-3] + "AAA"),
        ("metadata.weather = fog", "7"),
        ("", 7),
        ("", "é"),
    ]
    for query, forged in bad:
        answer = api("POST", f"dataset/{dataset}/queryItemsPage", json={"query": query, "pageToken": forged})
        assert answer.status_code == 400, forged
        assert "pageToken" in answer.json()["error"]


@pytest.mark.parametrize("size", [0, -1, 1.5, "many", True])
def test_a_page_size_that_is_none_is_refused(street: tuple[Api, str], size: Any):
    """Only whole numbers of at least 1 are page sizes."""
    api, dataset = street

    assert (
        api("POST", f"dataset/{dataset}/queryItemsPage", json={"query": "", "pageSize": size}).status_code
        == 400
    )


def test_the_official_client_queries_items(client: official.NucleusClient, street: tuple[Api, str]):
    """query_items iterates over dataset items, and raises for a malformed query."""
    _, dataset = street
    found = list(client.get_dataset(dataset).query_items("annotations.car >= 2"))

    assert [item.reference_id for item in found] == ["foggy", "night"]
    assert found[0].metadata["frame"] == 5
    with pytest.raises(official.errors.NucleusAPIError, match="Query not understood"):
        list(client.get_dataset(dataset).query_items("annotations.car >>> 2"))


def test_the_examples_of_the_documentation_are_queries():
    """Every example of docs/query-language.md compiles, and its table names every path there is."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "query-language.md").read_text()
    examples = text.split("```")[1].strip().splitlines()

    assert len(examples) == 4
    for example in examples:
        assert compile_query(example, QueriedObjects(truth=1, predictions=2)).parameters
    for path in re.findall(r"``([a-z_]+\.?[^`]*)``", str(paths.__doc__)):
        assert path.split("|", maxsplit=1)[0].split("[")[0].rstrip(". ") in text, path


WORDS = st.sampled_from([
    "annotations", "predictions", "metadata", ".", "count", "car", '"a b"', "=", "!=", "<", ">=", "%", "+", "-", "(", ")",
    "AND", "or", "1", "2.5", "2024-01-01", "slice", "reference_id", "'", ";", "--", "/*", "\\", '"', "?", "$1", "é", "\x00",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=30))
def test_any_text_is_either_a_condition_of_parameters_or_a_query_error(query: str):
    """Nothing of a query reaches the SQL text, whatever it holds; anything not understood is a QueryError."""
    marked = query.replace("car", "xyzzy")

    try:
        condition = compile_query(marked, QueriedObjects(truth=1, predictions=2))
    except QueryError:
        return

    assert "xyzzy" not in condition.sql
    assert condition.sql.count("?") == len(condition.parameters)
    assert not set(condition.sql) & set(";\\\x00$é")
