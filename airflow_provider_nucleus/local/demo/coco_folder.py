"""The user's own data: a folder with COCO files, recognised by what is in them and not by their names.

Ground truth is the JSON object with `images`, `annotations` and `categories`; results are JSON lists of objects with
`image_id`, `category_id` and `score`. Other JSON files are left alone. Image files are looked for under the folder; when none
is there the items are registered by address, and no file is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.local.demo.batch import Batch, Predictions, write_jsonl
from airflow_provider_nucleus.local.demo.errors import DemoError
from airflow_provider_nucleus.sources.elements import JsonFile
from airflow_provider_nucleus.sources.files import Part, open_plain

if TYPE_CHECKING:
    from pathlib import Path

_TRUTH_KEYS = {"images", "annotations", "categories"}
_RESULT_KEYS = {"image_id", "category_id", "score"}
_PLACEHOLDER = "https://images.invalid/"  # RFC 2606: a name that never resolves

_EXPECTED = (
    "Expected are one ground truth file (a JSON object with images, annotations and categories) and one or more result "
    "files (JSON lists with image_id, category_id and score)."
)


@dataclass(frozen=True)
class CocoFolder:
    """What was found: files, the records of the images, and the folder their names are relative to (None = no files)."""

    root: Path
    ground_truth: Path
    results: tuple[Path, ...]
    images: tuple[dict[str, Any], ...]
    image_folder: Path | None


def find_coco(root: Path) -> CocoFolder:
    """Look through *root* and its direct sub-folders.

    Raises DemoError naming the files when something is missing, ambiguous or unreadable.
    """
    if not root.is_dir():
        raise DemoError(f"There is no folder {root}. DATA must name a folder with COCO files. {_EXPECTED}")
    truths: list[tuple[Path, list[dict[str, Any]]]] = []
    results: list[Path] = []
    for path in _candidates(root):
        try:
            images = _read(path)
        except (NucleusError, OSError, ValueError) as error:
            raise DemoError(
                f"{path} cannot be read as JSON: {error} Repair it or move it out of {root}."
            ) from None
        if isinstance(images, list):
            truths.append((path, images))
        elif images == "results":
            results.append(path)
    if not truths:
        raise DemoError(f"No COCO ground truth in {root}. {_EXPECTED} {_seen(root)}")
    if len(truths) > 1:
        names = ", ".join(str(path.relative_to(root)) for path, _ in truths)
        raise DemoError(
            f"{root} holds more than one COCO ground truth: {names}. Leave one of them and start again."
        )
    (truth, records) = truths[0]
    if not results:
        raise DemoError(
            f"{truth.name} is a ground truth, but {root} has no results to evaluate. {_EXPECTED} {_seen(root)}"
        )
    if not records:
        raise DemoError(f"{truth} lists no images, so there is nothing to evaluate.")
    return CocoFolder(root, truth, tuple(results), tuple(records), _image_folder(root, truth, records))


def coco_batch(found: CocoFolder, folder: Path) -> Batch:
    """Return the batch; files that have to be made first are written into *folder*."""
    items, facts = found.ground_truth, []
    if found.image_folder is not None:
        facts.append(f"Image files come from {found.image_folder}.")
    elif all(image.get("coco_url") or image.get("flickr_url") for image in found.images):
        facts.append(
            "No image files: the items are registered by the addresses in the ground truth; nothing is fetched."
        )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        items = write_jsonl(folder / "items.jsonl", (_remote_item(image) for image in found.images))
        facts.append(
            f"No image files and no addresses: the items are registered under {_PLACEHOLDER}..., which shows nothing."
        )
    names = _model_names(found.results)
    return Batch(
        dataset_name=f"demo-{found.root.resolve().name}",
        items=items,
        ground_truth=found.ground_truth,
        images=found.image_folder,
        models=tuple(
            Predictions(name, f"demo-{found.root.resolve().name}-{name}", path)
            for name, path in zip(names, found.results, strict=True)
        ),
        facts=(f"{len(found.images)} images from {found.ground_truth.name}, boxes only.", *facts),
    )


def _candidates(root: Path) -> list[Path]:
    found = [path for pattern in ("*", "*/*") for path in root.glob(pattern) if path.is_file()]
    return sorted(
        path for path in found if path.name.lower().endswith((".json", ".json.gz")) and path.name[0] != "."
    )


def _read(path: Path) -> list[dict[str, Any]] | str:
    """Return the image records of a ground truth, "results" for results and "" for anything else."""
    with open_plain(Part(path, path.name)) as stream:
        document = JsonFile(stream, path.name)
        opening = document.peek()
        if opening == b"[":
            first: Any = next(iter(next(iter(document.batches()), [])), None)
            return "results" if isinstance(first, dict) and first.keys() >= _RESULT_KEYS else ""
        if opening != b"{":
            return ""
        seen: set[str] = set()
        images: list[dict[str, Any]] = []
        for key in document.keys():  # ruff: ignore[in-dict-keys] - a walk over a stream, not a dict
            seen.add(key)
            if key == "images" and document.peek() == b"[":
                images = [record for batch in document.batches() for record in batch]
            else:
                document.skip()
    return images if seen >= _TRUTH_KEYS else ""


def _image_folder(root: Path, truth: Path, images: list[dict[str, Any]]) -> Path | None:
    """Return the folder that holds all images under their file names, or None if there are no image files."""
    names = [str(image.get("file_name", "")) for image in images]
    folders = [root, truth.parent, *sorted(path for path in root.iterdir() if path.is_dir())]
    counts = {folder: sum(bool(name) and (folder / name).is_file() for name in names) for folder in folders}
    best = max(folders, key=counts.__getitem__)
    if not counts[best]:
        return None
    if counts[best] < len(names):
        missing = next(name for name in names if not (best / name).is_file())
        raise DemoError(
            f"{len(names) - counts[best]} of {len(names)} images of {truth.name} are missing in {best}, {missing} for one. "
            "Add them, or remove the image folder: then all items are registered by address and no file is needed."
        )
    return best


def _remote_item(image: dict[str, Any]) -> dict[str, Any]:
    name = str(image["file_name"])
    item = {"metadata": {}, "reference_id": name, "image_url": _PLACEHOLDER + quote(name)}
    return item | {side: image[side] for side in ("width", "height") if image.get(side) is not None}


def _model_names(results: tuple[Path, ...]) -> list[str]:
    """Return file names without suffix and common prefix such as ``predictions_``; they stay distinct."""
    stems = [path.name.removesuffix(".gz").removesuffix(".json") for path in results]
    short = [
        stem.removeprefix("predictions").removeprefix("results").lstrip("_-. ") or stem for stem in stems
    ]
    if len(set(short)) == len(short):
        return short
    return [f"{path.parent.name}-{stem}" for path, stem in zip(results, stems, strict=True)]


def _seen(root: Path) -> str:
    names = [str(path.relative_to(root)) for path in _candidates(root)]
    return (
        f"JSON files seen: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}."
        if names
        else "It has no JSON files."
    )
