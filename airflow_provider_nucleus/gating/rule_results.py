"""Results of one rule: every bound on every subject, with its evidence or with the reason why nothing can be said."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.gating.bounds import Inequality, Interval, absolute, change
from airflow_provider_nucleus.gating.findings import Finding, result_of
from airflow_provider_nucleus.gating.fingerprint import measurement_differences
from airflow_provider_nucleus.gating.interval_source import NoInterval
from airflow_provider_nucleus.gating.policy import BOUNDS, CHANGE_BOUNDS
from airflow_provider_nucleus.gating.profile_readings import (
    needs_reference,
    profile_differences,
    read_profile,
)
from airflow_provider_nucleus.gating.readings import ABSENT, Reading, RuleSubject, read, subjects_of
from airflow_provider_nucleus.gating.rule_family import mean_of, settled
from airflow_provider_nucleus.gating.sentences import (
    objects_text,
    subject_text,
)
from airflow_provider_nucleus.gating.window import spread_of
from airflow_provider_nucleus.number_texts import plain_share_text, plain_text

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.interval_source import IntervalSource
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.policy import Policy, Rule, WindowCondition
    from airflow_provider_nucleus.gating.sides import Sides
    from airflow_provider_nucleus.gating.verdict import RuleResult

__all__ = ["results_of"]

_MEASURED = ("overall", "per_label", "per_slice")
"""Scopes of numbers that need ground truth."""


def results_of(rule: Rule, policy: Policy, sides: Sides, source: IntervalSource) -> list[RuleResult]:
    """Return the results of a rule: one for each of its bounds and subjects."""
    bounds = [bound for bound in BOUNDS if getattr(rule, bound) is not None]
    subjects = subjects_of(rule, sides.candidate, sides.alike(rule))
    if not subjects:
        findings = [_nothing_there(rule, bound) for bound in bounds]
    else:
        looking = _Looking(rule, policy, sides, source)
        findings = [each for bound in bounds for each in _with_evidence(looking.at(bound, subjects))]
    if not any(each.counted for each in findings):
        # A rule none of whose subjects can be judged has no evidence at all.
        findings = [replace(each, counted=True) for each in findings]
    return [result_of(rule, each) for each in findings]


def _with_evidence(findings: list[Finding]) -> list[Finding]:
    """Count what is open where no subject of a bound could be judged: another bound of the rule is no evidence for this one."""
    if any(each.counted for each in findings):
        return findings
    return [replace(each, counted=not each.off) for each in findings]


class _Looking:
    """One rule on all its subjects."""

    def __init__(self, rule: Rule, policy: Policy, sides: Sides, source: IntervalSource) -> None:
        self._rule = rule
        self._policy = policy
        self._sides = sides
        self._source = source
        self._against = sides.against(rule.against)
        self._differences = (
            measurement_differences(
                sides.candidate, self._against, names=("the candidate", _against_text(rule))
            )
            if self._against is not None and rule.scope in _MEASURED
            else []
        )
        if self._against is not None and rule.scope == "profile":
            self._differences = profile_differences(sides.candidate, self._against)
        self._window = sides.window() if rule.window is not None else []
        self._must_be_judged = rule.named or rule.scope not in {"per_label", "per_slice"}
        """Too little behind one of many labels leaves it out; behind what the rule is about it leaves the rule open."""

    def at(self, bound: str, subjects: list[RuleSubject]) -> list[Finding]:
        """Return what is found of one bound on each subject."""
        with suppress(NucleusError):  # Each subject gives the reason.
            if self._rule.compare != "point" and bound != "window":
                self._source.prepare(self._rule, subjects, alone=bound not in CHANGE_BOUNDS)
        findings = [self._found(bound, subject) for subject in subjects]
        mean = None
        if bound in CHANGE_BOUNDS and not self._must_be_judged:
            mean = mean_of(self._rule, [self._with_before(each) for each in findings], self._source)
        return settled(self._rule, findings, mean)

    def _found(self, bound: str, subject: RuleSubject) -> Finding:
        finding = self._with_reading(Finding(subject, bound))
        if finding.text:
            return finding
        try:
            if bound in CHANGE_BOUNDS:
                return self._change(finding)
            if bound == "window" and self._rule.window is not None:
                return self._in_window(finding, self._rule.window)
            return self._absolute(finding)
        except NucleusError as error:
            return replace(finding, status="error", text=f"{self._head(finding)} cannot be judged: {error}")

    def _with_reading(self, finding: Finding) -> Finding:
        """Take the candidate's number; close the finding where there is none, or too little behind it."""
        rule = self._rule
        reading = self._read(finding.subject, self._sides.candidate)
        finding = replace(finding, reading=reading)
        head = self._head(finding)
        if reading.absent is not None:
            return self._missing(finding, reading.absent)
        if needs_reference(rule) and (self._against is None or self._against.profile is None):
            return self._without_baseline(finding, f"there is no profile of the {_against_text(rule)}")
        if rule.scope in _MEASURED:
            lacking = self._coverage_lacking()
            if lacking is not None:
                return replace(finding, text=f"{head} is not judged: {lacking}")
            if (reading.support or 0) < rule.min_support:
                return replace(
                    finding,
                    counted=self._must_be_judged,
                    text=f"{head} is not judged: it rests on {objects_text(reading.support)}, the rule asks for {rule.min_support}",
                )
        if reading.value is None:
            return replace(finding, text=f"{head} is not defined: {reading.undefined}")
        return finding

    def _read(self, subject: RuleSubject, side: Measurement) -> Reading:
        if self._rule.scope == "profile":
            return read_profile(self._rule, side, self._against)
        return read(self._rule, subject, side)

    def _missing(self, finding: Finding, what: str) -> Finding:
        head = self._head(finding)
        was = self._baseline_reading(finding)
        if not self._rule.named and was.support == 0:
            # A label that the other side alone predicted, and that nobody was looking for, has not vanished.
            return replace(
                finding,
                counted=False,
                text=f"{head} is not judged: {what}, and there are no objects to be found",
            )
        before = f"; {_against_text(self._rule)} has {plain_text(was.value)}" if was.value is not None else ""
        return replace(finding, status="missing", text=f"{head} is missing: {what}{before}")

    def _coverage_lacking(self) -> str | None:
        rule, coverage = self._rule, self._sides.candidate.coverage
        wanted = max(
            (each for each in (rule.min_coverage, self._policy.min_coverage) if each is not None),
            default=None,
        )
        if wanted is None:
            return None
        if coverage.items == 0:
            return f"there are no items, and the policy asks for ground truth on {plain_share_text(wanted)} of them"
        share = coverage.share
        if share is None:
            return f"it is not known how many of the items have ground truth, and the policy asks for {plain_share_text(wanted)} of them"
        if share < wanted:
            return (
                f"{coverage.with_ground_truth:,} of {coverage.items:,} items have ground truth ({plain_share_text(share)}), "
                f"the policy asks for {plain_share_text(wanted)}"
            )
        return None

    def _baseline_reading(self, finding: Finding) -> Reading:
        return ABSENT if self._against is None else self._read(finding.subject, self._against)

    def _with_before(self, finding: Finding) -> Finding:
        """Add the baseline's number, for labels too rare to be judged alone as well."""
        if finding.before is not None or self._differences:
            return finding
        return replace(finding, before=self._baseline_reading(finding).value)

    def _absolute(self, finding: Finding) -> Finding:
        rule, value = self._rule, finding.reading.value
        assert value is not None
        inequality = absolute(finding.bound, getattr(rule, finding.bound), value)
        finding = replace(finding, inequality=inequality)
        if rule.compare == "interval":
            return self._with_interval(
                finding, self._source.of_value(rule, finding.subject, inequality, value=value)
            )
        if rule.compare is None:
            with suppress(NucleusError):  # It is only there to be read.
                interval = self._source.of_value(rule, finding.subject, inequality, value=value)
                return replace(finding, interval=None if isinstance(interval, NoInterval) else interval)
        return finding

    def _with_interval(self, finding: Finding, interval: Interval | NoInterval) -> Finding:
        """Take an interval that decides; where there is none, the number alone does, or nothing can."""
        if isinstance(interval, Interval):
            return replace(finding, interval=interval, by_interval=True)
        if interval.decides:
            return replace(finding, remark=f" (compared without an interval: {interval.reason})")
        return replace(
            finding,
            counted=self._must_be_judged,
            text=f"{self._head(finding)} is {plain_text(finding.reading.value or 0.0)} and cannot be judged: {interval.reason}",
        )

    def _change(self, finding: Finding) -> Finding:
        rule, value = self._rule, finding.reading.value
        assert value is not None
        if self._against is None:
            return self._without_baseline(finding, f"there is no {_against_text(rule)}")
        head = self._head(finding)
        if self._differences:
            reasons = "; ".join(self._differences)
            return replace(
                finding,
                text=f"{head} cannot be compared with {_against_text(rule)}, which was measured otherwise: {reasons}",
            )
        before = self._baseline_reading(finding)
        if before.value is None:
            return replace(
                finding,
                text=f"{head} cannot be compared: {_against_text(rule)} has no such number, {before.absent or before.undefined}",
            )
        finding = replace(finding, before=before.value)
        limit = getattr(rule, finding.bound)
        if (
            finding.bound == "max_relative_drop"
            and rule.relative_below is not None
            and before.value < rule.relative_below
        ):
            others = [
                bound for bound in BOUNDS if bound != finding.bound and getattr(rule, bound) is not None
            ]
            return replace(
                finding,
                counted=not others and self._must_be_judged,
                off=True,
                text=f"{head} is not judged by a relative drop: {_against_text(rule)} has {plain_text(before.value)}, "
                f"below {plain_text(rule.relative_below)}",
            )
        better = rule.better
        assert better is not None
        inequality = change(finding.bound, limit, value=value, baseline=before.value, better=better)
        if inequality is None:
            return replace(
                finding,
                text=f"{head} cannot be judged by a relative drop: {_against_text(rule)} has {plain_text(before.value)}",
            )
        finding = replace(finding, inequality=inequality)
        if rule.compare == "point":
            return finding
        interval = self._source.of_change(
            rule, finding.subject, inequality, value=value, baseline=before.value
        )
        return self._with_interval(finding, interval)

    def _in_window(self, finding: Finding, window: WindowCondition) -> Finding:
        rule, value, head = self._rule, finding.reading.value, self._head(finding)
        assert value is not None
        numbers = [self._read(finding.subject, batch).value for batch in self._window]
        known = [number for number in numbers if number is not None][-window.batches :]
        if len(known) < window.min_batches:
            return self._without_baseline(
                finding,
                f"{len(known)} of the accepted batches of this series have the number, {window.min_batches} are needed",
            )
        spread = spread_of(known)
        finding = replace(finding, before=spread.median)
        if spread.deviation == 0:
            passes: Literal["above", "below"] = "below" if rule.better == "lower" else "above"
            inequality = Inequality("window", window.max_z, value, at=spread.median, passes=passes)
            equal = abs(value - spread.median) <= 1e-12 * max(1.0, abs(value))
            if equal or (rule.better is not None and inequality.margin > 0):
                return replace(finding, inequality=inequality)
            return replace(
                finding,
                text=f"{head} is {plain_text(value)}; the last {spread.batches} accepted batches all have "
                f"{plain_text(spread.median)}: there is no spread to measure the distance by",
            )
        reach = window.max_z * spread.deviation
        above = rule.better == "higher" or (rule.better is None and value < spread.median)
        inequality = Inequality(
            "window",
            window.max_z,
            value,
            at=spread.median - reach if above else spread.median + reach,
            passes="above" if above else "below",
        )
        z = (value - spread.median) / spread.deviation
        remark = f" (z {z:.1f} by the {spread.method} of {spread.batches} batches)"
        return replace(finding, inequality=inequality, remark=remark)

    def _without_baseline(self, finding: Finding, reason: str) -> Finding:
        """Close a finding that needs what is not there yet, as the policy says."""
        text = f"{self._head(finding)} cannot be compared: {reason}"
        answer = self._policy.on_missing_baseline
        if answer == "inconclusive":
            return replace(finding, text=text)
        return replace(finding, status=answer, text=f"{text}; a {answer} by on_missing_baseline")

    def _head(self, finding: Finding) -> str:
        return subject_text(self._rule, finding.subject)


def _against_text(rule: Rule) -> str:
    return {"baseline": "baseline", "reference": "pinned reference", "accepted": "last accepted baseline"}[
        rule.against
    ]


def _nothing_there(rule: Rule, bound: str) -> Finding:
    what = "labels" if rule.scope == "per_label" else f"slices by {rule.slice_key!r}"
    return Finding(
        RuleSubject(what),
        bound,
        status="missing",
        text=f"{rule.metric} per {what} is missing: the measurement has no {what}",
    )
