"""Duplicate identities of an input of any size, found in bounded memory.

The first pass collects a 64-bit hash per row, spread over buckets by the low bits; full buckets go to disk. Two identities may
share a hash, so a repeated hash is only a candidate. When there are candidates, a second pass compares their rows exactly.
"""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from airflow_provider_nucleus.client.uploads.check.encoding import Key

__all__ = ["ExactKeys", "KeyHashes", "RepeatedHashes"]

BUCKETS = 256
IN_MEMORY = 1_000_000
"""Hashes kept before they go to disk: 8 bytes each."""


class KeyHashes:
    """Hashes of the identities of one pass. `folder` receives files when there are many."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._buckets = [array("q") for _ in range(BUCKETS)]
        self._held = 0
        self._spilled = False

    def add(self, hashes: Iterable[int]) -> None:
        """Add the hashes of some rows; -1 stands for a row that has no identity to repeat."""
        buckets = self._buckets
        count = 0
        for value in hashes:
            if value != -1:
                buckets[value % BUCKETS].append(value)
                count += 1
        self._held += count
        if self._held > IN_MEMORY:
            self._spill()

    def repeated(self) -> RepeatedHashes:
        """Return the hashes that occurred more than once."""
        return RepeatedHashes([self._repeated(number) for number in range(BUCKETS)])

    def _spill(self) -> None:
        for number, bucket in enumerate(self._buckets):
            with self._file(number).open("ab") as file:
                bucket.tofile(file)
            del bucket[:]
        self._held = 0
        self._spilled = True

    def _repeated(self, number: int) -> array[int]:
        values = array("q")
        if self._spilled:
            values.frombytes(self._file(number).read_bytes())
        values.extend(self._buckets[number])
        if len(set(values)) == len(values):
            return array("q")
        seen: set[int] = set()
        repeated = {value for value in values if value in seen or seen.add(value)}  # type: ignore[func-returns-value]
        return array("q", sorted(repeated))

    def _file(self, number: int) -> Path:
        return self._folder / f"keys-{number:03d}"


class RepeatedHashes:
    """Hashes that occurred more than once: 8 bytes each."""

    def __init__(self, buckets: list[array[int]]) -> None:
        self._buckets = buckets

    def __len__(self) -> int:
        return sum(map(len, self._buckets))

    def __contains__(self, value: object) -> bool:
        assert isinstance(value, int)
        bucket = self._buckets[value % BUCKETS]
        at = bisect_left(bucket, value)
        return at < len(bucket) and bucket[at] == value


class ExactKeys:
    """Counts of exact identities, kept on disk, and where each occurred first."""

    def __init__(self, folder: Path) -> None:
        self._base = sqlite3.connect(folder / "keys.sqlite", isolation_level=None)
        self._base.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;"
            "CREATE TABLE seen (key TEXT PRIMARY KEY, source TEXT, number INTEGER, times INTEGER) WITHOUT ROWID; BEGIN"
        )

    def count(self, key: Key, source: str, number: int) -> tuple[int, str, int]:
        """Count an identity; return how often it has occurred now, and where it did first."""
        times, first_source, first_number = next(self._upsert("\x00".join(map(repr, key)), source, number))
        return times, first_source, first_number

    def _upsert(self, key: str, source: str, number: int) -> Iterator[tuple[int, str, int]]:
        return self._base.execute(
            "INSERT INTO seen VALUES (?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET times = times + 1"
            " RETURNING times, source, number",
            (key, source, number),
        )

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
