"""A store of a former layout goes on: nothing of it is lost, and what it lacks is made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import duckdb
import requests

from airflow_provider_nucleus.local.store.tables import SCHEMA_VERSION
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api, box
from tests.pictures import scene

if TYPE_CHECKING:
    from pathlib import Path


def to_layout_2(folder: Path) -> None:
    """Take away what layout 3 has added; the file of an upload bore the name of its address."""
    with duckdb.connect(str(folder / "nucleus.duckdb")) as store:
        for token, file in store.execute("SELECT token, file FROM uploads WHERE file IS NOT NULL").fetchall():
            (folder / "spool" / f"{file}.ndjson").rename(folder / "spool" / f"{token}.ndjson")
        store.execute("ALTER TABLE items DROP COLUMN phash")
        store.execute("ALTER TABLE uploads DROP COLUMN file")
        store.execute("DROP TABLE tracks")
        store.execute("DELETE FROM store_version")
        store.execute("INSERT INTO store_version VALUES (2)")


def test_a_store_of_layout_2_goes_on(tmp_path: Path):
    """Images without a hash get theirs when images that look alike are looked for; rows that wait for their job are found."""
    server = LocalNucleus(tmp_path / "data").start()
    api = Api(server)
    dataset = api.dataset()
    items = [
        {"reference_id": name, "image_url": f"{name}.png", "metadata": {}} for name in ("a", "b", "same")
    ]
    pictures = [scene(1), scene(2), scene(1)]
    files = [("items", (None, json.dumps(items), "application/json"))]
    files += [("image", (f"{n}.png", data, "image/png")) for n, data in enumerate(pictures)]
    api.ok("POST", f"dataset/{dataset}/append", files=files)
    hashed = api.ok("GET", f"dataset/{dataset}/datasetItems")
    signed = api.ok("GET", f"dataset/{dataset}/signedUrl/later")["signed_url"]
    assert requests.put(signed, data=json.dumps(box("a", "1")), timeout=60).ok
    api.close()
    server.stop()
    to_layout_2(tmp_path / "data")

    server.start()

    api = Api(server)
    former = api.ok("GET", f"dataset/{dataset}/datasetItems")["dataset_items"]
    assert [item["reference_id"] for item in former] == ["a", "b", "same"]
    assert not any("phash" in item for item in former)
    job = api.ok("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": "later"})["job_id"]
    assert api.wait(job)["message"]["annotation_upload"]["processed"] == 1
    found = api.wait(api.ok("POST", f"dataset/{dataset}/deduplicate_async", json={"threshold": 0})["job_id"])
    assert sorted(found["message"]["unique_reference_ids"]) == ["a", "b"]
    assert api.ok("GET", f"dataset/{dataset}/datasetItems") == hashed
    assert api.ok("GET", f"dataset/{dataset}/tracks") == {"tracks": []}
    api.close()
    server.stop()
    with duckdb.connect(str(tmp_path / "data" / "nucleus.duckdb"), read_only=True) as store:
        assert store.execute("SELECT max(version) FROM store_version").fetchone() == (SCHEMA_VERSION,)
    assert not list((tmp_path / "data" / "not-in-the-store").rglob("*.ndjson"))
