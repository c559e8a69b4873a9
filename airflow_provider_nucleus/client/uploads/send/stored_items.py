"""Items that a dataset has before its images are sent: the server ignores these, so their bytes need not travel.

That holds as long as nothing is replaced. With `update` every image is sent, because nothing in the contract says which bytes the
server has: items carry no digest and no size, and equal perceptual hashes do not mean equal bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.client.calls.datasets import dataset_size
from airflow_provider_nucleus.client.calls.items import items_page
from airflow_provider_nucleus.exceptions import NucleusError

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

    from airflow_provider_nucleus.client.sync import NucleusClient

__all__ = ["reference_id_of", "stored_among"]

_LISTED_PER_IMAGE: Final = 100
"""Items of the dataset that are listed for each image at most: a listing has about 300 bytes an item, an image many times a hundred of these."""


def reference_id_of(line: bytes) -> str:
    """Return the reference id of an item's line of JSON."""
    return str(json.loads(line)["reference_id"])


def stored_among(
    client: NucleusClient, dataset_id: str, lines: Iterable[bytes], log: logging.Logger
) -> frozenset[str]:
    """Return the reference ids of the items among *lines* that the dataset has.

    None is said to be there when the dataset is too large for its listing to be worth it, or when it cannot be listed: then all images
    are sent, and the server tells which it has.
    """
    wanted = {reference_id_of(line) for line in lines}
    if not wanted:
        return frozenset()
    try:
        size = client.send(dataset_size(dataset_id))
        if not 0 < size <= _LISTED_PER_IMAGE * len(wanted):
            return frozenset()
        stored = frozenset(
            item.reference_id for item in client.pages(items_page(dataset_id)) if item.reference_id in wanted
        )
    except NucleusError as error:
        log.info("All images are sent, for the items that the dataset has cannot be listed: %s", error)
        return frozenset()
    if stored:
        log.info(
            "%s of %s images belong to items that the dataset has: they count as ignored, and their bytes are not sent "
            "(update=True sends and replaces them)",
            f"{len(stored):,}",
            f"{len(wanted):,}",
        )
    return stored
