"""Fingerprints: equal or not, and why not; the class of a window; digests of ground truth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nucleus.gating.fingerprint import (
    data_name,
    differences,
    digest_ground_truth,
    engine_release,
    ground_truth_of,
    lineage,
    same_ground_truth,
    unstated,
    window_class,
    window_differences,
)
from airflow_provider_nucleus.gating.measurement import Fingerprint, MatchColumns

BASE = Fingerprint(
    data="benchmark:bm_1@3",
    scope="slc_1",
    ground_truth="2-ab",
    options={"iou_threshold": 0.5, "crowd_as_objects": False},
    engine="airflow-provider-nucleus 1.4.0",
)


def changed(**parts):
    """Return the fingerprint with other parts."""
    return BASE.model_copy(update=parts)


@pytest.mark.parametrize(
    "other",
    [
        BASE,
        changed(options={"crowd_as_objects": False, "iou_threshold": 0.5, "max_detections": None}),
        changed(engine="airflow-provider-nucleus 1.4.7"),
        Fingerprint.model_validate_json(BASE.model_dump_json()),
    ],
    ids=["same", "options in another order, null for left out", "patch of the engine", "through JSON"],
)
def test_equal_definitions_have_no_differences(other):
    """What is written another way is the same."""
    assert differences(BASE, other) == []
    assert window_class(BASE) == window_class(other)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (changed(data="benchmark:bm_1@4"), "data: candidate has benchmark:bm_1@3, baseline has benchmark:bm_1@4"),
        (changed(scope=None), "scope: candidate has slc_1, baseline has all of it"),
        (changed(ground_truth="3-cd"), "ground_truth: candidate has 2 objects, baseline has 3 objects"),
        (
            changed(ground_truth="2-cd"),
            "ground_truth: candidate and baseline were measured against different objects (2-ab and 2-cd)",
        ),
        (
            changed(ground_truth=None),
            "ground_truth: baseline has no digest of its ground truth, so that it may be another",
        ),
        (
            changed(options={"iou_threshold": 0.75, "crowd_as_objects": False}),
            "option iou_threshold: candidate has 0.5, baseline has 0.75",
        ),
        (
            changed(options={"iou_threshold": 0.5}),
            "option crowd_as_objects: candidate has false, baseline has none",
        ),
        (
            changed(engine="airflow-provider-nucleus 1.5.0"),
            "engine: candidate has airflow-provider-nucleus 1.4.0, baseline has airflow-provider-nucleus 1.5.0",
        ),
        (changed(engine=""), "engine: candidate has airflow-provider-nucleus 1.4.0, baseline has unknown"),
    ],
)  # fmt: skip
def test_every_part_that_differs_is_said_in_words(other, sentence):
    """One sentence, with both values."""
    assert differences(BASE, other) == [sentence]


def test_all_differences_are_said():
    """Not only the first."""
    other = changed(data="dataset:ds_1", scope=None, ground_truth=None, options={}, engine="nucleus")

    found = differences(BASE, other, names=("new", "old"))

    assert [sentence.partition(":")[0] for sentence in found] == [
        "data", "scope", "ground_truth", "option crowd_as_objects", "option iou_threshold", "engine",
    ]  # fmt: skip
    assert all("new" in sentence or "old" in sentence for sentence in found)


def test_batches_of_one_series_differ_in_items_and_ground_truth():
    """Another slice, other ground truth and a new version of the benchmark are another batch, no other series."""
    next_day = changed(data="benchmark:bm_1@4", scope="slc_2", ground_truth="9-ef")

    assert window_differences(BASE, next_day) == []
    assert window_class(BASE) == window_class(next_day)


@pytest.mark.parametrize(
    "other",
    [
        changed(data="benchmark:bm_2@3"),
        changed(data="dataset:bm_1@3"),
        changed(options={"iou_threshold": 0.75, "crowd_as_objects": False}),
        changed(engine="airflow-provider-nucleus 2.0.0"),
    ],
)
def test_another_definition_is_another_series(other):
    """Data, options and engine decide."""
    assert len(window_differences(BASE, other)) == 1
    assert window_class(BASE) != window_class(other)


def test_data_names():
    """A data set has no version, and an @ in its name is no version."""
    assert data_name("dataset", "ds_1") == "dataset:ds_1"
    assert data_name("benchmark", "bm_1", version=3) == "benchmark:bm_1@3"
    assert lineage("benchmark:bm_1@3") == "benchmark:bm_1"
    assert lineage("file:a@b") == "file:a@b"
    assert lineage("benchmark:bm_1") == "benchmark:bm_1"


@pytest.mark.parametrize(
    ("engine", "release"),
    [
        ("airflow-provider-nucleus 1.4.0", "airflow-provider-nucleus 1.4"),
        ("airflow-provider-nucleus 1.4.0rc1", "airflow-provider-nucleus 1.4"),
        ("nucleus", "nucleus"),
        ("pycocotools v2.0.11 (numpy 2.1.3)", "pycocotools 2.0 (numpy 2.1.3)"),
        ("engine 7", "engine 7"),
    ],
)
def test_releases_of_engines(engine, release):
    """The version up to its second dot."""
    assert engine_release(engine) == release


def test_what_neither_side_states_is_said():
    """Equal by what is known is not known to be equal; a benchmark's version is its ground truth."""
    vague = Fingerprint(data="dataset:ds_1")

    assert len(unstated(vague, vague)) == 2
    assert unstated(changed(ground_truth=None), changed(ground_truth=None)) == []


objects = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["car", "van"]), st.text(max_size=3)), max_size=8
)


@given(objects, st.randoms())
def test_the_digest_of_ground_truth_ignores_the_order(rows, random):
    """Shuffled rows are the same ground truth; one object less is not."""
    shuffled = rows[:]
    random.shuffle(shuffled)

    assert digest_ground_truth(rows) == digest_ground_truth(shuffled)
    assert not rows or digest_ground_truth(rows[1:]) != digest_ground_truth(rows)


def test_the_digest_counts_what_is_there_twice():
    """Two equal objects are not none."""
    assert digest_ground_truth([("a", "car", "1")] * 2) != digest_ground_truth([])
    assert digest_ground_truth([("ab", "c")]) != digest_ground_truth([("a", "bc")])


def test_a_digest_stays_what_it_was():
    """Baselines of years rest on it: of odd texts and of none, written down when it was first made."""
    odd = [('a"\\\n\x7f\N{LINE SEPARATOR}é☃', None, "1"), ("b", "car", '{"x": 1.0}')]

    assert digest_ground_truth(odd) == "2-d5bcfdce8cee7cfdbf9263c52b49735405b72b311a7ab58d41df11dd69693507"


def match(*truths, predictions=1):
    """Return rows of a match: objects that were missed, and predictions without a partner."""
    count = len(truths)
    return MatchColumns(
        items=["a", "b"],
        labels=["car", "van"],
        item=[0] * (count + predictions),
        truth=[*(label for label, _ in truths), *[None] * predictions],
        predicted=[*[None] * count, *[0] * predictions],
        iou=[0.0] * (count + predictions),
        confidence=[*[None] * count, *[0.5] * predictions],
        truth_id=[*(name for _, name in truths), *[None] * predictions],
        prediction_id=[*[None] * count, *[str(number) for number in range(predictions)]],
        agrees=[False] * (count + predictions),
    )


def test_the_ground_truth_of_matches_is_that_of_their_rows():
    """Whatever a model predicts; and another label is other ground truth."""
    one, other = match((0, "t1"), (1, "t2")), match((1, "t2"), (0, "t1"), predictions=3)

    assert ground_truth_of(one) == ground_truth_of(other)
    assert same_ground_truth(one, other) is None

    wrong = match((0, "t1"), (0, "t2"))
    assert ground_truth_of(one) != ground_truth_of(wrong)
    assert same_ground_truth(one, wrong) == (
        "they were made on different ground truth: 1 objects only in the first match, 1 only in the second, one of them 't2' (car) on "
        "item 'a'; measure both models on the same ground truth"
    )
