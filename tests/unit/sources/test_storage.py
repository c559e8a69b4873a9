"""Trouble of the storage a file lies in, in the middle of every format: never taken for a damaged file."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError
from airflow_provider_nucleus.sources import fingerprint, open_rows
from airflow_provider_nucleus.sources.files import find_files, open_path

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = [{"reference_id": f"i{n}", "label": "car", "type": "box", "geometry": {"x": n, "y": 0, "width": 1, "height": 1}} for n in range(20_000)]  # fmt: skip
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), file, row_group_size=2_000)
    return file.getvalue()


FORMATS: dict[str, Callable[[], bytes]] = {
    "rows.jsonl": lambda: LINES,
    "rows.jsonl.gz": lambda: gzip.compress(LINES),
    "rows.jsonl.zst": lambda: pa.compress(LINES, codec="zstd", asbytes=True),
    "rows.json": lambda: json.dumps(ROWS).encode(),
    "rows.parquet": parquet,
}
TROUBLE = [
    ConnectionResetError(104, "Connection reset by peer"),
    TimeoutError("timed out"),
    OSError(16, "SlowDown: please reduce your request rate"),
    PermissionError(13, "Access Denied"),
]


class Far:
    """A path in a store that fails after some bytes."""

    def __init__(self, name: str, data: bytes, error: OSError, *, after: int) -> None:
        self.name, self._data, self._error, self._after = name, data, error, after

    def __str__(self) -> str:
        return f"far://bucket/{self.name}"

    def open(self, mode: str) -> Any:
        assert mode == "rb"
        if self._after < 0:
            raise self._error
        return Failing(self._data, self._error, after=self._after)


class Failing(io.BytesIO):
    """Bytes that cease to come."""

    def __init__(self, data: bytes, error: OSError, *, after: int) -> None:
        super().__init__(data)
        self._error, self._left = error, after

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        self._left -= len(block)
        if self._left < 0:
            raise self._error
        return block


class Away:
    """A path in a store that cannot be asked about anything, or only about what exists."""

    def __init__(self, error: OSError, *, exists: bool) -> None:
        self._error, self._exists = error, exists

    def __str__(self) -> str:
        return "far://bucket/rows.jsonl"

    def open(self, mode: str) -> Any:
        raise AssertionError(mode)

    def is_dir(self) -> bool:
        return False

    def is_file(self) -> bool:
        if not self._exists:
            raise self._error
        return True

    def stat(self) -> Any:
        raise self._error


@pytest.mark.parametrize("error", TROUBLE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("exists", [True, False])
def test_a_store_that_is_away_is_no_missing_fingerprint(error: OSError, exists: bool):
    """Whether the input changed is not known, and the error is one that may pass."""
    with pytest.raises(NucleusSourceError, match=rf"rows\.jsonl: cannot be read: {type(error).__name__}"):
        fingerprint(Away(error, exists=exists))


@pytest.mark.parametrize("error", TROUBLE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("share", [-1, 0, 0.5], ids=["opening", "first bytes", "half"])
@pytest.mark.parametrize("name", FORMATS)
def test_trouble_of_the_storage_is_told_from_a_damaged_file(name: str, share: float, error: OSError):
    """It names the file and the trouble, and may pass."""
    data = FORMATS[name]()
    far = Far(name, data, error, after=int(share * len(data)))

    with pytest.raises(
        NucleusSourceError, match=rf"{name}: cannot be read: {type(error).__name__}"
    ) as caught:
        list(open_rows(far, kind="predictions"))
    assert caught.value.retryable
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("use", [find_files, open_path])
def test_a_file_system_that_is_not_installed_is_named(use):
    """What fsspec says about its missing package, with what to install."""

    class Address:
        """A path whose file system cannot be imported, as s3:// without s3fs."""

        def open(self, mode: str):
            raise ImportError("Install s3fs to access S3")

        def is_dir(self):
            raise ImportError("Install s3fs to access S3")

        def __str__(self):
            return "s3://batches/today"

    with pytest.raises(
        NucleusConfigError, match=r"s3://batches/today cannot be opened: Install s3fs"
    ) as caught:
        use(Address())

    assert "apache-airflow-providers-amazon[s3fs]" in str(caught.value)
