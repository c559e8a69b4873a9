"""Page tokens: where a listing goes on, readable by nobody but the server that made them.

A token carries two numbers, the part of the listing and the last row shown, and a keyed digest that ties it to one
listing. It stays valid for as long as what it lists exists, over restarts too: pages go on after a row number, so rows
that come or go meanwhile shift nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_nucleus.local.errors import BadRequestError

__all__ = ["Pager", "Position", "row_of_token"]

_NUMBERS: Final = struct.Struct(">Bq")
_DIGEST: Final = 16


@dataclass(frozen=True, slots=True)
class Position:
    """The last row shown: `part` of the listing and its number; the default is before the first."""

    part: int = 0
    after: int = -1


@dataclass(frozen=True, slots=True)
class Pager:
    """Makes and reads the tokens of one listing, named by everything that decides what it holds."""

    key: str
    listing: tuple[Any, ...]

    def read(self, token: str | None) -> Position:
        """Return where to go on; raises `BadRequestError` for a token this listing did not make."""
        if token is None or token == "":
            return Position()
        raw = _decoded(token)
        if len(raw) == _NUMBERS.size + _DIGEST and hmac.compare_digest(
            raw[_NUMBERS.size :], self._digest(raw)
        ):
            return Position(*_NUMBERS.unpack_from(raw))
        raise BadRequestError(
            "pageToken is not a token of this listing: it was made for another query or dataset, what it listed was "
            "calculated anew, or it was altered. Start again without it."
        )

    def token(self, position: Position) -> str:
        """Return the token that goes on after a position."""
        numbers = _NUMBERS.pack(position.part, position.after)
        return base64.urlsafe_b64encode(numbers + self._digest(numbers)).decode()

    def _digest(self, raw: bytes) -> bytes:
        message = repr(self.listing).encode() + raw[: _NUMBERS.size]
        return hmac.new(self.key.encode(), message, hashlib.sha256).digest()[:_DIGEST]


def row_of_token(token: str | None) -> int:
    """Return the row after which a plain listing goes on; raises `BadRequestError` for what is no token of one."""
    if token is None:
        return -1
    if not token.isascii() or not token.isdigit() or len(token) > 18:
        raise BadRequestError("pageToken must be the nextPageToken of the page before.")
    return int(token)


def _decoded(token: str) -> bytes:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
