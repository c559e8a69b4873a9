"""Carrying out a mapping, a column at a time: the same for rows of JSON, of Parquet and in memory.

A row that cannot be mapped becomes a problem with the field and the reason; the others go on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_nucleus.schema.batches import ColumnRows, RowBatch, zip_rows
from airflow_provider_nucleus.schema.rows import SourceRow
from airflow_provider_nucleus.sources.box_formats import BoxColumnsConverter
from airflow_provider_nucleus.sources.decode import loads
from airflow_provider_nucleus.sources.label_names import LabelNames, load_labels
from airflow_provider_nucleus.sources.mapping import WIRE_FIELDS, RowMapping
from airflow_provider_nucleus.sources.tables import ExplodedTable, RowTable
from airflow_provider_nucleus.sources.template import Template, normal_path

if TYPE_CHECKING:
    from airflow_provider_nucleus.sources.tables import Table

__all__ = ["Conversion", "place"]

Row = dict[str, Any]
_FLAT_BOX = ("x", "y", "width", "height")


class Conversion:
    """A mapping ready to be carried out; making one reads the file of names, if there is one."""

    def __init__(self, mapping: RowMapping) -> None:
        self._mapping = mapping
        self._labels: LabelNames | None = load_labels(mapping.labels) if _given(mapping.labels) else None
        self._scale = _scale(mapping.scores)
        self._fields = [(target.split("."), path) for target, path in mapping.plain_fields().items()]
        self._templates = [
            (name, Template(template, name))
            for name, template in (
                ("reference_id", mapping.reference_id),
                ("annotation_id", mapping.annotation_id),
            )
            if template is not None
        ]
        self._patterns = [
            (normal_path(path), re.compile(pattern)) for path, pattern in mapping.patterns.items()
        ]
        self._box = (
            BoxColumnsConverter(mapping.box_format or "xywh", mapping.normalized)
            if mapping.makes_box
            else None
        )
        least = mapping.min_confidence
        self._left_out = f"confidence below {least:g}" if least is not None else ""
        self.found: set[str] = set()
        """Paths of the source that some row had a value at."""

    def convert_batch(self, batch: RowBatch) -> RowBatch:
        """Map rows that are dictionaries."""
        if not self._mapping:
            return batch
        if self._mapping.finish_only:
            return self._finish_rows(batch)
        done = self.convert(RowTable(batch.rows), batch.numbers, batch.source)
        problems = sorted([*batch.problems, *done.problems], key=lambda row: row.number)
        left_out = {**batch.left_out, **done.left_out}
        return RowBatch(done.source, done.numbers, done.rows, problems, batch.made_ids, left_out)

    def convert(
        self, table: Table, numbers: Sequence[int], source: str, *, json_fields: Iterable[str] = ()
    ) -> RowBatch:
        """Map the rows of a table; text in `json_fields` is read as the object or list it spells, blank text as nothing."""
        problems: list[SourceRow] = []
        if self._mapping.explode:
            entries = ExplodedTable(table, self._mapping.exploded)
            problems += [
                SourceRow(source, numbers[at], table.row(at), reason) for at, reason in entries.bad.items()
            ]
            table, numbers = entries, [numbers[parent] for parent in entries.parents]
        if not table.count:
            return RowBatch(source, [], [], problems)
        work = _Work(table, self.found)
        for path, pattern in self._patterns:
            work.match(path, pattern)
        tree = self._renamed(work)
        for field in json_fields:
            column = tree.get(field)
            if isinstance(column, list) and str in set(map(type, column)):
                tree[field] = work.each(field, column, _read_json)
        self._finish(tree, work)
        out = self._below(tree, work)
        if self._box is not None:
            self._make_box(tree, work)
        _complete(tree)
        bad = {at: reason for at, reason in work.bad.items() if at not in out}
        problems += [SourceRow(source, numbers[at], table.row(at), reason) for at, reason in bad.items()]
        problems.sort(key=lambda row: row.number)
        left_out = {self._left_out: len(out)} if out else {}
        if not bad and not out:
            return RowBatch(source, numbers, ColumnRows(tree, table.count), problems, left_out=left_out)
        kept = [at for at in range(table.count) if at not in bad and at not in out]
        rows = ColumnRows(_selected(tree, kept), len(kept)) if kept else []
        return RowBatch(source, [numbers[at] for at in kept], rows, problems, left_out=left_out)

    def _renamed(self, work: _Work) -> Row:
        """Lay out the fields of the wire: those that are not mapped, those that are, and those made by templates."""
        mapping = self._mapping
        mapped = {target[0] for target, _ in self._fields} | {name for name, _ in self._templates}
        kept = set(WIRE_FIELDS)
        if self._box is not None:
            mapped |= (
                {"geometry", "width", "height"}
                if "type" in mapped
                else {"geometry", "width", "height", "type"}
            )
        elif "geometry" not in mapped:
            kept |= {"x", "y"}
        if mapping.fields or self._box is not None or mapping.explode:
            kept -= {path.partition(".")[0] for path in mapping.source_paths()} - mapped
        tree: Row = {}
        for name in work.table.names():
            top = name.partition(".")[0]
            if (name in kept or top in WIRE_FIELDS & kept) and top not in mapped:
                place(tree, [name] if name in kept else name.split("."), work.column(name))
        for target, path in self._fields:
            place(tree, target, work.column(path))
        for name, template in self._templates:
            tree[name] = work.fill(template)
        return tree

    def _finish(self, tree: Row, work: _Work) -> None:
        """Change labels and scores in place."""
        if self._scale is not None and "confidence" in tree:
            tree["confidence"] = list(map(self._scale, tree["confidence"]))
        if self._labels is None:
            return
        names = self._labels
        for field, change in _label_changes(names).items():
            column = tree.get(field)
            if field == "class_pdf" and isinstance(column, dict):
                column = zip_rows(column, work.table.count)
            if isinstance(column, list):
                fast = names.column(column) if field == "label" else None
                tree[field] = work.each(field, column, change) if fast is None else fast

    def _below(self, tree: Row, work: _Work) -> set[int]:
        """Return the rows below the least confidence; a row that has none is bad."""
        least = self._mapping.min_confidence
        if least is None:
            return set()
        out: set[int] = set()
        for at, value in enumerate(tree.get("confidence") or [None] * work.table.count):
            if value is None:
                work.bad.setdefault(at, _NO_CONFIDENCE)
            elif (number := _number_of(value)) is not None and number < least:
                out.add(at)
        return out

    def _make_box(self, tree: Row, work: _Work) -> None:
        mapping = self._mapping
        assert self._box is not None
        parts = [work.column(path) for path in mapping.box_paths()]
        widths: list[Any]
        heights: list[Any]
        if not mapping.normalized:
            widths = heights = [None] * work.table.count
        elif mapping.image_size is not None:
            widths, heights = ([side] * work.table.count for side in mapping.image_size)
        else:
            widths, heights = (work.column(path) for path in mapping.size_paths())
        columns, bad = self._box.convert(parts, widths, heights)
        for at, reason in bad.items():
            work.bad.setdefault(at, reason)
        tree["geometry"] = dict(zip(_FLAT_BOX, columns, strict=True))
        tree.setdefault("type", ["box"] * work.table.count)

    def _finish_rows(self, batch: RowBatch) -> RowBatch:
        """Change labels and scores of rows in place, and leave out those below the least confidence."""
        numbers: list[int] = []
        rows: list[Row] = []
        problems = list(batch.problems)
        changes = _label_changes(self._labels) if self._labels is not None else {}
        for number, row in zip(batch.numbers, batch.rows, strict=True):
            try:
                kept = self._finish_row(row, changes)
            except (ValueError, TypeError) as error:
                problems.append(SourceRow(batch.source, number, row, _placed("", error)))
                continue
            if kept:
                numbers.append(number)
                rows.append(row)
        problems.sort(key=lambda row: row.number)
        below = len(batch.rows) - len(rows) - (len(problems) - len(batch.problems))
        left_out = {**batch.left_out, **({self._left_out: below} if below else {})}
        return RowBatch(batch.source, numbers, rows, problems, batch.made_ids, left_out)

    def _finish_row(self, row: Row, changes: Mapping[str, Callable[[Any], Any]]) -> bool:
        """Change one row in place, and return whether it is kept."""
        if self._scale is not None and "confidence" in row:
            row["confidence"] = self._scale(row["confidence"])
        least = self._mapping.min_confidence
        if least is not None:
            if (confidence := row.get("confidence")) is None:
                raise ValueError(_NO_CONFIDENCE)
            if (number := _number_of(confidence)) is not None and number < least:
                return False
        for field, change in changes.items():
            if field in row:
                try:
                    row[field] = change(row[field])
                except (ValueError, TypeError) as error:
                    raise ValueError(_placed(field, error)) from None
        return True


_NO_CONFIDENCE = "confidence: is missing, and min_confidence is asked for"


class _Work:
    """The columns of one batch while they are mapped, and the reasons of its bad rows by their position."""

    def __init__(self, table: Table, found: set[str]) -> None:
        self.table = table
        self.bad: dict[int, str] = {}
        self._found = found
        self._groups: dict[str, list[Any]] = {}

    def column(self, path: str) -> Any:
        """Return the cells at a path of the source, or a constant for all rows."""
        if path.startswith("="):
            return [path[1:]] * self.table.count
        if path in self._groups:
            return self._groups[path]
        column = self.table.column(path)
        if path not in self._found and (
            isinstance(column, Mapping) or any(cell is not None for cell in column)
        ):
            self._found.add(path)
        return column

    def match(self, path: str, pattern: re.Pattern[str]) -> None:
        """Make a column of every named group."""
        groups: dict[str, list[Any]] = {name: [] for name in pattern.groupindex}
        for at, cell in enumerate(self.table.cells(path)):
            found = pattern.search(cell) if isinstance(cell, str) else None
            if found is None:
                reason = "is missing" if cell is None else f"{cell!r} does not match"
                self.bad.setdefault(
                    at, f"{path}: {reason}, and patterns has {pattern.pattern!r} for it"[:500]
                )
            for name, column in groups.items():
                column.append(found[name] if found else None)
        self._groups |= groups
        self._found.add(path)

    def fill(self, template: Template) -> list[Any]:
        """Return the template filled in for every row."""
        columns = [
            self._groups[path] if path in self._groups else self.table.cells(path) for path in template.paths
        ]
        if (filled := template.fill(columns)) is not None:
            return list(filled)
        if not columns:
            return [template.filled([])] * self.table.count
        rows: list[Any] = []
        for at, values in enumerate(zip(*columns, strict=True)):
            try:
                rows.append(template.filled(values))
            except ValueError as error:
                self.bad.setdefault(at, str(error))
                rows.append(None)
        return rows

    def each(self, field: str, column: list[Any], change: Callable[[Any], Any]) -> list[Any]:
        """Change cell by cell."""
        changed: list[Any] = []
        for at, cell in enumerate(column):
            try:
                changed.append(change(cell))
            except (ValueError, TypeError) as error:
                self.bad.setdefault(at, _placed(field, error))
                changed.append(None)
        return changed


def _label_changes(names: LabelNames) -> dict[str, Callable[[Any], Any]]:
    return {
        "label": names.of,
        "labels": names.many,
        "annotations": names.segments,
        "class_pdf": names.distribution,
    }


def _read_json(cell: Any) -> Any:
    """Return what a text spells in JSON, None for a blank one, and anything else as it is."""
    if not isinstance(cell, str):
        return cell
    try:
        return loads(cell.encode("utf-8", "surrogatepass")) if cell.strip() else None
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None


def _placed(field: str, error: Exception) -> str:
    """Return the reason of an error with the field it is in."""
    reason = getattr(error, "reason", str(error))
    return f"{field}: {reason}" if field else str(reason)


def place(tree: Row, path: Sequence[str], leaf: Any) -> None:
    """Put a column where a path leads in a tree of columns."""
    for name in path[:-1]:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            inner = tree[name] = {}
        tree = inner
    tree[path[-1]] = leaf


def _complete(tree: Row) -> None:
    """Do for all rows at once what `complete_row` does for one: gather flat boxes, and say that they are boxes."""
    if "geometry" not in tree and all(name in tree for name in _FLAT_BOX):
        if any(None in tree[name] for name in _FLAT_BOX):
            return
        tree["geometry"] = {name: tree.pop(name) for name in _FLAT_BOX}
    geometry = tree.get("geometry")
    if "type" not in tree and isinstance(geometry, dict) and isinstance(xs := geometry.get("x"), list):
        tree["type"] = ["box"] * len(xs)


def _selected(tree: Mapping[str, Any], kept: Sequence[int]) -> Row:
    return {
        name: _selected(column, kept) if isinstance(column, Mapping) else [column[at] for at in kept]
        for name, column in tree.items()
    }


def _given(labels: Any) -> bool:
    return bool(labels) if isinstance(labels, (Mapping, Sequence)) else labels is not None


def _number_of(value: Any) -> float | None:
    """Return a number, also that in a scalar of NumPy or PyTorch; None for anything else, which the validation refuses."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _scale(scores: tuple[float, float] | Literal["logit"] | None) -> Callable[[Any], Any] | None:
    if scores is None:
        return None
    if scores == "logit":
        change = _logistic
    else:
        low, high = (float(bound) for bound in scores)

        def change(value: float) -> float:
            return (value - low) / (high - low)

    def scaled(value: Any) -> Any:
        number = _number_of(value)
        try:
            return value if number is None else change(number)
        except OverflowError:
            return value  # a whole number beyond all floats, which no check takes for a confidence

    return scaled


def _logistic(value: float) -> float:
    # Split by sign, because exp() overflows for large positive arguments only.
    return 1 / (1 + math.exp(-value)) if value >= 0 else (power := math.exp(value)) / (1 + power)
