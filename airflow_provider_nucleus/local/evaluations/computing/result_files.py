"""Results of evaluations as files: a folder of typed columns per evaluation, mapped into memory when read.

A folder appears all at once (written beside, then renamed), never changes, and its name is never used again: the row of
the evaluation says which one is its own, so that an older store that is put back takes none for another. Everything that
is one number per object is a `.npy` file; `about.json` has the vocabularies, the provenance and whatever else is small.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_nucleus.local.disk.durable import part_of, sync_directory, written
from airflow_provider_nucleus.local.disk.full_disk import full_disk_named
from airflow_provider_nucleus.local.exact_json import dump_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LAYOUT", "ResultFiles"]

LAYOUT: Final = 5
"""Changes when files of an older version can no longer be read."""


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
        folder = self.root / name
        found: dict[str, NDArray[Any]] = {}
        for column in self.about(name)["columns"]:
            path = folder / f"{column}.npy"
            # An empty file cannot be mapped. Plain arrays: every operation on a memmap object makes another.
            values = np.load(path, mmap_mode="r", allow_pickle=False) if _has_rows(path) else np.load(path)
            found[column] = np.asarray(values)
        return found

    def remove(self, name: str) -> None:
        """Delete a result; readers that have it mapped keep what they see."""
        shutil.rmtree(self.root / name, ignore_errors=True)


def _fill(folder: Path, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> None:
    for name, values in arrays.items():
        # Not into a file of the system: NumPy would write that past Python, and not look whether its end got there.
        with written(folder / f"{name}.npy") as file:
            np.save(file, values, allow_pickle=False)
    with written(folder / "about.json") as file:
        file.write(dump_json({"layout": LAYOUT, "columns": sorted(arrays), **about}))


def _has_rows(path: Path) -> bool:
    # The header is padded to a multiple of 64 bytes, at least 128: anything beyond is data.
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, _ = read(file)
    return 0 not in shape
