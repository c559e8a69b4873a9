"""A stream tokenizer for the two shapes JSON data sets come in: an array of objects, or an object of such arrays.

The file is never decoded as a whole. A window of bytes is cut after a `}`, `]` or other end of an element and decoded in one
go: if `[<window>]` parses, the window held whole elements and nothing else, because JSON has only one reading. Where the guess
is wrong (a nested object ended there, or the characters stood inside a string) the elements are decoded one at a time with the
standard library's scanner, which finds where each ends.
"""

from __future__ import annotations

import json
import re
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusSourceError, NucleusValidationError
from airflow_provider_nucleus.sources.decode import loads
from airflow_provider_nucleus.sources.files import cut_off

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["JsonFile"]

WINDOW = 1 << 18
LONGEST_ELEMENT = 256 << 20
"""Bytes one element may take; a longer one is refused instead of filling the memory."""

_GUESSES = 4
_SPACE = b" \t\r\n"
_SIGN = re.compile(rb"[^ \t\r\n]")
_DELIMITERS = " \t\r\n,:]}"
_BEGUN = re.compile(r"[-+.\w]{0,10}\s*")
"""The part that the end of a file may leave of a number or a word."""
_scanner = json.JSONDecoder()


class JsonFile:
    """Reads one JSON document front to back; every method continues where the last one stopped.

    All raise NucleusValidationError naming the file and the byte where it stops being JSON, or NucleusSourceError when it just
    ends there: what follows a break cannot be read, so it is not one bad row.
    """

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._window = b""
        self._at = 0
        self._before = 0  # bytes of the file that lie before the window
        self._ended = False

    def peek(self) -> bytes:
        """Return the next byte that is not white space, without reading past it; `b""` at the end."""
        while True:
            if (found := _SIGN.search(self._window, self._at)) is not None:
                self._at = found.start()
                return found[0]
            self._at = len(self._window)
            if not self._more():
                return b""

    def members(self) -> Iterator[str]:
        """Walk the members of an object: after each key, the caller reads (or skips) its value with another method."""
        self._expect(b"{")
        if self.peek() == b"}":
            self._at += 1
            return
        seen: set[str] = set()
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise self._broken("a key is not text")
            if key in seen:
                raise self._broken(f"{key!r} is there twice, and only one of them can be meant")
            seen.add(key)
            self._expect(b":")
            yield key
            if self.peek() == b",":
                self._at += 1
            else:
                self._expect(b"}")
                return

    def batches(self) -> Iterator[list[Any]]:
        """Yield the elements of an array in batches of about a window."""
        self._expect(b"[")
        if self.peek() == b"]":
            self._at += 1
            return
        while True:
            yield self._whole_elements() or [self.value()]
            if self.peek() == b",":
                self._at += 1
            else:
                self._expect(b"]")
                return

    def value(self) -> Any:
        """Read one value of any kind."""
        self.peek()
        wanted = 64
        while wanted <= LONGEST_ELEMENT:
            # One read for what is missing: a window that grows by blocks would be copied for each of them.
            while (missing := wanted + 1 - (len(self._window) - self._at)) > 0 and not self._ended:
                self._more(missing)
            text, complete = self._decoded(self._at + wanted)
            try:
                value, end = _scanner.raw_decode(text)
            except json.JSONDecodeError as error:
                if complete:
                    if _just_ends(text, error):
                        raise self._ended_early() from None
                    raise self._broken(error.msg, error.pos) from None
            except RecursionError:
                raise self._broken("nested too deeply") from None
            except ValueError as error:
                long = "int_max_str_digits" in str(error)
                raise self._broken(
                    "a whole number has more than 4,300 digits" if long else str(error)
                ) from None
            else:
                # "2" may be the beginning of "2.5", so a value only counts when a delimiter follows it.
                if complete or (end < len(text) and text[end] in _DELIMITERS):
                    self._at += len(text[:end].encode("utf-8", "surrogatepass"))
                    return value
            wanted *= 4
        raise self._broken(f"one value is longer than {LONGEST_ELEMENT >> 20} MiB")

    def finish(self) -> None:
        """Raise when anything follows the document: what nobody reads would be lost in silence."""
        if self.peek():
            raise self._broken("something follows the end of the document; were two files joined?")

    def skip(self) -> None:
        """Pass over one value; arrays are walked without being held."""
        if self.peek() == b"[":
            for _ in self.batches():
                pass
        else:
            self.value()

    def _whole_elements(self) -> list[Any]:
        """Decode as many whole elements as the window holds; `[]` when not even the first is whole."""
        if len(self._window) - self._at < WINDOW // 2:
            self._more()
        if self.peek() == b"{":
            end = len(self._window)
            for _ in range(_GUESSES):
                end = self._element_end_before(end)
                if end < 0:
                    break
                try:
                    elements: list[Any] = loads(b"[" + self._window[self._at : end + 1] + b"]")
                except ValueError:
                    continue
                self._at = end + 1
                return elements
        return self._single_elements()

    def _element_end_before(self, end: int) -> int:
        """Return where the last `}` that is followed by `, {` stands before `end`; -1 when there is none."""
        while (end := self._window.rfind(b"},", self._at, end)) >= 0:
            if self._window[end + 2 : end + 66].lstrip(_SPACE).startswith(b"{"):
                return end
        return -1

    def _single_elements(self) -> list[Any]:
        """Decode the elements of the window one after another; what is cut at its end stays."""
        text, _ = self._decoded(len(self._window))
        elements: list[Any] = []
        taken = at = 0
        while True:
            try:
                element, at = _scanner.raw_decode(text, at)
            except (ValueError, RecursionError):
                break
            following = _next_sign(text, at)
            if following >= len(text) or text[following] not in _DELIMITERS:
                break  # the beginning of a number that goes on behind the window
            elements.append(element)
            taken = at
            if text[following] != ",":
                break
            at = _next_sign(text, following + 1)
        self._at += len(text[:taken].encode("utf-8", "surrogatepass"))
        return elements

    def _decoded(self, end: int) -> tuple[str, bool]:
        """Decode the window up to `end`, less a character that is cut there, and whether that is all there is."""
        complete = self._ended and end >= len(self._window)
        block = self._window[self._at : end]
        try:
            return block.decode("utf-8"), complete
        except UnicodeDecodeError as error:
            if complete and error.reason == "unexpected end of data":
                raise self._ended_early() from None
            if complete or error.start < len(block) - 4:
                raise self._broken(f"not UTF-8: {error.reason}", error.start) from None
            return block[: error.start].decode("utf-8"), False

    def _more(self, wanted: int = 0) -> bool:
        """Append the next block, or as much as is wanted, to the window and drop what was read; False at the end of the file."""
        block = self._stream.read(max(WINDOW, wanted))
        if not block:
            self._ended = True
            return False
        if self._before == 0 and not self._window:
            block = block.removeprefix(b"\xef\xbb\xbf")
        self._before += self._at
        self._window = self._window[self._at :] + block
        self._at = 0
        return True

    def _expect(self, sign: bytes) -> None:
        found = self.peek()
        if found != sign:
            while len(self._window) - self._at < 16 and self._more():
                pass
            rest = self._window[self._at :].decode("utf-8", "replace")
            if self._ended and _BEGUN.fullmatch(rest):
                raise self._ended_early()
            raise self._broken(f"expected {sign.decode()!r}, found {rest[:1]!r}")
        self._at += 1

    def _ended_early(self) -> NucleusSourceError:
        return cut_off(self._name, f"the JSON, after {self._before + len(self._window)} bytes,")

    def _broken(self, reason: str, ahead: int = 0) -> NucleusValidationError:
        where = self._before + self._at + ahead
        return NucleusValidationError("", f"is not valid JSON near byte {where}: {reason}", source=self._name)


def _just_ends(text: str, error: json.JSONDecodeError) -> bool:
    """Return whether the text, which goes to the end of the file, fails to be JSON only because nothing follows it."""
    if "escape" in error.msg:
        return '"' not in text[error.pos :]
    return error.msg.startswith("Unterminated") or _BEGUN.fullmatch(text, error.pos) is not None


def _next_sign(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
