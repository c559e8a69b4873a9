"""Sources and quarantine files in an object store: a real S3 server on loopback, through the paths users have."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_nucleus.client.uploads.check.quarantine import Quarantine
from airflow_provider_nucleus.exceptions import NucleusSourceError
from airflow_provider_nucleus.sources import fingerprint, open_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed (dependency group s3)")
s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (dependency group s3)")
upath = pytest.importorskip("upath", reason="universal-pathlib is not installed")

ROWS = [{"reference_id": f"i{n}", "label": "car", "type": "box", "geometry": {"x": n, "y": 0, "width": 1, "height": 1}} for n in range(2_000)]  # fmt: skip


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, Any]]:
    """Options that lead s3fs to a server with the bucket `rows` and some files in it."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "endpoint_url": f"http://{host}:{port}",
        "key": "k",
        "secret": "s",
        "skip_instance_cache": True,
    }
    files = s3fs.S3FileSystem(**options)
    files.mkdir("rows")
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
    files.pipe("rows/day=1/part-0.jsonl", lines[: len(lines) // 2].rpartition(b"\n")[0] + b"\n")
    files.pipe(
        "rows/day=2/part-1.jsonl.gz",
        gzip.compress(lines[len(lines[: len(lines) // 2].rpartition(b"\n")[0]) + 1 :]),
    )
    files.pipe("rows/day=2/_SUCCESS", b"")
    files.pipe("rows/all.jsonl.zst", pa.compress(lines, codec="zstd", asbytes=True))
    files.pipe("rows/all.json", json.dumps(ROWS).encode())
    with files.open("rows/all.parquet", "wb") as file:
        pq.write_table(pa.Table.from_pylist(ROWS), file)
    yield options
    server.stop()


def _upath(options: dict[str, Any]) -> Callable[[str], Any]:
    return lambda path: upath.UPath(f"s3://rows/{path}", **options)


def _object_storage(options: dict[str, Any]) -> Callable[[str], Any]:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import attach

    attach("s3", "s3_test", fs=s3fs.S3FileSystem(**options))
    return lambda path: ObjectStoragePath(f"s3://s3_test@rows/{path}")


@pytest.fixture(params=[_upath, _object_storage], ids=["UPath", "ObjectStoragePath"])
def at(request: pytest.FixtureRequest, store: dict[str, Any]) -> Callable[[str], Any]:
    """Make a path in the bucket."""
    if request.param is _object_storage:
        pytest.importorskip("airflow.sdk", reason="Airflow 3 is not installed")
    return request.param(store)


def read(source: Any) -> list[dict[str, Any]]:
    rows = list(open_rows(source, kind="predictions"))
    assert not [row for row in rows if row.problem]
    return [row.data for row in rows]


@pytest.mark.parametrize("name", ["all.jsonl.zst", "all.json", "all.parquet"])
def test_every_format_reads_from_s3(at: Callable[[str], Any], name: str):
    """Whole files, compressed ones and Parquet, which needs to seek."""
    expected = ROWS
    if name.endswith(".parquet"):
        expected = [json.loads(json.dumps(row)) for row in ROWS]

    assert read(at(name)) == expected


@pytest.mark.parametrize("pattern", ["day=*/part-*", "**/part-*"])
def test_globs_over_keys(at: Callable[[str], Any], pattern: str):
    """A glob finds the parts below several prefixes, in order."""
    assert read(at(pattern)) == ROWS


def test_a_prefix_is_a_folder(at: Callable[[str], Any]):
    """Its row files are read; markers are passed over."""
    assert read(at("day=1")) + read(at("day=2")) == ROWS
    assert read([at("day=1"), at("day=2/part-1.jsonl.gz")]) == ROWS


def test_a_missing_key_is_an_error(at: Callable[[str], Any]):
    """It names the address."""
    with pytest.raises(NucleusSourceError, match=r"rows/nothing\.jsonl: does not exist"):
        open_rows(at("nothing.jsonl"), kind="predictions")


def test_the_fingerprint_follows_the_object(at: Callable[[str], Any]):
    """Another content of the same size is another fingerprint."""
    path = at("changing.jsonl")
    with path.open("wb") as file:
        file.write(b'{"a":1}\n')
    before = fingerprint(path)
    assert fingerprint(at("changing.jsonl")) == before
    with path.open("wb") as file:
        file.write(b'{"a":2}\n')

    assert fingerprint(at("changing.jsonl")) != before


@pytest.mark.parametrize("name", ["bad.jsonl", "bad.parquet"])
def test_the_quarantine_may_be_an_object(at: Callable[[str], Any], tmp_path, name: str):
    """Written in one go, and readable where it was wanted."""
    with Quarantine(at(name), tmp_path) as quarantine:
        quarantine.add("rows", 7, "no reason", {"label": "car"})
        where = quarantine.publish()

    assert where is not None
    assert where.endswith(f"rows/{name}")
    with at(name).open("rb") as file:
        found = pq.read_table(file).to_pylist() if name.endswith("t") else [json.loads(line) for line in file]
    assert [(row["source"], row["row"], row["reason"]) for row in found] == [("rows", 7, "no reason")]


@pytest.mark.parametrize("name", ["all.parquet", "*.parquet"])
def test_a_store_that_nobody_signed_in_to_says_how_a_connection_is_named(store, monkeypatch, tmp_path, name):
    """Without credentials of the worker: the address, what is wrong, and where the connection goes."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    path = upath.UPath(f"s3://rows/{name}", endpoint_url=store["endpoint_url"], skip_instance_cache=True)

    for read in (lambda: fingerprint(path, "predictions"), lambda: list(open_rows(path, kind="predictions"))):
        with pytest.raises(NucleusSourceError, match="NoCredentialsError") as caught:
            read()
        assert "s3://aws_default@bucket/key" in str(caught.value.hint)
