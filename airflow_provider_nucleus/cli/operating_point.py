"""The sub-command `nucleus-local operating-point`: the confidence from which predictions are kept, per class, as a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_nucleus.cli.arguments import add_file_arguments, file_options, share, whole_number
from airflow_provider_nucleus.gating.operating_point import MIN_SUPPORT, TOLERANCE
from airflow_provider_nucleus.gating.rule_table import one_line
from airflow_provider_nucleus.number_texts import column_text

if TYPE_CHECKING:
    import argparse

    from airflow_provider_nucleus.gating.operating_point import OperatingPoint, OperatingPoints

__all__ = ["add_parser", "run"]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "operating-point",
        help="choose the best confidence per class for an inference job",
        description=(
            "Choose the confidence from which predictions are kept, per class and over all. From result files with --ground-truth each cut is "
            "matched anew (exact); from a measurement its stored pairs are counted (approximate: recall at a cut is a lower bound). Exits with "
            "2 when a file cannot be used."
        ),
    )
    parser.add_argument(
        "model", metavar="FILE", help="COCO result file (with --ground-truth), or a measurement"
    )
    aims = parser.add_mutually_exclusive_group()
    aims.add_argument(
        "--precision", type=share, help="lowest cut that is this precise, instead of the best F1"
    )
    aims.add_argument(
        "--recall", type=share, help="highest cut that still finds this share, instead of the best F1"
    )
    parser.add_argument(
        "--min-support",
        type=whole_number(1, 1_000_000),
        default=MIN_SUPPORT,
        metavar="N",
        help=f"classes with fewer objects of ground truth get the cut over all (default: {MIN_SUPPORT})",
    )
    parser.add_argument(
        "--tolerance",
        type=share,
        default=TOLERANCE,
        help=f"how much lower than the best F1 that of the plateau may be (default: {TOLERANCE})",
    )
    add_file_arguments(parser, required=False)
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the document for the inference job"
    )
    parser.add_argument("--json", action="store_true", help="print the document instead of a table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Choose, write, print; 0, or 2 when a file cannot be used."""
    from airflow_provider_nucleus.cli.evidence_files import EvidenceError, write_document

    try:
        points = _points(args)
        if args.output is not None:
            write_document(points, args.output)
    except OSError as error:
        print(f"nucleus-local: {error.filename} cannot be read: {error.strerror or error}", file=sys.stderr)
        return 2
    except (EvidenceError, ValueError) as error:
        print(f"nucleus-local: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(points.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(points)))
    if args.output is not None:
        print(f"Wrote {args.output}", file=sys.stderr)
    return 0


def _points(args: argparse.Namespace) -> OperatingPoints:
    from airflow_provider_nucleus.cli.evidence_files import (
        EvidenceError,
        measurement_of_document,
        read_evidence,
    )
    from airflow_provider_nucleus.cli.file_measurements import measure_files, points_of_file
    from airflow_provider_nucleus.gating.operating_point import operating_points_of

    aim = "precision" if args.precision is not None else "recall" if args.recall is not None else "f1"
    chosen = {
        "aim": aim,
        "target": args.precision if args.precision is not None else args.recall,
        "min_support": args.min_support,
        "tolerance": args.tolerance,
    }
    measured = measurement_of_document(read_evidence(args.model), place=args.model)
    if measured is not None:
        if args.ground_truth is not None:
            raise EvidenceError(f"{args.model} is a measurement already: leave --ground-truth out")
        return operating_points_of(measured, **chosen)
    if args.ground_truth is None:
        raise EvidenceError(f"{args.model} is a COCO result list: name its ground truth with --ground-truth")
    (found,) = measure_files(args.ground_truth, [Path(args.model)], options=file_options(args))
    return points_of_file(found, **chosen)


def _lines(points: OperatingPoints) -> list[str]:
    """Return a table: over all, then the classes by their ground truth."""
    aim = "the best F1" if points.target is None else f"{points.aim} {points.target:g}"
    rows = [("(all)", points.overall)]
    labels = sorted(points.per_label.items(), key=lambda row: (-row[1].ground_truth, row[0]))
    rows += [(one_line(label), point) for label, point in labels]
    width = max(len(label) for label, _ in rows)
    head = f"{'class':<{width}}  {'cut':>6}  {'plateau':>13}  {'P':>5}  {'R':>5}  {'F1':>5}  {'objects':>7}"
    return [
        f"Cuts for {aim} at IoU {points.iou_threshold:g}, {points.method}",
        "",
        head,
        *(_row(label, point, width) for label, point in rows),
    ]


def _row(label: str, point: OperatingPoint, width: int) -> str:
    plateau = "" if point.plateau is None else "-".join(map(column_text, point.plateau))
    numbers = "  ".join(column_text(value).rjust(5) for value in (point.precision, point.recall, point.f1))
    line = f"{label:<{width}}  {column_text(point.confidence):>6}  {plateau:>13}  {numbers}  {point.ground_truth:>7}"
    return line if point.reason is None else f"{line}  {point.reason}"
