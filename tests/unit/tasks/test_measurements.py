"""Measurements from rows of a match: whose rows count, what the numbers rest on, and that the rows give them again."""

from __future__ import annotations

import itertools

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.fingerprint import ground_truth_of
from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement, Subject
from airflow_provider_nucleus.gating.side_reading import measurement_of_result
from airflow_provider_nucleus.match_summary import summarize_matches
from airflow_provider_nucleus.schema.matches import EvaluationMatch
from airflow_provider_nucleus.tasks.batch_scope import BatchScope
from airflow_provider_nucleus.tasks.measured_results import result_members
from airflow_provider_nucleus.tasks.measurements import match_measurement, measure_matches
from airflow_provider_nucleus.tasks.population import GroundTruth, Population, read_ground_truth

FINGERPRINT = Fingerprint(data="dataset:ds_1", ground_truth="1-x", options={"iou_threshold": 0.5})


def row(item, truth=None, predicted=None, iou=0.0, **more):
    """A row as a server lists it; ids are made of item and label."""
    return EvaluationMatch(
        model_run_id="run_1",
        dataset_item_id=item,
        iou=iou,
        ground_truth_annotation_id=truth and f"ann_{item}_{truth}",
        ground_truth_annotation_label=truth,
        model_prediction_id=predicted and f"pred_{item}_{predicted}",
        model_prediction_label=predicted,
        **more,
    )


def population(*annotated, items="abcd", metadata=None):
    """Items `a` to `d`, whose reference ids are in capitals; those named have ground truth."""
    return Population(
        names={item: item.upper() for item in items},
        ground_truth=GroundTruth(references=frozenset(each.upper() for each in annotated), objects=2),
        metadata=metadata or {},
    )


ROWS = {
    "matched": [row("a", "car", "car", 0.9, confidence=0.8), row("b", "van", "car", 0.7), row("z", "car", "car", 1.0)],
    "false_positives": [row("b", "van", "car", 0.7), row("c", predicted="car", confidence=0.3), row("z", predicted="car")],
    "false_negatives": [row("a", "bus")],
}  # fmt: skip


def measured(**options):
    """Measure the rows on items that all but `c` and `d` have ground truth."""
    return measure_matches(**ROWS, **{"population": population("a", "b"), "iou_threshold": 0.5} | options)


def counts(found):
    """Overall TP, FP, FN."""
    overall = found.counts.overall
    return overall.tp, overall.fp, overall.fn


def test_items_without_any_row_count_among_the_items():
    """Item `d` has neither ground truth nor a prediction, and it was looked at all the same."""
    found = measured()

    assert counts(found) == (1, 2, 2)
    coverage = found.coverage
    assert (coverage.items, coverage.with_ground_truth, coverage.without_ground_truth) == (4, 2, 2)
    assert (coverage.ground_truth, coverage.predictions, coverage.share) == (3, 3, 0.5)


def test_predictions_without_ground_truth_count_or_are_left_out():
    """Either way it is said how many there are."""
    for how, expected, left in (("count", (1, 2, 2), 0), ("leave_out", (1, 1, 2), 1)):
        found = measured(unannotated=how)

        assert (counts(found), found.coverage.predictions_left_out) == (expected, left)
        assert found.coverage.predictions == 3
        (note,) = [one for one in found.notes if one["note"] == "predictions_without_ground_truth"]
        assert note["count"] == 1


def test_rows_of_other_items_are_in_no_number():
    """A server that takes no notice of the query lists the whole run: not a day's numbers."""
    (note,) = [one for one in measured().notes if one["note"] == "rows_of_other_items"]

    assert note["count"] == 2


def test_a_batch_without_ground_truth_says_so():
    """Recall is undefined, not 0."""
    found = measure_matches(
        [],
        false_positives=[row("c", predicted="car")],
        false_negatives=[],
        population=population(),
        iou_threshold=0.5,
    )
    numbers = match_measurement(found, subject=Subject(), fingerprint=FINGERPRINT).overall

    assert found.notes[0]["note"] == "no_ground_truth"
    assert (numbers.values["recall"], numbers.values["precision"], numbers.values["fp"]) == (None, 0.0, 1)
    assert "recall" in numbers.undefined


def test_the_columns_give_the_numbers_again():
    """Whatever is counted can be counted anew from the document that was written."""
    found = measured(keep_rows=True)
    document = match_measurement(found, subject=Subject(), fingerprint=FINGERPRINT)
    read = Measurement.model_validate_json(document.model_dump_json(by_alias=True)).matches

    assert read.items == ["A", "B", "C", "D"]
    assert ground_truth_of(read).startswith("3-")
    rows = [
        row(
            read.items[item],
            None if truth is None else read.labels[truth],
            None if predicted is None else read.labels[predicted],
            iou,
        )
        for item, truth, predicted, iou in zip(read.item, read.truth, read.predicted, read.iou, strict=True)
    ]
    paired = [one for one in rows if one.ground_truth_annotation_id and one.model_prediction_id]
    single = [one for one in rows if one not in paired]
    again = summarize_matches(paired, false_positives=single, false_negatives=[], iou_threshold=0.5)

    assert again.to_dict() == found.summary.to_dict()
    assert read.confidence[0] == 0.8
    assert list(itertools.compress(read.item, read.agrees)) == [0]


def test_too_many_rows_leave_the_numbers():
    """The document says why it has no rows."""
    found = measured(keep_rows=True, most_rows=3)

    assert found.columns is None
    assert counts(found) == (1, 2, 2)
    assert found.notes[-1]["note"] == "rows_left_out"


def test_numbers_are_cut_by_metadata():
    """Values as text, items without the key among `n/a`; the cuts add up to the whole."""
    weather = {"a": {"weather": "fog"}, "b": {"weather": "sun"}, "c": {"weather": "fog"}}
    found = measured(population=population("a", "b", metadata=weather), slice_keys=["weather"])
    cut = match_measurement(found, subject=Subject(), fingerprint=FINGERPRINT).slices["weather"]

    assert {value: (one.items, one.values["tp"], one.values["fp"], one.values["fn"]) for value, one in cut.items()} == {
        "fog": (2, 1, 1, 1), "n/a": (1, 0, 0, 0), "sun": (1, 0, 1, 1),
    }  # fmt: skip


def test_categories_alone_are_the_numbers():
    """Beside shapes they are a detail; without any shape they are what is measured, and the fingerprint says so."""
    category = row("a", "fog", "fog", 1.0, family="category")
    alone = measure_matches(
        [category],
        false_positives=[],
        false_negatives=[],
        population=population("a"),
        iou_threshold=0.5,
        keep_rows=True,
    )
    document = match_measurement(alone, subject=Subject(), fingerprint=FINGERPRINT)
    beside = measured()
    both = measure_matches(
        [*ROWS["matched"], category],
        false_positives=ROWS["false_positives"],
        false_negatives=ROWS["false_negatives"],
        population=population("a", "b"),
        iou_threshold=0.5,
    )

    assert (document.overall.values["tp"], document.fingerprint.options["objects"]) == (1, "categories")
    assert document.matches.truth == [0]
    assert counts(both) == counts(beside)
    details = match_measurement(both, subject=Subject(), fingerprint=FINGERPRINT).details
    assert details["categories"]["overall"]["tp"] == 1


def test_the_digest_of_ground_truth_follows_what_numbers_depend_on():
    """Order and other metadata change nothing; a corrected box, a new label and a crowd flag do."""

    def truth(**more):
        return {
            "reference_id": "A",
            "annotation_id": "1",
            "label": "car",
            "type": "box",
            "geometry": {"x": 0, "y": 0},
        } | more

    other = truth(reference_id="B")
    base = read_ground_truth([truth(), other])

    assert base.references == {"A", "B"}
    assert base.digest == read_ground_truth([other, truth(metadata={"by": "x"})]).digest
    for change in ({"geometry": {"x": 1, "y": 0}}, {"label": "van"}, {"metadata": {"iscrowd": 1}}):
        assert base.digest != read_ground_truth([truth(**change), other]).digest
    mask = {"reference_id": "A", "mask_url": "http://one/masks/1?signature=2", "annotations": []}
    assert (
        read_ground_truth([mask]).digest
        == read_ground_truth([mask | {"mask_url": "http://two/masks/1?signature=3"}]).digest
    )


def test_the_digest_of_what_a_server_lists_stays_what_it_was():
    """Text for text: a baseline of an earlier release is held against today's measurements."""
    box = {"y": 0.5, "x": 1.0, "width": 3, "height": 1e-7}
    objects = [
        {"reference_id": "A", "annotation_id": "1", "label": "Straße", "type": "box", "geometry": box, "metadata": {"iscrowd": 1, "by": "x"}},
        {"reference_id": "B\N{LINE SEPARATOR}", "labels": ["é", "f"], "taxonomy_name": "w", "type": "multicategory"},
    ]  # fmt: skip

    assert (
        read_ground_truth(objects).digest
        == "2-a3bdd74fdc505f123e1d70e7d8d22257e5e83822e1679655aa35f04d573552a3"
    )


@pytest.mark.parametrize(
    ("scope", "condition"),
    [
        (BatchScope(), ""),
        (BatchScope(slice_id="slc_1"), 'slice = "slc_1"'),
        (BatchScope(query="a = 1 OR b = 2"), "a = 1 OR b = 2"),
        (
            BatchScope(slice_id="slc_1", query="a = 1 OR b = 2"),
            'slice = "slc_1" AND (a = 1 OR b = 2)',
        ),
    ],
)
def test_a_scope_is_a_query(scope, condition):
    """A slice that is narrowed keeps to the slice."""
    assert condition == scope.condition


def test_a_result_is_a_measurement_again():
    """A gate reads an XCom; labels that did not fit are counted."""
    found = measured()
    document = match_measurement(
        found, subject=Subject(slice_id="slc_1", model_id="prj_1"), fingerprint=FINGERPRINT
    )
    result = (
        result_members(document) | {"model_id": "prj_1", "notes": []} | found.summary.to_dict(max_labels=1)
    )
    read = measurement_of_result(result)

    assert read.overall == document.overall
    assert (read.coverage, read.fingerprint) == (document.coverage, document.fingerprint)
    assert (read.subject.slice_id, read.subject.model_id) == ("slc_1", "prj_1")
    assert read.notes[-1]["count"] == 2
    with pytest.raises(NucleusConfigError, match="has no numbers with a fingerprint"):
        measurement_of_result({"dataset_id": "ds_1"})
