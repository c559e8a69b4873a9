"""The selection of items that numbers are of: a slice, a query in Nucleus' query language, both together, or everything."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BatchScope"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchScope:
    """A slice, narrowed by a query; without both, everything."""

    slice_id: str | None = None
    query: str | None = None

    def __bool__(self) -> bool:
        return self.slice_id is not None or self.query is not None

    @property
    def condition(self) -> str:
        """The selection as a query; empty for everything."""
        if self.slice_id is None:
            return self.query or ""
        quoted = self.slice_id.replace('"', r"\"")
        of_slice = f'slice = "{quoted}"'
        return of_slice if self.query is None else f"{of_slice} AND ({self.query})"

    @property
    def name(self) -> str | None:
        """The selection in fingerprints; None for everything."""
        parts = []
        if self.slice_id is not None:
            parts.append(f"slice:{self.slice_id}")
        if self.query is not None:
            parts.append(f"query:{self.query}")
        return " ".join(parts) or None
