"""Numbers of both models side by side: overall, of every label, of every slice of the metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from airflow_provider_nucleus.number_texts import (
    COUNTS,
    MISSING,
    count_text,
    decimals_apart,
    number_text,
    signed_text,
)
from airflow_provider_nucleus.reporting.charts import difference_bar, pair_bars
from airflow_provider_nucleus.reporting.limits import PageLimits, first_rows
from airflow_provider_nucleus.reporting.rule_rows import metric_title
from airflow_provider_nucleus.reporting.texts import is_cut, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_nucleus.gating.measurement import Measurement, Numbers
    from airflow_provider_nucleus.reporting.extras import Omission

__all__ = [
    "GroupRow",
    "GroupTable",
    "NumberRow",
    "cut_labels",
    "headline",
    "headline_rows",
    "label_table",
    "slice_tables",
    "supplied_rows",
]

_ORDER: Final = (
    "ap", "ap50", "ap75", "f1", "precision", "recall", "mean_iou", "tp", "fp", "fn", "ap_small", "ap_medium", "ap_large",
)  # fmt: skip
_COLUMNS: Final = 3
"""Numbers of a label on the page; more do not fit the narrowest screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRow:
    """One number of both models."""

    name: str
    candidate: str
    baseline: str
    difference: str
    bars: Markup
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """The numbers of one label or slice: per column those of the candidate and of the baseline."""

    name: str
    support: str
    pairs: tuple[tuple[str, str], ...]
    difference: str
    bar: Markup
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """Rows of labels or slices. `of` is what a row is, `change` the number whose difference is drawn."""

    title: str
    of: str
    columns: tuple[str, ...]
    change: str
    rows: tuple[GroupRow, ...]
    total: int


def _ordered(names: Iterable[str]) -> list[str]:
    found = set(names)
    return [name for name in _ORDER if name in found] + sorted(found.difference(_ORDER))


def headline(measurement: Measurement) -> str:
    """Return the name of the first of a measurement's numbers in the usual order, `f1` when it has none."""
    return next(iter(_ordered(measurement.overall.values)), "f1")


def _difference(candidate: float | None, baseline: float | None) -> float | None:
    return None if candidate is None or baseline is None else candidate - baseline


def headline_rows(candidate: Numbers, baseline: Numbers | None) -> list[NumberRow]:
    """Return every overall number of either model."""
    other = baseline.values if baseline else {}
    return [
        _number_row(
            name,
            candidate.values.get(name),
            other.get(name),
            reason=candidate.undefined.get(name, "")
            or ("" if name in candidate.values else "not computed for the candidate"),
        )
        for name in _ordered([*candidate.values, *other])
    ]


def supplied_rows(candidate: Mapping[str, float], baseline: Mapping[str, float] | None) -> list[NumberRow]:
    """Return the numbers that the user supplied."""
    return [
        _number_row(name, candidate.get(name), (baseline or {}).get(name), reason="")
        for name in sorted({*candidate, *(baseline or {})})
    ]


def _number_row(name: str, candidate: float | None, baseline: float | None, *, reason: str) -> NumberRow:
    difference = _difference(candidate, baseline)
    decimals = decimals_apart([candidate, baseline])
    texts = [number_text(value, name, decimals=decimals) for value in (candidate, baseline)]
    rate = all(value is None or 0 <= value <= 1 for value in (candidate, baseline)) and name not in COUNTS
    return NumberRow(
        name=metric_title(name),
        candidate=texts[0],
        baseline=texts[1],
        difference=signed_text(difference, name, decimals=decimals) if difference is not None else MISSING,
        bars=pair_bars(
            candidate,
            baseline,
            alternative=f"{metric_title(name)}: candidate {texts[0]}, baseline {texts[1]}",
        )
        if rate
        else Markup(),
        reason=shortened(reason, 200),
    )


def label_table(
    candidate: Measurement, baseline: Measurement | None, limits: PageLimits, left_out: list[Omission]
) -> GroupTable | None:
    """Return the labels, the largest losses first; None when there is none."""
    other = baseline.per_label if baseline else {}
    return _group_table(
        "Labels",
        "label",
        candidate.per_label,
        other,
        with_baseline=baseline is not None,
        most=limits.labels,
        left_out=left_out,
    )


def slice_tables(
    candidate: Measurement, baseline: Measurement | None, limits: PageLimits, left_out: list[Omission]
) -> list[GroupTable]:
    """Return one table for each key of the items' metadata."""
    found = [
        _group_table(
            f"Items by {shortened(key)}",
            "value",
            values,
            (baseline.slices.get(key, {}) if baseline else {}),
            with_baseline=baseline is not None,
            most=limits.slices,
            left_out=left_out,
        )
        for key, values in candidate.slices.items()
    ]
    return [table for table in found if table is not None]


def cut_labels(measurements: Iterable[Measurement | None]) -> int:
    """Return how many names of labels and slices are longer than what a page writes."""
    names = {
        name
        for measurement in measurements
        if measurement
        for group in (measurement.per_label, *measurement.slices.values())
        for name in group
    }
    return sum(is_cut(name) for name in names)


def _group_table(
    title: str,
    of: str,
    candidate: Mapping[str, Numbers],
    baseline: Mapping[str, Numbers],
    *,
    with_baseline: bool,
    most: int,
    left_out: list[Omission],
) -> GroupTable | None:
    names = list(dict.fromkeys([*candidate, *baseline]))
    if not names:
        return None
    metrics = _columns([*candidate.values(), *baseline.values()])
    first = metrics[0] if metrics else ""
    changes = {name: _difference(*_values(candidate, baseline, name, first)) for name in names}
    biggest = max((abs(change) for change in changes.values() if change is not None), default=0.0)
    names.sort(key=lambda name: _rank(name, changes, candidate, with_baseline=with_baseline))
    rows = [
        _group_row(
            name,
            candidate.get(name),
            baseline.get(name),
            metrics,
            change=changes[name],
            most=biggest,
            with_baseline=with_baseline,
        )
        for name in first_rows(names, most, f"rows of the table “{title}”", left_out)
    ]
    return GroupTable(
        title=title,
        of=of,
        columns=tuple(metric_title(name) for name in metrics),
        change=metric_title(first) if with_baseline else "",
        rows=tuple(rows),
        total=len(names),
    )


def _columns(numbers: Sequence[Numbers]) -> list[str]:
    """Return the numbers a table shows: the first in the usual order, rates before counts."""
    names = _ordered({name for each in numbers for name in each.values})
    leading = [name for name in names if name in {"ap", "f1"}][:1]
    rates = [name for name in ("precision", "recall", *names) if name in names and name not in leading]
    return list(dict.fromkeys([*leading, *rates]))[:_COLUMNS]


def _values(
    candidate: Mapping[str, Numbers], baseline: Mapping[str, Numbers], name: str, metric: str
) -> tuple[float | None, float | None]:
    return tuple(side[name].values.get(metric) if name in side else None for side in (candidate, baseline))  # type: ignore[return-value]


def _rank(
    name: str, changes: Mapping[str, float | None], candidate: Mapping[str, Numbers], *, with_baseline: bool
) -> tuple[float, ...]:
    """Return the place of a row: what one side does not have, then the losses, then the gains; alone by support."""
    support = candidate[name].ground_truth or 0 if name in candidate else 0
    if not with_baseline:
        return (0.0, 0.0, -support)
    change = changes[name]
    return (0.0 if name not in candidate else 1.0, float("inf") if change is None else change, -support)


def _group_row(
    name: str,
    candidate: Numbers | None,
    baseline: Numbers | None,
    metrics: Sequence[str],
    *,
    change: float | None,
    most: float,
    with_baseline: bool,
) -> GroupRow:
    pairs = []
    for metric in metrics:
        values = [None if side is None else side.values.get(metric) for side in (candidate, baseline)]
        decimals = decimals_apart(values)
        pairs.append((
            number_text(values[0], metric, decimals=decimals),
            number_text(values[1], metric, decimals=decimals),
        ))
    supports = [None if side is None else side.ground_truth for side in (candidate, baseline)]
    remark = ""
    if candidate is None:
        remark = "not in the candidate's numbers"
    elif with_baseline and baseline is None:
        remark = "not in the baseline's numbers"
    return GroupRow(
        name=shortened(name),
        support=count_text(next((support for support in supports if support is not None), None)),
        pairs=tuple(pairs),
        difference=MISSING
        if change is None
        else signed_text(change, metrics[0], decimals=_apart(candidate, baseline, metrics[0])),
        bar=difference_bar(change, most=most, alternative="") if with_baseline else Markup(),
        remark=remark,
    )


def _apart(candidate: Numbers | None, baseline: Numbers | None, metric: str) -> int:
    return decimals_apart([side.values.get(metric) for side in (candidate, baseline) if side])
