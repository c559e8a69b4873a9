"""Encoding of source rows as NDJSON lines: validated, serialized, identified.

Boxes, which come by the million, take one of two fast paths: a batch that is plainly good is checked and serialized by column, a
box that is plainly good becomes its wire object directly. In any doubt the schema's parser decides, and it alone phrases errors.
Property tests hold all paths equal, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_nucleus.client.local_files import LocalFiles
from airflow_provider_nucleus.client.uploads.check.spool import NdjsonBlock
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.annotation_table import IDENTITIES, parse_annotation, parse_prediction
from airflow_provider_nucleus.schema.annotations import BoxAnnotation
from airflow_provider_nucleus.schema.batches import ColumnRows
from airflow_provider_nucleus.schema.box_columns import check_box_columns, gather_columns
from airflow_provider_nucleus.schema.items import is_local_location, parse_item
from airflow_provider_nucleus.schema.predictions import BoxPrediction
from airflow_provider_nucleus.schema.row_fast_path import box_wire_builder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_provider_nucleus.client.uploads.upload_spec import Kind
    from airflow_provider_nucleus.gating.profile_counts import ProfileCounts
    from airflow_provider_nucleus.schema.box_columns import BoxColumns

__all__ = [
    "BadRow",
    "EncodedBatch",
    "Encoder",
    "Key",
    "WireRow",
    "dump_line",
    "dumps",
    "stable_id",
]

Key = tuple[str | None, ...]
"""Identity of an object on the server: equal keys are one object."""

_FAST_PATHS = {
    "annotations": box_wire_builder(BoxAnnotation),
    "predictions": box_wire_builder(BoxPrediction),
}

_plain_dumps: Callable[[Any], bytes]
"""Encode as compact JSON with the installed encoder, or raise."""

try:
    import orjson
except ImportError:  # the base install has no orjson

    def dumps(value: Any) -> bytes:
        """Encode as compact JSON."""
        return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()

    _plain_dumps = dumps

    def dump_line(value: Any) -> bytes:
        """Encode as one line of NDJSON."""
        return dumps(value) + b"\n"

else:
    _plain_dumps = orjson.dumps

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
    """A good row: its wire object, its identity, the local file it needs, and whether we generated its id."""

    wire: dict[str, Any]
    key: Key
    local_file: str | None = None
    generated_id: bool = False


class BadRow(NamedTuple):
    """A rejected row: its position in the batch and the reason."""

    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """The good rows of a batch as NDJSON, with one hash of the identity each, and the bad ones.

    `file_lines` are the rows that need a local file sent along; they have the hashes at the end of `hashes`. The good rows are
    in `boxes` as columns, or in `wires` as they travel.
    """

    lines: NdjsonBlock
    file_lines: NdjsonBlock
    hashes: list[int]
    bad: list[BadRow]
    boxes: BoxColumns | None = None
    wires: Sequence[dict[str, Any]] = ()

    def count_in(self, counts: ProfileCounts) -> None:
        """Add the good rows to a profile."""
        if (boxes := self.boxes) is not None:
            counts.add_boxes(
                boxes.label_counts,
                boxes.extents,
                items=boxes.reference_counts,
                confidences=boxes.confidences,
                least=boxes.least_confidence,
            )
        else:
            counts.add_rows(self.wires)


class Encoder:
    """Encoder of rows of one kind.

    `files` are the local files that rows may name, none by default; `by_jobs` says that jobs will read the rows, which fetch no
    file of this machine.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        stable_ids: bool = True,
        ignore_unknown: bool = False,
        files: LocalFiles | None = None,
        by_jobs: bool = False,
    ) -> None:
        self.kind = kind
        self._stable_ids = stable_ids
        self._ignore_unknown = ignore_unknown
        self._files = files or LocalFiles(None, masks=kind != "items")
        self._by_jobs = by_jobs
        parsers: dict[str, Callable[..., Any]] = {
            "annotations": parse_annotation,
            "predictions": parse_prediction,
            "items": parse_item,
        }
        self._parse = parsers[kind]
        self._fast_path = _FAST_PATHS.get(kind)

    def encode(self, row: Mapping[str, Any]) -> WireRow:
        """Validate one row by the schema's parser; NucleusValidationError names the field."""
        parsed = self._parse(row, ignore_unknown=self._ignore_unknown)
        wire: dict[str, Any] = parsed.to_wire()
        if self.kind == "items":
            return self._item(wire)
        identity = IDENTITIES[wire["type"]]
        reference = wire.get("reference_id") or f"\x00{wire.get('item_id')}"
        local_file = None
        if identity == "item":
            if _is_local("mask_url", wire["mask_url"]):
                local_file = wire["mask_url"]
                self._check_mask("mask_url", local_file)
            return WireRow(wire, (reference, "\x00mask"), local_file)
        if identity == "taxonomy":
            return WireRow(wire, (reference, "\x00category", wire.get("taxonomy_name")))
        generated_id = False
        if self._stable_ids and not wire.get("annotation_id"):
            wire["annotation_id"] = stable_id(wire)
            generated_id = True
        if wire.get("annotation_id") is None:
            # The server will name it, so it cannot collide with anything.
            return WireRow(wire, ())
        return WireRow(wire, self._key(reference, wire), None, generated_id)

    def encode_batch(self, rows: Sequence[dict[str, Any]]) -> EncodedBatch:
        """Validate and encode many rows; bad rows are returned, not raised."""
        if self._fast_path is not None and (boxes := self._box_columns(rows)) is not None:
            try:
                return self._encode_columns(boxes)
            except (ValueError, TypeError, RecursionError):
                pass  # a value cannot be encoded, or only by the slower encoder: row by row shows which
        lines: list[bytes] = []
        file_lines: list[bytes] = []
        hashes: list[int] = []
        file_hashes: list[int] = []
        bad: list[BadRow] = []
        wires: list[dict[str, Any]] = []
        fast_path = self._fast_path
        annotations = self.kind == "annotations"
        for at, row in enumerate(rows):
            wire = fast_path(row) if fast_path is not None else None
            if wire is not None:
                try:
                    lines.append(dump_line(wire))
                except (ValueError, TypeError, RecursionError) as error:
                    bad.append(_not_json(at, error))
                    continue
                wires.append(wire)
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
                bad.append(_not_json(at, error))
                continue
            wires.append(encoded.wire)
            if encoded.local_file is None:
                lines.append(line)
                hashes.append(hash(encoded.key) if encoded.key else -1)
            else:
                file_lines.append(line)
                file_hashes.append(hash(encoded.key))
        return EncodedBatch(
            NdjsonBlock(b"".join(lines), len(lines)),
            NdjsonBlock(b"".join(file_lines), len(file_lines)),
            hashes + file_hashes,
            bad,
            wires=wires,
        )

    def _box_columns(self, rows: Sequence[dict[str, Any]]) -> BoxColumns | None:
        """Return a batch of plainly good boxes as columns, None for any other batch."""
        if isinstance(rows, ColumnRows):
            columns = rows.columns if rows.untouched else None
        else:
            columns = gather_columns(rows)
        return None if columns is None else check_box_columns(columns, predictions=self.kind == "predictions")

    def _encode_columns(self, boxes: BoxColumns) -> EncodedBatch:
        # The identity of ground truth includes its task, which these rows do not have.
        task = (repeat(None),) if self.kind == "annotations" else ()
        hashes = list(map(hash, zip(boxes.references, boxes.ids, *task)))
        return EncodedBatch(
            NdjsonBlock(_box_lines(boxes, _plain_dumps), len(boxes)), NdjsonBlock(b"", 0), hashes, [], boxes
        )

    def _key(self, reference: str, wire: Mapping[str, Any]) -> Key:
        if self.kind == "annotations":
            return (reference, wire["annotation_id"], wire.get("task_id"))
        return (reference, wire["annotation_id"])

    def _item(self, wire: dict[str, Any]) -> WireRow:
        location = wire["image_url"]
        local_file = location if _is_local("image_url", location) else None
        if local_file is not None:
            self._files.check("image_url", local_file)
        return WireRow(wire, (wire["reference_id"],), local_file)

    def _check_mask(self, field: str, location: str) -> None:
        if self._by_jobs:
            raise NucleusValidationError(
                field,
                "is a file of this machine, which jobs cannot fetch: upload with asynchronous=False and with mask_folder "
                "(local_root in a script), the folder it lies in",
            )
        if not location.lower().endswith(".png"):
            raise NucleusValidationError(field, f"must be a .png file, got {location!r}")
        self._files.check(field, location)


def _not_json(at: int, error: Exception) -> BadRow:
    return BadRow(at, f"cannot be written as JSON: {error}")


def _is_local(field: str, location: str) -> bool:
    try:
        return is_local_location(location)
    except ValueError as error:
        raise NucleusValidationError(field, f"is neither a path nor an address: {error}") from None


def stable_id(wire: Mapping[str, Any], ordinal: int = 1) -> str:
    """Return an annotation id made from the object's content: type, label, geometry and item.

    The same object gets the same id on every attempt, as boxes do by the official client's rule; `ordinal` tells apart objects
    that are equal in all of it.
    """
    named = {name: wire.get(name) for name in ("type", "label", "geometry", "reference_id", "item_id")}
    content = json.dumps(named, sort_keys=True, separators=(",", ":"))
    digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    return f"auto-{digest}" if ordinal == 1 else f"auto-{digest}-{ordinal}"


def _box_lines(boxes: BoxColumns, dumps: Callable[[Any], bytes]) -> bytes:
    """Return columns of boxes as NDJSON, one line a box, assembled in C: a field at a time, joined once.

    Byte for byte what encoding each row's wire object would give, so that it does not show in a chunk's digest which way its rows
    came; a property test holds both equal. `dumps` encodes a value as compact JSON, or raises.
    """
    quote = '"' if boxes.verbatim else ""

    def texts(values: Sequence[str]) -> Iterable[str]:
        return values if boxes.verbatim else _each(values, dumps)

    x, y, width, height = (_numbers(side, dumps) for side in boxes.sides)
    columns: list[tuple[str, Iterable[str]]] = [
        (f'{{"label":{quote}', texts(boxes.labels)),
        (f'{quote},"type":"box","geometry":{{"x":', x),
        (',"y":', y),
        (',"width":', width),
        (',"height":', height),
        (f'}},"reference_id":{quote}', texts(boxes.references)),
        (f'{quote},"annotation_id":{quote}', texts(boxes.ids)),
    ]
    end = f'{quote},"metadata":'
    if boxes.metadata is None:
        end += "{}"
    else:
        columns.append((end, _each(boxes.metadata, dumps)))
        end = ""
    end += ',"embedding_vector":null,"track_reference_id":null,"task_id":null'
    for name, column in (
        ("confidence", None if boxes.confidences is None else _numbers(boxes.confidences, dumps)),
        ("class_pdf", None if boxes.class_pdfs is None else _each(boxes.class_pdfs, dumps)),
    ):
        if column is not None:
            columns.append((f'{end},"{name}":', column))
            end = ""
    return _interleaved(columns, end + "}\n", len(boxes))


def _interleaved(columns: Sequence[tuple[str, Iterable[str]]], end: str, count: int) -> bytes:
    width = 2 * len(columns) + 1
    parts = [end] * (width * count)
    for at, (before, column) in enumerate(columns):
        parts[2 * at :: width] = [before] * count
        parts[2 * at + 1 :: width] = column
    return "".join(parts).encode()


def _numbers(values: Sequence[float], dumps: Callable[[Any], bytes]) -> list[str]:
    return dumps(values)[1:-1].decode().split(",")


def _each(values: Sequence[Any], dumps: Callable[[Any], bytes]) -> list[str]:
    return [dumps(value).decode() for value in values]
