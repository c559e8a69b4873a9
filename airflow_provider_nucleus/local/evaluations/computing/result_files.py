"""Results of evaluations as files: typed columns, one behind the other, mapped into memory as a whole when read.

A folder appears all at once (written beside, then renamed), never changes, and its name is never used again: the row of
the evaluation says which one is its own, so that an older store that is put back takes none for another. Everything that
is one number per object is a column of `columns.bin`: descriptors and mappings are few in a process.
`about.json` says where each column lies, and has the vocabularies, the provenance and whatever else is small.
"""

from __future__ import annotations

import math
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from airflow_provider_nucleus.local.disk.durable import part_of, sync_directory, written
from airflow_provider_nucleus.local.disk.full_disk import full_disk_named
from airflow_provider_nucleus.local.exact_json import dump_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LAYOUT", "ResultFiles"]

LAYOUT: Final = 6
"""Changes when files of an older version can no longer be read."""

_COLUMNS: Final = "columns.bin"
_ALIGNMENT: Final = 64
"""Every column begins at a multiple of these bytes."""


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """The folder of all results."""

    root: Path

    def write(self, evaluation_id: str, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> str:
        """Write a result durably and return the name of its folder; nothing is left of one that cannot be written."""
        name = f"{evaluation_id}.{secrets.token_hex(4)}"
        beside = part_of(self.root / name)
        with full_disk_named(self.root):
            self.root.mkdir(exist_ok=True)
            try:
                beside.mkdir()
                _fill(beside, arrays, about)
                beside.rename(self.root / name)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
            sync_directory(self.root)
        return name

    def about(self, name: str) -> dict[str, Any]:
        """Return the small facts of a result; raises FileNotFoundError when there is none."""
        found: dict[str, Any] = parse_json(
            (self.root / name / "about.json").read_bytes(), what="The description of a result"
        )
        if found["layout"] != LAYOUT:
            raise FileNotFoundError(
                f"the result {name} was written by another version (layout {found['layout']}): evaluate again"
            )
        return found

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Map every column of a result into memory, read-only."""
        places = self.about(name)["columns"]
        # NumPy would hold a descriptor for as long as a view lives; Arrow closes the file and keeps the mapping.
        with pa.memory_map(str(self.root / name / _COLUMNS)) as file:
            octets = np.frombuffer(file.read_buffer(), np.uint8)
        return {column: _column(octets, place) for column, place in places.items()}

    def remove(self, name: str) -> None:
        """Delete a result; readers that have it mapped keep what they see."""
        shutil.rmtree(self.root / name, ignore_errors=True)


def _fill(folder: Path, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> None:
    places: dict[str, dict[str, Any]] = {}
    with written(folder / _COLUMNS) as file:
        for name, values in sorted(arrays.items()):
            file.write(bytes(-file.size % _ALIGNMENT))
            places[name] = {"type": values.dtype.str, "shape": list(values.shape), "start": file.size}
            file.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    with written(folder / "about.json") as file:
        file.write(dump_json({"layout": LAYOUT, "columns": places, **about}))


def _column(octets: NDArray[np.uint8], place: Mapping[str, Any]) -> NDArray[Any]:
    """Return the view of a mapped file that is one column."""
    kind, start = np.dtype(place["type"]), place["start"]
    size = kind.itemsize * math.prod(place["shape"])
    column: NDArray[Any] = octets[start : start + size].view(kind).reshape(place["shape"])
    return column
