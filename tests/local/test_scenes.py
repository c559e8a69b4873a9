"""Scenes beyond the story: video, replacement, deletion, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from nucleus import BoxAnnotation, DatasetItem, VideoScene

from tests.local.conftest import box

if TYPE_CHECKING:
    import nucleus as official

    from tests.local.conftest import Api


def lidar(name: str, *frames: int, **changes: Any) -> dict[str, Any]:
    """Return a lidar scene with a point cloud and a camera per frame."""
    entries = [
        {
            "lidar": {
                "url": f"s3://{n}.json",
                "type": "pointcloud",
                "reference_id": f"{name}-cloud-{n}",
                "metadata": {},
            },
            "front": {
                "url": f"s3://{n}.jpg",
                "type": "image",
                "reference_id": f"{name}-front-{n}",
                "metadata": {},
            },
        }
        for n in frames
    ]
    return {"reference_id": name, "frames": entries, **changes}


def upload(api: Api, dataset: str, *scenes: Any, update: bool = False) -> tuple[dict[str, int], list[str]]:
    """Upload lidar scenes as a job and return (counts, errors)."""
    lines = "\n".join(json.dumps(scene) for scene in scenes)
    job = api.upload(dataset, f"{dataset}/upload_scenes", lines, update=update)
    counts = api.wait(job)["message"]["scene_upload"]
    return counts, [json.loads(text)["error"] for text in api.ok("GET", f"job/{job}/errors")]


def test_replaced_scene_keeps_the_annotations_of_items_that_stay(api: Api):
    """With update frames come and go; what is annotated stays annotated. Without, nothing changes."""
    dataset = api.dataset(is_scene=True)
    upload(api, dataset, lidar("s", 0, 1))
    rows = {"annotations": [box(f"s-front-{n}", "1") for n in (0, 1)], "update": False}
    api.ok("POST", f"dataset/{dataset}/annotate", json=rows)

    assert upload(api, dataset, lidar("s", 9))[0] == {"created": 0, "updated": 0, "ignored": 1, "errored": 0}
    assert upload(api, dataset, lidar("s", 1, 2, metadata={"k": 1}), update=True)[0]["updated"] == 1
    scene = api.ok("GET", f"dataset/{dataset}/scene/s-front-2?from_item=1")
    assert (scene["reference_id"], scene["metadata"]) == ("s", {"k": 1})
    assert [frame["lidar"]["reference_id"] for frame in scene["frames"]] == ["s-cloud-1", "s-cloud-2"]
    assert len(api.ok("GET", f"dataset/{dataset}/refloc/s-front-1")["annotations"]["box"]) == 1
    assert api("GET", f"dataset/{dataset}/refloc/s-front-0").status_code == 404


BAD_SCENES = {
    "no name": {"frames": []},
    "not an object": 7,
    "two clouds": lidar("x", 0)
    | {"frames": [{k: {**lidar("x", 0)["frames"][0]["lidar"], "reference_id": k} for k in "ab"}]},
    "no cloud": {"reference_id": "x", "frames": [{"front": lidar("x", 0)["frames"][0]["front"]}]},
    "same item twice": {"reference_id": "x", "frames": lidar("x", 0)["frames"] * 2},
    "no url": {"reference_id": "x", "frames": [{"lidar": {"type": "pointcloud", "reference_id": "r"}}]},
    "item of another scene": lidar("y", frames=lidar("good", 0)["frames"]),
}


def test_bad_scenes_are_errors_of_their_own(api: Api):
    """A bad scene leaves no items behind and does not stop a good one."""
    dataset = api.dataset(is_scene=True)

    counts, errors = upload(api, dataset, lidar("good", 0), *BAD_SCENES.values())

    assert counts == {"created": 1, "updated": 0, "ignored": 0, "errored": len(BAD_SCENES)}
    assert len(errors) == len(BAD_SCENES)
    assert "already used" in errors[-1]
    assert api.ok("GET", f"dataset/{dataset}/size") == {"count": 2}


def test_older_clients_upload_scenes_synchronously(api: Api):
    """Without async=1 the scenes are there when the answer comes."""
    dataset = api.dataset(is_scene=True)

    answer = api.ok("POST", f"{dataset}/upload_scenes", json={"scenes": [lidar("s", 0), 5], "update": False})

    assert (answer["new_scenes"], len(answer["upload_errors"])) == (1, 1)
    assert [scene["reference_id"] for scene in api.ok("GET", f"dataset/{dataset}/scenes_list")["scenes"]] == [
        "s"
    ]


def test_video_scenes_through_the_official_client(client: official.NucleusClient):
    """Frames of a video are items that take annotations."""
    dataset = client.create_dataset("video", is_scene=True)
    frames = [DatasetItem(f"https://x/{n}.jpg", f"frame-{n}", metadata={"n": n}) for n in range(3)]
    job = dataset.append([VideoScene("clip", frame_rate=15, items=frames, metadata={"k": "v"})])
    job.sleep_until_complete(verbose_std_out=False)

    answer = dataset.annotate([BoxAnnotation("car", 1, 2, 3, 4, "frame-1", track_reference_id="t")])

    assert answer["annotations_processed"] == 1
    scene = dataset.get_scene("clip")
    assert isinstance(scene, VideoScene)
    assert (scene.frame_rate, scene.metadata, scene.items) == (15, {"k": "v"}, frames)


@pytest.mark.parametrize("name", ["a/b", "c d%"])
def test_scene_names_may_hold_slashes(api: Api, name: str):
    """Deleting encodes the name, reading may not."""
    dataset = api.dataset(is_scene=True)
    upload(api, dataset, lidar(name, 0))
    encoded = name.replace("%", "%25").replace("/", "%2F")

    assert api.ok("GET", f"dataset/{dataset}/scene/{encoded}")["reference_id"] == name
    api.ok("DELETE", f"dataset/{dataset}/scene/{encoded}", json={})
    assert api("GET", f"dataset/{dataset}/scene/{encoded}").status_code == 404
    assert api.ok("GET", f"dataset/{dataset}/size") == {"count": 0}
