"""Measurements of COCO result files, with the matches behind them, so that a job without any server can judge a model.

The numbers are those that `nucleus-local evaluate` prints. Predictions below a least confidence are left out before anything is matched, so
that all numbers are those of the predictions left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_nucleus.cli.matched_rows import MatchedNames, exact_outcomes, matched_columns
from airflow_provider_nucleus.cli.truth_digest import truth_digest
from airflow_provider_nucleus.evaluation.coco_files.json import read_results, read_truth
from airflow_provider_nucleus.evaluation.matching.coco import match_coco
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.readers.compare import BootstrapOptions, Entry, compare
from airflow_provider_nucleus.evaluation.readers.ranked import rank_coco
from airflow_provider_nucleus.evaluation.report import ENGINE, coco_options, evaluate_sides, model_names
from airflow_provider_nucleus.evaluation_options import DEFAULT_OPTIONS, EvaluationOptions
from airflow_provider_nucleus.gating.confidence_cut import own_cut
from airflow_provider_nucleus.gating.fingerprint import data_name
from airflow_provider_nucleus.gating.measurement import (
    Coverage,
    Fingerprint,
    Measurement,
    Numbers,
    Subject,
    Unannotated,
)
from airflow_provider_nucleus.gating.operating_point import operating_points

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from airflow_provider_nucleus.evaluation.coco_files.json import CocoResults, CocoTruth, IouType
    from airflow_provider_nucleus.evaluation.matching.nucleus import Matches
    from airflow_provider_nucleus.evaluation.readers.compare import Difference
    from airflow_provider_nucleus.gating.operating_point import OperatingPoints, Outcomes

__all__ = [
    "FileMeasurement",
    "FileOptions",
    "ap_differences",
    "best_cut",
    "measure_files",
    "outcomes_of_file",
    "points_of_file",
]

_NAMES: Final = {
    "AP": "ap", "AP50": "ap50", "AP75": "ap75", "APs": "ap_small", "APm": "ap_medium", "APl": "ap_large",
}  # fmt: skip
_COUNTS: Final = ("tp", "fp", "fn", "precision", "recall", "f1", "mean_iou")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """Choices in what is measured of files. *data* and *scope* name the data in the fingerprint; the ground truth's file where none is given.

    *least_confidence* is one cut for all models, or one for each model by its name.
    """

    iou_type: IouType = "bbox"
    iou_threshold: float = 0.5
    evaluation: EvaluationOptions = DEFAULT_OPTIONS
    unannotated: Unannotated = "count"
    least_confidence: float | Mapping[str, float] | None = None
    data: str | None = None
    scope: str | None = None
    workers: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class FileMeasurement:
    """A measurement of one result file, and the match that it is from."""

    name: str
    measurement: Measurement
    matches: Matches
    truth: CocoTruth
    options: FileOptions


def measure_files(
    ground_truth: Path, predictions: Sequence[Path], *, options: FileOptions | None = None
) -> list[FileMeasurement]:
    """Measure result files against one ground truth, each file a model under the name of its file.

    Raises CocoFormatError when a file is not what it should be and OSError when it cannot be read.
    """
    chosen = FileOptions() if options is None else options
    truth = read_truth(
        ground_truth,
        iou_type=chosen.iou_type,
        keypoint_sigmas=chosen.evaluation.keypoint_sigmas,
        with_ids=True,
    )
    if chosen.evaluation.crowd_as_objects:
        truth = replace(truth, columns=truth.columns.without_crowds())
    about = _About(ground_truth, truth, chosen, truth_digest(truth))
    return [
        about.measurement(name, path, read_results(path, truth))
        for name, path in model_names(predictions).items()
    ]


def ap_differences(
    candidate: FileMeasurement, baseline: FileMeasurement, *, level: float = 0.95, seed: int = 0
) -> dict[str, Difference]:
    """Return the differences of `ap`, `ap50` and `ap75`, candidate less baseline, with paired bootstrap intervals over items."""
    options = coco_options(candidate.options.iou_type, candidate.options.evaluation)
    entries = []
    for name, each in (("baseline", baseline), ("candidate", candidate)):
        truth, predictions = each.matches.ground_truth, each.matches.predictions
        rows = match_coco(truth, predictions, labels=len(each.truth.vocabulary), options=options)
        entries.append(Entry(name, each.matches, rank_coco(rows, truth, predictions, options=options)))
    (found,) = compare(
        entries,
        images=len(candidate.truth.images),
        threshold=candidate.options.iou_threshold,
        bootstrap=BootstrapOptions(replicates=0, level=level, seed=seed),
    )
    return {_NAMES[name]: each for name, each in found.differences.items() if name in _NAMES}


def outcomes_of_file(measured: FileMeasurement) -> Outcomes:
    """Return what operating points are chosen from, each cut matched anew."""
    return exact_outcomes(
        measured.matches, measured.truth.vocabulary.names, iou_threshold=measured.options.iou_threshold
    )


def points_of_file(measured: FileMeasurement, **chosen: Any) -> OperatingPoints:
    """Choose operating points of a file, exactly; *chosen* are the choices of `operating_points`."""
    return operating_points(
        outcomes_of_file(measured),
        subject=measured.measurement.subject,
        fingerprint=measured.measurement.fingerprint,
        iou_threshold=measured.options.iou_threshold,
        least_confidence=measured.measurement.confidence_threshold,
        **chosen,
    )


def best_cut(measured: FileMeasurement) -> float | None:
    """Return the confidence of the best F1 over all labels; None where there is none, 0 where nothing was predicted."""
    return own_cut(points_of_file(measured).overall)


@dataclass(frozen=True, slots=True, eq=False)
class _About:
    """The ground truth, and what all models measured on it have in common."""

    path: Path
    truth: CocoTruth
    options: FileOptions
    digest: str

    def measurement(self, name: str, path: Path, results: CocoResults) -> FileMeasurement:
        annotated = np.zeros(len(self.truth.images), dtype=np.bool_)
        annotated[self.truth.columns.image] = True
        cut = self._cut(name)
        every = len(results.columns)
        kept = np.ones(every, dtype=np.bool_)
        if cut is not None:
            kept &= results.columns.confidence >= cut
        left_out = 0
        if self.options.unannotated == "leave_out":
            left_out = int((kept & ~annotated[results.columns.image]).sum())
            kept &= annotated[results.columns.image]
        if not kept.all():
            rows = np.flatnonzero(kept)
            results = replace(results, columns=results.columns.take(rows), numbers=results.numbers[rows])
        report = evaluate_sides(
            self.truth,
            [(name, path.name, results)],
            threshold=self.options.iou_threshold,
            workers=self.options.workers,
            # Crowds are objects already, where they are to be.
            options=replace(self.options.evaluation, crowd_as_objects=False),
        ).to_dict()
        numbers = report["models"][name]
        matches = match(self.truth.columns, results.columns)
        names = MatchedNames(
            items=[str(each) for each in self.truth.images.ids],
            labels=self.truth.vocabulary.names,
            truth=self.truth.ids,
            predictions=[f"row {number}" for number in results.numbers.tolist()],
        )
        measurement = Measurement(
            subject=Subject(
                model_name=name,
                dataset_name=self.options.data or self.path.name,
                measured_at=datetime.now(tz=UTC).isoformat(timespec="seconds"),
            ),
            fingerprint=self._fingerprint(),
            coverage=Coverage(
                items=len(self.truth.images),
                with_ground_truth=int(annotated.sum()),
                without_ground_truth=int((~annotated).sum()),
                ground_truth=int(self.truth.columns.counted.sum()),
                predictions=len(results.columns) + left_out,
                unannotated=self.options.unannotated,
                predictions_left_out=left_out,
            ),
            iou_threshold=self.options.iou_threshold,
            confidence_threshold=cut,
            overall=_numbers(
                numbers,
                items=len(self.truth.images),
                ground_truth=int(self.truth.columns.counted.sum()),
            ),
            per_label={
                label: _numbers(row, ground_truth=row["nucleus"]["tp"] + row["nucleus"]["fn"])
                for label, row in numbers["per_class"].items()
                if any(row["nucleus"][count] for count in ("tp", "fp", "fn"))
            },
            notes=[*report["ground_truth"]["notes"], *numbers["notes"], *_left_out(numbers["excluded"])],
            matches=matched_columns(matches, names),
        )
        return FileMeasurement(name, measurement, matches, self.truth, self.options)

    def _cut(self, name: str) -> float | None:
        chosen = self.options.least_confidence
        return chosen if chosen is None or isinstance(chosen, float) else chosen.get(name)

    def _fingerprint(self) -> Fingerprint:
        options = self.options
        return Fingerprint(
            data=data_name("file", self.path.name.split(".")[0]) if options.data is None else options.data,
            scope=options.scope,
            ground_truth=self.digest,
            options={
                "objects": options.iou_type,
                "iou_threshold": options.iou_threshold,
                "unannotated": options.unannotated,
                **options.evaluation.to_wire(),
            },
            engine=ENGINE,
        )


def _numbers(row: Mapping[str, Any], *, ground_truth: int, items: int | None = None) -> Numbers:
    counts = row["nucleus"]
    values = {name: counts[name] for name in _COUNTS}
    undefined = {name: reason for name, reason in counts["undefined"].items() if name in _COUNTS}
    for given, name in _NAMES.items():
        if given in row:
            values[name] = row[given]
            if given in row["undefined"]:
                undefined[name] = row["undefined"][given]
    return Numbers(
        values=values,
        undefined=undefined,
        items=items,
        ground_truth=ground_truth,
        predictions=counts["tp"] + counts["fp"],
    )


def _left_out(excluded: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {"note": "left_out", "count": count, "text": f"{count} predictions: {reason}"}
        for reason, count in excluded.items()
    ]
