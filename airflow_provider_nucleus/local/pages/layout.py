"""The layout of every page: a title, the way back, and links."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Fact", "Link", "PageFrame"]


@dataclass(frozen=True, slots=True)
class Link:
    """A piece of text that leads somewhere; `here` marks the place the reader is at."""

    text: str
    address: str
    here: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """A named value; with an address it is a link. `code` sets ids and other things to copy."""

    name: str
    value: str
    address: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFrame:
    """The frame around a page; `trail` leads from the home page to it."""

    title: str
    trail: tuple[Link, ...] = ()
