"""The server as a process: it starts, answers, and keeps others out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nucleus as official

from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.evaluated import world


def test_official_client_creates_and_reads_a_dataset(nucleus: LocalNucleus):
    """The unmodified client works against the embedded server."""
    client = official.NucleusClient(api_key=nucleus.api_key, endpoint=nucleus.url)

    dataset = client.create_dataset("first")

    assert dataset.name == "first"
    assert dataset.info().length == 0


def test_the_server_does_not_load_what_it_does_not_need():
    """Not pandas, which PyArrow imports on the slightest occasion, nor the provider's schema: 40 MiB and a second each start."""
    code = "import sys, airflow_provider_nucleus.local.server; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(loaded.stdout.split())

    assert not modules & {
        "pandas",
        "airflow",
        "airflow_provider_nucleus.schema",
        "airflow_provider_nucleus.client",
    }


def test_a_server_that_takes_boxes_in_does_not_load_pandas(tmp_path: Path):
    """The first upload would wait a second for an import that PyArrow makes to turn a text of Python's into one of its own."""
    with LocalNucleus(tmp_path / "data") as nucleus:
        client = official.NucleusClient(api_key=nucleus.api_key, endpoint=nucleus.url)
        world(client, {"a": {}}, [("a", "car", 0)], [("a", "car", 0, 0.9)], benchmark=False)

        assert "/pandas/" not in Path(f"/proc/{nucleus.pid}/maps").read_text()
