"""A judgement of real detectors on rendered pictures, with the pictures: measured by the engine, judged by the package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_nucleus.demo.rendered_batch import DETECTORS, detect, render
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.sides.columns import columns
from airflow_provider_nucleus.gating.fingerprint import ground_truth_of
from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import (
    Coverage,
    Fingerprint,
    MatchColumns,
    Measurement,
    Subject,
)
from airflow_provider_nucleus.gating.policy import Policy, Rule
from airflow_provider_nucleus.reporting.evidence import with_own_evidence
from airflow_provider_nucleus.reporting.extras import Extras
from tests.judgements import rates

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_nucleus.gating.verdict import Judgement

__all__ = ["RenderedJudgement", "rendered_judgement"]


@dataclass(frozen=True)
class RenderedJudgement:
    judgement: Judgement
    extras: Extras


def rendered_judgement(folder: Path, *, frames: int = 8) -> RenderedJudgement:
    """Render *frames* pictures into *folder*, and judge the demonstration's second detector against its first."""
    shots = render(folder, frames=frames)
    pictures = [(shot.scene.camera, shot.path) for shot in shots]
    labels = sorted(
        {box.label for shot in shots for box in shot.scene.boxes} | {"car", "van", "forklift", "crate"}
    )
    boxes: dict[str, tuple[float, float, float, float]] = {}
    truth = _side(shots, [shot.scene.boxes for shot in shots], "truth", labels, boxes)
    measured = []
    for name, detector in DETECTORS.items():
        found = _side(shots, detect(pictures, detector), name, labels, boxes)
        measured.append(_measurement(name, shots, labels, truth, found))
    policy = Policy(
        name="rendered",
        rules=[
            Rule(id="f1-does-not-drop", metric="f1", max_drop=0.01),
            Rule(id="recall-floor", metric="recall", min=0.6),
            Rule(id="labels", metric="f1", scope="per_label", max_drop=0.05, min_support=3),
        ],
    )
    judgement, extras = with_own_evidence(
        judge(policy, measured[0], measured[1], judged_at="2026-12-01T02:15:40+00:00"), Extras()
    )
    places = {shot.scene.reference_id: str(shot.path) for shot in shots}
    placed = [
        change.model_copy(
            update={
                "image": places[change.item],
                **{
                    side: outline.model_copy(update={"box": boxes[outline.id]})
                    for side in ("truth", "candidate", "baseline")
                    if (outline := getattr(change, side)) is not None
                },
            }
        )
        for change in extras.changed or ()
    ]
    return RenderedJudgement(judgement, extras.model_copy(update={"changed": placed}))


def _side(shots: Any, found: Any, name: str, labels: list[str], boxes: dict[str, Any]) -> Any:
    """Return the objects of one side as columns with their ids, and keep their boxes."""
    rows = [(place, box) for place, objects in enumerate(found) for box in objects]
    ids = [f"{name}-{number:016x}" for number in range(len(rows))]
    xywh = [(box.x, box.y, box.width, box.height) for _, box in rows]
    boxes.update(zip(ids, xywh, strict=True))
    confidence = None if name == "truth" else [box.confidence for _, box in rows]
    return ids, [labels.index(box.label) for _, box in rows], confidence, columns(
        Boxes.from_xywh(xywh),
        np.array([place for place, _ in rows]),
        label=np.array([labels.index(box.label) for _, box in rows]),
        confidence=confidence,
    )  # fmt: skip


def _measurement(name: str, shots: Any, labels: list[str], truth: Any, found: Any) -> Measurement:
    truth_ids, truth_labels, _, truths = truth
    ids, own_labels, confidence, predictions = found
    pairs = match(truths, predictions)
    rows: list[tuple[Any, ...]] = []
    for row, partner in enumerate(pairs.match.tolist()):
        item = int(predictions.image[row])
        if partner < 0:
            rows.append((item, None, own_labels[row], 0.0, confidence[row], None, ids[row], False))
        else:
            agrees = bool(pairs.correct[row])
            rows.append((
                item,
                truth_labels[partner],
                own_labels[row],
                float(pairs.overlap[row]),
                confidence[row],
                truth_ids[partner],
                ids[row],
                agrees,
            ))
    matched = {row[5] for row in rows}
    rows += [
        (int(truths.image[row]), truth_labels[row], None, 0.0, None, truth_ids[row], None, False)
        for row in range(len(truth_ids))
        if truth_ids[row] not in matched
    ]
    names = ("item", "truth", "predicted", "iou", "confidence", "truth_id", "prediction_id", "agrees")
    matches = MatchColumns(
        items=[shot.scene.reference_id for shot in shots],
        labels=labels,
        **{column: [row[place] for row in rows] for place, column in enumerate(names)},
    )

    def counted(label: int | None) -> Any:
        hits = [row for row in rows if row[7] and row[3] >= 0.5 and label in {None, row[1]}]
        objects = sum(label in {None, each} for each in truth_labels)
        predicted = sum(label in {None, each} for each in own_labels)
        return rates(len(hits), predicted - len(hits), objects - len(hits))

    return Measurement(
        subject=Subject(model_name=name, dataset_name="yard", slice_name="2026-12-01", measured_at="2026-12-01T02:14:09+00:00"),
        fingerprint=Fingerprint(data="dataset:yard", scope="slice:2026-12-01", ground_truth=ground_truth_of(matches), options={"iou_threshold": 0.5}, engine="airflow-provider-nucleus 0.9.0"),
        coverage=Coverage(items=len(shots), with_ground_truth=len(shots), without_ground_truth=0, ground_truth=len(truth_ids), predictions=len(ids)),
        iou_threshold=0.5,
        overall=counted(None),
        per_label={label: counted(number) for number, label in enumerate(labels)},
        matches=matches,
    )  # fmt: skip
