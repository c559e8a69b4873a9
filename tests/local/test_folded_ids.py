"""Ids that HTTP libraries fold away: a request for them deletes nothing else, and they do not come in."""

from __future__ import annotations

import base64
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import duckdb
import pytest
import requests
from nucleus import BoxAnnotation, DatasetItem
from nucleus.async_job import JobError
from nucleus.errors import NucleusAPIError

from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api, box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import nucleus as official


class World:
    """One of everything that can be deleted."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.dataset = api.dataset("a", "b/c")
        self.scenes = str(
            api.ok("POST", "dataset/create", json={"name": "scenes", "is_scene": True})["dataset_id"]
        )
        frame = {"lidar": {"url": "s3://b/1.json", "type": "pointcloud", "reference_id": "cloud"}}
        scene = {"reference_id": "scene", "frames": [frame], "metadata": {}}
        assert api.ok("POST", f"{self.scenes}/upload_scenes", json={"scenes": [scene]})["upload_errors"] == []
        api.ok("POST", f"dataset/{self.dataset}/annotate", json={"annotations": [box("a", "box")]})
        taxonomy = {"taxonomy_name": "weather", "type": "category", "labels": ["rain"]}
        api.ok("POST", f"dataset/{self.dataset}/add_taxonomy", json=taxonomy)
        api.ok("POST", f"dataset/{self.dataset}/tags", json={"tags": ["kept"]})
        model = {"name": "m", "reference_id": self.dataset}
        self.model = str(api.ok("POST", "models/add", json=model)["model_id"])
        run = {"name": "r", "reference_id": "r"}
        self.run = str(api.ok("POST", f"model/{self.model}/modelRun/create", json=run)["model_run_id"])
        members = {"name": "s", "reference_ids": ["a"]}
        self.slice = str(api.ok("POST", f"dataset/{self.dataset}/create_slice", json=members)["slice_id"])
        benchmark = {"name": "bm", "slice_id": self.slice}
        made = api.ok("POST", "benchmarks", json=benchmark)
        self.benchmark = str(made["benchmark_id"])
        api.wait(made["job_id"])
        preset = {"name": f"p {self.dataset}"}
        self.preset = str(api.ok("POST", "evaluationV2Presets", json=preset)["id"])
        self.before = self.seen()

    def seen(self) -> list[Any]:
        """Read everything back."""
        reads = (
            f"dataset/{self.dataset}/info", f"dataset/{self.dataset}/datasetItems", f"dataset/{self.dataset}/refloc/a",
            f"dataset/{self.dataset}/tags", f"dataset/{self.scenes}/scene/scene", f"model/{self.model}",
            f"modelRun/{self.run}/info", f"slice/{self.slice}", f"benchmarks/{self.benchmark}", "evaluationV2Presets",
        )  # fmt: skip
        return [self.api.ok("GET", path) for path in reads]


@pytest.fixture(scope="module")
def world(nucleus: LocalNucleus) -> Iterator[World]:
    """Things that nothing here may change."""
    api = Api(nucleus)
    yield World(api)
    api.close()


_DELETIONS: dict[str, Callable[[official.NucleusClient, World, str], Any]] = {
    "dataset.delete_item": lambda client, world, id_: client.get_dataset(world.dataset).delete_item(id_),
    "client.delete_dataset_item": lambda client, world, id_: client.delete_dataset_item(world.dataset, id_),
    "dataset.delete_scene": lambda client, world, id_: client.get_dataset(world.scenes).delete_scene(id_),
    "dataset.delete_taxonomy": lambda client, world, id_: client.get_dataset(world.dataset).delete_taxonomy(
        id_
    ),
    "delete_dataset": lambda client, _, id_: client.delete_dataset(id_),
    "delete_model": lambda client, _, id_: client.delete_model(id_),
    "delete_model_run": lambda client, _, id_: client.delete_model_run(id_),
    "delete_slice": lambda client, _, id_: client.delete_slice(id_),
    "delete_annotations": lambda client, _, id_: client.delete_annotations(id_),
    "delete_autotag": lambda client, _, id_: client.delete_autotag(id_),
    "delete_custom_index": lambda client, _, id_: client.delete_custom_index(id_, image=True),
    "delete_benchmark": lambda client, _, id_: client.delete_benchmark(id_),
    "remove_benchmark_items": lambda client, _, id_: client.remove_benchmark_items(id_, ["di_1"]),
    "delete_evaluation_v2_preset": lambda client, _, id_: client.delete_evaluation_v2_preset(id_),
    "delete_model_weights": lambda client, _, id_: client.delete_model_weights(id_),
    "validate.delete_scenario_test": lambda client, _, id_: client.validate.delete_scenario_test(id_),
}


@pytest.mark.filterwarnings("ignore:Calling NucleusClient")
@pytest.mark.parametrize("id_", ["..", ".", "../..", "./", "../", "x/..", "x/../..", "#x", "?x"])
@pytest.mark.parametrize("deletion", _DELETIONS)
def test_no_deletion_of_the_official_client_hits_something_else(
    client: official.NucleusClient, world: World, deletion: str, id_: str
):
    """It raises, and everything is still there."""
    with pytest.raises(NucleusAPIError) as caught:
        _DELETIONS[deletion](client, world, id_)

    assert world.before == world.seen()
    assert 400 <= caught.value.status_code < 500 or caught.value.status_code == 501


@pytest.mark.parametrize("id_", ["..", "."])
@pytest.mark.parametrize(
    "deletion", ["dataset.delete_item", "dataset.delete_scene", "dataset.delete_taxonomy", "delete_dataset"]
)
def test_what_happened_to_a_folded_id_is_told(
    client: official.NucleusClient, world: World, deletion: str, id_: str
):
    """As a fault of the request, in JSON, with the reason."""
    with pytest.raises(NucleusAPIError, match=r"resolve an id of \. or \.\.") as caught:
        _DELETIONS[deletion](client, world, id_)

    assert caught.value.status_code == 400
    assert '{"error":' in caught.value.message
    assert "Nothing was changed" in caught.value.message


def raw(nucleus: LocalNucleus, method: str, path: str) -> tuple[int, dict[str, Any]]:
    """Send a path as it stands, which no library but this one does."""
    target = urlsplit(nucleus.url)
    connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=60)
    token = base64.b64encode(f"{nucleus.api_key}:".encode()).decode()
    try:
        connection.putrequest(method, f"{target.path}/{path}", skip_accept_encoding=True)
        connection.putheader("Authorization", f"Basic {token}")
        connection.putheader("Content-Length", "2")
        connection.endheaders(b"{}")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "dataset/{dataset}/", "dataset/{dataset}//", "dataset/{dataset}/.", "dataset/{dataset}/refloc/", "dataset/{dataset}/refloc/..",
        "dataset/{dataset}/refloc/%2e%2e", "dataset/{dataset}/refloc/.%2E", "dataset/{dataset}/refloc/%2e", "dataset/{dataset}/refloc/%ff",
        "dataset/{dataset}/taxonomy/..", "dataset/{dataset}/taxonomy/%2E%2E", "dataset/{scenes}/scene/%2e%2e", "dataset/{scenes}/scene/",
        "dataset//refloc/a", "dataset//", "dataset/", "dataset/..", "dataset/%2e%2e", "dataset/../dataset/{dataset}", "", "/",
        "slice/{slice}/", "slice/{slice}/.", "slice/%2e", "model/{model}/", "model/{model}/tag/", "model//tag", "modelRun/{run}/",
        "modelRun/{run}/..", "modelRun/%2e%2E", "benchmarks/{benchmark}/", "benchmarks//", "benchmarks/{benchmark}/items/",
        "evaluationV2Presets/{preset}/", "evaluationV2Presets/", "annotation/{dataset}/", "annotation/", "annotation/%2e%2e",
        "dataset/{dataset}/tags/", "dataset/{dataset}/../{dataset}", "./dataset/{dataset}", "dataset/{dataset}?x", "dataset/{dataset}/taxonomy/weather?x",
    ],
)  # fmt: skip
def test_a_deletion_names_its_object_or_is_refused(nucleus: LocalNucleus, world: World, path: str):
    """No slash at its end, no empty part, no dots however written, no query."""
    status, answer = raw(nucleus, "DELETE", path.format(**vars(world)))

    assert status in {400, 404, 405}
    assert "error" in answer
    assert world.before == world.seen()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "dataset/{dataset}/refloc/"), ("GET", "dataset/{dataset}/refloc/%2e"), ("GET", "modelRun/{run}/"), ("GET", "slice/{slice}/"),
        ("GET", "slice/{slice}/%2e%2e"), ("GET", "model/{model}/predictions/refloc/.."), ("GET", "dataset/{dataset}/name/"),
        ("GET", "job//"), ("POST", "dataset//append"), ("POST", "dataset/{dataset}/tags/"), ("POST", "slice/{slice}/append/"),
        ("POST", "slice/../append"), ("POST", "dataset/{dataset}/model/%2e%2e/uploadPredictions"), ("POST", "benchmarks/"),
        ("POST", "dataset/{dataset}/annotate/"), ("PATCH", "benchmarks/{benchmark}/"), ("PUT", "uploads/%2e%2e"), ("PUT", "uploads/"),
    ],
)  # fmt: skip
def test_other_requests_name_their_object_too(nucleus: LocalNucleus, world: World, method: str, path: str):
    """The parent in place of an item would be as quiet a mistake."""
    status, answer = raw(nucleus, method, path.format(**vars(world)))

    assert status in {400, 404, 405}
    assert "error" in answer
    assert world.before == world.seen()


def test_what_the_contract_spells_with_a_slash_keeps_it(api: Api):
    """The official client sends these."""
    for path in ("dataset/", "models/", "slice/"):
        assert isinstance(api.ok("GET", path, json={}), list | dict)
    assert isinstance(api.ok("POST", "jobs/", json={}), list)


@pytest.mark.parametrize("id_", ["..", "."])
def test_rows_with_such_ids_are_refused_by_name(api: Api, client: official.NucleusClient, id_: str):
    """Items, objects of every kind, scenes, frames and taxonomies, at once and by job; the rows beside them are stored."""
    dataset = api.dataset("a")
    item = {"reference_id": id_, "image_url": "s3://b/1.jpg"}
    answer = api.ok(
        "POST", f"dataset/{dataset}/append", json={"items": [item, item | {"reference_id": "../b"}]}
    )
    assert (answer["new_items"], answer["upload_errors"]) == (1, 1)
    assert "reference_id must not be . or .." in answer["error_payload"][0]["error"]
    job = api.upload(dataset, f"dataset/{dataset}/append", json.dumps(item) + "\n")
    api.wait(job)
    assert "reference_id must not be . or .." in str(api.ok("GET", f"job/{job}/errors"))

    line = {"label": "l", "type": "line", "geometry": {"vertices": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]}}
    rows = [
        box("a", id_), box(id_, "x"), {**line, "reference_id": "a", "annotation_id": id_}, box("a", "good"),
        {"label": "rain", "type": "category", "reference_id": "a", "taxonomy_name": id_},
    ]  # fmt: skip
    for sent in (rows[:1] + rows[3:4], rows):
        answer = api.ok("POST", f"dataset/{dataset}/annotate", json={"annotations": sent, "update": True})
        assert (answer["annotations_processed"], len(answer["errors"])) == (1, len(sent) - 1)
        assert all("must not be . or .." in error for error in answer["errors"])
    job = api.upload(dataset, f"dataset/{dataset}/annotate", "".join(json.dumps(row) + "\n" for row in rows))
    api.wait(job)
    assert str(api.ok("GET", f"job/{job}/errors")).count("must not be . or ..") == 4

    scenes = api.dataset(is_scene=True)
    frame = {"url": "s3://b/1.json", "type": "pointcloud", "metadata": {}}
    answer = api.ok(
        "POST",
        f"{scenes}/upload_scenes",
        json={
            "scenes": [
                {"reference_id": id_, "frames": [{"lidar": {**frame, "reference_id": "c"}}]},
                {"reference_id": "s", "frames": [{"lidar": {**frame, "reference_id": id_}}]},
            ]
        },
    )
    assert (answer["new_scenes"], len(answer["upload_errors"])) == (0, 2)
    assert all("must not be . or .." in error for error in answer["upload_errors"])

    for name in (id_, f"a/{id_}"):
        with pytest.raises(NucleusAPIError, match=r"must not be \. or \.\."):
            client.get_dataset(dataset).add_taxonomy(name, "category", ["rain"])


@pytest.mark.parametrize("name", ["weather#night", "weather?", "#", "a%20b", "100%"])
def test_taxonomies_have_no_names_that_a_request_would_cut(
    client: official.NucleusClient, api: Api, name: str
):
    """`delete_taxonomy("weather#night")` of the official client asks for the deletion of `weather`."""
    dataset = client.get_dataset(api.dataset())
    for update in (False, True):
        with pytest.raises(NucleusAPIError, match=r"must not hold #, \? or %"):
            dataset.add_taxonomy(name, "category", ["rain"], update=update)


def test_taxonomies_that_have_such_names_already_can_be_used_and_deleted(tmp_path: Path):
    """Stores of before have them; encoded, a request for one reaches it and no other."""
    server = LocalNucleus(tmp_path / "data").start()
    api = Api(server)
    dataset = api.dataset("a")
    for name in ("weather", "weather-night"):
        taxonomy = {"taxonomy_name": name, "type": "category", "labels": ["rain"]}
        api.ok("POST", f"dataset/{dataset}/add_taxonomy", json=taxonomy)
    server.stop()
    with duckdb.connect(str(server.data_dir / "nucleus.duckdb")) as store:
        store.execute("UPDATE taxonomies SET name = 'weather#night' WHERE name = 'weather-night'")

    server.start()
    api = Api(server)
    more = {"taxonomy_name": "weather#night", "type": "category", "labels": ["fog"], "update": True}
    assert api.ok("POST", f"dataset/{dataset}/add_taxonomy", json=more)["status"] == "Taxonomy updated"
    rows = [
        {"label": label, "type": "category", "reference_id": "a", "taxonomy_name": name}
        for label, name in (("rain", "weather"), ("fog", "weather#night"))
    ]
    api.ok("POST", f"dataset/{dataset}/annotate", json={"annotations": rows})
    api.ok("DELETE", f"dataset/{dataset}/taxonomy/weather%23night", json={})
    left = api.ok("GET", f"dataset/{dataset}/refloc/a")["annotations"]["category"]
    api.close()
    assert [row["taxonomy_name"] for row in left] == ["weather"]
    server.stop()


def test_the_official_client_is_told_of_such_rows(client: official.NucleusClient):
    """In the answer of an upload, and in the errors of a job."""
    dataset = client.create_dataset("dots", is_scene=False)
    job = dataset.append([DatasetItem("https://x/1.jpg", ".."), DatasetItem("https://x/2.jpg", "../2.jpg")])
    with pytest.raises(JobError, match="Errored_Partial"):
        job.sleep_until_complete(verbose_std_out=False)
    assert "must not be . or .." in str(job.errors())
    assert [item.reference_id for item in dataset.items] == ["../2.jpg"]

    answer = dataset.annotate([BoxAnnotation("car", 0, 0, 1, 1, "../2.jpg", annotation_id="..")])
    assert "annotation_id must not be . or .." in answer["errors"][0]
    assert dataset.refloc("../2.jpg")["item"].reference_id == "../2.jpg"
    dataset.delete_item("../2.jpg")
    assert dataset.items == []


def test_pages_show_nothing_for_such_ids(nucleus: LocalNucleus, world: World):
    """However the dots are written; a slash at the end of a page's address is nothing but that."""
    base = nucleus.url.removesuffix("/v1/nucleus")
    session = requests.Session()
    session.auth = (nucleus.api_key, "")

    assert session.get(f"{base}/dataset/{world.dataset}/", timeout=60).ok
    for path in (
        f"dataset/%2e%2e/model/{world.model}/evaluation",
        "dataset/%2e%2e%2f",
        "model/%2e%252e",
        "job//",
    ):
        assert session.get(f"{base}/{path}", timeout=60).status_code == 404
    assert raw(nucleus, "GET", "../../ui/api/evaluations/%2e%2e/coco")[0] == 400
    session.close()
