"""Documents that the judging DAG left for each day, read back: numbers per batch and model, verdicts, reports."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.gating.measurement import Measurement
from airflow_provider_nucleus.gating.verdict import Judgement
from airflow_provider_nucleus.rates import (
    f1_terms,
    mean_overlap_terms,
    precision_terms,
    quotient,
    recall_terms,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from airflow_provider_nucleus.gating.measurement import Numbers

__all__ = ["JudgedDay", "models_by_weather", "read_day", "whole_of"]

_COUNTS = ("tp", "fp", "fn")


@dataclass(frozen=True)
class JudgedDay:
    """A day: the measurement of each model by its name, the judgement of each candidate, and the reports there are."""

    name: str
    measurements: Mapping[str, Measurement]
    judgements: Mapping[str, Judgement]
    reports: Mapping[str, Path]

    def verdict_of(self, model: str) -> str:
        """Return what became of a model in a word or two."""
        found = self.judgements.get(model)
        if found is None:
            return "not judged"
        return f"stopped ({found.verdict.status})" if found.verdict.stopped else "passed"


def read_day(name: str, folder: Path, *, models: Sequence[str], candidates: Sequence[str]) -> JudgedDay:
    """Return what the DAG left in *folder*: mapped instances write side by side, each with its index in *models* or *candidates*.

    Raises DemoError when something is missing.
    """
    return JudgedDay(
        name,
        measurements={
            model: Measurement.model_validate(_document(folder / f"measurement.json.map{index}.gz"))
            for index, model in enumerate(models)
        },
        judgements={
            model: Judgement.model_validate(_document(folder / f"judgement.json.map{index}.gz"))
            for index, model in enumerate(candidates)
        },
        reports={
            model: report
            for index, model in enumerate(candidates)
            if (report := folder / "report" / f"map{index}" / "report.html").is_file()
        },
    )


def _document(path: Path) -> Any:
    try:
        return json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, ValueError, EOFError) as error:
        raise DemoError(f"{path} cannot be read: {error}") from None


def whole_of(days: Sequence[JudgedDay], model: str) -> dict[str, Any]:
    """Return the numbers of a model over all days, overall and per label, as the table wants them."""
    measured = [day.measurements[model] for day in days]
    labels = sorted({label for each in measured for label in each.per_label})
    return {
        "iou_threshold": measured[0].iou_threshold,
        "overall": _together(each.overall for each in measured),
        "labels": len(labels),
        "per_label": {
            label: _together(each.per_label[label] for each in measured if label in each.per_label)
            for label in labels
        },
    }


def models_by_weather(
    days: Sequence[JudgedDay], models: Sequence[str], weather: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return weather -> model -> counts and ratios over all days, in the order given."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in weather:
        parts = {
            model: [
                day.measurements[model].slices["weather"][name]
                for day in days
                if name in day.measurements[model].slices.get("weather", {})
            ]
            for model in models
        }
        if all(parts.values()):
            found[name] = {model: _together(each) for model, each in parts.items()}
    return found


def _together(parts: Iterable[Numbers]) -> dict[str, Any]:
    """Return the sum of counts, with the ratios of the sums."""
    sums: Counter[str] = Counter()
    overlap = 0.0
    for part in parts:
        values = part.values
        sums.update({name: int(values.get(name) or 0) for name in _COUNTS})
        overlap += (values.get("mean_iou") or 0.0) * (values.get("tp") or 0)
    tp, fp, fn = (sums[name] for name in _COUNTS)
    return {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "precision": quotient(*precision_terms(tp, tp + fp)),
        "recall": quotient(*recall_terms(tp, tp + fn)),
        "f1": quotient(*f1_terms(tp, tp + fp, tp + fn)),
        "mean_iou": quotient(*mean_overlap_terms(overlap, tp)),
    }
