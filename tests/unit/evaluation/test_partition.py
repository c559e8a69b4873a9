"""Partitions and workers give bit for bit what one run gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching.partition import (
    PartitionPlan,
    by_image,
    map_partition,
    map_partitions,
    merge,
    split,
)
from airflow_provider_nucleus.evaluation.overlap.boxes import Boxes
from airflow_provider_nucleus.evaluation.readers import accumulate
from airflow_provider_nucleus.evaluation.readers.coco import coco_result
from airflow_provider_nucleus.evaluation.sides.columns import columns

LABELS = 3


def random_sides(seed, *, images=12, truths=40, guesses=90):
    """Crowded little images with ties in every number."""
    rng = np.random.default_rng(seed)

    def side(count, **options):
        boxes = np.concatenate([rng.integers(0, 12, (count, 2)), rng.integers(0, 20, (count, 2))], axis=1)
        return columns(
            Boxes.from_xywh(boxes),
            rng.integers(0, images, count),
            label=rng.integers(0, LABELS, count),
            **options,
        )

    return (
        side(truths, crowd=rng.random(truths) < 0.1),
        side(
            guesses, confidence=np.where(rng.random(guesses) < 0.1, np.nan, rng.integers(1, 6, guesses) / 5)
        ),
    )


def assert_same(first, second):
    for name in ("label", "confidence", "rank", "hit", "ignored", "positives"):
        np.testing.assert_array_equal(getattr(first.coco, name), getattr(second.coco, name), err_msg=name)
    assert first.coco.excluded == second.coco.excluded
    assert first.counts.total() == second.counts.total()
    for label in range(LABELS):
        assert first.counts.of(label) == second.counts.of(label)
    one, two = coco_result(first.coco).tables, coco_result(second.coco).tables
    np.testing.assert_array_equal(one.precision, two.precision)
    np.testing.assert_array_equal(one.recall, two.recall)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 150), guesses=st.sampled_from([0, 1, 90]))
def test_partitions_of_any_size_give_the_same_bits(seed, rows, guesses):
    """From one image a part to all images in one."""
    plan = PartitionPlan(LABELS)
    truth, predictions = (by_image(side) for side in random_sides(seed, guesses=guesses))
    parts = list(split(truth, predictions, rows=rows))

    merged = merge(map_partition(*part, plan=plan) for part in parts)

    assert len(truth) == sum(len(part[0]) for part in parts)
    assert len(predictions) == sum(len(part[1]) for part in parts)
    assert_same(map_partition(truth, predictions, plan=plan), merged)


def test_unsorted_rows_give_the_same_numbers_as_sorted_ones():
    """Sorting by image changes no number: ties inside an image keep the order of their rows."""
    plan = PartitionPlan(LABELS)
    truth, predictions = random_sides(4)

    assert_same(
        map_partition(truth, predictions, plan=plan),
        map_partition(by_image(truth), by_image(predictions), plan=plan),
    )


def load_part(seed):
    return tuple(by_image(side) for side in random_sides(seed))


class Shifted:
    """A source that loads its own images: what a worker process is given."""

    def __init__(self, part):
        self.part = part

    def __call__(self):
        truth, predictions = load_part(self.part)
        shift = 100 * self.part
        return tuple(
            columns(
                side.geometry,
                side.image + shift,
                label=side.label,
                confidence=side.confidence,
                crowd=side.crowd,
            )
            for side in (truth, predictions)
        )


@pytest.mark.parametrize(("workers", "pool"), [(3, "threads"), (2, "processes")])
def test_workers_give_the_same_bits_in_the_same_order(workers, pool):
    """Whoever finishes first, the parts are merged in the order of their images."""
    plan = PartitionPlan(LABELS)
    sources = [Shifted(part) for part in range(6)]
    expected = merge(map_partitions(sources, plan=plan))

    assert_same(expected, merge(map_partitions(sources, plan=plan, workers=workers, pool=pool)))


def test_a_failing_partition_fails_the_evaluation():
    """An error in a worker arrives as it is, and no further partition is taken."""

    def broken():
        raise RuntimeError("part 2 is unreadable")

    asked = []

    def sources():
        for part in range(50):
            asked.append(part)
            yield broken if part == 2 else Shifted(0)

    with pytest.raises(RuntimeError, match="part 2"):
        list(map_partitions(sources(), plan=PartitionPlan(LABELS), workers=2))
    assert len(asked) < 50


def test_a_plan_may_leave_one_family_out():
    """COCO numbers without Nucleus counts and the other way round."""
    truth, predictions = random_sides(1)

    only_counts = merge([map_partition(truth, predictions, plan=PartitionPlan(LABELS, coco=None))])
    only_coco = merge([map_partition(truth, predictions, plan=PartitionPlan(LABELS, rule=None))])

    assert only_counts.coco is None
    assert only_coco.counts is None
    with pytest.raises(ValueError, match="no partition"):
        merge([])


@pytest.mark.parametrize("batch", [1, 7, 25])
def test_labels_in_batches_give_the_same_curves(batch, monkeypatch):
    """Above the limit labels are worked off in batches; no bit may depend on it."""
    rows = map_partition(*random_sides(3), plan=PartitionPlan(LABELS)).coco
    whole = coco_result(rows).tables

    monkeypatch.setattr(accumulate, "ROWS_AT_ONCE", batch)

    parts = coco_result(rows).tables
    for name in ("precision", "confidence", "recall"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_unsorted_rows_cannot_be_split():
    """Cutting unsorted rows would tear images apart; that is an error, not a wrong number."""
    truth, predictions = random_sides(1)

    with pytest.raises(ValueError, match="by_image"):
        list(split(truth, predictions, rows=10))
