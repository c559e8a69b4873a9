"""The two small sections of a COCO file that every row refers to: images and categories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.sources.files import SourceFile, find_files, open_plain
from airflow_provider_nucleus.sources.json_stream import JsonFile

__all__ = ["CocoCategory", "CocoIndex", "image_fields", "load_index"]


@dataclass(frozen=True, slots=True)
class CocoCategory:
    """A class of objects; `keypoints` and `skeleton` (0-based pairs) only where the file names them."""

    name: str
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class CocoIndex:
    """Reference id by image id, and category by category id: all that is held in memory of a COCO file."""

    name: str
    references: dict[Any, str] = field(default_factory=dict)
    categories: dict[Any, CocoCategory] = field(default_factory=dict)

    def reference(self, image_id: Any) -> str:
        """Return the reference id of an image; ValueError with the reason when it is unknown."""
        try:
            return self.references[image_id]
        except (KeyError, TypeError):
            raise ValueError(f"image_id {image_id!r} is not among the images of {self.name}") from None

    def category(self, category_id: Any) -> CocoCategory:
        """Return a category; ValueError with the reason when it is unknown."""
        try:
            return self.categories[category_id]
        except (KeyError, TypeError):
            raise ValueError(
                f"category_id {category_id!r} is not among the categories of {self.name}"
            ) from None


def image_fields(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return an image entry with `name` and `stem` of its file name, for templates."""
    path = PurePosixPath(str(image.get("file_name", "")))
    return {"name": path.name, "stem": path.stem, **image}


def load_index(
    source: Any,
    *,
    sections: Iterable[str] = ("images", "categories"),
    reference_id: Callable[[Mapping[str, Any]], str] | None = None,
) -> CocoIndex:
    """Read images and categories of a COCO file, or take mappings of ids to names.

    `source` is a path, or a mapping with `images` (id to file name) and `categories` (id to label). `reference_id` makes the
    reference id from an image entry; without it the file name is taken as it stands. Raises NucleusValidationError when an
    entry is unusable, because every row that refers to it would be.
    """
    if isinstance(source, Mapping):
        return _from_mapping(source)
    index = CocoIndex(", ".join(source_file.name for source_file in find_files(source)))
    for source_file in find_files(source):
        _load_file(source_file, index, frozenset(sections), reference_id)
    return index


def _from_mapping(source: Mapping[str, Any]) -> CocoIndex:
    categories = {
        key: one if isinstance(one, CocoCategory) else CocoCategory(str(one))
        for key, one in source.get("categories", {}).items()
    }
    return CocoIndex("the given mapping", dict(source.get("images", {})), categories)


def _load_file(
    source_file: SourceFile,
    index: CocoIndex,
    sections: frozenset[str],
    reference_id: Callable[[Mapping[str, Any]], str] | None,
) -> None:
    with open_plain(source_file) as stream:
        document = JsonFile(stream, source_file.name)
        if document.peek() != b"{":
            raise NucleusValidationError(
                "",
                "has no 'images' and 'categories': it is not a COCO ground truth",
                source=source_file.name,
                hint="Pass the ground truth file of these results.",
            )
        for key in document.members():
            if key not in sections:
                document.skip()
                continue
            for batch in document.batches():
                for entry in batch:
                    try:
                        if key == "images":
                            index.references[entry["id"]] = _reference(entry, reference_id)
                        else:
                            index.categories[entry["id"]] = _category(entry)
                    except (KeyError, TypeError, ValueError) as error:
                        raise NucleusValidationError(
                            key, _reason(error, entry), source=source_file.name
                        ) from None


def _reference(image: Mapping[str, Any], reference_id: Callable[[Mapping[str, Any]], str] | None) -> str:
    return str(image["file_name"]) if reference_id is None else reference_id(image_fields(image))


def _category(entry: Mapping[str, Any]) -> CocoCategory:
    return CocoCategory(
        str(entry["name"]),
        tuple(str(name) for name in entry.get("keypoints") or ()),
        # COCO counts key points from 1, Nucleus from 0.
        tuple((int(first) - 1, int(second) - 1) for first, second in entry.get("skeleton") or ()),
    )


def _reason(error: Exception, entry: object) -> str:
    excerpt = repr(entry)[:120]
    return f"entry {excerpt} lacks {error}" if isinstance(error, KeyError) else f"entry {excerpt}: {error}"
