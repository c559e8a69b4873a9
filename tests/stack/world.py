"""The Nucleus that the stack's tasks talk to: embedded, behind a faulty proxy, its jobs held back on demand."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import requests

from airflow_provider_nucleus.client.calls.datasets import create_dataset
from airflow_provider_nucleus.client.calls.items import export_page
from airflow_provider_nucleus.client.calls.jobs import cancel_job, job_status, list_jobs
from airflow_provider_nucleus.client.config import NucleusConfig
from airflow_provider_nucleus.client.sync import NucleusClient
from tests.faults import FaultyNucleus
from tests.preloaded import HOLD_JOBS, Nursery, PreloadedNucleus

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_nucleus.schema.jobs import Job

ITEMS = 10
PUT = r"PUT "
START = r"POST .*/annotate\?async=1"
REQUEST = r"POST .*/annotate$"
CANCEL = r"POST .*/job/[^/]*/cancel"


class World:
    """One embedded Nucleus, the proxy before it, and the data in it; a context manager.

    The server can be started without workers for jobs: they stay Running until `release`, so that a test chooses how
    long they take.
    """

    def __init__(self, folder: Path) -> None:
        self._nursery = Nursery()
        self._servers = {
            workers: PreloadedNucleus(
                folder / "data",
                nursery=self._nursery,
                environment={} if workers else {HOLD_JOBS: "1"},
            )
            for workers in (0, 2)
        }
        self._folder = folder
        self._workers = 2
        self._numbers = itertools.count(1)
        self.proxy = FaultyNucleus(lambda: self.server.base_url, keep_bodies=True)

    @property
    def server(self) -> PreloadedNucleus:
        """The server that runs now."""
        return self._servers[self._workers]

    def hold(self) -> None:
        """Let jobs wait from now on."""
        self._restart(workers=0)

    def release(self) -> None:
        """Let jobs run."""
        self._restart(workers=2)

    def _restart(self, *, workers: int) -> None:
        if workers != self._workers:
            self.server.stop()
            self._workers = workers
            self.server.start()

    def batch(self, *, rows: int = 120) -> Batch:
        """Return a new dataset with ten items, and a file with *rows* boxes for it."""
        number = next(self._numbers)
        with self.client() as client:
            dataset_id = client.send(create_dataset(f"stack-{number}"))
        items = [
            {"reference_id": f"item-{n}", "image_url": f"s3://b/{n}.jpg", "metadata": {}}
            for n in range(ITEMS)
        ]
        answer = requests.post(
            f"{self.server.url}/dataset/{dataset_id}/append",
            json={"items": items, "update": False},
            auth=(self.server.api_key, ""),
            timeout=30,
        )
        assert answer.ok, answer.text
        source = self._folder / f"rows-{number}.jsonl"
        source.write_text("".join(json.dumps(_box(n)) + "\n" for n in range(rows)))
        return Batch(self, dataset_id, source, rows)

    def client(self) -> NucleusClient:
        """Return a client that goes past the proxy."""
        return NucleusClient(NucleusConfig(endpoint=self.server.url, api_key=self.server.api_key))

    def __enter__(self) -> Self:
        self._nursery.__enter__()
        self.server.start()
        self.proxy.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.proxy.__exit__(*exc)
        self.server.stop()
        self._nursery.__exit__(*exc)


@dataclass(frozen=True)
class Batch:
    """The input of one run, and what became of it on the server."""

    world: World = field(repr=False)
    dataset_id: str
    source: Path
    rows: int

    @property
    def conf(self) -> dict[str, str]:
        """The parameters of the DAG run."""
        return {"dataset_id": self.dataset_id, "source": str(self.source)}

    def jobs(self) -> list[Job]:
        """Return the upload jobs of the dataset."""
        with self.world.client() as client:
            return client.send(
                list_jobs(dataset_id=self.dataset_id, job_types=["uploadAnnotations"], show_completed=True)
            )

    def statuses(self) -> list[str]:
        """Return the status of every upload job, once none of them runs."""
        with self.world.client() as client:
            return [client.send(job_status(job.job_id)).status for job in self.jobs()]

    def cancel(self) -> None:
        """Ask for every upload job of the dataset to be cancelled, past the proxy."""
        with self.world.client() as client:
            for job in self.jobs():
                client.send(cancel_job(job.job_id))

    def settled(self) -> list[str] | None:
        """Return the statuses when no job runs any more."""
        found = self.statuses()
        return None if "Running" in found else found

    def stored(self) -> list[int]:
        """Return the numbers of all stored rows, sorted; a number that comes twice was stored twice."""
        with self.world.client() as client:
            rows = client.pages(export_page(self.dataset_id, page_size=1_000))
            found = [one.to_wire() for row in rows for group in row.objects.values() for one in group]
        return sorted(int(row["annotation_id"]) for row in found)

    def sent(self) -> list[int]:
        """Return the numbers of the rows that travelled in bodies, as often as they did."""
        bodies = [seen.body for seen in self.world.proxy.requests(f"{PUT}|{REQUEST}")]
        return sorted(number for body in bodies for number in _numbers(body))


def _box(number: int) -> dict[str, Any]:
    return {
        "label": "car",
        "type": "box",
        "geometry": {"x": number, "y": 1, "width": 2, "height": 3},
        "reference_id": f"item-{number % ITEMS}",
        "annotation_id": str(number),
    }


def _numbers(body: bytes) -> list[int]:
    """Read the rows of a request or of a file of lines."""
    if body.startswith(b'{"update"'):
        rows = json.loads(body)["annotations"]
    else:
        rows = [json.loads(line) for line in body.splitlines()]
    return [int(row["annotation_id"]) for row in rows]
