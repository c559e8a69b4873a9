"""Named taxonomies of a dataset: which labels its categories may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.errors import BadRequestError, NotFoundError

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.catalog.dataset import DatasetRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["add", "delete"]

_CUTS = "#?%"


def add(
    cursor: Cursor, dataset: DatasetRecord, *, name: str, kind: str, labels: list[str], update: bool
) -> str:
    """Create a taxonomy, or add labels to it with `update`; return the status text of the contract."""
    found = cursor.execute(
        "SELECT labels FROM taxonomies WHERE dataset_no = ? AND name = ?", [dataset.number, name]
    ).fetchone()
    if found is None:
        _check_new(name)
        unique = list(dict.fromkeys(labels))
        cursor.execute("INSERT INTO taxonomies VALUES (?, ?, ?, ?)", [dataset.number, name, kind, unique])
        return "Taxonomy created"
    if not update:
        return "Taxonomy already exists"
    cursor.execute(
        "UPDATE taxonomies SET labels = ? WHERE dataset_no = ? AND name = ?",
        [list(dict.fromkeys([*found[0], *labels])), dataset.number, name],
    )
    return "Taxonomy updated"


def _check_new(name: str) -> None:
    # The official client encodes none of these either. Taxonomies that have them already keep their names.
    if any(sign in name for sign in _CUTS):
        raise BadRequestError(
            "taxonomy_name must not hold #, ? or %, which HTTP libraries cut off or decode: a request for it would reach another object."
        )


def delete(cursor: Cursor, dataset: DatasetRecord, name: str) -> None:
    """Delete a taxonomy with its annotations and predictions."""
    where = "dataset_no = ? AND name = ?"
    if cursor.execute(f"SELECT 1 FROM taxonomies WHERE {where}", [dataset.number, name]).fetchone() is None:
        raise NotFoundError(f"Taxonomy {name} does not exist in dataset {dataset.id}.")
    cursor.execute(f"DELETE FROM taxonomies WHERE {where}", [dataset.number, name])
    cursor.execute(
        "DELETE FROM categories WHERE taxonomy_name = ? AND set_no IN "
        "(SELECT set_no FROM object_sets WHERE dataset_no = ?)",
        [name, dataset.number],
    )
