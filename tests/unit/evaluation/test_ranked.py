"""Ranked rows: any subset of images gives the numbers of evaluating that subset alone, for both families."""

from __future__ import annotations

import operator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.matching.coco import CocoOptions, match_coco
from airflow_provider_nucleus.evaluation.matching.nucleus import match, match_pairs
from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from airflow_provider_nucleus.evaluation.readers.coco import coco_result, evaluate_coco
from airflow_provider_nucleus.evaluation.readers.curves import f1_curve
from airflow_provider_nucleus.evaluation.readers.mean_precision import precision_by_size, precisions
from airflow_provider_nucleus.evaluation.readers.ranked import rank_coco, rank_match
from airflow_provider_nucleus.evaluation.sides.areas import COCO_AREAS, AreaRange
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy
from tests.shared_data import shared_data
from tests.unit.evaluation.sides import BOX, coco_rows, prediction_side, random_rows, truth_side

CAT, DOG = 0, 1
SMALL_BOXES = (COCO_AREAS[0], AreaRange("small", 0.0, 20.0), AreaRange("large", 20.0, 1e10))


def ranked_coco(truth, predictions, *, labels, options=None):
    options = options or CocoOptions()
    rows = match_coco(truth, predictions, labels=labels, options=options)
    return rank_coco(rows, truth, predictions, options=options), rows


@pytest.mark.parametrize(
    ("folder", "model"),
    [("home-objects", "yolo"), ("home-objects", "centernet"), ("coco-val2014-100", "fakebbox")],
)
def test_real_sets_give_the_coco_numbers(folder, model):
    """AP, AP50, AP75 and AP by size of the published sets, through the fast path."""
    truths, found = coco_rows(shared_data(folder), model)
    truth, predictions = truth_side(truths), prediction_side(found)
    labels = 1 + max(row[1] for row in truths + found)
    ranked, rows = ranked_coco(truth, predictions, labels=labels)
    expected = coco_result(rows).numbers
    ours = precisions(ranked.rows())
    sizes = precision_by_size(ranked)

    assert expected["AP"].value == pytest.approx(ours.mean().value, abs=1e-12)
    assert expected["AP50"].value == pytest.approx(ours.mean(threshold=0.5).value, abs=1e-12)
    assert expected["AP75"].value == pytest.approx(ours.mean(threshold=0.75).value, abs=1e-12)
    for name in ("small", "medium", "large"):
        assert expected[f"AP{name[0]}"].value == pytest.approx(sizes[name].value, abs=1e-12)


@given(st.integers(0, 100_000), st.lists(st.booleans(), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_choice_of_images_equals_evaluating_them_alone_for_coco(seed, kept):
    """Masks over whole images are exact in every size range, crowds and ties included."""
    truths, found = random_rows(seed)
    truth, predictions = truth_side(truths), prediction_side(found)
    options = CocoOptions(areas=SMALL_BOXES)
    ranked, _ = ranked_coco(truth, predictions, labels=3, options=options)
    masks = [np.array([kept[row[0]] for row in side], dtype=bool) for side in (truths, found)]
    alone = evaluate_coco(
        truth.take(np.flatnonzero(masks[0])),
        predictions.take(np.flatnonzero(masks[1])),
        labels=3,
        options=options,
    )

    for column, area in enumerate(SMALL_BOXES):
        ours = precisions(ranked.rows(predictions=masks[1], ground_truth=masks[0], area=area))
        for label in range(3):
            expected = alone.label_ap(label, area=column).value
            assert expected == pytest.approx(ours.of_label(label).value, abs=1e-12)


@given(st.integers(0, 100_000), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_a_confidence_cut_equals_evaluating_what_is_left_for_coco(seed, least):
    """COCO matches by confidence, so the less confident never decide about the more confident."""
    truths, found = random_rows(seed)
    truth, predictions = truth_side(truths), prediction_side(found)
    mask = np.array([row[3] >= least / 5 for row in found], dtype=bool)
    ranked, _ = ranked_coco(truth, predictions, labels=3)
    alone = evaluate_coco(truth, predictions.take(np.flatnonzero(mask)), labels=3)

    ours = precisions(ranked.rows(predictions=mask))
    assert alone.numbers["AP"].value == pytest.approx(ours.mean().value, abs=1e-12)


def literal_ap(entries, positives):
    """AP of (confidence rank, hit) entries by the definition, 101 levels."""
    if not positives:
        return None
    hits = np.cumsum([hit for _, hit in sorted(entries, key=operator.itemgetter(0))])
    total = 0.0
    for level in np.linspace(0, 1, 101):
        reachable = [found / (n + 1) for n, found in enumerate(hits) if found / positives >= level]
        total += max(reachable, default=0.0)
    return total / 101


def found_anew(matches, order, threshold):
    """The ground truth that each prediction adds when predictions come in by confidence, from a match of every prefix."""
    added = {}
    before = set()
    for count in range(1, len(order) + 1):
        mask = np.zeros(len(matches.predictions), dtype=bool)
        mask[order[:count]] = True
        alone = matches.only(mask)
        now = set(alone.match[alone.correct & (alone.overlap >= threshold)].tolist())
        assert before <= now
        assert len(now - before) <= 1
        for truth in now - before:
            added[order[count - 1]] = truth
        before = now
    return added


@given(st.integers(0, 100_000), st.lists(st.booleans(), min_size=4, max_size=4), st.booleans())
@settings(max_examples=40, deadline=None)
def test_nucleus_ap_equals_its_definition_on_any_choice_of_images(seed, kept, listed):
    """Every point of a curve is the match of the predictions above it; TP follows the ground truth's size and label, FP its own."""
    truths, found = random_rows(seed)
    truth, predictions = truth_side(truths), prediction_side(found)
    rule = LabelMatchPolicy(allowed=frozenset({(0, 1)})) if listed else LabelMatchPolicy()
    matches = match(truth, predictions, rule=rule)
    ranked = rank_match(matches, labels=3, thresholds=(0.5, 0.75))
    masks = [np.array([kept[row[0]] for row in side], dtype=bool) for side in (truths, found)]
    order = np.lexsort((predictions.ordinal, predictions.image, -predictions.confidence)).tolist()
    added = {threshold: found_anew(matches, order, threshold) for threshold in ranked.thresholds}
    ranked_under = [
        next((truths[added[t][n]][1] for t in ranked.thresholds if n in added[t]), row[1])
        for n, row in enumerate(found)
    ]

    for area in SMALL_BOXES:
        ours = precisions(ranked.rows(predictions=masks[1], ground_truth=masks[0], area=area))
        fits = [area.low <= row[2][2] * row[2][3] <= area.high for row in truths]
        for label in range(3):
            positives = sum(
                kept[row[0]] and row[1] == label and not row[3] and fits[n] for n, row in enumerate(truths)
            )
            values = []
            for threshold in ranked.thresholds:
                entries = []
                for n, row in enumerate(found):
                    if not kept[row[0]] or ranked_under[n] != label:
                        continue
                    if (partner := added[threshold].get(n)) is not None:
                        if fits[partner]:
                            entries.append((order.index(n), True))
                    elif area.low <= row[2][2] * row[2][3] <= area.high:
                        entries.append((order.index(n), False))
                values.append(literal_ap(entries, positives))
            expected = None if values[0] is None else np.mean(values)
            assert expected == pytest.approx(ours.of_label(label).value, abs=1e-12)


def test_overlap_first_matching_is_not_cocos_ap():
    """The better fit sends the confident one on to the second object: AP50 is 1; COCO leaves it the first, and AP50 is about 1/2."""
    truth = truth_side([(0, CAT, BOX), (0, CAT, (4, 0, 10, 10))])
    predictions = prediction_side([(0, CAT, (1.9, 0, 10, 10), 0.9), (0, CAT, BOX, 0.5)])
    coco, _ = ranked_coco(truth, predictions, labels=1)
    nucleus = rank_match(match(truth, predictions), labels=1)

    assert Metric(51 / 101) == precisions(coco.rows()).mean(threshold=0.5)
    assert Metric(1.0) == precisions(nucleus.rows()).mean(threshold=0.5)


def test_a_confident_near_duplicate_is_the_first_to_be_right():
    """What fits best takes the object over from it and finds nothing new; above its own confidence nobody is in its way."""
    truth = truth_side([(0, CAT, BOX)])
    predictions = prediction_side([(0, CAT, (0, 0, 10, 9), 0.9), (0, CAT, BOX, 0.5)])
    ranked = rank_match(match(truth, predictions), labels=1)

    assert Metric(1.0) == precisions(ranked.rows()).mean(threshold=0.5)
    assert f1_curve(ranked.rows(), threshold=0.5).best.confidence == 0.9


def test_a_match_that_has_no_curve_says_so():
    """Without its pairs, or with labels that do not matter, what is above a confidence cannot be ranked."""
    sides = truth_side([(0, CAT, BOX)]), prediction_side([(0, DOG, BOX, 0.9)])
    with pytest.raises(ValueError, match="without its pairs"):
        rank_match(replace(match(*sides), edges=None), labels=2)
    with pytest.raises(ValueError, match="class-agnostic"):
        rank_match(match(*sides, rule=LabelMatchPolicy(class_agnostic=True)), labels=2)


def test_a_masked_out_ground_truth_takes_its_true_positive_along():
    """The prediction that found it is neither right nor wrong; one that found nothing stays wrong."""
    truth = truth_side([(0, CAT, BOX), (0, CAT, (50, 50, 10, 10))])
    predictions = prediction_side([
        (0, CAT, BOX, 0.9),
        (0, CAT, (50, 50, 10, 10), 0.8),
        (0, CAT, (80, 80, 5, 5), 0.7),
    ])
    ranked = rank_match(match(truth, predictions), labels=1)
    rows = ranked.rows(ground_truth=np.array([False, True]))

    assert rows.positives.tolist() == [1]
    assert Metric(1.0) == precisions(rows).mean()


def test_degenerate_sides_say_why_there_is_no_number():
    """No ground truth, no predictions, no confidence: null with a reason, except that finding nothing is 0."""
    no_truth = rank_match(match(truth_side([]), prediction_side([(0, CAT, BOX, 0.9)])), labels=2)
    nothing = rank_match(match(truth_side([(0, CAT, BOX)]), prediction_side([])), labels=2)
    unscored = rank_match(match(truth_side([(0, CAT, BOX)]), prediction_side([(0, CAT, BOX)])), labels=2)

    assert undefined("no ground truth") == precisions(no_truth.rows()).mean()
    assert undefined("no ground truth of this label") == precisions(nothing.rows()).of_label(DOG)
    assert Metric(0.0) == precisions(nothing.rows()).mean() == precisions(nothing.rows()).of_label(CAT)
    assert unscored.without_confidence == 1
    table = precisions(unscored.rows())
    assert undefined("no prediction has a confidence") == table.mean()
    assert undefined("no prediction of this label has a confidence") == table.of_label(CAT)
    assert undefined("no ground truth of medium size") == precision_by_size(nothing)["medium"]


def test_thresholds_and_rows_that_do_not_fit_are_refused():
    """A threshold that was not evaluated, thresholds out of order, rows of other predictions."""
    truth, predictions = truth_side([(0, CAT, BOX)]), prediction_side([(0, CAT, BOX, 0.9)])
    matches = match(truth, predictions)
    with pytest.raises(ValueError, match=r"0\.6 was not evaluated"):
        precisions(rank_match(matches, labels=1, thresholds=(0.5,)).rows()).mean(threshold=0.6)
    with pytest.raises(ValueError, match="ascending"):
        rank_match(matches, labels=1, thresholds=(0.75, 0.5))
    _, rows = ranked_coco(truth, predictions, labels=1)
    with pytest.raises(ValueError, match="do not come from these predictions"):
        rank_coco(rows, truth, prediction_side([]))


def test_a_prediction_of_two_gains_is_ranked_under_the_label_of_the_lowest_threshold():
    """The second takes the cat from the first, at 0.75, and so leads the first to the dog, at 0.5."""
    truth = truth_side([(0, CAT, BOX), (0, DOG, BOX)])
    predictions = prediction_side([(0, CAT, BOX, 0.9), (0, CAT, BOX, 0.8)])
    matches = match_pairs(
        truth,
        predictions,
        ground_truth_rows=np.array([0, 0, 1], dtype=np.int32),
        prediction_rows=np.array([0, 1, 0], dtype=np.int32),
        overlap=np.array([0.6, 0.9, 0.55]),
        rule=LabelMatchPolicy(allowed=frozenset({(DOG, CAT)})),
    )

    ranked = rank_match(matches, labels=2, thresholds=(0.5, 0.75))

    assert dict(zip(ranked.row.tolist(), ranked.label.tolist(), strict=True)) == {0: CAT, 1: DOG}
