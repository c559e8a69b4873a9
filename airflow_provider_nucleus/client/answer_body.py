"""The body of an answer as it arrives: decoded here, counted here, and never longer than its call allows.

HTTP libraries decode whatever they get and as much of it as there is: a few kilobytes become gigabytes. So both transports read the
bytes as they travel and hand them to an `AnswerBody`, which knows the two encodings that requests ask for.
"""

from __future__ import annotations

import re
import zlib

__all__ = ["ACCEPTED_ENCODINGS", "ERROR_BODY_LIMIT", "AnswerBody"]

ACCEPTED_ENCODINGS = "gzip, deflate"
"""The value of Accept-Encoding that goes with requests whose answer an `AnswerBody` reads."""

ERROR_BODY_LIMIT = 65_536
"""Bytes of an error's body that are read."""

_GZIP = frozenset({"gzip", "x-gzip"})
_ZLIB_HEADER = 2
_PIECE = 1 << 20
"""Bytes decoded at a time at most."""


class AnswerBody:
    """Collects one body. `problem` says why it cannot be used, None while it can.

    `limit` counts decoded bytes. The body of an error (`is_error`) is cut off there, any other longer one is a problem.
    """

    def __init__(self, encoding: str | None, *, limit: int, is_error: bool = False) -> None:
        self.problem: str | None = None
        self._limit = min(limit, ERROR_BODY_LIMIT) if is_error else limit
        self._is_error = is_error
        self._parts: list[bytes] = []
        self._size = 0
        names = [name for part in (encoding or "").lower().split(",") if (name := part.strip()) != "identity"]
        self._encoding = ",".join(filter(None, names))
        self._decoder: _Decoder | None = None
        if self._encoding in _GZIP or self._encoding == "deflate":
            self._decoder = _Decoder(self._encoding)
        elif self._encoding:
            named = re.sub(r"[^a-z0-9,_-]", "?", self._encoding[:40])
            self.problem = f"with a body encoded as {named!r}, which was not asked for"

    def feed(self, data: bytes) -> bool:
        """Add bytes as they came, and return whether more are wanted."""
        if self.problem is not None:
            return False
        if self._decoder is None:
            return self._add(data)
        try:
            while data or self._decoder.has_more:
                decoded, data = self._decoder.decode(data)
                if not self._add(decoded):
                    return False
        except zlib.error:
            self.problem = f"with a body that is no {self._encoding} although it says so"
            return False
        return True

    def content(self) -> bytes:
        """Return what was collected; nothing if it cannot be used, unless it is an error's."""
        if self._decoder is not None and self.problem is None and not self._decoder.ended and not self._full:
            self.problem = f"with a {self._encoding} body that is cut off"
        return b"".join(self._parts) if self.problem is None or self._is_error else b""

    @property
    def _full(self) -> bool:
        return self._size >= self._limit

    def _add(self, data: bytes) -> bool:
        room = self._limit - self._size
        if len(data) > room and not self._is_error:
            self.problem = f"with a body of more than {self._limit:,} bytes, the most that is read of it"
            self._parts.clear()
            return False
        self._parts.append(data[:room])
        self._size += len(self._parts[-1])
        return not (self._is_error and self._full)


class _Decoder:
    """Decoder of gzip, of several members perhaps, or of deflate with or without its zlib header."""

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding in _GZIP
        self._decoder = zlib.decompressobj(31 if self._gzip else 15)
        self._head = b""
        self._begun = self._padding = False

    @property
    def ended(self) -> bool:
        """True at the end of what is encoded, and before its beginning."""
        return self._padding or self._decoder.eof or not (self._begun or self._head)

    @property
    def has_more(self) -> bool:
        """True when bytes that were given are not decoded yet."""
        return bool(self._decoder.unconsumed_tail)

    def decode(self, data: bytes) -> tuple[bytes, bytes]:
        """Return some decoded bytes, and what is to be given next."""
        if self._padding:
            return b"", b""
        if self._decoder.eof:
            # Another member, or padding that everybody ignores.
            if not self._gzip or not data.startswith(b"\x1f"):
                self._padding = True
                return b"", b""
            self._decoder = zlib.decompressobj(31)
        if not self._begun:
            data = self._head + data
            if len(data) < _ZLIB_HEADER:
                self._head = data
                return b"", b""
            if not self._gzip and (data[0] & 15 != 8 or int.from_bytes(data[:_ZLIB_HEADER]) % 31):
                self._decoder = zlib.decompressobj(-15)
            self._begun = True
        decoded = self._decoder.decompress(self._decoder.unconsumed_tail + data, _PIECE)
        return decoded, self._decoder.unused_data if self._decoder.eof else b""
