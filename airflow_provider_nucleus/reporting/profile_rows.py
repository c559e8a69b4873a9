"""Profile of the predictions and its drift, as a page shows them: facts, the histogram of confidences, one row for each property."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from airflow_provider_nucleus.number_texts import count_text, decimals_apart, number_text, short_text
from airflow_provider_nucleus.reporting.charts import Bar, step_chart
from airflow_provider_nucleus.reporting.texts import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.reporting.extras import DriftRow

__all__ = ["DriftFigure", "ProfileFigures", "drift_figures", "profile_figures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFigure:
    """One property of the profile against the reference."""

    name: str
    value: str
    reference: str
    effect: str
    limit: str
    status: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFigures:
    """Facts of a batch that are known without ground truth."""

    facts: tuple[tuple[str, str, str], ...]
    """Name, this batch, reference."""
    confidences: Markup
    has_reference: bool


def profile_figures(
    profile: Mapping[str, Any] | None, reference: Mapping[str, Any] | None
) -> ProfileFigures | None:
    """Return the profile for the page; members it does not know are in `metrics.json`. None without a profile."""
    if not profile:
        return None
    other = reference or {}
    facts = [
        (name, _count(profile, member), _count(other, member))
        for name, member in (
            ("Items", "items"),
            ("Items with predictions", "items_with_predictions"),
            ("Predictions", "objects"),
            ("Predictions without confidence", "without_confidence"),
            ("Left out below a cut", "left_out"),
        )
        if member in profile
    ]
    if "least_confidence" in profile:
        least, before = (number_text(_number(each, "least_confidence")) for each in (profile, other))
        facts.append(("Least confidence", least, before))
    return ProfileFigures(
        facts=tuple(facts), confidences=_confidences(profile, other), has_reference=bool(other)
    )


def _number(profile: Mapping[str, Any], member: str) -> float | None:
    value = profile.get(member)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(profile: Mapping[str, Any], member: str) -> str:
    value = _number(profile, member)
    return count_text(None if value is None else int(value))


def _shares(profile: Mapping[str, Any]) -> list[float] | None:
    bins = profile.get("confidence")
    if not isinstance(bins, list) or not all(isinstance(count, int) for count in bins) or not sum(bins):
        return None
    return [count / sum(bins) for count in bins]


def _confidences(profile: Mapping[str, Any], reference: Mapping[str, Any]) -> Markup:
    shares, others = _shares(profile), _shares(reference)
    if shares is None:
        return Markup()
    if others is not None and len(others) != len(shares):
        others = None
    bars = [
        Bar(
            "0" if place == 0 else "1" if place == len(shares) - 1 else "",
            share,
            None if others is None else others[place],
        )
        for place, share in enumerate(shares)
    ]
    return step_chart(
        bars,
        alternative="Histogram of the confidences from 0 to 1; the counts of its bins are in metrics.json",
    )


def drift_figures(rows: Sequence[DriftRow]) -> list[DriftFigure]:
    """Return drift for the page, what drifted first and the largest effect first."""
    ordered = sorted(rows, key=lambda row: (not row.drifted, -(row.effect or 0.0)))
    return [_figure(row) for row in ordered]


def _figure(row: DriftRow) -> DriftFigure:
    decimals = max(
        decimals_apart([row.effect, row.limit], row.name), decimals_apart([row.value, row.reference])
    )
    return DriftFigure(
        name=shortened(row.name),
        value=number_text(row.value, row.name, decimals=decimals),
        reference=number_text(row.reference, row.name, decimals=decimals),
        effect=number_text(row.effect, row.name, decimals=decimals),
        limit=short_text(row.limit),
        status={True: "drifted", False: "as before", None: "not decided"}[row.drifted],
        sentence=shortened(row.text, 300),
    )
