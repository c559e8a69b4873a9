"""Texts of strangers (labels, names, ids, sentences that hold them), safe and readable wherever they are put.

Labels come from files that anybody wrote: they may hold HTML, characters that turn the direction of a line, or ten thousand of them.
Nothing is dropped in silence: what cannot be seen is written out (`⟨U+202E⟩`), and what is cut says how long it was.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "MOST_CHARS",
    "broken",
    "cell_text",
    "code_span",
    "is_cut",
    "markdown_table",
    "prose",
    "shortened",
    "visible",
]

MOST_CHARS: Final = 64
"""Longest label or name that is written whole."""

_RUN: Final = 10
_LONG_WORD: Final = 12
_UNSEEN: Final = {"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"}
_JOINERS: Final = {"\u200c", "\u200d"}
"""Characters without a shape that scripts and emoji need."""
_PLACES_TO_BREAK: Final = re.compile(r"(?<=[/_\-:;@=&?])(?=\w)|(?<=\w[,.])(?=[^\W\d])")
_MARKUP: Final = re.compile(r"([\\`*_\[\]<>#|~$])|^\s*([-+=]|\d+(?=[.)]))")
_ISOLATES: Final = "\u2068\u2069"
_WORD_JOINER: Final = "\u2060"


def visible(text: str, *, kept: str = "") -> str:
    """Return text on one line in which every character that cannot be seen, or that turns a line around, is written out, but *kept*."""
    return "".join(
        character
        if character in _JOINERS or character in kept or unicodedata.category(character) not in _UNSEEN
        else _written_out(character)
        for character in text
    )


def _written_out(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return f"⟨U+{code:04X}⟩"


def is_cut(text: str, most: int = MOST_CHARS) -> bool:
    """Return whether `shortened` leaves something of the text out."""
    return len(text) > most


def shortened(text: str, most: int = MOST_CHARS) -> str:
    """Return a text of *most* characters or fewer as `visible` does; the middle of a longer one is left out, and its length said.

    Two long texts stay two: a few digits of the digest are there as well.
    """
    if not is_cut(text, most):
        return _isolated(visible(text))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    head, tail = most * 2 // 3, most // 6
    parts = _isolated(visible(text[:head])), _isolated(visible(text[-tail:]))
    return f"{parts[0]} … {parts[1]} ({len(text):,} characters, {digest})"


def _isolated(text: str) -> str:
    """Return text that leaves the order of what stands beside it alone, where it runs from the right."""
    turns = any(unicodedata.bidirectional(character) in {"R", "AL", "AN"} for character in text)
    return f"{_ISOLATES[0]}{text}{_ISOLATES[1]}" if turns else text


def broken(text: str) -> Markup:
    """Return text as HTML that a browser may break anywhere within long words, so that it fits the narrowest screen."""
    return Markup("").join(
        Markup(" ") if word == " " else Markup("<wbr>").join(_breakable(word))
        for word in re.split(r"( )", text)
        if word
    )


def _breakable(word: str) -> list[Markup]:
    """Return the parts of a word between which a line may end: after punctuation, and every ten characters of what is no word."""
    parts = _PLACES_TO_BREAK.split(word)
    return [
        escape(part[start : start + (_RUN if len(part) > _LONG_WORD else _LONG_WORD)])
        for part in parts
        for start in range(0, max(len(part), 1), _RUN if len(part) > _LONG_WORD else _LONG_WORD)
    ]


def code_span(text: str) -> str:
    """Return a label or id as a code span of Markdown: there nothing is a tag, a mention or a link. Fit for a cell of a table."""
    clean = visible(text, kept=_ISOLATES).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", clean)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if clean.startswith("`") or clean.endswith("`") or not clean.strip() else ""
    return f"{fence}{pad}{clean}{pad}{fence}"


def prose(text: str) -> str:
    """Return a sentence as Markdown that means nothing but its text: no tag, emphasis, link, mention or reference."""
    clean = _MARKUP.sub(
        lambda found: f"\\{found[1] or found[2]}", visible(text, kept=_ISOLATES).replace("&", "&amp;")
    )
    # Names of people and addresses are linked wherever they stand, escaped or not; a joiner of no width ends that.
    clean = re.sub(r"@(?=\w)", f"@{_WORD_JOINER}", clean)
    clean = re.sub(r"://", f":{_WORD_JOINER}//", clean)
    return re.sub(r"\bwww\.", f"www{_WORD_JOINER}.", clean)


def cell_text(text: str, most: int = MOST_CHARS) -> str:
    """Return a label for a cell of a Markdown table, shortened."""
    return code_span(shortened(text, most))


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int) -> list[str]:
    """Return the lines of a table, below an empty one; cells are Markdown already, columns from *numbers_from* on are aligned to the right."""
    marks = ["---" if place < numbers_from else "---:" for place in range(len(heads))]
    return ["", *(f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows))]
