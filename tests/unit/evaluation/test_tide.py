"""TIDE against tidecv 1.0.1: counts identical, AP and dAP to 1e-12 (summation order), on real and random data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.evaluation.coco_files.json import read_results, read_truth
from airflow_provider_nucleus.evaluation.metric import Metric, undefined
from airflow_provider_nucleus.evaluation.readers.attribution import ErrorKind
from airflow_provider_nucleus.evaluation.readers.tide import tide
from tests.shared_data import shared_data
from tests.unit.evaluation.sides import BOX, prediction_side, random_rows, truth_side

CAT, DOG = 0, 1
KINDS = {
    "Cls": "classification",
    "Loc": "localization",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
    "FalsePos": "false_positive",
    "FalseNeg": "false_negative",
}

# tidecv 1.0.1 on the boxes (fakesegm: masks) of the shared sets: counts, AP50 and dAP in points of 100.
REFERENCE = {
    ("home-objects", "yolo"): (
        {"Cls": 37, "Loc": 83, "Both": 37, "Dupe": 21, "Bkg": 50, "Miss": 351},
        24.627882941783072,
        {
            "Cls": 4.2395252473438026,
            "Loc": 5.392098352274001,
            "Both": 2.472952507423301,
            "Dupe": 0.3049326506515939,
            "Bkg": 2.2673568313734693,
            "Miss": 22.81604053421011,
            "FalsePos": 3.850491211421726,
            "FalseNeg": 36.253108544959645,
        },
    ),
    ("home-objects", "centernet"): (
        {"Cls": 519, "Loc": 259, "Both": 433, "Dupe": 10, "Bkg": 1173, "Miss": 246},
        8.493103443272924,
        {
            "Cls": 10.360348631422395,
            "Loc": 3.8315153617047425,
            "Both": 0.28408765543597348,
            "Dupe": 0.002924173297879307,
            "Bkg": 2.3060932021792643,
            "Miss": 1.2817657060455989,
            "FalsePos": 5.6490570414322594,
            "FalseNeg": 7.352932643262583,
        },
    ),
    ("coco-val2014-100", "fakebbox"): (
        {"Cls": 83, "Loc": 1, "Both": 0, "Dupe": 1, "Bkg": 0, "Miss": 97},
        64.20498881733425,
        {
            "Cls": 22.2460397441685,
            "Loc": 0.22789102370710168,
            "Both": 0.0,
            "Dupe": 0.018972971237033676,
            "Bkg": 0.0,
            "Miss": 8.523573787723365,
            "FalsePos": 6.821587524510463,
            "FalseNeg": 17.684978535217183,
        },
    ),
    ("coco-val2014-100", "fakesegm"): (
        {"Cls": 76, "Loc": 82, "Both": 7, "Dupe": 0, "Bkg": 4, "Miss": 109},
        51.80083046313932,
        {
            "Cls": 16.185981944964922,
            "Loc": 11.60070388144917,
            "Both": 1.0128320441411205,
            "Dupe": 0.0,
            "Bkg": 0.26809184082152626,
            "Miss": 7.778620430008559,
            "FalsePos": 8.660347233577724,
            "FalseNeg": 23.745819200827114,
        },
    ),
}


def counts_of(result) -> dict[str, int]:
    counts = result.attribution.counts()
    return {name: getattr(counts, field) for name, field in list(KINDS.items())[:6]}


@pytest.mark.parametrize(("folder", "model"), REFERENCE)
def test_real_sets_reproduce_tidecv(folder, model):
    """Counts identical, AP and all eight dAPs equal, crowds and tied confidences included."""
    place = shared_data(folder)
    truth = read_truth(place / "ground_truth.json", iou_type="segm" if model == "fakesegm" else "bbox")
    results = read_results(place / f"predictions_{model}.json", truth)
    counts, ap, lost = REFERENCE[folder, model]
    result = tide(truth.columns, results.columns)

    assert counts == counts_of(result)
    assert ap / 100 == pytest.approx(result.ap.value, abs=1e-12)
    for name, points in lost.items():
        assert points / 100 == pytest.approx(getattr(result.lost, KINDS[name]).value, abs=1e-12), name


def run_tidecv(truths, predictions, *, images, foreground, background, limit):
    """Run the reference on the same rows; a dAP it cannot divide for is None."""
    tidecv = pytest.importorskip("tidecv")
    from tidecv.quantify import FalseNegativeError, FalsePositiveError

    gt, dt = tidecv.Data("gt", max_dets=limit), tidecv.Data("dt")
    for image in range(images):
        gt.add_image(image, str(image))
    for image, label, box, crowd in truths:
        (gt.add_ignore_region if crowd else gt.add_ground_truth)(image, label, list(box))
    for image, label, box, score in predictions:
        dt.add_detection(image, label, score, list(box))
    run = tidecv.TIDE(foreground, background).evaluate(gt, dt, mode=tidecv.TIDE.BOX)
    lost = {}
    for kind, count in run.count_errors().items():
        try:
            lost[kind.short_name] = (count, run.fix_main_errors(error_types=[kind])[kind] / 100)
        except ZeroDivisionError:
            lost[kind.short_name] = (count, None)
    try:
        special = run.fix_special_errors()
        lost["FalsePos"] = (None, special[FalsePositiveError] / 100)
        lost["FalseNeg"] = (None, special[FalseNegativeError] / 100)
    except ZeroDivisionError:
        pass
    return run.ap / 100, lost


@given(st.integers(0, 100_000), st.sampled_from([0.5, 0.3, 0.75]), st.sampled_from([100, 3]))
@settings(max_examples=80, deadline=None)
def test_random_data_equals_tidecv(seed, foreground, limit):
    """Ties of confidence and of overlap, crowds, empty images, more detections than the limit."""
    truths, predictions = random_rows(seed)
    if not any(not row[3] for row in truths) or not predictions:
        return
    ap, reference = run_tidecv(
        truths, predictions, images=4, foreground=foreground, background=0.1, limit=limit
    )
    result = tide(
        truth_side(truths), prediction_side(predictions), foreground=foreground, max_detections=limit
    )

    assert ap == pytest.approx(result.ap.value, abs=1e-12)
    for name, (count, lost) in reference.items():
        ours = getattr(result.lost, KINDS[name])
        assert count in {None, counts_of(result).get(name)}, name
        assert (ours.value is None) if lost is None else (lost == pytest.approx(ours.value, abs=1e-12)), name


def test_hand_computed_case():
    """Two cats: one found with confidence .9; a dog of .8 on the other costs half of each class's AP."""
    truth = truth_side([(0, CAT, BOX), (1, CAT, BOX)])
    result = tide(truth, prediction_side([(0, CAT, BOX, 0.9), (1, DOG, BOX, 0.8)]))

    # Cat: one of two found, 51 of 101 levels. Dog: a detection and no ground truth counts 0.
    assert Metric(51 / 101 / 2) == result.ap
    # Corrected, the dog becomes the second cat, and no dog is left in the mean.
    assert pytest.approx(result.lost.classification.value) == 1 - 51 / 101 / 2
    assert Metric(0.0) == result.lost.localization == result.lost.missed
    assert result.attribution.kind.tolist() == [ErrorKind.TRUE_POSITIVE, ErrorKind.CLASSIFICATION]
    assert result.attribution.towards.tolist() == [-1, 1]


def test_only_the_most_confident_of_the_errors_at_one_object_is_corrected():
    """A localization error of .9 and a classification error of .8 point at the same cat: the first one is the one."""
    truth = truth_side([(0, CAT, BOX)])
    result = tide(truth, prediction_side([(0, DOG, BOX, 0.8), (0, CAT, (0, 0, 10, 4), 0.9)]))

    assert Metric(0.0) == result.ap
    # The localization becomes the true positive (AP 1 for cats, dogs 0); the classification error is only deleted.
    assert Metric(0.5) == result.lost.localization
    assert Metric(0.0) == result.lost.classification


def test_detections_inside_a_crowd_leave_the_ap_but_keep_their_kind():
    """A cat inside a crowd of cats does not cost precision; a dog there does."""
    truth = truth_side([(0, CAT, (50, 50, 10, 10)), (0, CAT, (0, 0, 40, 40), True)])
    result = tide(
        truth,
        prediction_side([(0, CAT, BOX, 0.9), (0, DOG, BOX, 0.8), (0, CAT, (50, 50, 10, 10), 0.7)]),
    )

    assert result.in_region.tolist() == [True, False, False]
    assert Metric(0.5) == result.ap
    assert result.attribution.counts().background == 2


def test_detections_beyond_the_limit_are_left_out():
    """The limit counts detections of the image, whatever their class."""
    result = tide(
        truth_side([(0, CAT, BOX)]),
        prediction_side([(0, CAT, BOX, 0.1), (0, DOG, BOX, 0.9), (0, DOG, (50, 50, 5, 5), 0.8)]),
        max_detections=2,
    )

    assert result.attribution.kind.tolist() == [
        ErrorKind.LEFT_OUT,
        ErrorKind.CLASSIFICATION,
        ErrorKind.BACKGROUND,
    ]


def test_detections_without_confidence_are_matched_last_and_are_not_part_of_ap():
    """They can be right, but no curve has a place for them."""
    result = tide(truth_side([(0, CAT, BOX)]), prediction_side([(0, CAT, BOX), (0, CAT, (0, 0, 10, 9), 0.5)]))

    assert result.attribution.kind.tolist() == [ErrorKind.DUPLICATE, ErrorKind.TRUE_POSITIVE]
    assert Metric(1.0) == result.ap

    alone = tide(truth_side([(0, CAT, BOX)]), prediction_side([(0, CAT, BOX)]))
    assert alone.attribution.kind.tolist() == [ErrorKind.TRUE_POSITIVE]
    assert undefined("no prediction has a confidence") == alone.ap == alone.lost.missed


def test_without_ground_truth_there_is_no_ap():
    """Everything is background, and AP and dAP say why they are missing."""
    result = tide(truth_side([(0, CAT, BOX, True)]), prediction_side([(0, DOG, BOX, 0.9)]))

    assert undefined("no ground truth") == result.ap == result.lost.background
    assert result.attribution.counts().background == 1


def test_without_predictions_everything_is_missed():
    """AP is 0; asking for nothing leaves no class to average."""
    result = tide(truth_side([(0, CAT, BOX)]), prediction_side([]))

    assert Metric(0.0) == result.ap == result.lost.background
    assert result.attribution.counts().missed == 1
    assert not result.lost.missed.defined


def test_the_result_cannot_be_changed():
    """Readers share the arrays."""
    result = tide(truth_side([(0, CAT, BOX)]), prediction_side([(0, CAT, BOX, 0.5)]))

    with pytest.raises(ValueError, match="read-only"):
        result.attribution.kind[0] = np.int8(3)
