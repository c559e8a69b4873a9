"""A verdict: what came of every rule, and of all of them together. Stored before anything is raised."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from airflow_provider_nucleus.gating.measurement import Document, Measurement

__all__ = [
    "VERDICT_SCHEMA",
    "ChangeCounts",
    "Judgement",
    "RuleResult",
    "RuleStatus",
    "Verdict",
    "VerdictStatus",
]

VERDICT_SCHEMA: Final = "nucleus-verdict/1"

RuleStatus = Literal["pass", "warn", "fail", "insufficient", "missing", "error"]
VerdictStatus = Literal["pass", "fail", "inconclusive"]


class RuleResult(Document):
    """One bound of one rule on one number (of one label, of one slice): the evidence, and one sentence."""

    rule_id: str
    metric: str
    subject: str
    """What the number is of: `overall`, `label person`, `weather=fog`, `profile`, `supplied`."""
    bound: str
    """`min`, `max`, `max_drop`, `max_relative_drop`, `min_gain` or `window`."""
    status: RuleStatus
    severity: Literal["error", "warn"] = "error"
    limit: float | None = None
    value: float | None = None
    baseline: float | None = None
    difference: float | None = None
    """Number less baseline; of a relative bound as a share of the baseline. `low` and `high` are in the unit of the bound, too."""
    low: float | None = None
    high: float | None = None
    level: float | None = None
    method: str | None = None
    """How the interval was had; None for the plain comparison."""
    bound_at: float | None = None
    """Place of the bound on the axis of `low` and `high` (else of the difference, else of the value); None where it is not known."""
    passes: Literal["above", "below"] | None = None
    """Side of the bound that passes."""
    support: int | None = None
    counted: bool = True
    """Whether the verdict counts it. One label of many that is too rare to be judged alone is listed, and not counted."""
    text: str
    """One line for people: number, bound, baseline, interval, support, and why it is not a pass."""


class ChangeCounts(Document):
    """Objects of the ground truth, by who found them."""

    fixed: int = 0
    broken: int = 0
    both_found: int = 0
    both_miss: int = 0


class Verdict(Document):
    """Outcome of a policy: `status` is what the evidence says, `stopped` whether the policy stops the pipeline for it."""

    status: VerdictStatus
    stopped: bool
    policy: str
    policy_digest: str
    results: list[RuleResult] = Field(default_factory=list)
    reasons: list[str] = Field(default_factory=list)
    """The sentences of what was not a pass, the worst first."""
    score: float | None = None
    """Share of the results that passed, 0 to 1."""


class Judgement(Document):
    """The whole document of a gate (`metrics.json` of a report): both measurements, the verdict, what changed."""

    schema_: Literal["nucleus-verdict/1"] = Field(default=VERDICT_SCHEMA, alias="schema")
    candidate: Measurement
    baseline: Measurement | None = None
    verdict: Verdict
    changes: ChangeCounts | None = None
    judged_at: str | None = None
    extras: dict[str, Any] | None = None
    """Further evidence that a report shows: `reporting.extras.Extras`."""
