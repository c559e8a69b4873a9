"""Provenance: plain data that accounts for every object that is not in a number."""

from __future__ import annotations

import json

from airflow_provider_nucleus import __version__
from airflow_provider_nucleus.evaluation.matching.coco import BOX_OPTIONS, CocoOptions, match_coco
from airflow_provider_nucleus.evaluation.matching.nucleus import match
from airflow_provider_nucleus.evaluation.readers.provenance import (
    Exclusion,
    coco_provenance,
    nucleus_provenance,
)
from airflow_provider_nucleus.evaluation.sides.labels import LabelMatchPolicy, Vocabulary
from tests.unit.evaluation.sides import BOX, prediction_side, truth_side

CAT, DOG = 0, 1
WORDS = Vocabulary(("cat", "dog"))


def test_a_nucleus_number_names_its_options_and_what_it_leaves_out():
    """Rule, threshold, crowd, missing and low confidence; ready for JSON."""
    truth = truth_side([(0, CAT, BOX), (0, CAT, BOX, True)])
    found = prediction_side([(0, DOG, BOX), (0, CAT, BOX, 0.2), (0, CAT, BOX, 0.9)])
    rule = LabelMatchPolicy(allowed=frozenset({(CAT, DOG)}))
    origin = nucleus_provenance(
        match(truth, found, rule=rule), threshold=0.5, minimum_confidence=0.3, vocabulary=WORDS
    )

    assert ("nucleus", 1, 3, __version__) == (
        origin.family,
        origin.ground_truths,
        origin.predictions,
        origin.engine_version,
    )
    assert origin.options["allowed_label_matches"] == [["cat", "dog"]]
    assert (
        Exclusion(1, "ground truths", "crowd region"),
        Exclusion(1, "predictions", "no confidence: counted, but in no curve and no AP"),
        Exclusion(1, "predictions", "confidence below 0.3"),
    ) == origin.excluded
    assert json.loads(json.dumps(origin.to_dict()))["labels"] == ["cat", "dog"]


def test_a_coco_number_accounts_for_every_prediction():
    """Without confidence, beyond the limit, of a label nobody annotated."""
    truth = truth_side([(0, CAT, BOX)])
    found = prediction_side([(0, CAT, BOX, 0.9), (0, CAT, BOX, 0.8), (0, DOG, BOX, 0.7), (0, CAT, BOX)])
    options = CocoOptions(max_detections=(1,))
    rows = match_coco(truth, found, labels=2, options=options)
    origin = coco_provenance(rows, truth, found, options=options, vocabulary=WORDS)

    assert [(row.count, row.reason) for row in origin.excluded] == [
        (1, "no confidence: no place in the order of confidence"),
        (1, "beyond the first 1 of their image and label"),
        (1, "label without any ground truth: no AP for that label"),
    ]
    assert any("not comparable" in remark for remark in origin.remarks)


def test_the_standard_settings_have_no_remark():
    """COCO's own options, nothing left out: comparable with what others publish."""
    truth, found = truth_side([(0, CAT, BOX)]), prediction_side([(0, CAT, BOX, 0.9)])
    origin = coco_provenance(match_coco(truth, found, labels=1), truth, found, options=BOX_OPTIONS)

    assert (origin.remarks, origin.excluded) == ((), ())
    assert len(json.loads(json.dumps(origin.to_dict()))["options"]["thresholds"]) == 10
