"""Results of evaluations as files: a folder of typed columns per evaluation, mapped into memory when read.

A folder appears all at once (written beside, then renamed) and never changes. Everything that is one number per object
is a ``.npy`` file; ``about.json`` has the vocabularies, the provenance and whatever else is small.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from airflow_provider_nucleus.local.blobs import sync_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LAYOUT", "ResultFiles"]

LAYOUT: Final = 4
"""Changes when files of an older version can no longer be read."""


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """The folder of all results."""

    root: Path

    def write(self, evaluation_id: str, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> None:
        """Write a result durably; one that is there already is replaced."""
        self.root.mkdir(parents=True, exist_ok=True)
        beside = self.root / f"{evaluation_id}.part"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        for name, values in arrays.items():
            with (beside / f"{name}.npy").open("wb") as file:
                np.save(file, values, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        with (beside / "about.json").open("wb") as file:
            file.write(orjson.dumps({"layout": LAYOUT, "columns": sorted(arrays), **about}))
            file.flush()
            os.fsync(file.fileno())
        sync_directory(beside)
        shutil.rmtree(self.root / evaluation_id, ignore_errors=True)
        beside.rename(self.root / evaluation_id)
        sync_directory(self.root)

    def about(self, evaluation_id: str) -> dict[str, Any]:
        """Return the small facts of a result; raises FileNotFoundError when there is none."""
        found: dict[str, Any] = orjson.loads((self.root / evaluation_id / "about.json").read_bytes())
        if found["layout"] != LAYOUT:
            raise FileNotFoundError(
                f"the result of evaluation {evaluation_id} was written by another version (layout {found['layout']}): "
                "evaluate again"
            )
        return found

    def arrays(self, evaluation_id: str) -> dict[str, NDArray[Any]]:
        """Map every column of a result into memory, read-only."""
        folder = self.root / evaluation_id
        found: dict[str, NDArray[Any]] = {}
        for name in self.about(evaluation_id)["columns"]:
            path = folder / f"{name}.npy"
            # An empty file cannot be mapped. Plain arrays: every operation on a memmap object makes another.
            values = np.load(path, mmap_mode="r", allow_pickle=False) if _has_rows(path) else np.load(path)
            found[name] = np.asarray(values)
        return found

    def remove(self, evaluation_id: str) -> None:
        """Delete a result; readers that have it mapped keep what they see."""
        shutil.rmtree(self.root / evaluation_id, ignore_errors=True)
        shutil.rmtree(self.root / f"{evaluation_id}.part", ignore_errors=True)


def _has_rows(path: Path) -> bool:
    # The header is padded to a multiple of 64 bytes, at least 128: anything beyond is data.
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, _ = read(file)
    return 0 not in shape
