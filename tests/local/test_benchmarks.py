"""Benchmarks through the official client: sources, versions, drafts, what is frozen when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nucleus as official
import pytest
from nucleus.evaluation_v2 import RollupGroup

from tests.local.conftest import box
from tests.local.evaluated import world
from tests.local.test_scenes import lidar, upload

if TYPE_CHECKING:
    from tests.local.conftest import Api

ITEMS = {"a": {}, "b": {}, "c": {}}
TRUTH = [("a", "car", 0), ("b", "bus", 0)]


def refused(call, status: int) -> str:
    """Expect a refusal of the API and return its text."""
    with pytest.raises(official.NucleusAPIError) as caught:
        call()
    assert caught.value.status_code == status
    return str(caught.value.message)


def test_items_without_ground_truth_are_skipped_and_counted(client: official.NucleusClient):
    """A benchmark of a dataset has its annotated items, is ready, and says how many it left out."""
    found = world(client, ITEMS, TRUTH, []).benchmark

    assert (found.status, found.item_count, found.dataset_count) == ("ready", 2, 1)
    assert found.skipped_items_without_ground_truth == 1
    assert (found.version_major, found.version_minor) == (1, 0)
    assert client.get_benchmark(found.id).name == "all"
    assert found.id in {entry.id for entry in client.list_benchmarks()}


def test_sources_are_united_and_items_counted_once(client: official.NucleusClient):
    """Ids, references, slices and datasets may overlap; an unknown id is refused by name."""
    first = world(client, ITEMS, TRUTH, [], benchmark=False)
    second = world(client, {"a": {}}, [("a", "car", 0)], [], benchmark=False)
    ids = first.item_ids()
    piece = first.dataset.create_slice("s", ["b"])

    made = client.create_benchmark(
        "union",
        item_ids=[ids["a"], ids["a"]],
        items=[{"dataset_id": first.dataset.id, "ref_id": "a"}],
        slice_id=piece.id,
        dataset_ids=[second.dataset.id],
        verbose=False,
    )

    assert (made.item_count, made.dataset_count) == (3, 2)
    page = made.items(limit=2, offset=1)
    assert (len(page.item_ids), page.total) == (2, 3)
    assert ids["a"] in made.items().item_ids
    assert "di_ffffffffffffffff" in refused(
        lambda: client.create_benchmark("x", item_ids=["di_ffffffffffffffff"]), 400
    )


def test_a_benchmark_without_any_ground_truth_fails(client: official.NucleusClient):
    """Nothing to evaluate against is a failure with its reason, not an empty benchmark."""
    found = world(client, ITEMS, [], [], benchmark=False)

    with pytest.raises(official.async_job.JobError, match="no ground truth"):
        client.create_benchmark("empty", dataset_id=found.dataset.id, verbose=False)


def test_versions_inherit_items_and_taxonomy_and_count_upwards(client: official.NucleusClient):
    """A child has its parent's items, less those removed, plus those added; versions only go up."""
    found = world(client, ITEMS, TRUTH, [], rollup_groups=[RollupGroup("vehicle", ["car", "bus"])])
    root, ids = found.benchmark, found.item_ids()
    other = world(client, {"z": {}}, [("z", "car", 0)], [], benchmark=False)

    minor = client.create_benchmark("next", parent_benchmark_id=root.id, verbose=False)
    major = client.create_benchmark(
        "after", parent_benchmark_id=minor.id, bump_type="major", removed_item_ids=[ids["a"]],
        dataset_id=other.dataset.id, version_label="rc1", verbose=False,
    )  # fmt: skip

    assert (minor.version_major, minor.version_minor, minor.item_count) == (1, 1, 2)
    assert (major.version_major, major.version_minor, major.version_label) == (2, 0, "rc1")
    assert ids["a"] not in major.items().item_ids
    assert major.items().total == 2
    assert major.parent_benchmark_id == minor.id
    assert root.allowed_label_matches_id
    assert major.allowed_label_matches_id == root.allowed_label_matches_id
    assert "does not exceed" in refused(
        lambda: client.create_benchmark(
            "old", parent_benchmark_id=major.id, version_major=1, version_minor=9
        ),
        400,
    )


def test_drafts_are_filled_and_then_frozen(client: official.NucleusClient, api: Api):
    """A draft takes and gives items, cannot be evaluated, and is immutable once finalised."""
    found = world(client, ITEMS, TRUTH, [], benchmark=False)
    ids = found.item_ids()
    draft = client.create_benchmark("draft", draft=True)
    assert draft.status == "draft"
    assert "empty" in refused(draft.finalize, 400)
    assert "finalize it first" in refused(lambda: draft.create_evaluation_v2(model_id=found.model.id), 409)

    draft.add_items(dataset_id=found.dataset.id, verbose=False)
    draft.remove_items([ids["a"], "di_ffffffffffffffff", "nonsense"])
    draft.update(class_agnostic=True)
    ready = draft.finalize()

    assert (ready.status, ready.item_count, ready.class_agnostic) == ("ready", 1, True)
    assert ready.skipped_items_without_ground_truth == 1
    assert "not a draft" in refused(lambda: ready.add_items(item_ids=[ids["a"]]), 409)
    assert "not a draft" in refused(lambda: ready.remove_items([ids["b"]]), 409)
    assert "taxonomy cannot change" in refused(lambda: ready.update(class_agnostic=False), 409)
    assert refused(ready.finalize, 409)
    assert ready.update(name="renamed", metadata={"Owner": "me"}).metadata == {"Owner": "me"}
    assert api.ok("GET", f"benchmarks/{ready.id}", json={})["name"] == "renamed"


def test_deleted_benchmarks_are_gone_but_their_evaluations_stay(client: official.NucleusClient):
    """404 for the benchmark; numbers that were published stay readable."""
    found = world(client, ITEMS, TRUTH, [("a", "car", 0, 0.9)])
    evaluation = found.evaluate()

    found.benchmark.delete()

    refused(lambda: client.get_benchmark(found.benchmark.id), 404)
    assert found.benchmark.id not in {entry.id for entry in client.list_benchmarks()}
    assert evaluation.charts().totalCounts.tp == 1


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "needs a name"),
        ({"name": "x"}, "at least one source"),
        ({"name": "x", "draft": True, "classAgnostic": True, "rollupGroups": []}, "exclude each other"),
        ({"name": "x", "draft": True, "allowedLabelMatchesId": "alm_nope"}, "alm_nope is unknown"),
        ({"name": "x", "draft": True, "removed_item_ids": ["di_1"]}, "needs parent_benchmark_id"),
        ({"name": "x", "draft": True, "rollup_groups": [{"class_name": "v"}]}, "rollup_groups[0]"),
        (
            {
                "name": "x", "draft": True,
                "rollup_groups": [{"class_name": "v", "labels": ["a"]}, {"class_name": "w", "labels": ["a"]}],
            },
            "'a' is in group 'v' already",
        ),
        ({"name": "x", "draft": True, "exclusion_rules": [{"type": "labels"}]}, "exclusion_rules[0]"),
        ({"name": "x", "dataset_id": 7}, "dataset_id must be a string"),
        ({"name": "x", "draft": True, "bumpType": "huge"}, "bumpType must be minor or major"),
    ],
)  # fmt: skip
def test_requests_that_cannot_be_meant_are_refused(api: Api, body, text: str):
    """A 400 names the field; no benchmark is left behind."""
    before = len(api.ok("GET", "benchmarks"))

    answer = api("POST", "benchmarks", json=body)

    assert answer.status_code == 400, answer.text
    assert text in answer.json()["error"]
    assert len(api.ok("GET", "benchmarks")) == before


def test_scenes_are_a_source(client: official.NucleusClient, api: Api):
    """The frames of a scene are the items; an unknown slice is a 404."""
    dataset = api.dataset(is_scene=True)
    upload(api, dataset, lidar("s", 0))
    api.ok(
        "POST", f"dataset/{dataset}/annotate", json={"annotations": [box("s-front-0", "1")], "update": False}
    )
    scene_id = api.ok("GET", f"dataset/{dataset}/scene/s")["id"]
    draft = client.create_benchmark("scenes", draft=True)

    draft.add_items(scene_ids=[scene_id], verbose=False)

    assert (draft.item_count, draft.skipped_items_without_ground_truth) == (1, 1)
    assert refused(lambda: draft.add_items(slice_id="slc_nope"), 404)
