"""Bytes that clients uploaded, as files: images, masks."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from airflow_provider_nucleus.local.disk.durable import written
from airflow_provider_nucleus.local.disk.full_disk import full_disk_named

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

__all__ = ["BlobFiles", "Kept"]

_BLOCK: Final = 1 << 20


class Kept(NamedTuple):
    """Bytes that were kept: under which token, how many, of which type."""

    token: str
    size: int
    content_type: str


class BlobFiles:
    """Files named by unguessable tokens, in sub-folders by their first two characters."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, token: str) -> Path:
        """Return where the bytes of a token lie."""
        return self._root / token[:2] / token

    def keep(self, source: BinaryIO) -> tuple[str, int]:
        """Copy a stream to disk, durably, and return its token and size in bytes."""
        token = secrets.token_hex(20)
        path = self.path(token)
        with full_disk_named(path.parent):
            path.parent.mkdir(exist_ok=True)
        with written(path) as file:
            while block := source.read(_BLOCK):
                file.write(block)
        return token, file.size

    @contextmanager
    def keeping(self) -> Generator[Callable[[BinaryIO], tuple[str, int]]]:
        """Lend `keep` for as long as no row knows the tokens; what it has kept is deleted if the block raises."""
        tokens: list[str] = []

        def keep(source: BinaryIO) -> tuple[str, int]:
            token, size = self.keep(source)
            tokens.append(token)
            return token, size

        try:
            yield keep
        except BaseException:
            for token in tokens:
                self.remove(token)
            raise

    def remove(self, token: str) -> None:
        """Delete the bytes of a token if they are there."""
        self.path(token).unlink(missing_ok=True)
