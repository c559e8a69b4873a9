"""Makes the class prototypes: `python -m airflow_provider_nucleus.demo.prototypes`.

Renders scenes of seeds the demonstration never uses, lets both detectors propose regions, names each region that
overlaps a true box by half or more, and prints mean and spread of the features for each class. Nothing imports this module;
its output is pasted into `classifier.py`.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.demo.calibrations import calibrations
from airflow_provider_nucleus.demo.detectors import fixed, relative
from airflow_provider_nucleus.demo.detectors.features import FEATURES, balance, measure
from airflow_provider_nucleus.demo.detectors.region_scoring import proposals
from airflow_provider_nucleus.demo.scenes import LABELS, RenderedScene, TruthBox, render_scenes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_nucleus.demo.detectors.components import Region

__all__ = ["LEAST_SPREAD", "SEEDS", "main"]

SEEDS = (101, 102, 103, 104)
"""Seeds of the scenes the prototypes were measured on; the demonstration's own seed is another one."""

LEAST_SPREAD = 0.06
"""No feature is trusted to be more exact than this."""


def main() -> None:
    """Print PROTOTYPES."""
    samples: dict[str, list[NDArray[np.floating[Any]]]] = defaultdict(list)
    for seed in SEEDS:
        scenes = list(render_scenes(40, seed=seed))
        for camera, calibration in calibrations().items():
            own = [scene for scene in scenes if scene.camera == camera]
            frames = [scene.pixels for scene in own]
            for segment in (fixed.segment, relative.segment):
                for scene, (mask, _) in zip(own, segment(frames, calibration), strict=True):
                    balanced = balance(scene.pixels, top=calibration.top)
                    for region in proposals(mask, calibration):
                        label = _label(region, scene)
                        if label:
                            samples[label].append(measure(balanced, region, calibration))
    sys.stdout.write(f"# {FEATURES}\n")
    for label in LABELS:
        table = np.array(samples[label])
        mean = ", ".join(f"{value:.2f}" for value in table.mean(axis=0))
        spread = ", ".join(f"{value:.2f}" for value in np.maximum(table.std(axis=0), LEAST_SPREAD))
        sys.stdout.write(f'    "{label}": (({mean}), ({spread})),  # {len(table)} regions\n')


def _label(region: Region, scene: RenderedScene) -> str | None:
    """Return the label of the true box that the region overlaps by an IoU of 0.5 or more."""
    best = max(scene.boxes, key=lambda box: _overlap(region, box), default=None)
    return best.label if best is not None and _overlap(region, best) >= 0.5 else None


def _overlap(region: Region, box: TruthBox) -> float:
    width = min(region.right, box.x + box.width) - max(region.left, box.x)
    height = min(region.bottom, box.y + box.height) - max(region.top, box.y)
    shared = max(width, 0.0) * max(height, 0.0)
    own = (region.right - region.left) * (region.bottom - region.top)
    return shared / (own + box.width * box.height - shared)


if __name__ == "__main__":
    main()
