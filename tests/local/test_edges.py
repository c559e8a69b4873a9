"""Requests nobody in their right mind sends: every one has an answer, and none spoils what others read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.requests.base import read_body
from airflow_provider_nucleus.local.requests.evaluations import ExamplesRequest
from tests.local.conftest import box

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus
    from tests.local.conftest import Api

_HUGE = 10**400
_LONG = 1234567890123456789
"""Makes the server read a body with the parser that loses no digit."""


def _post(api: Api, path: str, text: str, *, method: str = "POST") -> Any:
    return api(method, path, data=text.encode(), headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("value", ['"\\ud800"', "1e400", "NaN", "-Infinity", "[" * 100_000, "9" * 5000])
def test_what_is_not_json_is_refused_beside_long_numbers_too(api: Api, value: str):
    """The parser for long numbers is as strict as the usual one: half characters, infinities, endless numbers."""
    response = _post(
        api, "models/add", f'{{"name":"m","reference_id":"r","metadata":{{"n":{_LONG},"v":{value}}}}}'
    )

    assert response.status_code == 400
    assert "not valid JSON" in response.json()["error"]


def test_integers_of_any_size_come_back_with_every_digit(api: Api):
    """In the metadata of models, runs, items, scenes and schemas."""
    metadata = {"n": 2**80, "huge": _HUGE}
    model = api.ok("POST", "models/add", json={"name": "m", "reference_id": "big", "metadata": metadata})
    dataset = api.dataset("a", item_metadata_schema={"n": {"type": "number", "limit": _HUGE}})
    api.ok(
        "POST",
        f"dataset/{dataset}/metadata",
        json={"metadata": [{"reference_id": "a", "metadata": metadata}]},
    )

    assert api.ok("GET", f"model/{model['model_id']}")["metadata"] == metadata
    assert api.ok("GET", f"dataset/{dataset}/refloc/a")["item"]["metadata"] == metadata
    assert api.ok("GET", f"dataset/{dataset}/info")["item_metadata_schema"]["n"]["limit"] == _HUGE


@pytest.mark.parametrize("kind", ["polygon", "keypoints", "cuboid"])
def test_coordinates_too_large_for_a_float_are_bad_rows(api: Api, kind: str):
    """They fail their row, not the request or the job."""
    dataset = api.dataset("a")
    geometry = {
        "polygon": {"vertices": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": _HUGE, "y": 1}]},
        "keypoints": {"keypoints": [{"x": 0, "y": _HUGE, "visible": True}], "names": ["a"]},
        "cuboid": {
            "position": {"x": _HUGE, "y": 0, "z": 0},
            "dimensions": {"x": 1, "y": 1, "z": 1},
            "yaw": 0,
        },
    }[kind]
    rows = [box("a", "good"), {**box("a", "bad"), "type": kind, "geometry": geometry}]

    answer = api.ok("POST", f"dataset/{dataset}/annotate", json={"annotations": rows})

    assert (answer["annotations_processed"], len(answer["errors"])) == (1, 1)


@pytest.mark.parametrize(
    "value", ["9" * 5000, "[" * 300 + "]" * 300, '{"a":' * 1000 + "1" + "}" * 1000, "1e400"]
)
def test_metadata_that_clients_cannot_read_is_a_bad_row(api: Api, value: str):
    """One such row would make every later read of its item fail in the client."""
    dataset = api.dataset("a")
    bad = json.dumps(box("a", "bad", metadata={"v": "?"})).replace('"?"', value)
    item = f'{{"reference_id":"b","image_url":"s3://b/b.jpg","metadata":{{"v":{value}}}}}'

    annotated = api.wait(
        api.upload(dataset, f"dataset/{dataset}/annotate", f"{bad}\n{json.dumps(box('a', 'good'))}\n")
    )
    appended = api.wait(api.upload(dataset, f"dataset/{dataset}/append", item + "\n"))

    assert annotated["message"]["annotation_upload"] | {"datasetId": 0, "epoch": 0} == {
        "total": 2, "errored": 1, "ignored": 0, "processed": 1, "datasetId": 0, "epoch": 0,
    }  # fmt: skip
    assert appended["message"]["items"]["errored"] == 1
    assert [
        row["annotation_id"] for row in api.ok("GET", f"dataset/{dataset}/iloc/0")["annotations"]["box"]
    ] == ["good"]


def test_deep_bodies_are_refused(api: Api):
    """Nesting that could not be written back is refused at the door."""
    dataset = api.dataset("a")
    text = json.dumps({"annotations": [box("a", metadata={"v": "?"})]}).replace('"?"', "[" * 400 + "]" * 400)

    assert _post(api, f"dataset/{dataset}/annotate", text).status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("dataset/create", {"name": "x", "item_metadata_schema": {"f": {"type": ["category"]}}}),
        ("dataset/{ds}/add_taxonomy", {"taxonomy_name": "t", "type": ["category"], "labels": []}),
        ("dataset/{ds}/metadata", {"metadata": [], "level": ["item"]}),
        ("dataset/{ds}/modelRun/create", {"name": "r", "reference_id": ["m"]}),
        ("dataset/{ds}/modelRun/create", {"name": "r", "model_id": {"id": "m"}}),
        ("modelRun/merge", {"model_run_ids": ["a", "b"], "metadata": ["m"]}),
    ],
)
def test_lists_where_a_word_is_expected_are_refused(api: Api, path: str, body: dict[str, Any]):
    """The answer is 400, which says what is wrong."""
    assert api("POST", path.format(ds=api.dataset("a")), json=body).status_code == 400


def test_items_that_are_no_objects_are_reported_back(api: Api):
    """The old synchronous append returns bad rows with their reasons, whatever they are."""
    dataset = api.dataset()

    answer = api.ok("POST", f"dataset/{dataset}/append", json={"items": [5, None, "x"], "update": False})

    assert answer["upload_errors"] == 3
    assert [row["raw"] for row in answer["error_payload"]] == [5, None, "x"]


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "null", "x", "//"])
def test_an_origin_that_is_none_is_another_site(api: Api, origin: str):
    """A header that cannot be read is refused like one of another site."""
    assert api("POST", "jobs/", json={}, headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize("reference", ["a\nb", "a\r\nX-Evil: 1", "a\u2028", "a\x00b", "x" * 30_000])
def test_ids_with_line_breaks_and_of_any_length_are_found(api: Api, reference: str):
    """Whatever was taken as an id leads back to its item."""
    dataset = api.dataset(reference)

    found = api.ok("GET", f"dataset/{dataset}/refloc/{quote(reference, safe='')}")

    assert found["item"]["reference_id"] == reference


@pytest.mark.parametrize("path", ["dataset/%0A/info", "%0A"])
def test_a_line_break_in_a_path_needs_the_key_too(nucleus: LocalNucleus, path: str):
    """No path is answered by anything but the contract."""
    response = requests.get(f"{nucleus.url}/{path}", timeout=60)

    assert response.status_code == 401
    assert set(response.json()) == {"error"}


@pytest.mark.parametrize(
    ("changes", "frame"),
    [
        ({}, {"type": ["image"]}),
        ({}, {"width": "wide"}),
        ({}, {"height": 2**64}),
        ({"frame_rate": "fast"}, {}),
        ({"video_url": [1]}, {}),
        ({"metadata": {"a": "\ud800"}}, {}),
    ],
)
def test_bad_scenes_leave_the_good_ones(api: Api, changes: dict[str, Any], frame: dict[str, Any]):
    """A scene with a value of the wrong type is an error of its own; the job ends in part."""
    dataset = api.dataset(is_scene=True)

    def scene(name: str, changes: dict[str, Any], frame: dict[str, Any]) -> str:
        sensors = {
            "lidar": {"url": "s3://b/p.json", "type": "pointcloud", "reference_id": f"{name}-p"},
            "front": {"url": "s3://b/p.jpg", "type": "image", "reference_id": f"{name}-i", **frame},
        }
        return json.dumps({"reference_id": name, "frames": [sensors], **changes})

    lines = "\n".join([scene("bad", changes, frame), scene("good", {}, {})])
    status = api.wait(api.upload(dataset, f"{dataset}/upload_scenes", lines))

    assert status["status"] == "Errored_Partial", status
    assert status["message"]["scene_upload"] == {"created": 1, "updated": 0, "ignored": 0, "errored": 1}
    assert [entry["reference_id"] for entry in api.ok("GET", f"dataset/{dataset}/scenes_list")["scenes"]] == [
        "good"
    ]


@pytest.mark.parametrize("field", ["match_type", "sort_by"])
def test_examples_by_a_list_are_refused(field: str):
    """The answer is 400."""
    with pytest.raises(BadRequestError, match=field):
        read_body(ExamplesRequest, {field: ["TP"]})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("evaluationsV2/evalv2_x/examples", '{"offset": 1%s}' % ("0" * 30)),
        ("jobs/", '{"from_date": "0001-01-01T00:00:00+23:59"}'),
        ("jobs/", '{"to_date": "9999-12-31T23:59:59-23:59"}'),
        ("evaluationsV2/evalv2_x/charts", '{"filters": %s}' % ("[" * 900 + "]" * 900)),
        ("leaderboard/ranking", '{"metric_type": "F1", "x": %s}' % ("[" * 900 + "]" * 900)),
    ],
)
def test_values_beyond_what_can_be_computed_are_refused(api: Api, path: str, text: str):
    """Numbers no list has, moments no calendar has, nesting nobody could write back: 400, found by the fuzzer's kin."""
    assert _post(api, path, text).status_code == 400


def test_metadata_that_could_not_be_read_again_is_an_error_of_its_row(api: Api):
    """The item keeps what it had, and the other rows are merged."""
    dataset = api.dataset("a", "b")
    rows = '[{"reference_id": "a", "metadata": {"deep": %s}}, {"reference_id": "b", "metadata": {"k": 1}}]'

    for _ in range(2):
        answer = _post(
            api, f"dataset/{dataset}/metadata", '{"metadata": %s}' % (rows % ("[" * 400 + "]" * 400))
        )

        assert (answer.status_code, answer.json()["updated"]) == (200, 1)
        assert "nested deeper" in answer.json()["errors"][0]
    assert api.ok("GET", f"dataset/{dataset}/refloc/a")["item"]["metadata"] == {}


def test_rules_keep_integers_of_any_size(api: Api):
    """A rule that compares with a number beyond 64 bits is stored, applied and read back as it was sent."""
    dataset = api.dataset("a")
    api.ok("POST", f"dataset/{dataset}/annotate", json={"annotations": [box("a", "1")]})
    model = api.ok("POST", "models/add", json={"name": "m", "reference_id": f"m-{dataset}"})["model_id"]
    made = api.ok("POST", "benchmarks", json={"name": "b", "dataset_id": dataset})
    api.wait(made["job_id"])
    rule = {"type": "metadata", "scope": "item", "key": "k", "op": "EQ", "value": 10**40}

    started = api.ok(
        "POST",
        f"benchmarks/{made['benchmark_id']}/evaluationsV2",
        json={"model_id": model, "exclusion_rules": [rule]},
    )

    assert api.wait(started["workflow_id"])["status"] == "Completed"
    evaluation = api.ok("GET", f"evaluationsV2/{started['evaluation_id']}")
    assert evaluation["exclusion_rules"] == [rule]
    assert evaluation["exclusion_stats"]["rules"][0]["rule"] == rule


def test_a_ranking_by_a_list_of_scopes_is_refused(api: Api):
    """The answer is 400."""
    response = api(
        "POST", "leaderboard/ranking", json={"metric_type": "F1", "benchmark_ids": ["bm_1"], "scope": ["all"]}
    )

    assert (response.status_code, "scope" in response.text) == (400, True)


def test_a_websocket_needs_the_key_like_any_request(nucleus: LocalNucleus):
    """There are none; whoever asks for one is not answered by an error of the server."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }

    assert requests.get(f"{nucleus.url}/models/", headers=headers, timeout=60).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        None, "{}", '{"reference_ids": null}', '{"referenceIds": ["a"]}', '{"reference_id": ["a"]}', '{"item_ids": ["di_1"]}',
        '{"reference_ids": [], "item_ids": ["di_1"]}', '{"keep_history": true}', '{"reference_ids": "a"}', '{"reference_ids": [1]}',
        '["a"]',
    ],
)  # fmt: skip
def test_a_deletion_that_names_no_items_deletes_no_annotation(api: Api, body: str | None):
    """Whoever misspells the list of items does not mean all of them: the answer says how it is spelled."""
    dataset = api.dataset("a", "b")
    api.ok("POST", f"dataset/{dataset}/annotate", json={"annotations": [box("a", "1"), box("b", "2")]})

    response = api("DELETE", f"annotation/{dataset}", data=body, headers={"Content-Type": "application/json"})

    assert response.status_code == 400
    if body != '["a"]':
        assert "reference_ids" in response.json()["error"]
    assert len(api.ok("GET", f"dataset/{dataset}/refloc/b")["annotations"]["box"]) == 1


def test_an_empty_list_deletes_the_annotations_of_the_whole_dataset(api: Api):
    """As the official client sends it when no items are named."""
    dataset = api.dataset("a", "b")
    api.ok("POST", f"dataset/{dataset}/annotate", json={"annotations": [box("a", "1"), box("b", "2")]})

    job = api.ok("DELETE", f"annotation/{dataset}", json={"keep_history": True, "reference_ids": []})[
        "job_id"
    ]

    assert api.wait(job)["message"]["annotations_deleted"] == 2
    assert "box" not in api.ok("GET", f"dataset/{dataset}/refloc/b")["annotations"]
