"""The two small sections of a COCO file that every row refers to: images and categories."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from airflow_provider_nucleus.coco.entries import CocoCategories, CocoCategory, CocoImages
from airflow_provider_nucleus.coco.errors import CocoError
from airflow_provider_nucleus.coco.ids import Identifier, normal_id
from airflow_provider_nucleus.coco.layouts import HEAD, looks_like
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.sources.files import SourceFile, find_files, open_plain
from airflow_provider_nucleus.sources.json_stream import JsonFile

__all__ = ["CocoIndex", "image_fields", "index_of_mapping", "load_indexes", "no_coco", "read_index"]

log = logging.getLogger(__name__)

ReferenceIdMaker = Callable[[Mapping[str, Any]], str]


@dataclass(slots=True)
class CocoIndex:
    """Reference id and size by image id, category by category id: all that is held in memory of a COCO file. Ids are in normal form."""

    name: str
    references: dict[Identifier, str] = field(default_factory=dict)
    categories: dict[Identifier, CocoCategory] = field(default_factory=dict)
    sizes: dict[Identifier, tuple[int, int]] = field(default_factory=dict)
    """Height and width, where the file gives both."""

    def reference(self, image_id: Identifier) -> str:
        """Return the reference id of an image; CocoError when it is unknown."""
        try:
            return self.references[image_id]
        except KeyError:
            raise CocoError("image_id", f"{image_id!r} is not among the images of {self.name}") from None

    def category(self, category_id: Identifier) -> CocoCategory:
        """Return a category; CocoError when it is unknown."""
        try:
            return self.categories[category_id]
        except KeyError:
            raise CocoError(
                "category_id", f"{category_id!r} is not among the categories of {self.name}"
            ) from None


def image_fields(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return an image entry with `name` and `stem` of its file name, for templates."""
    path = PurePosixPath(str(image.get("file_name", "")))
    return {"name": path.name, "stem": path.stem, **image}


def index_of_mapping(
    images: Mapping[Any, str] | None = None, categories: Mapping[Any, Any] | None = None
) -> CocoIndex:
    """Return the index that mappings of ids to names make.

    Raises NucleusValidationError for what is no id or no name, and for an id that is there as number and as text.
    """
    try:
        return CocoIndex(
            "the given mapping",
            _named(images or {}, "images"),
            {
                key: one if isinstance(one, CocoCategory) else CocoCategory(one)
                for key, one in _named(categories or {}, "categories").items()
            },
        )
    except CocoError as error:
        raise NucleusValidationError(error.field, error.reason) from None


def _named(names: Mapping[Any, Any], section: str) -> dict[Identifier, Any]:
    by_id: dict[Identifier, Any] = {}
    for key, name in names.items():
        number = normal_id(key, section)
        if number in by_id:
            raise CocoError(section, f"{number!r} is there twice, as number and as text")
        if not isinstance(name, CocoCategory) and not (isinstance(name, str) and name.strip()):
            raise CocoError(section, f"{number!r} is named {name!r}, which is no text")
        by_id[number] = name
    return by_id


def load_indexes(source: Any, *, reference_id: ReferenceIdMaker | None = None) -> list[CocoIndex]:
    """Read images and categories of every file of a source, each once, in the order of the files."""
    read: dict[str, CocoIndex] = {}
    found = []
    for source_file in find_files(source):
        key = str(source_file.path)
        if key not in read:
            read[key] = read_index(source_file, reference_id=reference_id)
        found.append(read[key])
    return found


def read_index(
    source_file: SourceFile,
    *,
    sections: Iterable[str] = ("images", "categories"),
    reference_id: ReferenceIdMaker | None = None,
) -> CocoIndex:
    """Read images and categories of a COCO file.

    `reference_id` makes the reference id from an image entry; without it the file name is taken as it stands. Raises
    NucleusValidationError when the file is no COCO ground truth, or an entry is unusable, because every row that refers to it would be.
    """
    index = CocoIndex(source_file.name)
    reader = _EntryReader(index, reference_id)
    wanted = set(sections)
    with open_plain(source_file) as stream:
        document = JsonFile(stream, source_file.name)
        if document.peek() != b"{":
            raise no_coco(source_file, sorted(wanted))
        for key in document.members():
            if key not in wanted:
                document.skip()
                continue
            if document.peek() != b"[":
                raise NucleusValidationError(key, "must be a list", source=source_file.name)
            wanted.discard(key)
            row = 0
            for batch in document.batches():
                for entry in batch:
                    row += 1
                    try:
                        reader.add(key, entry)
                    except CocoError as error:
                        raise NucleusValidationError(
                            error.field, error.reason, row=row, source=source_file.name
                        ) from None
                    except (ValueError, TypeError) as error:
                        raise NucleusValidationError(
                            key, str(error), row=row, source=source_file.name
                        ) from None
        document.finish()
    if wanted:
        raise no_coco(source_file, sorted(wanted))
    reader.finish()
    return index


def no_coco(source_file: SourceFile, lacks: list[str]) -> NucleusValidationError:
    """Return the error for a document that lacks sections of a COCO ground truth, with what it looks like."""
    with open_plain(source_file) as stream:
        head = stream.read(HEAD)
    likeness = looks_like(head) if head.strip() else "an empty file"
    return NucleusValidationError(
        "",
        f"has no {' and no '.join(map(repr, lacks))}: it is not a COCO ground truth"
        + (f"; it looks like {likeness}" if likeness else ""),
        source=source_file.name,
        hint="A COCO ground truth is an object with the lists images, categories and annotations.",
    )


class _EntryReader:
    """Puts images and categories into an index."""

    def __init__(self, index: CocoIndex, reference_id: ReferenceIdMaker | None) -> None:
        self._index = index
        self._reference_id = reference_id
        self._images = CocoImages(unique_names=reference_id is None)
        self._categories = CocoCategories()
        self._owners: dict[str, Identifier] = {}

    def add(self, section: str, entry: Any) -> None:
        if section == "categories":
            self._categories.add(entry)
            return
        image = self._images.add(entry, named=self._reference_id is None)
        if self._reference_id is None:
            assert image.file_name is not None
            reference = image.file_name
        else:
            reference = self._reference_id(image_fields(entry))
            other = self._owners.setdefault(reference, image.id)
            if other != image.id:
                raise CocoError(
                    "images",
                    f"the template makes the reference id {reference!r} of the images {other!r} and {image.id!r}; objects of both "
                    "would land on one item",
                )
        self._index.references[image.id] = reference
        if image.height and image.width:
            self._index.sizes[image.id] = (image.height, image.width)

    def finish(self) -> None:
        self._index.categories = self._categories.labelled()
        for number, category in self._index.categories.items():
            if category.left_out:
                log.warning(
                    "%s: category %r: %s; it is left out, no number depends on it",
                    self._index.name,
                    number,
                    category.left_out,
                )
