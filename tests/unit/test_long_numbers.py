"""Numbers that are read by the standard library, because orjson would not keep all their digits."""

from __future__ import annotations

import json
import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nucleus.long_numbers import has_long_numbers


@pytest.mark.parametrize(
    "text",
    [
        b"18446744073709551616",
        b"-18446744073709551616",
        b"[1.5,18446744073709551616]",
        b'{"a.":18446744073709551616}',
        b'{"a":\n18446744073709551616.0}',
    ],
)
def test_whole_numbers_beyond_64_bits_are_long(text):
    """At the beginning, below a sign, in lists and objects."""
    assert has_long_numbers(text)


@pytest.mark.parametrize("text", [b"1", b"[0.00012345678901234567890]", b'{"a": 1.0000000000000000000000}'])
def test_long_fractions_are_none(text):
    """Any small score has as many digits, and a file of a million of them is to be read fast."""
    assert not has_long_numbers(text)


@given(st.lists(st.one_of(st.integers(-(2**80), 2**80), st.floats(allow_nan=False, allow_infinity=False))))
def test_what_is_not_long_is_read_alike(values):
    """By orjson as by the standard library."""
    text = json.dumps(values).encode()

    if not has_long_numbers(text):
        read = orjson.loads(text)
        assert read == json.loads(text)
        assert list(map(type, read)) == list(map(type, values))
        assert all(map(math.isfinite, read))
