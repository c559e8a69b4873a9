"""The one error of the demonstration."""

from __future__ import annotations

__all__ = ["DemoError"]


class DemoError(Exception):
    """The demonstration cannot go on.

    The message says what happened, to what, and what to do next. *evidence* is the end of the log that shows it.
    """

    def __init__(self, message: str, *, evidence: str = "") -> None:
        super().__init__(message)
        self.evidence = evidence
