"""The one entrance: any source, any format, as a stream of rows."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.schema.batches import ColumnRows, RowBatch, RowStream
from airflow_provider_nucleus.schema.rows import SourceRow
from airflow_provider_nucleus.sources.coco import CocoReader, Geometry
from airflow_provider_nucleus.sources.coco_index import CocoIndex, index_of_mapping, load_indexes
from airflow_provider_nucleus.sources.coco_truths import CocoTruths
from airflow_provider_nucleus.sources.conversion import Conversion
from airflow_provider_nucleus.sources.files import SourceFile, find_files, open_plain
from airflow_provider_nucleus.sources.formats import (
    Format,
    check_format,
    detect_format,
    is_foreign_json,
    refuse_known_layout,
)
from airflow_provider_nucleus.sources.in_memory import read_objects
from airflow_provider_nucleus.sources.json_stream import JsonFile
from airflow_provider_nucleus.sources.jsonl import read_jsonl
from airflow_provider_nucleus.sources.layouts.documents import (
    DOCUMENT_FORMATS,
    document_mapping,
    read_objects_of,
)
from airflow_provider_nucleus.sources.mapping import (
    WIRE_FIELDS,
    RowMapping,
    as_mapping,
    complete_row,
)
from airflow_provider_nucleus.sources.parquet import read_as_it_is, read_parquet
from airflow_provider_nucleus.sources.shares import SharesWatch
from airflow_provider_nucleus.sources.template import compile_template, normal_path

__all__ = ["Kind", "first_rows", "is_in_memory", "open_rows"]

log = logging.getLogger(__name__)

Kind = Literal["items", "annotations", "predictions"]
Row = dict[str, Any]


def open_rows(
    source: Any,
    *,
    kind: Kind,
    format: str = "auto",  # ruff: ignore[builtin-argument-shadowing]
    mapping: RowMapping | Mapping[str, Any] | None = None,
    images: Any = None,
    categories: Any = None,
    geometry: Geometry = "box",
    image_folder: str | None = None,
    columns: list[str] | None = None,
) -> RowStream:
    """Open a source and return its rows in wire form, read lazily and in bounded memory.

    `source`: a path (text, `os.PathLike`, or any object with `open()`), a folder, a glob, a list of these, or rows in memory
    (schema objects or dicts). `format`: `jsonl`, `json`, `coco`, `parquet`, or found out per file. `mapping`: a
    `RowMapping`, or its arguments as a dict, or just its `fields`.

    For COCO: `images` and `categories` name the ground truth file(s) that result files refer to, or map ids to names (one file
    given for either serves for both); `geometry` is what annotations are sent as; `image_folder` is where the images of items
    are. `columns` restricts which Parquet columns are read.

    Nothing is validated and nothing is dropped: a row that cannot be read comes with its `problem`. Raises
    NucleusSourceError when a file is missing, out of reach or cut off, NucleusValidationError when it is damaged as a whole,
    NucleusConfigError when arguments do not fit together.
    """
    check_format(format)
    rules = _rules(mapping)
    rules.require_kind(kind)
    if is_in_memory(source):
        return RowStream(_completed(map(Conversion(rules).convert_batch, read_objects(source)), kind))
    reader = _RecordReader(
        kind=kind,
        format=format,
        rules=rules,
        columns=columns,
        geometry=geometry,
        coco=_coco_reader(
            rules, kind, images=images, categories=categories, geometry=geometry, image_folder=image_folder
        ),
    )
    return RowStream(reader.read(find_files(source)))


def first_rows(source: Any, count: int, *, format: str = "auto") -> list[Row]:  # ruff: ignore[builtin-argument-shadowing]
    """Return the first rows of JSONL, JSON or Parquet as they are read, before any mapping; `[]` for files with known fields."""
    rows: list[Row] = []
    for source_file in find_files(source):
        form = detect_format(source_file) if format == "auto" else format
        if form == "parquet":
            batches: Iterator[RowBatch] = read_as_it_is(source_file)
        elif form in {"jsonl", "json"} or (form == "coco" and is_foreign_json(source_file)):
            batches = (
                _read_array(source_file)
                if form != "jsonl" or is_foreign_json(source_file)
                else read_jsonl(source_file)
            )
        else:
            continue
        for batch in batches:
            rows += batch.rows[: count - len(rows)]
            if len(rows) >= count:
                return rows
    return rows


def _rules(mapping: RowMapping | Mapping[str, Any] | None) -> RowMapping:
    """Return the mapping that is given as such, as its arguments, or as its fields alone."""
    if isinstance(mapping, Mapping):
        arguments = {one.name for one in dataclasses.fields(RowMapping)}
        # `reference_id` and the like are names of both: as an argument it is a template, which no path of a column is.
        paths = all(isinstance(value, str) and "{" not in value for value in mapping.values())
        if not arguments & mapping.keys() or (paths and arguments & mapping.keys() <= WIRE_FIELDS):
            return RowMapping(fields=mapping)
    return as_mapping(mapping)


def is_in_memory(source: Any) -> bool:
    """Return whether a source is rows rather than the place where rows are."""
    if isinstance(source, (str, bytes)) or hasattr(source, "open") or hasattr(source, "__fspath__"):
        return False
    if isinstance(source, (list, tuple)):
        return not source or isinstance(source[0], Mapping) or hasattr(source[0], "to_wire")
    if isinstance(source, Iterable):
        return True
    raise NucleusConfigError(
        f"A source is a path or a list of rows, not {type(source).__name__}.", field="source"
    )


@dataclass(frozen=True, slots=True)
class _RecordReader:
    kind: Kind
    format: str
    rules: RowMapping
    columns: list[str] | None
    geometry: Geometry
    coco: Callable[[], CocoReader]

    def read(self, files: list[SourceFile]) -> Iterator[RowBatch]:
        coco: CocoReader | None = None
        conversion = Conversion(self.rules)
        by_row = False
        _require_each_once(files)
        for place, source_file in enumerate(files):
            form = self._format_of(source_file)
            if form == "coco":
                coco = coco or self.coco()
                self._check_coco_mapping(source_file)
                batches = (
                    coco.items(source_file)
                    if self.kind == "items"
                    else coco.objects(source_file, place=place, places=len(files))
                )
                # Reference ids are made by the reader.
                yield from map(Conversion(self._of_values()).convert_batch, batches)
            elif form == "parquet":
                batches = read_parquet(
                    source_file, conversion, self.rules, kind=self.kind, columns=self.columns
                )
                yield from _completed(batches, self.kind)
            elif form in DOCUMENT_FORMATS:
                rules = document_mapping(self.rules, source_file, form)
                batches = read_objects_of(
                    source_file, form, geometry=self.geometry, mapping=rules, kind=self.kind
                )
                yield from map(Conversion(rules).convert_batch, batches)
            else:
                by_row = True
                if self.format == "auto" and self.rules.finish_only:
                    refuse_known_layout(source_file)
                batches = read_jsonl(source_file) if form == "jsonl" else _read_array(source_file)
                yield from _completed(map(conversion.convert_batch, batches), self.kind)
        if by_row:
            self._warn_of_absent_paths(conversion.found)

    def _format_of(self, source_file: SourceFile) -> Format:
        if self.format != "auto":
            return self.format  # type: ignore[return-value]
        form = detect_format(source_file)
        if form in {"coco", "jsonl"} and self.rules.fields and is_foreign_json(source_file):
            # Foreign results may look like COCO's; names of fields say that they are to be read as what they are.
            return "json"
        return form

    def _of_values(self) -> RowMapping:
        rules = self.rules
        return RowMapping(labels=rules.labels, scores=rules.scores, min_confidence=rules.min_confidence)

    def _warn_of_absent_paths(self, found: set[str]) -> None:
        for target, path in self.rules.fields.items():
            paths = {normal_path(path)}
            if target == "box" and self.rules.makes_box:
                paths.update(self.rules.box_paths())
            if (
                not paths & found
                and not path.startswith("=")
                and target not in {"image_width", "image_height"}
            ):
                log.warning("No row has %r, which the mapping reads for %s; check its spelling", path, target)

    def _check_coco_mapping(self, source_file: SourceFile) -> None:
        rules = self.rules
        if rules.fields or rules.annotation_id or rules.explode or rules.patterns or rules.makes_box:
            raise NucleusConfigError(
                f"{source_file.name} is COCO, whose fields are known: only labels, scores, min_confidence and reference_id can be "
                "mapped.",
                field="mapping",
                hint="A list of foreign results is read by names with format='json'.",
            )


def _require_each_once(files: list[SourceFile]) -> None:
    """Raise NucleusConfigError where a file is named twice: its objects without ids would be there twice."""
    twice = [name for name, count in Counter(source_file.name for source_file in files).items() if count > 1]
    if twice:
        raise NucleusConfigError(
            f"The source names {twice[0]} {'and others ' if len(twice) > 1 else ''}more than once: its objects would count twice.",
            field="source",
            hint="Name each file once: list(dict.fromkeys(paths)).",
        )


def _coco_reader(
    rules: RowMapping,
    kind: Kind,
    *,
    images: Any,
    categories: Any,
    geometry: Geometry,
    image_folder: str | None,
) -> Callable[[], CocoReader]:
    if geometry not in {"box", "polygon", "keypoints"}:
        raise NucleusConfigError(
            f"geometry must be box, polygon or keypoints, got {geometry!r}", field="geometry"
        )
    reference_id = compile_template(rules.reference_id, "reference_id") if rules.reference_id else None

    def make() -> CocoReader:
        truths: CocoTruths | None = None
        if kind != "items" and (images is not None or categories is not None):
            truths = _truths(images, categories, reference_id)
        return CocoReader(
            geometry=geometry,
            truths=truths,
            image_folder=image_folder or None,
            reference_id=reference_id,
            predictions=kind == "predictions",
        )

    return make


def _truths(
    images: Any, categories: Any, reference_id: Callable[[Mapping[str, Any]], str] | None
) -> CocoTruths:
    """Read what results refer to: ground truths that have both, or one source of either."""
    if images is None or categories is None or images is categories:
        given = categories if images is None else images
        if isinstance(given, Mapping):
            section = "categories" if images is None else "images"
            return CocoTruths([index_of_mapping(**{section: given})])
        return CocoTruths(load_indexes(given, reference_id=reference_id))
    first, second = (
        _one_index(source, section, reference_id)
        for source, section in ((images, "images"), (categories, "categories"))
    )
    name = f"{first.name} and {second.name}"
    return CocoTruths([CocoIndex(name, first.references, second.categories, first.sizes)])


def _one_index(
    source: Any, section: str, reference_id: Callable[[Mapping[str, Any]], str] | None
) -> CocoIndex:
    if isinstance(source, Mapping):
        return index_of_mapping(**{section: source})
    joined, *others = load_indexes(source, reference_id=reference_id)
    for other in others:
        for first, second in ((joined.references, other.references), (joined.categories, other.categories)):
            twice = [key for key in first if key in second and first[key] != second[key]]
            if twice:
                raise NucleusConfigError(
                    f"The id {twice[0]!r} means different things in {joined.name} and {other.name}.",
                    field=section,
                    hint="Name whole ground truths, as many as files of results and in the same order.",
                )
        joined = CocoIndex(
            f"{joined.name}, {other.name}",
            {**joined.references, **other.references},
            {**joined.categories, **other.categories},
            {**joined.sizes, **other.sizes},
        )
    return joined


def _read_array(source_file: SourceFile) -> Iterator[RowBatch]:
    """Yield the objects of one JSON array; a document that is an object is one row."""
    number = 1
    with open_plain(source_file) as stream:
        document = JsonFile(stream, source_file.name)
        for elements in [[document.value()]] if document.peek() == b"{" else document.batches():
            numbers = range(number, number + len(elements))
            number += len(elements)
            if all(isinstance(one, dict) for one in elements):
                yield RowBatch(source_file.name, numbers, elements)
                continue
            placed = list(zip(numbers, elements, strict=True))
            yield RowBatch(
                source_file.name,
                [at for at, one in placed if isinstance(one, dict)],
                [one for one in elements if isinstance(one, dict)],
                [
                    SourceRow(source_file.name, at, {"raw": repr(one)[:1_000]}, "not a JSON object")
                    for at, one in placed
                    if not isinstance(one, dict)
                ],
            )
        document.finish()


def _completed(batches: Iterable[RowBatch], kind: Kind) -> Iterator[RowBatch]:
    """Supply geometry and type of rows that leave them unsaid."""
    shares = SharesWatch()
    for batch in batches:
        columns = batch.rows if isinstance(batch.rows, ColumnRows) else None
        if kind != "items":
            if columns is None or not columns.has_all("type", "geometry"):
                for row in batch.rows:
                    if "type" not in row or "geometry" not in row:
                        complete_row(row)
            shares.look(batch)
        yield batch
    shares.finish()
