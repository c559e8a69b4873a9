"""The sub-command `nucleus-local evaluate`: COCO numbers of result files, without a server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.cli.arguments import (
    add_match_arguments,
    add_measurement_arguments,
    evaluation_options,
    file_options,
)
from airflow_provider_nucleus.gating.rule_table import one_line
from airflow_provider_nucleus.number_texts import MISSING, column_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

__all__ = ["add_parser", "run"]

MOST_CLASSES = 20


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="evaluate COCO result files against a COCO ground truth",
        description=(
            "Evaluate COCO result files. Prints the COCO metrics (equal to pycocotools) and the counts of Nucleus' "
            "one-to-one match. No server and no data directory are needed."
        ),
    )
    parser.add_argument(
        "--ground-truth", type=Path, required=True, metavar="GT.JSON", help="COCO ground truth document"
    )
    parser.add_argument(
        "--predictions", type=Path, required=True, nargs="+", metavar="RESULTS.JSON", help="COCO result lists"
    )
    add_match_arguments(parser)
    parser.add_argument(
        "--measurements",
        type=Path,
        metavar="DIR",
        help="write a measurement of each model as DIR/<model>.json.gz, with its matches, for `nucleus-local gate`",
    )
    add_measurement_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report and return the exit status: 0, or 2 when a file cannot be read or is not what it should be."""
    # Imported here so that --help needs no extra.
    from airflow_provider_nucleus.cli.evidence_files import EvidenceError
    from airflow_provider_nucleus.evaluation.report import evaluate_files

    if args.keypoint_sigmas is not None and args.iou_type != "keypoints":
        print(
            f"nucleus-local: --keypoint-sigmas is about keypoints, and --iou-type is {args.iou_type}",
            file=sys.stderr,
        )
        return 2
    try:
        report = evaluate_files(
            args.ground_truth,
            args.predictions,
            iou_type=args.iou_type,
            threshold=args.iou,
            workers=args.workers,
            options=evaluation_options(args),
        ).to_dict()
        written = [] if args.measurements is None else _measurements(args)
    except OSError as error:
        print(f"nucleus-local: cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except (EvidenceError, ValueError) as error:
        print(f"nucleus-local: {error}", file=sys.stderr)
        return 2
    try:
        print(json.dumps(report, indent=2) if args.json else render(report), flush=True)
        for path in written:
            print(f"Wrote {path}", file=sys.stderr)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; keep the interpreter from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _measurements(args: argparse.Namespace) -> list[Path]:
    from airflow_provider_nucleus.cli.evidence_files import write_document
    from airflow_provider_nucleus.cli.file_measurements import measure_files

    found = measure_files(args.ground_truth, args.predictions, options=file_options(args))
    return [
        write_document(each.measurement, args.measurements / f"{each.name.replace('/', '_')}.json.gz")
        for each in found
    ]


def render(report: Mapping[str, Any]) -> str:
    """Return the report as tables: the numbers of all models, then the classes with most ground truth."""
    models: Mapping[str, Any] = report["models"]
    truth, options = report["ground_truth"], report["options"]
    areas = [name for name in options["coco"]["areas"] if name != "all"]
    numbers = [key for key in next(iter(models.values())) if key.startswith(("AP", "AR"))]
    lines = [
        (
            f"{truth['file']}: {truth['images']} images, {truth['annotations']} annotations,"
            f" {truth['categories']} categories; {options['iou_type']}"
        ),
        *_chosen(options),
        "",
        f"COCO metrics (by size: {', '.join(f'{name[0]} = {name}' for name in areas)})",
        "",
        *_table(
            ["model", *numbers],
            [[name, *(column_text(m[key]) for key in numbers)] for name, m in models.items()],
        ),
        "",
        f"Nucleus matches, one to one, equal labels, IoU >= {options['nucleus']['iou_threshold']:g}",
        "",
        *_table(["model", *_HEADS], [[name, *_counts(m["nucleus"])] for name, m in models.items()]),
    ]
    lines += _classes(models)
    notes = [f"{truth['file']}: {count} x {reason}" for reason, count in truth["excluded"].items()]
    notes += [f"{truth['file']}: {note['text']}" for note in truth["notes"]]
    for name, model in models.items():
        notes += [f"{name}: {count} x {reason}" for reason, count in model["excluded"].items()]
        notes += [f"{name}: {note['text']}" for note in model["notes"]]
        notes += [f"{name}: {text}" for text in _undefined(model["undefined"])]
    if notes:
        lines += ["", "Notes", "", *(f"- {one_line(note)}" for note in notes)]
    lines += ["", f"Computed by {report['engine']}."]
    return "\n".join(lines)


_HEADS = ("TP", "FP", "FN", "precision", "recall", "F1", "mean IoU")


def _classes(models: Mapping[str, Any]) -> list[str]:
    """Compare the models class by class, those with the most ground truth first."""
    first = next(iter(models.values()))["per_class"]
    labels = [label for label in first if any(_occurs(m["per_class"][label]) for m in models.values())]
    labels.sort(key=lambda label: (-first[label]["ground_truth"], label))
    rows = []
    for label in labels[:MOST_CLASSES]:
        for index, (name, model) in enumerate(models.items()):
            row = model["per_class"][label]
            counts = row["nucleus"]
            rows.append([
                one_line(label) if index == 0 else "",
                name,
                column_text(row["AP"]),
                column_text(row["AP50"]),
                *(str(counts[key]) for key in ("tp", "fp", "fn")),
                column_text(counts["precision"]),
                column_text(counts["recall"]),
            ])
    if not rows:
        return []
    heads = ["class", "model", "AP", "AP50", "TP", "FP", "FN", "precision", "recall"]
    lines = ["", "By class", "", *_table(heads, rows, texts=2)]
    hidden = len(labels) - MOST_CLASSES
    if hidden > 0:
        lines += ["", f"{hidden} more class{'es' if hidden > 1 else ''}: see --json."]
    return lines


def _chosen(options: Mapping[str, Any]) -> list[str]:
    """Name the options that make these numbers others than COCO's usual ones."""
    chosen = []
    if (limit := options.get("max_detections")) is not None:
        chosen.append(f"max_detections {limit} (a label on an image, for AP and AR)")
    if options.get("crowd_as_objects"):
        chosen.append("crowd_as_objects")
    return [f"With {', '.join(chosen)}"] if chosen else []


def _undefined(reasons: Mapping[str, str]) -> list[str]:
    """Say once for each reason which numbers there are none of."""
    numbers: dict[str, list[str]] = {}
    for number, reason in reasons.items():
        numbers.setdefault(reason, []).append(number)
    return [
        f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {MISSING}: {reason}"
        for reason, names in numbers.items()
    ]


def _occurs(row: Mapping[str, Any]) -> bool:
    counts = row["nucleus"]
    return bool(counts["tp"] + counts["fp"] + counts["fn"])


def _counts(counts: Mapping[str, Any]) -> list[str]:
    ratios = ("precision", "recall", "f1", "mean_iou")
    return [*(str(counts[key]) for key in ("tp", "fp", "fn")), *(column_text(counts[key]) for key in ratios)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> list[str]:
    """Align columns; the first *texts* to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows)]
    return [
        "  ".join(
            cell.ljust(width) if index < texts else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in (heads, *rows)
    ]
