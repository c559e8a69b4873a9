"""Series of headline numbers in time order: calculations of a run, batches of a dataset, evaluations on benchmarks.

Every point carries the fingerprint of its numbers (data with its version, scope, digest of the ground truth, options, engine). A series
has one definition (model, data apart from the version, options, engine); what still varies between its points is said (`varies`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.catalog import matches
from airflow_provider_nucleus.local.store.database import rows
from airflow_provider_nucleus.local.store.views.match_counts import whole_counts
from airflow_provider_nucleus.local.store.views.slice_counts import slice_counts
from airflow_provider_nucleus.rates import f1_terms, precision_terms, quotient, recall_terms
from airflow_provider_nucleus.undefined_reasons import (
    NO_GROUND_TRUTH,
    NO_OBJECTS,
    NO_PREDICTIONS,
    NO_TRUE_POSITIVES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_nucleus.local.store.catalog.evaluations import EvaluationRecord
    from airflow_provider_nucleus.local.store.catalog.matches import MatchSet
    from airflow_provider_nucleus.local.store.catalog.slices import SliceRecord
    from airflow_provider_nucleus.local.store.database import Cursor
    from airflow_provider_nucleus.local.store.views.match_counts import ThresholdCounts

__all__ = [
    "RunInTrend",
    "TrendPoint",
    "batch_points",
    "calculation_points",
    "evaluation_points",
    "runs_where",
    "series",
    "slice_points",
]

Kind = Literal["batch", "calculation", "evaluation"]
_EVALUATION_IOU: Final = 0.5
"""The overlap at which evaluations keep their counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInTrend:
    """A model's run on a dataset, and the set of its predictions."""

    set_no: int
    run_id: str
    model_id: str
    model_name: str
    dataset_id: str
    dataset_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    """Numbers at one place of a series; `at` puts it in order. `root` is what its data is without the version."""

    kind: Kind
    at: str
    model_id: str | None
    model_name: str | None
    root: str
    fingerprint: dict[str, Any]
    wire: dict[str, Any]


def runs_where(cursor: Cursor, condition: str, parameters: list[Any]) -> list[RunInTrend]:
    """Return the runs that a condition on object sets `s`, models `m` and datasets `d` selects, in order of their first upload."""
    found = rows(
        cursor,
        "SELECT s.set_no, r.run_id, m.model_id, m.name AS model_name, d.dataset_id, d.name AS dataset_name FROM object_sets s "
        "JOIN model_runs r USING (run_no) JOIN models m ON m.model_no = s.model_no JOIN datasets d USING (dataset_no) "
        f"WHERE s.role = 'run' AND {condition} ORDER BY s.set_no",
        parameters,
    )
    return [RunInTrend(**row) for row in found]


def calculation_points(cursor: Cursor, run: RunInTrend, *, iou: float, limit: int) -> list[TrendPoint]:
    """Return a point for each calculation of a run, on the whole dataset as it was."""
    found = matches.listing(cursor, run.set_no, limit=limit)
    return [
        _of_calculation(run, each, counts, kind="calculation", iou=iou)
        for each, counts in zip(found, whole_counts(cursor, found, iou=iou), strict=True)
    ]


def batch_points(
    cursor: Cursor, run: RunInTrend, slices: Sequence[SliceRecord], *, iou: float
) -> list[TrendPoint]:
    """Return a point for each slice within the newest calculation of a run, in order of the slices."""
    return _of_slices(cursor, run, slices, iou=iou, limit=1, kind="batch")


def slice_points(
    cursor: Cursor, run: RunInTrend, found: SliceRecord, *, iou: float, limit: int
) -> list[TrendPoint]:
    """Return a point for one slice within each of the newest `limit` calculations of a run."""
    return _of_slices(cursor, run, [found], iou=iou, limit=limit, kind="calculation")


def _of_slices(
    cursor: Cursor, run: RunInTrend, slices: Sequence[SliceRecord], *, iou: float, limit: int, kind: Kind
) -> list[TrendPoint]:
    found = matches.listing(cursor, run.set_no, limit=limit)
    return [
        _of_calculation(
            run,
            each.match_set,
            each.counts,
            kind=kind,
            iou=iou,
            coverage=each.coverage,
            batch=each.slice,
        )
        for each in slice_counts(cursor, found, slices, iou=iou)
    ]


def _of_calculation(
    run: RunInTrend,
    match_set: MatchSet,
    counts: ThresholdCounts,
    *,
    kind: Kind,
    iou: float,
    coverage: dict[str, Any] | None = None,
    batch: SliceRecord | None = None,
) -> TrendPoint:
    covered = dict(coverage or match_set.coverage or {})
    digest = covered.pop("ground_truth_digest", None)
    fingerprint = {
        "data": f"dataset:{run.dataset_id}",
        "scope": None if batch is None else f"slice:{batch.id}",
        "ground_truth": digest,
        "options": {"match": "nucleus", "iou_threshold": iou, "objects": "shapes", "unannotated": "count"}
        | match_set.options.to_wire(),
        "engine": match_set.summary.get("engine", ""),
    }
    calculated = timestamps.to_wire(match_set.created_at)
    wire = {
        "calculation": match_set.job_id,
        "calculated_at": calculated,
        "dataset_id": run.dataset_id,
        "model_run_id": run.run_id,
        "slice_id": None if batch is None else batch.id,
        "slice_name": None if batch is None else batch.name,
        "coverage": covered or None,
        "match_rows_kept": match_set.rows_kept,
        "requested_by": match_set.requested_by,
        **_numbers(counts),
    }
    return TrendPoint(
        kind=kind,
        at=timestamps.to_wire(batch.created_at) if batch is not None and kind == "batch" else calculated,
        model_id=run.model_id,
        model_name=run.model_name,
        root=fingerprint["data"],
        fingerprint=fingerprint,
        wire=wire,
    )


def _numbers(counts: ThresholdCounts) -> dict[str, Any]:
    values = {
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "mean_iou": counts.mean_iou,
    }
    reasons = {
        "precision": NO_PREDICTIONS,
        "recall": NO_GROUND_TRUTH,
        "f1": NO_OBJECTS,
        "mean_iou": NO_TRUE_POSITIVES,
    }
    return {
        "values": values,
        "undefined": {name: reason for name, reason in reasons.items() if values[name] is None},
    }


def evaluation_points(
    cursor: Cursor, evaluations: Iterable[EvaluationRecord], *, iou: float
) -> list[TrendPoint]:
    """Return a point for each evaluation that has succeeded; counts only at the overlap they are kept at, 0.5."""
    chosen = [each for each in evaluations if each.summary is not None]
    around = _around(cursor, [each.number for each in chosen])
    return [_of_evaluation(each, around[each.number], iou=iou) for each in chosen]


def _around(cursor: Cursor, numbers: list[int]) -> dict[int, dict[str, Any]]:
    """Return, by evaluation, the version of its benchmark, the first of its versions, and the task that asked."""
    found = rows(
        cursor,
        """WITH RECURSIVE line AS (
            SELECT benchmark_no, parent_no, benchmark_id AS root FROM benchmarks WHERE parent_no IS NULL
            UNION ALL SELECT b.benchmark_no, b.parent_no, line.root FROM benchmarks b JOIN line ON b.parent_no = line.benchmark_no)
        SELECT e.evaluation_no, b.version_major, b.version_minor, b.name, b.skipped, line.root, j.requested_by FROM evaluations e
        LEFT JOIN benchmarks b USING (benchmark_no) LEFT JOIN line USING (benchmark_no) LEFT JOIN jobs j ON j.job_no = e.job_no
        WHERE e.evaluation_no IN (SELECT unnest(?::BIGINT[]))""",
        [numbers],
    )
    return {row["evaluation_no"]: row for row in found}


def _of_evaluation(evaluation: EvaluationRecord, around: dict[str, Any], *, iou: float) -> TrendPoint:
    summary = orjson.loads(evaluation.summary or "{}")
    config = orjson.loads(evaluation.config_text)
    if evaluation.benchmark_id is not None:
        version = f"{around['version_major']}.{around['version_minor']}"
        data, root = f"benchmark:{evaluation.benchmark_id}@{version}", f"benchmark:{around['root']}"
    else:
        version, data, root = None, f"dataset:{evaluation.dataset_id}", f"dataset:{evaluation.dataset_id}"
    items = summary.get("items")
    # Items of a benchmark all have ground truth; those without it were left out when it was made.
    covered = items if evaluation.benchmark_id is not None else None
    wire = {
        "evaluation_id": evaluation.id,
        "evaluation_name": evaluation.name,
        "model_run_id": evaluation.run_id,
        "benchmark_id": evaluation.benchmark_id,
        "benchmark_name": around["name"],
        "benchmark_version": version,
        "slice_id": evaluation.slice_id,
        "job_id": evaluation.job_id,
        "calculated_at": timestamps.to_wire(evaluation.created_at),
        "coverage": {
            "items": items,
            "with_ground_truth": covered,
            "without_ground_truth": None if covered is None else 0,
            "ground_truth": summary.get("ground_truths"),
            "predictions": summary.get("predictions"),
        },
        "requested_by": None if around["requested_by"] is None else orjson.loads(around["requested_by"]),
        "values": _evaluation_values(summary, iou=iou),
        "undefined": {},
    }
    return TrendPoint(
        kind="evaluation",
        at=timestamps.to_wire(evaluation.created_at),
        model_id=evaluation.model_id,
        model_name=evaluation.model_name,
        root=root,
        fingerprint={
            "data": data,
            "scope": None if evaluation.slice_id is None else f"slice:{evaluation.slice_id}",
            "ground_truth": None,
            "options": config,
            "engine": summary.get("engine", ""),
        },
        wire=wire,
    )


def _evaluation_values(summary: dict[str, Any], *, iou: float) -> dict[str, Any]:
    means, sizes = summary.get("mapSummary", {}), summary.get("apBySize", {})
    values = {
        "ap": means.get("mapAt5095"),
        "ap50": means.get("mapAt50"),
        **{f"ap_{size}": sizes.get(size) for size in ("small", "medium", "large")},
    }
    if iou == _EVALUATION_IOU and (counts := summary.get("totalCounts")):
        tp, fp, fn = (int(counts[name]) for name in ("tp", "fp", "fn"))
        values |= {
            "tp": tp,
            "fp": fp,
            "fn": fn,
            "precision": quotient(*precision_terms(tp, tp + fp)),
            "recall": quotient(*recall_terms(tp, tp + fn)),
            "f1": quotient(*f1_terms(tp, tp + fp, tp + fn)),
        }
    return values


def series(points: Iterable[TrendPoint], *, limit: int) -> list[dict[str, Any]]:
    """Return points as series of one definition each, in time order, the newest `limit` of each."""
    found: dict[str, list[TrendPoint]] = {}
    for point in points:
        found.setdefault(_definition(point), []).append(point)
    return [_series(key, sorted(each, key=lambda point: point.at)[-limit:]) for key, each in found.items()]


def _definition(point: TrendPoint) -> str:
    """Return a digest of what points of one series have in common."""
    scope = None if point.kind == "batch" else point.fingerprint["scope"]
    what = [
        point.kind,
        point.model_id,
        point.root,
        scope,
        point.fingerprint["options"],
        point.fingerprint["engine"],
    ]
    return hashlib.sha256(orjson.dumps(what, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _series(key: str, points: list[TrendPoint]) -> dict[str, Any]:
    first = points[0]
    varies = [
        part
        for part in ("data", "scope", "ground_truth")
        if len({point.fingerprint[part] for point in points}) > 1
    ]
    return {
        "series": key,
        "kind": first.kind,
        "model_id": first.model_id,
        "model_name": first.model_name,
        "data": first.root,
        "options": first.fingerprint["options"],
        "engine": first.fingerprint["engine"],
        "varies": varies,
        "points": [{"at": point.at, **point.wire, "fingerprint": point.fingerprint} for point in points],
    }
