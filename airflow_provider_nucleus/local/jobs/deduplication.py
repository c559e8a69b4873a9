"""The job that finds images which look alike, by their perceptual hashes.

Items whose image the server holds without a hash (it came before layout 3, or in a scene) are hashed first; those that it does not
hold are fetched where that is switched on.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.jobs.chunks import dataset_of
from airflow_provider_nucleus.local.jobs.execution import JobOutcome
from airflow_provider_nucleus.local.pictures import examine
from airflow_provider_nucleus.local.remote_files import RemoteFileError, RemoteFiles
from airflow_provider_nucleus.local.store.catalog import image_hashes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.local.jobs.execution import JobContext
    from airflow_provider_nucleus.local.store.catalog.items import Item

__all__ = ["DEDUPLICATION_JOB", "first_of_kind", "run_deduplication"]

DEDUPLICATION_JOB: Final = "deduplicate"
_LARGEST: Final = 100 * 1024 * 1024
_AT_ONCE: Final = 64
_THREADS: Final = 4
_BITS: Final = 64


def run_deduplication(context: JobContext) -> JobOutcome:
    """Return the items that stay when of images which look alike only one does."""
    request, services = context.job.request, context.services
    with services.db.read() as cursor:
        dataset = dataset_of(cursor, context)
        items = image_hashes.chosen_items(
            cursor, dataset, reference_ids=request["reference_ids"], item_ids=request["dataset_item_ids"]
        )
    hashes = {item.item_no: item.phash for item in items if item.phash is not None}
    hashes |= _missing_hashes(context, [item for item in items if item.phash is None])
    kept = [
        items[row]
        for row in first_of_kind(
            [hashes[item.item_no] for item in items],
            [item.reference_id for item in items],
            threshold=request["threshold"],
        )
    ]
    return JobOutcome("Completed", _message(kept, threshold=request["threshold"], count=len(items)))


def _message(kept: Sequence[Item], *, threshold: int, count: int) -> dict[str, Any]:
    return {
        "unique_item_ids": [item.id for item in kept],
        "unique_reference_ids": [item.reference_id for item in kept],
        "stats": {"threshold": threshold, "original_count": count, "deduplicated_count": len(kept)},
    }


def _missing_hashes(context: JobContext, items: Sequence[Item]) -> dict[int, str]:
    """Hash the images of items and keep that; raises `BadRequestError` naming those that there is no image of."""
    services = context.services
    found: dict[int, str] = {}
    problems: list[str] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(items), _AT_ONCE):
            batch = items[start : start + _AT_ONCE]
            new: dict[int, str] = {}
            for item, (phash, problem) in zip(batch, pool.map(partial(_hash, context), batch), strict=True):
                if phash is None:
                    problems.append(f"{item.reference_id} ({problem})")
                else:
                    new[item.item_no] = phash
            with services.db.write() as cursor:
                context.check(cursor)
                image_hashes.save(cursor, new)
            found |= new
    if problems:
        raise BadRequestError(
            f"{len(problems)} of the items have no perceptual hash, for example {'; '.join(problems[:3])}. Append these items with "
            "their images as files, or start the server with NUCLEUS_LOCAL_FETCH_IMAGES=1 so that it fetches them."
        )
    return found


def _hash(context: JobContext, item: Item) -> tuple[str | None, str]:
    """Return the hash of an item's image, or None and why there is none."""
    services = context.services
    if item.blob is not None:
        with services.blobs.path(item.blob).open("rb") as file:
            picture = examine(file)
    elif item.image_url is None:
        return None, "it is a point cloud"
    elif not services.settings.fetch_images:
        return None, "the server does not have its image"
    else:
        try:
            data = RemoteFiles(web=True).read(item.image_url, limit=_LARGEST, stopped=context.stopping.is_set)
        except RemoteFileError as error:
            return None, f"its image was not fetched: {error}"
        picture = examine(io.BytesIO(data))
    return picture.phash, picture.problem or "its image cannot be decoded here"


def first_of_kind(hashes: Sequence[str], names: Sequence[str], *, threshold: int) -> list[int]:
    """Return the rows that stay: in order of hash and name, each that differs from all before it in more than `threshold` bits.

    This is the order of the official client's `deduplicate_by_phash`, so that both keep the same items.
    """
    values = np.array([int(text, 2) for text in hashes], dtype=np.uint64)
    order = sorted(range(len(hashes)), key=lambda row: (hashes[row], names[row]))
    kept: list[int] = []
    bits = np.zeros(len(hashes), dtype=np.uint64)
    for row in order:
        if threshold >= _BITS and kept:
            break
        if kept and threshold == 0:
            # Equal ones are neighbours.
            if bits[len(kept) - 1] == values[row]:
                continue
        elif kept and bool((_distances(bits[: len(kept)], values[row]) <= threshold).any()):
            continue
        bits[len(kept)] = values[row]
        kept.append(row)
    return kept


def _distances(values: NDArray[np.uint64], value: np.uint64) -> NDArray[np.int64]:
    """Return the number of bits in which each value differs from one."""
    ones: NDArray[np.int64] = _ONES[(values ^ value).view(np.uint8).reshape(-1, 8)].sum(axis=1)
    return ones


_ONES: Final = np.array([number.bit_count() for number in range(256)], dtype=np.int64)
