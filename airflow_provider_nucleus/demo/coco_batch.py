"""A COCO folder as a batch for the example DAG, every guess that was made of it as a sentence, and its COCO numbers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_nucleus.demo.batch import Batch, Predictions, write_jsonl
from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.evaluation.report import evaluate_files
from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.sources.open_rows import open_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airflow_provider_nucleus.coco.objects import Shape
    from airflow_provider_nucleus.demo.coco_folder import CocoFolder, Results, Truth
    from airflow_provider_nucleus.evaluation.coco_files.json import IouType
    from airflow_provider_nucleus.sources.open_rows import Kind

__all__ = ["SHAPES", "coco_batch", "coco_numbers"]

SHAPES: dict[Shape, str] = {"box": "boxes", "polygon": "polygons", "keypoints": "keypoints"}
"""What can be compared, and its plural."""

_IOU_TYPES: dict[Shape, IouType] = {"box": "bbox", "polygon": "segm", "keypoints": "keypoints"}
_PLACEHOLDER = "https://images.invalid/"  # RFC 2606: a name that never resolves
_MOST_NAMES = 5


def coco_batch(found: CocoFolder, folder: Path, *, shape: Shape | None = None) -> Batch:
    """Return the batch; files that have to be made first are written into *folder*.

    *shape* is what is compared; without it boxes are, if any model has them, else keypoints. Raises DemoError when no model has it.
    """
    truth = found.truth
    chosen = shape or _usual_shape(found)
    compared = tuple(results for results in found.results if results.empty or chosen in results.shapes)
    if not any(chosen in results.shapes for results in compared) and not all(r.empty for r in found.results):
        has = ", ".join(f"{results.path.name}: {_have(results)}" for results in found.results)
        raise DemoError(f"No results in {found.root} can be compared as {SHAPES[chosen]} ({has}).")
    facts = [
        f"Ground truth: {truth.path.name}, {len(truth.images)} images.",
        *_about_files(found, compared, chosen),
        *_about_shape(found, chosen, given=shape is not None),
        *_about_categories(truth),
    ]
    items: Path = truth.path
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
    paths = tuple(results.path for results in compared)
    models = dict(zip(_model_names(paths), paths, strict=True))
    ground_truth = truth.path
    files = dict(models)
    if chosen != "box":
        folder.mkdir(parents=True, exist_ok=True)
        rows = _wire_rows(truth.path, "annotations", truth, chosen)
        ground_truth = write_jsonl(folder / "ground_truth.jsonl", rows)
        files = {
            model: write_jsonl(
                folder / f"predictions-{model}.jsonl", _wire_rows(path, "predictions", truth, chosen)
            )
            for model, path in models.items()
        }
    facts += [f"Model {model}: {path.relative_to(found.root)}." for model, path in models.items()]
    return Batch(
        dataset_name=f"demo-{name}",
        items=items,
        ground_truth=ground_truth,
        images=found.image_folder,
        models=tuple(Predictions(model, f"demo-{name}-{model}", path) for model, path in files.items()),
        facts=tuple(facts),
        shape=chosen,
        originals=models,
    )


def coco_numbers(found: CocoFolder, batch: Batch, *, iou_threshold: float) -> dict[str, Any]:
    """Return the report of the command `evaluate` on the same files, its models under the names of the batch.

    Raises DemoError that names file, row and field where a file is not what it should be.
    """
    try:
        report = evaluate_files(
            found.truth.path,
            list(batch.originals.values()),
            iou_type=_IOU_TYPES[batch.shape],
            threshold=iou_threshold,
        ).to_dict()
    except (OSError, ValueError) as error:
        raise DemoError(f"{found.root} cannot be evaluated: {error}") from None
    report["models"] = dict(zip(batch.originals, report["models"].values(), strict=True))
    return report


def _usual_shape(found: CocoFolder) -> Shape:
    shapes = [results.shapes for results in found.results if not results.empty]
    only_keypoints = shapes and not any("box" in shape for shape in shapes)
    return "keypoints" if only_keypoints and any("keypoints" in shape for shape in shapes) else "box"


def _have(results: Results) -> str:
    return " and ".join(SHAPES[shape] for shape in SHAPES if shape in results.shapes) or "none of these"


def _about_files(found: CocoFolder, compared: tuple[Results, ...], chosen: Shape) -> Iterator[str]:
    for results in found.results:
        if results.empty:
            yield f"{results.path.name} is an empty list: taken for a model that found nothing."
        elif results not in compared:
            ways = " or ".join(f"--geometry {shape}" for shape in SHAPES if shape in results.shapes)
            cure = f"; {ways} compares it" if ways else ""
            yield f"{results.path.name} has no {SHAPES[chosen]}: left out{cure}."
    if found.others:
        more = f" and {len(found.others) - _MOST_NAMES} more" if len(found.others) > _MOST_NAMES else ""
        yield f"No COCO, left alone: {', '.join(found.others[:_MOST_NAMES])}{more}."


def _about_shape(found: CocoFolder, chosen: Shape, *, given: bool) -> Iterator[str]:
    yield f"{SHAPES[chosen].capitalize()} are compared{'' if given else ', as no --geometry was given'}."
    if chosen != "box":
        return
    if any("polygon" in results.shapes for results in found.results) and found.truth.segmented:
        yield "Segmentations are not looked at where there is a box; --geometry polygon compares them."
    if any(results.masked for results in found.results):
        yield "Run-length masks are boxes here; nucleus-local evaluate --iou-type segm compares them pixel by pixel."


def _about_categories(truth: Truth) -> Iterator[str]:
    plain, labelled = truth.categories.by_id, truth.categories.labelled()
    many = "1 category" if len(plain) == 1 else f"{len(plain)} categories"
    yield f"Labels are the names of the {many}; category ids of the results are those of {truth.path.name}."
    numbered = [str(number) for number, category in plain.items() if category.name == str(number)]
    if numbered:
        having = "1 category has no name of its own; the id is the label"
        if len(numbered) > 1:
            having = f"{len(numbered)} categories have no names of their own; their ids are their labels"
        more = ", ..." if len(numbered) > _MOST_NAMES else ""
        yield f"{having}: {', '.join(numbered[:_MOST_NAMES])}{more}."
    shared = [name for name, count in Counter(c.name for c in plain.values()).items() if count > 1]
    if shared:
        names = ", ".join(c.name for number, c in labelled.items() if plain[number].name in shared)
        yield f"Categories of one name have their id behind it: {names}."


def _wire_rows(path: Path, kind: Kind, truth: Truth, shape: Shape) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a file as rows of Nucleus; raises DemoError for the first that cannot be read."""
    try:
        stream = open_rows(
            str(path), kind=kind, images=str(truth.path), categories=str(truth.path), geometry=shape
        )
        for batch in stream.batches():
            for row in batch.problems:
                raise DemoError(f"{path.name}: row {row.number}: {row.problem}")
            yield from batch.rows
    except NucleusError as error:
        raise DemoError(f"{path} cannot be read: {error}") from None


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
