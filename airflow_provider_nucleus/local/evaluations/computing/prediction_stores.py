"""The two places where predictions of a model are: in its runs, and without a run. An evaluation reads one of them."""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants; values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.annotation_table import OBJECT_TABLES
from airflow_provider_nucleus.local.errors import BadRequestError

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.evaluations.computing.population import EvaluatedItems
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["require_predictions"]

_OBJECTS = " UNION ALL ".join(f"SELECT set_no, item_no FROM {table}" for table in OBJECT_TABLES)


def require_predictions(
    cursor: Cursor, population: EvaluatedItems, *, model_no: int | None, run_no: int | None
) -> None:
    """Raise `BadRequestError` when all predictions on the evaluated items are in the place that this evaluation does not read.

    None anywhere is a result: everything is missed.
    """
    read = [sets.predictions for sets in population.datasets]
    if _counts(cursor, "set_no IN (SELECT unnest(?::INTEGER[]))", [read]):
        return
    if run_no is None:
        found = _counts(cursor, "s.role = 'run' AND s.model_no = ?", [model_no])
        if found:
            model, run, count = found[0]
            raise BadRequestError(
                f"Model {model} has no predictions of its own on these items, and those are what the evaluation of a model reads; "
                f"{count} are in its run {run}. Copy them with model.copy_predictions_from_run({run!r}) (POST "
                f"model/{model}/predictions/copyFromRun), or evaluate the run (model_run_id)"
            )
        return
    found = _counts(
        cursor,
        "s.role = 'model' AND s.model_no = (SELECT model_no FROM model_runs WHERE run_no = ?)",
        [run_no],
    )
    if found:
        model, _, count = found[0]
        raise BadRequestError(
            f"The run has no predictions on these items; {count} are stored for its model {model} without a run. "
            "Evaluate the model (model_id) instead"
        )


def _counts(cursor: Cursor, condition: str, parameters: list[object]) -> list[tuple[str, str | None, int]]:
    """Return model, run and number of the predictions on the evaluated items in some sets, most first."""
    return cursor.execute(
        f"""SELECT any_value(m.model_id), r.run_id, count(*) FROM ({_OBJECTS}) o JOIN evaluated USING (item_no)
            JOIN object_sets s USING (set_no) JOIN models m USING (model_no) LEFT JOIN model_runs r USING (run_no)
        WHERE {condition} GROUP BY r.run_id ORDER BY count(*) DESC""",
        parameters,
    ).fetchall()
