"""Files of the worker: what rows say opens none but images below the folder that the author of the DAG named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError, NucleusUploadError
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)
from tests.airflow.harness import connection_json
from tests.faults import FaultyNucleus
from tests.unit.operators.fakes import StateStore, context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = b"the key of the house"


@pytest.fixture
def proxy(nucleus, monkeypatch) -> Iterator[FaultyNucleus]:
    """A proxy before the embedded Nucleus that keeps all that travels."""
    with FaultyNucleus(lambda: nucleus.base_url, keep_bodies=True) as running:
        connection = connection_json(endpoint=running.url, api_key=nucleus.api_key)
        monkeypatch.setenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", connection)
        yield running
        assert [seen.line for seen in running.seen if SECRET in seen.body] == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images that may be sent; beside them, and linked from among them, what may not."""
    root = tmp_path / "images"
    (root / "sub dir").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    for path in (root / "good.png", root / "sub dir" / "deep é.png", outside / "private.png"):
        Image.new("L", (4, 4), 1).save(path)
    # An image, so that its bytes alone would let it pass.
    with (outside / "private.png").open("ab") as file:
        file.write(SECRET)
    (outside / "secret.txt").write_bytes(SECRET)
    (root / "link.png").symlink_to(outside / "private.png")
    (root / "folder").symlink_to(outside)
    (root / "within.png").symlink_to("good.png")
    (root / "loop.png").symlink_to("loop.png")
    (root / "text.png").write_bytes(SECRET)
    (root / "marked.png").write_bytes(b"BM" + SECRET)
    (root / "empty.png").touch()
    (root / "directory.png").mkdir()
    os.mkfifo(root / "pipe.png")
    return root


def run(task: Any) -> dict[str, Any]:
    """Execute a task once, without deferral."""
    return task.execute(context(task))


def dataset(hook: Any, name: str, count: int = 2) -> str:
    """Return a new dataset with a few items."""
    dataset_id = hook.create_dataset(name)
    rows = [{"reference_id": f"item-{n}", "image_url": f"https://images/{n}.png"} for n in range(count)]
    run(NucleusAppendItemsOperator(task_id="first", dataset_id=dataset_id, source=rows, deferrable=False))
    return dataset_id


def items(dataset_id: str, source: Any, **arguments: Any) -> NucleusAppendItemsOperator:
    """Return a task that appends items."""
    return NucleusAppendItemsOperator(
        task_id="items", dataset_id=dataset_id, source=source, deferrable=False, **arguments
    )


def masks(hook: Any, dataset_id: str, source: Any, *, predictions: bool, **arguments: Any) -> Any:
    """Return a task that uploads masks."""
    common = {"task_id": "masks", "dataset_id": dataset_id, "source": source, "asynchronous": False}
    if predictions:
        model_id = hook.create_model("m", reference_id=f"of-{dataset_id}")
        return NucleusUploadPredictionsOperator(model_id=model_id, **common, **arguments)
    return NucleusUploadAnnotationsOperator(**common, **arguments)


def mask(location: str, item: str = "item-1") -> dict[str, Any]:
    """Return a mask in wire form."""
    return {
        "type": "mask",
        "mask_url": location,
        "reference_id": item,
        "annotations": [{"label": "road", "index": 1}],
    }


FORBIDDEN: dict[str, tuple[Callable[[Path], str], str]] = {
    "address": (lambda root: (root.parent / "outside" / "private.png").as_uri(), "leads out of"),
    "address in capitals": (
        lambda root: (root.parent / "outside" / "private.png").as_uri().replace("file:", "FILE:"),
        "leads out of",
    ),
    "address of one slash": (lambda root: f"file:{root.parent}/outside/private.png", "leads out of"),
    "address after a blank": (lambda root: f"\n file://{root.parent}/outside/private.png", "leads out of"),
    "address with dots": (lambda root: f"{root.as_uri()}/%2e%2e/outside/private.png", "leads out of"),
    "address of a host": (lambda root: f"file://host{root}/good.png", "another machine"),
    "path": (lambda root: str(root.parent / "outside" / "private.png"), "leads out of"),
    "path of two slashes": (lambda root: f"/{root.parent}/outside/private.png", "leads out of"),
    "dots": (lambda _: "../outside/private.png", "leads out of"),
    "dots within": (lambda root: f"{root}/sub dir/../../outside/private.png", "leads out of"),
    "its name continued": (lambda root: f"{root}-else/private.png", "leads out of"),
    "link": (lambda _: "link.png", "leads out of"),
    "linked folder": (lambda root: f"{root}/folder/private.png", "leads out of"),
    "linked folder, dots": (lambda _: "folder/../outside/private.png", "leads out of"),
    "loop": (lambda _: "loop.png", "link that leads nowhere"),
    "text": (lambda _: "text.png", "does not begin as an image"),
    "text with a mark": (lambda _: "marked.png", "does not begin as an image"),
    "empty": (lambda _: "empty.png", "is empty"),
    "folder": (lambda _: "directory.png", "is not a file"),
    "the root": (lambda root: str(root), "is not a file"),
    "pipe": (lambda _: "pipe.png", "is not a file"),
    "device": (lambda _: "/dev/zero", "leads out of"),
    "drive": (lambda _: "C:\\images\\good.png", "cannot be sent"),
    "nul": (lambda _: "a\0.png", "null"),
    "missing": (lambda _: "missing.png", "No such file"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_other_files_are_not_sent_as_images(hook, proxy, folder, request, tmp_path, what):
    """They are bad rows with a reason; the good rows go, and nothing of the others arrives."""
    location, reason = FORBIDDEN[what]
    dataset_id, where = hook.create_dataset(request.node.name), tmp_path / "bad.jsonl"
    rows = [
        {"reference_id": "good", "image_url": "good.png"},
        {"reference_id": "bad", "image_url": location(folder)},
    ]
    task = items(dataset_id, rows, image_folder=str(folder), max_error_rate=0.5, quarantine=str(where))
    result = run(task)

    assert (result["rejected"], result["processed"]) == (1, 1)
    assert [item.reference_id for item in hook.iter_items(dataset_id)] == ["good"]
    (line,) = map(json.loads, where.read_text().splitlines())
    assert line["reason"].startswith("image_url: cannot be sent: ")
    assert reason in line["reason"]
    with pytest.raises(NucleusUploadError, match="Nothing was sent"):
        run(items(dataset_id, rows, image_folder=str(folder)))


@pytest.mark.parametrize("predictions", [True, False])
@pytest.mark.parametrize("what", [what for what in FORBIDDEN if what not in {"the root", "device"}])
def test_other_files_are_not_sent_as_masks(hook, proxy, folder, request, tmp_path, what, predictions):
    """As with images."""
    location, reason = FORBIDDEN[what]
    dataset_id, where = dataset(hook, request.node.name), tmp_path / "bad.jsonl"
    source = [mask("good.png", "item-0"), mask(location(folder))]
    task = masks(
        hook,
        dataset_id,
        source,
        predictions=predictions,
        mask_folder=str(folder),
        max_error_rate=0.5,
        quarantine=str(where),
    )
    result = run(task)

    assert (result["rejected"], result["processed"]) == (1, 1)
    (line,) = map(json.loads, where.read_text().splitlines())
    assert reason in line["reason"]
    posts = proxy.requests(r"POST .*/(annotate|uploadPredictions)$")
    assert [seen.body.count(b"IHDR") for seen in posts] == [1]


@pytest.mark.parametrize("arguments", [{}, {"image_folder": ""}, {"image_folder": "https://images"}], ids=str)
@pytest.mark.parametrize("location", ["{}/good.png", "file://{}/good.png"])
def test_without_a_folder_no_file_is_read(hook, proxy, folder, request, arguments, location):
    """Not even an image that the worker could read: the reason says which argument would let it."""
    dataset_id = hook.create_dataset(request.node.name)
    rows = [{"reference_id": "a", "image_url": location.format(folder)}]
    with pytest.raises(NucleusUploadError, match="none is read unless image_folder"):
        run(items(dataset_id, rows, **arguments))

    assert proxy.requests("POST .*/append") == []


@pytest.mark.parametrize("name", ["good.png", "link.png", "folder/private.png"])
@pytest.mark.parametrize("predictions", [True, False])
def test_without_a_folder_no_mask_is_read(hook, proxy, folder, request, predictions, name):
    """As with images, and neither through a link."""
    dataset_id = dataset(hook, request.node.name)
    source = [mask(f"{folder}/{name}")]
    with pytest.raises(NucleusUploadError, match="none is read unless mask_folder"):
        run(masks(hook, dataset_id, source, predictions=predictions))

    assert proxy.requests(r"POST .*/(annotate|uploadPredictions)$") == []


ALLOWED: dict[str, Callable[[Path], str]] = {
    "relative": lambda _: "good.png",
    "deep": lambda _: "sub dir/deep é.png",
    "absolute": lambda root: f"{root}/good.png",
    "address": lambda root: (root / "sub dir" / "deep é.png").as_uri(),
    "address of this host": lambda root: (root / "good.png").as_uri().replace("file://", "file://localhost"),
    "link within": lambda _: "within.png",
    "dots within": lambda _: "sub dir/../good.png",
    "two slashes": lambda root: f"/{root}/good.png",
}


@pytest.mark.parametrize("what", ALLOWED)
@pytest.mark.parametrize("named", ["path", "link", "address", "slash"])
def test_images_below_the_folder_are_sent(hook, proxy, folder, request, tmp_path, what, named):
    """However they and the folder are spelled; the folder itself may be a link, because the author named it."""
    (tmp_path / "to images").symlink_to(folder)
    given = {
        "path": str(folder),
        "link": str(tmp_path / "to images"),
        "address": folder.as_uri(),
        "slash": f"{folder}/",
    }[named]
    dataset_id = hook.create_dataset(request.node.name)
    rows = [{"reference_id": "a", "image_url": ALLOWED[what](folder)}]

    assert run(items(dataset_id, rows, image_folder=given))["processed"] == 1


def test_a_relative_folder_is_that_of_the_worker(hook, proxy, folder, request, monkeypatch):
    """As anywhere else in a DAG, it lies below the directory the task runs in."""
    monkeypatch.chdir(folder.parent)
    dataset_id = dataset(hook, request.node.name)
    rows = [{"reference_id": "a", "image_url": "good.png"}]

    assert run(items(dataset_id, rows, image_folder="images"))["processed"] == 1
    source = [mask("good.png")]
    assert run(masks(hook, dataset_id, source, predictions=True, mask_folder="images"))["processed"] == 1


def test_masks_of_a_remote_folder_stay_there(hook, proxy, folder, request):
    """A URL as folder of masks is put before relative locations, which the server fetches."""
    dataset_id = dataset(hook, request.node.name)
    task = masks(hook, dataset_id, [mask("1.png")], predictions=False, mask_folder="s3://bucket/masks/")

    assert run(task)["processed"] == 1
    stored = hook.item_by_reference(dataset_id, "item-1").annotations["segmentation"]
    assert [one.mask_url for one in stored] == ["s3://bucket/masks/1.png"]


@pytest.mark.parametrize("coco", [{"file_name": "../outside/private.png"}, {"file_name": "a", "coco_url": "file:///etc/passwd"}, {"file_name": "a", "flickr_url": "/etc/passwd"}], ids=str)  # fmt: skip
def test_coco_names_no_other_file(hook, proxy, folder, request, tmp_path, coco):
    """Names that climb out of the folder, and addresses that are files of the worker, are bad rows."""
    source = tmp_path / "coco.json"
    source.write_text(json.dumps({"images": [{"id": 1, **coco}], "categories": [], "annotations": []}))
    dataset_id = hook.create_dataset(request.node.name)
    arguments = {"image_folder": str(folder)} if len(coco) == 1 else {}
    with pytest.raises(NucleusUploadError, match=r"1 of 1 rows are bad.*image_url: cannot be sent"):
        run(items(dataset_id, str(source), **arguments))


@pytest.mark.parametrize("swapped", ["link", "linked folder", "text", "gone"])
@pytest.mark.parametrize("kind", ["items", "masks"])
def test_what_was_swapped_in_between_is_not_sent(hook, proxy, folder, request, monkeypatch, swapped, kind):
    """The file was an image when it was checked: what it is when it is sent counts, and the task says so."""
    path = folder / "sub dir" / "deep é.png"
    dataset_id = dataset(hook, request.node.name)
    location = "sub dir/deep é.png"
    task = (
        items(dataset_id, [{"reference_id": "a", "image_url": location}], image_folder=str(folder))
        if kind == "items"
        else masks(hook, dataset_id, [mask(location)], predictions=False, mask_folder=str(folder))
    )

    def swap(progress: Any) -> None:
        if progress.phase == "Checked":
            _swap(path, swapped, folder.parent / "outside")

    monkeypatch.setattr(task, "_measure", swap)
    proxy.arm()
    with pytest.raises(NucleusSourceError, match="cannot be sent"):
        run(task)

    assert proxy.requests(r"POST .*/(append|annotate)") == []
    assert hook.dataset_size(dataset_id) == 2


def _swap(path: Path, how: str, outside: Path) -> None:
    if how == "text":
        path.write_bytes(SECRET)
        return
    path.unlink(missing_ok=True)
    if how == "link":
        path.symlink_to(outside / "private.png")
    elif how == "linked folder":
        path.parent.rmdir()
        path.parent.symlink_to(outside)
        (outside / path.name).write_bytes((outside / "private.png").read_bytes())


@pytest.mark.parametrize("folder_given", ["file://host/images", "C:\\images"])
@pytest.mark.parametrize("argument", ["image_folder", "mask_folder"])
def test_a_folder_of_another_machine_is_refused(hook, folder_given, argument):
    """By the name of the argument, before anything is read."""
    made = (
        items
        if argument == "image_folder"
        else lambda *rest, **more: masks(hook, *rest, predictions=False, **more)
    )
    with pytest.raises(NucleusConfigError, match=argument):
        run(made("ds_any", [{"reference_id": "a"}], **{argument: folder_given}))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nowhere", "does not exist"), ("~/images", "/images' does not exist"), ("good.png", "is not a folder")],
)
@pytest.mark.parametrize("kind", ["image_folder", "mask_folder"])
def test_a_folder_that_is_none_is_one_error(hook, proxy, folder, request, monkeypatch, kind, name, reason):
    """Of the argument, before a row is read; not one of each row."""
    monkeypatch.chdir(folder)
    dataset_id = hook.create_dataset(request.node.name)
    if kind == "image_folder":
        task = items(dataset_id, [{"reference_id": "good", "image_url": "good.png"}], image_folder=name)
    else:
        task = masks(hook, dataset_id, [mask("good.png")], predictions=False, mask_folder=name)
    monkeypatch.setattr(task, "_rows", lambda _: pytest.fail("the rows were read"))

    with pytest.raises(NucleusConfigError, match=reason) as caught:
        run(task)

    assert caught.value.field == kind
    assert repr(name.replace("~", str(Path.home()))) in str(caught.value)


def test_a_folder_is_not_needed_where_nothing_is_left_to_send(hook, folder, request):
    """A retry, perhaps on another worker, has only to settle the upload."""
    dataset_id, store = hook.create_dataset(request.node.name), StateStore()
    rows = [{"reference_id": "far", "image_url": "https://images/far.png"}]
    for there in (True, False):
        if not there:
            folder.rename(folder.parent / "elsewhere")
        task = items(dataset_id, rows, image_folder=str(folder))
        assert task.execute(context(task, store=store))["processed"] == 1


def test_what_leads_out_says_where_to(hook, proxy, folder, request):
    """And the hint names the argument that may be wrong."""
    dataset_id = hook.create_dataset(request.node.name)
    outside = folder.parent / "outside" / "private.png"
    task = items(dataset_id, [{"reference_id": "bad", "image_url": "link.png"}], image_folder=str(folder))

    with pytest.raises(
        NucleusUploadError, match=rf"leads out of image_folder .*: it leads to '{outside}'"
    ) as caught:
        run(task)

    assert "Correct the rows, image_folder, or the mapping" in str(caught.value)


def test_masks_of_jobs_name_both_ways_out(hook, proxy, folder, request):
    """Neither alone is enough."""
    dataset_id = dataset(hook, request.node.name)
    task = NucleusUploadAnnotationsOperator(
        task_id="masks", dataset_id=dataset_id, source=[mask("good.png")], deferrable=False
    )

    with pytest.raises(NucleusUploadError, match="asynchronous=False and with mask_folder") as caught:
        run(task)

    assert "Correct the rows, mask_folder, asynchronous, or the mapping" in str(caught.value)
