"""Model runs through the official client: created by hand, spread over datasets, merged, copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from nucleus import (
    BoxPrediction,
    CategoryPrediction,
    DatasetItem,
    NucleusAPIError,
    Segment,
    SegmentationPrediction,
)

if TYPE_CHECKING:
    import nucleus as official


@pytest.fixture
def dataset(client: official.NucleusClient) -> official.Dataset:
    """A dataset with two items."""
    dataset = client.create_dataset("runs", is_scene=False)
    dataset.append([DatasetItem(f"https://x/{n}.jpg", f"item-{n}") for n in "ab"]).sleep_until_complete(False)
    return dataset


@pytest.fixture
def model(client: official.NucleusClient, dataset: official.Dataset) -> official.Model:
    """A model of its own."""
    return client.create_model("runner", f"runner-{dataset.id}", metadata={"v": 1})


def box(identifier: str, reference: str = "item-a", confidence: float = 0.5) -> BoxPrediction:
    return BoxPrediction("car", 1, 2, 3, 4, reference, confidence, identifier)


def test_run_on_one_dataset(client: official.NucleusClient, dataset: official.Dataset, model: official.Model):
    """The legacy way: create a run, predict, read by every route, delete."""
    run = model.create_run("by hand", dataset, [box("1"), box("2", "item-b")], metadata={"k": "v"})

    info = run.info()
    assert (info["model_id"], info["name"], info["metadata"]) == (model.id, "by hand", {"k": "v"})
    item = dataset.refloc("item-a")["item"]
    for found in (run.iloc(0), run.refloc("item-a"), run.loc(item.dataset_item_id)):
        assert found == {"box": [box("1")]}
    assert run.prediction_loc("item-b", "2") == box("2", "item-b")
    assert {entry.annotation_id for entry in run.ungrouped_export()["box"]} == {"1", "2"}
    assert dataset.model_runs == [run.model_run_id]
    client.delete_model_run(run.model_run_id)
    assert dataset.model_runs == []


def test_run_over_two_datasets(
    client: official.NucleusClient, dataset: official.Dataset, model: official.Model
):
    """A run without a dataset grows with the predictions it gets."""
    other = client.create_dataset("other", is_scene=False)
    other.append([DatasetItem("https://x/z.jpg", "z")]).sleep_until_complete(False)
    route = f"model/{model.id}/modelRun/create"
    run = client.make_request({"name": "wide", "reference_id": None, "metadata": {}}, route)["model_run_id"]

    for place, reference in ((dataset, "item-a"), (other, "z")):
        answer = client.make_request(
            {"annotations": [{**box("1", reference).to_payload(), "dataset_id": place.id}], "update": False},
            f"modelRun/{run}/uploadPredictions",
        )
        assert answer == {"model_run_id": run, "predictions_processed": 1, "predictions_ignored": 0}

    assert dataset.model_runs == other.model_runs == [run]
    assert len(client.make_request({}, f"modelRun/{run}/ungrouped", requests.get)["box"]) == 2
    with pytest.raises(NucleusAPIError, match="covers 2 datasets"):
        client.make_request({"annotations": [], "update": False}, f"modelRun/{run}/predict")


def test_merged_run_holds_the_predictions_of_all(
    client: official.NucleusClient, dataset: official.Dataset, model: official.Model
):
    """Colliding ids are rewritten, single places keep the first; the sources stay as they are."""
    mask = SegmentationPrediction("https://x/m.png", [Segment("sky", 1)], "item-a", "m")
    first = model.create_run(
        "first", dataset, [box("1"), box("2"), mask, CategoryPrediction("cat", "item-a")]
    )
    second = model.create_run(
        "second", dataset, [box("1", confidence=0.9), box("3"), mask, CategoryPrediction("dog", "item-b")]
    )

    result = client.merge_model_runs(
        [first.model_run_id, second.model_run_id], name="both", metadata={"k": 1}
    )
    result["job"].sleep_until_complete(False)

    assert result["dataset_ids"] == [dataset.id]
    expected = {"predictions_copied": 7, "predictions_ignored": 1, "annotation_ids_rewritten": 1}
    assert result["job"].status()["message"] == expected
    merged = client.get_model_run(result["model_run_id"], dataset.id)
    assert merged.info()["metadata"] == {
        "k": 1,
        "merged_from_model_run_ids": [first.model_run_id, second.model_run_id],
    }
    found = merged.ungrouped_export()
    assert {entry.annotation_id for entry in found["box"]} == {"1", "2", "3", f"1-{second.model_run_id}"}
    assert {entry.label for entry in found["category"]} == {"cat", "dog"}
    assert len(found["segmentation"]) == 1
    assert len(first.ungrouped_export()["box"]) == 2


def test_run_is_copied_to_the_run_free_store(
    client: official.NucleusClient, dataset: official.Dataset, model: official.Model
):
    """Boxes go over, what the run-free store does not take is counted; copying twice changes nothing."""
    run = model.create_run("source", dataset, [box("1"), CategoryPrediction("cat", "item-a")])

    first = model.copy_predictions_from_run(run.model_run_id)
    second = model.copy_predictions_from_run(run.model_run_id)

    assert (first["predictions_copied"], first["predictions_skipped_unsupported"]) == (1, 1)
    assert second["predictions_copied"] == 0
    assert len(model.predictions_refloc("item-a")["box"]) == 1


def test_model_tags_and_listing(client: official.NucleusClient, model: official.Model):
    """Tags are added and removed; the model is listed with what it was created with."""
    model.add_tags(["a", "b"])
    model.remove_tags(["a"])

    (found,) = [entry for entry in client.models if entry.id == model.id]
    assert (found.name, found.reference_id, found.metadata, found.tags) == (
        "runner",
        model.reference_id,
        {"v": 1},
        ["b"],
    )
    with pytest.raises(NucleusAPIError, match="exists"):
        client.create_model("again", model.reference_id)
