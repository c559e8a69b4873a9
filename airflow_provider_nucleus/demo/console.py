"""Output of the demonstration: steps, facts, and one line for each task of the DAG. Plain text; colour on a terminal only."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

__all__ = ["Console"]

_COLOURS = {"success": "32", "failed": "31", "upstream_failed": "31", "skipped": "33"}


class Console:
    """Writes progress to a text stream, line by line."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stdout
        self._colour = self._out.isatty() and "NO_COLOR" not in os.environ
        self._open = ""
        self._began = time.monotonic()

    def title(self, text: str) -> None:
        """Print a heading."""
        self._end_line()
        self._print(self._paint(text, "1"))

    def fact(self, text: str) -> None:
        """Print an indented sentence."""
        self._end_line()
        self._print(f"  {text}")

    def text(self, text: str = "") -> None:
        """Print lines as they are."""
        self._end_line()
        self._print(text)

    def raw(self, chunk: str) -> None:
        """Pass output of another program through, as far as there is any."""
        if chunk:
            self._end_line()
            self._out.write(chunk)
            self._out.flush()

    def begin(self, name: str) -> None:
        """Say that something has begun, on a line that `finish` completes."""
        self._end_line()
        self._open = name
        self._out.write(f"  {name:<23} ")
        self._out.flush()

    def finish(self, name: str, state: str, seconds: float | None) -> None:
        """Say how it ended; *seconds* is how long it took, None if that is not known."""
        if self._open != name:
            self.begin(name)
        self._open = ""
        took = "" if seconds is None else f"{seconds:7.1f} s"
        self._print(f"{self._paint(f'{state:<22}', _COLOURS.get(state, '0'))}{took}".rstrip())

    @property
    def elapsed(self) -> float:
        """Seconds since the console was made."""
        return time.monotonic() - self._began

    def _end_line(self) -> None:
        if self._open:
            self._open = ""
            self._print("")

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and code != "0" else text

    def _print(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()
