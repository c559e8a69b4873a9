"""Named taxonomies of a dataset: which labels its categories may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.dot_ids import DOT_ID_PROBLEM, DOT_IDS
from airflow_provider_nucleus.local.errors import BadRequestError, NotFoundError

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.store.catalog.dataset import Dataset
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["add", "delete"]

_CUTS = "#?%"
_TYPES = frozenset({"category", "multicategory"})


def add(cursor: Cursor, dataset: Dataset, *, name: Any, kind: Any, labels: Any, update: bool) -> str:
    """Create a taxonomy, or add labels to it with ``update``; return the status text of the contract."""
    if not isinstance(name, str) or not name:
        raise BadRequestError("taxonomy_name must be a non-empty string.")
    # The official client does not encode the slashes of a name.
    if not DOT_IDS.isdisjoint(name.split("/")):
        raise BadRequestError(f"A part of taxonomy_name {DOT_ID_PROBLEM}.")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise BadRequestError(f"type must be one of {', '.join(sorted(_TYPES))}.")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise BadRequestError("labels must be a list of strings.")
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


def delete(cursor: Cursor, dataset: Dataset, name: str) -> None:
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
