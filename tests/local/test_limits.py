"""What a server takes at most: descriptors of results, and the memory of requests that are small until they are read."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING

import nucleus as official

from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api
from tests.local.evaluated import world

if TYPE_CHECKING:
    import pytest


def test_evaluations_share_the_descriptors_of_a_small_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Twelve results, each read, with forty descriptors to spare: a result holds none."""
    monkeypatch.setattr("nucleus.async_job.JOB_POLLING_INTERVAL", 0.01)
    with LocalNucleus(tmp_path / "data") as server:
        client = official.NucleusClient(api_key=server.api_key, endpoint=server.url)
        found = world(client, {"a": {}}, [("a", "car", 0)], [("a", "car", 0, 0.9)])
        evaluations = [found.evaluate().id for _ in range(12)]
        used = _descriptors(server)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 40, used + 40))
        api = Api(server)

        answers = [api("POST", f"evaluationsV2/{name}/charts", json={}).status_code for name in evaluations]
        held = _descriptors(server)

        api.close()
    assert answers == [200] * 12
    assert held <= used + 4


def _descriptors(server: LocalNucleus) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
