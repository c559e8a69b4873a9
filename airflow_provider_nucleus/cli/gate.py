"""The sub-command `nucleus-local gate`: a policy held against a candidate, without a server and without Airflow.

| status | meaning |
| --- | --- |
| 0 | goes on: the verdict is pass, or the policy does not stop for what it is |
| 1 | stopped: the verdict is fail |
| 2 | stopped: the verdict is inconclusive |
| 64 | the arguments or the policy are wrong; nothing was judged |
| 65 | a file of the evidence is missing, unreadable, or not what it should be, and nothing was judged; or what was judged could not be written |
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.cli.arguments import (
    NOT_USABLE,
    WRONG_USE,
    add_file_arguments,
    cut_or_best,
    file_options,
    named_number,
    use_status,
)

if TYPE_CHECKING:
    import argparse

    from airflow_provider_nucleus.cli.gate_inputs import GateInputs
    from airflow_provider_nucleus.gating.baseline import BaselineRecord
    from airflow_provider_nucleus.gating.changed_objects import ObjectChanges
    from airflow_provider_nucleus.gating.policy import Policy
    from airflow_provider_nucleus.gating.verdict import Judgement

__all__ = ["add_parser", "run"]

FAILED: Final = 1
INCONCLUSIVE: Final = 2

_STATUSES: Final = (
    "Exits with 0 when the pipeline goes on, 1 when it is stopped because the verdict is fail, 2 when it is stopped because the verdict is "
    f"inconclusive, {WRONG_USE} for wrong arguments or a wrong policy, {NOT_USABLE} for evidence that cannot be used."
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "gate",
        help="hold a model against a policy and a baseline; exit status 0, 1 or 2",
        description=(
            "Hold a candidate against a policy, one line a rule. Candidate, baseline and the others are measurements (written by `evaluate "
            "--measurements` or `report=` of the operators), or COCO result files with --ground-truth. No server is needed, and the same "
            f"policy gives the same verdict as in Airflow. {_STATUSES}"
        ),
    )
    use_status(parser, WRONG_USE)
    parser.add_argument(
        "--policy", type=Path, required=True, metavar="POLICY.YAML", help="rules, as YAML or JSON"
    )
    parser.add_argument("--candidate", required=True, metavar="FILE", help="the model that is judged")
    parser.add_argument(
        "--baseline",
        metavar="FILE",
        help="what changes are measured from: the production model on the same items (default: accepted)",
    )
    parser.add_argument("--reference", metavar="FILE", help="the pinned baseline (rules against: reference)")
    parser.add_argument(
        "--accepted", metavar="FILE", help="the last accepted measurement (rules against: accepted)"
    )
    parser.add_argument(
        "--record",
        metavar="FILE",
        help="baseline record that reference, accepted and the history of window rules are taken from, where they are not given",
    )
    parser.add_argument(
        "--propose",
        metavar="WHO",
        help="put a candidate that passed forward in the record; `nucleus-local baseline confirm` accepts it",
    )
    parser.add_argument(
        "--number",
        type=named_number,
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="a number of your own for the candidate (rules with scope: supplied); may be repeated",
    )
    parser.add_argument(
        "--baseline-number",
        type=named_number,
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="the same for the baseline",
    )
    add_file_arguments(parser, required=False)
    parser.add_argument(
        "--confidence",
        type=cut_or_best,
        metavar="NUMBER|best",
        help="least confidence of the predictions that count; best: of each model its own cut of the best F1 (default: all count)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the judgement as JSON")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write the report (HTML, Markdown, JSON), the objects that changed, operating points and measurements into a folder",
    )
    parser.add_argument("--quiet", action="store_true", help="print the verdict alone, in one line")
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """A judgement and the evidence behind it."""

    judgement: Judgement
    inputs: GateInputs
    changes: ObjectChanges | None
    notes: list[str]
    record: BaselineRecord
    """The record that the candidate was held against."""


def run(args: argparse.Namespace) -> int:
    """Judge, leave the evidence, print, and return the exit status."""
    # Imported here so that --help needs no extra.
    from airflow_provider_nucleus.cli.evidence_files import EvidenceError
    from airflow_provider_nucleus.coco.errors import CocoError
    from airflow_provider_nucleus.exceptions import NucleusError, NucleusPolicyError
    from airflow_provider_nucleus.gating.policy_reading import read_policy

    try:
        policy = read_policy(args.policy)
    except NucleusPolicyError as error:
        return _refused(error, WRONG_USE)
    if args.propose is not None and args.record is None:
        return _refused("--propose is about a baseline record: name it with --record", WRONG_USE)
    try:
        judged = _judged(args, policy)
    except EvidenceError as error:
        return _refused(error, NOT_USABLE)
    except OSError as error:
        return _refused(f"{error.filename} cannot be read: {error.strerror or error}", NOT_USABLE)
    except (CocoError, NucleusError, ValueError) as error:
        return _refused(error, NOT_USABLE)
    written: list[str] = []
    try:
        _write(args, judged, written)
    except (EvidenceError, NucleusError, OSError, ValueError) as error:
        _print(judged, written, quiet=args.quiet)
        return _refused(f"judged as printed, but not all of the evidence was kept: {error}", NOT_USABLE)
    _print(judged, written, quiet=args.quiet)
    verdict = judged.judgement.verdict
    if not verdict.stopped:
        return 0
    return FAILED if verdict.status == "fail" else INCONCLUSIVE


def _judged(args: argparse.Namespace, policy: Policy) -> _Judged:
    from airflow_provider_nucleus.cli.evidence_files import MissingEvidenceError, read_record
    from airflow_provider_nucleus.cli.gate_inputs import given_intervals, read_inputs
    from airflow_provider_nucleus.gating.gate import assemble_gate, judge_gate

    record = None
    if args.record is not None:
        # As for the operator: a record begins with the first proposal.
        with contextlib.suppress(MissingEvidenceError):
            record = read_record(args.record)
    parts = ("candidate", "baseline", "reference", "accepted")
    inputs = read_inputs(
        {part: getattr(args, part) for part in parts if getattr(args, part) is not None},
        ground_truth=args.ground_truth,
        options=file_options(args),
        cut=args.confidence,
    )
    given = inputs.measurements
    gate = assemble_gate(
        policy,
        given["candidate"],
        given.get("baseline"),
        reference=given.get("reference"),
        accepted=given.get("accepted"),
        record=record,
        numbers=dict(args.number),
        baseline_numbers=dict(args.baseline_number),
    )
    intervals, notes = given_intervals(inputs, policy)
    if args.record is not None and (record is None or not record.revision):
        notes.append(
            f"{args.record} is empty or does not exist yet: there is no reference and nothing accepted"
        )
    judged = judge_gate(gate, judged_at=_now(), intervals=intervals)
    notes += gate.notes
    if judged.uncounted is not None:
        notes.append(f"changed objects are not counted: {judged.uncounted}")
    return _Judged(judged.judgement, inputs, judged.changes, notes, gate.record)


def _proposed(args: argparse.Namespace, judgement: Judgement, record: BaselineRecord) -> list[str]:
    """Put the candidate forward where it passed; say so, or why not."""
    from airflow_provider_nucleus.gating.baseline import measurement_id, propose
    from airflow_provider_nucleus.tasks.baselines import FileBaseline

    if judgement.verdict.status != "pass":
        return [f"not proposed in {args.record}: the verdict is {judgement.verdict.status}"]
    evidence = str(args.json or (args.report / "metrics.json" if args.report else "")) or None
    FileBaseline(args.record).change(
        lambda newest: propose(
            newest,
            judgement.candidate,
            by=args.propose,
            at=_now(),
            verdict="pass",
            evidence=evidence,
            judged_with=record,
        )
    )
    return [f"proposed {measurement_id(judgement.candidate)} in {args.record}"]


def _write(args: argparse.Namespace, judged: _Judged, written: list[str]) -> None:
    """Leave the evidence, and add to *written* what was left where, as it is written."""
    from airflow_provider_nucleus.cli.evidence_files import write_document
    from airflow_provider_nucleus.cli.gate_report import small, write_report

    if args.json is not None:
        written.append(f"judgement: {write_document(small(judged.judgement), args.json)}")
    if args.report is not None:
        found = write_report(args.report, judged.judgement, changes=judged.changes, files=judged.inputs.files)
        written += [f"{name}: {path}" for name, path in found.items()]
    if args.propose is not None:
        written += _proposed(args, judged.judgement, judged.record)


def _print(judged: _Judged, written: list[str], *, quiet: bool) -> None:
    from airflow_provider_nucleus.gating.rule_table import one_line, rule_lines

    lines = rule_lines(judged.judgement.verdict)
    if quiet:
        print(lines[0])
        return
    print("\n".join([*lines, *map(one_line, _beside(judged)), *(f"Wrote {each}" for each in written)]))


def _beside(judged: _Judged) -> list[str]:
    """Return what the rules rest on, and what changed."""
    lines = []
    for part, measured in judged.inputs.measurements.items():
        if measured.confidence_threshold is not None:
            lines.append(
                f"Note: the {part} has the predictions from confidence {measured.confidence_threshold:g} on"
            )
        lines += [
            f"Note: {part}: {each['text']}" for each in measured.notes if each.get("note") == "confidence_cut"
        ]
    counts = judged.judgement.changes
    if counts is not None:
        lines.append(
            f"Objects: {counts.broken} broken, {counts.fixed} fixed, {counts.both_miss} missed by both, {counts.both_found} found by both"
        )
    return [*lines, *(f"Note: {note}" for note in judged.notes)]


def _refused(error: object, status: int) -> int:
    print(f"nucleus-local: {error}", file=sys.stderr)
    return status


def _now() -> str:
    return datetime.now(tz=UTC).isoformat(timespec="seconds")
