"""Images of items that the dataset has: their bytes do not travel again, unless they are to be replaced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from airflow_provider_nucleus.client.calls.items import delete_item, item_by_reference
from airflow_provider_nucleus.client.uploads import MemoryState
from airflow_provider_nucleus.exceptions import NucleusUploadError
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from tests.airflow.harness import connection_json
from tests.faults import Fault
from tests.unit.operators.fakes import context

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults import Seen
    from tests.unit.uploads.conftest import Stage

APPEND = r"POST .*/append\?async=1"


def images(folder: Path, count: int, *, first: int = 0) -> list[dict[str, Any]]:
    """Rows with files of their own."""
    rows = []
    for number in range(first, first + count):
        Image.new("L", (4, 4), number).save(folder / f"{number}.png")
        rows.append({"reference_id": f"local-{number}", "image_url": f"{number}.png"})
    return rows


def sent(stage: Stage) -> list[Seen]:
    """The requests that carried images."""
    return [seen for seen in stage.proxy.requests(APPEND) if b"IHDR" in seen.body]


def sent_bytes(stage: Stage) -> int:
    """Images that travelled."""
    return sum(seen.body.count(b"IHDR") for seen in sent(stage))


def upload(stage: Stage, rows: list[dict[str, Any]], folder: Path, **options: Any) -> Any:
    """Upload the rows as a new run does."""
    return stage.upload(rows, kind="items", local_root=folder, **options)


def test_a_new_run_sends_only_the_images_that_are_not_there(stage: Stage, tmp_path, caplog):
    """Each row is in one count: what is stored is ignored, as the server would have said; what was deleted or is new is sent."""
    upload(stage, images(tmp_path, 12), tmp_path).run()
    assert sent_bytes(stage) == 12
    stage.client.send(delete_item(stage.bench.dataset_id, "local-3"))

    stage.proxy.arm()
    summary = upload(stage, images(tmp_path, 13), tmp_path).run()

    assert (summary.rows, summary.sent, summary.processed, summary.ignored) == (13, 13, 2, 11)
    assert (summary.errored, summary.unaccounted) == (0, 0)
    assert [sent_bytes(stage), len(sent(stage))] == [2, 1]
    assert "11 of 13 images belong to items that the dataset has" in caplog.text
    assert "update=True replaces them" in caplog.text


def test_an_image_that_changed_is_replaced_with_update(stage: Stage, tmp_path):
    """Nothing tells the bytes that the server has, so all are sent."""
    rows = images(tmp_path, 3)
    upload(stage, rows, tmp_path).run()
    Image.new("L", (4, 4), 200).save(tmp_path / "1.png")

    stage.proxy.arm()
    summary = upload(stage, rows, tmp_path, update=True).run()

    assert (summary.processed, summary.ignored) == (3, 0)
    assert sent_bytes(stage) == 3
    assert (tmp_path / "1.png").read_bytes() in sent(stage)[0].body


def test_items_of_addresses_with_these_ids_count_as_well(stage: Stage, tmp_path):
    """The server ignores an image whose item is there, whatever its image is."""
    rows = images(tmp_path, 2)
    rows[0]["reference_id"] = "item-7"
    summary = upload(stage, rows, tmp_path).run()

    assert (summary.processed, summary.ignored) == (1, 1)
    assert sent_bytes(stage) == 1
    found = stage.client.send(item_by_reference(stage.bench.dataset_id, "item-7"))
    assert found.item.image_location == "http://images/7.jpg"


@pytest.mark.parametrize("path", [r"/size$", r"/itemsPage$"])
def test_a_dataset_that_cannot_be_listed_is_sent_everything(stage: Stage, tmp_path, caplog, path: str):
    """The server tells what it has then."""
    rows = images(tmp_path, 3)
    upload(stage, rows, tmp_path).run()
    stage.proxy.arm(Fault("not there", rf"\w+ .*{path}", "status", times=99, status=501))
    caplog.set_level("INFO")
    summary = upload(stage, rows, tmp_path).run()

    assert (summary.rows, summary.processed + summary.ignored) == (3, 3)
    assert sent_bytes(stage) == 3
    assert "All images are sent" in caplog.text


def test_a_large_dataset_is_not_listed_for_one_image(stage: Stage, tmp_path):
    """A listing may be much more to read than a few images are to send."""
    more = [{"reference_id": f"more-{n}", "image_url": f"https://images/{n}.png"} for n in range(60)]
    stage.upload(more, kind="items").run()
    rows = images(tmp_path, 1)
    upload(stage, rows, tmp_path).run()
    stage.proxy.arm()
    upload(stage, rows, tmp_path).run()

    assert stage.proxy.requests(r"POST .*/itemsPage") == []
    assert sent_bytes(stage) == 1


def test_a_retry_sends_what_its_record_does_not_have(stage: Stage, tmp_path):
    """An item may be there without the image that an earlier try of the same upload was to bring."""
    rows, state = images(tmp_path, 3), MemoryState()

    def pending(body: bytes) -> bytes:
        status = json.loads(body)
        if status["status"] == "Completed":
            status["message"]["image_upload_step"] |= {"completed": 2, "pending": 1}
        return json.dumps(status).encode()

    stage.proxy.arm(Fault("pending", r"GET .*/job/job_[^/]*$", "edit-answer", times=99, edit=pending))
    with pytest.raises(NucleusUploadError, match="1 not accounted for"):
        upload(stage, rows, tmp_path, state=state).run()
    stage.proxy.arm()
    assert upload(stage, rows, tmp_path, state=state).run().processed == 3
    assert sent_bytes(stage) == 3


def test_the_task_of_the_next_run_sends_no_bytes(stage: Stage, tmp_path, monkeypatch):
    """Through the operator: a DAG that runs every night over one growing folder."""
    connection = connection_json(endpoint=stage.proxy.url, api_key=stage.bench.api_key)
    monkeypatch.setenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", connection)

    def night(count: int) -> dict[str, Any]:
        task = NucleusAppendItemsOperator(
            task_id="items",
            dataset_id=stage.bench.dataset_id,
            source=images(tmp_path, count),
            image_folder=str(tmp_path),
            deferrable=False,
        )
        return task.execute(context(task))

    assert night(10)["processed"] == 10
    stage.proxy.arm()
    result = night(12)

    assert {name: result[name] for name in ("rows", "sent", "processed", "ignored", "errored")} == {
        "rows": 12, "sent": 12, "processed": 2, "ignored": 10, "errored": 0,
    }  # fmt: skip
    assert sent_bytes(stage) == 2
