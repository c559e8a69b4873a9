"""What must hold in every store, whatever was done to its server: looked up in the DuckDB file of a stopped one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

_RULES = {
    "items with the same reference id in a dataset": "SELECT dataset_no, reference_id FROM items GROUP BY ALL HAVING count(*) > 1",
    "items with the same number": "SELECT item_no FROM items GROUP BY ALL HAVING count(*) > 1",
    "objects with the same identity": """SELECT set_no, item_no, annotation_id, task_id FROM objects GROUP BY ALL HAVING count(*) > 1""",
    "objects with the same number": "SELECT object_no FROM objects GROUP BY ALL HAVING count(*) > 1",
    "objects of items that do not exist": "SELECT object_no FROM objects WHERE item_no NOT IN (SELECT item_no FROM items)",
    "masks of items that do not exist": "SELECT object_no FROM masks WHERE item_no NOT IN (SELECT item_no FROM items)",
    "categories of items that do not exist": "SELECT object_no FROM categories WHERE item_no NOT IN (SELECT item_no FROM items)",
    "items of datasets that do not exist": "SELECT item_no FROM items WHERE dataset_no NOT IN (SELECT dataset_no FROM datasets)",
    "items whose picture is not there": "SELECT item_no FROM items WHERE blob IS NOT NULL AND blob NOT IN (SELECT token FROM blobs)",
    "runs of models that do not exist": "SELECT run_no FROM model_runs WHERE model_no NOT IN (SELECT model_no FROM models)",
    "jobs with the same id": "SELECT job_id FROM jobs GROUP BY ALL HAVING count(*) > 1",
}


def store_problems(data_dir: Path) -> list[str]:
    """Return what is wrong in the store of a data directory whose server has stopped, and which files are missing."""
    problems = []
    with duckdb.connect(str(data_dir / "nucleus.duckdb"), read_only=True) as store:
        for rule, sql in _RULES.items():
            if found := store.execute(sql).fetchmany(3):
                problems.append(f"{rule}: {found}")
        tokens = [row[0] for row in store.execute("SELECT token FROM blobs").fetchall()]
    missing = [token for token in tokens if not (data_dir / "blobs" / token[:2] / token).is_file()]
    if missing:
        problems.append(f"blobs without their files: {missing[:3]}")
    return problems
