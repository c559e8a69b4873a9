"""The server as a process: it starts, answers, and keeps others out."""

from __future__ import annotations

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
