"""A worker whose temporary folder is full: said as such, wherever checking an input meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_nucleus.client.uploads.check import duplicates
from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
from airflow_provider_nucleus.client.uploads.check.quarantine import Quarantine
from airflow_provider_nucleus.client.uploads.check.spool import ChunkPlan
from airflow_provider_nucleus.client.uploads.check.validation import validate_input
from airflow_provider_nucleus.exceptions import NucleusUploadError
from airflow_provider_nucleus.schema.rows import SourceRow
from tests.local.small_disk import SmallDisk, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small disk for temporary files."""
    with small_disk(tmp_path / "disk", megabytes=8) as mounted:
        yield mounted


def rows(name: str, count: int = 5000) -> list[SourceRow]:
    """Rows of which checking writes much to one place: good ones, bad ones, or ones that repeat."""
    made = []
    for n in range(count):
        box = {"x": "wide" if name == "refused" else n, "y": 0, "width": 1, "height": 1}
        row = {"label": "car", "type": "box", "geometry": box, "reference_id": f"{n:0>200}"}
        row["annotation_id"] = f"{n % (count // 2) if name == 'repeated' else n}"
        row["reference_id"] = f"{row['annotation_id']:0>200}"
        made.append(SourceRow("rows", n, row))
    return made


@pytest.mark.parametrize("known", [False, True], ids=["to be sent", "sent before"])
@pytest.mark.parametrize("name", ["good", "refused", "repeated", "hashed"])
@pytest.mark.parametrize("left", [0, 4096, 50_000, 150_000])
def test_a_full_temporary_folder_is_named(
    disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, name: str, left: int, known: bool
):
    """Good rows, refused rows, hashes and identities: the error names the folder, what was sent, and the way out."""
    if name == "hashed":
        monkeypatch.setattr(duplicates, "IN_MEMORY", 100)
    found = rows(name)
    disk.fill(left=left)

    def check() -> None:
        with Quarantine(disk.path / "bad.jsonl", disk.path) as quarantine:
            plan = ChunkPlan(10_000, 10, "", lambda _: known)
            validate_input(
                lambda: iter(found), Encoder("annotations"), plan, folder=disk.path, quarantine=quarantine
            )

    with pytest.raises(NucleusUploadError, match=r"No space left|disk is full") as caught:
        check()

    assert str(disk.path) in str(caught.value)
