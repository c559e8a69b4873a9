"""Parquet files of a few kilobytes that stand for gigabytes: read a piece at a time, or refused by the column."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.sources import open_rows

if TYPE_CHECKING:
    from pathlib import Path

_READ = """
import resource, sys
from airflow_provider_nucleus.sources import open_rows
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(1 for _ in open_rows(sys.argv[1], kind="items")), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def read(path: Path) -> tuple[int, int]:
    """Return the rows of a file, and the megabytes that reading it took, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows, megabytes = done.stdout.split()
    return int(rows), int(megabytes)


@pytest.mark.parametrize("nested", [False, True])
def test_a_text_repeated_in_every_row_is_read_a_piece_at_a_time(tmp_path: Path, *, nested: bool):
    """Two thousand rows of the same megabyte: forty kilobytes on disk, two gigabytes at once."""
    count = 2_000
    one = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array(["x" * 1_000_000]))
    ids = pa.array([f"r{n}" for n in range(count)])
    repeated = (
        {"metadata": pa.StructArray.from_arrays([one], names=["note"])} if nested else {"metadata.note": one}
    )
    path = tmp_path / "large.parquet"
    pq.write_table(
        pa.table({"reference_id": ids, "image_url": ids, **repeated}), path,
        compression="zstd", dictionary_pagesize_limit=8 << 20, store_schema=False,
    )  # fmt: skip
    assert path.stat().st_size < 200_000

    rows, megabytes = read(path)

    assert rows == count
    assert megabytes < 900


def test_a_column_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path: Path):
    """By its name, before it is read."""
    path = tmp_path / "large.parquet"
    ids = pa.array([f"r{n}" for n in range(300)])
    table = pa.table({
        "reference_id": ids,
        "image_url": ids,
        "metadata.note": pa.array(["x" * 1_000_000] * 300),
    })
    pq.write_table(table, path, compression="zstd", use_dictionary=False)

    with pytest.raises(
        NucleusValidationError, match=r"column metadata.note has [0-9,]+ bytes that unpack to 30"
    ):
        list(open_rows(path, kind="items"))
