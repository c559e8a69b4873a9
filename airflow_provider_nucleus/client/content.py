"""Request bodies of known length that can be sent again: bytes, files, multipart forms.

Nothing here is held in memory but small parts; files are opened anew for every attempt.
"""

from __future__ import annotations

import json
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import quote

from airflow_provider_nucleus.exceptions import NucleusSourceError, NucleusValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["BytesContent", "Content", "FileContent", "FilePart", "Multipart", "json_bytes"]

_CHUNK = 1 << 20


class Content(Protocol):
    """A body: its length in bytes, and its bytes from the start as often as asked."""

    @property
    def size(self) -> int:
        """Length in bytes, sent as Content-Length."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes from the start."""


@dataclass(frozen=True, slots=True)
class BytesContent:
    """A body in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes chunk by chunk."""
        for at in range(0, len(self.data), _CHUNK):
            yield self.data[at : at + _CHUNK]


@dataclass(frozen=True, slots=True)
class FileContent:
    """A body in a file (or in anything that opens as one); `size` is its length in bytes, `name` what messages call it.

    Trouble with the file is a NucleusSourceError, which transports let pass: it is not the server that does not answer.
    """

    open: Callable[[], BinaryIO]
    size: int
    name: str = "a file to be sent"

    @classmethod
    def of(cls, path: str | Path) -> FileContent:
        """Describe a file of this machine; NucleusSourceError if it is not there or no file."""
        where = Path(path)
        try:
            status = where.stat()
        except (OSError, ValueError) as error:
            raise NucleusSourceError(f"cannot be sent: {error}", source=str(path)) from error
        if not stat.S_ISREG(status.st_mode):
            raise NucleusSourceError("cannot be sent: it is not a file", source=str(path))
        return cls(open=lambda: where.open("rb"), size=status.st_size, name=str(path))

    def chunks(self) -> Iterator[bytes]:
        """Yield the file chunk by chunk: `size` bytes, because so many are announced."""
        left = self.size
        with self._opened() as file:
            while left:
                chunk = self._read(file, min(left, _CHUNK))
                left -= len(chunk)
                yield chunk

    def _opened(self) -> BinaryIO:
        try:
            return self.open()
        except OSError as error:
            raise NucleusSourceError(f"cannot be read: {error}", source=self.name) from error

    def _read(self, file: BinaryIO, size: int) -> bytes:
        try:
            chunk = file.read(size)
        except OSError as error:
            raise NucleusSourceError(f"cannot be read: {error}", source=self.name) from error
        if not chunk:
            raise NucleusSourceError(
                f"ends before its {self.size} bytes: it changed while it was being sent", source=self.name
            )
        return chunk


def json_bytes(value: Any) -> bytes:
    """Encode a JSON body as the official client does; NucleusValidationError for what JSON cannot carry."""
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise NucleusValidationError("", f"the request cannot be written as JSON: {error}") from error


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of a form: the client's path, as the server will echo it, its type, and its bytes."""

    path: str
    content: Content
    content_type: str


class Multipart:
    """A multipart form in the layout of the official client: one JSON part, then files in the order of its entries.

    The server pairs the i-th file with the i-th entry; the percent-encoded path in the filename carries no meaning.
    """

    def __init__(self, *, name: str, value: Any, file_name: str, files: list[FilePart]) -> None:
        self._boundary = secrets.token_hex(16)
        payload = json_bytes(value)
        self._parts: list[tuple[bytes, Content]] = [
            (self._head("application/json", f'name="{name}"'), BytesContent(payload))
        ]
        for file in files:
            filename = quote(file.path, safe="")
            head = self._head(file.content_type, f'name="{file_name}"; filename="{filename}"')
            self._parts.append((head, file.content))
        self._tail = f"--{self._boundary}--\r\n".encode()

    def _head(self, content_type: str, disposition: str) -> bytes:
        return (
            f"--{self._boundary}\r\nContent-Type: {content_type}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
        ).encode()

    @property
    def content_type(self) -> str:
        """The header that goes with the body."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def size(self) -> int:
        """Length in bytes."""
        return sum(len(head) + content.size + 2 for head, content in self._parts) + len(self._tail)

    def chunks(self) -> Iterator[bytes]:
        """Yield the form chunk by chunk."""
        for head, content in self._parts:
            yield head
            yield from content.chunks()
            yield b"\r\n"
        yield self._tail
