"""Scenes: what several sensors, or one video camera, saw over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.base import require_object
from airflow_provider_nucleus.schema.checks import check_id, check_metadata, excerpt
from airflow_provider_nucleus.schema.items import DatasetItem, ItemType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Frame", "LidarScene", "VideoScene"]

MAX_VIDEO_FRAMES = 3000


class Frame:
    """Items of all sensors at one moment: `Frame(lidar=DatasetItem(...), front=DatasetItem(...))`."""

    __slots__ = ("items",)

    items: Mapping[str, DatasetItem]

    def __init__(self, **sensors: DatasetItem) -> None:
        for sensor, item in sensors.items():
            if not isinstance(item, DatasetItem):
                raise NucleusValidationError(sensor, f"must be a DatasetItem, got {excerpt(item)}")
        _check_unique(sensors.values())
        self.items = dict(sensors)

    def __repr__(self) -> str:
        return f"Frame({', '.join(f'{name}={item!r}' for name, item in self.items.items())})"

    def __eq__(self, other: object) -> bool:
        return self.items == other.items if isinstance(other, Frame) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def to_wire(self) -> dict[str, Any]:
        """Spell the frame as the official client sends it."""
        return {sensor: item.to_wire(in_scene=True) for sensor, item in self.items.items()}

    @classmethod
    def from_wire(cls, payload: object) -> Frame:
        """Read a frame back."""
        members = require_object(payload, "a frame")
        return cls(**{sensor: DatasetItem.from_wire(item) for sensor, item in members.items()})


@dataclass(frozen=True)
class LidarScene:
    """Frames over time, each with exactly one point cloud, always from the same sensor, and any number of images."""

    reference_id: str
    frames: list[Frame] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    tracks: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        _check_scene(self.reference_id, self.metadata)
        if not self.frames:
            raise NucleusValidationError("frames", "must hold at least one frame")
        lidars = set()
        for position, frame in enumerate(self.frames):
            clouds = [name for name, item in frame.items.items() if item.type is ItemType.POINTCLOUD]
            if len(clouds) != 1:
                reason = f"must have exactly one point cloud, has {len(clouds)}"
                raise NucleusValidationError(f"frames.{position}", reason)
            lidars.add(clouds[0])
        if len(lidars) != 1:
            raise NucleusValidationError(
                "frames", f"must use one lidar sensor, use {', '.join(sorted(lidars))}"
            )
        _check_unique(item for frame in self.frames for item in frame.items.values())

    def to_wire(self) -> dict[str, Any]:
        """Spell the scene exactly as the official client sends it."""
        wire: dict[str, Any] = {
            "reference_id": self.reference_id,
            "frames": [frame.to_wire() for frame in self.frames],
        }
        return wire | _extras(self.tracks, self.metadata)

    @classmethod
    def from_wire(cls, payload: object) -> LidarScene:
        """Read a scene back."""
        members = require_object(payload, "a lidar scene")
        return cls(
            reference_id=members.get("reference_id") or "",
            frames=[Frame.from_wire(frame) for frame in members.get("frames") or []],
            metadata=members.get("metadata") or {},
            tracks=members.get("tracks") or [],
        )


@dataclass(frozen=True)
class VideoScene:
    """A video: either an address, or images with a frame rate (frames per second)."""

    reference_id: str
    frame_rate: int | None = None
    video_location: str | None = None
    items: list[DatasetItem] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    tracks: list[dict[str, Any]] = field(default_factory=list)
    use_privacy_mode: bool = False

    def __post_init__(self) -> None:
        _check_scene(self.reference_id, self.metadata)
        if not self.items and not self.video_location:
            raise NucleusValidationError("video_location", "is missing, and so are items: give one of them")
        if self.items:
            self._check_items()
        elif self.frame_rate:
            raise NucleusValidationError("frame_rate", "is only possible with items; a video has its own")

    def _check_items(self) -> None:
        if not self.frame_rate or self.frame_rate <= 0:
            raise NucleusValidationError("frame_rate", "must be at least 1 when the scene is made of items")
        if self.video_location and not self.use_privacy_mode:
            raise NucleusValidationError(
                "video_location", "cannot be combined with items outside privacy mode"
            )
        if len(self.items) > MAX_VIDEO_FRAMES:
            reason = f"must hold at most {MAX_VIDEO_FRAMES} frames, hold {len(self.items)}"
            raise NucleusValidationError("items", reason)
        for position, item in enumerate(self.items):
            if item.type is not ItemType.IMAGE:
                raise NucleusValidationError(f"items.{position}", "must be an image")
        _check_unique(self.items)

    def to_wire(self) -> dict[str, Any]:
        """Spell the scene exactly as the official client sends it."""
        wire: dict[str, Any] = {"reference_id": self.reference_id}
        if self.frame_rate:
            wire["frame_rate"] = self.frame_rate
        if self.metadata:
            wire["metadata"] = self.metadata
        if self.video_location:
            wire["video_url"] = self.video_location
        wire["upload_to_scale"] = not self.use_privacy_mode
        if self.items:
            wire["frames"] = [item.to_wire(in_scene=True) for item in self.items]
        if self.tracks:
            wire["tracks"] = self.tracks
        return wire


def _extras(tracks: list[dict[str, Any]], metadata: dict[str, Any]) -> dict[str, Any]:
    wire: dict[str, Any] = {}
    if tracks:
        wire["tracks"] = tracks
    if metadata:
        wire["metadata"] = metadata
    return wire


def _check_scene(reference_id: object, metadata: object) -> None:
    for name, check, value in (
        ("reference_id", check_id, reference_id),
        ("metadata", check_metadata, metadata),
    ):
        try:
            check(value)
        except ValueError as problem:
            raise NucleusValidationError(name, str(problem)) from None


def _check_unique(items: Iterable[DatasetItem]) -> None:
    seen = set()
    for item in items:
        if item.reference_id in seen:
            raise NucleusValidationError("reference_id", f"is used twice in the scene: {item.reference_id!r}")
        seen.add(item.reference_id)
