"""Listings that another thread reads ahead: all of their members in order, errors where they come, an end when nobody reads on."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_nucleus.hooks.listing_ahead import ListingAhead


@pytest.mark.parametrize("count", [0, 1, 2_000, 2_001, 25_000])
def test_every_member_in_order(count):
    """Whether the number of them is one of whole portions or not."""
    with ListingAhead(iter(range(count)), name="numbers") as members:
        assert list(members) == list(range(count))


def test_it_is_fetched_before_it_is_read():
    """The server works while something else is counted."""
    begun = threading.Event()

    def listing():
        begun.set()
        yield 1

    with ListingAhead(listing(), name="numbers") as members:
        assert begun.wait(30)
        assert list(members) == [1]


def test_an_error_is_raised_behind_the_portions_that_were_read():
    """It is not taken for the end of the listing."""

    def listing():
        yield from range(4_000)
        raise ValueError("page 3 is lost")

    seen = []
    with (
        ListingAhead(listing(), name="numbers") as members,
        pytest.raises(ValueError, match="page 3 is lost"),
    ):
        seen.extend(members)
    assert seen == list(range(4_000))


def test_who_stops_reading_stops_the_listing():
    """A listing without end is not read on, and its memory is bounded while nobody takes anything."""
    read = 0
    stopped = threading.Event()

    def listing():
        nonlocal read
        try:
            while True:
                read += 1
                yield read
        finally:
            stopped.set()

    endless = listing()
    with ListingAhead(endless, name="numbers") as members:
        assert next(iter(members)) == 1
    del members, endless

    assert stopped.wait(30)
    assert read <= 8 * 2_000
