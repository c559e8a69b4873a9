"""Identity, conflicts, counters and row errors of uploads (contract sections 3.5 and 3.6), over plain HTTP."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.local.conftest import Api, box

VERTICES = {"vertices": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1.5}]}
CUBOID = {"position": {"x": 0, "y": 0, "z": 0}, "dimensions": {"x": 1, "y": 2, "z": 3}, "yaw": 0.5}
KEYPOINTS = {"keypoints": [{"x": 1, "y": 2, "visible": True}], "names": ["a"], "skeleton": None}


def annotate(api: Api, dataset: str, *rows: Any, update: bool = False) -> tuple[int, int, list[str]]:
    """Annotate synchronously and return (processed, ignored, errors)."""
    answer = api.ok("POST", f"dataset/{dataset}/annotate", json={"annotations": rows, "update": update})
    return answer["annotations_processed"], answer["annotations_ignored"], answer.get("errors", [])


def annotate_async(api: Api, dataset: str, *rows: Any, update: bool = False) -> tuple[int, int, list[str]]:
    """Annotate as a job and return (processed, ignored, errors)."""
    lines = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    job = api.upload(dataset, f"dataset/{dataset}/annotate", lines, update=update)
    message = api.wait(job)["message"]
    counts = message["annotation_upload"]
    errors = [json.loads(text)["error"] for text in api.ok("GET", f"job/{job}/errors")]
    assert counts["errored"] + message.get("segmentation_upload", {"n_errors": 0})["n_errors"] == len(errors)
    return counts["processed"], counts["ignored"], errors


BOTH = pytest.mark.parametrize("upload", [annotate, annotate_async])
Upload = "Callable[..., tuple[int, int, list[str]]]"


def read(api: Api, dataset: str, reference: str = "a") -> dict[str, list[dict]]:
    return api.ok("GET", f"dataset/{dataset}/refloc/{reference}")["annotations"]


@BOTH
@pytest.mark.parametrize(("update", "label", "counts"), [(False, "first", (1, 1)), (True, "last", (2, 0))])
def test_duplicates_in_one_request(
    api: Api, upload: Upload, update: bool, label: str, counts: tuple[int, int]
):
    """The first wins without update, the last with it; the other counts as ignored or processed."""
    dataset = api.dataset("a")

    processed, ignored, errors = upload(
        api, dataset, box("a", "1", label="first"), box("a", "1", label="last"), update=update
    )

    assert (processed, ignored, errors) == (*counts, [])
    assert [entry["label"] for entry in read(api, dataset)["box"]] == [label]


@BOTH
def test_annotation_ids_are_unique_across_types(api: Api, upload: Upload):
    """The same id on the same item is the same object, whatever its type; on another item it is another."""
    dataset = api.dataset("a", "b")
    polygon = box("a", "1", type="polygon", geometry=VERTICES)
    upload(api, dataset, box("a", "1"), box("b", "1"))

    assert upload(api, dataset, polygon) == (0, 1, [])
    assert upload(api, dataset, polygon, update=True) == (1, 0, [])
    assert list(read(api, dataset)) == ["polygon"]
    assert list(read(api, dataset, "b")) == ["box"]


def test_replaced_objects_keep_their_place_and_id(api: Api):
    """An update changes an object, it does not make a new one at the end."""
    dataset = api.dataset("a")
    annotate(api, dataset, box("a", "1"), box("a", "2"), box("a", "3"))

    annotate(api, dataset, box("a", "2", label="new"), update=True)

    assert [entry["annotation_id"] for entry in read(api, dataset)["box"]] == ["1", "2", "3"]


def test_task_ids_distinguish_objects_and_null_equals_null(api: Api):
    """The conflict key holds the task id."""
    dataset = api.dataset("a")

    assert annotate(api, dataset, box("a", "1"), box("a", "1", task_id="t"), box("a", "1", task_id=None)) == (
        2,
        1,
        [],
    )


def test_missing_annotation_ids_become_internal_ids(api: Api):
    """Objects without an id never conflict; the id they get can be used to replace them."""
    dataset = api.dataset("a")
    line = box("a", type="line", geometry=VERTICES)
    assert annotate(api, dataset, line, line) == (2, 0, [])
    first, second = (entry["annotation_id"] for entry in read(api, dataset)["line"])

    assert first.startswith("ann_")
    assert first != second
    assert api.ok("GET", f"dataset/{dataset}/groundTruth/loc/a/{first}")["annotation_id"] == first
    assert annotate(api, dataset, {**line, "annotation_id": first, "label": "x"}, update=True) == (1, 0, [])
    assert [entry["label"] for entry in read(api, dataset)["line"]] == ["x", "car"]


def test_masks_are_one_per_item(api: Api):
    """A second mask conflicts whatever its id; predictions have their own per run."""
    dataset = api.dataset("a")
    mask = {
        "type": "mask",
        "mask_url": "s3://1",
        "annotations": [],
        "reference_id": "a",
        "annotation_id": "1",
    }
    other = {**mask, "annotation_id": "2", "mask_url": "s3://2"}

    def send(*rows: Any, update: bool = False) -> tuple[int, int]:
        answer = api.ok("POST", f"dataset/{dataset}/annotate", json={"segmentations": rows, "update": update})
        return answer["annotations_processed"], answer["annotations_ignored"]

    assert send(mask, other) == (1, 1)
    assert send(other, update=True) == (1, 0)
    (found,) = read(api, dataset)["segmentation"]
    assert (found["mask_url"], found["annotation_id"]) == ("s3://2", "2")


def test_categories_are_one_per_taxonomy(api: Api):
    """Default and named taxonomies are separate places; each holds one category."""
    dataset = api.dataset("a")
    api.ok(
        "POST",
        f"dataset/{dataset}/add_taxonomy",
        json={"taxonomy_name": "t", "type": "category", "labels": ["x"]},
    )
    plain = {"type": "category", "label": "x", "reference_id": "a", "metadata": {}}
    named = {**plain, "taxonomy_name": "t"}

    assert annotate(api, dataset, plain, named, {**plain, "label": "y"}) == (2, 1, [])
    assert annotate(api, dataset, {**plain, "label": "z"}, update=True) == (1, 0, [])
    found = [(entry["label"], entry.get("taxonomy_name")) for entry in read(api, dataset)["category"]]
    assert sorted(found, key=str) == [("x", "t"), ("z", None)]


def test_values_are_echoed_exactly(api: Api):
    """Metadata, numbers and text come back as they were sent, digit for digit."""
    dataset = api.dataset("a")
    metadata = {
        "long": 123456789012345678901234567890,
        "float": 0.1,
        "exp": 1e-7,
        "text": 'ü \u0000 \\ " 😀',
        "nested": [{"a": None}, True],
        "": 1,
        "nan": "NaN Infinity",
    }
    sent = box("a", "é/ü", metadata=metadata, task_id="t", track_reference_id="k", embedding_vector=[1, 0.5])

    assert annotate(api, dataset, sent) == (1, 0, [])
    assert annotate_async(api, dataset, {**sent, "annotation_id": "async"}) == (1, 0, [])
    for found in read(api, dataset)["box"]:
        assert found["metadata"] == metadata
        assert list(found["metadata"]) == list(metadata)
        assert found["geometry"] == sent["geometry"]
        assert isinstance(found["geometry"]["x"], int)
        assert (found["task_id"], found["track_reference_id"], found["embedding_vector"]) == (
            "t",
            "k",
            [1, 0.5],
        )


BAD_ROWS = {
    "not an object": [1],
    "null": None,
    "no type": {"label": "x", "reference_id": "a"},
    "unknown type": box("a", type="sphere"),
    "number as label": box("a", label=5),
    "no label": {key: value for key, value in box("a").items() if key != "label"},
    "no reference": {key: value for key, value in box("a").items() if key != "reference_id"},
    "number as reference": box(7),
    "number as id": box("a", 7),
    "metadata list": box("a", metadata=[1]),
    "no geometry": {key: value for key, value in box("a").items() if key != "geometry"},
    "geometry null": box("a", geometry=None),
    "negative width": box("a", geometry={"x": 0, "y": 0, "width": -1, "height": 1}),
    "text as x": box("a", geometry={"x": "1", "y": 0, "width": 1, "height": 1}),
    "true as x": box("a", geometry={"x": True, "y": 0, "width": 1, "height": 1}),
    "missing height": box("a", geometry={"x": 0, "y": 0, "width": 1}),
    "two vertices": box("a", type="polygon", geometry={"vertices": VERTICES["vertices"][:2]}),
    "vertex without y": box("a", type="polygon", geometry={"vertices": [{"x": 1}] * 3}),
    "vertices missing": box("a", type="line", geometry={}),
    "visible without x": box(
        "a", type="keypoints", geometry={**KEYPOINTS, "keypoints": [{"y": 1, "visible": True}]}
    ),
    "names too few": box("a", type="keypoints", geometry={**KEYPOINTS, "names": []}),
    "skeleton out of range": box("a", type="keypoints", geometry={**KEYPOINTS, "skeleton": [[0, 9]]}),
    "cuboid without yaw": box("a", type="cuboid", geometry={**CUBOID, "yaw": None}),
    "negative cuboid": box("a", type="cuboid", geometry={**CUBOID, "dimensions": {"x": -1, "y": 1, "z": 1}}),
    "huge box": box("a", geometry={"x": 0, "y": 0, "width": 1e200, "height": 1e200}),
    "far box": box("a", geometry={"x": -1e16, "y": 0, "width": 1, "height": 1}),
    "far vertex": box("a", type="polygon", geometry={"vertices": [{"x": 1, "y": 1e200}] * 3}),
    "far keypoint": box(
        "a", type="keypoints", geometry={**KEYPOINTS, "keypoints": [{"x": 1e200, "y": 1, "visible": True}]}
    ),
    "far cuboid": box("a", type="cuboid", geometry={**CUBOID, "position": {"x": 1e200, "y": 1, "z": 1}}),
    "labels of numbers": {"type": "multicategory", "labels": [1], "reference_id": "a"},
    "mask without url": {"type": "mask", "annotations": [], "reference_id": "a"},
    "mask without segments": {"type": "mask", "mask_url": "x", "reference_id": "a"},
    "segment without label": {
        "type": "mask",
        "mask_url": "x",
        "annotations": [{"index": 1}],
        "reference_id": "a",
    },
    "segment with half a pixel value": {
        "type": "mask",
        "mask_url": "x",
        "annotations": [{"label": "r", "index": 1.5}],
        "reference_id": "a",
    },
    "two segments of one pixel value": {
        "type": "mask",
        "mask_url": "x",
        "annotations": [{"label": "r", "index": 1}, {"label": "s", "index": "1"}],
        "reference_id": "a",
    },
    "blank label": box("a", label="\u2003"),
    "no keypoints": box("a", type="keypoints", geometry={"keypoints": [], "names": [], "skeleton": None}),
    "embedding text": box("a", embedding_vector="x"),
    "embedding of texts": box("a", embedding_vector=["1"]),
    "unknown item": box("zzz"),
}


def test_bad_rows_are_errors_and_never_stop_good_ones(api: Api):
    """Each row stands alone: thirty bad ones among two good ones, synchronously and as a job."""
    dataset = api.dataset("a", "b")
    rows = [box("a", "first"), *BAD_ROWS.values(), box("b", "last")]

    for upload in (annotate, annotate_async):
        processed, ignored, errors = upload(api, dataset, *rows, update=True)

        assert (processed, ignored, len(errors)) == (2, 0, len(BAD_ROWS))
        assert any("Item with id zzz doesn't exist" in error for error in errors)
        assert sum("too large for a coordinate" in error for error in errors) == 5
    assert [entry["annotation_id"] for entry in read(api, dataset)["box"]] == ["first"]
    assert [entry["annotation_id"] for entry in read(api, dataset, "b")["box"]] == ["last"]


HOSTILE_LINES = [
    "{",
    "",
    "   ",
    '{"type": "box"',
    "NaN",
    json.dumps(box("a", "nan")).replace("20.5", "NaN"),
    json.dumps(box("a", "inf")).replace("20.5", "-Infinity"),
    json.dumps(box("a", "huge")).replace("20.5", "1e999"),
    json.dumps(box("a", "meta-nan", metadata={"k": 1})).replace('"k": 1', '"k": NaN'),
    json.dumps(box("a", "meta-inf", metadata={"k": 1})).replace('"k": 1', '"k": [1, -inf]'),
    json.dumps(box("a", "meta-huge", metadata={"k": 1})).replace('"k": 1', '"k": 1e999'),
    '{"type":"box","label":"\\ud800"}',
    "[" * 200_000,
    '{"a":' * 50_000 + "1" + "}" * 50_000,
]


def test_hostile_lines_are_row_errors(api: Api):
    """NaN, infinities, broken escapes, bad UTF-8 and absurd nesting are errors of their line alone."""
    dataset = api.dataset("a")
    lines = [line.encode() for line in HOSTILE_LINES] + [
        b'{"label":"\xff"}',
        b"\x00",
        json.dumps(box("a", "good")).encode(),
    ]
    job = api.upload(dataset, f"dataset/{dataset}/annotate", b"\n".join(lines))

    status = api.wait(job)

    assert status["status"] == "Completed"
    counts = status["message"]["annotation_upload"]
    blank = 2
    assert (counts["processed"], counts["errored"]) == (1, len(lines) - 1 - blank)
    assert status["completed_steps"] == status["total_steps"] == len(lines) - blank
    errors = api.ok("GET", f"job/{job}/errors")
    assert all(json.loads(text)["error"] for text in errors)
    assert [entry["annotation_id"] for entry in read(api, dataset)["box"]] == ["good"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"confidence": 1.5}, "confidence"),
        ({"confidence": -0.1}, "confidence"),
        ({"confidence": "0.5"}, "confidence"),
        ({"class_pdf": [1]}, "class_pdf"),
        ({"class_pdf": {"a": 2}}, "class_pdf"),
        ({"class_pdf": {"a": "x"}}, "class_pdf"),
        ({"type": "multicategory", "labels": ["a"]}, "type must be one of"),
        ({"item_id": "di_0000000000000000"}, "doesn't exist"),
        ({"item_id": "nonsense"}, "doesn't exist"),
    ],
)
def test_bad_predictions_are_row_errors(api: Api, changes: dict, text: str):
    """What only predictions have is checked as well."""
    dataset = api.dataset("a")
    model = api.ok("POST", "models/add", json={"name": "m", "reference_id": dataset})["model_id"]
    body = {"annotations": [box("a", "1", **changes), box("a", "2", confidence=1)], "update": False}

    answer = api.ok("POST", f"dataset/{dataset}/model/{model}/uploadPredictions", json=body)

    assert (answer["predictions_processed"], len(answer["errors"])) == (1, 1)
    assert text in answer["errors"][0]


def test_run_free_predictions_find_their_items(api: Api):
    """By item id, by dataset and reference id, or by a reference id that only one dataset has."""
    first, second = api.dataset("shared", "only-1"), api.dataset("shared")
    model = api.ok("POST", "models/add", json={"name": "m", "reference_id": f"free-{first}"})["model_id"]
    item = api.ok("GET", f"dataset/{second}/iloc/0")["item"]["dataset_item_id"]
    rows = [
        box(None, "by item", item_id=item),
        box("shared", "by dataset", dataset_id=first),
        box("shared", "ambiguous"),
        box("only-1", "line", type="line", geometry=VERTICES),
    ]

    answer = api.ok("POST", f"model/{model}/predictions", json={"annotations": rows, "update": False})

    assert (answer["model_id"], answer["predictions_processed"]) == (model, 2)
    assert ["several datasets" in answer["errors"][0], "type must be" in answer["errors"][1]] == [True, True]
    found = api.ok("GET", f"model/{model}/predictions/refloc/shared")["predictions"]
    assert {entry["annotation_id"] for entry in found} == {"by item", "by dataset"}
    at = [api.ok("GET", f"model/{model}/predictions/iloc/{n}")["predictions"] for n in (0, 1)]
    assert [[entry["annotation_id"] for entry in entries] for entries in at] == [["by dataset"], ["by item"]]


def test_items_are_created_ignored_and_replaced(api: Api):
    """The reference id is the key; update replaces the metadata, and the index stays."""
    dataset = api.dataset("a", "b")
    item = {"reference_id": "a", "image_url": "s3://new", "metadata": {"k": 1}}

    ignored = api.ok("POST", f"dataset/{dataset}/append", json={"items": [item], "update": False})
    updated = api.ok(
        "POST",
        f"dataset/{dataset}/append",
        json={"items": [item, {**item, "reference_id": "c"}], "update": True},
    )

    assert (ignored["new_items"], ignored["updated_items"], ignored["ignored_items"]) == (0, 0, 1)
    assert (updated["new_items"], updated["updated_items"], updated["ignored_items"]) == (1, 1, 0)
    assert "error_payload" not in updated
    found = api.ok("GET", f"dataset/{dataset}/iloc/0")["item"]
    assert (found["reference_id"], found["image_url"], found["metadata"]) == ("a", "s3://new", {"k": 1})


def test_metadata_types_stay_consistent(api: Api):
    """A key that holds numbers refuses strings, in the same upload and later ones."""
    dataset = api.dataset()
    items = [
        {"reference_id": str(n), "image_url": "x", "metadata": {"k'\"": value, "o": {"any": 1}}}
        for n, value in enumerate([1, "text", 2.5, None])
    ]

    answer = api.ok("POST", f"dataset/{dataset}/append", json={"items": items})

    assert (answer["new_items"], answer["upload_errors"]) == (3, 1)
    assert "is a number in this dataset, got a string" in answer["error_payload"][0]["error"]
    again = api.ok("POST", f"dataset/{dataset}/append", json={"items": [items[1]]})
    assert again["upload_errors"] == 1


@pytest.mark.parametrize(
    "item",
    [
        {"image_url": "x"},
        {"reference_id": "", "image_url": "x"},
        {"reference_id": 5, "image_url": "x"},
        {"reference_id": "a"},
        {"reference_id": "a", "image_url": "x", "metadata": []},
        {"reference_id": "a", "image_url": "x", "width": -1},
        {"reference_id": "a", "image_url": "x", "width": 1.5},
        {"reference_id": "a", "image_url": "x", "metadata": {"camera_params": {"fx": 1}}},
        "text",
    ],
)
def test_bad_items_are_row_errors(api: Api, item: Any):
    """A bad item is refused, its neighbour is not."""
    dataset = api.dataset()
    good = {"reference_id": "good", "image_url": "x", "metadata": {}}
    lines = "\n".join(json.dumps(row) for row in (item, good))

    job = api.upload(dataset, f"dataset/{dataset}/append", lines)

    assert api.wait(job)["message"]["image_upload_step"] == {"errored": 1, "pending": 0, "completed": 1}
    assert len(api.ok("GET", f"job/{job}/errors")) == 1
    assert api.ok("GET", f"dataset/{dataset}/size") == {"count": 1}


def test_privacy_mode_needs_dimensions(api: Api):
    """Without width and height an item of a privacy-mode dataset is refused."""
    dataset = api.dataset(use_privacy_mode=True)
    items = [
        {"reference_id": "a", "image_url": "x"},
        {"reference_id": "b", "image_url": "x", "width": 1, "height": 2},
    ]

    answer = api.ok("POST", f"dataset/{dataset}/append", json={"items": items})

    assert (answer["new_items"], answer["upload_errors"]) == (1, 1)


def test_items_do_not_go_into_scene_datasets(api: Api):
    """Appending items to a scene dataset, or scenes to a plain one, is an error at once."""
    scene, plain = api.dataset(is_scene=True), api.dataset()

    assert api("POST", f"dataset/{scene}/append", json={"items": []}).status_code == 400
    assert api("POST", f"{plain}/upload_scenes", json={"scenes": []}).status_code == 400


def test_concurrent_uploads_of_the_same_rows_store_each_once(api: Api):
    """Eight clients race; every object exists once and the counters add up."""
    dataset = api.dataset("a")
    rows = [box("a", str(n)) for n in range(50)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: annotate(api, dataset, *rows), range(8)))

    assert sum(processed for processed, _, _ in answers) == 50
    assert sum(ignored for _, ignored, _ in answers) == 350
    assert len(read(api, dataset)["box"]) == 50
