"""Sides of a gate on the command line: measurement documents, or COCO result files measured on the spot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.cli.evidence_files import EvidenceError, measurement_of_document, read_evidence
from airflow_provider_nucleus.gating.bounds import Interval
from airflow_provider_nucleus.gating.confidence_cut import BEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.cli.file_measurements import FileMeasurement, FileOptions
    from airflow_provider_nucleus.gating.confidence_cut import Cut
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.policy import Policy

__all__ = ["GateInputs", "given_intervals", "read_inputs"]

_AP: Final = ("ap", "ap50", "ap75")


@dataclass(frozen=True, slots=True, eq=False)
class GateInputs:
    """The measurements by their part in the judgement, and the files among them."""

    measurements: Mapping[str, Measurement]
    files: Mapping[str, FileMeasurement]


def read_inputs(
    places: Mapping[str, str],
    *,
    ground_truth: Path | None,
    options: FileOptions,
    cut: Cut = None,
) -> GateInputs:
    """Read what each part (`candidate`, `baseline`, ...) names. Result lists are measured against *ground_truth*, together.

    *cut* is the least confidence; `best` takes of each its own cut of the best F1. Result files are matched anew above it, of measurements pairs
    are taken away. Raises EvidenceError, CocoFormatError or OSError.
    """
    measurements, results = {}, {}
    for part, place in places.items():
        found = measurement_of_document(read_evidence(place), place=place, cut=cut)
        if found is None:
            results[part] = Path(place)
        else:
            measurements[part] = found
    files: dict[str, FileMeasurement] = {}
    if results:
        if ground_truth is None:
            first = next(iter(results.values()))
            raise EvidenceError(
                f"{first} is a COCO result list: name the ground truth that it is measured against with --ground-truth"
            )
        files = _measured(results, ground_truth, options, cut)
        measurements |= {part: found.measurement for part, found in files.items()}
    elif ground_truth is not None:
        raise EvidenceError(
            f"--ground-truth is about COCO result files, and all of {', '.join(places.values())} are measurements already: leave it out"
        )
    return GateInputs({part: measurements[part] for part in places}, files)


def given_intervals(
    inputs: GateInputs, policy: Policy
) -> tuple[Mapping[tuple[str, str], Interval], list[str]]:
    """Return the intervals of AP that only files allow, where the policy asks for them, and why there are none else."""
    rules = [rule for rule in policy.rules if rule.metric in _AP and rule.scope == "overall"]
    wanted = [rule for rule in rules if rule.against == "baseline" and rule.compare != "point"]
    candidate, baseline = inputs.files.get("candidate"), inputs.files.get("baseline")
    if not wanted:
        return {}, []
    if candidate is None or baseline is None:
        return {}, [
            "AP has no interval: candidate and baseline have to be result files on one ground truth for that"
        ]
    from airflow_provider_nucleus.cli.file_measurements import ap_differences

    level = max(rule.level for rule in wanted)
    found = {}
    for name, difference in ap_differences(candidate, baseline, level=level, seed=policy.seed).items():
        low, high = difference.low.value, difference.high.value
        if low is not None and high is not None:
            method = f"paired bootstrap over items, {difference.replicates} draws"
            found[name, "overall"] = Interval(low, high, level=level, method=method)
    return found, []


def _measured(
    results: Mapping[str, Path],
    ground_truth: Path,
    options: FileOptions,
    cut: Cut,
) -> dict[str, FileMeasurement]:
    from airflow_provider_nucleus.cli.file_measurements import best_cut, measure_files

    paths = list(results.values())
    chosen = options if cut is None or cut == BEST else replace(options, least_confidence=float(cut))
    found = measure_files(ground_truth, paths, options=chosen)
    if cut == BEST:
        own: dict[str, Any] = {each.name: best_cut(each) for each in found}
        known = {name: value for name, value in own.items() if value is not None}
        found = measure_files(ground_truth, paths, options=replace(options, least_confidence=known))
    return dict(zip(results, found, strict=True))
