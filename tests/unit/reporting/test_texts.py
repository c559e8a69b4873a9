"""Texts of strangers: nothing of them is a tag, an emphasis or a mention, nothing is lost in silence."""

from __future__ import annotations

import html
import re

import pytest

from airflow_provider_nucleus.reporting.texts import broken, cell_text, code_span, prose, shortened, visible
from tests.judgements import HOSTILE


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_html_holds_the_text_and_nothing_else(text):
    """Without its breaks, the mark-up is the escaped text."""
    clean = shortened(text)

    assert html.unescape(broken(clean).replace("<wbr>", "")) == clean
    assert set(re.findall(r"<[^>]*>", broken(clean))) <= {"<wbr>"}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_cell_of_markdown_is_one_cell(text):
    """A fence that no run of backticks in the text ends, no bar that ends the cell, no line that ends the table."""
    cell = cell_text(text)
    fence = re.match(r"`+", cell)[0]

    assert cell.endswith(fence)
    assert fence not in re.findall(r"`+", cell[len(fence) : -len(fence)])
    assert not re.search(r"(?<!\\)\|", cell)
    assert "\n" not in cell


def test_prose_is_no_markdown():
    """Tags, emphasis, links, mentions and references are their text."""
    assert prose("<b> *a* _b_ [x](y) | ~c~ #1") == r"\<b\> \*a\* \_b\_ \[x\](y) \| \~c\~ \#1"
    assert prose("- item") == r"\- item"
    assert "@everyone" not in prose("@everyone")
    assert "https://" not in prose("see https://example.com")
    assert prose("F1 fell by 0.01 (much).") == "F1 fell by 0.01 (much)."


def test_what_cannot_be_seen_is_written_out():
    """Marks that turn a line, control characters, lone surrogates; letters of scripts that run from the right stay."""
    assert visible("a\u202eb\u200bc\x00\n\ud800") == "a⟨U+202E⟩b⟨U+200B⟩c␀␊⟨U+D800⟩"
    assert visible("שלום") == "שלום"


def test_a_label_that_runs_from_the_right_leaves_its_neighbours_alone():
    """It is isolated, and isolates of its own are written out: what stands behind it stays behind it."""
    assert shortened("שלום") == "\u2068שלום\u2069"
    assert shortened("a\u2068שלום") == "\u2068a⟨U+2068⟩שלום\u2069"
    assert prose(f"of {shortened('שלום')}") == "of \u2068שלום\u2069"


def test_a_long_text_says_how_long_it_was_and_stays_itself():
    """Ten thousand characters are cut, and two that differ in the last one are not the same."""
    first, second = shortened("x" * 10_000), shortened("x" * 9_999 + "y")

    assert "10,000 characters" in first
    assert first != second
    assert len(first) < 120


def test_blank_text_has_a_cell_of_its_own():
    """A label of blanks is a label."""
    assert code_span("  ") == "`    `"
