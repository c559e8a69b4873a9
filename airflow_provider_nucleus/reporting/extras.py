"""Evidence beside a verdict that a report shows: changed objects, operating points, drift, history, links, origin.

Each part is optional; what is None was not there, and the report says so. The whole is `extras` of a `Judgement`, so that
`metrics.json` has every number of the page.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from airflow_provider_nucleus.gating.measurement import Document

__all__ = [
    "CutRow",
    "DrawnObject",
    "DriftRow",
    "Extras",
    "ObjectChange",
    "Omission",
    "PastBatch",
    "ReportLink",
    "ReportOrigin",
]


class DrawnObject(Document):
    """One object on an image: what it is called, and where it is, in pixels of the image."""

    id: str | None = None
    label: str | None = None
    confidence: float | None = None
    iou: float | None = None
    """Overlap with the ground truth it was paired with."""
    box: tuple[float, float, float, float] | None = None
    """x, y of the top-left corner, width, height."""
    rings: list[list[tuple[float, float]]] | None = None
    """Outer rings of a polygon."""


class ObjectChange(Document):
    """One object of the ground truth that the two models do not agree on, or that both missed."""

    kind: Literal["fixed", "broken", "both_miss"]
    item: str
    """Reference id of the image."""
    truth: DrawnObject
    candidate: DrawnObject | None = None
    baseline: DrawnObject | None = None
    image: str | None = None
    """Place of the image: a path or an address."""
    url: str | None = None


class CutRow(Document):
    """Best least confidence of a label (None: of all), and the rates there."""

    label: str | None = None
    goal: str = "best f1"
    confidence: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    ground_truth: int | None = None
    baseline_confidence: float | None = None


class DriftRow(Document):
    """One property of the profile against the reference profile."""

    name: str
    value: float | None = None
    reference: float | None = None
    effect: float | None = None
    limit: float | None = None
    """The effect from which on it is drift; the user's, or the stated default."""
    drifted: bool | None = None
    text: str = ""


class PastBatch(Document):
    """The headline number of an earlier batch of the same kind, or of this one (`here`)."""

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    status: Literal["pass", "fail", "inconclusive"] | None = None
    model: str | None = None
    at: str | None = None
    items: int | None = None
    url: str | None = None
    here: bool = False


class ReportLink(Document):
    """A named address."""

    name: str
    url: str


class ReportOrigin(Document):
    """The task that judged, and the one that made the report."""

    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    logical_date: str | None = None
    try_number: int | None = None
    gate_state: str | None = None
    """State of the gate's task, in Airflow's word."""
    made_at: str | None = None
    provider_version: str | None = None


class Omission(Document):
    """Rows, labels or pictures that are not on the page: how many of how many, and where all are."""

    what: str
    left: int
    of: int
    where: str = "metrics.json"
    there: int | None = None
    """Number of those that are there, where it has not all of them either."""


class Extras(Document):
    """All evidence of a report beside the verdict."""

    history_metric: str | None = None
    history: list[PastBatch] = Field(default_factory=list)
    changed: list[ObjectChange] | None = None
    changed_total: int | None = None
    """Number of changed objects where `changed` has not all of them."""
    operating_points: list[CutRow] | None = None
    operating_file: str | None = None
    """Place of the file for the inference job."""
    drift: list[DriftRow] | None = None
    reference_profile: dict[str, Any] | None = None
    links: list[ReportLink] = Field(default_factory=list)
    origin: ReportOrigin | None = None
    remarks: list[str] = Field(default_factory=list)
    """What could not be done, in sentences."""
