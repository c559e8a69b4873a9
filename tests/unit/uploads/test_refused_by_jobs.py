"""Jobs that refuse every row: each is read from the job's errors and counted, whatever the job's end is called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from airflow_provider_nucleus.exceptions import NucleusUploadError
from tests.faults import Fault
from tests.unit.uploads.conftest import boxes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.uploads.conftest import Stage

ENDS = ["Errored_Partial", "Errored_User"]


def nowhere(kind: str, folder: Path) -> list[dict[str, Any]]:
    """Rows of which the server refuses each."""
    if kind != "items":
        return boxes(3, reference_id="nowhere")
    rows = []
    for number in range(3):
        Image.new("L", (4, 4), number).save(folder / f"{number}.png")
        damaged = (folder / f"{number}.png").read_bytes()[:40]
        (folder / f"{number}.png").write_bytes(damaged)
        rows.append({"reference_id": f"local-{number}", "image_url": f"{number}.png"})
    return rows


def ending(status: str, **counts: int) -> Fault:
    """Let a job that ends partly end otherwise."""

    def edit(body: bytes) -> bytes:
        answer = json.loads(body)
        if answer["status"] == "Errored_Partial":
            answer["status"] = status
            answer["message"].get("annotation_upload", {}).update(counts)
        return json.dumps(answer).encode()

    return Fault("ends", r"GET .*/job/job_[^/]*$", "edit-answer", times=999, edit=edit)


@pytest.mark.parametrize("kind", ["annotations", "predictions", "items"])
@pytest.mark.parametrize("status", ENDS)
def test_rows_refused_by_a_job_are_counted(stage: Stage, tmp_path, read_jsonl, status: str, kind: str):
    """They are in the account and in the quarantine file, each with its reason."""
    stage.proxy.arm(ending(status))
    where = tmp_path / "bad.jsonl"
    model = stage.bench.model() if kind == "predictions" else None
    rows = nowhere(kind, tmp_path)
    options = {"kind": kind, "model_id": model, "local_root": tmp_path, "quarantine": where}
    summary = stage.upload(rows, max_error_rate=1, **options).run()

    assert (summary.sent, summary.processed, summary.errored, summary.unaccounted) == (3, 0, 3, 0)
    assert [line["row"] for line in read_jsonl(where)] == [1, 2, 3]
    assert all(line["reason"].startswith("refused by the server: ") for line in read_jsonl(where))
    with pytest.raises(NucleusUploadError, match="3 of 3 rows are bad"):
        stage.upload(rows, max_error_rate=0.9, **options).run()


@pytest.mark.parametrize(
    "counts", [{"errored": 2}, {"errored": 2, "processed": 1}, {"processed": 3}], ids=str
)
def test_a_failed_job_that_does_not_refuse_all_has_failed(stage: Stage, tmp_path, counts: dict[str, int]):
    """What it says of the rest is worth nothing."""
    stage.proxy.arm(ending("Errored_User", **counts))
    with pytest.raises(NucleusUploadError, match="ended as Errored_User"):
        stage.upload(nowhere("annotations", tmp_path), max_error_rate=1).run()


def test_a_failure_of_the_server_is_none_of_rows(stage: Stage, tmp_path):
    """Whatever it counts: a retry sends the rows again."""
    stage.proxy.arm(ending("Errored_Server"))
    with pytest.raises(NucleusUploadError, match="ended as Errored_Server"):
        stage.upload(nowhere("annotations", tmp_path), max_error_rate=1).run()
