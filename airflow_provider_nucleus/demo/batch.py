"""An inference batch as files: what the example DAG is given for each model."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from airflow_provider_nucleus.coco.objects import Shape

__all__ = ["Batch", "Predictions", "write_jsonl"]


@dataclass(frozen=True)
class Predictions:
    """The predictions of one model on the batch."""

    name: str
    reference_id: str
    path: Path


@dataclass(frozen=True)
class Batch:
    """Images, ground truth and the predictions of one or more models; *facts* are sentences about where it is from.

    *images* is the folder that the items' file names are relative to, None when the items have addresses of their own.
    """

    dataset_name: str
    items: Path
    ground_truth: Path
    images: Path | None
    models: tuple[Predictions, ...]
    facts: tuple[str, ...] = ()
    name: str = ""
    """Name of the slice that the images become; empty for that of the DAG run."""
    shape: Shape = "box"
    """The kind of objects that are compared."""
    originals: Mapping[str, Path] = field(default_factory=dict)
    """Where the batch is from COCO files: the result file of each model."""

    def conf(self, model: Predictions, *, iou_threshold: float, report: Path) -> dict[str, Any]:
        """Return the parameters of the example DAG for one of the models; paths are absolute."""
        return {
            "dataset_name": self.dataset_name,
            "model_name": model.name,
            "model_reference_id": model.reference_id,
            "items": str(self.items.resolve()),
            "ground_truth": str(self.ground_truth.resolve()),
            "predictions": str(model.path.resolve()),
            "images": str(self.images.resolve()) if self.images else "",
            "iou_threshold": iou_threshold,
            "report": str(report.resolve()),
        }

    def gated_conf(
        self,
        candidates: Sequence[tuple[str, str]],
        *,
        iou_threshold: float,
        folder: Path,
        by_metadata: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Return the parameters of the example DAG that judges: names of *candidates* with their baselines, *folder* for what it writes."""
        references = {model.name: model.reference_id for model in self.models}
        return {
            "dataset_name": self.dataset_name,
            "batch": self.name,
            "items": str(self.items.resolve()),
            "images": str(self.images.resolve()) if self.images else "",
            "ground_truth": str(self.ground_truth.resolve()),
            "models": [
                {
                    "reference_id": model.reference_id,
                    "name": model.name,
                    "predictions": str(model.path.resolve()),
                }
                for model in self.models
            ],
            "candidates": [
                {"candidate": references[candidate], "baseline": references[baseline]}
                for candidate, baseline in candidates
            ],
            "by_metadata": list(by_metadata),
            "iou_threshold": iou_threshold,
            "folder": str(folder.resolve()),
        }


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write one object a line and return the path."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    return path
