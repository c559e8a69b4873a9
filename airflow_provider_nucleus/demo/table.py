"""The comparison of models as aligned plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_nucleus.number_texts import column_text

__all__ = ["MOST_CLASSES", "Metrics", "batch_table", "comparison"]

Metrics = Mapping[str, Any]
"""Report of the example DAG: `iou_threshold`, `overall` and `per_label` with counts and ratios (None = undefined)."""

_COUNTS = (
    ("TP", "tp"),
    ("FP", "fp"),
    ("FN", "fn"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("F1", "f1"),
    ("mean IoU", "mean_iou"),
)
_OF_COCO = (("AP", "ap"), ("AP50", "ap50"))
"""Columns beside F1 where predictions are ranked; their names in COCO's numbers differ in case alone."""

MOST_CLASSES = 20


def comparison(
    models: Mapping[str, Metrics],
    *,
    cuts: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]] | None = None,
    coco: Mapping[str, Mapping[str, Any]] | None = None,
    overlap: str = "IoU",
    most_classes: int = MOST_CLASSES,
) -> str:
    """Return overall and per-class tables of all models; the best F1 of several is marked with `*`.

    Classes come with the most ground truth first; what does not fit into *most_classes* is counted in a last line.
    *cuts* adds tables: title -> value -> model -> counts and ratios. *coco* are the COCO numbers of each model: AP stands beside F1, and
    all of them in a table of their own.
    *overlap* is what the counts are made with: IoU, or OKS.
    """
    threshold = next(iter(models.values()))["iou_threshold"]
    lines = [f"All classes, one-to-one matches of equal label, {overlap} >= {threshold:g}", ""]
    lines += _table(
        "model",
        [
            (name, name, dict(metrics["overall"]) | _average_precision(coco, name))
            for name, metrics in models.items()
        ],
        columns=(*_COUNTS[:6], *_OF_COCO, *_COUNTS[6:]) if coco else _COUNTS,
    )
    if coco:
        lines += [
            "",
            f"COCO numbers: matched by confidence, AP and AR are means over {overlap} 0.50 to 0.95",
            "",
            *_coco_table(coco),
        ]
    labels = _labels(models)
    rows = [
        (label if first else "", name, metrics["per_label"].get(label, {}))
        for label in labels[:most_classes]
        for first, (name, metrics) in zip([True] + [False] * len(models), models.items(), strict=False)
    ]
    if rows:
        lines += ["", "By class", "", *_table("class", rows, group=len(models))]
    hidden = _hidden(models, listed=min(len(labels), most_classes))
    if hidden:
        lines += ["", f"{hidden} more class{'es' if hidden > 1 else ''} in the JSON reports."]
    for title, values in (cuts or {}).items():
        cut = [
            (value if name == next(iter(models)) else "", name, values[value][name])
            for value in values
            for name in models
        ]
        lines += ["", f"By {title}", "", *_table(title, cut, group=len(models))]
    if len(models) > 1:
        lines += ["", "* best F1   TP, FP, FN: true positives, false positives, false negatives"]
        lines += ["n/a: nothing to divide by   -: not reported for this model"]
    return "\n".join(lines)


def batch_table(
    batches: Mapping[str, Mapping[str, Mapping[str, Any]]], *, verdicts: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Return the lines of a table of each batch on its own: batch -> model -> counts and ratios, and what became of the model."""
    widest = max(len(word) for words in verdicts.values() for word in words.values())
    rows = [
        (batch if first else "", model, dict(values) | {"verdict": verdicts[batch][model].ljust(widest)})
        for batch, models in batches.items()
        for first, (model, values) in zip([True] + [False] * len(models), models.items(), strict=False)
    ]
    group = len(next(iter(batches.values())))
    return _table("batch", rows, group=group, columns=(*_COUNTS[:6], ("gate".ljust(widest), "verdict")))


def _average_precision(coco: Mapping[str, Mapping[str, Any]] | None, model: str) -> dict[str, Any]:
    return {key: coco[model].get(title) for title, key in _OF_COCO} if coco else {}


def _coco_table(coco: Mapping[str, Mapping[str, Any]]) -> list[str]:
    numbers = [name for name in next(iter(coco.values())) if name.startswith(("AP", "AR"))]
    cells = {model: [column_text(of[name]) for name in numbers] for model, of in coco.items()}
    left = [max(len("model"), *map(len, cells))]
    right = [max(len(name), 5) for name in numbers]
    head = _line(["model"], numbers, left, right)
    return [
        head,
        "  " + "-" * (len(head) - 2),
        *(_line([model], row, left, right) for model, row in cells.items()),
    ]


def _labels(models: Mapping[str, Metrics]) -> list[str]:
    truth: dict[str, int] = {}
    for metrics in models.values():
        for label, tally in metrics["per_label"].items():
            truth[label] = max(truth.get(label, 0), int(tally["tp"]) + int(tally["fn"]))
    return sorted(truth, key=lambda label: (-truth[label], label))


def _hidden(models: Mapping[str, Metrics], *, listed: int) -> int:
    labels = max(len(_labels(models)), *(int(metrics.get("labels", 0)) for metrics in models.values()))
    return labels - listed


def _table(
    first: str,
    rows: Sequence[tuple[str, str, Mapping[str, Any]]],
    *,
    group: int = 0,
    columns: Sequence[tuple[str, str]] = _COUNTS,
) -> list[str]:
    """Return aligned lines; *group* rows at a time are compared with each other (0 = all of them)."""
    cut = group > 0
    titles = [first, "model"] if cut else [first]
    cells = []
    for start in range(0, len(rows), group or max(len(rows), 1)):
        together = rows[start : start + (group or len(rows))]
        scores = [tally.get("f1") or 0.0 for _, _, tally in together]
        best = max(scores) if max(scores) > min(scores) else None
        for head, name, tally in together:
            names = [head, name] if cut else [head]
            marked = best is not None and (tally.get("f1") or 0.0) >= best
            cells.append((
                names,
                [_cell(tally, key) + (_mark(marked=marked) if key == "f1" else "") for _, key in columns],
            ))
    heads = [title + (" " if key == "f1" else "") for title, key in columns]
    left = [max([len(titles[i]), *(len(names[i]) for names, _ in cells)]) for i in range(len(titles))]
    right = [max([len(heads[i]), *(len(values[i]) for _, values in cells)]) for i in range(len(heads))]
    lines = [_line(titles, heads, left, right)]
    lines.append("  " + "-" * (len(lines[0]) - 2))
    return lines + [_line(names, values, left, right) for names, values in cells]


def _line(names: Sequence[str], values: Sequence[str], left: Sequence[int], right: Sequence[int]) -> str:
    text = [name.ljust(width) for name, width in zip(names, left, strict=True)]
    text += [value.rjust(width) for value, width in zip(values, right, strict=True)]
    return "  " + "  ".join(text).rstrip()


def _mark(*, marked: bool) -> str:
    return "*" if marked else " "


def _cell(tally: Mapping[str, Any], key: str) -> str:
    if not tally:
        return "-"
    value = tally[key]
    return str(value) if isinstance(value, int | str) else column_text(value)
