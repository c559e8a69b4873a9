"""The ground truths that COCO results refer to, and which of them each object belongs to.

Ids are the business of one file: two files that both number their images from 1 mean different images. Where no image id occurs in two
ground truths, the image of an object says which one it belongs to. Where they do, every file of results belongs to one: to that at its
place, if there are as many of either, or else to the only one that has all its images.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.coco.errors import CocoError
from airflow_provider_nucleus.coco.ids import normal_id
from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.sources.files import SourceFile, open_plain
from airflow_provider_nucleus.sources.json_stream import JsonFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_nucleus.coco.ids import Identifier
    from airflow_provider_nucleus.sources.coco_index import CocoIndex

__all__ = ["CocoTruths"]


@dataclass(slots=True)
class CocoTruths:
    """One ground truth or several, as their indexes, in the order in which they were given."""

    indexes: Sequence[CocoIndex]
    _owners: dict[Identifier, CocoIndex] | None = field(init=False, default=None)
    """The ground truth of each image, where no image is in two."""

    def __post_init__(self) -> None:
        distinct = list({id(index): index for index in self.indexes}.values())
        owners: dict[Identifier, CocoIndex] = {}
        for index in distinct:
            if owners.keys() & index.references.keys():
                return
            owners.update(dict.fromkeys(index.references, index))
        self._owners = owners

    def of_file(self, source_file: SourceFile, place: int, places: int) -> CocoTruths:
        """Return what the results in a file refer to, the file being the one at *place* of *places*, from 0.

        Raises NucleusConfigError when that cannot be told.
        """
        if self._owners is not None:
            return self
        own = self.indexes[place] if places == len(self.indexes) else None
        wanted = set(_image_ids(source_file))
        fitting = {id(index): index for index in self.indexes if wanted <= index.references.keys()}
        if own is not None and (id(own) in fitting or len(fitting) != 1):
            return CocoTruths([own])
        if fitting and (len(fitting) == 1 or not wanted):
            # Results in which nothing was found refer to no image: any will do.
            return CocoTruths(list(fitting.values())[:1])
        names = ", ".join(dict.fromkeys(index.name for index in self.indexes))
        fits = "has its images in more than one" if fitting else "has its images in none"
        raise NucleusConfigError(
            f"{source_file.name} {fits} of the ground truths {names}, which number their images alike.",
            field="ground_truth",
            hint="Name as many ground truths as files of results, in the same order, or upload each pair by itself.",
        )

    def index(self, image_id: Identifier) -> CocoIndex:
        """Return the ground truth that an image belongs to; CocoError where it is in none."""
        if len(self.indexes) == 1:
            return self.indexes[0]
        if self._owners is not None and (found := self._owners.get(image_id)) is not None:
            return found
        names = ", ".join(index.name for index in self.indexes)
        raise CocoError("image_id", f"{image_id!r} is not among the images of {names}")


def _image_ids(source_file: SourceFile) -> Iterator[Any]:
    """Yield the image ids of results, as far as they are ids."""
    with open_plain(source_file) as stream:
        document = JsonFile(stream, source_file.name)
        if document.peek() == b"[":
            yield from _ids_of(document)
            return
        for key in document.members():
            if key == "annotations" and document.peek() == b"[":
                yield from _ids_of(document)
            else:
                document.skip()


def _ids_of(document: JsonFile) -> Iterator[Any]:
    for batch in document.batches():
        for element in batch:
            if isinstance(element, dict):
                try:
                    yield normal_id(element.get("image_id"))
                except CocoError:
                    continue  # told with its row when the rows are read
