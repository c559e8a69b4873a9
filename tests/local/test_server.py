"""The server as a process: it starts, answers, and keeps others out."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import nucleus as official

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus


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
