"""A client, a dataset and rows for uploads against the real embedded Nucleus."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.client.calls.datasets import create_dataset
from airflow_provider_nucleus.client.calls.items import export_page
from airflow_provider_nucleus.client.calls.jobs import list_jobs
from airflow_provider_nucleus.client.calls.models import create_model
from airflow_provider_nucleus.client.calls.predictions import predictions_export
from airflow_provider_nucleus.client.config import NucleusConfig
from airflow_provider_nucleus.client.retry import RetryPolicy
from airflow_provider_nucleus.client.sync import NucleusClient
from airflow_provider_nucleus.client.uploads import MemoryState, Upload, UploadOptions, UploadTarget
from airflow_provider_nucleus.sources import open_rows
from tests.faults import Fault, FaultyNucleus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_numbers = itertools.count()


def box(number: int, *, items: int = 50, **change: Any) -> dict[str, Any]:
    """One good box row."""
    return {
        "label": f"label-{number % 3}",
        "type": "box",
        "geometry": {"x": number, "y": 1.5, "width": 2, "height": 3},
        "reference_id": f"item-{number % items}",
        "annotation_id": f"a{number}",
        **change,
    }


def boxes(count: int, **change: Any) -> list[dict[str, Any]]:
    """Good box rows, spread over fifty items."""
    return [box(number, **change) for number in range(count)]


@dataclass
class Bench:
    """One dataset with fifty items on a Nucleus, and uploads to it."""

    client: NucleusClient
    dataset_id: str
    folder: Path
    url: str
    api_key: str
    sleeps: list[float] = field(default_factory=list)

    def upload(
        self,
        rows: list[dict[str, Any]] | Any,
        *,
        kind: str = "annotations",
        state: Any = None,
        client: NucleusClient | None = None,
        model_id: str | None = None,
        fingerprint: Any = None,
        file_marks: Any = lambda: None,
        clear_count: int = 0,
        identity: str = "",
        on_progress: Any = None,
        **options: Any,
    ) -> Upload:
        factory = rows if callable(rows) else lambda: open_rows(rows, kind=kind)
        options = {"poll_interval": 0.05, "spool": str(self.folder)} | options
        return Upload(
            client or self.client,
            UploadTarget(kind, self.dataset_id, model_id),
            factory,
            UploadOptions(**options),
            state=state if state is not None else MemoryState(),
            fingerprint=fingerprint if callable(fingerprint) else lambda: fingerprint,
            file_marks=file_marks,
            clear_count=clear_count,
            identity=identity,
            on_progress=on_progress,
        )

    def client_at(self, url: str, *, retry: RetryPolicy | None = None) -> NucleusClient:
        """A client for the same server through another address, which does not really sleep long."""
        import time

        def nap(seconds: float) -> None:
            self.sleeps.append(seconds)
            time.sleep(min(seconds, 0.02))

        config = NucleusConfig(endpoint=url, api_key=self.api_key, timeout=20)
        return NucleusClient(config, sleep=nap, retry=retry or RetryPolicy(attempts=3, base=0.01))

    def stored(self) -> list[dict[str, Any]]:
        """Every annotation the dataset holds."""
        rows = self.client.pages(export_page(self.dataset_id, page_size=1_000))
        return [one.to_wire() for row in rows for group in row.objects.values() for one in group]

    def stored_ids(self) -> list[str]:
        """The ids of all annotations, sorted: twice the same id is a row stored twice."""
        return sorted(row["annotation_id"] for row in self.stored())

    def model(self) -> str:
        """A new model."""
        number = next(_numbers)
        made = self.client.send(create_model(name=f"model-{number}", reference_id=f"model-{number}"))
        return getattr(made, "id", made)

    def predictions(self, model_id: str) -> list[dict[str, Any]]:
        groups = self.client.send(predictions_export(self.dataset_id, model_id))
        return [one.to_wire() for group in groups.values() for one in group]

    def jobs(self, job_type: str = "uploadAnnotations") -> list[str]:
        """The jobs of this dataset, oldest first."""
        found = self.client.send(
            list_jobs(dataset_id=self.dataset_id, job_types=[job_type], show_completed=True)
        )
        return [job.job_id for job in reversed(found)]


@pytest.fixture
def bench(nucleus, tmp_path: Path) -> Iterator[Bench]:
    with NucleusClient(NucleusConfig(endpoint=nucleus.url, api_key=nucleus.api_key)) as client:
        dataset_id = client.send(create_dataset(f"uploads-{next(_numbers)}"))
        folder = tmp_path / "spool"
        folder.mkdir()
        bench = Bench(client, dataset_id, folder, nucleus.url, nucleus.api_key)
        items = [{"reference_id": f"item-{n}", "image_url": f"http://images/{n}.jpg"} for n in range(50)]
        bench.upload(items, kind="items").run()
        yield bench
        assert list(folder.iterdir()) == [], "a temporary folder was left behind"


START = r"POST .*/annotate\?async=1"
SYNC = r"POST .*/annotate$"
PUT = r"PUT "


class Stage:
    """A bench behind a faulty proxy."""

    def __init__(self, bench: Bench, proxy: FaultyNucleus) -> None:
        self.bench = bench
        self.proxy = proxy
        self.client = self.new_client()

    def new_client(self, **policy) -> NucleusClient:
        return self.bench.client_at(
            self.proxy.url, retry=RetryPolicy(**({"attempts": 3, "base": 0.01} | policy))
        )

    def faults(self, *faults: Fault) -> None:
        self.proxy.faults[:] = faults
        self.proxy._hits.clear()

    def upload(self, rows, **options):
        return self.bench.upload(rows, client=self.client, **options)

    def sent_rows(self) -> int:
        """Rows that travelled in bodies, repetitions included."""
        bodies = [seen.body for seen in self.proxy.requests(f"{SYNC}|{PUT}")]
        return sum(body.count(b'"type"') for body in bodies)


@pytest.fixture
def stage(bench: Bench, nucleus) -> Iterator[Stage]:
    with FaultyNucleus(lambda: nucleus.base_url, keep_bodies=True) as proxy:
        stage = Stage(bench, proxy)
        yield stage
        stage.client.close()


@pytest.fixture
def read_jsonl() -> Callable[[Path], list[dict[str, Any]]]:
    return lambda path: [json.loads(line) for line in path.read_text().splitlines()]
