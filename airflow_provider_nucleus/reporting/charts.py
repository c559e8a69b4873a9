"""Charts as SVG: pure functions, data in, mark-up out.

Every property is a presentation attribute, since policies that forbid inline style leave those alone; colours follow the reader's
scheme (`light-dark`), and what does not know that draws in the colour of the text. A chart has a text alternative with its numbers,
and a second signal beside every colour: a shape, a dash, a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Bar",
    "ChartPoint",
    "bound_chart",
    "bounds_scale",
    "difference_bar",
    "pair_bars",
    "share_bar",
    "status_icon",
    "step_chart",
    "trend_chart",
]

GOOD: Final = "light-dark(#1d7a4c, #4fbd86)"
BAD: Final = "light-dark(#b3261e, #f28b82)"
CANDIDATE: Final = "light-dark(#0b57a4, #7db8f5)"
BASELINE: Final = "light-dark(#5c6670, #9aa5af)"
DOUBT: Final = "light-dark(#8a5a00, #e9b44c)"
_CHAR: Final = 7.2
"""Width of a character of that font, in pixels, for placing text."""


class ChartPoint(NamedTuple):
    """One batch of a trend."""

    name: str
    value: float | None
    text: str
    low: float | None = None
    high: float | None = None
    status: str | None = None
    new_model: bool = False
    here: bool = False


class Bar(NamedTuple):
    """One class of a histogram: the share of either side, 0 to 1."""

    name: str
    share: float
    reference: float | None = None


class _Scale(NamedTuple):
    """Places on an axis: *low* at *left*, *high* at *right*."""

    low: float
    high: float
    left: float
    right: float

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.left + share * (self.right - self.left)


def bounds_scale(values: Sequence[float | None], *, left: float, right: float) -> _Scale:
    """Return an axis that holds the values, with a margin on both sides."""
    found = [value for value in values if value is not None] or [0.0]
    low, high = min(found), max(found)
    margin = 0.12 * (high - low) or max(abs(high) * 0.1, 0.01)
    return _Scale(low - margin, high + margin, left, right)


def _svg(width: int, height: int, alternative: str, *content: Markup) -> Markup:
    """Return a drawing; one without an alternative adds nothing to the numbers beside it, and is not read out."""
    named = (
        Markup('role="img" aria-label="{}"').format(alternative)
        if alternative
        else Markup('aria-hidden="true"')
    )
    return Markup(
        '<svg {} width="{}" height="{}" viewBox="0 0 {} {}" fill="currentColor" '
        'font-family="system-ui, sans-serif" font-size="11">{}</svg>'
    ).format(named, width, height, width, height, Markup("").join(content))


def _line(
    x1: float, y1: float, x2: float, y2: float, *, thick: float = 1, dash: str = "none", opacity: float = 1
) -> Markup:
    return Markup(
        '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="currentColor" stroke-width="{:g}" '
        'stroke-dasharray="{}" stroke-opacity="{:g}"/>'
    ).format(x1, y1, x2, y2, thick, dash, opacity)


def _text(x: float, y: float, text: str, *, width: float, anchor: str = "middle") -> Markup:
    """Return a text near *x* that stays inside a drawing of the given width."""
    half = len(text) * _CHAR / 2
    if anchor == "middle" and x - half < 0:
        x, anchor = 0, "start"
    elif anchor == "middle" and x + half > width:
        x, anchor = width, "end"
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def bound_chart(
    value: float | None,
    *,
    value_text: str,
    alternative: str,
    bound_at: float | None,
    bound_text: str,
    passes: Literal["above", "below"] = "above",
    low: float | None = None,
    high: float | None = None,
    zero: bool = False,
    status: str = "",
) -> Markup:
    """Return a number with its interval on an axis, and the side of the bound on which it passes as a shaded band.

    `zero` marks "no difference". The dot is filled on a pass, else a cross; what cannot be placed is not drawn.
    """
    width, height, axis = 300, 54, 25
    scale = bounds_scale([value, low, high, bound_at, 0.0 if zero else None], left=4, right=width - 4)
    parts: list[Markup] = [_line(4, axis, width - 4, axis, opacity=0.35)]
    if bound_at is not None:
        x = scale(bound_at)
        start, end = (x, width - 4) if passes == "above" else (4, x)
        parts.insert(
            0,
            Markup(
                '<rect x="{:.1f}" y="{}" width="{:.1f}" height="20" fill="{}" fill-opacity="0.22"/>'
            ).format(start, axis - 10, max(end - start, 0), GOOD),
        )
        parts += [
            _line(x, axis - 12, x, axis + 12, thick=1.5, dash="3 2"),
            _text(x, 50, bound_text, width=width),
        ]
    if zero and (bound_at is None or abs(scale(0.0) - scale(bound_at)) > (len(bound_text) + 2) * _CHAR):
        parts.extend((
            _line(scale(0.0), axis - 6, scale(0.0), axis + 6),
            _text(scale(0.0), 50, "0", width=width),
        ))
    if low is not None and high is not None:
        left, right = scale(low), scale(high)
        parts.append(_line(left, axis, right, axis, thick=3))
        parts.extend(_line(x, axis - 5, x, axis + 5, thick=1.5) for x in (left, right))
    if value is not None:
        parts.extend((
            _mark(scale(value), axis, "pass" if status == "pass" else "fail"),
            _text(scale(value), 10, value_text, width=width),
        ))
    return _svg(width, height, alternative, *parts)


def _mark(x: float, y: float, status: str | None, *, size: float = 4.5) -> Markup:
    """Return a filled dot for what passed, a cross for what did not, a ring where nothing was decided."""
    if status == "pass":
        return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}"/>').format(x, y, size, GOOD)
    if status == "fail":
        return Markup(
            '<path d="M{0:.1f} {1:.1f}l{2} {2}m0 -{2}l-{2} {2}" fill="none" stroke="{3}" stroke-width="2.5"/>'
        ).format(x - size, y - size, 2 * size, BAD)
    return Markup(
        '<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="Canvas" stroke="currentColor" stroke-width="1.5"/>'
    ).format(x, y, size)


def pair_bars(candidate: float | None, baseline: float | None, *, alternative: str) -> Markup:
    """Return two bars of rates, 0 to 1: the candidate's filled, the baseline's an outline below it."""
    width = 80
    parts = [_line(0.5, 0, 0.5, 18, opacity=0.5)]
    if candidate is not None:
        parts.append(
            Markup('<rect y="2" width="{:.1f}" height="7" fill="{}"/>').format(
                width * min(max(candidate, 0.0), 1.0), CANDIDATE
            )
        )
    if baseline is not None:
        parts.append(
            Markup(
                '<rect x="0.5" y="11.5" width="{:.1f}" height="5" fill="none" stroke="{}" stroke-dasharray="3 1"/>'
            ).format(max(width * min(max(baseline, 0.0), 1.0) - 1, 0), BASELINE)
        )
    return _svg(width, 18, alternative, *parts)


def difference_bar(difference: float | None, *, most: float, alternative: str) -> Markup:
    """Return a bar from the middle to the side of the difference; *most* fills a half."""
    width, half = 40, 19
    parts = [_line(width / 2, 0, width / 2, 10, opacity=0.6)]
    if difference and most > 0:
        length = max(half * min(abs(difference) / most, 1.0), 1.0)
        start = width / 2 if difference > 0 else width / 2 - length
        parts.append(
            Markup('<rect x="{:.1f}" y="2" width="{:.1f}" height="6" fill="{}"/>').format(
                start, length, GOOD if difference > 0 else BAD
            )
        )
    return _svg(width, 10, alternative, *parts)


def share_bar(share: float | None, *, alternative: str) -> Markup:
    """Return one bar of a share, 0 to 1, in a frame that stands for all."""
    width = 160
    parts = [
        Markup(
            '<rect x="0.5" y="0.5" width="{}" height="9" fill="none" stroke="currentColor" stroke-opacity="0.5"/>'
        ).format(width - 1)
    ]
    if share is not None:
        parts.append(
            Markup('<rect y="0" width="{:.1f}" height="10" fill="{}"/>').format(
                width * min(max(share, 0.0), 1.0), CANDIDATE
            )
        )
    return _svg(width, 10, alternative, *parts)


def step_chart(bars: Sequence[Bar], *, alternative: str) -> Markup:
    """Return a histogram: the candidate's shares filled, the reference's as a dashed outline over them."""
    width, height, floor = 300, 96, 78
    top = max((max(bar.share, bar.reference or 0.0) for bar in bars), default=0.0) or 1.0
    step = (width - 2) / max(len(bars), 1)

    def level(share: float) -> float:
        return floor - share / top * (floor - 6)

    parts = [
        Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>').format(
            1 + number * step + 0.5, level(bar.share), max(step - 1, 0.5), floor - level(bar.share), CANDIDATE
        )
        for number, bar in enumerate(bars)
    ]
    if any(bar.reference is not None for bar in bars):
        path = "".join(
            f"{'M' if number == 0 else 'L'}{1 + number * step:.1f} {level(bar.reference or 0.0):.1f}H{1 + (number + 1) * step:.1f}"
            for number, bar in enumerate(bars)
        )
        parts.append(
            Markup(
                '<path d="{}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="4 2"/>'
            ).format(path)
        )
    parts.append(_line(0, floor, width, floor))
    if bars:
        parts.extend((
            _text(0, 92, bars[0].name, width=width, anchor="start"),
            _text(width, 92, bars[-1].name, width=width, anchor="end"),
        ))
    return _svg(width, height, alternative, *parts)


def trend_chart(points: Sequence[ChartPoint], *, alternative: str) -> Markup:
    """Return a number over batches: intervals as bars, batches that did not pass as crosses, a change of model as a dashed line.

    The last number stands beside its mark; batches without a number leave a gap.
    """
    width, height, floor = 320, 132, 108
    known = [point for point in points if point.value is not None]
    if not known:
        return Markup("")
    right = width - max(len(known[-1].text), 4) * _CHAR - 10
    low = min(min(point.value or 0.0, *(v for v in (point.low,) if v is not None)) if point.low is not None else point.value or 0.0 for point in known)  # fmt: skip
    high = max(point.high if point.high is not None else point.value or 0.0 for point in known)
    margin = 0.12 * (high - low) or max(abs(high) * 0.1, 0.01)
    across = _Scale(0, max(len(points) - 1, 1), 12, right)
    upward = _Scale(low - margin, high + margin, floor, 8)
    parts = [_line(0, floor, width, floor, opacity=0.5)]
    path, pen = "", "M"
    for place, point in enumerate(points):
        x = across(place)
        if point.new_model:
            parts.append(_line(x, 4, x, floor, opacity=0.6, dash="2 3"))
        if point.value is None:
            pen = "M"
            continue
        path, pen = f"{path}{pen}{x:.1f} {upward(point.value):.1f}", "L"
        if point.low is not None and point.high is not None:
            parts.append(_line(x, upward(point.low), x, upward(point.high), thick=2, opacity=0.5))
    parts.append(Markup('<path d="{}" fill="none" stroke="{}" stroke-width="1.5"/>').format(path, CANDIDATE))
    parts.extend(
        _mark(across(place), upward(point.value), point.status if point.status in {"pass", "fail"} else None)
        for place, point in enumerate(points)
        if point.value is not None
    )
    last = max(place for place, point in enumerate(points) if point.value is not None)
    parts.append(
        _text(
            across(last) + 9,
            upward(points[last].value or 0.0) + 4,
            points[last].text,
            width=width,
            anchor="start",
        )
    )
    names = [points[0].name, points[-1].name]
    parts.append(_text(0, 124, names[0], width=width, anchor="start"))
    if len(points) > 1:
        parts.append(_text(width, 124, names[1], width=width, anchor="end"))
    return _svg(width, height, alternative, *parts)


def status_icon(status: str, *, size: int = 14) -> Markup:
    """Return the sign of a status; its word must stand beside it."""
    half = size / 2
    if status == "pass":
        drawn = Markup(
            '<circle cx="{0}" cy="{0}" r="{1:.1f}" fill="{2}"/><path d="M{3:.1f} {0:.1f}l{4:.1f} {4:.1f}l{5:.1f} -{5:.1f}" '
            'fill="none" stroke="Canvas" stroke-width="{6:.1f}"/>'
        ).format(half, half - 0.5, GOOD, size * 0.27, size * 0.17, size * 0.3, size / 8)
    elif status == "fail":
        drawn = Markup(
            '<rect x="0.5" y="0.5" width="{0}" height="{0}" rx="2" fill="{1}"/><path d="M{2:.1f} {2:.1f}L{3:.1f} {3:.1f}M{3:.1f} {2:.1f}'
            'L{2:.1f} {3:.1f}" stroke="Canvas" stroke-width="{4:.1f}"/>'
        ).format(size - 1, BAD, size * 0.28, size * 0.72, size / 7)
    else:
        drawn = Markup(
            '<path d="M{0} 1L{1:.1f} {1:.1f}H1Z" fill="none" stroke="{2}" stroke-width="{3:.1f}" stroke-linejoin="round"/>'
            '<path d="M{0} {4:.1f}V{5:.1f}M{0} {6:.1f}V{7:.1f}" stroke="currentColor" stroke-width="{3:.1f}"/>'
        ).format(
            half,
            size - 1.5,
            DOUBT,
            max(size / 10, 1.3),
            size * 0.38,
            size * 0.64,
            size * 0.72,
            size * 0.82,
        )
    return Markup(
        '<svg width="{0}" height="{0}" viewBox="0 0 {0} {0}" fill="currentColor" aria-hidden="true">{1}</svg>'
    ).format(size, drawn)
