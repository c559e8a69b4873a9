"""What a server takes at most: descriptors of results, and the memory of requests that are small until they are read."""

from __future__ import annotations

import gzip
import io
import json
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import nucleus as official
import pytest
import requests
from PIL import Image

from airflow_provider_nucleus.local.store.ingest.ndjson import LINES_AT_ONCE, read_chunk
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api, box
from tests.local.evaluated import world

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_evaluations_share_the_descriptors_of_a_small_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Twelve results, each read, with forty descriptors to spare: a result holds none."""
    monkeypatch.setattr("nucleus.async_job.JOB_POLLING_INTERVAL", 0.01)
    with LocalNucleus(tmp_path / "data") as server:
        client = official.NucleusClient(api_key=server.api_key, endpoint=server.url)
        found = world(client, {"a": {}}, [("a", "car", 0)], [("a", "car", 0, 0.9)])
        evaluations = [found.evaluate().id for _ in range(12)]
        used = _descriptors(server)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 40, used + 40))
        api = Api(server)

        answers = [api("POST", f"evaluationsV2/{name}/charts", json={}).status_code for name in evaluations]
        held = _descriptors(server)

        api.close()
    assert answers == [200] * 12
    assert held <= used + 4


def _descriptors(server: LocalNucleus) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNucleus]:
    """A server whose store may use little memory."""
    environment = {"NUCLEUS_LOCAL_MEMORY_LIMIT": "100MB"}
    with LocalNucleus(tmp_path_factory.mktemp("small") / "data", environment=environment) as server:
        yield server


@pytest.mark.parametrize(("route", "field"), [("append", "items"), ("annotate", "annotations")])
@pytest.mark.parametrize("row", [b"{}", b"[]", b'{"a":[]}', b"1,1,1,1,1"])
def test_a_body_of_more_values_than_there_is_memory_for_is_refused_unread(
    nucleus: LocalNucleus, api: Api, route: str, field: str, row: bytes
):
    """Seven megabytes of empty objects would be hundreds as rows."""
    dataset = api.dataset()
    rows = b",".join([row] * 2_100_000)
    Path(f"/proc/{nucleus.pid}/clear_refs").write_text("5")
    before = _peak(nucleus)

    answer = api(
        "POST", f"dataset/{dataset}/{route}", data=b'{"%s":[%s],"update":false}' % (field.encode(), rows)
    )

    assert answer.status_code == 413, answer.text
    assert "in several requests" in answer.json()["error"]
    assert _peak(nucleus) - before < 200


def test_a_compressed_body_is_refused_by_its_name(api: Api):
    """Nobody knows what it would become, and rows that are taken for others are worse."""
    dataset = api.dataset("a")
    signed = api.ok("GET", f"dataset/{dataset}/signedUrl/1")["signed_url"]
    body = gzip.compress(json.dumps({"annotations": [box("a")], "update": False}).encode())

    answers = [
        api("POST", f"dataset/{dataset}/annotate", data=body, headers={"Content-Encoding": "gzip"}),
        requests.put(signed, data=body, headers={"Content-Encoding": "gzip"}, timeout=60),
    ]

    assert [answer.status_code for answer in answers] == [415, 415]
    assert all("content encoding gzip" in answer.json()["error"] for answer in answers)


def test_a_body_nested_too_deep_is_refused(api: Api):
    """Wherever the depth is met: by the parser, by a model, by what writes it."""
    dataset = api.dataset("a")
    for depth in (200, 300, 900, 1020, 5_000, 500_000):
        deep = b"[" * depth + b"]" * depth
        for body in (
            deep,
            b'{"metadata":%s}' % deep,
            b'{"annotations":[{"metadata":{"a":%s}}],"update":false}' % deep,
        ):
            for path in (
                f"dataset/{dataset}/annotate",
                f"dataset/{dataset}/append",
                "models/add",
                "benchmarks",
            ):
                answer = api("POST", path, data=body)
                assert answer.status_code < 500, (path, depth, answer.text[:300])


def test_a_row_too_large_for_the_memory_is_its_own_error(small: LocalNucleus):
    """The other rows of its chunk are stored, and the error names its size."""
    api = Api(small)
    dataset = api.dataset("a")
    vertices = ",".join(f'{{"x":{n % 1000}.5,"y":{n % 999}.25}}' for n in range(400_000))
    large = json.dumps(box("a", "large", type="polygon", geometry="?")).replace(
        '"?"', f'{{"vertices":[{vertices}]}}'
    )
    lines = [json.dumps(box("a", str(n))) for n in range(10)]

    job = api.upload(dataset, f"dataset/{dataset}/annotate", "\n".join([*lines[:5], large, *lines[5:]]))
    while True:
        answer = api("GET", f"job/{job}")
        # The job may have all the memory for a moment.
        if answer.status_code != 503 and (status := answer.json())["status"] != "Running":
            break

    errors = api.ok("GET", f"job/{status['job_id']}/errors")
    counts = status["message"]["annotation_upload"]
    assert (counts["processed"], counts["errored"], counts["total"]) == (10, 1, 11)
    assert f"the row has {len(large) + 1:,} bytes, which take more memory than this server may use" in str(
        errors
    )
    assert len(str(errors)) < 5_000
    sent = api("POST", f"dataset/{dataset}/annotate", data=f'{{"annotations":[{large}],"update":false}}')
    assert (sent.status_code, "NUCLEUS_LOCAL_MEMORY_LIMIT" in sent.text) == (413, True)
    api.close()


def test_the_shortest_lines_come_in_chunks_of_bounded_rows(tmp_path: Path):
    """Sixteen million of them fit where a few hundred thousand boxes do."""
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b"{}\n" * (2 * LINES_AT_ONCE + 1))

    with path.open("rb") as file:
        first = read_chunk(file, 0, size=1 << 26)
        last = read_chunk(file, 2 * first.end, size=1 << 26)

    assert first.data.count(b"\n") == LINES_AT_ONCE
    assert (last.data, last.end) == (b"{}\n", path.stat().st_size)


def test_a_mask_of_too_many_pixels_is_left_out_with_the_reason(nucleus: LocalNucleus, api: Api):
    """Twenty kilobytes of PNG that are a gigabyte of pixels."""
    picture = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(picture, "PNG")
    dataset = api.dataset("a")
    model = api.ok("POST", "models/add", json={"name": "m", "reference_id": dataset})["model_id"]
    row = {
        "type": "mask",
        "annotations": [{"index": 0, "label": "a"}],
        "reference_id": "a",
        "mask_url": "x.png",
    }
    form = {
        "serialized_request": (None, json.dumps({"segmentations": [row], "annotations": [], "update": False}), "application/json"),
        "mask": ("x.png", picture.getvalue(), "image/png"),
    }  # fmt: skip
    api.ok("POST", f"dataset/{dataset}/annotate", files=form)
    api.ok("POST", f"dataset/{dataset}/model/{model}/uploadPredictions", files=form)
    Path(f"/proc/{nucleus.pid}/clear_refs").write_text("5")
    before = _peak(nucleus)

    job = api.ok("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json={})["job_id"]

    assert "12000 x 12000 pixels" in str(api.wait(job)["message"])
    assert _peak(nucleus) - before < 300


def _peak(server: LocalNucleus) -> int:
    """Return the most memory a server has held since `clear_refs`, in megabytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024
