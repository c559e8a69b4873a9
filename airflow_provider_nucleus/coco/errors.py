"""The one error of the rules, and how a message places it: `file: row 3: bbox: must be ..., got ...; what to do`."""

from __future__ import annotations

__all__ = ["CocoError", "excerpt", "placed"]


class CocoError(ValueError):
    """A value breaks a rule: `field` (`bbox`, `images.id`) because of `reason`, which says what would be right."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


def placed(error: ValueError | str, *, file: str, row: int | None = None) -> str:
    """Return the message with its place; *row* is the position in its list, counted from 1."""
    return f"{file}: {error}" if row is None else f"{file}: row {row}: {error}"


def excerpt(value: object) -> str:
    """Spell a value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
