"""A store of a former layout goes on: nothing of it is lost, and what it lacks is made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import requests

from airflow_provider_nucleus.local.store.tables import SCHEMA_VERSION
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local import story
from tests.local.conftest import Api, box
from tests.pictures import scene

if TYPE_CHECKING:
    from pathlib import Path


def to_layout_4(folder: Path) -> None:
    """Write out what layout 5 keeps once: each calculation had its counts on its own, and the ground truth had another digest."""
    with duckdb.connect(str(folder / "nucleus.duckdb")) as store:
        store.execute(
            """CREATE TABLE match_counts AS SELECT match_set_no, item_no, truth_label, prediction_label, row_count, correct_overlaps
            FROM kept_counts k JOIN match_sets m ON k.line_no = m.line_no AND k.first_place <= m.place AND k.until_place > m.place"""
        )
        store.execute(
            """CREATE TABLE match_truths AS SELECT match_set_no, item_no, objects, state AS digest FROM kept_truths k JOIN match_sets m
            ON k.truth_set_no = m.truth_set_no AND k.first_place <= m.truth_place AND k.until_place > m.truth_place"""
        )
        for table in ("kept_counts", "kept_truths"):
            store.execute(f"DROP TABLE {table}")
        for column in ("line_no", "place", "truth_place"):
            store.execute(f"ALTER TABLE match_sets DROP COLUMN {column}")
        store.execute("DELETE FROM store_version")
        store.execute("INSERT INTO store_version VALUES (4)")


def to_layout_3(folder: Path) -> None:
    """Take away what layout 4 has added: it kept the rows of the current calculation, and no counts."""
    to_layout_4(folder)
    with duckdb.connect(str(folder / "nucleus.duckdb")) as store:
        store.execute(
            "DELETE FROM matches WHERE match_set_no IN (SELECT match_set_no FROM match_sets WHERE NOT current)"
        )
        store.execute("DELETE FROM match_sets WHERE NOT current")
        store.execute("UPDATE match_sets SET summary = json_merge_patch(summary, '{\"coverage\": null}')")
        for table in ("match_counts", "match_truths"):
            store.execute(f"DROP TABLE {table}")
        for column in ("published_at", "rows_kept", "totals"):
            store.execute(f"ALTER TABLE match_sets DROP COLUMN {column}")
        store.execute("ALTER TABLE jobs DROP COLUMN requested_by")
        store.execute("DELETE FROM store_version")
        store.execute("INSERT INTO store_version VALUES (3)")


def to_layout_2(folder: Path) -> None:
    """Take away what layout 3 has added; the file of an upload bore the name of its address."""
    to_layout_3(folder)
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


def test_a_store_of_layout_4_goes_on(tmp_path: Path):
    """Each of its calculations has the numbers it had, at any overlap, of all items and of a slice; the next ones are kept beside them."""
    server = LocalNucleus(tmp_path / "data").start()
    api = Api(server)
    dataset, model = api.dataset("a", "b"), story.make_model(api)
    story.annotate(api, dataset, story.box("a", "car", 0), story.box("b", "bus", 0))
    body = {"name": "day", "reference_ids": ["a"]}
    day = api.ok("POST", f"dataset/{dataset}/create_slice", json=body)["slice_id"]
    # The counts of item a come, go and come again.
    for x in (2, 300, 2, 2, 4):
        predictions = (story.box("a", "car", x, name="p"), story.box("b", "bus", 1, name="q"))
        story.predict(api, dataset, model, *predictions, update=True)
        for options in ({}, {"class_agnostic": True}):
            story.calculate(api, dataset, model, **options)

    def numbers() -> list[tuple[str, list[tuple[str, Any]]]]:
        root = server.url.removesuffix("/v1/nucleus")
        found = []
        for subject in (f"datasets/{dataset}", f"slices/{day}"):
            for iou in ("0.5", "0.6789", "0.8"):
                answer = api.session.get(f"{root}/ui/api/{subject}/trend?iouThreshold={iou}", timeout=60)
                for each in answer.json()["series"]:
                    points = [(point["calculation"], point["values"]) for point in each["points"]]
                    found.append((f"{subject} {iou} {each['options']}", points))
        return sorted(found, key=str)

    before = numbers()
    api.close()
    server.stop()
    to_layout_4(tmp_path / "data")

    server.start()

    api = Api(server)
    assert numbers() == before
    assert {len(points) for _, points in before} == {1, 5}
    root = server.url.removesuffix("/v1/nucleus")
    story.calculate(api, dataset, model)
    answer = api.session.get(f"{root}/ui/api/slices/{day}/trend", timeout=60).json()
    (series,) = (each for each in answer["series"] if not each["options"]["class_agnostic"])
    assert series["points"][-1]["values"] == series["points"][-2]["values"]
    # The digests of former layouts are others.
    former, new = (point["fingerprint"]["ground_truth"] for point in series["points"][-2:])
    assert (len(former), len(new)) == (len("1-") + 16, len("1-") + 64)
    api.ok("DELETE", f"dataset/{dataset}")
    api.close()
    server.stop()
    with duckdb.connect(str(tmp_path / "data" / "nucleus.duckdb"), read_only=True) as store:
        tables = {name for (name,) in store.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        assert not tables & {"match_counts", "match_truths"}
        for table in ("match_sets", "kept_counts", "kept_truths"):
            assert store.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_a_store_of_layout_3_goes_on(tmp_path: Path):
    """The numbers of its calculations are what they were, and the next ones are kept beside them."""
    server = LocalNucleus(tmp_path / "data").start()
    api = Api(server)
    dataset, model = api.dataset("a", "b"), story.make_model(api)
    story.annotate(api, dataset, story.box("a", "car", 0), story.box("b", "bus", 0))
    predictions = (story.box("a", "car", 2), story.box("b", "bus", 1), story.box("b", "car", 300))
    story.predict(api, dataset, model, *predictions)
    for _ in range(2):
        story.calculate(api, dataset, model)
    address = f"{server.url.removesuffix('/v1/nucleus')}/ui/api/datasets/{dataset}/trend?iouThreshold=0.7"
    (series,) = api.session.get(address, timeout=60).json()["series"]
    before = series["points"][-1]
    api.close()
    server.stop()
    to_layout_3(tmp_path / "data")

    server.start()

    api = Api(server)
    address = f"{server.url.removesuffix('/v1/nucleus')}/ui/api/datasets/{dataset}/trend?iouThreshold=0.7"
    (series,) = api.session.get(address, timeout=60).json()["series"]
    (after,) = series["points"]
    assert after["calculation"] == before["calculation"]
    assert after["values"] == before["values"]
    assert [after["values"][name] for name in ("tp", "fp", "fn")] == [1, 2, 1]
    assert (before["coverage"]["items"], after["coverage"]) == (2, None)
    page = api.session.get(
        f"{server.url.removesuffix('/v1/nucleus')}/dataset/{dataset}/model/{model}/evaluation", timeout=60
    )
    assert page.ok
    assert "not recorded" in page.text
    story.calculate(api, dataset, model)
    (series,) = api.session.get(address, timeout=60).json()["series"]
    assert [point["coverage"] and point["coverage"]["items"] for point in series["points"]] == [None, 2]
    assert series["points"][0]["values"] == series["points"][1]["values"]
    api.close()
    server.stop()
