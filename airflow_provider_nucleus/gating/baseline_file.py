"""The baseline record as text: JSON that stays below a size, and says what was left out for it.

The numbers of labels are columns, not objects, and rounded to 9 significant digits: 80 labels with nine numbers each are 9 kB instead of
30. Where a record is still too large, what matters least goes first: numbers by metadata slice, then profiles and after them labels of the
history from its oldest entry on, then the history's oldest entries, then the oldest proposals, then profiles, and last the labels with the
least ground truth.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from airflow_provider_nucleus.gating.accepted_batches import older_batches
from airflow_provider_nucleus.gating.baseline import (
    BASELINE_SCHEMA,
    BaselineEntry,
    BaselineError,
    BaselineRecord,
)
from airflow_provider_nucleus.gating.kept_numbers import rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_nucleus.gating.measurement import Numbers

__all__ = ["SOFT_LIMIT", "dump_record", "fit_record", "parse_record", "record_from_json", "record_to_json"]

SOFT_LIMIT: Final = 60_000
"""Bytes of a record where none is chosen: Airflow asks for at most 64 kB in the state of an asset."""
_SCHEMAS: Final = BASELINE_SCHEMA.rpartition("/")[0] + "/"
_SUPPORT: Final = ("items", "ground_truth", "predictions")


def dump_record(record: BaselineRecord, *, limit: int | None = SOFT_LIMIT) -> str:
    """Return the record as JSON of at most *limit* bytes (None: whatever it takes).

    Raises BaselineError when even the least of it is larger.
    """
    return _text(record if limit is None else fit_record(record, limit=limit))


def record_to_json(record: BaselineRecord) -> dict[str, Any]:
    """Return the record as JSON values, in the form of its file."""
    value = {"schema": record.schema_, "revision": record.revision, **_plain(record)}
    for entry in _entries_of(value):
        _entry_to_json(entry)
    return value


def _entry_to_json(entry: dict[str, Any]) -> dict[str, Any]:
    """Turn the numbers of an entry into columns, in place."""
    measurement = entry["measurement"]
    measurement["overall"] = _rounded(measurement.get("overall", {}))
    if labels := measurement.pop("per_label", None):
        measurement["labels"] = _columns(labels)
    measurement["slices"] = {key: _columns(values) for key, values in measurement.get("slices", {}).items()}
    for part in ("overall", "slices"):
        if not measurement[part]:
            del measurement[part]
    return entry


def record_from_json(value: Any) -> BaselineRecord:
    """Read what `record_to_json` returned. Raises BaselineError that names the place."""
    schema = value.get("schema") if isinstance(value, dict) else None
    if isinstance(schema, str) and schema != BASELINE_SCHEMA and schema.startswith(_SCHEMAS):
        raise BaselineError(
            f"not a baseline record: schema: {schema!r} takes a later version of this package, this one knows {BASELINE_SCHEMA!r}"
        )
    try:
        return BaselineRecord.model_validate(_with_rows(json.loads(json.dumps(value))))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BaselineError(f"not a baseline record: {place}: {first['msg']}") from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BaselineError(f"not a baseline record: {type(error).__name__}: {error}") from None


def parse_record(text: str | bytes) -> BaselineRecord:
    """Read the text of a record. Raises BaselineError."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BaselineError(f"not a baseline record: {error}") from None
    return record_from_json(value)


def fit_record(record: BaselineRecord, *, limit: int = SOFT_LIMIT) -> BaselineRecord:
    """Return the record with as much as fits into *limit* bytes; `cut` says what does not, now or before.

    Raises BaselineError when even the least of it is larger.
    """
    sizes = _Sizes()
    for step in _STEPS:
        while (over := sizes.of(record) - limit) > 0:
            smaller = step(record, over)
            if smaller is None:
                break
            record = smaller
    if over > 0:
        raise BaselineError(
            f"baseline {record.name!r} is {over + limit} bytes at the least, more than the {limit} that are allowed: keep it as a file "
            "without limit, or propose measurements with fewer numbers"
        )
    return record


def _text(record: BaselineRecord) -> str:
    return _compact(record_to_json(record))


def _compact(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _Sizes:
    """Bytes that records take, which differ in few of their entries: each entry is written once, however often it is counted."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[BaselineEntry, int]] = {}
        """By identity, with the entry itself, so that no other takes its place in memory."""

    def of(self, record: BaselineRecord) -> int:
        """Return the bytes of a record as JSON."""
        bare = record.model_copy(update={"reference": None, "accepted": None, "proposals": [], "history": []})
        total = len(_text(bare).encode())
        for name in ("reference", "accepted"):
            entry = getattr(record, name)
            if entry is not None:
                total += len(f',"{name}":') + self._of_entry(entry)
        for name in ("proposals", "history"):
            entries = getattr(record, name)
            if entries:
                total += len(f',"{name}":[]') + len(entries) - 1 + sum(map(self._of_entry, entries))
        return total

    def _of_entry(self, entry: BaselineEntry) -> int:
        known = self._known.get(id(entry))
        if known is None:
            known = entry, len(_compact(_entry_to_json(_plain(entry))).encode())
            self._known[id(entry)] = known
        return known[1]


def _plain(document: BaselineRecord | BaselineEntry) -> dict[str, Any]:
    return document.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


def _entries_of(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in ("reference", "accepted"):
        if value.get(name) is not None:
            yield value[name]
    for name in ("proposals", "history"):
        yield from value.get(name, ())


def _with_rows(value: dict[str, Any]) -> dict[str, Any]:
    """Turn the columns of a file into objects again, in place."""
    for entry in _entries_of(value):
        measurement = entry["measurement"]
        if "labels" in measurement:
            measurement["per_label"] = _rows(measurement.pop("labels"))
        if "slices" in measurement:
            measurement["slices"] = {key: _rows(each) for key, each in measurement["slices"].items()}
    return value


def _rounded(numbers: dict[str, Any]) -> dict[str, Any]:
    return {**numbers, "values": {name: rounded(value) for name, value in numbers.get("values", {}).items()}}


def _columns(rows: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return numbers by label as columns; `absent` names the rows that lack a number, `undefined` those where it does not exist."""
    labels = list(rows)
    names = list(dict.fromkeys(name for row in rows.values() for name in row.get("values", {})))
    result: dict[str, Any] = {"names": labels, "values": {}}
    for name in names:
        result["values"][name] = [rounded(rows[label].get("values", {}).get(name)) for label in labels]
        absent = [place for place, label in enumerate(labels) if name not in rows[label].get("values", {})]
        if absent:
            result.setdefault("absent", {})[name] = absent
    for place, label in enumerate(labels):
        for name, reason in rows[label].get("undefined", {}).items():
            result.setdefault("undefined", {}).setdefault(reason, {}).setdefault(name, []).append(place)
    for part in _SUPPORT:
        if any(row.get(part) is not None for row in rows.values()):
            result[part] = [row.get(part) for row in rows.values()]
    return result


def _rows(columns: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"values": {}, "undefined": {}} for _ in columns["names"]]
    if len(set(columns["names"])) < len(rows):
        raise ValueError("a label is there twice")
    for name, values in columns["values"].items():
        absent = set(columns.get("absent", {}).get(name, ()))
        for place, (row, value) in enumerate(zip(rows, values, strict=True)):
            if place not in absent:
                row["values"][name] = value
    for reason, names in columns.get("undefined", {}).items():
        for name, places in names.items():
            for place in places:
                rows[range(len(rows)).index(place)]["undefined"][name] = reason
    for part in _SUPPORT:
        for row, value in zip(rows, columns.get(part, [None] * len(rows)), strict=True):
            row[part] = value
    return dict(zip(columns["names"], rows, strict=True))


def _noted(record: BaselineRecord, sentence: str, **parts: object) -> BaselineRecord:
    cut = [each for each in record.cut if each != sentence]
    return record.model_copy(update={**parts, "cut": [*cut, sentence]})


def _with_numbers(entry: BaselineEntry, **parts: object) -> BaselineEntry:
    return entry.model_copy(update={"measurement": entry.measurement.model_copy(update=parts)})


def _without_slices(record: BaselineRecord, _: int) -> BaselineRecord | None:
    def bare(entry: BaselineEntry | None) -> BaselineEntry | None:
        return entry if entry is None or not entry.measurement.slices else _with_numbers(entry, slices={})

    parts = {
        "reference": bare(record.reference),
        "accepted": bare(record.accepted),
        "proposals": [bare(entry) for entry in record.proposals],
        "history": [bare(entry) for entry in record.history],
    }
    if all(getattr(record, name) == part for name, part in parts.items()):
        return None
    return _noted(record, "numbers by metadata slice were left out", **parts)


def _without_old_profiles(record: BaselineRecord, _: int) -> BaselineRecord | None:
    place = next((n for n, entry in enumerate(record.history) if entry.measurement.profile is not None), None)
    if place is None:
        return None
    history = list(record.history)
    history[place] = _with_numbers(history[place], profile=None)
    return _noted(record, "profiles of older accepted batches were left out", history=history)


def _without_old_labels(record: BaselineRecord, _: int) -> BaselineRecord | None:
    place = next((n for n, entry in enumerate(record.history) if entry.measurement.per_label), None)
    if place is None:
        return None
    history = list(record.history)
    history[place] = _with_numbers(history[place], per_label={})
    return _noted(record, "numbers by label of older accepted batches were left out", history=history)


def _without_old_batches(record: BaselineRecord, _: int) -> BaselineRecord | None:
    if not record.history:
        return None
    parts = older_batches(record, record.history[1:], record.accepted)
    return _noted(record, "older accepted batches were left out", **parts)


def _without_old_proposals(record: BaselineRecord, _: int) -> BaselineRecord | None:
    if len(record.proposals) < 2:
        return None
    return _noted(record, "older proposals were left out", proposals=record.proposals[1:])


def _without_profiles(record: BaselineRecord, _: int) -> BaselineRecord | None:
    def bare(entry: BaselineEntry | None) -> BaselineEntry | None:
        if entry is None or entry.measurement.profile is None:
            return entry
        return _with_numbers(entry, profile=None)

    parts = {
        "reference": bare(record.reference),
        "accepted": bare(record.accepted),
        "proposals": [bare(entry) for entry in record.proposals],
    }
    if all(getattr(record, name) == part for name, part in parts.items()):
        return None
    return _noted(record, "profiles were left out: rules over them have no baseline", **parts)


def _without_rare_labels(record: BaselineRecord, over: int) -> BaselineRecord | None:
    """Leave out the labels with the least ground truth in all entries, as many as the size asks for."""
    support: dict[str, int] = {}
    current = [each for each in (record.reference, record.accepted, *record.proposals) if each is not None]
    for entry in current:
        for label, numbers in entry.measurement.per_label.items():
            support[label] = max(support.get(label, 0), _support(numbers))
    if not support:
        return None
    least = sorted(support, key=lambda label: (support[label], label))
    gone = set(least[: max(1, over // 400)])

    def shorter(entry: BaselineEntry | None) -> BaselineEntry | None:
        if entry is None:
            return None
        kept = {label: numbers for label, numbers in entry.measurement.per_label.items() if label not in gone}
        return _with_numbers(entry, per_label=kept)

    return _noted(
        record,
        "labels with the least ground truth were left out: rules over them have no baseline",
        reference=shorter(record.reference),
        accepted=shorter(record.accepted),
        proposals=[shorter(entry) for entry in record.proposals],
    )


def _support(numbers: Numbers) -> int:
    return numbers.ground_truth if numbers.ground_truth is not None else int(numbers.values.get("tp") or 0)


_STEPS: Final[tuple[Callable[[BaselineRecord, int], BaselineRecord | None], ...]] = (
    _without_slices,
    _without_old_profiles,
    _without_old_labels,
    _without_old_batches,
    _without_old_proposals,
    _without_profiles,
    _without_rare_labels,
)
