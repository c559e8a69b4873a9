"""Results of evaluations that another version has written: which they are, and what to do about them."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.evaluations.computing.result_files import LAYOUT
from airflow_provider_nucleus.local.store.catalog import evaluations

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_nucleus.local.store.catalog.evaluations import EvaluationRecord
    from airflow_provider_nucleus.local.store.database import Database

__all__ = ["evaluate_again", "has_other_layout", "log_other_layouts"]

log = logging.getLogger(__name__)
_START: Final = re.compile(rb'\{"layout":(\d+)[,}]')


def evaluate_again(evaluation: EvaluationRecord) -> str:
    """Return the advice to compute an evaluation once more, as a sentence without its full stop."""
    if evaluation.benchmark_id is not None:
        return (
            f"Evaluate again: POST benchmarks/{evaluation.benchmark_id}/evaluationsV2, or create_evaluation_v2 of the benchmark in the "
            "official client"
        )
    # The run is gone if it was deleted since.
    return f"Evaluate again: POST modelRun/{evaluation.run_id or '{run}'}/evaluationsV2"


def has_other_layout(folder: Path, name: str) -> bool:
    """Return whether a result is there and of a layout that this version does not read."""
    try:
        with (folder / name / "about.json").open("rb") as file:
            found = _START.match(file.read(64))
    except FileNotFoundError:
        return False
    return found is not None and int(found[1]) != LAYOUT


def log_other_layouts(db: Database, folder: Path) -> None:
    """Say in the log how many evaluations have results that this version does not read, if there are any."""
    with db.read() as cursor:
        names = evaluations.results(cursor)
    count = sum(has_other_layout(folder, name) for name in names)
    if count:
        log.warning(
            "%s of %s evaluations have results of another layout, which this version does not read: they answer 409. "
            "Evaluate their models again on the same benchmarks (POST benchmarks/{id}/evaluationsV2); the older ones can be deleted",
            count,
            len(names),
        )
