"""The population of an evaluation: its items, the object sets of both sides, and what the rules drop of them.

The items lie in a temporary table `evaluated` (item_no, place), places counting from 0 in order of ingestion, so that
everything read through it is read from one snapshot.
"""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants and checked rules; values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.annotation_table import CATEGORY_LABELS
from airflow_provider_nucleus.local.requests.exclusion_rules import BoxAreaRule, LabelExclusion, MetadataRule
from airflow_provider_nucleus.local.requests.query.compile import Fragment
from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
from airflow_provider_nucleus.local.store.catalog.object_sets import items_with_objects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.evaluation.arrays import IndexArray
    from airflow_provider_nucleus.local.requests.exclusion_rules import ExclusionRule, Target
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["NO_SET", "Dropped", "EvaluatedItems", "read_population"]

NO_SET: Final = -1
"""The set of predictions of a model that has none on a dataset; no object is in it."""

_TARGETS: Final[Mapping[str, Target]] = {
    "groundTruthDropped": "groundTruth",
    "predictionsDropped": "prediction",
}
_SEGMENT_LABELS: Final = 'from_json(segments, \'[{"label":"VARCHAR"}]\')'


@dataclass(frozen=True, slots=True)
class Dropped:
    """Objects that annotation rules drop of one side: a condition on rows of `objects` that stay, and labels that go."""

    kept: Fragment
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class EvaluatedItems:
    """The items of an evaluation and, per dataset they are from, the sets that are compared.

    `items` are the item numbers by place. `stats` says what the rules dropped.
    """

    items: IndexArray
    datasets: tuple[ComparedSets, ...]
    ground_truth: Dropped
    predictions: Dropped
    stats: dict[str, Any]


def read_population(
    cursor: Cursor,
    *,
    source: str,
    model_no: int | None,
    run_no: int | None,
    rules: Sequence[ExclusionRule],
    only_predicted: bool,
) -> EvaluatedItems:
    """Fill `evaluated` from a table or subquery of item numbers, and apply the rules.

    Run it inside the transaction that reads the objects; the cursor keeps the temporary table.
    """
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE candidates AS SELECT DISTINCT s.item_no, i.dataset_no, i.metadata, false AS dropped "
        f"FROM {source} s JOIN items i USING (item_no)"
    )
    datasets = _datasets(cursor, model_no=model_no, run_no=run_no)
    if only_predicted:
        anywhere = items_with_objects(_numbers(entry.predictions for entry in datasets).strip("()"))
        cursor.execute(f"DELETE FROM candidates WHERE item_no NOT IN ({anywhere})")
    before = _count(cursor, "candidates", Fragment("true"))
    counts = [_drop_items(cursor, datasets, rule) for rule in rules]
    cursor.execute(
        """CREATE OR REPLACE TEMP TABLE evaluated AS SELECT item_no,
            CAST(row_number() OVER (ORDER BY item_no) - 1 AS INTEGER) AS place
        FROM candidates WHERE NOT dropped ORDER BY item_no"""
    )
    items = cursor.execute("SELECT item_no FROM evaluated ORDER BY place").fetchnumpy()["item_no"]
    truth, predictions = (_dropped(rules, target) for target in _TARGETS.values())
    stats = _stats(cursor, datasets, rules, counts, items_dropped=before - len(items))
    return EvaluatedItems(items.astype("int64"), datasets, truth, predictions, stats)


def _datasets(cursor: Cursor, *, model_no: int | None, run_no: int | None) -> tuple[ComparedSets, ...]:
    found = cursor.execute(
        """SELECT d.dataset_no, max(s.set_no) FILTER (role = 'truth'),
            max(s.set_no) FILTER (role = 'model' AND model_no = $model OR role = 'run' AND run_no = $run)
        FROM (SELECT DISTINCT dataset_no FROM candidates) d LEFT JOIN object_sets s USING (dataset_no)
        GROUP BY d.dataset_no ORDER BY d.dataset_no""",
        {"model": model_no if run_no is None else None, "run": run_no},
    ).fetchall()
    return tuple(
        ComparedSets(truth, NO_SET if predictions is None else predictions) for _, truth, predictions in found
    )


def _numbers(sets: Any) -> str:
    return f"({', '.join(str(int(number)) for number in sets if number is not None) or NO_SET})"


def _sets_of(datasets: Sequence[ComparedSets], target: Target) -> str:
    return _numbers(entry.truth if target == "groundTruth" else entry.predictions for entry in datasets)


def _count(cursor: Cursor, table: str, condition: Fragment) -> int:
    found = cursor.execute(
        f"SELECT count(*) FROM {table} WHERE {condition.sql}", condition.parameters
    ).fetchone()
    return int(found[0]) if found else 0


def _drop_items(cursor: Cursor, datasets: Sequence[ComparedSets], rule: ExclusionRule) -> int:
    """Mark the items that a rule drops and return how many it drops by itself."""
    if rule.scope != "item":
        return 0
    if isinstance(rule, MetadataRule):
        condition = rule.condition("metadata")
    else:
        sets = _sets_of(datasets, rule.target)
        parts = [f"SELECT item_no FROM objects WHERE set_no IN {sets} AND "]
        matching = _matching(rule)
        source = Fragment(parts[0]) + matching
        if isinstance(rule, LabelExclusion):
            labels = list(rule.labels)
            source += Fragment(
                f" UNION SELECT item_no FROM categories WHERE set_no IN {sets} AND item_no IS NOT NULL AND "
                f"list_has_any({CATEGORY_LABELS}, "
                "?::VARCHAR[])"
                f" UNION SELECT item_no FROM masks WHERE set_no IN {sets} AND "
                f"list_has_any(list_transform({_SEGMENT_LABELS}, lambda s: s.label), ?::VARCHAR[])",
                (labels, labels),
            )
        condition = Fragment("item_no IN (") + source + ")"
    count = _count(cursor, "candidates", condition)
    cursor.execute(f"UPDATE candidates SET dropped = true WHERE {condition.sql}", condition.parameters)
    return count


def _matching(rule: LabelExclusion | BoxAreaRule) -> Fragment:
    """Return the condition on rows of `objects` that a rule drops."""
    if isinstance(rule, LabelExclusion):
        return Fragment("label IN (SELECT unnest(?::VARCHAR[]))", (list(rule.labels),))
    outside: list[Fragment] = []
    if rule.low is not None:
        outside.append(Fragment("w * h < ?", (rule.low,)))
    if rule.high is not None:
        outside.append(Fragment("w * h > ?", (rule.high,)))
    joined = outside[0] if len(outside) == 1 else outside[0] + " OR " + outside[1]
    return Fragment("(type = 'box' AND (") + joined + "))"


def _dropped(rules: Sequence[ExclusionRule], target: Target) -> Dropped:
    kept = Fragment("true")
    labels: set[str] = set()
    for rule in rules:
        if not isinstance(rule, MetadataRule) and rule.scope == "annotation" and rule.target == target:
            kept = kept + " AND NOT " + _matching(rule)
            if isinstance(rule, LabelExclusion):
                labels.update(rule.labels)
    return Dropped(kept, frozenset(labels))


def _stats(
    cursor: Cursor,
    datasets: Sequence[ComparedSets],
    rules: Sequence[ExclusionRule],
    items_by_rule: Sequence[int],
    *,
    items_dropped: int,
) -> dict[str, Any]:
    """Count what is dropped: per rule what it drops by itself, in total what is gone, objects on kept items only."""
    entries: list[dict[str, Any]] = []
    for rule, items in zip(rules, items_by_rule, strict=True):
        entry: dict[str, Any] = {"rule": rule.to_wire(), "itemsDropped": items, "annotationsDropped": 0}
        if not isinstance(rule, MetadataRule) and rule.scope == "annotation":
            entry["annotationsDropped"] = _objects(cursor, datasets, rule.target, _matching(rule)) + (
                _labelled(cursor, datasets, rule.target, rule.labels)
                if isinstance(rule, LabelExclusion)
                else 0
            )
        entries.append(entry)
    totals = {"itemsDropped": items_dropped}
    for name, target in _TARGETS.items():
        gone = _dropped(rules, target)
        totals[name] = _objects(cursor, datasets, target, Fragment("NOT (") + gone.kept + ")")
        totals[name] += _labelled(cursor, datasets, target, tuple(gone.labels))
    return {"totals": totals, "rules": entries}


def _objects(cursor: Cursor, datasets: Sequence[ComparedSets], target: Target, condition: Fragment) -> int:
    sets = _sets_of(datasets, target)
    return _count(
        cursor,
        "objects JOIN evaluated USING (item_no)",
        Fragment(f"set_no IN {sets} AND ") + condition,
    )


def _labelled(
    cursor: Cursor, datasets: Sequence[ComparedSets], target: Target, labels: tuple[str, ...]
) -> int:
    """Count categories and mask segments by label."""
    sets = _sets_of(datasets, target)
    found = cursor.execute(
        f"""SELECT count(*) FROM (
            SELECT unnest({CATEGORY_LABELS}) AS label
            FROM categories JOIN evaluated USING (item_no) WHERE set_no IN {sets}
            UNION ALL SELECT unnest({_SEGMENT_LABELS}).label FROM masks JOIN evaluated USING (item_no)
            WHERE set_no IN {sets}) WHERE label IN (SELECT unnest(?::VARCHAR[]))""",
        [list(labels)],
    ).fetchone()
    return int(found[0]) if found else 0
