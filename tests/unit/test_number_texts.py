"""Numbers as texts: what people compare is told apart, nothing is rounded to a bound it does not reach."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.number_texts import (
    decimals_apart,
    number_text,
    percent_text,
    share_text,
    short_text,
    signed_text,
)


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (0.8123456, "f1", "0.812"),
        (1.0, "recall", "1.000"),
        (None, "f1", "n/a"),
        (412.0, "tp", "412"),
        (1204377.0, "fp", "1,204,377"),
        (2.0, "vanished_labels", "2"),
        (0.5, "empty_share", "0.5"),
        (18.4, "latency_ms", "18.4"),
        (25.0, "latency_ms", "25"),
        (1204.0, "memory_mb", "1,204"),
        (0.00012, "seconds", "0.00012"),
        (0.0001, "f1", "0.0001"),
        (-0.5, "f1", "−0.500"),
        (float("nan"), "f1", "n/a"),
    ],
)
def test_number_of_a_name(value, name, text):
    """Counts are whole, rates have three decimals, a user's numbers four digits; small ones are no zeros."""
    assert number_text(value, name) == text


def test_a_difference_has_a_sign():
    """More and less are equally long; no difference has none."""
    assert [signed_text(value) for value in (0.0123, -0.0123, 0.0)] == ["+0.012", "−0.012", "0.000"]


def test_numbers_that_differ_are_told_apart():
    """0.7996 against a bound of 0.8 is not 0.800 against 0.800."""
    decimals = decimals_apart([0.79964, 0.8])

    assert number_text(0.79964, decimals=decimals) == "0.7996"
    assert number_text(0.8, decimals=decimals) == "0.8000"
    assert decimals_apart([0.5, 0.5, None]) == 3


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "100 %"),
        (0.9999, "> 99.9 %"),
        (0.0001, "< 0.1 %"),
        (0.0, "0 %"),
        (0.7923, "79.2 %"),
        (None, "n/a"),
    ],
)
def test_a_share_is_all_or_nothing_only_if_it_is(share, text):
    """Of 10,000 items, 9,999 are not all."""
    assert share_text(share) == text


def test_relative_changes_and_limits():
    """Percent with a sign; limits as short as they can be written."""
    assert percent_text(-0.177) == "−17.7 %"
    assert [short_text(value) for value in (0.5, 3.0, 0.125)] == ["0.5", "3", "0.125"]
