"""Profile of an upload of predictions: in the result, in a file, with the number of items where it is known."""

from __future__ import annotations

import gzip
import json

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.drift import profile_numbers
from airflow_provider_nucleus.gating.profile import Profile, merge_profiles
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.uploads import NucleusUploadPredictionsOperator
from airflow_provider_nucleus.tasks.results import MAX_XCOM_BYTES, json_size
from tests.airflow.batches import write_lines
from tests.unit.operators.fakes import StateStore, context, run

ITEMS = 30


@pytest.fixture
def dataset_id(hook, request):
    """A dataset of thirty images."""
    made = hook.create_dataset(request.node.name)
    rows = [{"reference_id": f"{n}", "image_url": f"s3://images/{n}.jpg"} for n in range(ITEMS)]
    run(NucleusAppendItemsOperator(task_id="items", dataset_id=made, source=rows))
    return made


@pytest.fixture
def model_id(hook, request):
    """A model of this test's own."""
    return hook.create_model("m", reference_id=request.node.name)


def rows(count, *, items=20, label="car"):
    """Return boxes with confidences on the first items."""
    return [
        {
            "type": "box", "label": label, "reference_id": str(number % items), "annotation_id": f"p{number}",
            "geometry": {"x": 1, "y": 1, "width": 40, "height": 20}, "confidence": number % 10 / 10,
        }
        for number in range(count)
    ]  # fmt: skip


def upload(dataset_id, model_id, source, **arguments):
    """Return a task that uploads predictions."""
    arguments = {"deferrable": False, "task_id": "predictions"} | arguments
    return NucleusUploadPredictionsOperator(dataset_id=dataset_id, model_id=model_id, source=source, **arguments)  # fmt: skip


def test_the_result_has_a_profile_that_is_compared_at_once(dataset_id, model_id):
    """No ground truth, no server: the result of the task and a reference are enough."""
    result = run(upload(dataset_id, model_id, rows(100), items=ITEMS))

    profile = Profile.model_validate(result["profile"])

    assert (profile.objects, profile.items, profile.empty_items) == (100, ITEMS, 10)
    assert profile_numbers(profile, profile).values["objects_per_item_ratio"] == 1
    assert result["profile_file"] is None


def test_the_items_of_a_slice_are_counted(hook, dataset_id, model_id):
    """The batch is a slice: which of its items have no prediction is known without anybody counting."""
    slice_id = hook.create_slice(dataset_id, name="batch", reference_ids=[str(n) for n in range(25)])
    slice_id = getattr(slice_id, "slice_id", slice_id)

    profile = run(upload(dataset_id, model_id, rows(100), slice_id=slice_id))["profile"]

    assert (profile["items"], profile["items_with_predictions"]) == (25, 20)

    elsewhere = hook.create_dataset(f"{dataset_id} elsewhere")
    with pytest.raises(NucleusConfigError, match=f"belongs to dataset {dataset_id}, not to {elsewhere}"):
        run(upload(elsewhere, model_id, rows(5), slice_id=slice_id))


def test_a_number_of_items_that_cannot_be_is_refused_before_anything_is_sent(hook, dataset_id, model_id):
    """Twenty items have predictions: there are not twelve in the batch."""
    with pytest.raises(
        NucleusConfigError, match=r"has 12 items .as items says., and the rows predict on 20 "
    ):
        run(upload(dataset_id, model_id, rows(100), items=12))
    with pytest.raises(NucleusConfigError, match="give one of them"):
        run(upload(dataset_id, model_id, rows(100), items=12, slice_id="slc_1"))

    assert hook.ensure_model_run(dataset_id, model_id)
    assert not any(hook.predictions_export(dataset_id, model_id).values())


def test_the_whole_profile_is_written_where_it_is_asked_for(dataset_id, model_id, tmp_path):
    """The file has every label; the result as many as fit."""
    source = [row | {"label": f"label-{number:04}"} for number, row in enumerate(rows(600))]
    place = tmp_path / "out" / "profile.json.gz"

    result = run(upload(dataset_id, model_id, source, profile=str(place)))

    whole = Profile.model_validate(json.loads(gzip.decompress(place.read_bytes())))
    assert (len(whole.labels), whole.other_labels) == (600, 0)
    assert result["profile_file"] == str(place)
    assert 0 < len(result["profile"]["labels"]) < 600
    assert sum(result["profile"]["labels"].values()) + result["profile"]["other_objects"] == 600
    assert json_size(result) < MAX_XCOM_BYTES


def test_mapped_shards_write_files_of_their_own_that_add_up(dataset_id, model_id, tmp_path):
    """The profile of the batch is the sum of the parts, from files or from results."""
    place = tmp_path / "profile.json"
    shards = [rows(40, items=10), [row | {"reference_id": f"{20 + number % 5}", "annotation_id": f"q{number}"} for number, row in enumerate(rows(20))]]  # fmt: skip
    results = [
        run(upload(dataset_id, model_id, shard, profile=str(place)), map_index=index)
        for index, shard in enumerate(shards)
    ]
    whole = run(upload(dataset_id, model_id, [row for shard in shards for row in shard], update=True))

    files = [json.loads((tmp_path / f"profile.map{index}.json").read_text()) for index in range(2)]

    assert [result["profile_file"] for result in results] == [str(tmp_path / f"profile.map{n}.json") for n in range(2)]  # fmt: skip
    assert merge_profiles(files) == merge_profiles(result["profile"] for result in results)
    assert merge_profiles(files).to_dict() | {"parts": 1, "items": None} == whole["profile"]


def test_a_place_that_would_become_input_is_refused(dataset_id, model_id, tmp_path):
    """A profile in the folder of the shards would be rows of the next run."""
    write_lines(tmp_path / "part.jsonl", rows(3))

    with pytest.raises(NucleusConfigError, match=r"The profile file .* is part of the input"):
        run(upload(dataset_id, model_id, str(tmp_path), profile=str(tmp_path / "profile.json")))


def test_the_cut_of_a_mapping_is_in_the_profile(dataset_id, model_id):
    """So that a batch that was cut elsewhere is not taken for another world."""
    profile = run(upload(dataset_id, model_id, rows(100), mapping={"min_confidence": 0.25}))["profile"]

    assert (profile["cuts"], profile["left_out"], profile["objects"]) == ([0.25], 30, 70)


def test_a_deferred_task_returns_the_profile_its_first_half_took(dataset_id, model_id, tmp_path):
    """The process that collects reads the record, not the rows."""
    task = upload(
        dataset_id, model_id, rows(100), deferrable=True, items=ITEMS, profile=str(tmp_path / "p.json")
    )
    store = StateStore()
    with pytest.raises(TaskDeferred):
        task.execute(context(task, store=store))
    assert json.loads((tmp_path / "p.json").read_text())["objects"] == 100

    again = upload(dataset_id, model_id, rows(100), items=ITEMS, profile=str(tmp_path / "p.json"))
    result = run(again, store=store)

    assert (result["profile"]["objects"], result["profile"]["items"]) == (100, ITEMS)
