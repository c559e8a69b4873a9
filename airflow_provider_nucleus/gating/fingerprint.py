"""Equality of fingerprints, with the reason in words where two differ, and the coarser class that windows of batches need.

| part | equal when | in the class of a window |
| --- | --- | --- |
| `data` | the same text: `dataset:ds_1`, `benchmark:bm_1@3` (its version behind the @), `file:gt` | without the version |
| `scope` | the same slice, query or file, or none on both sides | no |
| `ground_truth` | the same digest; one that only one side has is a difference | no |
| `options` | the same values, whatever their order; null and left out are one | yes |
| `engine` | the same name, and the same release (`engine_release`) | yes |

Of two measurements (`measurement_differences`) both count all predictions, or both those above a confidence, each its own.

Of an engine's version the part before the second dot counts: 1.4.0 and 1.4.7 count alike, 1.4 and 1.5 may not. An engine that
states no version is compared by its name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_nucleus.gating.measurement import Fingerprint, MatchColumns, Measurement

__all__ = [
    "data_name",
    "differences",
    "digest_ground_truth",
    "digest_text",
    "engine_release",
    "ground_truth_of",
    "lineage",
    "listed_object",
    "measurement_differences",
    "same_ground_truth",
    "summed_digests",
    "unstated",
    "window_class",
    "window_differences",
]

_VERSION = re.compile(r"\bv?(\d+)(?:\.(\d+))?(?:\.[0-9A-Za-z.+-]+)?\b")
_BITS = 256
_SHAPE_FIELDS = ("type", "geometry", "annotations", "taxonomy_name", "labels")
_sorted_json = json.JSONEncoder(sort_keys=True).encode
"""`json.dumps(..., sort_keys=True)` makes an encoder for each object."""
_CROWD_FIELDS = ("iscrowd", "ignore")
"""Members of an object's metadata that decide what counts."""


def data_name(kind: str, object_id: str, *, version: str | int | None = None) -> str:
    """Return the text of `Fingerprint.data`: `dataset:ds_1`, `benchmark:bm_1@3`, `file:gt`."""
    return f"{kind}:{object_id}" if version is None else f"{kind}:{object_id}@{version}"


def lineage(data: str) -> str:
    """Return the data set or benchmark that *data* names, whichever version."""
    kind, separator, rest = data.partition(":")
    return f"{kind}:{rest.rpartition('@')[0] or rest}" if separator and kind == "benchmark" else data


def engine_release(engine: str) -> str:
    """Return the engine as far as it decides what numbers are: its name, and its version up to the second dot."""
    return _VERSION.sub(
        lambda found: found[1] if found[2] is None else f"{found[1]}.{found[2]}", engine.strip(), count=1
    )


def differences(
    first: Fingerprint, second: Fingerprint, *, names: tuple[str, str] = ("candidate", "baseline")
) -> list[str]:
    """Return why numbers of the two cannot be compared one by one, a sentence each; nothing when they can.

    *names* are what the sentences call the two.
    """
    found = []
    if first.data != second.data:
        found.append(_different("data", first.data, second.data, names))
    if first.scope != second.scope:
        found.append(_different("scope", first.scope or "all of it", second.scope or "all of it", names))
    if first.ground_truth != second.ground_truth:
        found.append(_ground_truth(first.ground_truth, second.ground_truth, names))
    return found + _definition(first, second, names)


def measurement_differences(
    first: Measurement, second: Measurement, *, names: tuple[str, str] = ("candidate", "baseline")
) -> list[str]:
    """Return why the numbers of two measurements cannot be compared one by one: as `differences`, at one overlap.

    Nor where one alone leaves out predictions; each may be measured above a cut of its own.
    """
    found = differences(first.fingerprint, second.fingerprint, names=names)
    overlap, other = first.iou_threshold, second.iou_threshold
    named = first.fingerprint.options.get("iou_threshold") != second.fingerprint.options.get("iou_threshold")
    if overlap is not None and other is not None and overlap != other and not named:
        found.append(_different("overlap", f"{overlap:g}", f"{other:g}", names))
    cuts = first.confidence_threshold, second.confidence_threshold
    if (cuts[0] is None) != (cuts[1] is None):
        found.append(_different("confidence", _kept(cuts[0]), _kept(cuts[1]), names))
    return found


def window_differences(
    first: Fingerprint, second: Fingerprint, *, names: tuple[str, str] = ("candidate", "accepted batch")
) -> list[str]:
    """Return why two batches are not of one series: other data or benchmark (its version apart), options or engine."""
    found = []
    if lineage(first.data) != lineage(second.data):
        found.append(_different("data", lineage(first.data), lineage(second.data), names))
    return found + _definition(first, second, names)


def window_class(fingerprint: Fingerprint) -> str:
    """Return a digest that batches of one series share, and batches `window_differences` tells apart do not."""
    known = [
        lineage(fingerprint.data),
        _canonical(_stated(fingerprint.options)),
        engine_release(fingerprint.engine),
    ]
    return hashlib.sha256(_canonical(known).encode()).hexdigest()[:16]


def unstated(first: Fingerprint, second: Fingerprint) -> list[str]:
    """Return what neither side states, so that equal fingerprints do not prove it equal."""
    notes = []
    if first.ground_truth is None and second.ground_truth is None and "@" not in first.data:
        notes.append(
            "neither side has a digest of its ground truth: labels that were corrected in between are not noticed"
        )
    if not first.engine and not second.engine:
        notes.append("neither side says what computed its numbers")
    return notes


def digest_ground_truth(objects: Iterable[tuple[str | None, ...]]) -> str:
    """Return a digest of the objects to be found, each as texts (item, label, id), in any order and memory of one."""
    return digest_text(*summed_digests(objects))


def summed_digests(objects: Iterable[tuple[str | None, ...]]) -> tuple[int, int]:
    """Return how many objects there are, and the sum of their digests; sums of disjoint parts add up to that of the whole."""
    total = count = 0
    for each in objects:
        # `_canonical` of a list of texts, written by hand: there are many.
        text = f"[{','.join('null' if part is None else encode_basestring(part) for part in each)}]"
        total += int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
        count += 1
    return count, total % (1 << _BITS)


def digest_text(count: int, total: int) -> str:
    """Return the digest of a number of objects from the sum of theirs."""
    return f"{count}-{total % (1 << _BITS):064x}"


def listed_object(wire: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Return an object as a server lists it (parsed JSON) as the texts of its digest: item, label, id, and what else decides its match."""
    return (
        str(wire.get("reference_id")),
        *(None if (value := wire.get(name)) is None else str(value) for name in ("label", "annotation_id")),
        _shape(wire),
    )


def _shape(wire: Mapping[str, Any]) -> str:
    metadata = wire.get("metadata") or {}
    parts = {name: wire.get(name) for name in _SHAPE_FIELDS}
    if isinstance(url := wire.get("mask_url"), str):
        # The host is that of whoever asks, a signature changes with the hour.
        parts["mask"] = url.partition("?")[0].partition("://")[2].partition("/")[2]
    if isinstance(metadata, dict):
        parts |= {name: metadata[name] for name in _CROWD_FIELDS if name in metadata}
    return _sorted_json({name: value for name, value in parts.items() if value is not None})


def ground_truth_of(matches: MatchColumns) -> str:
    """Return the digest of the ground truth that rows of a match name: item, label and id of each object."""
    return digest_ground_truth(_truths(matches))


def same_ground_truth(first: MatchColumns, second: MatchColumns) -> str | None:
    """Return why two matches were not made on the same ground truth, None when they were."""
    one, other = Counter(_truths(first)), Counter(_truths(second))
    if one == other:
        return None
    more, less = one - other, other - one
    only = min(more | less, key=str)
    return (
        f"they were made on different ground truth: {more.total()} objects only in the first match, {less.total()} only in the "
        f"second, one of them {only[2]!r} ({only[1]}) on item {only[0]!r}; measure both models on the same ground truth"
    )


def _truths(matches: MatchColumns) -> Iterable[tuple[str, str, str | None]]:
    return (
        (matches.items[item], matches.labels[label], truth_id)
        for item, label, truth_id in zip(matches.item, matches.truth, matches.truth_id, strict=True)
        if label is not None
    )


def _definition(first: Fingerprint, second: Fingerprint, names: tuple[str, str]) -> list[str]:
    one, other = _stated(first.options), _stated(second.options)
    found = [
        _different(f"option {option}", _printed(one, option), _printed(other, option), names)
        for option in sorted(one.keys() | other.keys())
        if _canonical(one.get(option)) != _canonical(other.get(option))
    ]
    if engine_release(first.engine) != engine_release(second.engine):
        found.append(_different("engine", first.engine or "unknown", second.engine or "unknown", names))
    return found


def _ground_truth(first: str | None, second: str | None, names: tuple[str, str]) -> str:
    if first is None or second is None:
        without = names[0] if first is None else names[1]
        return f"ground_truth: {without} has no digest of its ground truth, so that it may be another"
    one, other = (text.partition("-")[0] for text in (first, second))
    if one.isdecimal() and other.isdecimal() and one != other:
        return _different("ground_truth", f"{one} objects", f"{other} objects", names)
    return (
        f"ground_truth: {names[0]} and {names[1]} were measured against different objects "
        f"({first[:11]} and {second[:11]})"
    )


def _kept(cut: float | None) -> str:
    return "all predictions" if cut is None else f"those from {cut:g} on"


def _different(part: str, first: str, second: str, names: tuple[str, str]) -> str:
    return f"{part}: {names[0]} has {first}, {names[1]} has {second}"


def _stated(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _printed(options: dict[str, Any], name: str) -> str:
    return _canonical(options[name]) if name in options else "none"


def _canonical(value: Any) -> str:
    """Return JSON that equal values share: sorted keys, tuples as lists, whole floats as integers."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
