"""The tables of slices: named subsets of a dataset."""

from __future__ import annotations

from typing import Final

__all__ = ["SLICE_TABLES"]

SLICE_TABLES: Final = (
    # One of the types dataset_item, object and scene.
    """CREATE TABLE IF NOT EXISTS slices (
        slice_no INTEGER NOT NULL, slice_id VARCHAR NOT NULL, dataset_no INTEGER NOT NULL, name VARCHAR NOT NULL,
        type VARCHAR NOT NULL, description VARCHAR, tags VARCHAR[] NOT NULL, created_at TIMESTAMP NOT NULL)""",
    # member_no: order of arrival. item_no is set for items and objects, object_no for objects, scene_no for scenes.
    """CREATE TABLE IF NOT EXISTS slice_items (
        slice_no INTEGER NOT NULL, member_no BIGINT NOT NULL, item_no BIGINT, object_no BIGINT, scene_no BIGINT)""",
)
"""Every statement that creates them."""
