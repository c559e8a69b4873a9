"""From a source row to the line that travels: validated, spelled exactly, identified.

Boxes, which come by the million, take a short way that builds the wire object directly; on the slightest doubt it steps aside for
the schema's own parser, which alone decides and phrases complaints. A property test holds both ways equal.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.annotations import parse_annotation
from airflow_provider_nucleus.schema.checks import COORDINATE_LIMIT, check_class_pdf, check_metadata
from airflow_provider_nucleus.schema.items import is_local_location, parse_item
from airflow_provider_nucleus.schema.predictions import parse_prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_nucleus.client.uploads.target import Kind

__all__ = ["BadRow", "EncodedBatch", "Encoder", "Key", "WireRow", "dump_line", "dumps", "stable_id"]

Key = tuple[str | None, ...]
"""What identifies an object on the server: equal keys are one object."""

_NUMBERS = frozenset({int, float})
_LOW, _HIGH = -COORDINATE_LIMIT, COORDINATE_LIMIT
_BOX_KEYS = frozenset({
    "label", "type", "geometry", "reference_id", "annotation_id", "metadata", "embedding_vector", "track_reference_id", "task_id",
})  # fmt: skip
_PREDICTED_BOX_KEYS = _BOX_KEYS | {"confidence", "class_pdf"}

try:
    import orjson
except ImportError:  # the base install has no orjson

    def dumps(value: Any) -> bytes:
        """Encode as compact JSON."""
        return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()

    def dump_line(value: Any) -> bytes:
        """Encode as one line of NDJSON."""
        return dumps(value) + b"\n"

else:

    def dumps(value: Any) -> bytes:
        """Encode as compact JSON."""
        try:
            return orjson.dumps(value)
        except TypeError:  # an integer of more than 64 bits, which JSON and the server know
            return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()

    def dump_line(value: Any) -> bytes:
        """Encode as one line of NDJSON."""
        try:
            return orjson.dumps(value, None, orjson.OPT_APPEND_NEWLINE)
        except TypeError:
            return dumps(value) + b"\n"


class WireRow(NamedTuple):
    """A good row: its wire object, its identity, the local file it needs, and whether its id is ours."""

    wire: dict[str, Any]
    key: Key
    local_file: str | None = None
    made_id: bool = False


class BadRow(NamedTuple):
    """A row that was refused: its position in the batch and why."""

    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """The good rows of a batch as lines, with one hash of the identity each, and the bad ones.

    `file_lines` are the rows that need a local file sent along; they have the hashes at the end of `hashes`.
    """

    lines: list[bytes]
    file_lines: list[bytes]
    hashes: list[int]
    bad: list[BadRow]


class Encoder:
    """Turns rows of one kind into wire lines."""

    def __init__(
        self, kind: Kind, *, stable_ids: bool = True, ignore_unknown: bool = False, local_files: bool = True
    ) -> None:
        self.kind = kind
        self._stable_ids = stable_ids
        self._ignore_unknown = ignore_unknown
        self._local_files = local_files
        parsers: dict[str, Callable[..., Any]] = {
            "annotations": parse_annotation,
            "predictions": parse_prediction,
            "items": parse_item,
        }
        self._parse = parsers[kind]
        self._short = {"annotations": _annotated_box, "predictions": _predicted_box}.get(kind)

    def encode(self, row: Mapping[str, Any]) -> WireRow:
        """Validate one row the thorough way; NucleusValidationError names the field."""
        parsed = self._parse(row, ignore_unknown=self._ignore_unknown)
        wire: dict[str, Any] = parsed.to_wire()
        if self.kind == "items":
            return self._item(wire)
        kind = wire["type"]
        reference = wire.get("reference_id") or f"\x00{wire.get('item_id')}"
        local_file = None
        if kind == "mask":
            if is_local_location(wire["mask_url"]):
                local_file = wire["mask_url"]
                self._check_local("mask_url", local_file, ".png")
            return WireRow(wire, (reference, "\x00mask"), local_file)
        if kind in {"category", "multicategory"}:
            return WireRow(wire, (reference, "\x00category", wire.get("taxonomy_name")))
        made_id = False
        if self._stable_ids and not wire.get("annotation_id"):
            wire["annotation_id"] = stable_id(wire)
            made_id = True
        if wire.get("annotation_id") is None:
            # The server will name it, so it cannot collide with anything.
            return WireRow(wire, ())
        return WireRow(wire, self._key(reference, wire), None, made_id)

    def encode_batch(self, rows: Sequence[dict[str, Any]]) -> EncodedBatch:
        """Validate and spell many rows; what is refused is reported, not raised."""
        lines: list[bytes] = []
        file_lines: list[bytes] = []
        hashes: list[int] = []
        file_hashes: list[int] = []
        bad: list[BadRow] = []
        short = self._short
        annotations = self.kind == "annotations"
        for at, row in enumerate(rows):
            wire = short(row) if short is not None else None
            if wire is not None:
                lines.append(dump_line(wire))
                hashes.append(
                    hash((wire["reference_id"], wire["annotation_id"], wire["task_id"]))
                    if annotations
                    else hash((wire["reference_id"], wire["annotation_id"]))
                )
                continue
            try:
                encoded = self.encode(row)
                line = dump_line(encoded.wire)
            except NucleusValidationError as error:
                bad.append(BadRow(at, str(error)))
                continue
            except (ValueError, TypeError, RecursionError) as error:
                bad.append(BadRow(at, f"cannot be written as JSON: {error}"))
                continue
            if encoded.local_file is None:
                lines.append(line)
                hashes.append(hash(encoded.key) if encoded.key else -1)
            else:
                file_lines.append(line)
                file_hashes.append(hash(encoded.key))
        return EncodedBatch(lines, file_lines, hashes + file_hashes, bad)

    def _key(self, reference: str, wire: Mapping[str, Any]) -> Key:
        if self.kind == "annotations":
            return (reference, wire["annotation_id"], wire.get("task_id"))
        return (reference, wire["annotation_id"])

    def _item(self, wire: dict[str, Any]) -> WireRow:
        location = wire["image_url"]
        local_file = location if is_local_location(location) else None
        return WireRow(wire, (wire["reference_id"],), local_file)

    def _check_local(self, field: str, path: str, suffix: str) -> None:
        if not self._local_files:
            raise NucleusValidationError(
                field, "is a file of this machine, which jobs cannot fetch: upload with asynchronous=False"
            )
        if not path.lower().endswith(suffix):
            raise NucleusValidationError(field, f"must be a {suffix} file, got {path!r}")


def stable_id(wire: Mapping[str, Any], ordinal: int = 1) -> str:
    """Return an annotation id made of what the object is: type, label, geometry and item.

    The same object gets the same id on every attempt, as boxes do by the official client's rule; `ordinal` tells apart objects
    that are equal in all of it.
    """
    named = {name: wire.get(name) for name in ("type", "label", "geometry", "reference_id", "item_id")}
    content = json.dumps(named, sort_keys=True, separators=(",", ":"))
    digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    return f"auto-{digest}" if ordinal == 1 else f"auto-{digest}-{ordinal}"


def _plain(value: Any) -> bool:
    """Say whether a value is text nobody can object to."""
    return type(value) is str and value.isascii() and value != "" and not value.isspace()


def _box(row: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any] | None:
    """Build the part of a box that truth and prediction share; None on any doubt."""
    geometry = row.get("geometry")
    if (
        row.get("type") != "box"
        or type(geometry) is not dict
        or len(geometry) != 4
        or not known.issuperset(row)
    ):
        return None
    get = geometry.get
    x: Any = get("x")
    y: Any = get("y")
    width: Any = get("width")
    height: Any = get("height")
    if not (
        type(x) in _NUMBERS
        and type(y) in _NUMBERS
        and type(width) in _NUMBERS
        and type(height) in _NUMBERS
        and _LOW <= x <= _HIGH
        and _LOW <= y <= _HIGH
        and 0 <= width <= _HIGH
        and 0 <= height <= _HIGH
    ):
        return None
    label = row.get("label")
    reference = row.get("reference_id")
    if not (_plain(label) and _plain(reference)):
        return None
    annotation_id = row.get("annotation_id")
    if annotation_id is None:
        annotation_id = f"{label}-{x}-{y}-{width}-{height}-{reference}"
    elif not _plain(annotation_id):
        return None
    track = row.get("track_reference_id")
    if (track is not None and not _plain(track)) or row.get("embedding_vector") is not None:
        return None
    metadata: Any = row.get("metadata")
    if metadata:
        try:
            if check_metadata(metadata) is not metadata:
                return None
        except ValueError:
            return None
    elif metadata is not None and type(metadata) is not dict:
        return None
    return {
        "label": label,
        "type": "box",
        "geometry": {"x": x, "y": y, "width": width, "height": height},
        "reference_id": reference,
        "annotation_id": annotation_id,
        "metadata": metadata or {},
        "embedding_vector": None,
        "track_reference_id": track,
        "task_id": None,
    }


def _annotated_box(row: Mapping[str, Any]) -> dict[str, Any] | None:
    wire = _box(row, _BOX_KEYS)
    if wire is None:
        return None
    task_id = row.get("task_id")
    if task_id is not None:
        if not _plain(task_id):
            return None
        wire["task_id"] = task_id
    return wire


def _predicted_box(row: Mapping[str, Any]) -> dict[str, Any] | None:
    wire = _box(row, _PREDICTED_BOX_KEYS)
    if wire is None:
        return None
    confidence: Any = row.get("confidence")
    if confidence is not None:
        if type(confidence) not in _NUMBERS or not 0 <= confidence <= 1:
            return None
        wire["confidence"] = confidence
    class_pdf = row.get("class_pdf")
    if class_pdf is not None:
        try:
            wire["class_pdf"] = check_class_pdf(class_pdf)
        except ValueError:
            return None
    return wire
