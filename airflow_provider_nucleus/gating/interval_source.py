"""Source of the intervals of a judgement: those given, else those resampled from the rows of both sides, else none, with the reason."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.bounds import Interval
from airflow_provider_nucleus.gating.fingerprint import same_ground_truth

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from airflow_provider_nucleus.evaluation.arrays import FloatArray
    from airflow_provider_nucleus.gating.bounds import Inequality
    from airflow_provider_nucleus.gating.measurement import MatchColumns, Measurement
    from airflow_provider_nucleus.gating.policy import Policy, Rule
    from airflow_provider_nucleus.gating.readings import RuleSubject
    from airflow_provider_nucleus.gating.resampling import GroupKey, PairedDraws
    from airflow_provider_nucleus.gating.sides import Sides

__all__ = ["IntervalSource", "NoInterval"]

_NUMPY_HINT = "Install it: pip install 'airflow-provider-nucleus[gate]'; or write compare: point, and the numbers alone decide."


@dataclass(frozen=True, slots=True)
class NoInterval:
    """Reason why there is no interval; *decides* where the number alone may be compared instead."""

    reason: str
    decides: bool = True


class IntervalSource:
    """Intervals of changes and of numbers, for the bounds of one judgement. What is resampled is resampled once."""

    def __init__(
        self, policy: Policy, sides: Sides, given: Mapping[tuple[str, str], Interval] | None = None
    ) -> None:
        self._policy = policy
        self._sides = sides
        self._given = dict(given or {})
        self._draws: dict[str, PairedDraws | NoInterval] = {}

    def of_change(
        self, rule: Rule, subject: RuleSubject, inequality: Inequality, *, value: float, baseline: float
    ) -> Interval | NoInterval:
        """Return the interval of a change on the axis of its bound, or why there is none."""
        given = self._given.get((rule.metric, subject.text)) if rule.against == "baseline" else None
        if given is not None:
            return _from_outside(rule, inequality, given, baseline=baseline)
        draws = self._pair(rule)
        if isinstance(draws, NoInterval):
            return draws
        key = _key(rule, subject)
        unusable = _unusable(draws, rule, key, stated=(value, baseline))
        if unusable is not None:
            return unusable
        relative = inequality.bound == "max_relative_drop"
        found = _interval(draws, rule, key, inequality, draws.changes(rule.metric, key, relative=relative))
        if isinstance(found, NoInterval) or rule.scope == "overall" or inequality.bound == "min_gain":
            return found
        unit = abs(baseline) if relative else 1.0
        enough = draws.sees(
            rule.metric,
            key,
            at=inequality.at,
            drop=inequality.limit * unit,
            margin=inequality.margin * unit,
            relative=relative,
            level=rule.level,
        )
        return replace(found, enough=enough)

    def of_value(
        self, rule: Rule, subject: RuleSubject, inequality: Inequality, *, value: float
    ) -> Interval | NoInterval:
        """Return the interval of the candidate's number itself, or why there is none."""
        draws = self._alone(rule)
        if isinstance(draws, NoInterval):
            return draws
        key = _key(rule, subject)
        unusable = _unusable(draws, rule, key, stated=(value,))
        if unusable is not None:
            return unusable
        return _interval(draws, rule, key, inequality, draws.values(rule.metric, key), alone=True)

    def of_mean_change(
        self, rule: Rule, subjects: Sequence[RuleSubject], inequality: Inequality
    ) -> Interval | None:
        """Return the interval of the mean change over subjects, on the axis of the bound; None where there is none."""
        draws = self._pair(rule)
        if isinstance(draws, NoInterval):
            return None
        from airflow_provider_nucleus.gating.resampling import mean_change

        keys = [_key(rule, subject) for subject in subjects]
        if not all(draws.knows(key) for key in keys):
            return None
        found = mean_change(
            draws,
            rule.metric,
            keys,
            relative=inequality.bound == "max_relative_drop",
            level=rule.level,
        )
        if found is None:
            return None
        low, high, deviation = found
        return Interval(low, high, rule.level, draws.method, worse=_worse(inequality, deviation))

    def prepare(self, rule: Rule, subjects: Sequence[RuleSubject], *, alone: bool) -> None:
        """Resample at once what a rule will ask for: changes, or the candidate *alone*."""
        draws = self._alone(rule) if alone else self._pair(rule)
        if not isinstance(draws, NoInterval):
            draws.prepare(_key(rule, subject) for subject in subjects)

    def _pair(self, rule: Rule) -> PairedDraws | NoInterval:
        reason = _not_resampled(rule)
        if reason is not None:
            return reason
        if rule.against not in self._draws:
            with _contradictions():
                self._draws[rule.against] = self._paired(self._sides.against(rule.against), rule)
        return self._draws[rule.against]

    def _paired(self, baseline: Measurement | None, rule: Rule) -> PairedDraws | NoInterval:
        candidate = self._sides.candidate
        for side, name in ((candidate, "candidate"), (baseline, rule.against)):
            if side is None or side.matches is None:
                return NoInterval(f"the {name} is without the rows of its match")
        assert candidate.matches is not None
        assert baseline is not None
        assert baseline.matches is not None
        if candidate.iou_threshold != baseline.iou_threshold:
            return NoInterval("the two were counted at different overlaps")
        different = same_ground_truth(candidate.matches, baseline.matches)
        if different is not None:
            # What the fingerprints do not say the rows prove.
            return NoInterval(different, decides=False)
        different = _different_items(candidate.matches, baseline.matches, name=rule.against)
        if different is not None:
            return NoInterval(different)
        return _drawn(candidate, baseline, self._policy, what=rule)

    def _alone(self, rule: Rule) -> PairedDraws | NoInterval:
        reason = _not_resampled(rule)
        if reason is not None:
            return reason
        if "" not in self._draws:
            candidate = self._sides.candidate
            with _contradictions():
                self._draws[""] = (
                    NoInterval("the candidate is without the rows of its match")
                    if candidate.matches is None
                    else _drawn(candidate, None, self._policy, what=rule)
                )
        return self._draws[""]


def _not_resampled(rule: Rule) -> NoInterval | None:
    if rule.scope in {"profile", "supplied"}:
        return NoInterval(f"numbers of the scope {rule.scope} have none")
    if rule.metric not in {"precision", "recall", "f1", "mean_iou", "tp", "fp", "fn"}:
        return NoInterval(f"{rule.metric} cannot be counted from the rows of a match, and none was given")
    return None


def _drawn(
    candidate: Measurement, baseline: Measurement | None, policy: Policy, *, what: Rule
) -> PairedDraws | NoInterval:
    try:
        from airflow_provider_nucleus.gating.resampling import PairedDraws
    except ImportError as error:
        raise NucleusConfigError(
            f"intervals of rule {what.id} need NumPy, which is not installed", hint=_NUMPY_HINT
        ) from error
    return PairedDraws(candidate, baseline, replicates=policy.replicates, seed=policy.seed)


@contextmanager
def _contradictions() -> Generator[None]:
    """Turn what rows of a match cannot be into an error that says so."""
    try:
        yield
    except (IndexError, ValueError, KeyError) as error:
        raise NucleusConfigError(
            f"the rows of the match contradict themselves: {error}",
            hint="Measure again; columns are of one length, and their places lie in `items` and `labels`.",
        ) from error


def _different_items(first: MatchColumns, second: MatchColumns, *, name: str) -> str | None:
    one, other = set(first.items), set(second.items)
    if len(one) != len(first.items) or len(other) != len(second.items):
        return "an item is listed twice"
    if one != other:
        return f"{len(one - other):,} items were measured for the candidate only, {len(other - one):,} for the {name} only"
    return None


def _from_outside(
    rule: Rule, inequality: Inequality, given: Interval, *, baseline: float
) -> Interval | NoInterval:
    if given.level < rule.level - 1e-9:
        return NoInterval(
            f"the interval given has a level of {given.level:g}, the rule asks for {rule.level:g}",
            decides=False,
        )
    width = abs(baseline) if inequality.bound == "max_relative_drop" else 1.0
    low, high = given.low / width, given.high / width
    deviation = (high - low) / 2 / NormalDist().inv_cdf((1 + given.level) / 2)
    return Interval(
        low,
        high,
        given.level,
        given.method,
        worse=_worse(inequality, deviation),
        fallen=_worse(replace(inequality, at=0.0), deviation),
    )


def _worse(inequality: Inequality, deviation: float) -> float:
    """Return the level at which a normal number of this deviation speaks against its bound."""
    if deviation > 0:
        return NormalDist().cdf(inequality.margin / deviation)
    return 0.0 if inequality.margin < 0 else 1.0


def _key(rule: Rule, subject: RuleSubject) -> GroupKey:
    if rule.scope == "per_label":
        return ("label", subject.label or "", "")
    if rule.scope == "per_slice":
        return ("slice", rule.slice_key or "", subject.slice_value or "")
    return ("overall", "", "")


def _unusable(
    draws: PairedDraws, rule: Rule, key: GroupKey, *, stated: tuple[float, ...]
) -> NoInterval | None:
    """Return why no interval can be taken from the rows for a number, or why none should be."""
    if not draws.knows(key):
        return NoInterval("the rows of the match do not say which items those are")
    for side, number in enumerate(stated):
        counted = draws.value(rule.metric, key, side=side)
        if counted is None or abs(counted - number) > 1e-6 * max(1.0, abs(number)):
            name = "candidate" if side == 0 else rule.against
            return NoInterval(f"the rows of the {name} give {counted}, the measurement says {number}")
    items = draws.items_behind(rule.metric, key)
    if items < rule.min_items:
        return NoInterval(
            f"it rests on {items} items, an interval is taken from {rule.min_items} or more", decides=False
        )
    return None


def _interval(
    draws: PairedDraws,
    rule: Rule,
    key: GroupKey,
    inequality: Inequality,
    drawn: FloatArray,
    *,
    alone: bool = False,
) -> Interval | NoInterval:
    from airflow_provider_nucleus.gating.resampling import percentiles

    ends = percentiles(drawn, level=rule.level)
    if ends is None:
        return NoInterval("it is not defined in most of the draws", decides=False)
    above = inequality.passes == "above"
    worse = draws.tail(
        rule.metric,
        key,
        at=inequality.at,
        relative=inequality.bound == "max_relative_drop",
        alone=alone,
        above=above,
    )
    fallen = None if alone else draws.tail(rule.metric, key, at=0.0, relative=False, alone=False, above=above)
    return Interval(*ends, rule.level, draws.method, worse=worse, fallen=fallen)
