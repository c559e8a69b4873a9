"""Types and groups of the command's arguments; what they refuse is answered with what they would accept."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from airflow_provider_nucleus.evaluation_options import (
    DEFAULT_MAX_DETECTIONS,
    DEFAULT_MAX_DETECTIONS_OF_KEYPOINTS,
    MAX_DETECTIONS_LIMIT,
    EvaluationOptions,
)
from airflow_provider_nucleus.keypoint_tolerances import SKELETONS, parse_sigmas

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from airflow_provider_nucleus.cli.file_measurements import FileOptions
    from airflow_provider_nucleus.keypoint_tolerances import ChosenSigmas

__all__ = [
    "NOT_USABLE",
    "WRONG_USE",
    "CommandParser",
    "add_file_arguments",
    "add_match_arguments",
    "add_measurement_arguments",
    "cut_or_best",
    "evaluation_options",
    "file_options",
    "named_number",
    "share",
    "use_status",
    "whole_number",
    "wrong_use_status",
]

WRONG_USE: Final = 64
"""Exit status for wrong arguments where 2 means something else (sysexits.h: EX_USAGE)."""
NOT_USABLE: Final = 65
"""Exit status for input that cannot be used (sysexits.h: EX_DATAERR)."""


class CommandParser(ArgumentParser):
    """A parser whose exit status for wrong arguments is its own."""

    wrong_use = 2

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit."""
        self.print_usage(sys.stderr)
        self.exit(self.wrong_use, f"{self.prog}: error: {message}\n")


def use_status(parser: ArgumentParser, status: int) -> None:
    """Choose the exit status for wrong arguments of one sub-command."""
    assert isinstance(parser, CommandParser)
    parser.wrong_use = status
    parser.set_defaults(parser=parser)


def wrong_use_status(parser: ArgumentParser) -> int:
    """Return the exit status of a sub-command for what it cannot do anything with."""
    return parser.wrong_use if isinstance(parser, CommandParser) else 2


def share(text: str) -> float:
    """Read a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers between two bounds, both included."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return read


def named_number(text: str) -> tuple[str, float]:
    """Read `name=number`."""
    name, separator, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not separator or not name.strip() or not abs(value) < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a name and a number, as in latency_ms=12.5")
    return name.strip(), value


def cut_or_best(text: str) -> float | Literal["best"]:
    """Read a confidence from 0 to 1, or the word `best`."""
    if text == "best":
        return "best"
    try:
        return share(text)
    except ArgumentTypeError:
        raise ArgumentTypeError(f"{text!r} is neither a number from 0 to 1 nor the word best") from None


def add_match_arguments(parser: ArgumentParser) -> None:
    """Add what decides what COCO files are compared by."""
    parser.add_argument(
        "--iou-type",
        choices=("bbox", "segm", "keypoints"),
        default="bbox",
        help="what is compared (default: bbox)",
    )
    parser.add_argument(
        "--iou",
        type=share,
        default=0.5,
        help="IoU from which a Nucleus match counts, 0 to 1 (default: 0.5); the COCO metrics have their own",
    )
    parser.add_argument(
        "--workers", type=whole_number(1, 1024), default=1, help="threads to evaluate with (default: 1)"
    )
    parser.add_argument(
        "--max-detections",
        type=whole_number(1, MAX_DETECTIONS_LIMIT),
        metavar="N",
        help=(
            f"most confident predictions of a label on an image that AP and AR look at (default: {DEFAULT_MAX_DETECTIONS}; keypoints "
            f"{DEFAULT_MAX_DETECTIONS_OF_KEYPOINTS}); counts have all"
        ),
    )
    parser.add_argument(
        "--crowd-as-objects",
        action="store_true",
        help="take crowds (iscrowd) for objects to be found, not for regions in which nothing is counted",
    )
    parser.add_argument(
        "--keypoint-sigmas",
        type=_sigmas,
        metavar="NAME|LIST",
        help=(
            f"tolerances of keypoints: {', '.join(SKELETONS)}, or a number for each, with commas (default: those of the skeleton that the "
            "names or the number of keypoints say)"
        ),
    )


def add_file_arguments(parser: ArgumentParser, *, required: bool) -> None:
    """Add what decides how COCO result files become measurements."""
    parser.add_argument(
        "--ground-truth",
        type=Path,
        required=required,
        metavar="GT.JSON",
        help="COCO ground truth that result files are measured against",
    )
    add_match_arguments(parser)
    add_measurement_arguments(parser)


def add_measurement_arguments(parser: ArgumentParser) -> None:
    """Add what is stated in measurements."""
    parser.add_argument(
        "--unannotated",
        choices=("count", "leave_out"),
        default="count",
        help="predictions on images without ground truth: false positives, or in no number (default: count)",
    )
    parser.add_argument(
        "--data",
        metavar="NAME",
        help="name of the data in the fingerprint: one for all batches of a series (default: the name of the ground truth file)",
    )
    parser.add_argument("--scope", metavar="NAME", help="name of the batch in the fingerprint")


def evaluation_options(args: Namespace) -> EvaluationOptions:
    """Return the choices in the definition of the numbers."""
    return EvaluationOptions(
        max_detections=args.max_detections,
        crowd_as_objects=args.crowd_as_objects,
        keypoint_sigmas=args.keypoint_sigmas,
    )


def file_options(args: Namespace) -> FileOptions:
    """Return the choices in what is measured of files."""
    from airflow_provider_nucleus.cli.file_measurements import FileOptions

    return FileOptions(
        iou_type=args.iou_type,
        iou_threshold=args.iou,
        evaluation=evaluation_options(args),
        unannotated=args.unannotated,
        data=args.data,
        scope=args.scope,
        workers=args.workers,
    )


def _sigmas(text: str) -> ChosenSigmas:
    try:
        return parse_sigmas(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
