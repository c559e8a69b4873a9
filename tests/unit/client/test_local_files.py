"""Opening files below a root while somebody changes what lies there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from airflow_provider_nucleus.client.local_files import LocalFiles
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError, NucleusValidationError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with an image in a folder, and the like beside it."""
    for name in ("root", "outside"):
        (tmp_path / name / "inner").mkdir(parents=True)
        Image.new("L", (4, 4), 1).save(tmp_path / name / "inner" / "a.png")
    return tmp_path / "root"


def _file_becomes_a_link(root: Path) -> None:
    (root / "inner" / "a.png").unlink()
    (root / "inner" / "a.png").symlink_to(root.parent / "outside" / "inner" / "a.png")


def _folder_becomes_a_link(root: Path) -> None:
    (root / "inner").rename(root / "former")
    (root / "inner").symlink_to(root.parent / "outside" / "inner")


def _root_becomes_a_link(root: Path) -> None:
    root.rename(root.parent / "former")
    root.symlink_to(root.parent / "outside")


@pytest.mark.parametrize("swap", [_file_becomes_a_link, _folder_becomes_a_link, _root_becomes_a_link])
def test_a_link_put_there_while_it_is_opened_is_not_followed(
    root: Path, monkeypatch, swap: Callable[[Path], None]
):
    """Where the location leads is known, and changes before the file is opened."""
    files, real = LocalFiles(root), LocalFiles._below

    def below(self, location):
        found = real(self, location)
        swap(root)
        return found

    monkeypatch.setattr(LocalFiles, "_below", below)
    with pytest.raises(NucleusValidationError, match="image_url: cannot be sent"):
        files.check("image_url", "inner/a.png")


def test_an_image_that_grows_before_it_is_read_is_refused(root: Path):
    """So many bytes were announced: half of another image must not go out as a whole one."""
    content = LocalFiles(root).content("inner/a.png")
    assert b"".join(content.chunks()) == (root / "inner" / "a.png").read_bytes()
    Image.new("L", (400, 400), 1).save(root / "inner" / "a.png")

    with pytest.raises(NucleusSourceError, match="it changed while it was being sent"):
        list(content.chunks())


def open_below(root: Path) -> list[str]:
    """What this process has open at or below *root*: other descriptors of its come and go with what earlier tests left."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(descriptor.readlink()))
    return [path for path in found if path.startswith(str(root))]


def test_descriptors_are_closed(root: Path):
    """Of files that may be sent, and of those that may not."""
    (root / "text.png").write_text("text")
    files = LocalFiles(root)
    for location in ("inner/a.png", "text.png", "inner", "inner/missing.png", "missing/a.png", "../outside"):
        for _ in range(5):
            try:
                files.check("image_url", location)
            except NucleusValidationError:
                continue

    assert open_below(root) == []
    with LocalFiles(root).content("inner/a.png").open():
        assert open_below(root) == [str((root / "inner" / "a.png").resolve())]


def test_an_empty_root_is_not_the_root_of_the_machine():
    """A template that found nothing would open every file."""
    with pytest.raises(NucleusConfigError, match="it is empty"):
        LocalFiles("")


def test_the_root_of_the_machine_may_be_named(root: Path):
    """By whoever means it."""
    LocalFiles("/").check("image_url", str(root / "inner" / "a.png"))
    with pytest.raises(NucleusValidationError, match="does not begin as an image"):
        LocalFiles("/").check("image_url", "/etc/passwd")


def test_masks_are_png_whatever_their_name(root: Path):
    """A JPEG whose name says PNG is an image, and no mask."""
    Image.new("L", (4, 4), 1).save(root / "jpeg.png", format="JPEG")

    LocalFiles(root).check("image_url", "jpeg.png")
    with pytest.raises(NucleusValidationError, match="mask_url: cannot be sent"):
        LocalFiles(root, masks=True).check("mask_url", "jpeg.png")
