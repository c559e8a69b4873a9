"""Measurements of COCO files: the engine's numbers, objects that changed, exact operating points; on real and on drawn data."""

from __future__ import annotations

import json

import numpy as np
import pytest

from airflow_provider_nucleus.cli.file_measurements import (
    FileOptions,
    ap_differences,
    measure_files,
    outcomes_of_file,
)
from airflow_provider_nucleus.evaluation.arrays import NONE
from airflow_provider_nucleus.evaluation.matching.counts import counts_at, counts_by_label
from airflow_provider_nucleus.evaluation.readers.changes import changed_objects as engine_changes
from airflow_provider_nucleus.evaluation.readers.curves import f1_curve
from airflow_provider_nucleus.evaluation.readers.ranked import rank_match
from airflow_provider_nucleus.evaluation.report import evaluate_files
from airflow_provider_nucleus.gating.changed_objects import changes_of
from airflow_provider_nucleus.gating.fingerprint import differences, same_ground_truth
from airflow_provider_nucleus.gating.operating_point import operating_points, operating_points_of
from tests.shared_data import shared_data
from tests.unit.evaluation.sides import random_rows

LABELS = ("car", "van", "bus")


def drawn(folder, seed, *, images=8):
    """Write a drawn ground truth and two result files on it; ids are scattered, some results are of unknown categories."""
    truth, first = random_rows(seed, images=images)
    second = [row for place, row in enumerate(first) if place % 3]
    (folder / "gt.json").write_text(
        json.dumps({
            "images": [{"id": 10 * image, "width": 40, "height": 40} for image in range(images + 1)],
            "categories": [{"id": code, "name": name} for code, name in enumerate(LABELS)],
            "annotations": [
                {
                    "id": 7 * number + 3, "image_id": 10 * image, "category_id": label, "bbox": list(box),
                    "area": box[2] * box[3], "iscrowd": int(crowd),
                }
                for number, (image, label, box, crowd) in enumerate(truth)
            ],
        })
    )  # fmt: skip
    for name, rows in (("first", first), ("second", second)):
        results = [
            {"image_id": 10 * image, "category_id": label, "bbox": list(box), "score": score}
            for image, label, box, score in rows
        ]
        results.insert(0, {"image_id": 0, "category_id": 99, "bbox": [0, 0, 1, 1], "score": 0.5})
        (folder / f"{name}.json").write_text(json.dumps(results))
    return folder / "gt.json", [folder / "first.json", folder / "second.json"]


@pytest.fixture(params=["drawn 1", "drawn 2", "drawn 3", "home-objects", "coco-val2014-100"])
def files(request, tmp_path):
    """Ground truth and two result files."""
    if request.param.startswith("drawn"):
        return drawn(tmp_path, int(request.param[-1]))
    folder = shared_data(request.param)
    return folder / "ground_truth.json", sorted(folder.glob("predictions_*.json"))


def test_the_numbers_are_those_of_evaluate(files):
    """Overall and per label, to the last digit; undefined ones with their reason."""
    report = evaluate_files(*files).to_dict()["models"]
    for found in measure_files(*files):
        expected, overall = report[found.name], found.measurement.overall
        assert overall.values["ap"] == expected["AP"]
        assert overall.values["ap_small"] == expected["APs"]
        assert {name: overall.values[name] for name in ("tp", "fp", "fn", "f1", "mean_iou")} == {
            name: expected["nucleus"][name] for name in ("tp", "fp", "fn", "f1", "mean_iou")
        }
        for label, numbers in found.measurement.per_label.items():
            row = expected["per_class"][label]
            assert (numbers.values["ap50"], numbers.values["recall"]) == (
                row["AP50"],
                row["nucleus"]["recall"],
            )
            assert {
                name for name, value in numbers.values.items() if value is None
            } == numbers.undefined.keys()
        left = set(expected["per_class"]) - set(found.measurement.per_label)
        assert all(
            not any(expected["per_class"][label]["nucleus"][n] for n in ("tp", "fp", "fn")) for label in left
        )


def test_the_matches_give_the_counts_again(files):
    """Rows of the measurement, counted by their definition."""
    for found in measure_files(*files):
        matches, overall = found.measurement.matches, found.measurement.overall
        hits = sum(a and iou >= 0.5 for a, iou in zip(matches.agrees, matches.iou, strict=True))

        assert hits == overall.values["tp"]
        assert sum(p is not None for p in matches.predicted) - hits == overall.values["fp"]
        assert sum(t is not None for t in matches.truth) - hits == overall.values["fn"]
        assert len(matches.items) == found.measurement.coverage.items
        assert found.measurement.coverage.ground_truth == overall.ground_truth


def test_objects_are_named_as_in_their_files(tmp_path):
    """Annotations by id, results by row, those of unknown categories counted along."""
    truth, (first, _) = drawn(tmp_path, 1)
    annotations = {row["id"]: row for row in json.loads(truth.read_text())["annotations"]}
    results = json.loads(first.read_text())

    (found,) = measure_files(truth, [first])

    matches = found.measurement.matches
    for item, own, predicted in zip(matches.item, matches.truth_id, matches.prediction_id, strict=True):
        if own is not None:
            assert str(annotations[int(own)]["image_id"]) == matches.items[item]
        if predicted is not None:
            row = results[int(predicted.removeprefix("row ")) - 1]
            assert str(row["image_id"]) == matches.items[item]
            assert row["category_id"] != 99


def test_changed_objects_are_those_of_the_engine(files):
    """The same objects in the same lists, found by the same predictions."""
    first, second = measure_files(*files)

    changes = changes_of(second.measurement, first.measurement)
    expected = engine_changes(first.matches, second.matches)

    ids = first.truth.ids
    for kind, rows in (("fixed", expected.gained), ("broken", expected.lost), ("both_miss", expected.missed)):
        assert sorted(each.truth_id for each in changes.of(kind)) == sorted(ids[row] for row in rows)
    assert changes.counts.both_found == expected.kept.size
    by_id = {each.truth_id: each for each in changes.objects}
    for row in expected.lost.tolist():
        matches = first.measurement.matches
        place = matches.prediction_id.index(by_id[ids[row]].baseline.prediction_id)
        assert matches.confidence[place] == first.matches.predictions.confidence[expected.by_first[row]]
        assert expected.by_first[row] != NONE


def test_exact_cuts_are_those_of_the_engines_curve(files):
    """Over all labels: the best F1 of the engine's own search, and the counts of a match of what is left."""
    for found in measure_files(*files):
        labels = len(found.truth.vocabulary)
        ranked = rank_match(found.matches, labels=labels, thresholds=(0.5,))
        best = f1_curve(ranked.rows(), threshold=0.5).best

        chosen = exact_points(found)

        assert chosen.method == "exact"
        assert chosen.overall.confidence == best.confidence
        assert chosen.overall.f1 == best.f1.value
        counts = counts_at(found.matches.above(best.confidence), 0.5)
        assert (chosen.overall.true_positives, chosen.overall.predictions) == (
            counts.tp,
            counts.tp + counts.fp,
        )


def test_exact_cuts_of_labels_are_true_of_what_is_left(files):
    """Keeping each label's predictions from its cut on gives its counts, matched anew: labels do not touch each other."""
    for found in measure_files(*files):
        for label, point in exact_points(found).per_label.items():
            if point.confidence is None:
                continue
            code = found.truth.vocabulary.codes[label]
            predictions = found.matches.predictions
            kept = (predictions.label != code) | (predictions.confidence >= point.confidence)
            counts = counts_by_label(found.matches.only(kept), 0.5, labels=len(found.truth.vocabulary)).of(
                code
            )

            assert (point.true_positives, point.predictions) == (counts.tp, counts.tp + counts.fp)


def test_approximate_cuts_find_no_more_than_there_is(files):
    """At one and the same cut, the rows of one match have at most the true positives of a match of what is left."""
    for found in measure_files(*files):
        exact = outcomes_of_file(found)
        near = operating_points_of(found.measurement, min_support=1).overall
        if near.confidence is None:
            continue
        hits = sum(
            hit
            for rows in exact.predictions.values()
            for confidence, hit in rows
            if confidence >= near.confidence
        )
        assert near.true_positives <= hits


def exact_points(found):
    """Choose cuts for every label with ground truth."""
    measurement = found.measurement
    return operating_points(
        outcomes_of_file(found), fingerprint=measurement.fingerprint, iou_threshold=0.5, min_support=1
    )


def test_a_least_confidence_is_matched_anew_and_stated(files):
    """Numbers of the predictions left, one cut for all or each model's own."""
    every = measure_files(*files)
    cut = float(np.nanmedian(every[0].matches.predictions.confidence))

    both = measure_files(*files, options=FileOptions(least_confidence=cut))
    own = measure_files(*files, options=FileOptions(least_confidence={every[1].name: cut}))

    counts = counts_at(every[0].matches.above(cut), 0.5)
    assert both[0].measurement.overall.values["tp"] == counts.tp
    assert both[0].measurement.confidence_threshold == cut
    assert both[0].measurement.overall.values["ap"] <= every[0].measurement.overall.values["ap"] + 1e-12
    assert own[0].measurement.overall == every[0].measurement.overall
    assert own[1].measurement.overall == both[1].measurement.overall
    assert differences(own[1].measurement.fingerprint, own[0].measurement.fingerprint) == []


@pytest.mark.parametrize("change", [{"area": 7.5}, {"bbox": None}, {"iscrowd": 1}, {"category_id": None}])
def test_fingerprints_tell_ground_truth_apart(tmp_path, change):
    """A box that moved is other ground truth, whatever its id and size; rows in another order are not."""
    truth, results = drawn(tmp_path, 1)
    document = json.loads(truth.read_text())
    (before,) = measure_files(truth, results[:1])

    document["annotations"].reverse()
    truth.write_text(json.dumps(document))
    (shuffled,) = measure_files(truth, results[:1])
    first = document["annotations"][0]
    ids = [each["id"] for each in document["categories"]]
    others = {
        "bbox": [first["bbox"][0] + 1, *first["bbox"][1:]],
        "category_id": next(each for each in ids if each != first["category_id"]),
    }
    first |= {name: others.get(name) or value for name, value in change.items()}
    truth.write_text(json.dumps(document))
    (moved,) = measure_files(truth, results[:1])

    assert differences(before.measurement.fingerprint, shuffled.measurement.fingerprint) == []
    assert len(differences(before.measurement.fingerprint, moved.measurement.fingerprint)) == 1
    assert same_ground_truth(before.measurement.matches, shuffled.measurement.matches) is None


def test_options_are_in_the_fingerprint(tmp_path):
    """Overlap, kind of shape, crowds, the limit of detections."""
    files = drawn(tmp_path, 1)
    plain = measure_files(*files)[0].measurement.fingerprint
    from airflow_provider_nucleus.evaluation_options import EvaluationOptions

    for options in (
        FileOptions(iou_threshold=0.75),
        FileOptions(unannotated="leave_out"),
        FileOptions(evaluation=EvaluationOptions(max_detections=1)),
    ):
        assert len(differences(measure_files(*files, options=options)[0].measurement.fingerprint, plain)) == 1


def test_items_without_ground_truth_count_or_are_left_out(tmp_path):
    """False alarms there are in the numbers, or in none and counted."""
    truth, results = drawn(tmp_path, 2)
    document = json.loads(truth.read_text())
    document["annotations"] = [row for row in document["annotations"] if row["image_id"] != 10]
    truth.write_text(json.dumps(document))

    (counted,) = measure_files(truth, results[:1])
    (left,) = measure_files(truth, results[:1], options=FileOptions(unannotated="leave_out"))

    bare = sum(
        row["image_id"] not in {r["image_id"] for r in document["annotations"]}
        for row in json.loads(results[0].read_text())
        if row["category_id"] != 99
    )
    assert left.measurement.coverage.predictions_left_out == bare > 0
    assert counted.measurement.overall.values["fp"] - left.measurement.overall.values["fp"] == bare
    assert counted.measurement.coverage.share == left.measurement.coverage.share < 1
    assert counted.measurement.coverage.predictions == left.measurement.coverage.predictions


def test_differences_of_ap_have_intervals(files):
    """Candidate less baseline, around the difference of the two measurements."""
    baseline, candidate = measure_files(*files)

    found = ap_differences(candidate, baseline)["ap"]

    expected = candidate.measurement.overall.values["ap"] - baseline.measurement.overall.values["ap"]
    assert found.difference.value == pytest.approx(expected, abs=1e-12)
    assert found.low.value <= found.high.value
