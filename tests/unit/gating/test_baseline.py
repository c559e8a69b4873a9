"""The baseline record: proposals, confirmations, the pinned reference, its size, and what storage may rely on."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nucleus.gating import baseline_file
from airflow_provider_nucleus.gating.baseline import (
    HISTORY,
    BaselineError,
    BaselineRecord,
    accepted_before,
    confirm,
    measurement_id,
    pin,
    propose,
    reject,
)
from airflow_provider_nucleus.gating.baseline_file import (
    SOFT_LIMIT,
    dump_record,
    fit_record,
    parse_record,
)
from airflow_provider_nucleus.gating.measurement import (
    Fingerprint,
    MatchColumns,
    Measurement,
    Numbers,
    Subject,
)

EMPTY = BaselineRecord(name="roads")
WHO = {"by": "dag roads", "at": "2026-03-01T06:00:00+00:00"}
NO_MATCHES = MatchColumns(
    items=[], labels=[], item=[], truth=[], predicted=[], iou=[], confidence=[], truth_id=[],
    prediction_id=[], agrees=[],
)  # fmt: skip


def measured(number: int = 1, *, f1: float = 0.8, labels: int = 0, **parts):
    """Return a measurement of one batch."""
    return Measurement(
        subject=Subject(evaluation_id=f"ev_{number}", slice_id=f"slc_{number}"),
        fingerprint=Fingerprint(data="dataset:ds_1", scope=f"slc_{number}", options={"iou_threshold": 0.5}),
        overall=Numbers(values={"f1": f1, "tp": 8}, ground_truth=10),
        per_label={
            f"label number {place:03}": Numbers(
                values={
                    "precision": 1 / (3 + place), "recall": 2 / (3 + place), "f1": None, "mean_iou": 0.71234567891234,
                    "ap": 0.3333333333333333, "ap50": 0.5123456789, "tp": place, "fp": 1, "fn": 2,
                },
                undefined={"f1": "no objects"},
                ground_truth=place + 2,
                predictions=place + 1,
            )
            for place in range(labels)
        },
        **parts,
    )  # fmt: skip


def accepted(record: BaselineRecord, measurement: Measurement) -> BaselineRecord:
    """Propose and confirm."""
    return confirm(propose(record, measurement, **WHO), measurement_id(measurement), **WHO)


def test_a_proposal_changes_nothing_until_it_is_confirmed():
    """It waits beside what is accepted, with who and when, the verdict and the evidence."""
    first = accepted(EMPTY, measured(1))

    record = propose(first, measured(2), verdict="fail", evidence="s3://b/j.json", note="fog", **WHO)

    (entry,) = record.proposals
    assert record.accepted == first.accepted
    assert (entry.id, entry.verdict, entry.evidence, entry.by, entry.before) == (
        "ev_2/slc_2", "fail", "s3://b/j.json", "dag roads", "ev_1/slc_1",
    )  # fmt: skip


def test_the_first_that_is_accepted_is_the_reference_and_stays_it():
    """The last accepted one moves, the reference does not: what a series of small drops adds up to stays visible."""
    record = EMPTY
    for number, f1 in enumerate([0.80, 0.79, 0.78, 0.77], 1):
        record = accepted(record, measured(number, f1=f1))

    assert record.reference_measurement.overall.values["f1"] == 0.80
    assert record.accepted_measurement.overall.values["f1"] == 0.77
    assert [entry.measurement.overall.values["f1"] for entry in record.history] == [0.80, 0.79, 0.78]
    assert [step.action for step in record.decisions] == [
        "propose",
        "confirm",
        "pin",
        *["propose", "confirm"] * 3,
    ]


def test_the_reference_is_moved_on_purpose():
    """To what was accepted last, or to a measurement."""
    record = accepted(accepted(EMPTY, measured(1)), measured(2))

    moved = pin(record, by="anna", at="2026-03-02T00:00:00+00:00", note="new labels")
    chosen = pin(record, measured(9), **WHO)

    assert moved.reference.id == "ev_2/slc_2"
    assert (moved.decisions[-1].action, moved.decisions[-1].by, moved.decisions[-1].note) == (
        "pin",
        "anna",
        "new labels",
    )
    assert chosen.reference.id == "ev_9/slc_9"
    assert pin(moved, **WHO) is moved
    with pytest.raises(BaselineError, match="has no accepted measurement that could be pinned"):
        pin(EMPTY, **WHO)


def test_a_rejected_proposal_is_gone_and_remembered():
    """What is accepted stays."""
    record = propose(accepted(EMPTY, measured(1)), measured(2), **WHO)

    rejected = reject(record, "ev_2/slc_2", by="anna", at=WHO["at"], reason="misses bicycles")

    assert rejected.proposals == []
    assert rejected.accepted.id == "ev_1/slc_1"
    assert (rejected.decisions[-1].action, rejected.decisions[-1].note) == ("reject", "misses bicycles")


def test_steps_that_are_tried_again_change_nothing():
    """The same record comes back, with its revision."""
    proposed = propose(EMPTY, measured(1), **WHO)
    confirmed = confirm(proposed, "ev_1/slc_1", **WHO)
    rejected = reject(propose(confirmed, measured(2), **WHO), "ev_2/slc_2", **WHO)

    assert propose(proposed, measured(1), **WHO) is proposed
    assert confirm(confirmed, "ev_1/slc_1", **WHO) is confirmed
    assert propose(confirmed, measured(1), **WHO) is confirmed
    assert reject(rejected, "ev_2/slc_2", **WHO) is rejected


def test_a_worker_that_died_behind_its_step_duplicates_nothing():
    """The retry measures with all digits and finds those of the file: no second decision, proposal or batch of a window."""
    measurement = measured(1, f1=2 / 3, labels=2, slices={"weather": {"fog": Numbers(values={"f1": 1 / 3})}})
    proposed = parse_record(dump_record(propose(EMPTY, measurement, **WHO)))
    confirmed = parse_record(dump_record(confirm(proposed, "ev_1/slc_1", **WHO)))

    assert propose(proposed, measurement, **WHO) is proposed
    assert propose(confirmed, measurement, **WHO) is confirmed


def test_a_retry_finds_its_own_in_a_record_that_was_cut():
    """A copy of each of its days would push the batches of the window out of an asset's state."""
    parts = {
        "labels": 80,
        "slices": {"weather": {"fog": Numbers(values={"f1": 1 / 3})}},
        "profile": {"a": ["b"] * 900},
    }
    record = EMPTY
    for day in range(12):
        record = fit_record(propose(record, measured(day, **parts), **WHO))
        assert propose(record, measured(day, **parts), **WHO) is record
        record = fit_record(confirm(record, f"ev_{day}/slc_{day}", **WHO))
        assert propose(record, measured(day, **parts), **WHO) is record

    assert (len(record.history), record.proposals, len(record.cut)) == (11, [], 3)
    assert propose(record, measured(11, f1=0.7, **parts), **WHO).proposals
    least = fit_record(propose(EMPTY, measured(1, **parts), **WHO), limit=5_000)
    assert 0 < len(least.proposals[0].measurement.per_label) < 80
    assert propose(least, measured(1, **parts), **WHO) is least


def test_a_batch_that_is_accepted_again_is_one_batch_of_the_window():
    """Measured anew under the same id, or accepted again after another one: a batch that is older is not accepted last."""
    record = accepted(accepted(EMPTY, measured(1)), measured(2))
    anew = accepted(record, measured(2, f1=0.9))
    back = accepted(anew, measured(1))

    assert [entry.id for entry in anew.history] == ["ev_1/slc_1"]
    assert ([entry.id for entry in back.history], back.accepted.id) == (["ev_1/slc_1"], "ev_2/slc_2")


def test_a_gate_that_runs_again_says_what_it_was_held_against_now():
    """Else a promotion refuses for ever what was judged anew, or lets pass what was held against another baseline."""
    judged_with = accepted(EMPTY, measured(1))
    record = accepted(propose(judged_with, measured(2), **WHO), measured(3))

    late = propose(record, measured(4), judged_with=judged_with, **WHO)
    again = propose(record, measured(2), **WHO)

    assert {entry.id: entry.before for entry in late.proposals}["ev_4/slc_4"] == "ev_1/slc_1"
    assert [(entry.id, entry.before) for entry in again.proposals] == [("ev_2/slc_2", "ev_3/slc_3")]


def test_a_batch_measured_anew_takes_the_place_of_its_proposal():
    """Late labels: the numbers of the same id are others now."""
    record = propose(propose(EMPTY, measured(1), **WHO), measured(1, f1=0.9), **WHO)

    assert [entry.measurement.overall.values["f1"] for entry in record.proposals] == [0.9]


def test_the_revision_counts_every_change():
    """So that a store can write only over what was read."""
    record = EMPTY
    for number in range(1, 4):
        record = accepted(record, measured(number))

    assert record.revision == 6


@pytest.mark.parametrize(
    ("record", "chosen", "reason"),
    [
        (
            EMPTY,
            None,
            "baseline 'roads': no proposal waits: nothing was changed; propose a measurement first",
        ),
        (
            EMPTY,
            "ev_7",
            "baseline 'roads': no proposal 'ev_7' waits: nothing was changed; propose a measurement first",
        ),
        (
            propose(propose(EMPTY, measured(1), **WHO), measured(2), **WHO),
            None,
            "baseline 'roads': several proposals wait: nothing was changed; name one of ev_1/slc_1, ev_2/slc_2",
        ),
        (
            propose(EMPTY, measured(1), **WHO),
            "ev_7",
            "baseline 'roads': no proposal 'ev_7' waits: nothing was changed; name one of ev_1/slc_1",
        ),
    ],
)
@pytest.mark.parametrize("step", [confirm, reject])
def test_unknown_proposals_are_named_with_those_that_wait(step, record, chosen, reason):
    """Nothing is guessed."""
    with pytest.raises(BaselineError) as caught:
        step(record, chosen, **WHO)

    assert str(caught.value) == reason


def test_confirming_what_was_held_against_another_baseline_says_so():
    """Two candidates in parallel: the second was measured against what is not accepted any more."""
    record = accepted(EMPTY, measured(1))
    record = propose(propose(record, measured(2), **WHO), measured(3), **WHO)

    record = confirm(confirm(record, "ev_2/slc_2", **WHO), "ev_3/slc_3", **WHO)

    assert record.decisions[-1].note == (
        "held against ev_1/slc_1 when it was proposed; ev_2/slc_2 was accepted when it was confirmed"
    )


def test_proposals_nobody_decides_give_way():
    """Eight wait at most; the ninth turns the oldest down, and says so."""
    record = EMPTY
    for number in range(1, 10):
        record = propose(record, measured(number), **WHO)

    assert [entry.id for entry in record.proposals] == [f"ev_{n}/slc_{n}" for n in range(2, 10)]
    assert ("reject", "ev_1/slc_1") in [(step.action, step.id) for step in record.decisions]


def test_the_history_is_of_the_same_series_and_of_other_batches():
    """A batch that is measured again is not held against itself, another threshold is another series."""
    record = EMPTY
    for number in range(1, 5):
        record = accepted(record, measured(number))
    again = measured(3)
    stricter = again.fingerprint.model_copy(update={"options": {"iou_threshold": 0.75}})
    other = again.model_copy(update={"fingerprint": stricter})

    assert [m.subject.slice_id for m in accepted_before(record, measured(9))] == [
        "slc_1", "slc_2", "slc_3", "slc_4",
    ]  # fmt: skip
    assert [m.subject.slice_id for m in accepted_before(record, again)] == ["slc_1", "slc_2", "slc_4"]
    assert accepted_before(record, other) == []


@pytest.mark.parametrize(
    ("model_ids", "f1s", "expected"),
    [
        (["prj_1", "prj_2", "prj_3"], [0.7, 0.8, 0.9], [0.7, 0.8]),
        (["prj_1", "prj_2", "prj_2"], [0.7, 0.8, 0.8], [0.7]),
        ([None, None, None], [0.7, 0.8, 0.9], [0.7, 0.8]),
        ([None, None, None], [0.7, 0.8, 0.8], [0.7]),
    ],
    ids=["another model", "the same model", "another file", "the same numbers"],
)
def test_a_benchmark_that_stays_the_same_has_a_history(model_ids, f1s, expected):
    """Every night another model on the same items: those are the batches of a window; the same model again is not one."""
    nights = [
        measured(1, f1=f1).model_copy(update={"subject": Subject(model_id=model_id)})
        for model_id, f1 in zip(model_ids, f1s, strict=True)
    ]
    record = accepted(accepted(EMPTY, nights[0]), nights[1])

    assert [m.overall.values["f1"] for m in accepted_before(record, nights[2])] == expected


def test_the_history_ends_somewhere():
    """At 30 batches before the last."""
    record = EMPTY
    for number in range(40):
        record = accepted(record, measured(number))

    assert len(record.history) == HISTORY
    assert record.history[-1].id == "ev_38/slc_38"


def test_ids_without_an_evaluation():
    """A job with its slice; a digest of the numbers for files."""
    plain = measured(1)
    by_job = plain.model_copy(update={"subject": Subject(job_id="job_1", slice_id="slc_1")})
    of_file = plain.model_copy(update={"subject": Subject()})

    assert measurement_id(by_job) == "job_1/slc_1"
    assert measurement_id(of_file).startswith("sha256:")
    assert measurement_id(of_file) != measurement_id(
        measured(1, f1=0.1).model_copy(update={"subject": Subject()})
    )


def test_matches_are_not_kept():
    """The record is small; what was matched is in the evidence. Profiles are kept, those of the history for windows."""
    record = propose(EMPTY, measured(1, matches=NO_MATCHES, profile={"a": 1}), **WHO)
    record = accepted(accepted(confirm(record, **WHO), measured(2)), measured(3))

    assert record.reference_measurement.matches is None
    assert record.reference_measurement.profile == {"a": 1}
    assert record.history[0].measurement.profile == {"a": 1}


def test_charts_of_an_evaluation_are_not_kept():
    """Those of many labels are larger than the state of an asset; a former version kept them, and a retry finds its own there."""
    measurement = measured(
        1, details={"charts": {"confusion_matrix": [["car", "bus", n] for n in range(6400)]}}
    )
    record = accepted(EMPTY, measurement)
    entry = record.accepted.model_copy(update={"measurement": measurement})

    assert fit_record(record) == record
    former = record.model_copy(update={"accepted": entry})
    assert propose(former, measurement, **WHO) is former


def test_profiles_of_older_batches_give_way_first():
    """The oldest first, and no more of them than the size asks for."""
    record = EMPTY
    for number in range(9):
        record = accepted(record, measured(number, labels=80, profile={"bins": [number] * 1500}))
    size = len(dump_record(record, limit=None).encode())

    smaller = fit_record(record, limit=size - 5000)

    assert [entry.measurement.profile is None for entry in smaller.history] == [True] * 2 + [False] * 6
    assert smaller.cut == ["profiles of older accepted batches were left out"]
    assert all(len(entry.measurement.per_label) == 80 for entry in smaller.history)


def test_large_profiles_give_way_before_labels():
    """And it is said."""
    record = accepted(EMPTY, measured(1, labels=80, profile={"bins": list(range(20_000))}))

    smaller = fit_record(record)

    assert smaller.cut == ["profiles were left out: rules over them have no baseline"]
    assert len(smaller.reference_measurement.per_label) == 80


def test_a_record_survives_its_file():
    """All of it: undefined numbers, labels with other numbers, slices, decisions."""
    slices = {
        "weather": {
            "fog": Numbers(values={"f1": 0.5}, items=3),
            "sun": Numbers(values={"ap": None}, undefined={"ap": "none"}),
        }
    }
    record = accepted(accepted(EMPTY, measured(1, labels=3, slices=slices)), measured(2))
    uneven = measured(3, labels=2).model_copy(
        update={"per_label": {"a": Numbers(values={"f1": 0.25}), "b": Numbers()}}
    )
    record = propose(record, uneven, verdict="inconclusive", note="a note", **WHO)

    again = parse_record(dump_record(record))

    assert again.reference_measurement.slices == slices
    assert again.proposals == record.proposals
    assert again.decisions == record.decisions
    numbers = again.reference_measurement.per_label["label number 000"]
    assert numbers.values["precision"] == pytest.approx(1 / 3, abs=1e-9)
    assert (numbers.values["f1"], numbers.undefined, numbers.ground_truth) == (None, {"f1": "no objects"}, 2)
    assert parse_record(dump_record(again)) == again


numbers = st.builds(
    lambda values, items: Numbers(
        values=values, undefined={k: "r" for k, v in values.items() if v is None}, items=items
    ),
    st.dictionaries(
        st.sampled_from(["f1", "ap", "tp"]), st.none() | st.integers(0, 10**6) | st.floats(0, 1), max_size=3
    ),
    st.none() | st.integers(0, 9),
)


@given(st.dictionaries(st.text(max_size=4), numbers, max_size=5))
def test_labels_survive_as_columns(per_label):
    """Whatever they are called, and whichever numbers each of them has; to 9 digits."""
    record = propose(EMPTY, measured(1).model_copy(update={"per_label": per_label}), **WHO)

    (entry,) = parse_record(dump_record(record)).proposals

    found = entry.measurement.per_label
    assert list(found) == list(per_label)
    for label, expected in per_label.items():
        assert found[label].values == pytest.approx(expected.values, rel=1e-8)
        assert found[label].undefined == expected.undefined
        assert found[label].items == expected.items


@pytest.mark.parametrize("labels", [80, 300])
def test_a_record_stays_below_the_limit_and_says_what_was_left_out(labels):
    """Thirty batches of many labels: labels of old batches go first, those of the reference last."""
    record = EMPTY
    for number in range(31):
        record = accepted(record, measured(number, labels=labels))
    record = propose(record, measured(99, labels=labels), **WHO)

    text = dump_record(record)
    again = parse_record(text)

    assert len(text.encode()) <= SOFT_LIMIT
    assert "numbers by label of older accepted batches were left out" in again.cut
    if labels == 80:
        assert len(again.history) == 30
        assert len(again.reference_measurement.per_label) == len(again.accepted_measurement.per_label) == 80
        assert len(again.proposals[0].measurement.per_label) == 80
    else:
        kept = set(again.reference_measurement.per_label)
        assert (
            "labels with the least ground truth were left out: rules over them have no baseline" in again.cut
        )
        assert kept
        assert set(again.accepted_measurement.per_label) == kept
        assert "label number 299" in kept
        assert "label number 000" not in kept


@pytest.mark.parametrize("steps", ["", "p", "pc", "pcp", "pcpcpp", "pcpcpcpr"])
def test_a_record_of_just_the_limit_is_left_whole(steps):
    """And one byte less is too little: the size that is reckoned with is that of the text, whatever it holds."""
    record = EMPTY.model_copy(update={"name": "Straße \N{SNOWMAN}"})
    for number, step in enumerate(steps):
        slices = {"Wetter": {"Nebel ö": Numbers(values={"f1": 0.5})}} if number % 2 else {}
        found = measured(number, labels=number, slices=slices, profile={"größe": list(range(300))})
        if step == "p":
            record = propose(record, found, note="ä", **WHO)
        else:
            record = (confirm if step == "c" else reject)(record, **WHO)
    size = len(dump_record(record, limit=None).encode())

    assert fit_record(record, limit=size) is record
    if steps:
        assert len(dump_record(record, limit=size - 1).encode()) < size
    else:
        with pytest.raises(BaselineError, match=f"is {size} bytes at the least"):
            fit_record(record, limit=size - 1)


def test_entries_that_stay_are_not_written_again(monkeypatch):
    """Each entry once, and once more where it was made smaller: thirty batches took thirty times as long as one."""
    written = []
    plain = baseline_file._entry_to_json
    monkeypatch.setattr(
        baseline_file, "_entry_to_json", lambda entry: written.append(entry["id"]) or plain(entry)
    )
    record = EMPTY
    for number in range(31):
        record = accepted(record, measured(number, labels=80))

    smaller = fit_record(record)

    assert sum(not each.measurement.per_label for each in smaller.history) > 10
    assert max(Counter(written).values()) <= 3  # the reference is in the history, too
    assert len(written) <= 2 * 32


def test_without_a_limit_nothing_is_left_out():
    """A file on an object store may be as large as it likes."""
    record = EMPTY
    for number in range(31):
        record = accepted(record, measured(number, labels=80))

    again = parse_record(dump_record(record, limit=None))

    assert again.cut == []
    assert len(again.history[0].measurement.per_label) == 80


def test_a_record_that_cannot_be_made_small_is_an_error():
    """With both sizes."""
    record = accepted(EMPTY, measured(1))

    with pytest.raises(BaselineError, match="bytes at the least, more than the 200 that are allowed"):
        fit_record(record, limit=200)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "not a baseline record: Expecting value"),
        ("[]", "not a baseline record"),
        ('{"schema": "nucleus-baseline/2"}', "not a baseline record: schema"),
        ('{"revision": -1}', "not a baseline record: revision"),
        ('{"accepted": {"measurement": {"labels": {}}}}', "not a baseline record: KeyError"),
        ('{"foreign": 1}', "not a baseline record: foreign"),
    ],
)
def test_other_text_is_no_record(text, reason):
    """The place is named."""
    with pytest.raises(BaselineError, match=reason):
        parse_record(text)


def test_an_empty_record_is_small_json():
    """Readable, with its schema."""
    assert json.loads(dump_record(EMPTY)) == {"schema": "nucleus-baseline/1", "revision": 0, "name": "roads"}
