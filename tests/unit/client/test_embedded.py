"""The routes of the core pipeline against the embedded Nucleus, through both transports: a real server, real jobs."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from airflow_provider_nucleus import schema
from airflow_provider_nucleus.client import (
    AsyncNucleusClient,
    BytesContent,
    FileContent,
    NucleusClient,
    NucleusConfig,
    check_target,
    wait_for_job,
    wait_for_job_async,
)
from airflow_provider_nucleus.client.calls import (
    annotations,
    datasets,
    items,
    jobs,
    metrics,
    models,
    predictions,
    query,
    slices,
)
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusAuthError,
    NucleusJobFailed,
    NucleusNotFoundError,
    NucleusRequestError,
)

pytestmark = pytest.mark.usefixtures("nucleus")

REFERENCES = ["../front/./1 a.png", "50%?#[é].png", "plain"]


class Either:
    """A client of either transport, used alike from a plain function."""

    def __init__(self, kind, config):
        self.kind = kind
        self.config = config
        self._sync = NucleusClient(config)

    def send(self, call):
        if self.kind == "requests":
            return self._sync.send(call)
        return self._run(lambda client: client.send(call))

    def wait(self, job_id):
        if self.kind == "requests":
            return wait_for_job(self._sync, job_id, poll_interval=0.05, timeout=60)
        return self._run(lambda client: wait_for_job_async(client, job_id, poll_interval=0.05, timeout=60))

    def pages(self, first):
        if self.kind == "requests":
            return list(self._sync.pages(first))

        async def collect(client):
            return [each async for each in client.pages(first)]

        return self._run(collect)

    def _run(self, use):
        async def run():
            async with AsyncNucleusClient(self.config) as client:
                return await use(client)

        return asyncio.run(run())

    def close(self):
        self._sync.close()


@pytest.fixture(params=["requests", "httpx"])
def client(request, nucleus):
    """A client of the running server."""
    made = Either(
        request.param, NucleusConfig(endpoint=nucleus.url, api_key=nucleus.api_key, conn_id="embedded")
    )
    yield made
    made.close()


def put_rows(client, dataset_id, rows):
    """Put rows at a signed address and return the request id."""
    request_id = items.new_request_id()
    url = client.send(items.signed_url(dataset_id, request_id))
    body = b"".join(json.dumps(row.to_wire()).encode() + b"\n" for row in rows)
    client.send(items.put_signed(url, BytesContent(body)))
    return request_id


@pytest.fixture
def dataset_id(client):
    """A dataset with three items whose names have everything that URLs care about."""
    made = client.send(datasets.create_dataset(f"client {uuid.uuid4().hex}"))
    rows = [schema.DatasetItem(f"s3://bucket/{name}", name, {"n": n}) for n, name in enumerate(REFERENCES)]
    job = client.send(items.start_append(made, put_rows(client, made, rows)))
    client.wait(job.job_id)
    return made


def test_items_come_back_as_they_were_sent(client, dataset_id):
    """By page, by index, by reference id, by the server's id."""
    listed = client.pages(items.items_page(dataset_id, page_size=2))

    assert [item.reference_id for item in listed] == REFERENCES
    assert client.send(datasets.dataset_size(dataset_id)) == 3
    assert client.send(datasets.dataset_info(dataset_id)).length == 3
    for index, item in enumerate(listed):
        assert client.send(items.item_by_index(dataset_id, index)).item == item
        assert client.send(items.item_by_reference(dataset_id, item.reference_id)).item == item
        assert client.send(items.item_by_id(dataset_id, item.dataset_item_id)).item == item


def test_every_type_of_annotation_comes_back_as_it_was_sent(client, dataset_id):
    """Sent at once and by job, read by item and by id, exported."""
    name = "plain"
    sent = [
        schema.BoxAnnotation("car", 1, 2.5, 3, 4, name, metadata={"a": [1, None]}, track_reference_id="t"),
        schema.PolygonAnnotation(
            "bus", [schema.Point(1, 2), schema.Point(3, 4), schema.Point(5, 1)], name, "p"
        ),
        schema.LineAnnotation("lane", [schema.Point(1, 2), schema.Point(3, 4)], name, "l"),
        schema.KeypointsAnnotation(
            "face", [schema.Keypoint(1, 2), schema.Keypoint(visible=False)], ["a", "b"], name
        ),
        schema.CuboidAnnotation("car", schema.Point3D(1, 2, 3), schema.Point3D(4, 5, 6), 0.5, name, "c"),
        schema.CategoryAnnotation("day", name, "time"),
    ]
    rows = [annotation.to_wire() for annotation in sent]
    client.send(datasets.add_taxonomy(dataset_id, "time", labels=["day"]))

    first = client.send(annotations.annotate(dataset_id, rows))
    again = client.send(annotations.annotate(dataset_id, rows))
    job = client.send(annotations.start_annotate(dataset_id, put_rows(client, dataset_id, sent), update=True))
    client.wait(job.job_id)

    assert (first.processed, first.ignored, first.errors) == (6, 0, [])
    assert (again.processed, again.ignored) == (0, 6)
    found = client.send(items.item_by_reference(dataset_id, name)).annotations
    assert sent == [
        each for kind in ("box", "polygon", "line", "keypoints", "cuboid", "category") for each in found[kind]
    ]
    assert client.send(annotations.annotation(dataset_id, name, sent[0].annotation_id)) == sent[0]
    exported = client.pages(items.export_page(dataset_id, page_size=2))
    assert [len(row.objects) for row in exported] == [0, 0, 6]


def test_predictions_are_matched_and_the_matches_can_be_read(client, dataset_id):
    """The whole pipeline, with a reference id full of slashes."""
    name = REFERENCES[0]
    model_id = client.send(models.create_model("m", reference_id=uuid.uuid4().hex, metadata={"a": 1}))
    boxes = [schema.BoxAnnotation("car", x, 0, 10, 10, name) for x in (0, 100)]
    predicted = [schema.BoxPrediction("car", x, 0, 10, 10, name, 0.5 + x / 1000) for x in (1, 300)]
    client.send(annotations.annotate(dataset_id, [box.to_wire() for box in boxes]))

    request_id = put_rows(client, dataset_id, predicted)
    client.wait(client.send(predictions.start_upload_predictions(dataset_id, model_id, request_id)).job_id)
    started = client.send(metrics.calculate_metrics(dataset_id, model_id))
    client.wait(started["job_id"])

    run = started["model_run_id"]
    by_mode = {
        mode: client.pages(query.query_matches_page(dataset_id, run, mode=mode))
        for mode in ("iou", "false_positive", "false_negative")
    }
    assert {mode: len(found) for mode, found in by_mode.items()} == {
        "iou": 1,
        "false_positive": 1,
        "false_negative": 1,
    }
    assert by_mode["iou"][0].iou == pytest.approx(90 / 110)
    assert [match.confusion_category for found in by_mode.values() for match in found] == [
        "true_positive",
        "false_positive",
        "false_negative",
    ]
    stored = client.send(predictions.item_predictions_by_reference(dataset_id, model_id, name))["box"]
    assert sorted(stored, key=lambda box: box.x) == predicted
    one = client.send(predictions.prediction(dataset_id, model_id, name, predicted[0].annotation_id))
    assert one == predicted[0]
    assert client.send(models.get_model(run)).id == model_id
    assert client.send(datasets.dataset_model_runs(dataset_id)) == [run]


def test_bad_rows_are_reported_both_ways(client, dataset_id):
    """At once in the answer, by job in its errors; neither is an HTTP error."""
    rows = [schema.BoxAnnotation("car", 0, 0, 1, 1, name) for name in ("plain", "nowhere")]

    answer = client.send(annotations.annotate(dataset_id, [row.to_wire() for row in rows]))
    job = client.send(annotations.start_annotate(dataset_id, put_rows(client, dataset_id, rows), update=True))
    with pytest.raises(NucleusJobFailed, match="refused 1 rows with status Completed"):
        client.wait(job.job_id)
    errors = [schema.RowError.from_wire(text) for text in client.send(jobs.job_errors(job.job_id))]

    assert (answer.processed, len(answer.errors)) == (1, 1)
    assert "nowhere" in answer.errors[0]
    assert [error.reference_id for error in errors] == ["nowhere"]
    assert client.send(jobs.get_job(job.job_id)).job_type == "uploadAnnotations"
    assert job.job_id in {
        each.job_id for each in client.send(jobs.list_jobs(dataset_id=dataset_id, show_completed=True))
    }


def test_images_and_masks_of_this_machine_are_taken_in(client, dataset_id, tmp_path):
    """Multipart, in the layout of the official client."""
    from PIL import Image

    image = tmp_path / "i 1.png"
    mask = tmp_path / "m 1.png"
    Image.new("L", (4, 3)).save(image)
    Image.new("L", (4, 3), 1).save(mask)
    row = schema.DatasetItem(str(image), "local").to_wire()

    job = client.send(items.append_local_images(dataset_id, [row], [FileContent.of(image)]))
    client.wait(job.job_id)
    drawn = schema.SegmentationAnnotation(str(mask), [schema.Segment("road", 1)], "local")
    answer = client.send(
        annotations.annotate_local_masks(dataset_id, [drawn.to_wire()], [FileContent.of(mask)])
    )

    assert (answer.processed, answer.errors) == (1, [])
    found = client.send(items.item_by_reference(dataset_id, "local"))
    assert found.item.image_location == str(image)
    assert [each.mask_url for each in found.annotations["segmentation"]] == [str(mask)]


def test_slices_select_items(client, dataset_id):
    """Created, extended, listed, deleted."""
    slice_id = client.send(slices.create_slice(dataset_id, "s", reference_ids=REFERENCES[:1]))
    client.send(slices.append_to_slice(slice_id, dataset_id, REFERENCES[:2]))

    found = client.pages(slices.slice_items_page(slice_id, page_size=1))

    assert sorted(item.reference_id for item in found) == sorted(REFERENCES[:2])
    assert client.send(slices.slice_info(slice_id)).name == "s"
    client.send(slices.delete_slice(slice_id))
    with pytest.raises(NucleusNotFoundError):
        client.send(slices.slice_info(slice_id))


def test_deleting_an_item_deletes_just_that(client, dataset_id):
    """Whatever its name is made of."""
    for left, name in enumerate(reversed(REFERENCES)):
        client.send(items.delete_item(dataset_id, name))

        assert client.send(datasets.dataset_size(dataset_id)) == 2 - left


def test_what_is_not_there_and_what_is_not_allowed_are_told_apart(client, nucleus):
    """Unknown ids, taken reference ids, malformed queries, wrong keys, wrong paths."""
    made = client.send(datasets.create_dataset("errors"))
    reference_id = uuid.uuid4().hex
    client.send(models.create_model("m", reference_id=reference_id))

    with pytest.raises(NucleusNotFoundError):
        client.send(datasets.dataset_info("ds_none"))
    with pytest.raises(NucleusRequestError):
        client.send(models.create_model("m", reference_id=reference_id))
    with pytest.raises(NucleusRequestError):
        client.send(query.query_items_page(made, "metadata.a = = 3"))
    stranger = Either(client.kind, NucleusConfig(endpoint=nucleus.url, api_key="wrong_key"))
    with pytest.raises(NucleusAuthError):
        stranger.send(datasets.list_datasets())
    stranger.close()
    lost = Either(client.kind, NucleusConfig(endpoint=nucleus.base_url, api_key=nucleus.api_key))
    with pytest.raises(NucleusAnswerError):
        lost.send(datasets.list_datasets())
    lost.close()


def test_a_target_introduces_itself(nucleus):
    """What the connection test shows."""
    with NucleusClient(NucleusConfig(endpoint=nucleus.url, api_key=nucleus.api_key)) as client:
        assert "visible with this key" in str(check_target(client))


def test_deletions_of_whole_objects(client, dataset_id):
    """Annotations, model, dataset."""
    client.send(
        annotations.annotate(dataset_id, [schema.BoxAnnotation("car", 0, 0, 1, 1, "plain").to_wire()])
    )
    client.wait(client.send(annotations.delete_annotations(dataset_id, ["plain"])).job_id)
    model_id = client.send(models.create_model("m", reference_id=uuid.uuid4().hex))

    assert client.send(items.item_by_reference(dataset_id, "plain")).annotations == {}
    client.send(models.delete_model(model_id))
    client.send(datasets.delete_dataset(dataset_id))
    with pytest.raises(NucleusNotFoundError):
        client.send(datasets.dataset_info(dataset_id))
