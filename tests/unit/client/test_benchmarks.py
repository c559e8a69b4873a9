"""One benchmark of a name: found, waited for, made once however many ask at the same time."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from airflow_provider_nucleus.client.benchmarks import ensure_benchmark
from airflow_provider_nucleus.client.calls.benchmarks import StartedBenchmark, list_benchmarks
from airflow_provider_nucleus.client.calls.datasets import create_dataset
from airflow_provider_nucleus.client.config import NucleusConfig
from airflow_provider_nucleus.client.sync import NucleusClient
from airflow_provider_nucleus.exceptions import (
    NucleusConfigError,
    NucleusConnectionError,
    NucleusMetricsError,
    NucleusNotFoundError,
)
from airflow_provider_nucleus.schema.benchmarks import Benchmark


@dataclass
class Server:
    """Benchmarks in memory; `on_create` is what happens around a creation."""

    benchmarks: dict[str, Benchmark] = field(default_factory=dict)
    config: Any = field(default_factory=lambda: NucleusConfig(endpoint="http://x/v1/nucleus", api_key="k"))
    before_create: Any = lambda: None
    after_create: Any = lambda: None
    ids: Any = field(default_factory=lambda: (f"bm_{9 - n}" for n in itertools.count()))
    now: float = 0.0
    creations: int = 0

    def add(self, *, name: str = "b", status: str = "building", **more: Any) -> str:
        self.now += 1
        made = Benchmark(
            benchmark_id=next(self.ids),
            name=name,
            status=status,
            created_at=f"2026-01-01T00:00:{self.now:02.0f}Z",
            **more,
        )
        self.benchmarks[made.id] = made
        return made.id

    def send(self, call: Any, *, retry: Any = None) -> Any:
        _, _, target = call.path.partition("/")
        if call.method == "POST":
            self.before_create()
            self.creations += 1
            made = self.add()
            self.after_create()
            return StartedBenchmark(made, None)
        if call.method == "DELETE":
            del self.benchmarks[target]
            return None
        if not target:
            return list(self.benchmarks.values())
        if target not in self.benchmarks:
            raise NucleusNotFoundError(target, status=404)
        found = self.benchmarks[target]
        self.benchmarks[target] = found.model_copy(update={"status": "ready"})
        return found

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_newest_ready_version_is_taken():
    """The highest version, and of equal ones the latest."""
    server = Server()
    server.add(status="ready", version_major=1)
    newest = server.add(status="ready", version_major=2)
    server.add(status="ready", version_major=1)
    server.add(status="failed", version_major=3)
    server.add(name="other", status="ready", version_major=9)

    assert ensure_benchmark(server, "b", dataset_id="ds_1") == newest
    assert server.creations == 0


def test_the_first_of_those_being_made_is_waited_for():
    """The one that its makers will keep."""
    server = Server()
    first = server.add()
    server.add()

    assert ensure_benchmark(server, "b") == first


@pytest.mark.parametrize("rival", ["first", "second"])
def test_who_was_second_deletes_its_own(rival):
    """Two tasks found none and created one each: both take the one that was created first, and it stays the only one."""
    server, rivals = Server(), []
    act = lambda: rivals.append(server.add())  # ruff: ignore[lambda-assignment]
    if rival == "first":
        server.before_create = act
    else:
        server.after_create = act
    found = ensure_benchmark(server, "b", dataset_id="ds_1")

    assert (found == rivals[0]) == (rival == "first")
    assert found in server.benchmarks
    assert len(server.benchmarks) == (1 if rival == "first" else 2), "the rival deletes its own"


def test_a_creation_without_an_answer_is_found():
    """It is not repeated blindly, and not forgotten."""
    server = Server()

    def lost():
        raise NucleusConnectionError("the answer got lost")

    server.after_create = lost
    found = ensure_benchmark(server, "b", dataset_id="ds_1")

    assert list(server.benchmarks) == [found]
    server = Server(before_create=lost)
    with pytest.raises(NucleusConnectionError):
        ensure_benchmark(server, "b", dataset_id="ds_1")


def test_what_does_not_become_ready_is_an_error():
    """Each says what a retry does."""
    server = Server()
    with pytest.raises(NucleusConfigError, match="nothing to make one of"):
        ensure_benchmark(server, "b")

    def gone():
        server.benchmarks.clear()

    server.before_create = lambda: server.add()
    server.sleep = lambda _: gone()
    with pytest.raises(NucleusMetricsError, match="deleted while it was being made"):
        ensure_benchmark(server, "b", dataset_id="ds_1")

    server.add()
    server.send, real = (
        lambda call, retry=None: (
            real(call)
            if call.path == "benchmarks"
            else Benchmark(benchmark_id="bm_x", name="b", status="building")
        ),
        server.send,
    )
    server.sleep = lambda seconds: setattr(server, "now", server.now + seconds)
    with pytest.raises(NucleusMetricsError, match="not ready in 20 s"):
        ensure_benchmark(server, "b", timeout=20)


def test_a_real_server_ends_with_one_benchmark(nucleus):
    """Eight at once against the embedded Nucleus, as mapped tasks are: all get the same, and nothing else of the name is left."""
    with NucleusClient(NucleusConfig(endpoint=nucleus.url, api_key=nucleus.api_key)) as client:
        dataset_id = client.send(create_dataset("rivals"))
        items = [{"reference_id": "a", "image_url": "s3://b/a.jpg", "metadata": {}}]
        car = {"label": "car", "type": "box", "geometry": {"x": 0, "y": 0, "width": 1, "height": 1}}
        truth = [car | {"reference_id": "a", "annotation_id": "1"}]
        for route, body in (("append", {"items": items}), ("annotate", {"annotations": truth})):
            answer = requests.post(
                f"{nucleus.url}/dataset/{dataset_id}/{route}",
                json=body,
                auth=(nucleus.api_key, ""),
                timeout=30,
            )
            assert answer.ok, answer.text
        gate, found = threading.Barrier(8), []

        def ask() -> None:
            gate.wait()
            found.append(
                ensure_benchmark(client, "rivals", dataset_id=dataset_id, poll_interval=0.05, timeout=60)
            )

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        left = [one.id for one in client.send(list_benchmarks()) if one.name == "rivals"]
    assert set(found) == set(left)
    assert len(found) == 8
    assert len(left) == 1
