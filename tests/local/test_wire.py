"""The contract over plain HTTP: what servers get wrong first, keys, limits, and clients that are not the official one."""

from __future__ import annotations

import base64
import json
import socket
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import requests

from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api, box
from tests.pictures import picture

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_errors_are_compact_json(api: Api):
    """An unknown id answers 404 with no space after the colon."""
    response = api("GET", "dataset/ds_nothing/info")

    assert (response.status_code, response.text) == (404, '{"error":"Dataset ds_nothing does not exist."}')


def test_removing_absent_model_tags_has_the_exact_text(api: Api):
    """One upstream test compares this body character by character."""
    model = api.ok("POST", "models/add", json={"name": "m", "reference_id": "tags", "tags": ["a"]})[
        "model_id"
    ]

    response = api("DELETE", f"model/{model}/tag", json={"tags": ["b"]})

    assert response.status_code == 400
    assert response.text == '{"error":"Deleted 0 tags from model. The specified tag(s) were not found."}'
    assert api.ok("DELETE", f"model/{model}/tag", json={"tags": ["a"]})["tags"] == []


def test_get_takes_a_json_body_and_delete_too(api: Api):
    """The official client sends {} with reads and data with deletions."""
    dataset = api.dataset("a")

    assert api.ok("GET", f"dataset/{dataset}/labelSchema", json={}) == {
        "gt_labels": [],
        "prediction_labels": [],
    }
    api.ok("POST", f"dataset/{dataset}/tags", json={"tags": ["x", "y"]})
    assert api.ok("DELETE", f"dataset/{dataset}/tags", json={"tags": ["x", "z"]}) == {"tags": ["y"]}


@pytest.mark.parametrize(
    "reference", ["a/b", "a%2Fb/", "/a//b", "ü né", "a?b#c&d", "100%", "...", "ref\\'\"", "a+b"]
)
def test_ids_may_hold_any_character(api: Api, reference: str):
    """Encoded or raw in the path, an id leads to its item, its annotations and its predictions."""
    dataset = api.dataset(reference)
    annotation = f"car-1-2-3-4-{reference}"
    model = api.ok("POST", "models/add", json={"name": "m", "reference_id": f"{dataset}"})["model_id"]
    for route in ("annotate", f"model/{model}/uploadPredictions"):
        api.ok(
            "POST",
            f"dataset/{dataset}/{route}",
            json={"annotations": [box(reference, annotation)], "update": False},
        )

    encoded = quote(reference, safe="")
    assert api.ok("GET", f"dataset/{dataset}/refloc/{encoded}")["item"]["reference_id"] == reference
    # requests normalises raw paths that begin or end in odd ways; what it sends unharmed must be found.
    raw = quote(reference, safe="/" if reference == "a/b" else "")
    identifier = quote(annotation, safe="/" if reference == "a/b" else "")
    assert (
        api.ok("GET", f"dataset/{dataset}/groundTruth/loc/{raw}/{identifier}")["annotation_id"] == annotation
    )
    assert (
        api.ok("GET", f"dataset/{dataset}/model/{model}/loc/{raw}/{identifier}")["annotation_id"]
        == annotation
    )
    found = api.ok("GET", f"dataset/{dataset}/model/{model}/referenceId/{raw}")
    assert [entry["reference_id"] for entry in found["annotations"]["box"]] == [reference]
    api.ok("DELETE", f"dataset/{dataset}/refloc/{encoded}", json={})
    assert api.ok("GET", f"dataset/{dataset}/size") == {"count": 0}


def test_jobs_report_running_from_the_start(api: Api):
    """Anything but Running ends the official client's wait; Queued is never shown."""
    dataset = api.dataset("a")
    request = api.ok("GET", f"dataset/{dataset}/signedUrl/r1")
    assert requests.put(request["signed_url"], data=json.dumps(box("a")) + "\n", timeout=60).ok

    job = api.ok("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": "r1", "update": False})

    assert set(job) == {"job_id", "job_last_known_status", "job_type", "job_creation_time"}
    assert (job["job_last_known_status"], job["job_type"]) == ("Running", "uploadAnnotations")
    status = api.wait(job["job_id"])
    assert (status["status"], status["job_progress"]) == ("Completed", "1.00")


def test_starting_the_same_upload_twice_gives_the_same_job(api: Api):
    """A client that lost the answer may ask again."""
    dataset = api.dataset("a")
    signed = api.ok("GET", f"dataset/{dataset}/signedUrl/twice")["signed_url"]
    assert requests.put(signed, data=json.dumps(box("a")), timeout=60).ok
    first = api.ok("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": "twice"})
    api.wait(first["job_id"])

    again = api.ok("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": "twice"})

    assert again["job_id"] == first["job_id"]
    assert len(api.ok("GET", f"dataset/{dataset}/iloc/0")["annotations"]["box"]) == 1


def test_async_without_an_upload_is_refused(api: Api):
    """A job needs rows that have arrived."""
    dataset = api.dataset("a")
    api.ok("GET", f"dataset/{dataset}/signedUrl/never")

    response = api("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": "never"})

    assert response.status_code == 400
    assert "requestId never" in response.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic " + base64.b64encode(b"wrong:").decode()},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer test_key"},
        {"x-limited-access-key": "wrong"},
    ],
)
def test_bad_keys_are_refused(nucleus: LocalNucleus, headers: dict[str, str]):
    """Every route answers 401 in JSON, unknown ones included."""
    for path in ("dataset/details", "no/such/route"):
        response = requests.get(f"{nucleus.url}/{path}", headers=headers, timeout=60)

        assert response.status_code == 401
        assert "error" in response.json()


def test_limited_access_header_opens_the_door(nucleus: LocalNucleus):
    """The key may come as x-limited-access-key instead of Basic auth."""
    headers = {"x-limited-access-key": nucleus.api_key}

    assert requests.get(f"{nucleus.url}/dataset/details", headers=headers, timeout=60).ok


def test_unimplemented_routes_say_so(api: Api):
    """A route of the contract that is missing answers 501 with its name; so does any other."""
    response = api("POST", "indexing/ds_1/setPrimary", json={})

    assert response.status_code == 501
    assert "POST indexing/{ds}/setPrimary" in response.json()["error"]
    assert api("GET", "no/such/route").status_code == 501


def test_wrong_method_is_405_in_json(api: Api):
    """The answer names the methods that would work."""
    response = api("PUT", "dataset/create")

    assert response.status_code == 405
    assert response.headers["Allow"] == "DELETE, POST"
    assert "error" in response.json()


@pytest.mark.parametrize("body", ["{", "[1]", "nul", '{"name": NaN}', "\xff", '{"name":' * 100_000])
def test_bodies_that_are_not_json_objects_are_400(api: Api, body: str):
    """The parser's complaint is the answer, not a stack trace."""
    response = api("POST", "dataset/create", data=body.encode("latin-1"))

    assert response.status_code == 400
    assert "error" in response.json()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": 5},
        {"name": "x", "is_scene": "yes"},
        {"name": "x", "item_metadata_schema": {"a": 1}},
    ],
)
def test_invalid_datasets_are_400(api: Api, body: dict):
    """Wrong types in a creation are named, not stored."""
    assert api("POST", "dataset/create", json=body).status_code == 400


def test_signed_urls_are_unguessable_and_single_purpose(api: Api, nucleus: LocalNucleus):
    """No key is needed for a PUT, but the token is; nothing can be read back."""
    dataset = api.dataset()
    signed = api.ok("GET", f"dataset/{dataset}/signedUrl/abc?s3Endpoint=http%3A%2F%2Fx")["signed_url"]

    assert requests.put(signed, data=b"{}\n", timeout=60).ok
    assert requests.put(f"{signed}x", data=b"{}\n", timeout=60).status_code == 404
    assert requests.get(signed, timeout=60).status_code == 401
    assert api("GET", signed.removeprefix(f"{nucleus.url}/")).status_code == 405


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server with small limits."""
    environment = {
        "NUCLEUS_LOCAL_JSON_BODY_LIMIT": "20000",
        "NUCLEUS_LOCAL_UPLOAD_LIMIT": "30000",
        "NUCLEUS_LOCAL_SIGNED_URL_LIFETIME": "0",
    }
    with LocalNucleus(tmp_path_factory.mktemp("small") / "data", environment=environment) as server:
        api = Api(server)
        yield api
        api.close()


def test_oversized_bodies_are_413_and_leave_nothing(small: Api):
    """Declared or streamed, a body beyond the limit is refused; the server goes on."""
    dataset = small.dataset("a")
    rows = {"annotations": [box("a", str(n)) for n in range(200)]}

    def stream() -> Iterator[bytes]:
        yield from (b" " * 1000 for _ in range(100))

    for data in (json.dumps(rows).encode(), stream()):
        response = small("POST", f"dataset/{dataset}/annotate", data=data)
        assert response.status_code == 413
        assert "error" in response.json()
    assert small.ok("GET", f"dataset/{dataset}/iloc/0")["annotations"] == {}


def test_expired_signed_urls_are_410(small: Api):
    """A URL that has expired takes nothing."""
    dataset = small.dataset()
    signed = small.ok("GET", f"dataset/{dataset}/signedUrl/x")["signed_url"]

    assert requests.put(signed, data=b"{}\n", timeout=60).status_code == 410


def test_a_client_that_hangs_up_leaves_no_upload(api: Api, nucleus: LocalNucleus):
    """Half an upload is no upload: the job cannot start on it."""
    dataset = api.dataset("a")
    signed = api.ok("GET", f"dataset/{dataset}/signedUrl/half")["signed_url"]
    address = nucleus.base_url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as wire:
        path = signed.removeprefix(nucleus.base_url)
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        wire.sendall(head.encode() + json.dumps(box("a")).encode() + b"\n")

    response = api("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": "half"})

    assert response.status_code == 400
    assert not list((nucleus.data_dir / "spool").glob("*.part"))


def test_uploaded_files_are_served_but_never_run(api: Api, nucleus: LocalNucleus):
    """A blob has an unguessable URL and cannot be a page of ours."""
    dataset = api.dataset()
    page = picture("GIF") + b"<script>"
    parts = [
        (
            "items",
            (
                None,
                json.dumps([{"reference_id": "a", "image_url": "x.html", "metadata": {}}]),
                "application/json",
            ),
        ),
        ("image", ("x.html", page, "text/html")),
    ]
    job = api.ok("POST", f"dataset/{dataset}/append?async=1", files=parts)
    assert api.wait(job["job_id"])["status"] == "Completed"
    (blob,) = [path for path in (nucleus.data_dir / "blobs").glob("*/*") if path.read_bytes() == page]

    response = requests.get(f"{nucleus.url}/files/{blob.name}", timeout=60)

    assert response.content == page
    assert response.headers["content-type"] == "application/octet-stream"
    assert requests.get(f"{nucleus.url}/files/{'0' * 40}", timeout=60).status_code == 404


def test_too_many_files_are_refused(api: Api):
    """Ten files per request is the hard limit."""
    dataset = api.dataset()
    items = [{"reference_id": str(n), "image_url": "x", "metadata": {}} for n in range(11)]
    parts = [("items", (None, json.dumps(items), "application/json"))]
    parts += [("image", ("x.png", b"x", "image/png"))] * 11

    assert api("POST", f"dataset/{dataset}/append?async=1", files=parts).status_code == 400


def test_cancelled_jobs_end_as_cancelled(api: Api):
    """Cancelling is an extension of ours; an ended job cannot be cancelled."""
    dataset = api.dataset("a")
    job = api.upload(dataset, f"dataset/{dataset}/annotate", json.dumps(box("a")))
    api.wait(job)

    assert api("POST", f"job/{job}/cancel").status_code == 409
    assert api("POST", "job/job_nothing/cancel").status_code == 404


def test_a_new_upload_under_an_old_request_id_is_a_new_job(api: Api):
    """Rows that arrived after a job had started are not taken for that job's."""
    dataset = api.dataset("a")
    jobs = []
    for name in ("1", "2"):
        signed = api.ok("GET", f"dataset/{dataset}/signedUrl/reused")["signed_url"]
        assert requests.put(signed, data=json.dumps(box("a", name)), timeout=60).ok
        jobs.append(
            api.ok("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": "reused"})["job_id"]
        )
        api.wait(jobs[-1])

    assert jobs[0] != jobs[1]
    assert [
        entry["annotation_id"] for entry in api.ok("GET", f"dataset/{dataset}/iloc/0")["annotations"]["box"]
    ] == ["1", "2"]
