"""Sentences below the table: what the numbers leave out, what was assumed for them, and why one is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["remarks"]


def remarks(report: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section, none where there is nothing to say; *report* is that of `evaluate`."""
    found = list(dict.fromkeys(_remarks(report)))
    return ["", "Notes", "", *(f"  {line}" for line in found)] if found else []


def _remarks(report: Mapping[str, Any]) -> Iterator[str]:
    truth = report["ground_truth"]
    yield from _of(truth["file"], truth)
    for name, model in report["models"].items():
        yield from _of(name, model)
        for number, reason in model["undefined"].items():
            yield f"{name}: {number} is n/a: {reason}"


def _of(name: str, part: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{name}: {count} x {reason}" for reason, count in part["excluded"].items())
    yield from (f"{name}: {note['text']}" for note in part["notes"])
