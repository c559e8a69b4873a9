"""Simulated pairs of measurements for the statistics of the gate: two models on the same items, as alike or as different as is asked for.

| part | how |
| --- | --- |
| objects per item | Poisson, or Poisson with a log-normal mean (`heavy`: standard deviation 1.2 of the logarithm, a few items hold a large part) |
| labels | Zipf: the n-th most frequent label has a share proportional to 1 / n |
| found or not | a chance of each object: of its label (0.55 to 0.9) and of its item (a normal effect on the logit, standard deviation 0.8) |
| the two models | an object has one outcome for both; with probability `flips` each model draws its own, from the same chance. So neither is better |
| flips of whole items | with `clustered` the own draws come by item, with one more effect of the item that each model draws for itself |
| a drop | the candidate then loses what it found with a probability such that its recall is lower by `drop` in expectation |
| false positives | Poisson per item, most of them shared in the same way |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airflow_provider_nucleus.gating.measurement import (
    Coverage,
    Fingerprint,
    MatchColumns,
    Measurement,
    Numbers,
)

__all__ = ["Scenario", "simulated_pair"]


@dataclass(frozen=True)
class Scenario:
    """One kind of pair."""

    items: int = 500
    labels: int = 80
    objects: float = 7.0
    """Objects per item, in the mean."""
    heavy: bool = False
    flips: float = 0.1
    clustered: bool = False
    drop: float = 0.0
    only_label: int | None = None
    """Label that alone is worse by `drop`; None for all."""


def simulated_pair(scenario: Scenario, seed: int) -> tuple[Measurement, Measurement]:
    """Return candidate and baseline."""
    rng = np.random.default_rng((seed, 2026))
    mean = np.full(scenario.items, scenario.objects)
    if scenario.heavy:
        mean = scenario.objects * rng.lognormal(-(1.2**2) / 2, 1.2, scenario.items)
    item = np.repeat(np.arange(scenario.items), rng.poisson(mean))
    share = 1 / np.arange(1, scenario.labels + 1)
    label = rng.choice(scenario.labels, size=item.size, p=share / share.sum())
    logit = np.log(rng.uniform(0.55, 0.9, scenario.labels) / 0.25)[label] - 0.4
    logit = logit + 0.8 * rng.standard_normal(scenario.items)[item]
    shared = rng.random(item.size) < _chance(logit)
    own_item = rng.random(scenario.items) < scenario.flips
    own = own_item[item] if scenario.clustered else rng.random(item.size) < scenario.flips
    found = []
    for _ in range(2):
        effect = rng.standard_normal(scenario.items)[item] if scenario.clustered else 0.0
        found.append(np.where(own, rng.random(item.size) < _chance(logit + effect), shared))
    if scenario.drop:
        touched = (
            np.ones(item.size, dtype=bool) if scenario.only_label is None else label == scenario.only_label
        )
        recall = max(1e-9, float(_chance(logit)[touched].mean())) if touched.any() else 1.0
        found[0] = found[0] & ~(touched & (rng.random(item.size) < scenario.drop / recall))
    wrong = np.repeat(np.arange(scenario.items), rng.poisson(0.25 * mean))
    wrong_label = rng.choice(scenario.labels, size=wrong.size, p=share / share.sum())
    kept = [(rng.random(wrong.size) > scenario.flips) for _ in range(2)]
    candidate, baseline = (
        _measurement(scenario, item, label, found[side], wrong[kept[side]], wrong_label[kept[side]])
        for side in range(2)
    )
    return candidate, baseline


def _chance(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


def _measurement(
    scenario: Scenario,
    item: np.ndarray,
    label: np.ndarray,
    found: np.ndarray,
    wrong: np.ndarray,
    wrong_label: np.ndarray,
) -> Measurement:
    names = [f"label {number}" for number in range(scenario.labels)]
    truth_rows, wrong_rows = item.size, wrong.size
    labels = label.tolist()
    nothing = [None] * wrong_rows
    matches = MatchColumns.model_construct(
        items=[f"item {number}" for number in range(scenario.items)],
        labels=names,
        item=item.tolist() + wrong.tolist(),
        truth=labels + nothing,
        predicted=[code if hit else None for code, hit in zip(labels, found.tolist(), strict=True)]
        + wrong_label.tolist(),
        iou=np.where(found, 0.8, 0.0).tolist() + [0.0] * wrong_rows,
        confidence=[None] * (truth_rows + wrong_rows),
        truth_id=[str(number) for number in range(truth_rows)] + nothing,
        prediction_id=[None] * (truth_rows + wrong_rows),
        agrees=found.tolist() + [False] * wrong_rows,
        groups={},
    )
    hits = np.bincount(label[found], minlength=scenario.labels)
    truths = np.bincount(label, minlength=scenario.labels)
    predictions = hits + np.bincount(wrong_label, minlength=scenario.labels)
    return Measurement.model_construct(
        fingerprint=Fingerprint(data="simulated"),
        coverage=Coverage(
            items=scenario.items,
            with_ground_truth=scenario.items,
            ground_truth=truth_rows,
            predictions=int(predictions.sum()),
        ),
        iou_threshold=0.5,
        overall=_numbers(hits.sum(), truths.sum(), predictions.sum()),
        per_label={
            name: _numbers(*counts)
            for name, *counts in zip(names, hits.tolist(), truths.tolist(), predictions.tolist(), strict=True)
            if counts[1] or counts[2]
        },
        matches=matches,
    )


def _numbers(hits: float, truths: float, predictions: float) -> Numbers:
    values = {
        "recall": hits / truths if truths else None,
        "precision": hits / predictions if predictions else None,
        "f1": 2 * hits / (truths + predictions) if truths + predictions else None,
    }
    return Numbers(
        values={name: None if value is None else float(value) for name, value in values.items()},
        undefined={name: "nothing to divide by" for name, value in values.items() if value is None},
        ground_truth=int(truths),
        predictions=int(predictions),
    )
