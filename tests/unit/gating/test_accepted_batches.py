"""Batches that are judged again: each is once in a window, in its own place, with its newest numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.gating.accepted_batches import is_last
from airflow_provider_nucleus.gating.baseline import (
    HISTORY,
    BaselineRecord,
    accept_again,
    accepted_before,
    confirm,
    measurement_id,
    propose,
    record_before,
)
from airflow_provider_nucleus.gating.baseline_file import dump_record, fit_record, parse_record
from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement, Numbers, Subject
from airflow_provider_nucleus.gating.policy_reading import read_policy
from airflow_provider_nucleus.gating.profile import Profile
from airflow_provider_nucleus.tasks.baselines import AssetBaseline, FileBaseline

EMPTY = BaselineRecord()
WHO = {"by": "dag roads", "at": "2026-03-01T06:00:00+00:00"}


def measured(
    batch: object, labels: int = 1, *, f1: float = 0.8, model: str | None = "prj_1", **parts: Any
) -> Measurement:
    """Return the numbers of a batch of which so many items were labelled; each calculation is a job of its own."""
    made = {"scope": f"slice:slc_{batch}"} | parts.pop("made", {})
    return Measurement(
        subject=Subject(**{"model_id": model, "job_id": f"job_{batch}_{labels}_{f1}_{model}"} | parts.pop("subject", {})),
        fingerprint=Fingerprint(**{"data": "dataset:ds_1", "ground_truth": f"{labels}-ab", **made}),
        coverage=Coverage(items=parts.pop("items", 10), with_ground_truth=labels, ground_truth=labels),
        overall=Numbers(values={"f1": f1}, ground_truth=labels),
        **parts,
    )  # fmt: skip


def on(day: int) -> dict[str, str]:
    """Return the time of a measurement."""
    return {"measured_at": f"2026-03-{day:02}T00:00:00+00:00"}


def accepted(record: BaselineRecord, *measurements: Measurement) -> BaselineRecord:
    """Propose and confirm each."""
    for each in measurements:
        record = confirm(propose(record, each, **WHO), measurement_id(each), **WHO)
    return record


def shown(record: BaselineRecord) -> list[tuple[str, str | None]]:
    """Return batch and ground truth of all that is accepted, oldest first."""
    entries = [*record.history, *filter(None, [record.accepted])]
    return [
        (one.measurement.fingerprint.scope or "", one.measurement.fingerprint.ground_truth) for one in entries
    ]


def test_late_labels_replace_the_numbers_of_their_batch():
    """Of the newest batch, of one in the middle, and of the first, which is pinned: each in its place."""
    record = accepted(EMPTY, *(measured(day) for day in range(4)))
    record = accepted(record, measured(3, 2), measured(1, 2, f1=0.7), measured(0, 5, f1=0.6))

    assert shown(record) == [
        ("slice:slc_0", "5-ab"), ("slice:slc_1", "2-ab"), ("slice:slc_2", "1-ab"), ("slice:slc_3", "2-ab"),
    ]  # fmt: skip
    assert record.reference_measurement.overall.values["f1"] == 0.6
    assert [one.note for one in record.decisions if one.action == "pin"][-1] == (
        "job_0_1_0.8_prj_1/slice:slc_0 judged again on other ground truth"
    )
    assert [each.overall.values["f1"] for each in accepted_before(record, measured(9))] == [
        0.6,
        0.7,
        0.8,
        0.8,
    ]
    assert len(accepted_before(record, measured(1, 9))) == 3


def test_the_pinned_measurement_is_replaced_for_its_ground_truth_alone():
    """The same model with other predictions on the same labels does not move what drops are measured from; both are remembered, and count once."""
    record = accepted(EMPTY, measured(0), measured(0, f1=0.7))

    assert record.reference_measurement.overall.values["f1"] == 0.8
    assert record.accepted_measurement.overall.values["f1"] == 0.7
    assert [one.measurement.overall.values["f1"] for one in record.history] == [0.8]
    assert [one.overall.values["f1"] for one in accepted_before(record, measured(9))] == [0.7]


def test_a_window_rule_counts_a_batch_once():
    """Labels of one odd batch come in five parts: five odd numbers of nine would be the median."""
    policy = read_policy({
        "rules": [
            {
                "id": "usual",
                "metric": "f1",
                "min_support": 0,
                "window": {"batches": 9, "max_z": 3, "min_batches": 4},
            }
        ]
    })
    record = accepted(EMPTY, *(measured(day, f1=0.80 + day / 1000) for day in range(4)))
    record = accepted(record, *(measured("odd", labels, f1=0.4 + labels / 100) for labels in range(1, 6)))
    found = judge(
        policy, measured("new", f1=0.4), history=accepted_before(record, measured("new", f1=0.4))
    ).verdict

    assert len(record.history) == 4
    assert found.status == "fail"


def test_a_window_rule_over_profiles_has_the_profiles_of_all_batches():
    """Also after the record was a file; the older ones had none, and such a rule stayed open for ever."""
    policy = read_policy({
        "rules": [{"id": "usual", "scope": "profile", "metric": "objects_per_item", "window": {}}]
    })

    def predicted(day: int, objects: int) -> Measurement:
        profile = Profile(
            items=100, items_with_predictions=90, objects=objects, objects_per_item=[90] + [0] * 9
        )
        return measured(day).model_copy(update={"profile": profile.to_dict()})

    record = accepted(EMPTY, *(predicted(day, 300 + day) for day in range(6)))
    past = parse_record(dump_record(record))
    verdicts = {}
    for objects in (304, 120):
        new = predicted(9, objects)
        verdicts[objects] = judge(policy, new, history=accepted_before(past, new)).verdict.status

    assert verdicts == {304: "pass", 120: "fail"}


def test_a_waiting_proposal_gives_way_to_the_same_batch_with_more_labels():
    """And a person who confirms the old one hears what became of it; one that was measured earlier does not push out a later one."""
    late = measured(1, 2, subject={"measured_at": "2026-03-02T00:00:00+00:00"})
    early = measured(1, 1, subject={"measured_at": "2026-03-01T00:00:00+00:00"})
    record = propose(propose(EMPTY, early, **WHO), late, **WHO)

    assert [one.id for one in record.proposals] == [measurement_id(late)]
    assert (record.decisions[-1].action, record.decisions[-1].id, record.decisions[-1].note) == (
        "reject",
        measurement_id(early),
        f"judged again: {measurement_id(late)}",
    )

    record = propose(record, early, **WHO)
    record = confirm(confirm(record, measurement_id(late), **WHO), measurement_id(early), **WHO)
    assert shown(record) == [("slice:slc_1", "2-ab")]
    assert record.decisions[-1].note.endswith("is in no window: later numbers of it stand, or later batches")


def test_what_stands_in_no_window_is_accepted_once():
    """A retry of the step that accepted earlier numbers, or a batch of long ago, finds that done; measured anew it is judged anew."""
    late, early = (measured(1, labels, subject=on(labels)) for labels in (2, 1))
    record = accepted(EMPTY, late, early)
    assert record.decisions[-1].note.endswith("later batches")

    assert confirm(record, measurement_id(early), **WHO) is record
    assert propose(record, early, **WHO) is record
    anew = measured(1, 1, subject=on(3))
    assert shown(accepted(record, anew)) == [("slice:slc_1", "1-ab")]


@pytest.mark.parametrize("model", ["prj_1", None])
def test_numbers_that_are_read_again_are_the_same(model):
    """Another task reads the numbers of the same calculation, or of the same model on the same items, at another time."""
    first, again = (
        measured(1, subject=on(day) | {"task_id": f"read_{day}", "job_id": None}, model=model)
        for day in (1, 2)
    )
    proposed = propose(EMPTY, first, **WHO)
    confirmed = accepted(proposed, first)

    assert propose(proposed, again, **WHO) is proposed
    assert propose(confirmed, again, **WHO) is confirmed


def test_a_model_file_that_is_back_is_accepted_last():
    """The numbers of before, measured after others: a benchmark has no job, and the model is taken back."""
    old, new, back = (
        measured(1, f1=f1, model=None, subject=on(day) | {"model_name": "net", "job_id": None})
        for day, f1 in ((1, 0.8), (2, 0.7), (3, 0.8))
    )
    record = accepted(EMPTY, old, new)

    assert propose(record, old, **WHO) is record
    assert accepted(record, back).accepted_measurement.overall.values["f1"] == 0.8


def test_what_is_pinned_is_not_held_against_itself():
    """Its gate runs again when others were accepted: it has no reference, as it had none. A file of the same numbers may be of another model."""
    record = accepted(EMPTY, measured(1), measured(2))
    late = accepted(record, measured(1, 2, f1=0.5))
    files = [measured(number, f1=number / 10, subject={"job_id": None}) for number in (1, 2)]

    assert record_before(record, measured(1)).reference is None
    assert record_before(late, measured(1, 2, f1=0.5)).reference is None
    assert record_before(record, measured(3)).reference == record.reference
    assert record_before(accepted(EMPTY, *files), files[0]).reference is not None


def test_another_model_on_an_older_batch_is_not_accepted_last():
    """It stands beside the model that was judged there; on the newest batch it is what was accepted last."""
    record = accepted(EMPTY, measured(1), measured(2))
    late = accepted(record, measured(1, model="prj_2"))
    now = accepted(record, measured(2, model="prj_2"))

    models = [one.measurement.subject.model_id for one in late.history]
    assert (models, late.accepted.measurement.subject.slice_id) == (["prj_1", "prj_2"], None)
    assert late.accepted == record.accepted
    assert now.accepted.measurement.subject.model_id == "prj_2"


def test_a_batch_that_fell_out_of_the_history_is_known_still():
    """Judged again after forty others it is neither new nor accepted last; so it is where a file had no room for more."""
    days = [measured(day) for day in range(HISTORY + 10)]
    record = accepted(EMPTY, *days)
    again = accepted(parse_record(dump_record(record)), measured(0, 2))
    small = accepted(EMPTY, *days[:20])
    small = fit_record(small, limit=len(dump_record(small)) - 3000)

    assert len(record.passed) == 9
    assert (again.accepted, again.history) == (record.accepted, record.history)
    assert [one.action for one in again.decisions[-3:]] == [
        "propose",
        "confirm",
        "pin",
    ]  # its labels are what was pinned
    assert 0 < len(small.history) < 19
    assert len(small.passed) + len(small.history) + 1 == 20
    assert accepted(small, measured(0, 2)).accepted == small.accepted


@pytest.mark.parametrize(
    ("first", "second", "batches"),
    [
        ({"scope": None}, {"scope": None, "ground_truth": "2-b"}, 1),
        ({"data": "benchmark:bm_1@1", "scope": None}, {"data": "benchmark:bm_1@2", "scope": None}, 2),
        ({"scope": "query:a"}, {"scope": "query:a", "ground_truth": "2-b"}, 1),
        ({"options": {"iou_threshold": 0.5}}, {"options": {"iou_threshold": 0.75}}, 2),
        ({"engine": "e 1.2.0"}, {"engine": "e 1.2.9", "ground_truth": "2-b"}, 1),
        ({"engine": "e 1.2.0"}, {"engine": "e 1.3.0", "ground_truth": "2-b"}, 2),
    ],
)
def test_what_is_one_batch(first, second, batches):
    """The same data, scope, options and engine; ground truth is no part of it."""
    record = accepted(EMPTY, measured(1, made=first), measured(1, made=second, f1=0.9))

    assert len(shown(record)) == batches


@pytest.mark.parametrize(("items", "batches"), [((10, 10), 1), ((10, 20), 2), ((None, None), 2)])
def test_a_data_set_that_grows_is_another_batch_every_day(items, batches):
    """Nothing but the number of items tells; where that is not known, other ground truth is another batch."""
    days = [measured(1, n, items=count, made={"scope": None}) for n, count in enumerate(items, 1)]

    assert len(shown(accepted(EMPTY, *days))) == batches


@pytest.mark.parametrize("scope", [None, "query:day 1"])
def test_a_data_set_that_shrinks_to_a_former_size_is_accepted_last(scope):
    """Ten items came and went: what is measured now is no older batch. What was measured then is, and so is a query of another day."""
    parts = {"made": {"scope": scope}}
    days = [measured("all", day, items=items, subject=on(day), **parts) for day, items in ((1, 100), (2, 110), (3, 100))]  # fmt: skip
    record = accepted(EMPTY, *days)
    assert [one.overall.ground_truth for one in accepted_before(record, measured("next"))] == [2, 3]
    assert record.accepted.measurement.overall.ground_truth == 3

    record = propose(record, measured("all", 4, items=110, model="prj_2", subject=on(4), **parts), **WHO)
    assert is_last(record, record.proposals[0])
    late = accepted(record, measured("all", 5, items=110, model="prj_3", subject=on(1), **parts))
    assert late.accepted == record.accepted
    other = accepted(record, measured("other", 6, made={"scope": "query:day 2"}, subject=on(6)))
    assert accepted(other, measured("all", 7, items=100, subject=on(7), **parts)).accepted == other.accepted


@pytest.mark.parametrize(
    ("names", "scope", "batches"),
    [(("a", "a"), "day 1", 1), (("a", "b"), "day 1", 2), (("a", "a"), None, 2)],
)
def test_files_have_no_ids(names, scope, batches):
    """Of one name, and on a batch that has one, they are one model; a file of ground truth alone may be held against any model."""
    files = [
        measured(1, labels, f1=labels / 10, model=None, made={"scope": scope}, subject={"model_name": name})
        for labels, name in enumerate(names, 1)
    ]
    files = [one.model_copy(update={"subject": one.subject.model_copy(update={"job_id": None})}) for one in files]  # fmt: skip

    assert len(shown(accepted(EMPTY, *files))) == batches


def test_what_is_taken_back_leaves_no_batch():
    """The entry before is accepted last, although its batch is older."""
    record = accepted(EMPTY, measured(1), measured(2, model="prj_2"), measured(3, model="prj_2"))
    back = accept_again(record, record.history[0], note="taken back", **WHO)

    assert back.accepted.measurement.fingerprint.scope == "slice:slc_1"
    assert shown(back) == [("slice:slc_2", "1-ab"), ("slice:slc_1", "1-ab")]


@dataclass
class State:
    """The state of one asset."""

    values: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        """Return a value."""
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self.values[key] = value


@pytest.mark.parametrize("kind", ["file", "asset"])
def test_late_labels_in_a_store(kind, tmp_path):
    """The numbers come back rounded, and are those of the batch all the same."""
    store = FileBaseline(str(tmp_path / "b.json")) if kind == "file" else AssetBaseline("street", State())
    for one in (measured(1, f1=1 / 3), measured(2, f1=2 / 3), measured(1, 2, f1=1 / 7), measured(2, f1=2 / 3)):  # fmt: skip
        store.change(lambda record, one=one: accepted(record, one))

    assert shown(store.read()) == [("slice:slc_1", "2-ab"), ("slice:slc_2", "1-ab")]


judged = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 4), st.none() | st.integers(1, 28)), min_size=1, max_size=14
)


@settings(deadline=None, max_examples=60)
@given(judged, st.booleans())
def test_the_window_has_the_newest_entry_of_each_batch_in_the_order_of_batches(judgements, is_stored):
    """Whatever was judged how often and in which order; the newest by the time of measuring, where both say it, else by arrival."""
    record = EMPTY
    newest: dict[int, tuple[int, int | None]] = {}
    for batch, labels, day in judgements:
        when = None if day is None else f"2026-03-{day:02}T00:00:00+00:00"
        one = measured(batch, labels, subject={"measured_at": when})
        one = one.model_copy(update={"subject": one.subject.model_copy(update={"job_id": f"job_{day}_{labels}"})})  # fmt: skip
        record = accepted(record, one)
        if is_stored:
            record = parse_record(dump_record(record))
        before = newest.get(batch)
        if before is None or before[1] is None or day is None or day >= before[1]:
            newest[batch] = (labels, day)

    expected = [(f"slice:slc_{batch}", f"{labels}-ab") for batch, (labels, _) in newest.items()]
    assert shown(record) == expected
    assert [
        (one.fingerprint.scope, one.fingerprint.ground_truth)
        for one in accepted_before(record, measured("another"))
    ] == expected
