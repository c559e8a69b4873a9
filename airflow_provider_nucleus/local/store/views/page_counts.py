"""Facts for people: how much there is of what, gathered for the pages and never for a contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.store.database import rows

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.catalog.models import ModelRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "DatasetFacts", "LabelFacts", "ModelFacts", "RunFacts", "TypeFacts", "dataset_facts", "label_facts", "model_facts",
    "runs_of_dataset", "runs_of_model", "type_facts",
]  # fmt: skip

_OBJECTS: Final = (
    "(SELECT set_no, type FROM objects UNION ALL SELECT set_no, type FROM categories "
    "UNION ALL SELECT set_no, 'mask' FROM masks)"
)


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """A dataset in a list."""

    id: str
    name: str
    items: int
    annotations: int
    runs: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model in a list."""

    id: str
    name: str
    reference_id: str
    runs: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run on a dataset; `calculated_at` is null until metrics are calculated."""

    run_id: str
    model_id: str
    model_name: str
    dataset_id: str
    dataset_name: str
    predictions: int
    calculated_at: datetime | None


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """Number of annotations of a type."""

    type: str
    count: int


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """Number of geometric annotations that have a label, and of the items they are on."""

    label: str
    count: int
    items: int


def dataset_facts(cursor: Cursor, *, limit: int) -> list[DatasetFacts]:
    """Return the newest datasets first."""
    found = rows(
        cursor,
        f"""WITH d AS (SELECT * FROM datasets ORDER BY dataset_no DESC LIMIT ?),
        i AS (SELECT dataset_no, count(*) AS items FROM items GROUP BY dataset_no),
        a AS (SELECT dataset_no, count(*) AS annotations FROM {_OBJECTS} JOIN object_sets USING (set_no)
              WHERE role = 'truth' GROUP BY dataset_no),
        r AS (SELECT dataset_no, count(*) AS runs FROM object_sets WHERE role = 'run' GROUP BY dataset_no)
        SELECT dataset_id AS id, name, coalesce(items, 0) AS items, coalesce(annotations, 0) AS annotations,
            coalesce(runs, 0) AS runs, created_at
        FROM d LEFT JOIN i USING (dataset_no) LEFT JOIN a USING (dataset_no) LEFT JOIN r USING (dataset_no)
        ORDER BY dataset_no DESC""",
        [limit],
    )
    return [DatasetFacts(**row) for row in found]


def model_facts(cursor: Cursor, *, limit: int) -> list[ModelFacts]:
    """Return the newest models first."""
    found = rows(
        cursor,
        """SELECT model_id AS id, name, reference_id,
            (SELECT count(*) FROM model_runs r WHERE r.model_no = m.model_no) AS runs, created_at
        FROM models m ORDER BY model_no DESC LIMIT ?""",
        [limit],
    )
    return [ModelFacts(**row) for row in found]


def runs_of_dataset(cursor: Cursor, dataset: DatasetRecord) -> list[RunFacts]:
    """Return the runs on a dataset, oldest first."""
    return _runs(cursor, "s.dataset_no = ?", dataset.number)


def runs_of_model(cursor: Cursor, model: ModelRecord) -> list[RunFacts]:
    """Return the runs of a model with their datasets, oldest first."""
    return _runs(cursor, "s.model_no = ?", model.number)


def _runs(cursor: Cursor, condition: str, number: int) -> list[RunFacts]:
    found = rows(
        cursor,
        f"""WITH s AS (SELECT * FROM object_sets s WHERE role = 'run' AND {condition}),
        p AS (SELECT set_no, count(*) AS predictions FROM {_OBJECTS} WHERE set_no IN (SELECT set_no FROM s) GROUP BY set_no)
        SELECT r.run_id, m.model_id, m.name AS model_name, d.dataset_id, d.name AS dataset_name,
            coalesce(p.predictions, 0) AS predictions, c.created_at AS calculated_at
        FROM s JOIN model_runs r USING (run_no) JOIN models m ON m.model_no = s.model_no JOIN datasets d USING (dataset_no)
        LEFT JOIN p USING (set_no) LEFT JOIN match_sets c ON c.set_no = s.set_no AND c.current
        ORDER BY s.set_no""",
        [number],
    )
    return [RunFacts(**row) for row in found]


def type_facts(cursor: Cursor, dataset: DatasetRecord) -> list[TypeFacts]:
    """Return how many annotations of each type a dataset has."""
    found = rows(
        cursor,
        f"SELECT type, count(*) AS count FROM {_OBJECTS} JOIN object_sets USING (set_no) "
        "WHERE role = 'truth' AND dataset_no = ? GROUP BY type ORDER BY count DESC, type",
        [dataset.number],
    )
    return [TypeFacts(**row) for row in found]


def label_facts(cursor: Cursor, dataset: DatasetRecord, *, limit: int) -> list[LabelFacts]:
    """Return the commonest labels of the geometric annotations first."""
    found = rows(
        cursor,
        "SELECT label, count(*) AS count, count(DISTINCT item_no) AS items FROM objects JOIN object_sets USING (set_no) "
        "WHERE role = 'truth' AND dataset_no = ? GROUP BY label ORDER BY count DESC, label LIMIT ?",
        [dataset.number, limit],
    )
    return [LabelFacts(**row) for row in found]
