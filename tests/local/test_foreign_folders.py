"""The server keeps its hands off what is not its own: foreign folders, and files that another store knows."""

from __future__ import annotations

import json
import os
import shutil
import string
from typing import TYPE_CHECKING

import duckdb
import nucleus as official
import pytest
import requests

from airflow_provider_nucleus.local.datadir import DataDir
from airflow_provider_nucleus.local.errors import DataDirError
from airflow_provider_nucleus.local.store.database import Database
from airflow_provider_nucleus.local.store.opening import open_store
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api, box
from tests.local.evaluated import predict, world
from tests.pictures import picture as plain_picture

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = string.digits * 4


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return everything below a folder with its time and bytes."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"the text of {name}")


def refusal(folder: Path) -> str:
    """Serve a folder that must be refused, and return what the command said."""
    before = tree(folder)
    server = LocalNucleus(folder)
    try:
        with pytest.raises(RuntimeError, match="nucleus-local ended with 2") as caught:
            server.start()
    finally:
        server.stop()
    assert tree(folder) == before
    assert "nothing was changed" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["blobs/photos/x.jpg"], "blobs/photos/x.jpg"),
        (["photos/x.jpg", ".git/HEAD"], "photos"),
        (["spool/mail.ndjson"], "spool/mail.ndjson"),
        (["evaluations/2026/report.pdf"], "evaluations/2026/report.pdf"),
        (["not-in-the-store/x"], "not-in-the-store/x"),
        (["notes.part"], "notes.part"),
        (["lock"], "lock"),
    ],
)
def test_foreign_folders_are_refused_and_untouched(tmp_path: Path, names: list[str], told: str):
    """A folder that holds other things is named with one of them, and not a byte of it changes."""
    folder = tmp_path / "data"
    put(folder, *names)

    assert f"{folder} is no data directory of nucleus-local: it holds {told}" in refusal(folder)


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE sales (n INTEGER)", "CREATE VIEW sales AS SELECT 1 AS n"]
)
@pytest.mark.parametrize("lock", [None, "1\n", "not a lock of ours"])
def test_databases_of_others_are_refused_and_untouched(tmp_path: Path, statement: str, lock: str | None):
    """A DuckDB file under the store's name that is none of ours stays as it is, a lock beside it or not."""
    folder = tmp_path / "data"
    folder.mkdir()
    if lock is not None:
        (folder / "lock").write_text(lock)
    with duckdb.connect(str(folder / "nucleus.duckdb")) as store:
        store.execute(statement)
    before = tree(folder)["nucleus.duckdb"]

    server = LocalNucleus(folder)
    try:
        with pytest.raises(RuntimeError, match="is a DuckDB database of something else: it holds sales"):
            server.start()
    finally:
        server.stop()

    assert tree(folder)["nucleus.duckdb"] == before
    if lock != "1\n":
        assert sorted(tree(folder)) == ([] if lock is None else ["lock"]) + ["nucleus.duckdb"]


def test_what_is_no_database_is_refused_and_untouched(tmp_path: Path):
    """With the store's name and something else's lock beside it."""
    folder = tmp_path / "data"
    put(folder, "lock", "nucleus.duckdb")

    assert f"the store {folder / 'nucleus.duckdb'} cannot be opened" in refusal(folder)


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize(
    "content",
    [b"12345", b"12345\n\n", b"12345\n9\n", bytes(6), bytes(64), b"12345\r\n", b"not a lock of ours"],
)
def test_a_damaged_lock_keeps_nobody_from_a_store(tmp_path: Path, content: bytes, store: bool):
    """Half a name, two names or the zeros of a power cut: where a store of ours is, the lock is written anew."""
    folder = tmp_path / "data"
    if store:
        with DataDir(folder) as made:
            Database(made.database, memory_limit="500MB", spill=made.spool / "spill").close()
    else:
        folder.mkdir()
    (folder / "lock").write_bytes(content)

    if store:
        for _ in range(2):
            with DataDir(folder):
                assert (folder / "lock").read_bytes() == b"%010d\n" % os.getpid()
    else:
        with pytest.raises(DataDirError, match="it holds lock"):
            DataDir(folder)
        assert (folder / "lock").read_bytes() == content


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_lock_that_is_no_file_is_refused_beside_a_store_too(tmp_path: Path, kind: str):
    """Through a link the name of the server would be written over whatever is there."""
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    elsewhere.write_text("somebody's")
    with DataDir(folder) as made:
        Database(made.database, memory_limit="500MB", spill=made.spool / "spill").close()
    (folder / "lock").unlink()
    (folder / "lock").mkdir() if kind == "folder" else (folder / "lock").symlink_to(elsewhere)

    with pytest.raises(DataDirError, match="it holds lock"):
        DataDir(folder)
    assert elsewhere.read_text() == "somebody's"


@pytest.mark.parametrize(
    "name",
    [
        f"blobs/01/{TOKEN}",
        f"spool/{'t' * 43}.ndjson",
        f"evaluations/evalv2_{'e' * 20}.01234567/about.json",
        f"evaluations/evalv2_{'e' * 20}/about.json",
        f"not-in-the-store/blobs/01/{TOKEN}",
        "nucleus.duckdb.wal",
    ],
)
def test_a_missing_store_is_not_replaced_by_an_empty_one(tmp_path: Path, name: str):
    """Files of a store without it are refused, with what to restore: an empty store would know none of them."""
    folder = tmp_path / "data"
    put(folder, name, "api-key")

    said = refusal(folder)

    assert f"holds {name}, but its store nucleus.duckdb is missing" in said
    assert "Restore nucleus.duckdb from the backup, or choose another --data-dir" in said


def test_what_a_first_start_leaves_is_no_obstacle(tmp_path: Path):
    """Empty folders, lock, key and an unfinished store of a start that died, and what file systems put there."""
    folder = tmp_path / "data"
    put(folder, ".cache/x", "nucleus.duckdb.01234567.part", "api-key.01234567.part")
    for name in ("blobs", "spool", "evaluations", "lost+found"):
        (folder / name).mkdir()
    (folder / "lock").write_text("123\n")
    (folder / "api-key").write_text("my-key\n")

    with LocalNucleus(folder, api_key="") as server:
        assert requests.get(f"{server.url}/jobs/", auth=("my-key", ""), timeout=60).status_code != 401

    assert (folder / ".cache" / "x").read_text() == "the text of .cache/x"
    assert not list(folder.glob("*.part"))


def test_other_files_in_the_servers_folders_stay(tmp_path: Path):
    """Beside a store, too, nothing is moved or deleted but what has a name of the server's."""
    folder = tmp_path / "data"
    with LocalNucleus(folder):
        pass
    names = (
        "blobs/photos/x.jpg",
        "blobs/01/x.part",
        "spool/mail.ndjson",
        "spool/x.part",
        "evaluations/r/x",
        "x.part",
        "nucleus.duckdb.part",
        "api-key.part",
        "lock.01234567.part",
        f"blobs/01/{TOKEN}.part",
        f"evaluations/evalv2_{'e' * 20}.part/x",
    )
    put(folder, *names)

    with LocalNucleus(folder):
        pass

    assert [name for name in names if (folder / name).read_text() != f"the text of {name}"] == []


@pytest.mark.parametrize(
    "name",
    [
        "blobs",
        "blobs/01",
        "spool",
        "spool/spill",
        "evaluations",
        "not-in-the-store",
        "not-in-the-store/blobs",
    ],
)
def test_a_link_in_place_of_a_folder_is_refused(tmp_path: Path, name: str):
    """What lies behind it is somebody else's, whatever its names: another server's images, what another DuckDB has spilled."""
    folder, other = tmp_path / "data", tmp_path / "other"
    with DataDir(folder) as data:
        open_store(data.database, memory_limit="100MB", spill=data.spool / "spill").close()
    names = (
        TOKEN,
        f"{TOKEN}.01234567.part",
        f"01/{TOKEN}",
        "duckdb_temp_block-1.block",
        "spill/duckdb_temp_block-1.block",
    )
    put(other, *names)
    (folder / name).parent.mkdir(exist_ok=True)
    if (folder / name).is_dir():
        (folder / name).rmdir()
    (folder / name).symlink_to(other)

    said = refusal(folder)

    assert f"{folder / name} is a link to {other}" in said
    assert f"mount that disk at {folder / name}" in said
    assert sorted(set(tree(other)) - {"01", "spill"}) == sorted(names)


def test_the_data_directory_itself_may_be_a_link(tmp_path: Path):
    """All of it is the server's, wherever it is."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")

    with LocalNucleus(tmp_path / "data"):
        pass

    assert (tmp_path / "disk" / "nucleus.duckdb").exists()


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("locked", [True, False])
def test_a_backup_put_over_the_log_of_another_store_is_refused(tmp_path: Path, *, same: bool, locked: bool):
    """Of a later time of the same store, or of another one: what happened and what to do is said, and nothing changes."""
    folder, other, backup = tmp_path / "data", tmp_path / "other", tmp_path / "backup.duckdb"
    for place in (folder, other):
        with DataDir(place) as data:
            open_store(data.database, memory_limit="100MB", spill=data.spool / "spill").close()
    shutil.copy((folder if same else other) / "nucleus.duckdb", backup)
    with duckdb.connect(str(folder / "nucleus.duckdb")) as store:
        store.execute("CREATE TABLE later (n INTEGER)")
        store.execute("CHECKPOINT")
        store.execute("INSERT INTO later VALUES (1)")
        log = (folder / "nucleus.duckdb.wal").read_bytes()
    shutil.copy(backup, folder / "nucleus.duckdb")
    (folder / "nucleus.duckdb.wal").write_bytes(log)
    if not locked:
        (folder / "lock").unlink()

    before = tree(folder)
    server = LocalNucleus(folder)
    try:
        with pytest.raises(RuntimeError, match=r"nucleus\.duckdb\.wal is not the log of the store") as caught:
            server.start()
    finally:
        server.stop()

    assert "into an empty folder" in str(caught.value)
    for name in ("nucleus.duckdb", "nucleus.duckdb.wal"):
        assert tree(folder)[name] == before[name]


def append_image(api: Api, dataset: str, name: str) -> bytes:
    """Append an item with its image and return the bytes of that."""
    picture = plain_picture() + name.encode()
    item = {"reference_id": name, "image_url": name, "metadata": {}}
    files = [
        ("items", (None, json.dumps([item]), "application/json")),
        ("image", (f"{name}.png", picture, "image/png")),
    ]
    assert api.wait(api.ok("POST", f"dataset/{dataset}/append?async=1", files=files)["job_id"])
    return picture


def images(server: LocalNucleus, folder: Path) -> dict[str, bytes | None]:
    """Return what is served under the address of every image that lies anywhere in the data directory."""
    tokens = {path.name for path in folder.rglob("blobs/??/*")}
    answers = {token: requests.get(f"{server.url}/files/{token}", timeout=60) for token in tokens}
    return {token: answer.content if answer.ok else None for token, answer in answers.items()}


def test_an_older_store_put_back_costs_the_newer_one_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Images, waiting uploads and results that an older store does not know are there again with the newer one."""
    monkeypatch.setattr("nucleus.async_job.JOB_POLLING_INTERVAL", 0.01)
    folder, older, newer = tmp_path / "data", tmp_path / "older.duckdb", tmp_path / "newer.duckdb"
    server = LocalNucleus(folder).start()
    api = Api(server)
    dataset = api.dataset()
    first = append_image(api, dataset, "first")
    server.stop()
    shutil.copy(folder / "nucleus.duckdb", older)

    server.start()
    api = Api(server)
    second = append_image(api, dataset, "second")
    client = official.NucleusClient(api_key=server.api_key, endpoint=server.url)
    found = world(client, {"a": {}}, [("a", "car", 0)], [("a", "car", 0, 0.9)])
    evaluation = found.evaluate().id
    charts = api.ok("POST", f"evaluationsV2/{evaluation}/charts", json={})
    signed = api.ok("GET", f"dataset/{dataset}/signedUrl/later")["signed_url"]
    assert requests.put(signed, data=json.dumps(box("first", "1")), timeout=60).ok
    server.stop()
    shutil.copy(folder / "nucleus.duckdb", newer)

    shutil.copy(older, folder / "nucleus.duckdb")
    server.start()
    assert sorted(filter(None, images(server, folder).values())) == [first]
    assert "moved 3 files or results" in server.log
    # The older store goes on, with an evaluation of its own.
    again = official.NucleusClient(api_key=server.api_key, endpoint=server.url)
    other = world(again, {"a": {}}, [("a", "car", 0)], [])
    predict(other, [("a", "bus", 0, 0.5)])
    third = append_image(Api(server), dataset, "third")
    other_id = other.evaluate().id
    server.stop()

    shutil.copy(newer, folder / "nucleus.duckdb")
    server.start()
    api = Api(server)
    assert sorted(filter(None, images(server, folder).values())) == [first, second]
    assert api.ok("POST", f"evaluationsV2/{evaluation}/charts", json={}) == charts
    job = api.ok("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": "later"})["job_id"]
    assert api.wait(job)["message"]["annotation_upload"]["processed"] == 1
    aside = folder / "not-in-the-store"
    assert [path.name[:27] for path in aside.glob("evaluations/*")] == [other_id]
    assert [path.read_bytes() for path in aside.glob("blobs/*/*")] == [third]
    api.close()
    server.stop()


@pytest.mark.parametrize("copied", ["before the rows", "behind the rows"])
def test_an_older_store_whose_address_expired_costs_the_newer_one_no_upload(tmp_path: Path, copied: str):
    """That no job reads an upload is true of the older store alone: its rows are moved aside, and back for the newer one."""
    folder, older, newer = tmp_path / "data", tmp_path / "older.duckdb", tmp_path / "newer.duckdb"
    server = LocalNucleus(folder).start()
    api = Api(server)
    dataset = api.dataset("a")
    signed = api.ok("GET", f"dataset/{dataset}/signedUrl/later")["signed_url"]
    server.stop()
    shutil.copy(folder / "nucleus.duckdb", older)
    server.start()
    assert requests.put(
        server.url + signed.partition("/v1/nucleus")[2], data=json.dumps(box("a", "1")), timeout=60
    ).ok
    server.stop()
    (name,) = (f"spool/{path.name}" for path in folder.glob("spool/*.ndjson"))
    shutil.copy(folder / "nucleus.duckdb", newer)
    if copied == "behind the rows":
        shutil.copy(newer, older)

    shutil.copy(older, folder / "nucleus.duckdb")
    with duckdb.connect(str(folder / "nucleus.duckdb")) as store:
        store.execute("UPDATE uploads SET expires_at = TIMESTAMP '2020-01-01'")
    server.start()
    assert not (folder / name).exists()
    assert (folder / "not-in-the-store" / name).exists()
    assert "moved 1 files or results" in server.log
    server.stop()

    shutil.copy(newer, folder / "nucleus.duckdb")
    server.start()
    again = Api(server)
    job = again.ok("POST", f"dataset/{dataset}/annotate?async=1", json={"requestId": "later"})["job_id"]
    assert again.wait(job)["message"]["annotation_upload"]["processed"] == 1
    api.close()
    again.close()
    server.stop()
