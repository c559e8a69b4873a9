"""The user's own data: a folder with COCO files, recognised by what is in them and not by their names.

Ground truth is the JSON object with `images`, `annotations` and `categories`; results are JSON lists of objects with
`image_id` and `category_id`, and an empty list is a model that found nothing. Other JSON files are left alone, and named. Image
files are looked for under the folder; when none is there the items are registered by address, and no file is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_nucleus.coco.entries import CocoCategories, CocoImages
from airflow_provider_nucleus.coco.errors import CocoError
from airflow_provider_nucleus.coco.layouts import HEAD, looks_like
from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.sources.files import SourceFile, open_plain
from airflow_provider_nucleus.sources.json_stream import JsonFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_nucleus.coco.objects import Shape

__all__ = ["CocoFolder", "Results", "Truth", "find_coco"]

_TRUTH_KEYS = {"images", "annotations", "categories"}
_RESULT_KEYS = {"image_id", "category_id"}

_EXPECTED = (
    "Expected are one ground truth file (a JSON object with images, annotations and categories) and one or more result "
    "files (JSON lists with image_id, category_id and score)."
)


@dataclass(frozen=True)
class Truth:
    """A ground truth file: the records of its images, and its categories in their normal form."""

    path: Path
    images: tuple[dict[str, Any], ...]
    categories: CocoCategories
    segmented: bool
    """True where the first annotation has a segmentation."""


@dataclass(frozen=True)
class Results:
    """A result file, and what the first of its objects can be compared as; an empty file fits everything."""

    path: Path
    shapes: frozenset[Shape]
    empty: bool = False
    masked: bool = False
    """True where the first object is a run-length mask, which the server takes as a box only."""


@dataclass(frozen=True)
class CocoFolder:
    """The files of a COCO folder, and the folder that image names are relative to (None = no image files).

    *others* are the files that were left alone, each with what it looks like where that is known.
    """

    root: Path
    truth: Truth
    results: tuple[Results, ...]
    image_folder: Path | None
    others: tuple[str, ...]


def find_coco(root: Path) -> CocoFolder:
    """Look through *root* and its direct sub-folders.

    Raises DemoError naming the files when something is missing, ambiguous or unreadable.
    """
    if not root.is_dir():
        raise DemoError(f"There is no folder {root}. DATA must name a folder with COCO files. {_EXPECTED}")
    truths: list[Truth] = []
    results: list[Results] = []
    others: list[str] = []
    for path in _candidates(root):
        found = _read(path)
        if isinstance(found, Truth):
            truths.append(found)
        elif isinstance(found, Results):
            results.append(found)
        else:
            others.append(_described(path, root))
    if not truths:
        raise DemoError(f"No COCO ground truth in {root}. {_EXPECTED} {_seen(root)}")
    if len(truths) > 1:
        names = ", ".join(str(truth.path.relative_to(root)) for truth in truths)
        raise DemoError(
            f"{root} holds more than one COCO ground truth: {names}. Leave one of them and start again."
        )
    (truth,) = truths
    if not results:
        raise DemoError(
            f"{truth.path.name} is a ground truth, but {root} has no results to evaluate. {_EXPECTED} {_seen(root)}"
        )
    if not truth.images:
        raise DemoError(f"{truth.path} lists no images, so there is nothing to evaluate.")
    return CocoFolder(root, truth, tuple(results), _image_folder(root, truth), tuple(others))


def _candidates(root: Path) -> list[Path]:
    found = [path for pattern in ("*", "*/*") for path in root.glob(pattern) if path.is_file()]
    return sorted(
        path for path in found if path.name.lower().endswith((".json", ".json.gz")) and path.name[0] != "."
    )


def _read(path: Path) -> Truth | Results | Literal["other"]:
    """Return the ground truth or the results in a file, if it holds any; raises DemoError when it is broken."""
    try:
        with open_plain(SourceFile(path, path.name)) as stream:
            document = JsonFile(stream, path.name)
            opening = document.peek()
            if opening == b"[":
                objects = next(iter(document.batches()), [])
                return _results(path, objects[0]) if objects else Results(path, frozenset(), empty=True)
            return _read_truth(path, document) if opening == b"{" else "other"
    except (NucleusError, OSError, ValueError) as error:
        raise DemoError(f"{path} cannot be read: {error} Repair it, or move it elsewhere.") from None


def _results(path: Path, first: Any) -> Results | Literal["other"]:
    if not isinstance(first, dict) or not first.keys() >= _RESULT_KEYS:
        return "other"
    shapes: set[Shape] = set()
    if first.get("bbox") or first.get("segmentation"):
        shapes.add("box")
    if isinstance(first.get("segmentation"), list) and first["segmentation"]:
        shapes.add("polygon")
    if first.get("keypoints"):
        shapes.add("keypoints")
    return Results(path, frozenset(shapes), masked=isinstance(first.get("segmentation"), dict))


def _read_truth(path: Path, document: JsonFile) -> Truth | Literal["other"]:
    seen: set[str] = set()
    images: list[dict[str, Any]] = []
    entries: list[Any] = []
    segmented = False
    for key in document.members():
        seen.add(key)
        if key not in _TRUTH_KEYS or document.peek() != b"[":
            document.skip()
            continue
        for records in document.batches():
            if key == "images":
                images += records
            elif key == "categories":
                entries += records
            else:
                segmented = segmented or any(
                    isinstance(record, dict) and bool(record.get("segmentation")) for record in records[:1]
                )
    if not seen >= _TRUTH_KEYS:
        return "other"
    categories = CocoCategories()
    _check("image", images, CocoImages().add, path)
    _check("category", entries, categories.add, path)
    return Truth(path, tuple(images), categories, segmented)


def _check(what: str, records: list[Any], rule: Callable[[Any], Any], path: Path) -> None:
    """Hold records to the rules of COCO; the upload would refuse them later, record by record."""
    for number, record in enumerate(records, 1):
        try:
            rule(record)
        except CocoError as error:
            raise DemoError(f"{path}: {what} {number}: {error}.") from None


def _likeness(path: Path) -> str | None:
    with open_plain(SourceFile(path, path.name)) as stream:
        return looks_like(stream.read(HEAD))


def _image_folder(root: Path, truth: Truth) -> Path | None:
    """Return the folder that holds all images under their file names, or None if there are no image files."""
    names = [image["file_name"] for image in truth.images]
    folders = [root, truth.path.parent, *sorted(path for path in root.iterdir() if path.is_dir())]
    counts = {folder: sum((folder / name).is_file() for name in names) for folder in folders}
    best = max(folders, key=counts.__getitem__)
    if not counts[best]:
        return None
    if counts[best] < len(names):
        missing = next(name for name in names if not (best / name).is_file())
        raise DemoError(
            f"{len(names) - counts[best]} of {len(names)} images of {truth.path.name} are missing in {best}, "
            f"{missing} for one. Add them, or remove the image folder: then all items are registered by address and no "
            "file is needed."
        )
    return best


def _seen(root: Path) -> str:
    """Say which JSON files there are, and what those look like that are no COCO."""
    files = _candidates(root)
    names = [_described(path, root) for path in files[:8]]
    return (
        f"JSON files seen: {', '.join(names)}{' ...' if len(files) > 8 else ''}."
        if files
        else "It has no JSON files."
    )


def _described(path: Path, root: Path) -> str:
    name, likeness = str(path.relative_to(root)), _likeness(path)
    return name if likeness is None else f"{name} ({likeness})"
