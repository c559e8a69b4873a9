"""Perceptual hashes of the images that the server has, and the search for images that look alike."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import nucleus as official
import numpy as np
import pytest
import scipy.fft
from PIL import Image

from airflow_provider_nucleus.local.pictures import perceptual_hash
from tests.pictures import scene

if TYPE_CHECKING:
    from tests.local.conftest import Api


def reference_hash(data: bytes) -> str:
    """The definition of imagehash.phash, with SciPy's transform."""
    grey = Image.open(io.BytesIO(data)).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    low = scipy.fft.dct(scipy.fft.dct(np.asarray(grey), axis=0), axis=1)[:8, :8]
    return "".join(str(int(bit)) for bit in (low > np.median(low)).ravel())


@pytest.mark.parametrize("seed", range(8))
def test_the_hash_is_that_of_imagehash(seed: int):
    """64 bits, row by row, equal to the definition."""
    data = scene(seed, size=(97 + 31 * seed, 64))

    with Image.open(io.BytesIO(data)) as image:
        assert perceptual_hash(image) == reference_hash(data)


def test_a_plain_image_has_a_hash_that_noise_does_not_change():
    """Of one colour nothing is above the median but the mean, whatever the colour."""
    for value in (1, 7, 200, 255):
        with Image.new("L", (640, 480), value) as image:
            assert perceptual_hash(image) == "1" + "0" * 63


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_images_of_deep_pixels_are_told_apart(kind: type):
    """A depth image looks like the 8-bit picture of the same values, not like every other depth image."""
    hashes = {}
    for seed in (1, 2):
        with Image.open(io.BytesIO(scene(seed))) as image:
            grey = image.convert("L")
        deep = Image.fromarray((np.asarray(grey).astype(np.int64) * 200 + 3000).astype(kind))
        same = sum(a == b for a, b in zip(perceptual_hash(deep), perceptual_hash(grey), strict=True))
        assert same >= 60
        hashes[seed] = perceptual_hash(deep)
    assert sum(a != b for a, b in zip(hashes[1], hashes[2], strict=True)) > 10


@pytest.mark.parametrize("values", [[[0.0, 1.0], [np.nan, np.inf]], [[np.nan] * 2] * 2, [[7.0] * 2] * 2])
def test_pixels_that_are_no_numbers_are_dark(values: list[list[float]]):
    """A float image with holes has a hash like any other."""
    image = Image.fromarray(np.array(values, dtype=np.float32))

    assert set(perceptual_hash(image)) <= {"0", "1"}


def test_images_that_look_alike_are_found(client: official.NucleusClient, tmp_path):
    """Uploaded images have the hash, among all items or named ones; the official client's own search agrees."""
    for name, data in {
        "a": scene(1),
        "copy": scene(1),
        "smaller": scene(1, size=(64, 48), written="JPEG"),
        "other": scene(2),
    }.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    dataset = client.create_dataset("alike", is_scene=False)
    names = ["other", "smaller", "copy", "a"]
    dataset.append([
        official.DatasetItem(str(tmp_path / f"{name}.png"), reference_id=name) for name in names
    ]).sleep_until_complete(False)

    items = {item.reference_id: item for item in dataset.items_generator()}
    assert items["a"].phash == items["copy"].phash == reference_hash(scene(1))
    assert len(items["other"].phash) == 64

    for threshold in (0, 10, 64):
        found = dataset.deduplicate(threshold=threshold).result()
        expected = official.deduplicate_by_phash(list(items.values()), threshold)
        assert found.unique_reference_ids == expected.unique_reference_ids
        assert found.stats.original_count == 4
        assert found.stats.deduplicated_count == len(found.unique_item_ids)
    assert found.unique_reference_ids == [
        min(items.values(), key=lambda item: (item.phash, item.reference_id)).reference_id
    ]
    exact = dataset.deduplicate(threshold=0).result()
    ids = dict(zip(exact.unique_reference_ids, exact.unique_item_ids, strict=True))
    named = dataset.deduplicate(threshold=10, reference_ids=["copy", "a", "other"]).result()
    assert sorted(named.unique_reference_ids) == ["a", "other"]
    by_id = dataset.deduplicate_by_ids(threshold=10, dataset_item_ids=[*ids.values()]).result()
    assert by_id.unique_item_ids == exact.unique_item_ids


def test_items_without_an_image_are_named(api: Api):
    """An item whose image the server does not have ends the job with its name and the way out."""
    dataset = api.dataset("far")

    job = api.ok("POST", f"dataset/{dataset}/deduplicate_async", json={"threshold": 3})["job_id"]

    status = api.wait(job)
    assert status["status"] == "Errored_User"
    assert "far (the server does not have its image)" in status["message"]["final_error"]
    assert "NUCLEUS_LOCAL_FETCH_IMAGES" in status["message"]["final_error"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"threshold": -1}, "threshold must be a whole number from 0 to 64"),
        ({"threshold": 65}, "threshold must be a whole number from 0 to 64"),
        ({"threshold": 10.5}, "threshold must be a whole number from 0 to 64"),
        ({"threshold": True}, "threshold must be a whole number from 0 to 64"),
        ({}, "threshold"),
        ({"threshold": 1, "reference_ids": []}, "reference_ids must be a non-empty list"),
        ({"threshold": 1, "reference_ids": ["a"], "dataset_item_ids": ["di_0"]}, "exclude each other"),
        ({"threshold": 1, "reference_ids": ["none"]}, "none"),
        ({"threshold": 1, "dataset_item_ids": ["di_nonexistent"]}, "di_nonexistent"),
    ],
    ids=json.dumps,
)
def test_what_cannot_be_searched_is_refused(api: Api, body: dict[str, object], problem: str):
    """Thresholds beyond 64 bits, and items that are not there."""
    dataset = api.dataset("a")

    answer = api("POST", f"dataset/{dataset}/deduplicate_async", json=body)

    assert answer.status_code in {400, 404}
    assert problem in answer.json()["error"]


def test_an_empty_dataset_has_nothing_alike(api: Api):
    """No items, no images."""
    dataset = api.dataset()

    job = api.ok("POST", f"dataset/{dataset}/deduplicate_async", json={"threshold": 0})["job_id"]

    assert api.wait(job)["message"] == {
        "unique_item_ids": [],
        "unique_reference_ids": [],
        "stats": {"threshold": 0, "original_count": 0, "deduplicated_count": 0},
    }
