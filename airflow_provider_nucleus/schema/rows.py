"""One row of a source on its way to Nucleus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["SourceRow"]


@dataclass(frozen=True, slots=True)
class SourceRow:
    """An object in wire format, with the place it was read from.

    `number` is the 1-based row number in `source`. A row that could not even be read carries `problem`, and its raw text
    in `data["raw"]`.
    """

    source: str
    number: int
    data: dict[str, Any]
    problem: str | None = None
