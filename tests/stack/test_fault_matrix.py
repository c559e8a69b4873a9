"""A quarter of the matrix of faults; see `tests.fault_matrix` for all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fault_matrix import CELLS, SAMPLE, Cell, Laboratory, Outcome, table

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """A server that may die, and the proxy before it."""
    with Laboratory(tmp_path_factory.mktemp("matrix")) as running:
        yield running


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(cell, id=cell.name, marks=pytest.mark.xdist_group(f"faults {cell.form}"))
        for cell in SAMPLE
    ],
)
def test_fault_loses_nothing_and_doubles_nothing(laboratory: Laboratory, cell: Cell):
    """Every valid row is stored once, no job runs on, at most one chunk travelled twice."""
    outcome = laboratory.run(cell)

    assert outcome.problems(cell) == [], outcome


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(cell, id=cell.name, marks=pytest.mark.xdist_group(f"faults {cell.form}"))
        for cell in CELLS
        if cell.step == "poll" and cell.course == "once" and cell.fault.name in {"500", "a portal's page"}
    ],
)
def test_one_look_that_fails_does_not_end_a_try(laboratory: Laboratory, cell: Cell):
    """An answer that other requests take for a failure is waited out by those that look at a job."""
    assert laboratory.run(cell).first == "ok"


def test_sample_meets_every_fault_at_every_step_in_every_form_and_course():
    """What the sample leaves out is combinations of a course with the rest, not a fault, a step, a form or a course."""
    combinations = {(cell.form, cell.step, cell.fault) for cell in SAMPLE}

    assert combinations == {(cell.form, cell.step, cell.fault) for cell in CELLS}
    assert {(cell.form, cell.fault.name, cell.course) for cell in SAMPLE if "async" in cell.form} == {
        (cell.form, cell.fault.name, cell.course) for cell in CELLS if "async" in cell.form
    }


def test_table_marks_broken_promises():
    """The page says which cell broke which promise."""
    good, bad = CELLS[0], CELLS[1]
    fine = Outcome("ok", tries=1, succeeded=True, exact=True, running=0, repeated=0, jobs=3)
    lost = Outcome("ok", tries=2, succeeded=True, exact=False, running=1, repeated=9, jobs=3)
    page = table([(good, fine), (bad, lost)])

    assert "| 429, Retry-After | `·X  ` |" in page
    assert (
        f"- {bad.name}: the store does not hold every valid row once; 1 jobs still run; 9 rows travelled"
        in page
    )
    assert "1 of 2 cells hold." in page
