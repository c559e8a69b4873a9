"""Evaluations of batches: numbers of the day's items alone, and benchmarks whose source grows are never silently old."""

from __future__ import annotations

import logging
import threading

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusMetricsError
from airflow_provider_nucleus.gating.measurement import Measurement
from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
from tests.airflow.days import make_day
from tests.unit.operators.fakes import run
from tests.unit.operators.test_batches import QUICK, upload

NAMES = ("ap", "ap50", "ap75")


@pytest.fixture
def days(tmp_path):
    """Two days; the second has images without ground truth."""
    return [make_day(tmp_path / f"day{n}", f"day{n}", seed=n + 7, unlabelled=3 * n) for n in range(2)]


def evaluate(ids, **arguments):
    """Evaluate on the benchmark of the dataset's name."""
    chosen = {"benchmark": f"daily {ids['dataset_id']}"} | arguments
    return run(NucleusEvaluateModelOperator(task_id="e", **ids, **QUICK, **chosen))


def versions(hook, ids):
    """Versions of the benchmark, with their number of items."""
    return sorted(
        (f"{one.version_major}.{one.version_minor}", one.item_count)
        for one in hook.list_benchmarks()
        if one.name == f"daily {ids['dataset_id']}"
    )


def test_each_day_has_its_own_numbers_under_one_name(hook, ids, days, tmp_path):
    """On day two, a benchmark of a fixed name has a new version, and the numbers are the engine's of that day's files alone."""
    results, report = [], tmp_path / "report.json"
    for day in days:
        batch = upload(ids, day)
        results.append((batch, evaluate(ids, slice_id=batch, report=str(report)), evaluate(ids)))
        result, expected = results[-1][1], day.measured(unannotated="leave_out")

        assert {name: result["overall"][name] for name in NAMES} == pytest.approx({
            name: expected.overall.values[name] for name in NAMES
        })
        assert result["per_class_ap"] == pytest.approx({
            label: one.values["ap"] for label, one in expected.per_label.items()
        })
        assert result["coverage"]["ground_truth"] == expected.coverage.ground_truth
    (first, one, _), (_, two, whole) = results

    assert [one["benchmark_version"], two["benchmark_version"]] == ["1.0", "1.1"]
    assert versions(hook, ids) == [("1.0", 12), ("1.1", 21)]
    assert (two["items"], two["coverage"]["with_ground_truth"], two["coverage"]["without_ground_truth"]) == (
        12,
        9,
        3,
    )
    assert (whole["items"], whole["coverage"]["with_ground_truth"], whole["new_items"]) == (24, 21, 0)
    assert (
        whole["coverage"]["predictions_left_out"] == whole["excluded"]["predictionsOnItemsWithoutGroundTruth"]
    )
    # Yesterday's numbers, of today's evaluation, are still yesterday's.
    again = evaluate(ids, slice_id=first)
    assert again["overall"] == one["overall"]
    by_query = evaluate(ids, query='metadata.day = "day1"')
    assert (by_query["overall"], by_query["coverage"]) == (two["overall"], two["coverage"])
    found = Measurement.model_validate_json(report.read_text())
    assert found.fingerprint.data == f"benchmark:daily {ids['dataset_id']}@1.1"
    assert found.details["charts"]["map_summary"]["map_at5095"] == two["map"]["map_at5095"]
    counts = [one.values for one in found.per_label.values()]
    assert sum(one["tp"] for one in counts) == two["counts"]["tp"]
    assert sum(one["fn"] for one in counts) == two["counts"]["fn"]


@pytest.mark.parametrize("choice", ["keep", "fail"])
def test_a_benchmark_that_is_old_says_so_with_both_counts(hook, ids, days, caplog, choice):
    """Kept or refused, never silently."""
    upload(ids, days[0])
    evaluate(ids)
    batch = upload(ids, days[1])
    if choice == "fail":
        with pytest.raises(
            NucleusMetricsError,
            match=r"has 12 items, its source ds_\w+ now 21 with ground truth, 9 of them new",
        ):
            evaluate(ids, on_new_items="fail")
    else:
        with caplog.at_level(logging.WARNING):
            result = evaluate(ids, on_new_items="keep", slice_id=batch)
        assert "has 12 items, its source" in caplog.text
        assert (result["new_items"], result["benchmark_version"]) == (9, "1.0")
        (note,) = [one for one in result["notes"] if one["note"] == "items_outside_benchmark"]
        assert (note["count"], result["overall"]["recall"]) == (9, None)
    assert versions(hook, ids) == [("1.0", 12)]


def test_labels_that_come_late_are_new_items(hook, ids, days):
    """The images were there when the benchmark was made, their ground truth was not."""
    upload(ids, days[0])
    batch = upload(ids, days[1], truth=False)
    before = evaluate(ids, slice_id=batch)
    upload(ids, days[1])
    after = evaluate(ids, slice_id=batch)

    assert (before["coverage"]["with_ground_truth"], before["overall"]["ap"]) == (0, None)
    assert before["overall"]["undefined"]["ap"] == "no ground truth"
    assert (after["coverage"]["with_ground_truth"], after["benchmark_version"]) == (9, "1.1")


def test_several_tasks_at_once_take_one_new_version(hook, ids, days):
    """The first that makes it wins."""
    upload(ids, days[0])
    evaluate(ids)
    upload(ids, days[1])
    gate, found = threading.Barrier(4), []

    def ask():
        gate.wait()
        found.append(
            hook.choose_benchmark(
                f"daily {ids['dataset_id']}", dataset_id=ids["dataset_id"], poll_interval=0.05
            )
        )

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [(one.source_items, one.new_items) for one in found] == [(21, 0)] * 4
    assert len({one.benchmark.id for one in found}) == 1
    assert versions(hook, ids) == [("1.0", 12), ("1.1", 21)]


def test_a_benchmark_made_by_hand_is_kept(hook, ids, days, caplog):
    """It is a choice: the dataset is only where the predictions are. A slice that is named as source is followed."""
    name = f"daily {ids['dataset_id']}"
    batch = upload(ids, days[0])
    made = hook.create_benchmark(name, slice_ids=[batch])
    hook.wait_for_job(made.job_id, poll_interval=0.05)
    upload(ids, days[1])
    with caplog.at_level(logging.WARNING):
        kept = evaluate(ids)
    followed = evaluate(ids, source_slice_id=batch)
    pinned = evaluate(ids, benchmark=None, benchmark_id=made.benchmark_id)

    assert (kept["benchmark_id"], kept["new_items"]) == (made.benchmark_id, 9)
    assert "was not made of it by a task" in caplog.text
    assert (followed["benchmark_version"], followed["new_items"], pinned["new_items"]) == ("1.0", 0, None)


def test_a_slice_to_make_a_benchmark_of_has_a_name_of_its_own(ids, days):
    """`slice_id` says whose numbers these are: with nothing else, there is nothing to make a benchmark of."""
    batch = upload(ids, days[0])
    with pytest.raises(NucleusConfigError, match=r"of which items the numbers are; .* is source_slice_id"):
        run(
            NucleusEvaluateModelOperator(
                task_id="e", model_id=ids["model_id"], benchmark="nowhere", slice_id=batch, **QUICK
            )
        )
    assert evaluate(ids, source_slice_id=batch)["items"] == 12
    with pytest.raises(ValueError, match="on_new_items must be one of"):
        evaluate(ids, on_new_items="ignore")
