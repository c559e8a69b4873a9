"""Profiles: bins against a plain loop, parts that add up exactly, what is known and what is not."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections import Counter
from functools import reduce
from itertools import starmap
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_provider_nucleus.gating import column_bins
from airflow_provider_nucleus.gating.column_bins import (
    AREA_BINS,
    ASPECT_BINS,
    CONFIDENCE_BINS,
    leading_bytes,
    side_steps,
)
from airflow_provider_nucleus.gating.profile import (
    AREA_EDGES,
    ASPECT_EDGES,
    CONFIDENCE_EDGES,
    MAX_COMPACT_BYTES,
    OBJECTS_EDGES,
    Profile,
    merge_profiles,
)
from airflow_provider_nucleus.gating.profile_counts import ProfileCounts, _ItemCounts

SIDES = st.one_of(
    st.integers(0, 300_000),
    st.floats(0, 2.0**53, allow_nan=False, allow_subnormal=True),
    st.sampled_from([0, 1, 1.999, 2, 3, 32, 100, 2**17 - 1, 2**17, 2.0**53]),
)
BOXES = st.lists(
    st.tuples(
        st.sampled_from(["cat", "dog", "bird"]),
        SIDES,
        SIDES,
        st.integers(0, 6).map("image-{}".format),
        st.one_of(st.floats(0, 1), st.sampled_from([0, 1, 0.05, 0.35, 0.7, 0.95])),
    ),
    max_size=40,
)


def add(counts, labels, widths, heights, *, items, confidences):
    """Add boxes a column at a time, counted as the check of an upload counts them."""
    counts.add_boxes(
        Counter(labels),
        (leading_bytes(widths), leading_bytes(heights)),
        items=Counter(items),
        confidences=confidences,
        least=None if confidences is None else min(confidences),
    )


def counted(boxes, *, at_once=True):
    counts = ProfileCounts()
    if at_once:
        labels, widths, heights, items, confidences = zip(*boxes, strict=True) if boxes else ((),) * 5
        if boxes:
            add(counts, labels, widths, heights, items=items, confidences=confidences)
    else:
        counts.add_rows(list(starmap(wire, boxes)))
    return counts.profile()


def wire(label, width, height, item, confidence):
    geometry = {"x": 1, "y": 1, "width": width, "height": height}
    return {"type": "box", "label": label, "geometry": geometry, "reference_id": item, "confidence": confidence}  # fmt: skip


def expected(boxes):
    """Return the profile by a plain loop over the boxes."""
    confidence, area, aspect = [0] * 20, [0] * 23, [0] * 17
    total = 0
    for _, width, height, _, score in boxes:
        units = round(score * 20 * 2**16)
        total += units
        confidence[min(units // 2**16, 19)] += 1
        across, up = eighths(width), eighths(height)
        area[bisect_right(AREA_EDGES, 2.0 ** (2 + (across + up) / 8))] += 1
        away = bisect_right(ASPECT_EDGES, 2.0 ** (abs(across - up) / 8))
        aspect[away if across >= up else 16 - away] += 1
    per_item = Counter(item for _, _, _, item, _ in boxes)
    histogram = [0] * 10
    for count in per_item.values():
        histogram[bisect_right(OBJECTS_EDGES, count)] += 1
    return Profile(
        items_with_predictions=len(per_item),
        objects=len(boxes),
        objects_per_item=histogram,
        shapes={"box": len(boxes)} if boxes else {},
        labels=dict(sorted(Counter(label for label, *_ in boxes).items())),
        confidence=confidence,
        confidence_sum=total,
        least_confidence=min((box[4] for box in boxes), default=None),
        area=area,
        aspect=aspect,
    )


def eighths(side):
    if side < 2:
        return 0
    if side >= 2**17:
        return 127
    digits, exponent = math.frexp(side)
    rounded = math.ldexp(math.floor(digits * 32) / 32, exponent)
    return math.floor(8 * math.log2(rounded / 2))


@pytest.mark.parametrize("library", [None, "numpy"])
@settings(deadline=None)
@given(boxes=BOXES)
def test_columns_are_counted_as_a_plain_loop_counts_them(library, boxes):
    """The steps on bytes are an optimisation of the definition, not another definition; those of NumPy are another of the same."""
    loaded = None if library is None else pytest.importorskip(library)
    with mock.patch.object(column_bins, "_loaded_numpy", return_value=loaded):
        assert expected(boxes) == counted(boxes)


@settings(deadline=None)
@given(blocks=st.lists(BOXES, max_size=6), most=st.sampled_from([0, 3, 10, 1_000]), on_disk=st.booleans())
def test_it_does_not_show_where_one_block_of_rows_ended(blocks, most, on_disk):
    """Items that go on in the next block, or come again later, count once, in memory and on disk."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(_ItemCounts, "IN_MEMORY", most),
        mock.patch.object(_ItemCounts, "BUCKETS", 3),
    ):
        counts = ProfileCounts(Path(folder) if on_disk else None)
        for labels, widths, heights, items, confidences in (
            zip(*block, strict=True) for block in blocks if block
        ):
            add(counts, labels, widths, heights, items=items, confidences=confidences)
        profile = counts.profile()

    assert profile == expected([box for block in blocks for box in block])


def test_numpy_is_not_loaded_to_count():
    """It would take longer than it saves, and workers without it count as well."""
    code = (
        "import sys; from airflow_provider_nucleus.gating.profile_counts import ProfileCounts; counts = ProfileCounts(); "
        "counts.add_rows([{'type': 'box', 'label': 'a', 'reference_id': 'i', 'confidence': 0.5, 'geometry': {'width': 9, 'height': 9}}]); "
        "print(counts.profile().objects, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["1", "False"]


@settings(deadline=None)
@given(BOXES)
def test_rows_are_counted_as_columns_are(boxes):
    """It does not show in a profile which way its rows came."""
    assert counted(boxes) == counted(boxes, at_once=False)


@settings(deadline=None)
@given(st.lists(BOXES, min_size=1, max_size=4), st.randoms())
def test_parts_add_up_to_the_whole_in_any_order(parts, order):
    """Shards of one batch, each with items of its own, give the profile of the batch exactly."""
    parts = [
        [(label, width, height, f"{number}/{item}", score) for label, width, height, item, score in part]
        for number, part in enumerate(parts)
    ]
    profiles = [counted(part) for part in parts]
    whole = counted([box for part in parts for box in part])
    order.shuffle(profiles)

    merged = merge_profiles(profiles)

    assert merged.parts == len(parts)
    assert whole == merged.model_copy(update={"parts": 1, "items": None})
    assert reduce(lambda all_, one: one.merged(all_), profiles, Profile(parts=0, items=0)) == merged


@pytest.mark.parametrize("side", [2, 4, 64, 1024, 65_536])
def test_powers_of_two_lie_on_their_edge(side):
    """A box of 32 x 32 pixels is in the octave that begins at 1,024."""
    assert side_steps(leading_bytes([side]))[0] == 8 * (side.bit_length() - 2)

    area = counted([("cat", side, side, "a", 0.5)]).area

    assert area[bisect_right(AREA_EDGES, side * side)] == 1


def test_there_are_as_many_bins_as_edges_make():
    """Counting knows the bins by number, the document by their edges."""
    bins = [len(edges) + 1 for edges in (AREA_EDGES, ASPECT_EDGES, CONFIDENCE_EDGES)]

    assert bins == [AREA_BINS, ASPECT_BINS, CONFIDENCE_BINS]


def test_values_on_an_edge_of_confidence_belong_to_the_bin_above():
    """0.35 is no 0.349999: what detectors round to two digits does not fall below its bin."""
    for at, edge in enumerate(CONFIDENCE_EDGES):
        assert counted([("cat", 5, 5, "a", edge)]).confidence[at + 1] == 1
    assert counted([("cat", 5, 5, "a", 1)]).confidence[-1] == 1


def test_the_mean_is_that_of_the_values():
    """Rounding to a millionth does not show in a mean."""
    scores = [random.Random(3).random() for _ in range(1_000)]

    profile = counted([("cat", 5, 5, "a", score) for score in scores])

    assert profile.mean_confidence == pytest.approx(sum(scores) / 1_000, abs=1e-6)
    assert Profile().mean_confidence is None


def test_a_turned_camera_mirrors_the_aspects():
    """Boxes whose sides are exchanged have the bins in reverse order."""
    boxes = [("cat", width, 64, "a", 0.5) for width in range(1, 2_000)]
    turned = [(label, height, width, item, score) for label, width, height, item, score in boxes]

    assert counted(turned).aspect == counted(boxes).aspect[::-1]
    assert counted(turned).area == counted(boxes).area


def test_shapes_without_a_box_are_counted_apart():
    """A polygon has the size of its bounding box; a line, a category and a cuboid have none, but label and confidence."""
    counts = ProfileCounts()
    corners = [{"x": 10, "y": 10}, {"x": 42, "y": 10}, {"x": 10, "y": 42}]
    counts.add_rows([
        {"type": "polygon", "label": "a", "geometry": {"vertices": corners}, "reference_id": "i", "confidence": 0.5},
        {"type": "line", "label": "b", "geometry": {"vertices": corners}, "reference_id": "i"},
        {"type": "category", "label": "c", "geometry": {}, "reference_id": "j", "confidence": 0.9},
        {"type": "mask", "annotations": [{"label": "d"}, {"label": "a"}], "mask_url": "m", "item_id": "it_1"},
        {"type": "multicategory", "labels": ["e", "a"], "geometry": {}, "reference_id": "j"},
    ])  # fmt: skip

    profile = counts.profile()

    assert profile.shapes == {"category": 1, "line": 1, "mask": 1, "multicategory": 1, "polygon": 1}
    assert profile.labels == {"a": 3, "b": 1, "c": 1, "d": 1, "e": 1}
    assert (sum(profile.area), profile.area[bisect_right(AREA_EDGES, 1_024)]) == (1, 1)
    assert (sum(profile.confidence), profile.without_confidence) == (2, 3)
    assert (profile.objects, profile.items_with_predictions) == (5, 3)


def test_boxes_without_confidence_are_said():
    """They are objects in every other number."""
    counts = ProfileCounts()
    add(counts, ["a", "b"], (9, 9), (9, 9), items=["i", "j"], confidences=None)

    profile = counts.profile()

    assert (profile.without_confidence, profile.confidence_sum, profile.least_confidence) == (2, 0, None)


def test_many_items_go_to_disk_and_are_counted_all_the_same(tmp_path, monkeypatch):
    """Predictions of an item need not lie together, and memory stays bounded."""
    monkeypatch.setattr("airflow_provider_nucleus.gating.profile_counts._ItemCounts.IN_MEMORY", 50)
    boxes = [("cat", 5, 5, f"image-{number % 97}", 0.5) for number in range(1_000)]
    counts = ProfileCounts(tmp_path)

    for start in range(0, 1_000, 100):
        counts.add_rows(list(starmap(wire, boxes[start : start + 100])))

    assert counts.profile() == expected(boxes)
    assert list(tmp_path.iterdir())


def test_labels_without_end_are_summed(monkeypatch):
    """A label per row, which is a mistake of a mapping, fills neither memory nor the document."""
    monkeypatch.setattr("airflow_provider_nucleus.gating.profile_counts.MAX_LABELS", 3)

    profile = counted([(f"label-{number % 5}", 5, 5, "a", 0.5) for number in range(10)])

    assert (len(profile.labels), profile.other_labels, profile.other_objects) == (3, 2, 4)


@settings(deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=150), st.integers(1, 10**6), max_size=400))  # fmt: skip
def test_a_compact_profile_keeps_its_bound_and_its_sums(labels):
    """Labels with few objects are left out first; what is left out is counted."""
    profile = Profile(objects=sum(labels.values()), labels=labels)

    compact = profile.compact()

    assert len(json.dumps(compact.to_dict())) <= MAX_COMPACT_BYTES
    assert sum(compact.labels.values()) + compact.other_objects == profile.objects
    assert len(compact.labels) + compact.other_labels == len(labels)
    assert compact == Profile.model_validate(json.loads(json.dumps(compact.to_dict())))


def test_eighty_labels_fit_a_compact_profile():
    """COCO's classes are whole in the result of a task, so that mapped shards add up exactly there."""
    labels = {f"traffic light {number}": 1_000_000 + number for number in range(80)}

    assert Profile(labels=labels, objects=sum(labels.values())).compact().labels == labels


def test_the_number_of_items_is_known_or_it_is_not():
    """Parts of which one does not know have no number together; one below the items with predictions is refused."""
    assert Profile(items=5, items_with_predictions=3).empty_items == 2
    assert Profile(items_with_predictions=3).empty_items is None
    assert merge_profiles([Profile(items=5), Profile(items=2)]).items == 7
    assert merge_profiles([Profile(items=5), Profile()]).items is None

    with pytest.raises(ValidationError, match="fewer than the 3 with predictions"):
        Profile(items=2, items_with_predictions=3)
    with pytest.raises(ValidationError, match="fewer than the 3 with predictions"):
        Profile(items_with_predictions=3).of_items(2)
    assert Profile(items_with_predictions=3).of_items(4).empty_items == 1


def test_cuts_of_parts_are_kept():
    """Two sources that were cut at different confidences do not look like one."""
    parts = [Profile(cuts=[0.3], left_out=4), Profile(cuts=[0.05], left_out=1), Profile(cuts=[0.3])]

    merged = merge_profiles(parts)

    assert (merged.cuts, merged.left_out) == ([0.05, 0.3], 5)
