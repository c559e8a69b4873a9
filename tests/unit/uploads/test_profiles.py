"""Profile of the predictions of an upload: whole, whichever way the rows came and however many tries it took."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.client.uploads import MemoryState
from airflow_provider_nucleus.exceptions import NucleusUploadError
from airflow_provider_nucleus.gating.profile import Profile
from airflow_provider_nucleus.sources import open_rows
from tests.faults import Fault
from tests.unit.uploads.conftest import Bench, Stage, box


def predicted(count: int, **change) -> list[dict]:
    return [box(number, confidence=number % 10 / 10, **change) for number in range(count)]


def profile_of(summary) -> Profile:
    return Profile.model_validate(summary.profile)


def expected_numbers(profile: Profile) -> dict:
    return {
        "objects": profile.objects,
        "items": profile.items_with_predictions,
        "labels": profile.labels,
        "confidence": [at for at, count in enumerate(profile.confidence) for _ in range(count)],
    }


def test_predictions_have_a_profile_and_ground_truth_has_none(bench: Bench):
    """It is of the objects that a model made, and needs no label."""
    summary = bench.upload(predicted(100), kind="predictions", model_id=bench.model()).run()

    profile = profile_of(summary)

    assert (profile.objects, profile.items_with_predictions, profile.items) == (100, 50, None)
    assert profile.labels == {"label-0": 34, "label-1": 33, "label-2": 33}
    assert profile.confidence == [10, 0] * 10
    assert profile.objects_per_item[1] == 50
    assert bench.upload([box(1)]).run().profile is None


def test_it_is_the_same_from_every_kind_of_source(bench: Bench, tmp_path):
    """JSONL, Parquet columns, COCO results and single rows take different ways through the check."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = predicted(3_000)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flat = [{**{k: v for k, v in row.items() if k != "geometry"}, **row["geometry"]} for row in rows]
    pq.write_table(pa.Table.from_pylist(flat), tmp_path / "rows.parquet")
    truth = {
        "images": [{"id": number, "file_name": f"item-{number}"} for number in range(50)],
        "categories": [{"id": number, "name": f"label-{number}"} for number in range(3)],
        "annotations": [],
    }
    results = [
        {
            "image_id": number % 50,
            "category_id": number % 3,
            "bbox": list(row["geometry"].values()),
            "score": row["confidence"],
        }
        for number, row in enumerate(rows)
    ]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(results))
    sources = {
        "jsonl": lambda: open_rows(tmp_path / "rows.jsonl", kind="predictions"),
        "parquet": lambda: open_rows(tmp_path / "rows.parquet", kind="predictions"),
        "coco": lambda: open_rows(
            tmp_path / "results.json",
            kind="predictions",
            images=tmp_path / "truth.json",
            categories=tmp_path / "truth.json",
        ),
        "one by one": lambda: open_rows(
            [{**row, "embedding_vector": [1.0]} for row in rows], kind="predictions"
        ),
    }

    profiles = {
        name: bench.upload(rows, kind="predictions", model_id="prj_x", validate_only=True).run().profile
        for name, rows in sources.items()
    }

    assert profiles["jsonl"]["objects"] == 3_000
    assert dict.fromkeys(sources, profiles["jsonl"]) == profiles


def test_refused_rows_duplicates_and_rows_left_out_are_in_no_number(bench: Bench):
    """The profile is of what was sent; what was left out is a number beside it."""
    rows = [*predicted(10), box(3, confidence=0.3), box(11, confidence=7), {"label": "x"}]
    factory = lambda: open_rows(rows, kind="predictions", mapping={"min_confidence": 0.25})  # ruff: ignore[lambda-assignment]

    summary = bench.upload(factory, kind="predictions", model_id=bench.model(), max_error_rate=1).run()

    assert (summary.rejected, summary.duplicates, sum(summary.left_out.values())) == (3, 1, 3)
    assert profile_of(summary).objects == summary.sent == 7
    assert profile_of(summary).left_out == 3
    assert profile_of(summary).least_confidence == 0.3


def test_a_retry_has_the_whole_profile(stage: Stage):
    """Chunks that are stored are not sent again, but they are of the batch."""
    store, model_id = MemoryState(), stage.bench.model()
    stage.faults(Fault("second start", r"POST .*/uploadPredictions\?async=1", "status", at=2, status=400))
    upload = {"kind": "predictions", "model_id": model_id, "state": store, "chunk_rows": 30}
    with pytest.raises(Exception, match="400"):
        stage.upload(predicted(90), **upload).run()
    stage.faults()

    summary = stage.upload(predicted(90), **upload).run()

    assert summary.sent == profile_of(summary).objects == 90


def test_who_attaches_or_collects_returns_the_recorded_profile(stage: Stage):
    """Neither the retry of a task that died while waiting nor the process that collects after a deferral reads the input."""
    store = MemoryState()
    upload = {"kind": "predictions", "model_id": stage.bench.model(), "state": store}
    first = stage.upload(predicted(60), **upload)
    started = first.start()

    def unreadable():
        raise AssertionError("the input was read")

    attached = stage.upload(unreadable, **upload).run()
    finished = stage.upload(unreadable, **upload).run()
    collected = stage.upload(unreadable, **(upload | {"state": MemoryState()})).collect(record=started.record)

    assert profile_of(attached).objects == 60
    assert attached.profile == finished.profile == collected.profile


def test_the_caller_completes_the_profile_before_anything_is_sent(bench: Bench):
    """Who knows how many items the batch has says so; an error then leaves nothing behind."""
    model_id = bench.model()

    def refuse(profile: Profile) -> Profile:
        raise NucleusUploadError(f"{profile.objects} objects")

    upload = bench.upload(predicted(60), kind="predictions", model_id=model_id)
    upload._on_profile = refuse
    with pytest.raises(NucleusUploadError, match="60 objects"):
        upload.run()

    assert bench.predictions(model_id) == []


def test_no_prediction_at_all_is_a_profile_too(bench: Bench):
    """An empty batch is what a gate must see."""
    profile = profile_of(bench.upload([], kind="predictions", model_id=bench.model()).run())

    assert (profile.objects, profile.items_with_predictions) == (0, 0)
