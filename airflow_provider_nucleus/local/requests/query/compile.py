"""Compiler of conditions to SQL on the alias `i` of `items`.

Every name and value of the query travels as a parameter; the SQL text is put together from the constants below only, so
no query can change what is asked.
"""

# ruff: file-ignore[hardcoded-sql-expression] - SQL is put together from constants and compiled conditions; values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, assert_never

from airflow_provider_nucleus.local.requests.query.ast import (
    Arithmetic,
    Comparison,
    Date,
    Junction,
    Number,
    Path,
    Text,
)
from airflow_provider_nucleus.local.requests.query.errors import QueryError
from airflow_provider_nucleus.local.requests.query.parser import parse
from airflow_provider_nucleus.local.requests.query.paths import (
    CategoryPath,
    CountPath,
    MetadataPath,
    ObjectField,
    ObjectPlace,
    Reference,
    SliceName,
    resolve_path,
)

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.requests.query.ast import Condition, Term, Value
    from airflow_provider_nucleus.local.requests.query.paths import PathTarget

__all__ = ["EVERYTHING", "Fragment", "QueriedObjects", "compile_query"]


@dataclass(frozen=True, slots=True)
class Fragment:
    """SQL text with the parameters of its question marks, in order."""

    sql: str
    parameters: tuple[Any, ...] = ()

    def __add__(self, other: Fragment | str) -> Fragment:
        if isinstance(other, str):
            return Fragment(self.sql + other, self.parameters)
        return Fragment(self.sql + other.sql, self.parameters + other.parameters)


EVERYTHING: Final = Fragment("true")
"""The condition that every item satisfies."""


@dataclass(frozen=True, slots=True)
class QueriedObjects:
    """The objects a query is about: the set of the ground truth and that of the selected model run.

    None for `truth` means there are none; None for `predictions` that no run is selected.
    """

    truth: int | None
    predictions: int | None


_MASKS: Final = '(SELECT unnest(from_json(segments, \'[{"label":"VARCHAR"}]\')).label AS label FROM masks m'
_POSITION: Final = {"x": "o.x", "y": "o.y"}
_SIZE: Final = {"x": "o.w", "y": "o.h"}
_SIGNS: Final = frozenset({"=", "!=", "<", "<=", ">", ">="})


def compile_query(query: str, scope: QueriedObjects) -> Fragment:
    """Return the condition a query stands for; raises `QueryError` if it is not understood."""
    condition = parse(query)
    return EVERYTHING if condition is None else _Compiler(query, scope).condition(condition)


@dataclass(frozen=True, slots=True)
class _Range:
    """The objects a calculation ranges over (side, label) and the EXISTS that was opened over them."""

    over: tuple[bool, str | None]
    opened: Fragment


class _Compiler:
    def __init__(self, query: str, scope: QueriedObjects) -> None:
        self._query = query
        self._scope = scope

    def condition(self, found: Condition) -> Fragment:
        if isinstance(found, Comparison):
            return self._comparison(found)
        assert isinstance(found, Junction)
        parts = [self.condition(part) for part in found.parts]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined + f" {found.operator} " + part
        return Fragment("(") + joined + ")"

    def _comparison(self, found: Comparison) -> Fragment:
        assert found.operator in _SIGNS
        if isinstance(found.left, Path):
            return self._simple(found, found.left)
        if not isinstance(found.right, Number):
            raise self._error(
                "a calculation is compared with text", "Compare it with a number.", found.right.position
            )
        ranges: list[_Range] = []
        value = self._calculated(found.left, ranges)
        test = value + Fragment(f" {found.operator} ?", (found.right.value,))
        return ranges[0].opened + " AND " + test + ")" if ranges else test

    def _simple(self, found: Comparison, path: Path) -> Fragment:
        meaning = self._resolved(path, found.right)
        match meaning:
            case SliceName():
                return self._slice(found)
            case CategoryPath():
                return self._category(found, meaning)
            case Reference():
                return Fragment("i.reference_id") + _text_test(found.operator, found.right)
            case MetadataPath():
                return _typed_test(_stored(meaning), found.operator, found.right)
            case ObjectField():
                test = _typed_test(_object_metadata(meaning.keys), found.operator, found.right)
                return self._objects(path, meaning) + " AND " + test + ")"
            case CountPath() | ObjectPlace():
                if not isinstance(found.right, Number):
                    raise self._error(
                        "a number is compared with something else",
                        "Compare it with a number.",
                        found.right.position,
                    )
                test = Fragment(f" {found.operator} ?", (found.right.value,))
                if isinstance(meaning, CountPath):
                    return self._count(path, meaning) + test
                return self._objects(path, meaning) + " AND " + _place(meaning) + test + ")"
            case _:
                assert_never(meaning)

    def _calculated(self, term: Term, ranges: list[_Range]) -> Fragment:
        """Return the number a term stands for; objects it ranges over are left in `ranges`, at most one entry."""
        if isinstance(term, Number):
            return Fragment("?::DOUBLE", (term.value,))
        if isinstance(term, Arithmetic):
            left, right = self._calculated(term.left, ranges), self._calculated(term.right, ranges)
            return Fragment("(") + left + f" {term.operator} " + right + ")"
        meaning = self._resolved(term, None)
        match meaning:
            case CountPath():
                return self._count(term, meaning)
            case MetadataPath():
                return _number(_stored(meaning))
            case ObjectField() | ObjectPlace():
                over = (meaning.predictions, meaning.label if isinstance(meaning, ObjectField) else None)
                if not ranges:
                    ranges.append(_Range(over, self._objects(term, meaning)))
                elif ranges[0].over != over:
                    raise self._error(
                        "a calculation mixes values of different annotations",
                        "Its paths must speak of the same annotation, or of counts and item metadata.",
                        term.position,
                    )
                if isinstance(meaning, ObjectPlace):
                    return _place(meaning)
                return _number(_object_metadata(meaning.keys))
            case Reference() | SliceName() | CategoryPath():
                raise self._error(
                    "this path is text", "Calculate with counts and numeric metadata.", term.position
                )
            case _:
                assert_never(meaning)

    def _resolved(self, path: Path, value: Value | None) -> PathTarget:
        found = resolve_path(path, compared_with=value)
        if isinstance(found, str):
            raise self._error(
                found, "Names with spaces, hyphens or other signs go into double quotes.", path.position
            )
        return found

    def _set(self, path: Path, *, predictions: bool) -> int:
        if not predictions:
            return -1 if self._scope.truth is None else self._scope.truth
        if self._scope.predictions is None:
            raise self._error(
                "predictions are asked for, but no model run is selected",
                "Give model_run_id (without it, the dataset's only run with predictions is taken).",
                path.position,
            )
        return self._scope.predictions

    def _count(self, path: Path, found: CountPath) -> Fragment:
        set_no = self._set(path, predictions=found.predictions)
        parts: list[Fragment] = []
        if found.type != "segmentation":
            part = Fragment(
                "(SELECT count(*) FROM objects o WHERE o.set_no = ? AND o.item_no = i.item_no", (set_no,)
            )
            if found.type is not None:
                part += Fragment(" AND o.type = ?", (found.type,))
            if found.label is not None:
                part += Fragment(" AND o.label = ?", (found.label,))
            parts.append(part + ")")
        if found.type in {None, "segmentation"}:
            if found.label is None:
                part = Fragment(
                    "(SELECT count(*) FROM masks m WHERE m.set_no = ? AND m.item_no = i.item_no)", (set_no,)
                )
            else:
                part = Fragment(
                    f"(SELECT count(*) FROM {_MASKS} WHERE m.set_no = ? AND m.item_no = i.item_no) s WHERE s.label = ?)",
                    (set_no, found.label),
                )
            parts.append(part)
        total = parts[0] if len(parts) == 1 else parts[0] + " + " + parts[1]
        return Fragment("(") + total + ")"

    def _objects(self, path: Path, found: ObjectField | ObjectPlace) -> Fragment:
        """Open an EXISTS over the objects a path ranges over; the caller adds a test and closes it."""
        set_no = self._set(path, predictions=found.predictions)
        opened = Fragment(
            "EXISTS (SELECT 1 FROM objects o WHERE o.set_no = ? AND o.item_no = i.item_no", (set_no,)
        )
        if isinstance(found, ObjectField) and found.label is not None:
            opened += Fragment(" AND o.label = ?", (found.label,))
        return opened

    def _category(self, found: Comparison, meaning: CategoryPath) -> Fragment:
        assert isinstance(found.left, Path)
        assert isinstance(found.right, Text)
        if found.operator not in {"=", "!="}:
            raise self._error("a category is compared by size", "Use = or !=.", found.position)
        set_no = self._set(found.left, predictions=meaning.predictions)
        has = "coalesce(c.label = ?, list_contains(from_json(c.labels, '[\"VARCHAR\"]'), ?))"
        test = f"NOT {has}" if found.operator == "!=" else has
        return Fragment(
            "EXISTS (SELECT 1 FROM categories c WHERE c.set_no = ? AND c.item_no = i.item_no "
            f"AND c.taxonomy_name = ? AND {test})",
            (set_no, meaning.taxonomy, found.right.value, found.right.value),
        )

    def _slice(self, found: Comparison) -> Fragment:
        if not isinstance(found.right, Text) or found.operator not in {"=", "!="}:
            raise self._error(
                "a slice is compared by its name or id",
                'Write slice = "night" or slice != "night".',
                found.position,
            )
        inside = Fragment(
            "i.item_no IN (SELECT e.item_no FROM slice_items e JOIN slices s USING (slice_no) "
            "WHERE s.dataset_no = i.dataset_no AND (s.name = ? OR s.slice_id = ?))",
            (found.right.value, found.right.value),
        )
        return inside if found.operator == "=" else Fragment("NOT (") + inside + ")"

    def _error(self, text: str, hint: str, position: int) -> QueryError:
        return QueryError(text, query=self._query, position=position, hint=hint)


def _pointer(keys: tuple[str, ...]) -> str:
    """Return the JSON pointer to a nested field, whatever signs its names have."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def _stored(found: MetadataPath) -> Fragment:
    column = (
        "(SELECT s.metadata FROM scenes s WHERE s.scene_no = i.scene_no)" if found.scene else "i.metadata"
    )
    return Fragment(f"json_extract_string({column}, ?)", (_pointer(found.keys),))


def _object_metadata(keys: tuple[str, ...]) -> Fragment:
    return Fragment("json_extract_string(o.metadata, ?)", (_pointer(keys),))


def _place(found: ObjectPlace) -> Fragment:
    column = (_POSITION if found.part == "position" else _SIZE).get(found.axis)
    field = Fragment(
        "try_cast(json_extract_string(o.geometry, ?) AS DOUBLE)", (f"/{found.part}/{found.axis}",)
    )
    return field if column is None else Fragment(f"coalesce({column}, ") + field + ")"


def _number(text: Fragment) -> Fragment:
    return Fragment("try_cast(") + text + " AS DOUBLE)"


def _text_test(operator: str, value: Value) -> Fragment:
    text = f"{value.value:g}" if isinstance(value, Number) else value.value
    return Fragment(f" {operator} ?", (text,))


def _typed_test(text: Fragment, operator: str, value: Value) -> Fragment:
    """Compare stored JSON with a value as what the value is: a number, a day, or text."""
    if isinstance(value, Number):
        return _number(text) + Fragment(f" {operator} ?", (value.value,))
    if isinstance(value, Date):
        return (
            Fragment("try_cast(left(") + text + Fragment(f", 10) AS DATE) {operator} ?::DATE", (value.value,))
        )
    return text + Fragment(f" {operator} ?", (value.value,))
