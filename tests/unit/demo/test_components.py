from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from airflow_provider_nucleus.demo.detectors.components import closed, opened, regions


def flood(mask):
    """Count regions and their areas the slow way."""
    left, found = {(int(r), int(c)) for r, c in zip(*np.nonzero(mask), strict=True)}, []
    while left:
        queue, area = [left.pop()], 0
        while queue:
            row, column = queue.pop()
            area += 1
            for dr in (-1, 0, 1):
                for dc in (-1, 0, 1):
                    if (row + dr, column + dc) in left:
                        left.remove((row + dr, column + dc))
                        queue.append((row + dr, column + dc))
        found.append(area)
    return sorted(found)


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_regions_are_those_of_a_flood_fill(mask):
    """Areas agree with a flood fill, and the regions together are the mask."""
    found = regions(mask)
    together = np.zeros_like(mask)
    for region in found:
        together[region.top : region.bottom, region.left : region.right] |= region.mask
        assert region.mask.sum() == region.area
        assert region.mask.any(axis=1).all() or region.mask.any(axis=1)[[0, -1]].all()

    assert sorted(region.area for region in found) == flood(mask)
    assert np.array_equal(together, mask)


def test_corners_touch():
    """Regions are 8-connected."""
    assert len(regions(np.eye(5, dtype=bool))) == 1


def test_runs_do_not_join_around_the_border():
    """The end of one row is no neighbour of the begin of the next."""
    mask = np.zeros((2, 5), dtype=bool)
    mask[0, 4] = mask[1, 0] = True

    assert len(regions(mask)) == 2


def test_nothing_gives_nothing():
    """An empty mask has no regions."""
    assert regions(np.zeros((4, 4), dtype=bool)) == []


def test_small_regions_can_be_left_out():
    """Only regions of the least area are returned."""
    mask = np.zeros((6, 6), dtype=bool)
    mask[0, 0] = True
    mask[3:6, 3:6] = True

    assert [region.area for region in regions(mask, least_area=2)] == [9]


def test_closing_fills_gaps_and_opening_removes_lines():
    """A one-pixel gap is closed, a one-pixel line is removed."""
    mask = np.zeros((9, 11), dtype=bool)
    mask[2:7, 1:5] = mask[2:7, 6:10] = True
    line = np.zeros((9, 9), dtype=bool)
    line[4] = True

    assert len(regions(closed(mask, 3))) == 1
    assert not opened(line, 3).any()
