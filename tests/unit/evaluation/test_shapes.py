"""Polygons, cuboids and index masks against shapely, brute force and hand-computed cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching.counts import counts_at
from airflow_provider_nucleus.evaluation.matching.nucleus import match, match_pairs
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.overlap.cuboids import Cuboids, cuboid_overlap
from airflow_provider_nucleus.evaluation.overlap.dispatch import overlap
from airflow_provider_nucleus.evaluation.overlap.masks import Segments, index_overlap, segment_pairs
from airflow_provider_nucleus.evaluation.overlap.polygons import Polygons
from airflow_provider_nucleus.evaluation.overlap.rings import polygons_from_rings
from airflow_provider_nucleus.evaluation.sides.columns import columns
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy


def every_pair(first, second):
    """Overlap matrix of two geometries."""
    rows, others = np.divmod(np.arange(len(first) * len(second)), max(len(second), 1))
    return overlap(first, second, rows=rows, other_rows=others).reshape(len(first), len(second))


def star(rng, centre, radius, corners):
    """A polygon that never crosses itself: points around a centre in order of their angle."""
    angle = np.sort(rng.uniform(0, 2 * math.pi, corners))
    reach = radius * rng.uniform(0.3, 1.0, corners)
    return np.stack([centre[0] + reach * np.cos(angle), centre[1] + reach * np.sin(angle)], axis=1)


def test_polygons_agree_with_shapely():
    """Concave outlines of 3 to 40 corners, either direction, far from the origin too."""
    rng = np.random.default_rng(1)
    for offset in (0.0, 5e5):
        rings = [
            star(rng, rng.uniform(0, 40, 2) + offset, rng.uniform(2, 30), int(rng.integers(3, 40)))
            for _ in range(60)
        ]
        rings = [ring if k % 2 else ring[::-1] for k, ring in enumerate(rings)]
        shapes = [shapely.Polygon(ring) for ring in rings]
        valid = [k for k, shape in enumerate(shapes) if shape.is_valid]
        result = polygons_from_rings([rings[k] for k in valid])
        expected = np.array([
            [shapes[a].intersection(shapes[b]).area / shapes[a].union(shapes[b]).area for b in valid]
            for a in valid
        ])

        ours = every_pair(result.polygons, result.polygons)

        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)
        np.testing.assert_allclose(np.diag(ours), 1.0, rtol=0, atol=1e-14)
        np.testing.assert_allclose(result.polygons.area, [shapes[k].area for k in valid], rtol=1e-12)
        assert not result.invalid.any()


def test_boxes_and_polygons_can_be_compared_and_a_box_is_its_corner():
    """A box as a box, as a polygon and as a closed ring is the same shape."""
    boxes = Boxes.from_xywh([(2, 3, 4, 5), (0, 0, 10, 10)])
    rings = [[(2, 3), (6, 3), (6, 8), (2, 8)], [(0, 0), (0, 10), (10, 10), (10, 0), (0, 0)]]
    polygons = polygons_from_rings(rings).polygons

    assert polygons.is_box.all()
    expected = [[1.0, 0.2], [0.2, 1.0]]
    for first in (boxes, polygons, Polygons.from_boxes(boxes)):
        for second in (boxes, polygons, Polygons.from_boxes(boxes)):
            np.testing.assert_allclose(every_pair(first, second), expected, rtol=0, atol=1e-15)
    triangle = polygons_from_rings([[(0, 0), (10, 0), (0, 10)]]).polygons
    assert pytest.approx(every_pair(triangle, boxes)[0, 1]) == 0.5
    mixed = Polygons.concatenate([triangle, Polygons.from_boxes(boxes)])
    np.testing.assert_allclose(every_pair(mixed, mixed).diagonal(), 1.0)
    np.testing.assert_allclose(every_pair(mixed.take(np.array([2, 0])), triangle)[:, 0], [0.5, 1.0])


def test_polygons_that_only_touch_do_not_overlap():
    """A shared edge or corner is no intersection, not even one of rounding size."""
    rings = [
        [(0.1, 0.1), (1.1, 0.2), (0.7, 1.3)],
        [(1.1, 0.2), (0.7, 1.3), (2.3, 2.1)],
        [(0.7, 1.3), (0.1, 0.1), (-3, 2)],
    ]
    polygons = polygons_from_rings(rings).polygons

    assert every_pair(polygons, polygons)[0, 1:].tolist() == [0.0, 0.0]


def test_degenerate_polygons_overlap_nothing_and_stay_in_the_counts():
    """Two points, a line, nothing at all: IoU 0, one false positive each."""
    rings = [[(0, 0), (5, 5)], [(0, 0), (5, 5), (2, 2), (1, 1)], [], [(0, 0), (9, 0), (9, 9)]]
    result = polygons_from_rings(rings)
    side = columns(result.polygons, np.zeros(4, dtype=int), label=np.zeros(4, dtype=int))

    assert not result.invalid.any()
    counts = counts_at(match(side, side), 0.5)
    assert (counts.tp, counts.fp, counts.fn) == (1, 3, 3)


def test_self_crossing_rings_are_dropped_repaired_or_rejected():
    """A bow tie has no area of its own; repaired it is two triangles."""
    bow = [(0, 0), (10, 10), (10, 0), (0, 10)]
    square = [(0, 0), (10, 0), (10, 10), (0, 10)]

    dropped = polygons_from_rings([bow, square])
    repaired = polygons_from_rings([bow, square], invalid="repair")

    assert dropped.invalid.tolist() == [True, False]
    assert dropped.polygons.area.tolist() == [0.0, 100.0]
    assert every_pair(dropped.polygons, dropped.polygons)[0, 1] == 0.0
    assert pytest.approx(repaired.polygons.area[0]) == 50.0
    assert pytest.approx(every_pair(repaired.polygons, repaired.polygons)[0, 1]) == 0.5
    with pytest.raises(ValueError, match=r"row 0.*crosses itself"):
        polygons_from_rings([bow, square], invalid="reject")


def test_a_repaired_ring_with_a_hole_keeps_the_hole():
    """make_valid of a ring that winds back through itself leaves a frame."""
    ring = [(0, 0), (10, 0), (10, 10), (0, 10), (0, 0), (3, 3), (3, 7), (7, 7), (7, 3), (3, 3)]
    repaired = polygons_from_rings([ring], invalid="repair")
    whole = shapely.make_valid(shapely.Polygon(ring))

    assert whole.area == pytest.approx(repaired.polygons.area[0])
    probe = Boxes.from_xywh([(3, 3, 4, 4)])
    expected = whole.intersection(shapely.box(3, 3, 7, 7)).area / whole.union(shapely.box(3, 3, 7, 7)).area
    assert expected == pytest.approx(every_pair(repaired.polygons, probe)[0, 0], abs=1e-12)


def test_malformed_and_infinite_rings_are_rejected():
    """Something that is no list of pairs, or not finite, is an error that names the row."""
    with pytest.raises(ValueError, match="row 1"):
        polygons_from_rings([[(0, 0), (1, 0), (0, 1)], [1, 2, 3]])
    poison = polygons_from_rings([[(0, 0), (1, math.nan), (0, 1), (1, 1)]]).polygons
    with pytest.raises(ValueError, match=r"row 0.*finite"):
        columns(poison, np.zeros(1, dtype=int), label=np.zeros(1, dtype=int))


# --- cuboids ---------------------------------------------------------------------------------------------------


def footprint(row):
    """The footprint of x, y, z, length, width, height, yaw as a shapely polygon."""
    x, y, _, length, width, _, yaw = row
    ahead = np.array([math.cos(yaw), math.sin(yaw)]) * length / 2
    aside = np.array([-math.sin(yaw), math.cos(yaw)]) * width / 2
    centre = np.array([x, y])
    return shapely.Polygon([
        centre - ahead - aside,
        centre + ahead - aside,
        centre + ahead + aside,
        centre - ahead + aside,
    ])


def reference_overlap(a, b, *, bird_eye=False):
    common = footprint(a).intersection(footprint(b)).area
    if bird_eye:
        return common / (a[3] * a[4] + b[3] * b[4] - common)
    rise = min(a[2] + a[5] / 2, b[2] + b[5] / 2) - max(a[2] - a[5] / 2, b[2] - b[5] / 2)
    common *= max(rise, 0.0)
    return common / (a[3] * a[4] * a[5] + b[3] * b[4] * b[5] - common)


@pytest.mark.parametrize("bird_eye", [False, True])
def test_cuboids_agree_with_shapely(bird_eye):
    """Any yaw, axis-parallel ones and contained ones included."""
    rng = np.random.default_rng(2)
    rows = np.concatenate([
        rng.uniform((-3, -3, -1, 0.5, 0.5, 0.5, -7), (3, 3, 1, 6, 3, 3, 7), (40, 7)),
        [(0, 0, 0, 4, 2, 2, k * math.pi / 4) for k in range(8)],
        [(50.0, 20.0, 0, 4, 2, 2, 0.3), (0.5, 0, 0, 1, 1, 1, 0)],
    ])
    cuboids = Cuboids.from_rows(rows, bird_eye=bird_eye)

    ours = every_pair(cuboids, cuboids)

    expected = [[reference_overlap(a, b, bird_eye=bird_eye) for b in rows] for a in rows]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.diagonal(), 1.0, rtol=0, atol=1e-15)


@pytest.mark.parametrize("bird_eye", [False, True])
def test_cuboids_agree_with_the_official_client(bird_eye):
    """nucleus.metrics lays dimensions.x along the yaw, as we do; it computes in float32, hence the tolerance."""
    from nucleus import CuboidPrediction, Point3D
    from nucleus.metrics.cuboid_utils import compute_outer_iou

    rng = np.random.default_rng(5)
    rows = rng.uniform((-2, -2, -1, 1, 1, 1, -4), (2, 2, 1, 5, 3, 3, 4), (25, 7))
    cuboids = Cuboids.from_rows(rows, bird_eye=bird_eye)
    official = [
        CuboidPrediction(
            label="car",
            position=Point3D(*row[:3]),
            dimensions=Point3D(*row[3:6]),
            yaw=row[6],
            reference_id="a",
        )
        for row in rows.tolist()
    ]
    arrays = [
        np.array([[c.position.x, c.position.y, c.position.z] for c in official]),
        np.array([[c.dimensions.x, c.dimensions.y, c.dimensions.z] for c in official]),
        np.array([c.yaw for c in official]),
    ]

    solid, flat = compute_outer_iou(*arrays, *arrays)

    np.testing.assert_allclose(every_pair(cuboids, cuboids), flat if bird_eye else solid, rtol=0, atol=2e-6)


def test_cuboids_by_hand():
    """Half-shifted along its length: intersection 1/2, union 3/2. A quarter turn of 4 x 2: 4 / 12."""
    cuboids = Cuboids.from_rows([
        (0, 0, 0, 4, 2, 2, 0),
        (2, 0, 0, 4, 2, 2, 0),
        (0, 0, 0, 4, 2, 2, math.pi / 2),
    ])

    ours = every_pair(cuboids, cuboids)

    assert [1.0, pytest.approx(1 / 3), pytest.approx(1 / 3)] == ours[0].tolist()
    assert cuboids.area.tolist() == [16.0] * 3


def test_cuboids_above_each_other_or_without_size_overlap_nothing():
    """Touching along z and zero sizes are no overlap; negative sizes and NaN are rejected."""
    cuboids = Cuboids.from_rows([(0, 0, 0, 4, 2, 2, 0), (0, 0, 2, 4, 2, 2, 0), (0, 0, 0, 0, 2, 2, 0)])

    assert every_pair(cuboids, cuboids)[0, 1:].tolist() == [0.0, 0.0]
    assert every_pair(cuboids, cuboids)[2, 2] == 0.0
    for bad in ((0, 0, 0, -1, 1, 1, 0), (0, 0, 0, 1, 1, 1, math.nan)):
        with pytest.raises(ValueError, match=r"row 0.*cuboid"):
            columns(Cuboids.from_rows([bad]), np.zeros(1, dtype=int), label=np.zeros(1, dtype=int))


def test_a_crowd_of_cuboids_is_measured_by_the_share_of_the_prediction_inside():
    """Intersection over the second cuboid alone, where asked, in space and seen from above."""
    for bird_eye in (False, True):
        crowd = Cuboids.from_rows([(0, 0, 0, 40, 20, 2, 0)] * 2, bird_eye=bird_eye)
        found = Cuboids.from_rows([(20, 0, 0, 4, 2, 2, 0.3)] * 2, bird_eye=bird_eye)
        pairs = np.arange(2)

        shares = overlap(crowd, found, rows=pairs, other_rows=pairs, over_second=np.array([True, False]))

        assert shares[0] == pytest.approx(0.5)
        assert shares[1] < 0.02


def test_kinds_that_cannot_be_compared_are_refused():
    """A cuboid is no box, a volume is no footprint."""
    one = np.zeros(1, dtype=np.int64)
    solid = Cuboids.from_rows([(0, 0, 0, 1, 1, 1, 0)])
    with pytest.raises(TypeError, match="Cuboids cannot be compared with Boxes"):
        overlap(solid, Boxes.from_xywh([(0, 0, 1, 1)]), rows=one, other_rows=one)
    with pytest.raises(ValueError, match="footprints"):
        cuboid_overlap(
            solid, Cuboids.from_rows([(0, 0, 0, 1, 1, 1, 0)], bird_eye=True), rows=one, other_rows=one
        )


# --- index masks -----------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(data=st.data(), spread=st.sampled_from([1, 1, 5000]))
def test_index_overlap_counts_every_pixel_pair(data, spread):
    """The histogram equals counting pixel by pixel, for dense and sparse index spaces."""
    height, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    pixels = st.lists(st.integers(0, 3), min_size=height * width, max_size=height * width)
    left = np.array(data.draw(pixels), dtype=np.uint16).reshape(height, width) * np.uint16(spread)
    correct = np.array(data.draw(pixels), dtype=np.uint16).reshape(height, width) * np.uint16(spread)

    found = index_overlap(left, correct)

    counted = {}
    for a, b in zip(left.ravel().tolist(), correct.ravel().tolist()):
        counted[a, b] = counted.get((a, b), 0) + 1
    assert counted == dict(
        zip(zip(found.ground_truth.tolist(), found.prediction.tolist()), found.pixels.tolist())
    )


def test_masks_must_be_of_one_image():
    """Different sizes and negative indices are errors."""
    with pytest.raises(ValueError, match="same image"):
        index_overlap(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="negative"):
        index_overlap(np.full((2, 2), -1), np.zeros((2, 2), np.uint8))


def test_segments_match_above_one_percent_or_when_labels_are_right():
    """Nucleus' mask rule: a right label associates at any overlap, a wrong one only above 1 %."""
    truth = np.zeros((20, 20), np.uint8)
    truth[:10] = 1
    truth[10:] = 2
    prediction = np.ones((20, 20), np.uint8)
    prediction[10:, 0] = 2
    prediction[0, 0] = 3
    table = np.array([-1, 0, 1])
    rows = segment_pairs([(index_overlap(truth, prediction), table, np.array([-1, 0, 1, 2]))])
    sides = columns(Segments(np.array([200.0, 200.0])), np.zeros(2, int), label=np.array([1, 2]))
    guesses = columns(Segments(np.array([389.0, 10.0, 1.0])), np.zeros(3, int), label=np.array([1, 2, 2]))

    def matched(rule):
        return match_pairs(
            sides, guesses, ground_truth_rows=rows[0], prediction_rows=rows[1], overlap=rows[2], rule=rule
        )

    sensitive = matched(LabelMatchPolicy(minimum_overlap=0.01))
    agnostic = matched(LabelMatchPolicy(class_agnostic=True, minimum_overlap=0.01))

    assert sensitive.match.tolist() == [0, 1, -1]
    assert pytest.approx(sensitive.overlap[0]) == 199 / 390
    assert pytest.approx(sensitive.overlap[1]) == 10 / 200
    assert agnostic.match[2] == -1
