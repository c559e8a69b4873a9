"""Scenes: lidar scenes (frames of sensors) and video scenes (frames of one camera), and their items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from airflow_provider_nucleus.dot_ids import DOT_ID_PROBLEM, DOT_IDS
from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.exact_json import json_text
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.catalog import items
from airflow_provider_nucleus.local.store.database import one, rows
from airflow_provider_nucleus.local.store.geometry_rules import COORDINATE_LIMIT, is_number
from airflow_provider_nucleus.local.store.ids import SCENE, numbered
from airflow_provider_nucleus.local.store.sequences import reserve
from airflow_provider_nucleus.local.store.value_rules import camera_problem, is_blank

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.local.requests.query.compile import Fragment
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.items import Item
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "Scene",
    "by_item",
    "by_reference",
    "delete",
    "in_slice",
    "listing",
    "page",
    "scene_problem",
    "store_checked",
    "to_wire",
]

LIDAR: Final = "lidar"
VIDEO: Final = "video"


@dataclass(frozen=True, slots=True)
class StoredScene:
    """The outcome for an uploaded scene: `created`, `updated`, `ignored` or `errored` (then with a problem)."""

    status: str
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A stored scene; `frames` is the JSON list of item numbers (video) or of sensor: item number (lidar)."""

    scene_no: int
    reference_id: str
    type: str
    metadata: str | None
    frames: str
    tracks: str | None
    frame_rate: float | None
    video_url: str | None


_COLUMNS: Final = "scene_no, reference_id, type, metadata, frames, tracks, frame_rate, video_url"


def scene_problem(scene: Any, kind: str) -> str | None:
    """Return what is wrong with an uploaded scene object, or None."""
    if (
        not isinstance(scene, dict)
        or not isinstance(scene.get("reference_id"), str)
        or is_blank(scene["reference_id"])
    ):
        return "reference_id must be a non-empty string"
    if scene["reference_id"] in DOT_IDS:
        return f"reference_id {DOT_ID_PROBLEM}"
    frames = scene.get("frames", [])
    if not isinstance(frames, list):
        return "frames must be a list"
    if not isinstance(scene.get("metadata"), dict | None) or not isinstance(scene.get("tracks"), list | None):
        return "metadata must be an object and tracks a list"
    seen: set[str] = set()
    for index, frame in enumerate(frames):
        entries = frame if kind == LIDAR else {"video": frame}
        problem = _frame_problem(entries, kind, seen)
        if problem is not None:
            return f"frames[{index}]: {problem}"
    if not isinstance(scene.get("video_url"), str | None) or not _is_rate(scene.get("frame_rate")):
        return "video_url must be a string and frame_rate a positive number"
    if kind == VIDEO and not frames and not scene.get("video_url"):
        return "a video scene needs frames or a video_url"
    return None


def _frame_problem(entries: Any, kind: str, seen: set[str]) -> str | None:
    if not isinstance(entries, dict):
        return "must be an object of sensor: item"
    clouds = 0
    for sensor, entry in entries.items():
        if not isinstance(entry, dict) or not isinstance(url := entry.get("url"), str) or is_blank(url):
            return f"{sensor} needs a url"
        reference_id = entry.get("reference_id")
        if not isinstance(reference_id, str) or is_blank(reference_id) or reference_id in seen:
            return f"{sensor} needs a reference_id that no other item of the scene has"
        if reference_id in DOT_IDS:
            return f"reference_id of {sensor} {DOT_ID_PROBLEM}"
        if entry.get("type") not in ("image", "pointcloud") or not isinstance(
            entry.get("metadata"), dict | None
        ):
            return f"{sensor} needs a type (image or pointcloud), and metadata must be an object"
        if not _is_size(entry.get("width")) or not _is_size(entry.get("height")):
            return f"width and height of {sensor} must be positive integers"
        for camera in (entry.get("camera_params"), (entry.get("metadata") or {}).get("camera_params")):
            if camera is not None and (problem := camera_problem(camera)) is not None:
                return f"{sensor}: {problem}"
        seen.add(reference_id)
        clouds += entry["type"] == "pointcloud"
    return "exactly one sensor must be a pointcloud" if kind == LIDAR and clouds != 1 else None


def _is_rate(value: Any) -> bool:
    return value is None or (is_number(value) and value > 0)


def _is_size(value: Any) -> bool:
    return value is None or (
        isinstance(value, int) and not isinstance(value, bool) and 0 < value <= COORDINATE_LIMIT
    )


def _entries(scene: dict[str, Any], kind: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for index, frame in enumerate(scene.get("frames", [])):
        if kind == VIDEO:
            yield index, "", frame
        else:
            for sensor, entry in frame.items():
                yield index, sensor, entry


def store_checked(
    cursor: Cursor, dataset: DatasetRecord, scene: Any, *, kind: str, update: bool
) -> StoredScene:
    """Check and store one uploaded scene.

    A scene is known by its reference id; with `update` an existing one is replaced, but its items keep their ids and
    annotations where their reference ids stay. An item whose reference id another scene has is an error of the scene.
    """
    problem = scene_problem(scene, kind)
    if problem is not None:
        return StoredScene("errored", problem)
    old = one(
        cursor,
        "SELECT scene_no FROM scenes WHERE dataset_no = ? AND reference_id = ?",
        [dataset.number, scene["reference_id"]],
    )
    if old is not None and not update:
        return StoredScene("ignored")
    entries = list(_entries(scene, kind))
    names = [entry["reference_id"] for _, _, entry in entries]
    taken = {
        row["reference_id"]: row
        for row in rows(
            cursor,
            "SELECT reference_id, item_no, scene_no FROM items WHERE dataset_no = ? "
            "AND reference_id IN (SELECT unnest(?::VARCHAR[]))",
            [dataset.number, names],
        )
    }
    for name, row in taken.items():
        if old is None or row["scene_no"] != old["scene_no"]:
            return StoredScene("errored", f"item reference_id {name} is already used in dataset {dataset.id}")
    number = reserve(cursor, "scene") if old is None else old["scene_no"]
    _forget_frames(cursor, number, keep=names)
    frames = _store_entries(
        cursor, dataset, number, entries, {name: row["item_no"] for name, row in taken.items()}
    )
    cursor.execute("DELETE FROM scenes WHERE scene_no = ?", [number])
    layout: list[Any] = [dict[str, int]() for _ in scene.get("frames", [])]
    for index, sensor, item_no in frames:
        layout[index][sensor] = item_no
    cursor.execute(
        "INSERT INTO scenes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            number, dataset.number, scene["reference_id"], kind, _text(scene.get("metadata")), _text(layout),
            _text(scene.get("tracks")), scene.get("frame_rate"), scene.get("video_url"), timestamps.now(),
        ],
    )  # fmt: skip
    return StoredScene("created" if old is None else "updated")


def _text(value: Any) -> str | None:
    return None if value is None else json_text(value)


def _forget_frames(cursor: Cursor, scene_no: int, *, keep: list[str]) -> None:
    tail = "scene_no = ? AND reference_id NOT IN (SELECT unnest(?::VARCHAR[]))"
    for item in items.item_rows(cursor, tail, [scene_no, keep]):
        items.delete(cursor, item)


def _store_entries(
    cursor: Cursor,
    dataset: DatasetRecord,
    scene_no: int,
    entries: list[tuple[int, str, dict[str, Any]]],
    known: dict[str, int],
) -> list[tuple[int, str, int]]:
    cursor.execute("DELETE FROM items WHERE scene_no = ?", [scene_no])
    fresh = sum(entry["reference_id"] not in known for _, _, entry in entries)
    following = reserve(cursor, "item", count=fresh) if fresh else 0
    placed = []
    for index, sensor, entry in entries:
        item_no = known.get(entry["reference_id"])
        if item_no is None:
            item_no, following = following, following + 1
        image, cloud = (entry["url"], None) if entry["type"] == "image" else (None, entry["url"])
        metadata = dict(entry.get("metadata") or {})
        if entry.get("camera_params") is not None:
            metadata.setdefault("camera_params", entry["camera_params"])
        cursor.execute(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?, NULL, ?, ?, ?, NULL, ?, ?, NULL)",
            [
                item_no, dataset.number, entry["reference_id"], image, cloud, _text(metadata), entry.get("width"),
                entry.get("height"), scene_no, timestamps.now(),
            ],
        )  # fmt: skip
        placed.append((index, sensor, item_no))
    return placed


def listing(cursor: Cursor, dataset: DatasetRecord) -> list[dict[str, Any]]:
    """Return id, reference id, type and metadata of every scene, oldest first."""
    found = rows(
        cursor, f"SELECT {_COLUMNS} FROM scenes WHERE dataset_no = ? ORDER BY scene_no", [dataset.number]
    )
    return [_brief(Scene(**row)) for row in found]


def page(
    cursor: Cursor, dataset: DatasetRecord, condition: Fragment, *, after: int, size: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Return up to `size` scenes with an item that satisfies a condition, and the scene to go on after."""
    found = rows(
        cursor,
        f"SELECT {_COLUMNS} FROM scenes WHERE dataset_no = ? AND scene_no > ? AND scene_no IN "
        f"(SELECT i.scene_no FROM items i WHERE i.dataset_no = ? AND {condition.sql}) ORDER BY scene_no LIMIT ?",
        [dataset.number, after, dataset.number, *condition.parameters, size + 1],
    )
    scenes = [Scene(**row) for row in found[:size]]
    return [_brief(scene) for scene in scenes], scenes[-1].scene_no if len(found) > size else None


def _brief(scene: Scene) -> dict[str, Any]:
    """Return a scene without its frames."""
    return {
        "id": numbered(SCENE, scene.scene_no),
        "reference_id": scene.reference_id,
        "type": scene.type,
        "metadata": orjson.Fragment(scene.metadata or "{}"),
    }


def by_reference(cursor: Cursor, dataset: DatasetRecord, reference_id: str) -> Scene:
    """Return a scene by its reference id."""
    row = one(
        cursor,
        f"SELECT {_COLUMNS} FROM scenes WHERE dataset_no = ? AND reference_id = ?",
        [dataset.number, reference_id],
    )
    if row is None:
        raise NotFoundError(f"Scene {reference_id} does not exist in dataset {dataset.id}.")
    return Scene(**row)


def by_item(cursor: Cursor, dataset: DatasetRecord, reference_id: str) -> Scene:
    """Return the scene that has an item with this reference id."""
    row = one(
        cursor,
        f"SELECT {_COLUMNS} FROM scenes WHERE scene_no IN "
        "(SELECT scene_no FROM items WHERE dataset_no = ? AND reference_id = ?)",
        [dataset.number, reference_id],
    )
    if row is None:
        raise NotFoundError(f"No scene in dataset {dataset.id} has an item {reference_id}.")
    return Scene(**row)


def in_slice(cursor: Cursor, slice_no: int) -> list[Scene]:
    """Return the scenes that are members of a slice, oldest first."""
    condition = "scene_no IN (SELECT scene_no FROM slice_items WHERE slice_no = ?)"
    found = rows(cursor, f"SELECT {_COLUMNS} FROM scenes WHERE {condition} ORDER BY scene_no", [slice_no])
    return [Scene(**row) for row in found]


def to_wire(cursor: Cursor, scene: Scene) -> dict[str, Any]:
    """Return a scene with its frames as reads show it."""
    found: dict[int, Item] = {
        item.item_no: item for item in items.item_rows(cursor, "scene_no = ?", [scene.scene_no])
    }
    frames: list[Any] = [
        {sensor: found[number].to_wire() for sensor, number in frame.items() if number in found}
        for frame in orjson.loads(scene.frames)
    ]
    wire: dict[str, Any] = {"id": numbered(SCENE, scene.scene_no), "reference_id": scene.reference_id}
    if scene.type == VIDEO:
        frames = [frame[""] for frame in frames if frame]
        wire |= {"frame_rate": scene.frame_rate, "video_url": scene.video_url}
    return wire | {
        "frames": frames,
        "metadata": orjson.Fragment(scene.metadata or "{}"),
        "tracks": orjson.Fragment(scene.tracks or "[]"),
    }


def delete(cursor: Cursor, scene: Scene) -> None:
    """Delete a scene with its items and everything on them."""
    for item in items.item_rows(cursor, "scene_no = ?", [scene.scene_no]):
        items.delete(cursor, item)
    for table in ("categories", "slice_items", "scenes"):
        cursor.execute(f"DELETE FROM {table} WHERE scene_no = ?", [scene.scene_no])
