"""A dataset as everything below the routes refers to it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DatasetRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecord:
    """Number, id, name and kind of one dataset."""

    number: int
    id: str
    name: str
    is_scene: bool
    use_privacy_mode: bool
