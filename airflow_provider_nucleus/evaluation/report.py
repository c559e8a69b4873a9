"""Evaluate COCO files: one ground truth, any number of result files, one report with its provenance.

The report keeps two families of numbers apart: the COCO metrics (matching by confidence, at every threshold anew)
and, under `nucleus`, the counts of Nucleus' one-to-one match (by overlap) at one threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus import __version__
from airflow_provider_nucleus.evaluation.coco_files.json import (
    CocoResults,
    CocoTruth,
    IouType,
    read_results,
    read_truth,
)
from airflow_provider_nucleus.evaluation.matching.coco import (
    BOX_OPTIONS,
    KEYPOINT_OPTIONS,
    CocoOptions,
)
from airflow_provider_nucleus.evaluation.matching.partition import (
    PartitionPlan,
    by_image,
    map_partitions,
    merge,
    split,
)
from airflow_provider_nucleus.evaluation.notes import (
    Note,
    area_beyond_box,
    beyond_box,
    beyond_limit,
    guessed_areas,
    guessed_tolerances,
    label_spellings,
    only_crowds,
)
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.overlap.rle import Runs
from airflow_provider_nucleus.evaluation.readers.average_precision import COCO_RECALLS
from airflow_provider_nucleus.evaluation.readers.coco import CocoResult, coco_result
from airflow_provider_nucleus.evaluation_options import DEFAULT_OPTIONS, EvaluationOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from airflow_provider_nucleus.evaluation.matching.counts import Counts, LabelCounts
    from airflow_provider_nucleus.evaluation.metric import Metric

__all__ = [
    "CROWD",
    "ENGINE",
    "NO_CONFIDENCE",
    "TIES",
    "UNLABELLED",
    "ModelReport",
    "Report",
    "coco_options",
    "evaluate_files",
    "evaluate_results",
    "evaluate_sides",
    "model_names",
]

ENGINE = f"airflow-provider-nucleus {__version__}"
NO_CONFIDENCE = "no confidence (left out of the COCO numbers, kept in the Nucleus counts)"
CROWD = "crowd region (an ignored region for the COCO numbers, left out of the Nucleus counts)"
TIES = (
    "of equally confident predictions the one on the earlier image comes first (images in the order of their ids), on one image the "
    "earlier row; of equal overlaps the later ground truth is taken: as in pycocotools"
)
UNLABELLED = "object without labelled keypoints (ignored by the COCO numbers, left out of the Nucleus counts)"


@dataclass(frozen=True, slots=True, eq=False)
class ModelReport:
    """The numbers of one result file."""

    file: str
    predictions: int
    coco: CocoResult
    counts: LabelCounts
    excluded: dict[str, int]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """One ground truth and the models evaluated on it, by name."""

    truth_file: str
    truth: CocoTruth
    threshold: float
    options: CocoOptions
    chosen: EvaluationOptions
    notes: tuple[Note, ...]
    models: dict[str, ModelReport]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values; an undefined number is null, with its reason under `undefined` beside it."""
        side = self.truth.columns
        left_out = {CROWD: int(side.crowd.sum()), UNLABELLED: int((side.ignore & ~side.crowd).sum())}
        return {
            "models": {name: self._model(model) for name, model in self.models.items()},
            "ground_truth": {
                "file": self.truth_file,
                "images": len(self.truth.images),
                "categories": len(self.truth.vocabulary),
                "annotations": len(side),
                "excluded": {**self.truth.excluded, **{reason: n for reason, n in left_out.items() if n}},
                "notes": [note.to_dict() for note in self.notes],
            },
            "options": {
                "iou_type": self.truth.iou_type,
                **self.chosen.to_dict(),
                **self._tolerances(),
                "coco": {
                    "matching": "by confidence, per image and category, at every threshold",
                    "ties": TIES,
                    "iou_thresholds": [round(threshold, 12) for threshold in self.options.thresholds],
                    "recall_levels": len(COCO_RECALLS),
                    "max_detections": list(self.options.max_detections),
                    "areas": {area.name: [area.low, area.high] for area in self.options.areas},
                },
                "nucleus": {
                    "matching": "by IoU, one to one, equal labels only",
                    "iou_threshold": self.threshold,
                },
            },
            "engine": ENGINE,
        }

    def _tolerances(self) -> dict[str, Any]:
        used = self.truth.tolerances
        return (
            {}
            if used is None
            else {"keypoint_sigmas": list(used.sigmas), "keypoint_sigmas_from": used.origin}
        )

    def _model(self, model: ModelReport) -> dict[str, Any]:
        numbers = model.coco.numbers
        return {
            **{name: metric.value for name, metric in numbers.items()},
            "nucleus": {"iou_threshold": self.threshold, **_counts(model.counts.total())},
            "per_class": {
                label: self._label(model, code) for code, label in enumerate(self.truth.vocabulary)
            },
            "undefined": _undefined(numbers),
            "file": model.file,
            "predictions": model.predictions,
            "excluded": model.excluded,
            "notes": [note.to_dict() for note in model.notes],
        }

    @staticmethod
    def _label(model: ModelReport, code: int) -> dict[str, Any]:
        numbers = {
            "AP": model.coco.label_ap(code),
            "AP50": model.coco.label_ap(code, threshold=0.5),
        }
        return {
            **{name: metric.value for name, metric in numbers.items()},
            "undefined": _undefined(numbers),
            "ground_truth": int(model.coco.tables.positives[code, 0]),
            "nucleus": _counts(model.counts.of(code)),
        }


def evaluate_files(
    ground_truth: Path,
    predictions: Sequence[Path],
    *,
    iou_type: IouType = "bbox",
    threshold: float = 0.5,
    workers: int = 1,
    options: EvaluationOptions = DEFAULT_OPTIONS,
) -> Report:
    """Evaluate result files against a ground truth file.

    *threshold* is that of the Nucleus counts, *workers* the number of threads, *options* the choices in
    the definition of the numbers. Raises CocoFormatError when a file is
    not what it should be and OSError when it cannot be read.
    """
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold is {threshold}, an overlap threshold lies in [0, 1]")
    truth = read_truth(ground_truth, iou_type=iou_type, keypoint_sigmas=options.keypoint_sigmas)
    read = ((name, path.name, read_results(path, truth)) for name, path in model_names(predictions).items())
    return evaluate_sides(truth, read, threshold=threshold, workers=workers, options=options)


def evaluate_sides(
    truth: CocoTruth,
    results: Iterable[tuple[str, str, CocoResults]],
    *,
    threshold: float = 0.5,
    workers: int = 1,
    options: EvaluationOptions = DEFAULT_OPTIONS,
) -> Report:
    """Evaluate results that were read against *truth*, each with the name of its model and of its file, one after the other."""
    notes = _notes_of_truth(truth, options)
    if options.crowd_as_objects:
        truth = replace(truth, columns=truth.columns.without_crowds())
    coco = coco_options(truth.iou_type, options)
    plan = PartitionPlan(labels=len(truth.vocabulary), coco=coco, threshold=threshold)
    models = {
        name: evaluate_results(found, truth, plan=plan, file=file, workers=workers)
        for name, file, found in results
    }
    return Report(
        truth_file=truth.name,
        truth=truth,
        threshold=threshold,
        options=coco,
        chosen=options,
        notes=notes,
        models=models,
    )


def coco_options(iou_type: IouType, options: EvaluationOptions) -> CocoOptions:
    """Return COCO's options for one kind of shape, with the choices made."""
    return (KEYPOINT_OPTIONS if iou_type == "keypoints" else BOX_OPTIONS).limited(options.max_detections)


def evaluate_results(
    results: CocoResults, truth: CocoTruth, *, plan: PartitionPlan, file: str, workers: int = 1
) -> ModelReport:
    """Evaluate results that were read already."""
    assert plan.coco is not None
    parts = split(by_image(truth.columns), by_image(results.columns))
    merged = merge(map_partitions(parts, plan=plan, workers=workers))
    assert merged.coco is not None
    assert merged.counts is not None
    excluded = dict(results.excluded)
    if merged.coco.excluded:
        excluded[NO_CONFIDENCE] = merged.coco.excluded
    limit = plan.coco.max_detections[-1]
    late = len(results.columns) - merged.coco.excluded - len(merged.coco)
    return ModelReport(
        file=file,
        predictions=len(results.columns),
        coco=coco_result(merged.coco, options=plan.coco),
        counts=merged.counts,
        excluded=excluded,
        notes=(*results.notes, *beyond_limit(late, limit=limit)),
    )


def _notes_of_truth(truth: CocoTruth, options: EvaluationOptions) -> tuple[Note, ...]:
    """Return what is to be known of the ground truth."""
    side, shape = truth.columns, truth.columns.geometry
    found = label_spellings(truth.vocabulary)
    if truth.tolerances is not None:
        found += guessed_tolerances(len(side), truth.tolerances)
        found += guessed_areas(truth.without_area)
    if not options.crowd_as_objects:
        found += only_crowds(len(side) if side.crowd.all() else 0)
    if isinstance(shape, Boxes):
        found += area_beyond_box(int(beyond_box(side.area, shape.area).sum()))
    elif isinstance(shape, Runs):
        # A mask fills the pixels that an outline only touches.
        box = shape.bounding_boxes
        found += area_beyond_box(int(beyond_box(side.area, (box.width + 1) * (box.height + 1)).sum()))
    return tuple(found)


def model_names(paths: Sequence[Path]) -> dict[str, Path]:
    """Name models by file stem; files that share one get their folder in front, then a number behind."""
    stems = [path.name.split(".")[0] or path.name for path in paths]
    names: dict[str, Path] = {}
    for path, stem in zip(paths, stems):
        name = stem if stems.count(stem) == 1 else f"{path.absolute().parent.name}/{stem}"
        number = 2
        unique = name
        while unique in names:
            unique = f"{name}-{number}"
            number += 1
        names[unique] = path
    return names


def _counts(counts: Counts) -> dict[str, Any]:
    return {
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "mean_iou": counts.mean_overlap,
        "undefined": {
            "mean_iou" if name == "mean_overlap" else name: reason
            for name, reason in counts.undefined.items()
        },
    }


def _undefined(numbers: dict[str, Metric]) -> dict[str, str]:
    return {name: metric.reason for name, metric in numbers.items() if metric.reason is not None}
