"""The two lists that every object refers to: images and categories, with unique ids and names.

Ids are unique in a file, or objects would land on the wrong image or class. So are file names, which become reference ids. Two
categories may share a name; their labels then have the id behind it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.coco.errors import CocoError, excerpt
from airflow_provider_nucleus.coco.fields import side_of
from airflow_provider_nucleus.coco.ids import Identifier, normal_id

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CocoCategories", "CocoCategory", "CocoImage", "CocoImages"]


@dataclass(frozen=True, slots=True)
class CocoCategory:
    """A class of objects; `keypoints` and `skeleton` (0-based pairs) only where the file names them in a way that can be used."""

    name: str
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    left_out: str | None = None
    """Reason why the file's keypoint names or skeleton are not used."""


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image: its id, its name where it has one, height and width where they are given."""

    id: Identifier
    file_name: str | None
    height: int | None
    width: int | None


@dataclass(slots=True)
class CocoImages:
    """The images of one file while they are read; *unique_names* is false where names do not become reference ids."""

    unique_names: bool = True
    _rows: set[Identifier] = field(default_factory=set)
    _names: dict[str, Identifier] = field(default_factory=dict)

    def add(self, entry: Any, *, named: bool = True) -> CocoImage:
        """Judge the next image; *named* asks for its file name."""
        if type(entry) is not dict:
            raise CocoError("images", f"must be objects, got {excerpt(entry)}")
        number = normal_id(entry.get("id"), "images.id")
        if number in self._rows:
            raise CocoError(
                "images.id",
                f"{number!r} is the id of two images; ids must be unique: a file that was joined from several has to number anew",
            )
        self._rows.add(number)
        name = entry.get("file_name")
        if name is not None:
            _check_text(name, "images.file_name")
        if name is None and named:
            raise CocoError("images.file_name", "is missing: it becomes the reference id")
        if name is not None and self.unique_names:
            other = self._names.setdefault(name, number)
            if other != number:
                raise CocoError(
                    "images.file_name",
                    f"{name!r} is the name of the images {other!r} and {number!r}; objects of both would land on one item",
                )
        height, width = (side_of(entry.get(side), f"images.{side}") for side in ("height", "width"))
        return CocoImage(number, name, height, width)


@dataclass(slots=True)
class CocoCategories:
    """The categories of one file, by id in normal form."""

    by_id: dict[Identifier, CocoCategory] = field(default_factory=dict)

    def add(self, entry: Any) -> Identifier:
        """Judge the next category and return its id."""
        if type(entry) is not dict:
            raise CocoError("categories", f"must be objects, got {excerpt(entry)}")
        number = normal_id(entry.get("id"), "categories.id")
        if number in self.by_id:
            raise CocoError("categories.id", f"{number!r} is the id of two categories; ids must be unique")
        name = entry.get("name", number)
        if type(name) is int:
            name = str(name)
        _check_text(name, "categories.name")
        self.by_id[number] = _with_points(CocoCategory(name), entry)
        return number

    def labelled(self) -> dict[Identifier, CocoCategory]:
        """Return the categories with names that are unique: one that several share has the id behind it."""
        made = dict(self.by_id)
        while shared := {
            name for name, count in Counter(one.name for one in made.values()).items() if count > 1
        }:
            # Once, unless a name ends in an id as those made here do.
            made = {
                number: replace(one, name=f"{one.name} ({number})") if one.name in shared else one
                for number, one in made.items()
            }
        return made


def _check_text(value: Any, field: str) -> None:
    if type(value) is not str or not value or value.isspace():
        raise CocoError(field, f"must be text, got {excerpt(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CocoError(
            field, f"contains half of a surrogate pair, which is not valid text: {excerpt(value)}"
        ) from None


def _with_points(category: CocoCategory, entry: Mapping[str, Any]) -> CocoCategory:
    """Add the names of the keypoints and the skeleton, as far as they can be used: no number depends on a skeleton."""
    names = entry.get("keypoints") or ()
    if names and not (
        type(names) is list
        and all(type(name) is str and name and not name.isspace() for name in names)
        and len(set(names)) == len(names)
    ):
        return replace(category, left_out=f"keypoints {excerpt(names)} are no list of different names")
    if not (pairs := entry.get("skeleton")):
        return replace(category, keypoints=tuple(names))
    skeleton = _pairs(pairs, tuple(names))
    if skeleton is None:
        reason = f"skeleton {excerpt(pairs)} does not join pairs of its keypoints"
        return replace(category, keypoints=tuple(names), left_out=reason)
    return replace(category, keypoints=tuple(names), skeleton=skeleton)


def _pairs(value: Any, names: tuple[str, ...]) -> tuple[tuple[int, int], ...] | None:
    """Return 0-based pairs; None for what is no skeleton of these keypoints.

    COCO counts keypoints from 1. A skeleton in which 0 occurs counts from 0, and one of names is by name.
    """
    if type(value) is not list or not all(type(pair) is list and len(pair) == 2 for pair in value):
        return None
    ends = [end for pair in value for end in pair]
    if all(type(end) is str for end in ends):
        if not set(ends) <= set(names):
            return None
        return tuple((names.index(first), names.index(second)) for first, second in value)
    if not all(type(end) is int or (type(end) is float and end.is_integer()) for end in ends):
        return None
    first_number = 0 if min(ends) == 0 else 1
    pairs = tuple((int(first) - first_number, int(second) - first_number) for first, second in value)
    largest = max(max(pair) for pair in pairs)
    smallest = min(min(pair) for pair in pairs)
    return pairs if smallest >= 0 and (not names or largest < len(names)) else None
