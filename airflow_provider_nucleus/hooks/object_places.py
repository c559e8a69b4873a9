"""Places of changed objects on their images, as the server has them: what a report draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.reporting.change_rows import crop_key, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_nucleus.hooks.nucleus import NucleusHook
    from airflow_provider_nucleus.reporting.extras import DrawnObject, ObjectChange

__all__ = ["place_changes"]

_MOST_CONDITIONS: Final = 50
_MOST_CHARS: Final = 6_000


def place_changes(
    changes: Sequence[ObjectChange],
    hook: NucleusHook,
    *,
    dataset_id: str,
    runs: Mapping[str, str | None],
    most: int,
) -> tuple[list[ObjectChange], list[str]]:
    """Return the changes, the first *most* of them with their outlines and images as the server has them, and why some have none.

    *runs* are the ids of the model runs of candidate and baseline. Objects are asked for by the items of those changes alone.
    """
    chosen = spread(changes, most)
    items = list(dict.fromkeys(change.item for change in chosen))
    places: dict[str, str | None] = {}
    objects: dict[str, dict[str, Any]] = {side: {} for side in ("truth", "candidate", "baseline")}
    try:
        for condition in _conditions(items):
            places.update(
                (item.reference_id or "", item.image_location)
                for item in hook.iter_queried_items(dataset_id, condition)
            )
            objects["truth"].update(_by_id(hook.iter_ground_truth(dataset_id, condition)))
            for side, run_id in runs.items():
                if run_id:
                    objects[side].update(
                        _by_id(hook.iter_predicted(dataset_id, condition, model_run_id=run_id))
                    )
    except NucleusError as error:
        return list(changes), [f"Changed objects have no pictures: {error.message}"]
    keys = {crop_key(change) for change in chosen}
    return [
        _placed(change, places.get(change.item), objects) if crop_key(change) in keys else change
        for change in changes
    ], []


def _conditions(items: Iterable[str]) -> list[str]:
    """Return queries that select the items, each as long as a query may be."""
    found: list[list[str]] = []
    for item in items:
        escaped = item.replace("\\", "\\\\").replace('"', '\\"')
        condition = f'reference_id = "{escaped}"'
        if (
            not found
            or len(found[-1]) >= _MOST_CONDITIONS
            or sum(map(len, found[-1])) + len(condition) > _MOST_CHARS
        ):
            found.append([])
        found[-1].append(condition)
    return [" OR ".join(conditions) for conditions in found]


def _by_id(rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(row["id"]): row for row in rows if row.get("id")}


def _placed(
    change: ObjectChange, location: str | None, objects: Mapping[str, Mapping[str, Any]]
) -> ObjectChange:
    sides = {
        side: _outlined(outline, objects[side].get(outline.id or ""))
        for side in objects
        if (outline := getattr(change, side)) is not None
    }
    return change.model_copy(update={**sides, "image": change.image or location})


def _outlined(outline: DrawnObject, row: Mapping[str, Any] | None) -> DrawnObject:
    """Return an object with its place on the image; what is neither box nor polygon keeps none."""
    geometry = (row or {}).get("geometry")
    if not isinstance(geometry, dict) or outline.box is not None or outline.rings is not None:
        return outline
    try:
        if "width" in geometry:
            x, y, width, height = (float(geometry[name]) for name in ("x", "y", "width", "height"))
            return outline.model_copy(update={"box": (x, y, width, height)})
        ring = [(float(point["x"]), float(point["y"])) for point in geometry.get("vertices") or ()]
    except (KeyError, TypeError, ValueError):
        return outline
    return outline.model_copy(update={"rings": [ring]}) if ring else outline
