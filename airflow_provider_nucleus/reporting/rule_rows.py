"""Rules of a verdict as a page shows them: the worst first, each with its numbers, its chart and its sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from markupsafe import Markup

from airflow_provider_nucleus.number_texts import (
    count_text,
    decimals_apart,
    number_text,
    percent_text,
    share_text,
    short_text,
    signed_text,
)
from airflow_provider_nucleus.reporting.charts import bound_chart, status_icon
from airflow_provider_nucleus.reporting.texts import shortened

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.verdict import RuleResult

__all__ = ["RuleFact", "RuleRow", "bound_place", "metric_title", "rule_row"]

_CHANGES: Final = frozenset({"max_drop", "max_relative_drop", "min_gain"})
_BOUNDS: Final = {
    "min": "at least {}",
    "max": "at most {}",
    "max_drop": "drop at most {}",
    "max_relative_drop": "relative drop at most {}",
    "min_gain": "gain at least {}",
    "window": "at most {} deviations from the last batches",
}
_TITLES: Final = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "AP small",
    "ap_medium": "AP medium",
    "ap_large": "AP large",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "mean_iou": "Mean IoU",
    "tp": "True positives",
    "fp": "False positives",
    "fn": "False negatives",
    "mislabelled": "Mislabelled",
}


def metric_title(name: str) -> str:
    """Return the name of a number for people; a name of the user's own stays as it is."""
    return _TITLES.get(name, shortened(name))


class RuleFact(NamedTuple):
    """A number of a result by its name; `more` says how it was had."""

    name: str
    value: str
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """One result: `facts` are its numbers with their names, in the order of a sentence."""

    status: str
    icon: Markup
    rule: str
    metric: str
    subject: str
    bound: str
    value: str
    baseline: str
    difference: str
    interval: str
    support: str
    facts: tuple[RuleFact, ...]
    sentence: str
    chart: Markup


def rule_row(result: RuleResult, *, with_chart: bool) -> RuleRow:
    """Return a result for the page, its numbers with as many decimals as tell them from their bound."""
    text = _Spelling(result)
    facts = [RuleFact(metric_title(result.metric), text.value), RuleFact("bound", text.bound)]
    if result.baseline is not None:
        facts.append(RuleFact("baseline", text.baseline))
    if result.difference is not None:
        facts.append(RuleFact("relative change" if text.relative else "change", text.difference))
    if text.interval:
        level = "" if result.level is None else f"{share_text(result.level)} "
        method = f" ({shortened(result.method)})" if result.method else ""
        facts.append(RuleFact(f"{level}interval", text.interval, method))
    elif result.bound in _CHANGES and result.difference is not None:
        facts.append(RuleFact("interval", "none", " (the plain comparison)"))
    if result.support is not None:
        facts.append(RuleFact("support", count_text(result.support), " objects"))
    if not result.counted:
        facts.append(RuleFact("counts", "no", " (too rare or uncertain alone)"))
    return RuleRow(
        status=result.status,
        icon=status_icon(result.status),
        rule=shortened(result.rule_id),
        metric=metric_title(result.metric),
        subject=shortened(result.subject),
        bound=text.bound,
        value=text.value,
        baseline=text.baseline,
        difference=text.difference,
        interval=text.interval,
        support=count_text(result.support),
        facts=tuple(facts),
        sentence=shortened(result.text, 600),
        chart=_chart(result, text) if with_chart else Markup(),
    )


class _Spelling:
    """The numbers of one result as texts that agree with each other."""

    def __init__(self, result: RuleResult) -> None:
        self.relative = result.bound == "max_relative_drop"
        self.change = result.bound in _CHANGES
        self._name = result.metric
        axis = [measured_number(result), bound_place(result), result.low, result.high]
        self._decimals = max(
            decimals_apart([result.value, result.baseline], result.metric),
            *([] if self.relative else [decimals_apart(axis, result.metric)]),
            3,
        )
        self._percents = next((some for some in (1, 2, 3) if _apart(axis, some)), 4)
        self.value = number_text(result.value, self._name, decimals=self._decimals)
        self.baseline = number_text(result.baseline, self._name, decimals=self._decimals)
        self.difference = (
            percent_text(result.difference, decimals=self._percents)
            if self.relative
            else signed_text(result.difference, self._name, decimals=self._decimals)
        )
        limit = share_text(result.limit) if self.relative else short_text(result.limit)
        self.bound = _BOUNDS.get(result.bound, "{}").format(limit)
        self.interval = (
            ""
            if result.low is None or result.high is None
            else f"{self.on_axis(result.low)} to {self.on_axis(result.high)}"
        )

    def on_axis(self, value: float | None) -> str:
        """Return a number on the axis of the bound."""
        if self.relative:
            return percent_text(value, decimals=self._percents)
        return (signed_text if self.change else number_text)(value, self._name, decimals=self._decimals)


def _apart(values: list[float | None], decimals: int) -> bool:
    different = {value for value in values if value is not None}
    return len({percent_text(value, decimals=decimals) for value in different}) == len(different)


def measured_number(result: RuleResult) -> float | None:
    """Return what the bound is held against: the change for bounds on changes, else the number itself."""
    return result.difference if result.bound in _CHANGES else result.value


def bound_place(result: RuleResult) -> float | None:
    """Return where the bound lies on the axis of what it is held against; None where that is not known.

    A drop lies below no difference, unless the result says otherwise.
    """
    if result.bound_at is not None or result.limit is None:
        return result.bound_at
    match result.bound:
        case "min" | "max" | "min_gain":
            return result.limit
        case "max_drop" | "max_relative_drop":
            return -result.limit
        case _:
            return None


def _chart(result: RuleResult, text: _Spelling) -> Markup:
    measured, at = measured_number(result), bound_place(result)
    if measured is None:
        return Markup()
    passes: Literal["above", "below"] = result.passes or ("below" if result.bound == "max" else "above")
    here, bound = text.on_axis(measured), f"bound {text.on_axis(at)}"
    interval = f", interval {text.interval}" if text.interval else ""
    return bound_chart(
        measured,
        value_text=here,
        alternative=f"{metric_title(result.metric)} {'change ' if text.change else ''}{here}{interval}, {bound}, passes {passes}",
        bound_at=at,
        bound_text=bound,
        passes=passes,
        low=result.low,
        high=result.high,
        zero=text.change,
        status=result.status,
    )
