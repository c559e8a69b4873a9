"""The whole story through the unmodified official client over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nucleus as official
import pytest
from cli.client import init_client
from cli.nu import nu
from click.testing import CliRunner
from nucleus import (
    BoxAnnotation,
    BoxPrediction,
    CategoryAnnotation,
    CategoryPrediction,
    CuboidAnnotation,
    CuboidPrediction,
    DatasetItem,
    Frame,
    Keypoint,
    KeypointsAnnotation,
    KeypointsPrediction,
    LidarScene,
    LineAnnotation,
    LinePrediction,
    MultiCategoryAnnotation,
    Point,
    Point3D,
    PolygonAnnotation,
    PolygonPrediction,
    SceneCategoryAnnotation,
    Segment,
    SegmentationAnnotation,
    SegmentationPrediction,
)

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_nucleus.local.testing import LocalNucleus

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c636000000002000148afa471"
    "0000000049454e44ae426082"
)
SQUARE = [Point(0, 0), Point(10, 0), Point(10, 10.5)]


@pytest.fixture
def dataset(client: official.NucleusClient) -> official.Dataset:
    """A dataset with three remote items."""
    dataset = client.create_dataset("story", is_scene=False)
    items = [
        DatasetItem(f"https://example.com/{n}.jpg", f"item/{n}", metadata={"n": n, "when": "night"})
        for n in range(3)
    ]
    job = dataset.append(items)
    job.sleep_until_complete(verbose_std_out=False)
    return dataset


def annotations(ref: str) -> list:
    return [
        BoxAnnotation("car", 1, 2, 3, 4.5, ref, "box-1", metadata={"a": [1, {"b": None}]}, _task_id="task 1"),
        LineAnnotation("lane", SQUARE[:2], ref, "line-1", metadata={"k": 1.0}),
        PolygonAnnotation("lake", SQUARE, ref, "poly-1"),
        KeypointsAnnotation(
            "face", [Keypoint(1, 2, True), Keypoint(None, None, False)], ["eye", "ear"], ref, [[0, 1]], "kp-1"
        ),
        CategoryAnnotation("cat", ref, metadata={"sure": True}),
        MultiCategoryAnnotation(["cat", "dog"], ref),
        SegmentationAnnotation(
            "s3://masks/1.png", [Segment("sky", 1), Segment("sea", 2, {"d": 1})], ref, "mask-1"
        ),
    ]


def flat(location: dict) -> list:
    return [entry for entries in location["annotations"].values() for entry in entries]


def test_items_come_back_as_sent(client: official.NucleusClient, dataset: official.Dataset):
    """Index, reference id (with a slash) and item id all lead to the item that was uploaded."""
    expected = DatasetItem("https://example.com/1.jpg", "item/1", metadata={"n": 1, "when": "night"})

    by_index = dataset.iloc(1)["item"]

    assert expected == by_index
    assert expected == dataset.refloc("item/1")["item"]
    assert expected == dataset.loc(by_index.dataset_item_id)["item"]
    assert [f"item/{n}" for n in range(3)] == [
        item.reference_id for item in dataset.items_generator(page_size=1)
    ]
    assert dataset.size == 3


def test_annotations_of_every_type_come_back_equal(client: official.NucleusClient, dataset: official.Dataset):
    """What annotate() takes, refloc() gives back, field for field."""
    sent = annotations("item/0")

    answer = dataset.annotate(sent)

    assert answer == {"dataset_id": dataset.id, "annotations_processed": 7, "annotations_ignored": 0}
    location = dataset.refloc("item/0")
    assert set(location["annotations"]) == {
        "box", "line", "polygon", "keypoints", "category", "multicategory", "segmentation"
    }  # fmt: skip
    read = {type(entry): entry for entry in flat(location)}
    for annotation in sent:
        assert read[type(annotation)] == annotation
    assert dataset.ground_truth_loc("item/0", "poly-1") == sent[2]


def test_second_upload_is_ignored_or_replaces(client: official.NucleusClient, dataset: official.Dataset):
    """Without update the stored objects stay, with it they change; there is always one of each."""
    dataset.annotate(annotations("item/0"))
    ignored = dataset.annotate(annotations("item/0"))
    changed = BoxAnnotation("truck", 9, 9, 9, 9, "item/0", "box-1", _task_id="task 1")
    replaced = dataset.annotate([changed, CategoryAnnotation("dog", "item/0")], update=True)

    assert (ignored["annotations_processed"], ignored["annotations_ignored"]) == (0, 7)
    assert (replaced["annotations_processed"], replaced["annotations_ignored"]) == (2, 0)
    found = dataset.refloc("item/0")["annotations"]
    assert found["box"] == [changed]
    assert [entry.label for entry in found["category"]] == ["dog"]
    assert len(found["polygon"]) == len(found["segmentation"]) == 1


def test_unknown_reference_ids_are_reported_not_raised(
    client: official.NucleusClient, dataset: official.Dataset
):
    """Good rows are stored, each bad one is named, synchronously and as a job."""
    rows = [BoxAnnotation("car", 0, 0, 1, 1, "item/0"), BoxAnnotation("car", 0, 0, 1, 1, "nowhere")]
    answer = dataset.annotate(rows)
    job = dataset.annotate(rows, asynchronous=True, update=True)
    job.sleep_until_complete(verbose_std_out=False)

    assert (answer["annotations_processed"], answer["annotations_ignored"]) == (1, 0)
    assert len(answer["errors"]) == 1
    assert "nowhere" in answer["errors"][0]
    status = job.status()
    assert (status["status"], status["job_progress"], status["completed_steps"]) == ("Completed", "1.00", 2)
    expected = {"total": 2, "errored": 1, "ignored": 0, "processed": 1, "datasetId": dataset.id, "epoch": 1}
    assert status["message"] == {"annotation_upload": expected}
    (error,) = job.errors()
    assert "Item with id nowhere doesn" in error
    assert '"referenceId":"nowhere"' in error


def test_local_images_and_masks_are_uploaded(
    client: official.NucleusClient, dataset: official.Dataset, tmp_path: Path
):
    """Files travel as multipart; their paths come back unchanged."""
    images = [tmp_path / f"image {n}.png" for n in range(12)]
    for image in images:
        image.write_bytes(PNG)
    job = dataset.append([DatasetItem(str(image), f"local-{n}") for n, image in enumerate(images)])
    job.sleep_until_complete(verbose_std_out=False)
    mask = SegmentationAnnotation(str(images[0]), [Segment("sky", 1)], "local-0", "m")

    answer = dataset.annotate([mask])

    assert answer["annotations_processed"] == 1
    assert dataset.size == 15
    location = dataset.refloc("local-0")
    assert location["item"].image_location == str(images[0])
    assert location["annotations"]["segmentation"] == [mask]


def test_predictions_of_every_type_come_back_equal(client: official.NucleusClient, dataset: official.Dataset):
    """Uploaded synchronously or as a job, predictions are read back by index, reference id and id."""
    model = client.create_model("detector", f"detector-{dataset.id}", metadata={"v": 1})
    ref = "item/2"
    sent = [
        BoxPrediction("car", 1, 2, 3, 4, ref, 0.75, "b", class_pdf={"car": 0.75, "bus": 0.25}),
        LinePrediction("lane", SQUARE[:2], ref, 1.0, "l"),
        PolygonPrediction("lake", SQUARE, ref, 0, "p"),
        KeypointsPrediction("face", [Keypoint(1, 2, True)], ["eye"], [], ref, 0.5, "k"),
        CategoryPrediction("cat", ref, confidence=0.25),
        SegmentationPrediction("https://x/m.png", [Segment("sky", 1)], ref, "m"),
    ]

    answer = dataset.upload_predictions(model, sent)
    job = dataset.upload_predictions(model, sent, asynchronous=True)
    job.sleep_until_complete(verbose_std_out=False)

    assert (answer["predictions_processed"], answer["predictions_ignored"]) == (6, 0)
    message = job.status()["message"]
    assert (message["prediction_upload"]["ignored"], message["segmentation_upload"]["ignored"]) == (5, 1)
    for found in (dataset.predictions_iloc(model, 2), dataset.predictions_refloc(model, ref)):
        read = {type(entry): entry for entries in found.values() for entry in entries}
        for prediction in sent:
            assert read[type(prediction)] == prediction
    assert dataset.prediction_loc(model, ref, "b") == sent[0]
    assert dataset.export_predictions(model)["box"] == [sent[0]]
    assert answer["model_run_id"] in dataset.model_runs
    assert client.get_model(answer["model_run_id"]).id == model.id


def test_lidar_scene_with_cuboids(client: official.NucleusClient):
    """A scene's point clouds are items that take cuboids; the scene itself takes a category."""
    dataset = client.create_dataset("drive", is_scene=True)
    frames = [
        Frame(
            lidar=DatasetItem(
                pointcloud_location=f"https://x/{n}.json", reference_id=f"cloud-{n}", metadata={"n": n}
            ),
            front=DatasetItem(image_location=f"https://x/{n}.jpg", reference_id=f"front-{n}"),
        )
        for n in range(2)
    ]
    job = dataset.append([LidarScene("drive/1", frames, metadata={"city": "Ulm"})])
    job.sleep_until_complete(verbose_std_out=False)
    cuboid = CuboidAnnotation("car", Point3D(1, 2, 3), Point3D(4, 2, 1.5), 0.5, "cloud-1", "c")
    category = SceneCategoryAnnotation("sunny", "drive/1")

    answer = dataset.annotate([cuboid, category])

    assert job.status()["job_type"] == "uploadLidarScene"
    assert answer["annotations_processed"] == 2
    assert dataset.refloc("cloud-1")["annotations"] == {"cuboid": [cuboid]}
    scene = dataset.get_scene("drive/1")
    assert scene.metadata == {"city": "Ulm"}
    assert scene.get_item(1, "lidar").pointcloud_location == "https://x/1.json"
    assert [entry.reference_id for entry in dataset.scenes] == ["drive/1"]
    model = client.create_model("lidar", f"lidar-{dataset.id}")
    prediction = CuboidPrediction("car", Point3D(1, 2, 3), Point3D(4, 2, 1.5), 0.5, "cloud-1", 0.5, "cp")
    assert dataset.upload_predictions(model, [prediction])["predictions_processed"] == 1
    assert dataset.predictions_refloc(model, "cloud-1") == {"cuboid": [prediction]}
    dataset.delete_scene("drive/1")
    assert dataset.size == 0


def test_run_free_predictions(client: official.NucleusClient, dataset: official.Dataset):
    """A model takes predictions without a run, named by item id."""
    model = client.create_model("free", f"free-{dataset.id}")
    item = dataset.refloc("item/1")["item"]
    prediction = BoxPrediction(
        "car", 1, 2, 3, 4, confidence=0.5, annotation_id="x", dataset_item_id=item.dataset_item_id
    )

    answer = model.upload_predictions([prediction])

    assert answer["predictions_processed"] == 1
    for found in (
        model.predictions_loc(item.dataset_item_id),
        model.predictions_refloc("item/1"),
        model.predictions_iloc(0),
    ):
        assert [(entry.annotation_id, entry.reference_id) for entry in found["box"]] == [("x", "item/1")]


def test_deletions(client: official.NucleusClient, dataset: official.Dataset):
    """Items, annotations, models and datasets can be deleted, and are then gone."""
    dataset.annotate([BoxAnnotation("car", 0, 0, 1, 1, f"item/{n}") for n in range(3)])
    dataset.delete_item("item/0")
    dataset.delete_annotations(["item/1"]).sleep_until_complete(verbose_std_out=False)
    model = client.create_model("gone", f"gone-{dataset.id}")

    assert dataset.size == 2
    assert dataset.refloc("item/1")["annotations"] == {}
    assert len(dataset.refloc("item/2")["annotations"]["box"]) == 1
    assert client.delete_model(model.id)["msg"] == "Model deletion running in an async job"
    assert client.delete_dataset(dataset.id) == {"message": "Beginning dataset deletion..."}
    with pytest.raises(official.NucleusAPIError) as caught:
        dataset.refloc("item/2")
    assert caught.value.status_code == 404


def test_taxonomies(client: official.NucleusClient, dataset: official.Dataset):
    """Named taxonomies are created once, grow with update, and bind the labels of categories."""
    assert dataset.add_taxonomy("kind", "category", ["a"])["status"] == "Taxonomy created"
    assert dataset.add_taxonomy("kind", "category", ["b"])["status"] == "Taxonomy already exists"
    assert dataset.add_taxonomy("kind", "category", ["b"], update=True)["status"] == "Taxonomy updated"
    good = CategoryAnnotation("b", "item/0", "kind")
    answer = dataset.annotate([
        good,
        CategoryAnnotation("c", "item/1", "kind"),
        CategoryAnnotation("x", "item/0", "no"),
    ])

    assert answer["annotations_processed"] == 1
    assert "Input validation failed: Taxonomy kind does not exist in dataset" in answer["errors"][0]
    assert dataset.refloc("item/0")["annotations"]["category"] == [good]
    job = dataset.annotate([CategoryAnnotation("x", "item/0", "no")], asynchronous=True)
    with pytest.raises(official.async_job.JobError, match="Taxonomy no does not exist"):
        job.sleep_until_complete(verbose_std_out=False)
    assert dataset.delete_taxonomy("kind")["status"] == "Taxonomy successfully deleted"
    assert dataset.refloc("item/0")["annotations"] == {}


def test_jobs_are_listed(client: official.NucleusClient, dataset: official.Dataset):
    """list_jobs() filters by dataset and type and hides completed jobs unless asked."""
    listed = client.list_jobs(dataset_id=dataset.id, show_completed=True)

    assert [job.job_type for job in listed] == ["uploadDatasetItems"]
    assert client.list_jobs(dataset_id=dataset.id) == []
    assert client.get_job(listed[0].job_id).job_id == listed[0].job_id


def test_nu_command_lists_and_deletes(
    client: official.NucleusClient,
    nucleus: LocalNucleus,
    dataset: official.Dataset,
    monkeypatch: pytest.MonkeyPatch,
):
    """The official command line works: datasets, jobs, models."""
    client.create_model("nu model", f"nu-{dataset.id}")
    monkeypatch.setenv("NUCLEUS_API_KEY", nucleus.api_key)
    monkeypatch.setenv("NUCLEUS_ENDPOINT", nucleus.url)
    monkeypatch.setenv("COLUMNS", "300")
    init_client.cache_clear()

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(nu, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert dataset.id in run("datasets", "list", "-m")
    assert "nu model" in run("models", "list")
    run("jobs", "list")
    run("datasets", "delete", "--id", dataset.id, "--no-confirm-deletion")
    assert dataset.id not in run("datasets", "list", "-m")
    init_client.cache_clear()
