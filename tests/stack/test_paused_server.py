"""A worker that dies while the server does not answer its start, beside siblings of equal size: one job a shard, every row counted."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_nucleus.client import NucleusClient, NucleusConfig
from airflow_provider_nucleus.client.calls.datasets import create_dataset
from airflow_provider_nucleus.client.calls.jobs import list_jobs
from airflow_provider_nucleus.client.uploads import Upload, UploadOptions, UploadTarget
from airflow_provider_nucleus.local.testing import LocalNucleus
from airflow_provider_nucleus.sources import open_rows

SHARDS, ROWS = 40, 250
KEY = "test_key"


class FileState:
    """A state store in a file, which survives its worker."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, key: str) -> Any | None:
        return json.loads(self.path.read_text()).get(key) if self.path.exists() else None

    def set(self, key: str, value: Any) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps({key: value}))
        part.replace(self.path)


def _rows(shard: int, *, ids: bool) -> list[dict[str, Any]]:
    rows = []
    for number in range(ROWS):
        row = {"reference_id": f"i{number % 10}", "label": "car", "type": "polygon"}
        row |= {"geometry": {"vertices": [{"x": shard, "y": number}, {"x": 900, "y": 1}, {"x": 5, "y": 800}]}}
        rows.append(row | ({"annotation_id": f"{shard}-{number}"} if ids else {}))
    return rows


def _upload(url: str, dataset_id: str, folder: str, shard: int, ids: bool) -> int:
    with NucleusClient(NucleusConfig(endpoint=url, api_key=KEY)) as client:
        rows = _rows(shard, ids=ids)
        upload = Upload(
            client,
            UploadTarget("annotations", dataset_id),
            lambda: open_rows(rows, kind="annotations"),
            UploadOptions(poll_interval=0.1, stable_ids=ids),
            state=FileState(Path(folder) / f"{shard}.json"),
            fingerprint=lambda: str(shard),
        )
        return upload.run().processed


def _until_it_starts(state: Path) -> None:
    """Wait until a worker has recorded that it is about to start its job."""
    ends = time.monotonic() + 60
    while not (state.exists() and next(iter(json.loads(state.read_text()).values()))["open"]):
        assert time.monotonic() < ends, "the worker did not get as far as its start"


@pytest.mark.parametrize("ids", [True, False])
def test_the_account_is_right_when_a_worker_dies_before_a_paused_server(tmp_path: Path, ids: bool):
    """Whether its start arrived or not: processed sums up to all rows, none is ignored, none is there twice."""
    with (
        LocalNucleus(tmp_path / "data", api_key=KEY) as server,
        NucleusClient(NucleusConfig(endpoint=server.url, api_key=KEY)) as client,
    ):
        dataset_id = client.send(create_dataset("shards"))
        items = [{"reference_id": f"i{n}", "image_url": f"https://images/{n}.jpg"} for n in range(10)]
        target = UploadTarget("items", dataset_id)
        Upload(client, target, lambda: open_rows(items, kind="items"), UploadOptions()).run()

        arguments = (server.url, dataset_id, str(tmp_path), 0, ids)
        worker = multiprocessing.get_context("spawn").Process(target=_upload, args=arguments)
        worker.start()
        _until_it_starts(tmp_path / "0.json")
        os.kill(server.pid, signal.SIGSTOP)
        worker.kill()
        worker.join()
        os.kill(server.pid, signal.SIGCONT)
        with ThreadPoolExecutor(4) as pool:
            siblings = pool.map(
                lambda shard: _upload(server.url, dataset_id, str(tmp_path), shard, ids), range(1, SHARDS)
            )
            processed = sum(siblings) + _upload(*arguments)

        assert processed == SHARDS * ROWS
        jobs = client.send(
            list_jobs(dataset_id=dataset_id, job_types=["uploadAnnotations"], show_completed=True)
        )
        assert len(jobs) == SHARDS
