"""Uploads, byte for byte beside the official client: JSON batches, signed files, multipart forms."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import textwrap

import nucleus
import pytest

from airflow_provider_nucleus import schema
from airflow_provider_nucleus.client import BytesContent, FileContent, NucleusClient, NucleusConfig
from airflow_provider_nucleus.client.calls import annotations, items, predictions, scenes
from airflow_provider_nucleus.exceptions import NucleusValidationError
from tests.unit.client.scripted import Reply

KEY = "k" * 20
JOB = {"job_id": "job_1", "job_last_known_status": "Running", "job_type": "t", "job_creation_time": "now"}


def batch(source):
    """One batch with every type, in the classes of either library."""
    point, segment = source.Point, source.Segment
    return [
        source.BoxAnnotation("car", 0, 0.5, 10, 1e-7, "image_1", metadata={"é": [1, None, {"a": 2.5}]}),
        source.PolygonAnnotation(
            "bus", [point(1, 2), point(3.5, 4), point(5, 6)], "image_1", annotation_id="p"
        ),
        source.LineAnnotation("lane", [point(1, 2), point(3, 4)], "image_1", annotation_id="l"),
        source.KeypointsAnnotation(
            "face", [source.Keypoint(1, 2), source.Keypoint(visible=False)], ["a", "b"], "image_1", [[0, 1]]
        ),
        source.CuboidAnnotation("car", source.Point3D(1, 2, 3), source.Point3D(4, 5, 6), 0.5, "cloud", "c1"),
        source.CategoryAnnotation("day", "image_1", "time"),
        source.MultiCategoryAnnotation(["a", "b"], "image_1"),
        source.SegmentationAnnotation(
            "s3://b/m.png", [segment("road", "1", {"k": "v"}), segment("sky", 2)], "image_1"
        ),
    ]


@pytest.fixture
def ours(server):
    with NucleusClient(NucleusConfig(endpoint=server.endpoint, api_key=KEY)) as client:
        yield client


@pytest.fixture
def official(server):
    return nucleus.NucleusClient(KEY, endpoint=server.endpoint)


def sent(server):
    found = list(server.requests)
    server.requests.clear()
    return found


def test_a_json_batch_is_the_same_byte_for_byte(server, ours, official):
    """Both batches of the call: masks first, then everything else."""
    server.otherwise = Reply(
        200, {"dataset_id": "ds_1", "annotations_processed": 1, "annotations_ignored": 0}
    )
    official.get_dataset("ds_1").annotate(batch(nucleus), update=True)
    expected = sent(server)

    rows = [annotation.to_wire() for annotation in batch(schema)]
    ours.send(annotations.annotate("ds_1", rows[-1:], update=True))
    answer = ours.send(annotations.annotate("ds_1", rows[:-1], update=True))

    assert [request.body for request in expected] == [request.body for request in sent(server)]
    assert (answer.processed, answer.ignored, answer.errors) == (1, 0, [])


def test_rows_and_masks_of_one_batch_travel_in_two_lists(server, ours):
    """The route takes both at once."""
    server.otherwise = Reply(200, {"dataset_id": "ds_1"})

    ours.send(annotations.annotate("ds_1", [annotation.to_wire() for annotation in batch(schema)]))

    body = sent(server)[0].json
    assert (
        list(body),
        len(body["annotations"]),
        len(body["segmentations"]),
    ) == (["update", "annotations", "segmentations"], 7, 1)


def test_the_signed_flow_asks_for_the_same(server, ours, official):
    """Address, file, start: with our own request id where the official client makes one up."""
    script = [
        Reply(200, {"signed_url": f"{server.origin}/bucket/key?sig=1"}),
        Reply(200, ""),
        Reply(200, JOB),
    ]
    server.answers(*script)
    official.get_dataset("ds_1").annotate(batch(nucleus), asynchronous=True)
    expected = sent(server)
    server.answers(*script)

    request_id = items.new_request_id()
    url = ours.send(items.signed_url("ds_1", request_id))
    rows = b"".join(schema_line(annotation) for annotation in batch(schema))
    ours.send(items.put_signed(url, BytesContent(rows)))
    ours.send(annotations.start_annotate("ds_1", request_id))

    actual = sent(server)
    assert [r.method for r in expected] == [r.method for r in actual] == ["GET", "PUT", "POST"]
    theirs_id = expected[0].path.rsplit("/", 1)[1]
    assert len(theirs_id) == len(request_id)
    assert expected[0].path.replace(theirs_id, request_id) == actual[0].path
    assert (expected[1].path, expected[1].body) == (actual[1].path, actual[1].body)
    assert expected[2].path == actual[2].path
    assert expected[2].json | {"requestId": request_id} == actual[2].json
    unwanted = {"authorization", "content-type"}
    assert not unwanted & set(expected[1].headers)
    assert not unwanted & set(actual[1].headers)


def schema_line(annotation):
    import json

    return json.dumps(annotation.to_wire()).encode() + b"\n"


def test_starting_predictions_asks_for_the_same(server, ours, official):
    """With the trained slice, null when there is none."""
    script = [Reply(200, {"signed_url": f"{server.origin}/bucket/key"}), Reply(200, ""), Reply(200, JOB)]
    server.answers(*script)
    model = nucleus.Model("prj_1", "m", "ref", {}, official)
    official.get_dataset("ds_1").upload_predictions(
        model, [nucleus.BoxPrediction("car", 0, 0, 1, 1, "image_1", 0.5)], asynchronous=True
    )
    expected = sent(server)[2]
    server.answers(Reply(200, JOB), Reply(200, JOB))
    request_id = expected.json["requestId"]

    ours.send(predictions.start_upload_predictions("ds_1", "prj_1", request_id))
    ours.send(predictions.start_upload_run_predictions("run_1", request_id, dataset_id="ds_1"))

    actual, run = sent(server)
    assert (expected.path, expected.json) == (actual.path, actual.json)
    assert run.path == "/v1/nucleus/dataset/ds_1/modelRun/run_1/uploadPredictions?async=1"


OFFICIAL_MULTIPART = """
    import sys, nucleus
    endpoint, key, folder = sys.argv[1:]
    client = nucleus.NucleusClient(key, endpoint=endpoint)
    dataset = client.get_dataset("ds_1")
    masks = [nucleus.SegmentationAnnotation(f"{folder}/m {n}.png", [nucleus.Segment("road", 1)], f"image_{n}") for n in (1, 2)]
    dataset.annotate(masks, update=True)
    items = [nucleus.DatasetItem(f"{folder}/i {n}.jpg", f"image_{n}", {"n": n}) for n in (1, 2)]
    try:
        dataset.append(items, update=True)
    except Exception:
        pass
"""


@pytest.fixture
def files(tmp_path):
    for name in ("m 1.png", "m 2.png", "i 1.jpg", "i 2.jpg"):
        (tmp_path / name).write_bytes(name.encode() * 50_000)
    return tmp_path


def test_multipart_forms_have_the_same_parts_in_the_same_order(server, ours, files):
    """Masks and images: names, types, file names, bytes; the official client runs apart, because it patches asyncio."""
    plain = {"Content-Type": "application/json"}
    server.answers(Reply(200, {"dataset_id": "ds_1", "annotations_processed": 2}, plain))
    server.otherwise = Reply(200, JOB | {"use_privacy_mode": False, "is_scene": False}, plain)
    script = textwrap.dedent(OFFICIAL_MULTIPART)
    subprocess.run(
        [sys.executable, "-c", script, server.endpoint, KEY, str(files)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    expected = [r for r in sent(server) if r.headers.get("content-type", "").startswith("multipart/")]

    masks = [
        schema.SegmentationAnnotation(
            f"{files}/m {n}.png", [schema.Segment("road", 1)], f"image_{n}"
        ).to_wire()
        for n in (1, 2)
    ]
    with_images = [schema.DatasetItem(f"{files}/i {n}.jpg", f"image_{n}", {"n": n}).to_wire() for n in (1, 2)]
    ours.send(
        annotations.annotate_local_masks(
            "ds_1", masks, [FileContent.of(mask["mask_url"]) for mask in masks], update=True
        )
    )
    ours.send(
        items.append_local_images(
            "ds_1", with_images, [FileContent.of(item["image_url"]) for item in with_images], update=True
        )
    )

    actual = sent(server)
    assert 2 == len(expected) == len(actual)
    for theirs, mine in zip(expected, actual, strict=True):
        assert (theirs.method, theirs.path) == (mine.method, mine.path)
        assert _parts(theirs) == _parts(mine)
        assert str(len(mine.body)) == mine.headers["content-length"]


def _parts(request):
    boundary = re.search(r"boundary=(\S+)", request.headers["content-type"]).group(1)
    parts = request.body.split(f"--{boundary}".encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    return [tuple(part.split(b"\r\n\r\n", 1)) for part in parts[1:-1]]


def test_multipart_goes_through_the_asynchronous_transport_too(server, transport, files):
    """Length announced, bytes complete."""
    server.answers(Reply(200, {"dataset_id": "ds_1", "predictions_processed": 1}))
    mask = schema.SegmentationPrediction(f"{files}/m 1.png", [schema.Segment("road", 1)], "image_1").to_wire()
    call = predictions.upload_local_prediction_masks(
        "ds_1", "prj_1", [mask], [FileContent.of(mask["mask_url"])]
    )

    answer = transport(server).send(call)

    assert answer.processed == 1
    assert (files / "m 1.png").read_bytes() in server.requests[0].body
    assert str(len(server.requests[0].body)) == server.requests[0].headers["content-length"]


def test_a_multipart_form_is_sent_again_from_the_start(server, transport, files):
    """Files are opened anew."""
    server.answers(Reply(503, {}), Reply(200, {"dataset_id": "ds_1"}))
    mask = schema.SegmentationAnnotation(f"{files}/m 1.png", [schema.Segment("road", 1)], "image_1").to_wire()

    transport(server).send(
        annotations.annotate_local_masks("ds_1", [mask], [FileContent.of(mask["mask_url"])])
    )

    assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize("count", [0, 11])
def test_more_files_than_the_api_takes_are_refused(count):
    """Ten at most."""
    rows = [{"image_url": f"{n}.jpg"} for n in range(count)]

    with pytest.raises(NucleusValidationError):
        items.append_local_images("ds_1", rows, [BytesContent(b"")] * count)


def test_a_mask_that_is_no_png_is_refused():
    """As the official client does."""
    with pytest.raises(NucleusValidationError, match="PNG"):
        annotations.annotate_local_masks("ds_1", [{"mask_url": "a.jpg"}], [BytesContent(b"")])


def test_nan_never_reaches_the_wire(ours):
    """JSON has no NaN, whatever Python writes."""
    with pytest.raises(NucleusValidationError, match="JSON"):
        ours.send(annotations.annotate("ds_1", [{"type": "box", "geometry": {"x": float("nan")}}]))


def test_scene_uploads_start_on_their_own_routes(server, ours):
    """The dataset id stands first in the path."""
    server.otherwise = Reply(200, JOB)

    ours.send(scenes.start_append_lidar_scenes("ds_1", "0" * 32))
    ours.send(scenes.start_append_video_scenes("ds_1", "0" * 32))

    assert [request.path for request in sent(server)] == [
        "/v1/nucleus/ds_1/upload_scenes?async=1",
        "/v1/nucleus/ds_1/upload_video_scenes?async=1",
    ]


def test_an_alternative_store_is_passed_on(server, ours):
    """Environments with their own S3."""
    server.answers(Reply(200, {"signed_url": "https://s3/x"}))

    with contextlib.suppress(NucleusValidationError):
        ours.send(items.signed_url("ds_1", "a" * 32, s3_endpoint="https://minio:9000"))

    assert server.requests[0].path.endswith("?s3Endpoint=https%3A%2F%2Fminio%3A9000")
