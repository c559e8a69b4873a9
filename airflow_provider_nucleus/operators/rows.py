"""From the rendered arguments of an operator to the rows it uploads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_nucleus.client.local_files import local_path
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.schema.batches import ColumnRows, RowBatch, RowStream
from airflow_provider_nucleus.schema.items import is_local_location
from airflow_provider_nucleus.sources.files import find_files, in_folder, in_glob, to_path
from airflow_provider_nucleus.sources.fingerprint import file_marks, fingerprint
from airflow_provider_nucleus.sources.label_names import is_names_file
from airflow_provider_nucleus.sources.mapping import RowMapping, as_mapping
from airflow_provider_nucleus.sources.open_rows import is_in_memory, open_rows
from airflow_provider_nucleus.tasks.arguments import (
    FLAG,
    FOLDER,
    ID,
    MAPPING,
    PLACE,
    SOURCE,
    TEXT,
    NumberArgument,
    required,
)
from airflow_provider_nucleus.tasks.rendered_values import is_blank
from airflow_provider_nucleus.tasks.reports import is_mapped_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_nucleus.sources.open_rows import Kind
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["UPLOAD_ARGUMENTS", "RowSource", "as_folder", "as_path", "check_mapping"]

UPLOAD_ARGUMENTS: Final[Mapping[str, ArgumentKind]] = {
    "dataset_id": required(ID),
    "source": required(SOURCE),
    "format": TEXT,
    "mapping": MAPPING,
    "update": FLAG,
    "max_error_rate": NumberArgument(low=0, high=1),
    "quarantine": PLACE,
    "validate_only": FLAG,
    "spool": FOLDER,
}
"""The templated arguments of every upload."""


def as_path(value: Any) -> Any:
    """Return text with a scheme as ObjectStoragePath, which knows Airflow's connections; lists member by member.

    Anything else (a local path, a path object, rows in memory) is returned as it is; blanks are None.
    """
    if is_blank(value):
        return None
    if isinstance(value, str):
        return ObjectStoragePath(value) if "://" in value else value
    if isinstance(value, (list, tuple)) and all(isinstance(member, str) for member in value):
        return [as_path(member) for member in value]
    return value


def as_folder(value: Any, *, name: str) -> str | None:
    """Return the folder that an argument called *name* gives: its path on this machine, or its URL elsewhere; blanks are None."""
    if is_blank(value):
        return None
    folder = str(value)
    try:
        return local_path(folder) if is_local_location(folder) else folder
    except ValueError as error:
        raise NucleusConfigError(f"{name} {folder!r} is no folder: {error}.", field=name) from None


def check_mapping(value: Any, *, kind: Kind) -> None:
    """Raise NucleusConfigError when a mapping cannot be right; those of its arguments that hold templates are passed over."""
    if isinstance(value, RowMapping):
        value.require_kind(kind)
    elif isinstance(value, Mapping):
        as_mapping({name: one for name, one in value.items() if not _has_template(one)}).require_kind(kind)
    elif isinstance(value, str) and not _has_template(value) and not is_blank(value):
        as_mapping(value).require_kind(kind)


def _has_template(value: Any) -> bool:
    """Return whether something holds text that Airflow renders, or is not there before the DAG runs."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(_has_template(one) for pair in value.items() for one in pair)
    if isinstance(value, (list, tuple)):
        return any(map(_has_template, value))
    return hasattr(value, "resolve")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSource:
    """A source that can be read any number of times.

    `ground_truth` is the COCO file that COCO results refer to; `folder` is put before locations of images and masks that are
    relative paths.
    """

    source: Any
    kind: Kind
    format: str = "auto"
    mapping: RowMapping
    ground_truth: Any = None
    geometry: Any = "box"
    folder: str | None = None

    def rows(self) -> RowStream:
        """Open the source; every call starts from its first row."""
        stream = open_rows(
            self.source,
            kind=self.kind,
            format=self.format,
            mapping=self.mapping,
            images=self.ground_truth,
            categories=self.ground_truth,
            geometry=self.geometry,
            image_folder=self.folder,
        )
        return stream if self.folder is None else RowStream(self._placed(stream, self.folder))

    def reference_ids(self, *, skip_bad: bool = False) -> Iterator[str]:
        """Yield the reference id of every row; NucleusValidationError names the first row without one, unless *skip_bad*."""
        for row in self.rows():
            reference = None if row.problem is not None else row.data.get("reference_id")
            if isinstance(reference, str) and reference:
                yield reference
            elif not skip_bad:
                problem = row.problem or "is missing, or no text"
                raise NucleusValidationError(
                    "" if row.problem else "reference_id", problem, row=row.number, source=row.source
                )

    def refuse_overlap(self, output: Any, *, name: str = "quarantine") -> None:
        """Raise NucleusConfigError if writing *output* (None: nothing) would replace an input, or become one of the next run.

        *name* is the argument that gives the place.

        Whether or not it is there yet: a retry would find it. The same goes for what mapped siblings make of *output*: a source that
        holds such a file would read rejected rows as rows.
        """
        if output is None:
            return
        place = _place(output)
        for source in (self.source, self.ground_truth):
            if source is None or is_in_memory(source):
                continue
            for member in source if isinstance(source, (list, tuple)) else (source,):
                path = to_path(member)
                folder = hasattr(path, "is_dir") and path.is_dir()
                inside = folder and place.startswith(f"{_place(member).rstrip('/')}/")
                parts = [] if inside else [_place(part.path) for part in find_files(member)]
                if inside or place in parts or in_glob(_place(member), place):
                    raise _not_apart(output, member, name)
                if (
                    sibling := next((part for part in parts if is_mapped_form(part, place)), None)
                ) is not None:
                    raise _not_apart(sibling, member, name)

    def fingerprint(self) -> str | None:
        """Return a digest that changes when other rows would come out."""
        return self._digest(fingerprint)

    def file_marks(self) -> str | None:
        """Return a digest of names, sizes and times: while it is the same, so is the fingerprint, and nothing has to be read."""
        return self._digest(file_marks)

    def _digest(self, digest: Callable[..., str | None]) -> str | None:
        truth = None if self.ground_truth is None else digest(self.ground_truth)
        labels = self.mapping.labels
        names = [digest(labels)] if is_names_file(labels) else []
        return digest(
            self.source, self.kind, self.format, repr(self.mapping), truth, self.geometry, self.folder, *names
        )

    def _placed(self, stream: RowStream, folder: str) -> Iterator[RowBatch]:
        """Put the folder before relative locations; COCO's are complete already."""
        name = "image_url" if self.kind == "items" else "mask_url"
        for batch in stream.batches():
            columns = isinstance(batch.rows, ColumnRows) and name not in batch.rows.columns
            for row in () if columns else batch.rows:
                if isinstance(location := row.get(name), str):
                    row[name] = in_folder(folder, location)
            yield batch


def _not_apart(output: Any, member: Any, name: str) -> NucleusConfigError:
    return NucleusConfigError(
        f"The {name} file {output} is part of the input {member}: writing it would destroy the input, or be "
        "read as rows by the next run.",
        field=name,
        hint="Nothing was read or sent. Give the file a place of its own.",
    )


def _place(path: Any) -> str:
    """Spell where a path leads: links followed on a disk, as it is elsewhere."""
    text = str(path)
    return text if "://" in text and not text.startswith("file://") else os.path.realpath(to_path(text))
