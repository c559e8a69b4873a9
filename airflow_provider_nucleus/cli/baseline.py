"""The sub-command `nucleus-local baseline`: a record of baselines in a file, shown and changed step by step."""

from __future__ import annotations

import getpass
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_nucleus.gating.fingerprint import measurement_differences
from airflow_provider_nucleus.gating.rule_table import one_line
from airflow_provider_nucleus.number_texts import column_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from airflow_provider_nucleus.gating.baseline import BaselineEntry, BaselineRecord

__all__ = ["add_parser", "run"]

_STEPS = {
    "show": "print reference, last accepted, proposals and decisions",
    "propose": "put a measurement forward",
    "confirm": "accept a proposal",
    "reject": "turn a proposal down",
    "pin": "make a measurement, or the last accepted one, the reference that cumulative drops are measured from",
}
_NUMBERS = ("ap", "f1", "precision", "recall")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command and its steps."""
    parser = subparsers.add_parser(
        "baseline",
        help="show or change a record of baselines",
        description=(
            "Show or change a record of baselines, the file that `baseline_record=` of the gate's operator and `nucleus-local gate --record` "
            "name. Steps of several people and tasks at once do not overwrite each other. Exits with 2 when a step cannot be made, and when there is no record to show."
        ),
    )
    steps = parser.add_subparsers(dest="step", required=True)
    for step, text in _STEPS.items():
        one = steps.add_parser(step, help=text, description=text.capitalize() + ".")
        one.add_argument("record", metavar="RECORD", help="path or address of the record")
        if step in {"propose", "pin"}:
            one.add_argument(
                "measurement", metavar="MEASUREMENT", nargs=None if step == "propose" else "?", help="a measurement document"
            )  # fmt: skip
        if step in {"confirm", "reject"}:
            one.add_argument("proposal", nargs="?", help="id of the proposal (default: the only one)")
        if step != "show":
            one.add_argument(
                "--by", metavar="WHO", default=None, help="who decides (default: the user of this machine)"
            )
            one.add_argument("--note", help="why")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the step, print the record, and return 0, or 2 when the step cannot be made or there is no record to show."""
    from airflow_provider_nucleus.cli.evidence_files import EvidenceError, read_record
    from airflow_provider_nucleus.exceptions import NucleusError

    try:
        record = read_record(args.record) if args.step == "show" else _changed(args)
    except (EvidenceError, NucleusError, OSError, ValueError) as error:
        print(f"nucleus-local: {error}", file=sys.stderr)
        return 2
    print("\n".join(_lines(record, args.record)))
    return 0


def _changed(args: argparse.Namespace) -> BaselineRecord:
    from airflow_provider_nucleus.tasks.baselines import FileBaseline

    return FileBaseline(args.record).change(_step(args))


def _step(args: argparse.Namespace) -> Callable[[BaselineRecord], BaselineRecord]:
    from airflow_provider_nucleus.cli.evidence_files import (
        EvidenceError,
        measurement_of_document,
        read_evidence,
    )
    from airflow_provider_nucleus.gating.baseline import confirm, pin, propose, reject

    by, at, note = args.by or getpass.getuser(), datetime.now(tz=UTC).isoformat(timespec="seconds"), args.note
    if args.step == "confirm":
        return lambda record: confirm(record, args.proposal, by=by, at=at, note=note)
    if args.step == "reject":
        return lambda record: reject(record, args.proposal, by=by, at=at, reason=note)
    if args.step == "pin" and args.measurement is None:
        return lambda record: pin(record, by=by, at=at, note=note)
    measurement = measurement_of_document(read_evidence(args.measurement), place=args.measurement)
    if measurement is None:
        raise EvidenceError(
            f"{args.measurement} is a COCO result list: `nucleus-local evaluate --measurements` makes a measurement of it"
        )
    evidence = str(args.measurement)
    if args.step == "pin":
        return lambda record: pin(record, measurement, evidence=evidence, by=by, at=at, note=note)
    return lambda record: propose(record, measurement, evidence=evidence, by=by, at=at, note=note)


def _lines(record: BaselineRecord, place: str) -> list[str]:
    lines = [f"{record.name or place}, revision {record.revision}", ""]
    entries = [("reference", record.reference), ("accepted", record.accepted)]
    entries += [("proposal", entry) for entry in record.proposals]
    lines += [f"{part:<9}  {_entry(entry)}" for part, entry in entries]
    if record.accepted is not None:
        lines += _since_reference(record)
        lines.append(f"{'before':<9}  {len(record.history)} accepted earlier")
    if record.decisions:
        lines.append("")
    for step in record.decisions[-10:]:
        lines.append(
            f"{step.at}  {step.by}  {step.action}  {step.id}{f'  ({step.note})' if step.note else ''}"
        )
    lines += [f"Left out: {sentence}" for sentence in record.cut]
    return [one_line(line) for line in lines]


def _since_reference(record: BaselineRecord) -> list[str]:
    """Return how far the accepted numbers have moved from the pinned ones."""
    reference, accepted = record.reference_measurement, record.accepted_measurement
    if reference is None or accepted is None:
        return []
    if reasons := measurement_differences(accepted, reference, names=("accepted", "reference")):
        return [f"{'change':<9}  not comparable: {reasons[0]}"]
    pairs = (
        (name, accepted.overall.values.get(name), reference.overall.values.get(name)) for name in _NUMBERS
    )
    moved = [f"{name} {now - then:+.3f}" for name, now, then in pairs if now is not None and then is not None]
    return [f"{'change':<9}  {', '.join(moved)} since the reference"] if moved else []


def _entry(entry: BaselineEntry | None) -> str:
    if entry is None:
        return "none"
    values = entry.measurement.overall.values
    numbers = ", ".join(
        f"{name} {column_text(values[name])}" for name in _NUMBERS if values.get(name) is not None
    )
    return f"{entry.id}  {numbers or 'no numbers'}  by {entry.by} at {entry.at}"
