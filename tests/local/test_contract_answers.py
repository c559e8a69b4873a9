"""Answers of the contract about what is not there, and about what was refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import nucleus as official
import pytest
import requests
from nucleus.async_job import JobError
from nucleus.errors import NucleusAPIError

from tests.local.conftest import box
from tests.local.story import make_model
from tests.pictures import picture, scene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Api


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def remote(reference_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "reference_id": reference_id,
        "image_url": f"https://e/{reference_id}.jpg",
        "metadata": {},
        **fields,
    }


# ---- what there is none of ----------------------------------------------------------------------


def test_what_is_not_there_is_an_empty_list(client: official.NucleusClient):
    """Scripts that list everything go on: autotags, tracks, indexes, labelling tasks, embeddings."""
    dataset = client.create_dataset("plain", is_scene=False)
    dataset.append([official.DatasetItem("https://e/a.jpg", reference_id="a")]).sleep_until_complete(False)
    part = dataset.create_slice("part", reference_ids=["a"])

    assert client.list_autotags(dataset.id) == []
    assert dataset.tracks == []
    assert dataset.embedding_indexes == []
    assert dataset.export_embeddings(asynchronous=False) == []
    assert part.export_embeddings(asynchronous=False) == []
    assert dataset.export_scale_task_info() == part.export_scale_task_info() == []
    assert dataset.get_image_indexing_status() | {"additional_context": ""} == {
        "embedding_count": 0, "image_count": 1, "percent_indexed": 0.0, "additional_context": "",
    }  # fmt: skip
    assert dataset.get_object_indexing_status()["object_count"] == 0
    with pytest.raises(NucleusAPIError, match=f"The autotag none was not found in dataset {dataset.id}"):
        dataset.autotag_training_items("none")
    with pytest.raises(NucleusAPIError, match="Labelling project 5f does not exist"):
        part.send_to_labeling("5f")


def test_a_model_has_no_weights_and_an_unknown_autotag_is_not_there(client: official.NucleusClient):
    """Absent is an answer: neither a missing route nor a success."""
    model = client.create_model("m", f"weights-{id(client)}")

    assert model.weights().present is False
    assert model.delete_weights() is False
    for call in (
        lambda: client.delete_autotag("tag_none"),
        lambda: client.get_autotag_refinement_metrics("tag_none"),
        lambda: client.make_request({}, "autotag/tag_none"),
    ):
        with pytest.raises(NucleusAPIError, match="Autotag tag_none does not exist"):
            call()


def test_a_slice_without_predictions_exports_its_items(client: official.NucleusClient):
    """A model that has predicted nothing has no predictions on any item; one that is not there is still an error."""
    dataset = client.create_dataset("plain", is_scene=False)
    dataset.append([official.DatasetItem("https://e/a.jpg", reference_id="a")]).sleep_until_complete(False)
    part = dataset.create_slice("part", reference_ids=["a"])
    model = client.create_model("m", f"m-{dataset.id}")

    (row,) = part.export_predictions(model)
    (same,) = part.export_predictions_generator(model)

    assert row["item"].reference_id == same["item"].reference_id == "a"
    assert row["predictions"]["box"] == []
    model.id = "prj_none"
    with pytest.raises(NucleusAPIError, match="Model prj_none does not exist"):
        part.export_predictions(model)


def test_embeddings_that_came_with_items_are_given_back(api: Api):
    """They are the user's; only those that the server would have to compute are none."""
    dataset = api.dataset()
    vector = {"index_id": "mine", "embedding_vector": [0.5, -1, 2e-7]}
    api.ok(
        "POST", f"dataset/{dataset}/append", json={"items": [remote("a", embedding_info=vector), remote("b")]}
    )

    assert api.ok("GET", f"dataset/{dataset}/embeddings") == [
        {"reference_id": "a", "embedding_vector": [0.5, -1, 2e-7]}
    ]


def test_objects_with_embeddings_answer_with_a_job(client: official.NucleusClient, api: Api):
    """`customObjectIndexingJobId` is there exactly when embeddings came, and names a job that ends."""
    dataset = api.dataset("a")
    rows = [box("a", "plain")]

    assert "customObjectIndexingJobId" not in api.ok(
        "POST", f"dataset/{dataset}/annotate", json={"annotations": rows}
    )
    rows = [box("a", "with", embedding_vector=[1.0, 2.0]), box("none", "bad", embedding_vector=[1.0])]
    answer = api.ok("POST", f"dataset/{dataset}/annotate", json={"annotations": rows})

    job = client.get_job(answer["customObjectIndexingJobId"])
    job.sleep_until_complete(False)
    assert job.status()["status"] == "Completed"
    assert job.status()["job_type"] == "customIndexing"


def test_tracks_are_the_names_that_objects_share(client: official.NucleusClient):
    """They are listed, have metadata of their own, and can be forgotten; their objects stay."""
    dataset = client.create_dataset("tracked", is_scene=False)
    dataset.append([
        official.DatasetItem(f"https://e/{n}.jpg", reference_id=n) for n in "ab"
    ]).sleep_until_complete(False)
    dataset.annotate([
        official.BoxAnnotation(
            "car", 0, 0, 2, 2, reference_id=ref, annotation_id="1", track_reference_id=name
        )
        for ref, name in (("a", "t1"), ("b", "t1"))
    ])
    model = client.create_model("m", f"m-{dataset.id}")
    dataset.upload_predictions(
        model,
        [
            official.BoxPrediction(
                "car", 0, 0, 2, 2, reference_id="a", confidence=1.0, track_reference_id="t2"
            )
        ],
    )

    assert [track.reference_id for track in dataset.tracks] == ["t1", "t2"]
    first = dataset.tracks[0]
    first.update({"colour": "red", "n": 1}, overwrite_metadata=True)
    first.update({"n": 2}, overwrite_metadata=False)
    assert dataset.tracks[0].metadata == {"colour": "red", "n": 2}
    dataset.delete_tracks(["t1", "unknown"])
    assert [track.reference_id for track in dataset.tracks] == ["t2"]
    assert dataset.refloc("a")["annotations"]["box"][0].track_reference_id is None
    with pytest.raises(NucleusAPIError, match="Track t1 does not exist"):
        first.update({"n": 3})


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("ds_{0}", "/dataset/ds_{0}"),
        ("ds_{0}/slc_1", "/dataset/ds_{0}"),
        ("prj_{0}", "/model/prj_{0}"),
        ("jobs", "/"),
        ("jobs/job_{0}", "/job/job_{0}"),
        ("datasets", "/"),
        ("models/", "/"),
    ],
)
def test_links_of_the_official_command_lead_to_pages(api: Api, path: str, page: str):
    """NUCLEUS_DASHBOARD names our server; the paths are those of Scale's dashboard, and a redirect needs no key."""
    base = api.nucleus.url.removesuffix("/v1/nucleus")

    answer = requests.get(f"{base}/{path.format('abc')}", allow_redirects=False, timeout=60)

    assert answer.status_code == 307
    assert answer.headers["Location"] == page.format("abc")


def test_a_category_of_a_scene_spoils_no_count(api: Api):
    """Items without ground truth are counted although some ground truth belongs to no item."""
    scenes = api.dataset(is_scene=True)
    frame = {"url": "https://e/f.jpg", "type": "image", "reference_id": "f", "metadata": {}}
    body = {"scenes": [{"reference_id": "s", "frames": [frame], "frame_rate": 1}], "update": False}
    api.ok("POST", f"{scenes}/upload_video_scenes", json=body)
    category = {"type": "category", "label": "day", "reference_id": "s", "geometry": {}}
    assert (
        api.ok("POST", f"dataset/{scenes}/annotate", json={"annotations": [category]})[
            "annotations_processed"
        ]
        == 1
    )
    dataset = api.dataset("a", "b", "c")
    api.ok("POST", f"dataset/{dataset}/annotate", json={"annotations": [box("a", "1")]})

    made = api.ok("POST", "benchmarks", json={"name": "b", "dataset_id": dataset})
    api.wait(made["job_id"])

    assert api.ok("GET", f"benchmarks/{made['benchmark_id']}")["skipped_items_without_ground_truth"] == 2


# ---- what was refused ---------------------------------------------------------------------------


def test_items_of_which_some_are_refused_end_partly(client: official.NucleusClient, api: Api):
    """sleep_until_complete raises, the good items are there, the bad one is named."""
    dataset = client.create_dataset("some", is_scene=False)
    rows = lines(remote("a", metadata={"n": 1}), remote("b", metadata={"n": "text"}), remote("c"))

    job = client.get_job(api.upload(dataset.id, f"dataset/{dataset.id}/append", rows))

    with pytest.raises(JobError):
        job.sleep_until_complete(False)
    assert job.status()["status"] == "Errored_Partial"
    assert "1 of 3 rows were refused" in job.status()["message"]["final_error"]
    assert (job.status()["completed_steps"], job.status()["total_steps"]) == (2, 3)
    assert job.status()["job_progress"] == "0.67"
    assert len(dataset.items) == 2
    assert "metadata.n" in str(job.errors())


@pytest.mark.parametrize(
    ("route", "row"),
    [
        ("dataset/{}/append", remote("")),
        ("dataset/{}/annotate", box("none", "1")),
        (
            "dataset/{}/annotate",
            {"type": "mask", "reference_id": "none", "mask_url": "s3://m", "annotations": []},
        ),
    ],
    ids=["items", "annotations", "masks"],
)
def test_a_job_of_which_everything_is_refused_has_failed(api: Api, route: str, row: dict[str, Any]):
    """A refusal of everything is no success, whatever was refused."""
    dataset = api.dataset("a")

    status = api.wait(api.upload(dataset, route.format(dataset), lines(row, row)))

    assert status["status"] == "Errored_Partial"
    assert status["message"]["final_error"] == "RowError: all 2 rows were refused; see the errors."


def test_annotations_of_which_some_are_refused_are_complete(api: Api):
    """So says the contract: the bad rows are in the errors."""
    dataset = api.dataset("a")

    job = api.upload(dataset, f"dataset/{dataset}/annotate", lines(box("a", "1"), box("none", "2")))

    assert api.wait(job)["status"] == "Completed"


def test_a_scene_with_a_frame_id_twice_fails_its_job(client: official.NucleusClient):
    """As the official client's users expect of any refused scene."""
    dataset = client.create_dataset("scenes", is_scene=True)
    frames = [official.DatasetItem("https://e/1.jpg", reference_id="same") for _ in range(2)]

    job = dataset.append([official.VideoScene("s", frame_rate=1, items=frames)], asynchronous=True)

    with pytest.raises(JobError):
        job.sleep_until_complete(False)
    assert "reference_id" in str(job.errors())


def test_run_free_predictions_that_are_all_refused_are_an_error(client: official.NucleusClient):
    """A reference id that several datasets have names no item; nothing stored is not 200."""
    for name in ("monday", "tuesday"):
        dataset = client.create_dataset(name, is_scene=False)
        dataset.append([official.DatasetItem("https://e/1.jpg", reference_id="D5-1")]).sleep_until_complete(
            False
        )
    model = client.create_model("m", f"m-{dataset.id}")
    both = official.BoxPrediction("car", 0, 0, 2, 2, reference_id="D5-1", confidence=0.5)

    with pytest.raises(NucleusAPIError, match="None of the 1 predictions was stored") as refused:
        model.upload_predictions([both])

    assert refused.value.status_code == 400
    assert "D5-1" in refused.value.message


# ---- files that are not what they should be -----------------------------------------------------

BAD_FILES = {
    "empty": b"",
    "text": b"not an image at all, but some text that goes on for a while",
    "cut": scene(1)[:200],
    "bent": b"\xff\xd8\xff\xa9" + scene(1, written="JPEG")[4:],
    "pdf": b"%PDF-1.7\n" + bytes(100),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
}


def image_form(**files: bytes) -> list[Any]:
    items = [{"reference_id": name, "image_url": f"{name}.jpg", "metadata": {}} for name in files]
    parts = [("image", (f"{name}.jpg", data, "image/jpeg")) for name, data in files.items()]
    return [("items", (None, json.dumps(items), "application/json")), *parts]


def test_files_that_are_no_image_are_refused_by_name(api: Api):
    """At once: counted and named, and the good one is stored."""
    dataset = api.dataset()

    answer = api.ok("POST", f"dataset/{dataset}/append", files=image_form(good=scene(2), **BAD_FILES))

    assert (answer["new_items"], answer["upload_errors"]) == (1, len(BAD_FILES))
    reasons = {row["reference_id"]: row["error"] for row in answer["error_payload"]}
    assert reasons.keys() == BAD_FILES.keys()
    assert "no bytes" in reasons["empty"]
    assert "no image format" in reasons["text"]
    assert "cannot be decoded" in reasons["cut"]
    assert "cannot be decoded" in reasons["bent"]
    assert "object at" not in " ".join(reasons.values())
    assert [
        item["reference_id"] for item in api.ok("GET", f"dataset/{dataset}/datasetItems")["dataset_items"]
    ] == ["good"]


def test_files_that_are_no_image_end_their_job_partly(api: Api):
    """As a job: the same reasons, as errors of their items."""
    dataset = api.dataset()

    job = api.ok("POST", f"dataset/{dataset}/append?async=1", files=image_form(good=scene(2), **BAD_FILES))[
        "job_id"
    ]

    assert api.wait(job)["status"] == "Errored_Partial"
    errors = [json.loads(text) for text in api.ok("GET", f"job/{job}/errors")]
    assert {error["item"]["referenceId"] for error in errors} == BAD_FILES.keys()


@pytest.mark.parametrize("written", ["GIF", "BMP", "DDS", "QOI", "TIFF", "WEBP", "JPEG"])
def test_a_mask_is_a_png(api: Api, written: str):
    """Bytes of another format are a reason of their row, and keep no other mask out."""
    dataset = api.dataset("a", "b")
    mode = "RGB" if written in {"DDS", "QOI", "WEBP"} else "L"
    masks = [
        {
            "type": "mask",
            "reference_id": ref,
            "mask_url": f"{ref}.png",
            "annotations": [{"label": "x", "index": 7}],
        }
        for ref in ("a", "b")
    ]
    files = [
        (
            "serialized_request",
            (None, json.dumps({"segmentations": masks, "update": False}), "application/json"),
        ),
        ("mask", ("a.png", picture(written, mode=mode, value=0), "image/png")),
        ("mask", ("b.png", picture(), "image/png")),
    ]

    answer = api.ok("POST", f"dataset/{dataset}/annotate", files=files)

    assert answer["annotations_processed"] == 1
    assert len(answer["errors"]) == 1
    assert "a: the file of the mask is no PNG" in answer["errors"][0]


def test_rows_that_a_job_has_taken_are_no_others(api: Api):
    """The same call again is answered with its job; another model, or another `update`, is refused and not answered as if done."""
    dataset, first, second = api.dataset("a"), make_model(api), make_model(api)
    signed = api.ok("GET", f"dataset/{dataset}/signedUrl/once")["signed_url"]
    assert requests.put(signed, data=lines(box("a", "1", confidence=0.5)), timeout=60).ok

    def start(model: str, **changes: Any) -> requests.Response:
        body = {"requestId": "once", "update": False, **changes}
        return api("POST", f"dataset/{dataset}/model/{model}/uploadPredictions?async=1", json=body)

    job = start(first).json()["job_id"]
    api.wait(job)

    assert start(first).json()["job_id"] == job
    for answer, other in ((start(second), "another model"), (start(first, update=True), "another update")):
        assert answer.status_code == 400
        assert job in answer.json()["error"]
        assert other in answer.json()["error"]


def test_a_second_body_replaces_the_first_only_once_it_is_committed(api: Api, tmp_path: Path):
    """Each PUT to an address has a file of its own; the last one counts, and the others are gone."""
    dataset = api.dataset("a")
    signed = api.ok("GET", f"dataset/{dataset}/signedUrl/twice")["signed_url"]
    for name in ("1", "2"):
        assert requests.put(signed, data=lines(box("a", name)), timeout=60).ok

    job = api.ok("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": "twice"})["job_id"]

    assert api.wait(job)["status"] == "Completed"
    boxes = api.ok("GET", f"dataset/{dataset}/refloc/a")["annotations"]["box"]
    assert [each["annotation_id"] for each in boxes] == ["2"]
