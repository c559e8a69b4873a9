"""The user's own data: a folder with COCO files, recognised by what is in them and not by their names.

Ground truth is the JSON object with `images`, `annotations` and `categories`; results are JSON lists of objects with
`image_id`, `category_id` and `score`. Other JSON files are left alone. Image files are looked for under the folder; when none
is there the items are registered by address, and no file is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from airflow_provider_nucleus.coco.entries import CocoCategories, CocoImages
from airflow_provider_nucleus.coco.errors import CocoError
from airflow_provider_nucleus.coco.layouts import HEAD, looks_like
from airflow_provider_nucleus.demo.batch import Batch, Predictions, write_jsonl
from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.sources.files import SourceFile, open_plain
from airflow_provider_nucleus.sources.json_stream import JsonFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["CocoFolder", "Truth", "coco_batch", "find_coco"]

_TRUTH_KEYS = {"images", "annotations", "categories"}
_RESULT_KEYS = {"image_id", "category_id", "score"}
_PLACEHOLDER = "https://images.invalid/"  # RFC 2606: a name that never resolves

_EXPECTED = (
    "Expected are one ground truth file (a JSON object with images, annotations and categories) and one or more result "
    "files (JSON lists with image_id, category_id and score)."
)


@dataclass(frozen=True)
class Truth:
    """A ground truth file: the records of its images, and how many annotations it has, *crowds* of them crowd regions."""

    path: Path
    images: tuple[dict[str, Any], ...]
    annotations: int
    crowds: int


@dataclass(frozen=True)
class CocoFolder:
    """The files of a COCO folder, and the folder that image names are relative to (None = no image files)."""

    root: Path
    truth: Truth
    results: tuple[Path, ...]
    image_folder: Path | None


def find_coco(root: Path) -> CocoFolder:
    """Look through *root* and its direct sub-folders.

    Raises DemoError naming the files when something is missing, ambiguous or unreadable.
    """
    if not root.is_dir():
        raise DemoError(f"There is no folder {root}. DATA must name a folder with COCO files. {_EXPECTED}")
    truths: list[Truth] = []
    results: list[Path] = []
    for path in _candidates(root):
        found = _read(path)
        if isinstance(found, Truth):
            truths.append(found)
        elif found == "results":
            results.append(path)
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
    return CocoFolder(root, truth, tuple(results), _image_folder(root, truth))


def coco_batch(found: CocoFolder, folder: Path) -> Batch:
    """Return the batch; files that have to be made first are written into *folder*."""
    truth, items = found.truth, found.truth.path
    facts = [
        f"{len(truth.images)} images and {truth.annotations} objects from {truth.path.name}; boxes are compared."
    ]
    if truth.crowds:
        facts.append(
            "1 object is a crowd region: it is in no count."
            if truth.crowds == 1
            else f"{truth.crowds} objects are crowd regions: they are in no count."
        )
    if found.image_folder is not None:
        facts.append(f"Image files come from {found.image_folder}.")
    elif all(image.get("coco_url") or image.get("flickr_url") for image in truth.images):
        facts.append(
            "No image files: items are registered by the addresses in the ground truth; nothing is fetched."
        )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        items = write_jsonl(folder / "items.jsonl", (_remote_item(image) for image in truth.images))
        facts.append(
            f"No image files and no addresses: items are registered under {_PLACEHOLDER}..., which shows nothing."
        )
    name = found.root.resolve().name
    models = zip(_model_names(found.results), found.results, strict=True)
    return Batch(
        dataset_name=f"demo-{name}",
        items=items,
        ground_truth=truth.path,
        images=found.image_folder,
        models=tuple(Predictions(model, f"demo-{name}-{model}", path) for model, path in models),
        facts=tuple(facts),
    )


def _candidates(root: Path) -> list[Path]:
    found = [path for pattern in ("*", "*/*") for path in root.glob(pattern) if path.is_file()]
    return sorted(
        path for path in found if path.name.lower().endswith((".json", ".json.gz")) and path.name[0] != "."
    )


def _read(path: Path) -> Truth | Literal["results", "other"]:
    """Return the ground truth in a file, or what else it is; raises DemoError when it is broken."""
    try:
        with open_plain(SourceFile(path, path.name)) as stream:
            document = JsonFile(stream, path.name)
            opening = document.peek()
            if opening == b"[":
                first: Any = next(iter(next(iter(document.batches()), [])), None)
                return "results" if isinstance(first, dict) and first.keys() >= _RESULT_KEYS else "other"
            return _read_truth(path, document) if opening == b"{" else "other"
    except (NucleusError, OSError, ValueError) as error:
        raise DemoError(f"{path} cannot be read: {error} Repair it, or move it elsewhere.") from None


def _read_truth(path: Path, document: JsonFile) -> Truth | Literal["other"]:
    seen: set[str] = set()
    images: list[dict[str, Any]] = []
    objects: list[Any] = []
    annotations = crowds = 0
    for key in document.members():
        seen.add(key)
        if key not in {"images", "annotations", "categories"} or document.peek() != b"[":
            document.skip()
            continue
        for records in document.batches():
            if key == "images":
                images += records
            elif key == "categories":
                objects += records
            else:
                annotations += len(records)
                crowds += sum(isinstance(record, dict) and record.get("iscrowd") == 1 for record in records)
    if not seen >= _TRUTH_KEYS:
        return "other"
    _judge("image", images, CocoImages().add, path)
    _judge("category", objects, CocoCategories().add, path)
    return Truth(path, tuple(images), annotations, crowds)


def _judge(what: str, records: list[Any], rule: Callable[[Any], Any], path: Path) -> None:
    """Hold records to the rules of COCO; the upload would refuse them later, record by record."""
    for number, record in enumerate(records, 1):
        try:
            rule(record)
        except CocoError as error:
            raise DemoError(f"{path}: {what} {number}: {error}.") from None


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


def _remote_item(image: dict[str, Any]) -> dict[str, Any]:
    name = image["file_name"]
    item = {"metadata": {}, "reference_id": name, "image_url": _PLACEHOLDER + quote(name)}
    return item | {side: image[side] for side in ("width", "height") if image.get(side) is not None}


def _model_names(results: tuple[Path, ...]) -> list[str]:
    """Return file names without suffix and common prefix such as `predictions_`; they stay distinct."""
    stems = [path.name.removesuffix(".gz").removesuffix(".json") for path in results]
    short = [
        stem.removeprefix("predictions").removeprefix("results").lstrip("_-. ") or stem for stem in stems
    ]
    if len(set(short)) == len(short):
        return short
    return [f"{path.parent.name}-{stem}" for path, stem in zip(results, stems, strict=True)]


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
    name = str(path.relative_to(root))
    with open_plain(SourceFile(path, path.name)) as stream:
        likeness = looks_like(stream.read(HEAD))
    return name if likeness is None else f"{name} ({likeness})"
