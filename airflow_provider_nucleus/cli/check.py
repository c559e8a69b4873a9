"""The sub-command `check`: what an upload of a file would send and refuse, before and after a mapping, without a server."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.cli.arguments import share

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from airflow_provider_nucleus.cli.inspection import FileInspection

__all__ = ["DESCRIPTION", "add_arguments", "add_parser", "run"]

DESCRIPTION = (
    "Read a file as an upload would, with a mapping or without: ten rows before and after, how many would be sent, what would be "
    "refused and why, and a mapping for layouts that are known. Nothing is sent. Exits with 0 if every row is fit to be sent, 1 if "
    "some is not or the layout needs a mapping, 2 if the file, the mapping or an option cannot be read."
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "check", help="check a file before it is uploaded", description=DESCRIPTION
    )
    add_arguments(parser)
    parser.set_defaults(run=run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("source", metavar="FILE", help="path or URL of a file, a folder or a glob")
    parser.add_argument(
        "--kind",
        choices=("predictions", "annotations", "items"),
        default="predictions",
        help="kind of the rows (default: predictions)",
    )
    parser.add_argument("--format", default="auto", help="format of the file (default: found out)")
    parser.add_argument(
        "--geometry",
        choices=("box", "polygon", "keypoints"),
        default="box",
        help="kind of shape that annotations of COCO and other tools are sent as (default: box)",
    )
    parser.add_argument("--ground-truth", help="COCO ground truth that COCO results refer to")
    parser.add_argument("--mapping", help="mapping as JSON, or the path of a JSON or YAML file with it")
    parser.add_argument("--box-format", choices=("xywh", "xyxy", "cxcywh"), help="as in the mapping")
    parser.add_argument(
        "--normalized", action="store_true", help="boxes are shares of the sides of their image"
    )
    parser.add_argument("--image-size", metavar="WIDTHxHEIGHT", help="pixels of all images")
    parser.add_argument("--labels", help="file of names, or JSON, as in the mapping")
    parser.add_argument(
        "--reference-id", metavar="TEMPLATE", help="as in the mapping, for example {path:stem}"
    )
    parser.add_argument("--min-confidence", type=share, help="as in the mapping")
    parser.add_argument(
        "--profile", metavar="FILE", help="write the profile of the predictions there (docs/profile.md)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Print the report and return the exit status."""
    from airflow_provider_nucleus.cli.inspection import inspect_file
    from airflow_provider_nucleus.exceptions import NucleusError

    try:
        found = inspect_file(
            args.source,
            kind=args.kind,
            form=args.format,
            geometry=args.geometry,
            ground_truth=args.ground_truth,
            mapping=_mapping(args),
        )
    except NucleusError as error:
        print(f"check: {error}", file=sys.stderr)
        return 2
    if args.profile and found.profile is not None:
        try:
            Path(args.profile).write_text(json.dumps(found.profile, indent=2))
        except OSError as error:
            print(f"check: --profile {args.profile} cannot be written: {error.strerror}.", file=sys.stderr)
            return 2
    if args.json:
        print(json.dumps(found.to_dict(), indent=2, ensure_ascii=False, default=repr))
    else:
        _print(found)
    return 1 if found.refused or found.error else 0


def _mapping(args: argparse.Namespace) -> dict[str, Any]:
    mapping = _read_mapping(args.mapping) if args.mapping else {}
    if args.box_format:
        mapping["box_format"] = args.box_format
    if args.normalized:
        mapping["normalized"] = True
    if args.image_size:
        width, _, height = args.image_size.lower().partition("x")
        try:
            mapping["image_size"] = [float(width), float(height)]
        except ValueError:
            raise _bad(f"--image-size must be WIDTHxHEIGHT, got {args.image_size!r}.") from None
    if args.labels:
        mapping["labels"] = args.labels
        if args.labels.lstrip()[:1] in {"{", "["}:
            try:
                mapping["labels"] = json.loads(args.labels)
            except (ValueError, RecursionError) as error:
                raise _bad(f"--labels begins as JSON and is none: {error}.") from None
    for name in ("reference_id", "min_confidence"):
        if (value := getattr(args, name)) is not None:
            mapping[name] = value
    return mapping


def _read_mapping(text: str) -> dict[str, Any]:
    """Return a mapping from inline JSON, or from a file of JSON or YAML."""
    from pathlib import Path

    content = text
    if not text.lstrip().startswith("{"):
        try:
            content = Path(text).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _bad(f"The mapping {text} cannot be read: {error}.") from None
    try:
        if text.endswith((".yaml", ".yml")):
            import yaml

            mapping = yaml.safe_load(content)
        else:
            mapping = json.loads(content)
    except Exception as error:  # ruff: ignore[blind-except] - of either parser
        raise _bad(f"The mapping is neither JSON nor YAML: {error}.") from None
    if not isinstance(mapping, dict):
        raise _bad(f"The mapping must be an object, got {type(mapping).__name__}.")
    return mapping


def _bad(message: str) -> Exception:
    from airflow_provider_nucleus.exceptions import NucleusConfigError

    return NucleusConfigError(message, field="mapping")


def _print(found: FileInspection) -> None:
    if found.before:
        print(f"The first {len(found.before)} rows as they are read:")
        for row in found.before:
            print(f"  {_line(row)}")
    if found.after:
        print(f"The first {len(found.after)} rows as they would be sent:")
        for row in found.after:
            print(f"  {_line(row)}")
    left_out = "".join(f", {count:,} left out ({reason})" for reason, count in found.left_out.items())
    if found.error is None or found.rows:
        print(f"{found.rows:,} rows: {found.sent:,} would be sent, {found.refused:,} refused{left_out}.")
    if found.error:
        print(f"An upload would {'stop there' if found.rows else 'send nothing'}: {found.error}")
    for reason in found.reasons:
        rows = "row" if reason.count == 1 else "rows"
        print(f"  {reason.count:,} x {reason.example} ({rows} {reason.places})")
    for note in found.notes:
        print(f"Note: {note}")
    if found.suggestion is not None:
        print("This mapping should fit; try it with --mapping, then give it to the operator as mapping=:")
        print(f"  {json.dumps(found.suggestion.mapping, ensure_ascii=False)}")
        for remark in found.suggestion.remarks:
            print(f"  - {remark}")


def _line(row: Mapping[str, Any]) -> str:
    text = json.dumps(row, ensure_ascii=False, default=repr)
    return text if len(text) <= 300 else f"{text[:297]}..."
