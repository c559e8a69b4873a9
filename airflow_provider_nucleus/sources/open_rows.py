"""The one entrance: any source, any format, as a stream of rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.schema.batches import ColumnRows, RowBatch, RowStream
from airflow_provider_nucleus.schema.rows import SourceRow
from airflow_provider_nucleus.sources.coco import CocoReader, Geometry
from airflow_provider_nucleus.sources.coco_index import CocoIndex, index_of_mapping, load_indexes
from airflow_provider_nucleus.sources.coco_truths import CocoTruths
from airflow_provider_nucleus.sources.files import SourceFile, find_files, open_plain
from airflow_provider_nucleus.sources.formats import Format, check_format, detect_format
from airflow_provider_nucleus.sources.in_memory import read_objects
from airflow_provider_nucleus.sources.json_stream import JsonFile
from airflow_provider_nucleus.sources.jsonl import read_jsonl
from airflow_provider_nucleus.sources.mapping import RowMapping, complete_row
from airflow_provider_nucleus.sources.parquet import read_parquet
from airflow_provider_nucleus.sources.template import compile_template

__all__ = ["Kind", "is_in_memory", "open_rows"]

log = logging.getLogger(__name__)

Kind = Literal["items", "annotations", "predictions"]
Row = dict[str, Any]


def open_rows(
    source: Any,
    *,
    kind: Kind,
    format: str = "auto",  # ruff: ignore[builtin-argument-shadowing]
    mapping: RowMapping | Mapping[str, str] | None = None,
    images: Any = None,
    categories: Any = None,
    geometry: Geometry = "box",
    image_folder: str | None = None,
    columns: list[str] | None = None,
) -> RowStream:
    """Open a source and return its rows in wire form, read lazily and in bounded memory.

    `source`: a path (text, `os.PathLike`, or any object with `open()`), a folder, a glob, a list of these, or rows in memory
    (schema objects or dicts). `format`: `jsonl`, `json`, `coco`, `parquet`, or found out per file. `mapping`: a
    `RowMapping`, or just its `fields`.

    For COCO: `images` and `categories` name the ground truth file(s) that result files refer to, or map ids to names (one file
    given for either serves for both); `geometry` is what annotations are sent as; `image_folder` is where the images of items
    are. `columns` restricts which Parquet columns are read.

    Nothing is validated and nothing is dropped: a row that cannot be read comes with its `problem`. Raises
    NucleusSourceError when a file is missing, out of reach or cut off, NucleusValidationError when it is damaged as a whole,
    NucleusConfigError when arguments do not fit together.
    """
    check_format(format)
    rules = mapping if isinstance(mapping, RowMapping) else RowMapping(fields=mapping or {})
    if is_in_memory(source):
        return RowStream(_mapped(read_objects(source), rules.compile(), kind))
    reader = _RecordReader(
        kind=kind,
        format=format,
        rules=rules,
        columns=columns,
        coco=_coco_reader(
            rules, kind, images=images, categories=categories, geometry=geometry, image_folder=image_folder
        ),
    )
    return RowStream(reader.read(find_files(source)))


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
    coco: Callable[[], CocoReader]

    def read(self, files: list[SourceFile]) -> Iterator[RowBatch]:
        coco: CocoReader | None = None
        found: set[str] = set()
        by_row = False
        for place, source_file in enumerate(files):
            form: Format = detect_format(source_file) if self.format == "auto" else self.format  # type: ignore[assignment]
            if form == "coco":
                coco = coco or self.coco()
                batches = (
                    coco.items(source_file)
                    if self.kind == "items"
                    else coco.objects(source_file, place=place, places=len(files))
                )
                yield from _mapped(batches, self._coco_mapping(source_file), "items")
            elif form == "parquet":
                columnwise = not (self.rules.reference_id or self.rules.annotation_id)
                batches = read_parquet(
                    source_file, self.rules, kind=self.kind, columns=self.columns, columnwise=columnwise
                )
                finish = self.rules.finish() if columnwise else self.rules.compile()
                yield from _mapped(batches, finish, self.kind)
            else:
                by_row = True
                batches = read_jsonl(source_file) if form == "jsonl" else _read_array(source_file)
                yield from _mapped(batches, self.rules.compile(found), self.kind)
        if by_row:
            self._warn_of_absent_paths(found)

    def _warn_of_absent_paths(self, found: set[str]) -> None:
        for target, path in self.rules.fields.items():
            if path not in found and not path.startswith("="):
                log.warning("No row has %r, which the mapping reads for %s; check its spelling", path, target)

    def _coco_mapping(self, source_file: SourceFile) -> Callable[[Row], Row] | None:
        if self.rules.fields or self.rules.annotation_id:
            raise NucleusConfigError(
                f"{source_file.name} is COCO, whose fields are known: only labels, scores and reference_id can be mapped.",
                field="mapping",
            )
        return self.rules.finish()


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
    """Yield the objects of one JSON array."""
    number = 1
    with open_plain(source_file) as stream:
        for elements in JsonFile(stream, source_file.name).batches():
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


def _mapped(
    batches: Iterator[RowBatch], apply: Callable[[Row], Row] | None, kind: Kind
) -> Iterator[RowBatch]:
    """Apply the mapping to every row; a row it fails on becomes a problem with the reason."""
    for batch in batches:
        if apply is not None:
            batch = _map_batch(batch, apply)
        columns = batch.rows if isinstance(batch.rows, ColumnRows) else None
        if kind != "items" and not (columns is not None and columns.has_all("type", "geometry")):
            for row in batch.rows:
                if "type" not in row or "geometry" not in row:
                    complete_row(row)
        yield batch


def _map_batch(batch: RowBatch, apply: Callable[[Row], Row]) -> RowBatch:
    numbers: list[int] = []
    rows: list[Row] = []
    problems = list(batch.problems)
    for number, row in zip(batch.numbers, batch.rows, strict=True):
        try:
            rows.append(apply(row))
        except (ValueError, TypeError) as error:
            problems.append(SourceRow(batch.source, number, row, f"mapping failed: {error}"))
        else:
            numbers.append(number)
    problems.sort(key=lambda row: row.number)
    return RowBatch(batch.source, numbers, rows, problems, batch.made_ids)
