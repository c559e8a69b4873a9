"""Judgements with content for tests of reports: of one label and of hundreds, with and without baseline, with hostile names."""

from __future__ import annotations

import math
import random
from typing import Any

from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement, Numbers, Subject
from airflow_provider_nucleus.gating.rule_table import reason_of, worst_first
from airflow_provider_nucleus.gating.verdict import ChangeCounts, Judgement, RuleResult, Verdict
from airflow_provider_nucleus.reporting.extras import (
    CutRow,
    DrawnObject,
    DriftRow,
    Extras,
    ObjectChange,
    PastBatch,
    ReportLink,
    ReportOrigin,
)

HOSTILE = [
    "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}\u202e",
    "שלום עולם | مرحبا",
    "x" * 10_000,
    "x" * 9_999 + "y",
    "`code` **bold** [link](javascript:alert(1)) @everyone #1 https://example.com/ | a | b |",
    "line\nbreak\ttab\x00nul\ud800",
    "  ",
    "</style></td></table><!--",
]
_NAMES = [
    "car",
    "person",
    "truck",
    "bicycle",
    "traffic light",
    "bus",
    "motorcycle",
    "dog",
    "stop sign",
    "bench",
]


def label_names(count: int, *, hostile: bool = False) -> list[str]:
    """Return names of labels: hostile ones first, if they are asked for."""
    plain = [_NAMES[place] if place < len(_NAMES) else f"class {place:03d}" for place in range(count)]
    return (HOSTILE + plain)[:count] if hostile else plain


def rates(tp: int, fp: int, fn: int, **more: float | None) -> Numbers:
    """Return numbers as a measurement has them."""
    precision = tp / (tp + fp) if tp + fp else None
    recall = tp / (tp + fn) if tp + fn else None
    f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None
    values = {"precision": precision, "recall": recall, "f1": f1, "tp": tp, "fp": fp, "fn": fn, **more}
    undefined = {
        name: "no predictions and no ground truth" for name, value in values.items() if value is None
    }
    return Numbers(values=values, undefined=undefined, ground_truth=tp + fn, predictions=tp + fp)


def measurement(
    model: str, *, labels: list[str], seed: int, quality: float, name: str = "2026-12-01 night"
) -> Measurement:
    """Return a measurement whose labels are found with about the given probability."""
    dice = random.Random(seed)
    truths = random.Random(5)
    per_label = {}
    for label in labels:
        objects = truths.randrange(8, 420)
        tp = sum(dice.random() < quality for _ in range(objects))
        per_label[label] = rates(
            tp, dice.randrange(0, objects // 3 + 1), objects - tp, ap=round(quality * dice.uniform(0.7, 1), 6)
        )
    total = [sum(int(each.values[count] or 0) for each in per_label.values()) for count in ("tp", "fp", "fn")]
    overall = rates(
        *total,
        ap=quality * 0.8123456,
        ap50=quality * 0.9512,
        ap75=quality * 0.61,
        mean_iou=0.8017,
        ap_small=None,
    )
    half = rates(total[0] // 3, total[1] // 3, total[2] // 3)
    profile = {
        "schema": "nucleus-profile/1",
        "items": 520,
        "items_with_predictions": 498,
        "objects": total[0] + total[1],
        "labels": {label[:100]: int(each.predictions or 0) for label, each in per_label.items()},
        "confidence": [int(40 * math.exp(-(((place - 15 * quality) / 5) ** 2))) for place in range(20)],
        "least_confidence": 0.05,
    }
    return Measurement(
        subject=Subject(
            model_id=f"prj_{model}",
            model_name=model,
            model_run_id=f"run_{seed:06d}",
            dataset_id="ds_cb3x9q7d2p60mfewz1hg",
            dataset_name="crossings",
            slice_id="slc_cb3x9qkd2p60mfewz1h0",
            slice_name=name,
            job_id=f"job_{seed:06d}",
            dag_id="evaluate_inference_batch",
            run_id="scheduled__2026-12-01T02:00:00+00:00",
            task_id="metrics",
            map_index=seed % 2,
            measured_at="2026-12-01T02:14:09+00:00",
        ),
        fingerprint=Fingerprint(
            data="dataset:ds_cb3x9q7d2p60mfewz1hg",
            scope=f"slice:{name}",
            ground_truth="sha256:6c1f0a9b7d54e3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0f9e8d7c6b5a4",
            options={
                "iou_threshold": 0.5,
                "allowed_label_matches": [],
                "class_agnostic": False,
                "crowd_as_objects": False,
            },
            engine="airflow-provider-nucleus 0.9.0",
        ),
        coverage=Coverage(
            items=520,
            with_ground_truth=412,
            without_ground_truth=108,
            ground_truth=total[0] + total[2],
            predictions=total[0] + total[1],
            unannotated="leave_out",
            predictions_left_out=371,
        ),
        iou_threshold=0.5,
        overall=overall,
        per_label=per_label,
        slices={"weather": {"fog": half, "clear": half, "night rain": half}},
        profile=profile,
        supplied={"latency_ms": 18.4 + seed, "memory_mb": 1204.0},
        notes=[
            {
                "text": "12 ground-truth objects of type line are not compared with boxes, and are in no number."
            }
        ],
    )


def results(candidate: Measurement, baseline: Measurement | None) -> list[RuleResult]:
    """Return results of every status and of every kind of bound."""
    found = []
    value, other = candidate.overall.values["f1"], baseline.overall.values["f1"] if baseline else None
    if other is not None:
        difference = value - other
        found += [
            RuleResult(
                rule_id="f1-does-not-drop", metric="f1", subject="overall", bound="max_drop", status="fail", limit=0.01, value=value,
                baseline=other, difference=difference, low=difference - 0.021, high=difference + 0.0195, level=0.95,
                method="paired bootstrap over items", support=candidate.coverage.ground_truth,
                text=f"F1 fell by {-difference:.4f}, more than the 0.01 that are allowed.",
            ),
            RuleResult(
                rule_id="ap-gains", metric="ap", subject="overall", bound="min_gain", status="insufficient", limit=0.0, value=0.6123,
                baseline=0.6101, difference=0.0022, low=-0.012, high=0.0151, level=0.95, method="paired bootstrap over items",
                support=1204, severity="warn", text="AP gained 0.0022, and the interval holds both sides of the bound.",
            ),
        ]  # fmt: skip
    found += [
        RuleResult(
            rule_id="recall-floor", metric="recall", subject="overall", bound="min", status="fail", limit=0.8, value=0.79964, low=0.781,
            high=0.817, level=0.95, method="bootstrap over items", support=1204, text="Recall is 0.79964, below 0.8.",
        ),
        RuleResult(rule_id="latency", metric="latency_ms", subject="supplied", bound="max", status="pass", limit=25.0, value=19.4, text="Latency is 19.4, at most 25.0."),
        RuleResult(rule_id="drift-of-confidence", metric="psi.confidence", subject="profile", bound="max", status="warn", severity="warn", limit=0.2, value=0.31, text="Confidences drifted."),
        RuleResult(rule_id="window", metric="f1", subject="overall", bound="window", status="insufficient", limit=3.0, value=value, text="Only 3 batches were accepted before, 5 are needed."),
    ]  # fmt: skip
    for place, (label, numbers) in enumerate(candidate.per_label.items()):
        mine, theirs = (
            numbers.values["f1"],
            baseline.per_label[label].values["f1"] if baseline and label in baseline.per_label else None,
        )
        if mine is None or theirs is None:
            found.append(
                RuleResult(
                    rule_id="labels",
                    metric="f1",
                    subject=f"label {label}",
                    bound="max_relative_drop",
                    status="missing",
                    limit=0.05,
                    text=f"Label {label} is in one of the two only.",
                )
            )
            continue
        status = "fail" if mine < 0.9 * theirs else "pass"
        found.append(
            RuleResult(
                rule_id="labels", metric="f1", subject=f"label {label}", bound="max_relative_drop", status=status, limit=0.05, value=mine,
                baseline=theirs, difference=mine - theirs, low=mine - theirs - 0.03, high=mine - theirs + 0.03, level=0.95,
                method="paired bootstrap over items, Holm over labels", support=numbers.ground_truth,
                text=f"F1 of label {label} went from {theirs:.3f} to {mine:.3f}.",
            )
        )  # fmt: skip
        if place > 2000:
            break
    return found


def judgement(
    *, labels: int = 10, hostile: bool = False, with_baseline: bool = True, status: str = "fail"
) -> Judgement:
    """Return a judgement of the given size."""
    names = label_names(labels, hostile=hostile)
    candidate = measurement("detector-b", labels=names, seed=2, quality=0.71)
    baseline = (
        measurement("detector-a", labels=names[1:] if labels > 2 else names, seed=1, quality=0.78)
        if with_baseline
        else None
    )
    found = results(candidate, baseline)
    if status == "pass":
        found = [result for result in found if result.status == "pass"]
    return Judgement(
        candidate=candidate,
        baseline=baseline,
        verdict=Verdict(
            status=status,
            stopped=status != "pass",
            policy="nightly",
            policy_digest="sha256:1f0c66d2a0b14b43",
            results=found,
            reasons=[reason_of(result) for result in worst_first(found) if result.status != "pass"],
            score=sum(result.status == "pass" for result in found) / max(len(found), 1),
        ),
        changes=ChangeCounts(fixed=12, broken=41, both_found=803, both_miss=77) if with_baseline else None,
        judged_at="2026-12-01T02:15:40+00:00",
    )


def extras(*, changed: int = 30, cuts: int = 10, batches: int = 9, hostile: bool = False) -> Extras:
    """Return further evidence of the given size."""
    dice = random.Random(3)
    kinds: list[Any] = ["broken", "fixed", "both_miss"]
    names = label_names(max(cuts, 10), hostile=hostile)
    objects = [
        ObjectChange(
            kind=kinds[place % 3],
            item=f"cam{place % 4}_{place:06d}",
            truth=DrawnObject(id=f"ann_{place:016x}", label=names[place % len(names)], box=(40, 30, 120, 80)),
            candidate=DrawnObject(
                label=names[place % len(names)],
                confidence=round(dice.random(), 4),
                iou=round(dice.random(), 4),
                box=(52, 34, 118, 70),
            )
            if place % 3 == 1
            else None,
            baseline=DrawnObject(label="truck", confidence=0.4312, iou=0.7123, box=(44, 28, 118, 80))
            if place % 3 == 0
            else None,
            url=f"https://nucleus.example/item/{place}" if place % 2 else "javascript:alert(1)",
        )
        for place in range(changed)
    ]
    return Extras(
        history_metric="f1",
        history=[
            PastBatch(
                name=f"2026-11-{22 + place}" if place < 9 else f"night {place}",
                value=None if place == 3 else 0.74 + 0.03 * math.sin(place),
                low=0.72 + 0.03 * math.sin(place),
                high=0.76 + 0.03 * math.sin(place),
                status=["pass", "fail", "inconclusive"][(place // 3) % 3],
                model="detector-a" if place < 6 else "detector-b",
                at=f"2026-11-{22 + place % 8}T02:00:00Z",
                items=500 + place,
                here=place == batches - 1,
            )
            for place in range(batches)
        ],
        changed=objects,
        changed_total=changed,
        operating_points=[CutRow(confidence=0.35, precision=0.81, recall=0.77, f1=0.7893, ground_truth=1204, baseline_confidence=0.4)]
        + [
            CutRow(label=name, confidence=round(dice.random(), 3), precision=round(dice.random(), 4), recall=round(dice.random(), 4), f1=0.5, ground_truth=dice.randrange(400))
            for name in names[:cuts]
        ],
        operating_file="s3://models/detector-b/operating_point.json",
        drift=[
            DriftRow(name="confidence", effect=0.31, limit=0.2, drifted=True, text="population stability index over 20 bins"),
            DriftRow(name="labels", effect=0.04, limit=0.2, drifted=False, text="population stability index over labels"),
            DriftRow(name="share of car", value=0.412, reference=0.398, drifted=None),
        ],
        reference_profile=measurement("detector-a", labels=["car"], seed=1, quality=0.9).profile,
        links=[ReportLink(name="Evaluation", url="https://nucleus.example/e/1"), ReportLink(name="Trap", url="javascript:alert(1)")],
        origin=ReportOrigin(dag_id="evaluate_inference_batch", run_id="scheduled__2026-12-01", task_id="report", gate_state="failed", made_at="2026-12-01T02:16:00+00:00", provider_version="0.9.0"),
        remarks=["The drift of sizes was not computed: the reference has none."],
    )  # fmt: skip
