"""Numbers of a batch: those of the day's own items, whatever else the dataset holds, and what they rest on."""

from __future__ import annotations

import json

import pytest
import requests

from airflow_provider_nucleus.client.paging import Page
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusMetricsError, NucleusRequestError
from airflow_provider_nucleus.gating.fingerprint import differences
from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement
from airflow_provider_nucleus.operators import metrics as metrics_module
from airflow_provider_nucleus.operators.gate import NucleusGateOperator
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)
from airflow_provider_nucleus.tasks.baselines import FileBaseline
from tests.airflow.days import make_day, numbers
from tests.unit.operators.fakes import run

QUICK = {"deferrable": False, "poll_interval": 0.05}


def upload(ids, day, *, truth=True):
    """Bring a day's files to the server; return the id of its slice."""
    dataset = {"dataset_id": ids["dataset_id"]}
    made = run(
        NucleusAppendItemsOperator(
            task_id="i", source=str(day.items), slice_name=day.name, **dataset, **QUICK
        )
    )
    run(NucleusUploadPredictionsOperator(task_id="p", source=str(day.predictions), **ids, **QUICK))
    if truth:
        run(NucleusUploadAnnotationsOperator(task_id="t", source=str(day.ground_truth), **dataset, **QUICK))
    return made["slice_id"]


def calculate(ids, **arguments):
    """Calculate anew, and return the numbers."""
    return run(NucleusCalculateMetricsOperator(task_id="m", **ids, **QUICK, **arguments))


@pytest.fixture
def days(tmp_path):
    """Three days; the second has images without ground truth."""
    return [
        make_day(tmp_path / name, name, seed=seed, unlabelled=unlabelled)
        for seed, (name, unlabelled) in enumerate((("monday", 0), ("tuesday", 4), ("wednesday", 0)))
    ]


def test_the_trend_of_an_embedded_nucleus_has_the_digest_of_the_measurement(ids, days, nucleus):
    """What a task writes of a slice, or of everything, is the point of the trend: one number for one ground truth."""
    slices = {day.name: upload(ids, day) for day in days[:2]}
    whole = calculate(ids)
    parts = {name: calculate(ids, slice_id=slice_id) for name, slice_id in slices.items()}

    root = nucleus.url.removesuffix("/v1/nucleus")
    address = f"{root}/ui/api/datasets/{ids['dataset_id']}/trend"
    answer = requests.get(address, auth=(nucleus.api_key, ""), timeout=60).json()

    newest = {each["kind"]: each["points"] for each in answer["series"]}
    found = {point["slice_name"]: point["fingerprint"]["ground_truth"] for point in newest["batch"]}
    assert found == {name: part["fingerprint"]["ground_truth"] for name, part in parts.items()}
    digests = {point["fingerprint"]["ground_truth"] for point in newest["calculation"]}
    assert digests == {whole["fingerprint"]["ground_truth"]}


def test_each_day_has_its_own_numbers(ids, days, tmp_path):
    """By slice, by query and by both they are those of the engine on that day's files alone; without a batch, of everything."""
    slices = {day.name: upload(ids, day) for day in days}
    whole = calculate(ids)
    for day in days:
        expected = day.measured()
        report = tmp_path / f"{day.name}.json.gz"
        of_slice = calculate(ids, slice_id=slices[day.name], report=str(report))
        of_query = calculate(ids, query=f'metadata.day = "{day.name}"')
        none = calculate(ids, slice_id=slices[day.name], query="metadata.day = sunday")

        assert numbers(of_slice["overall"]) == pytest.approx(numbers(expected.overall.values))
        assert of_query["overall"] == of_slice["overall"]
        for label, found in expected.per_label.items():
            assert numbers(of_slice["per_label"][label]) == pytest.approx(numbers(found.values))
        coverage = of_slice["coverage"]
        assert (coverage["items"], coverage["with_ground_truth"]) == (12, 8 if day.name == "tuesday" else 12)
        assert {name: coverage[name] for name in ("ground_truth", "predictions")} == {
            "ground_truth": expected.coverage.ground_truth, "predictions": expected.coverage.predictions,
        }  # fmt: skip
        assert of_query["coverage"] == coverage
        assert (none["coverage"]["items"], none["overall"]["precision"]) == (0, None)
        assert (of_slice["slice_id"], of_slice["items"]) == (slices[day.name], 12)
        assert whole["overall"]["tp"] > of_slice["overall"]["tp"]
    assert (whole["items"], whole["coverage"]["without_ground_truth"], whole["slice_id"]) == (36, 4, None)


@pytest.mark.parametrize("other", ["the same choices", "other choices"])
def test_another_calculation_between_the_own_one_and_its_reading(ids, days, monkeypatch, other):
    """Another day's run replaces the matches of the whole run: the same choices give the same numbers, others are refused."""
    monday, tuesday = days[0], days[1]
    batch = upload(ids, monday)
    real, others = metrics_module.measure, []

    def measure_late(*args, **kwargs):
        if not others:
            others.append(upload(ids, tuesday))
            others.append(calculate(ids, class_agnostic=other == "other choices"))
        return real(*args, **kwargs)

    monkeypatch.setattr(metrics_module, "measure", measure_late)
    if other == "the same choices":
        found = calculate(ids, slice_id=batch)
        assert numbers(found["overall"]) == pytest.approx(numbers(monday.measured().overall.values))
        return
    with pytest.raises(
        NucleusMetricsError, match=r"Calculation job_\w+ of the same model, with other choices.*one at a time"
    ):
        calculate(ids, slice_id=batch)
    assert calculate(ids, slice_id=batch)["class_agnostic"] is False


def test_predictions_on_items_without_labels_are_left_out_when_asked(ids, days):
    """Both ways give the engine's numbers, and say how many predictions it is about."""
    tuesday = days[1]
    batch = upload(ids, tuesday)
    counted = calculate(ids, slice_id=batch)
    left_out = calculate(ids, slice_id=batch, unannotated="leave_out")
    expected = tuesday.measured(unannotated="leave_out")

    assert numbers(left_out["overall"]) == pytest.approx(numbers(expected.overall.values))
    left = left_out["coverage"]["predictions_left_out"]
    assert left == expected.coverage.predictions_left_out > 0
    assert counted["overall"]["fp"] - left_out["overall"]["fp"] == left
    assert counted["coverage"]["predictions"] == left_out["coverage"]["predictions"]
    (note,) = [one for one in counted["notes"] if one["note"] == "predictions_without_ground_truth"]
    assert f"{left:,} predictions on the 4 items without ground truth" in note["text"]
    with pytest.raises(ValueError, match="unannotated must be one of"):
        calculate(ids, unannotated="ignore")


def test_labels_that_come_late_change_numbers_and_fingerprint(hook, ids, days, tmp_path):
    """Before they are there, nothing can be found; a corrected box is another ground truth, too."""
    day = days[0]
    batch = upload(ids, day, truth=False)
    before = calculate(ids, slice_id=batch)
    upload(ids, day)
    after = calculate(ids, slice_id=batch)
    again = calculate(ids, slice_id=batch, report=str(tmp_path / "r.json"))
    row = json.loads(day.ground_truth.read_text().splitlines()[0])
    hook.annotate(ids["dataset_id"], [row | {"geometry": row["geometry"] | {"x": 999}}], update=True)
    corrected = calculate(ids, slice_id=batch)

    assert (before["coverage"]["with_ground_truth"], before["overall"]["recall"]) == (0, None)
    assert before["notes"][0]["note"] == "no_ground_truth"
    assert numbers(after["overall"]) == pytest.approx(numbers(day.measured().overall.values))
    prints = [Fingerprint.model_validate(one["fingerprint"]) for one in (before, after, again, corrected)]
    assert differences(prints[1], prints[2]) == []
    assert differences(prints[0], prints[1])
    assert differences(prints[1], prints[3])
    assert Measurement.model_validate_json((tmp_path / "r.json").read_text()).fingerprint == prints[1]


def test_a_batch_whose_labels_come_late_is_judged_again_and_counts_once(ids, days, tmp_path):
    """Its numbers on all labels take the place of those on the first half, and the newest day stays what was accepted last."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    lines = days[0].ground_truth.read_text().splitlines(keepends=True)
    half = tmp_path / "half.jsonl"
    half.write_text("".join(lines[: len(lines) // 2]))

    def judge(slice_id):
        gate = NucleusGateOperator(
            task_id="gate",
            candidate=calculate(ids, slice_id=slice_id),
            policy={"rules": [{"id": "some", "metric": "tp", "min": 0, "min_support": 0}]},
            baseline_record=record.file,
            confirm="auto",
        )
        return run(gate)["verdict"]

    slices = {day.name: upload(ids, day, truth=day is not days[0]) for day in days}
    run(
        NucleusUploadAnnotationsOperator(task_id="h", source=str(half), dataset_id=ids["dataset_id"], **QUICK)
    )
    verdicts = [judge(slices[day.name]) for day in days]
    upload(ids, days[0])
    verdicts.append(judge(slices["monday"]))

    found = record.read()
    assert verdicts == ["pass"] * 4
    assert [one.measurement.subject.slice_id for one in [*found.history, found.accepted]] == list(
        slices.values()
    )
    late = found.history[0].measurement
    assert numbers(late.overall.values) == pytest.approx(numbers(days[0].measured().overall.values))
    assert found.reference_measurement.overall == late.overall


def test_numbers_by_metadata_add_up(ids, days, tmp_path):
    """Each value of the items' metadata has its own numbers, in the report."""
    for day in days:
        upload(ids, day)
    report = tmp_path / "r.json"
    whole = calculate(ids, by_metadata=["day"], report=str(report))
    found = Measurement.model_validate_json(report.read_text())
    cut = found.slices["day"]

    assert {name: one.items for name, one in cut.items()} == {day.name: 12 for day in days}
    assert sum(one.values["tp"] for one in cut.values()) == whole["overall"]["tp"]
    assert cut["monday"].values["fn"] == days[0].measured().overall.values["fn"]


def test_a_slice_of_another_dataset_is_refused(hook, ids, days):
    """Its items are in none of these matches: the numbers would be of nothing."""
    upload(ids, days[0])
    other = hook.create_slice(hook.create_dataset("other"), "s", reference_ids=[])

    with pytest.raises(NucleusConfigError, match=f"Slice {other} belongs to dataset"):
        calculate(ids, slice_id=other)


def test_matches_that_change_while_they_are_read_are_read_again(hook, ids, days, monkeypatch):
    """Another task calculates the same run: its tokens of pages are refused, and no half of a match is counted."""
    batch = upload(ids, days[0])
    expected = calculate(ids, slice_id=batch)
    task = NucleusCalculateMetricsOperator(task_id="m", slice_id=batch, **ids, **QUICK)
    real, refused = task.hook.iter_matches, []

    def iter_matches(*arguments, mode, **options):
        yield from real(*arguments, mode=mode, **options)
        if mode == "false_positive" and not refused:
            refused.append(mode)
            raise NucleusRequestError("pageToken is not a token of this listing", status=400)

    monkeypatch.setattr(task.hook, "iter_matches", iter_matches)

    assert run(task)["overall"] == expected["overall"]
    assert refused == ["false_positive"]


def test_a_server_that_cannot_list_by_slice(hook, ids, days, monkeypatch):
    """The query language of a slice is an assumption: items of the slice are picked from everything then."""
    batches = [upload(ids, day) for day in days[:2]]
    expected = calculate(ids, slice_id=batches[0])
    task = NucleusCalculateMetricsOperator(task_id="m", slice_id=batches[0], **ids, **QUICK)
    client = task.hook.get_conn()
    real = client.send

    def send(call, **options):
        if call.path.endswith("ObjectsPage") and call.body["query"]:
            raise NucleusRequestError("Query not understood", status=400)
        return real(call, **options)

    monkeypatch.setattr(client, "send", send)
    found = run(task)

    assert found["overall"] == expected["overall"]
    assert found["coverage"] == expected["coverage"]
    assert found["fingerprint"] == expected["fingerprint"]


@pytest.mark.parametrize("lag", ["a part", "refused"])
def test_what_the_cloud_cannot_query_yet_is_not_missing(hook, ids, days, monkeypatch, lag):
    """For a minute a query selects a part of a new batch: the numbers of that part would look like those of the day."""
    batches = [upload(ids, day) for day in days[:2]]
    expected = calculate(ids, slice_id=batches[0])
    task = NucleusCalculateMetricsOperator(task_id="m", slice_id=batches[0], **ids, **QUICK)
    monkeypatch.setattr("airflow_provider_nucleus.hooks.measuring.engine_of", lambda _: "nucleus")
    whole = calculate(ids, slice_id=batches[0])
    client = task.hook.get_conn()
    real = client.send

    def send(call, **options):
        query = (call.body or {}).get("query") if call.path.endswith("Page") else None
        if query and lag == "refused":
            raise NucleusRequestError("Query not understood", status=400)
        answer = real(call, **options)
        return Page(answer.members[:5]) if query else answer

    monkeypatch.setattr(client, "send", send)
    found = run(task)

    for one in (whole, found):
        assert (one["overall"], one["coverage"]) == (expected["overall"], expected["coverage"])
