"""Images are told by their first bytes, and nothing else passes for one."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from airflow_provider_nucleus.image_bytes import HEAD, IMAGES, PNG, image_format

WRITTEN = {
    "JPEG": [("JPEG", {})],
    "PNG": [("PNG", {})],
    "GIF": [("GIF", {}), ("GIF", {"save_all": True})],
    "WebP": [("WEBP", {}), ("WEBP", {"lossless": True})],
    "BMP": [("BMP", {})],
    "TIFF": [("TIFF", {}), ("TIFF", {"big_tiff": True})],
    "JPEG 2000": [("JPEG2000", {}), ("JPEG2000", {"no_jp2": True})],
    "HEIF or AVIF": [("AVIF", {})],
}
"""How Pillow writes each format."""


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [(1, 1), (300, 200), (0x2020, 1)], ids=str)
@pytest.mark.parametrize(
    ("name", "written", "options"),
    [(name, *how) for name, ways in WRITTEN.items() for how in ways],
    ids=str,
)
def test_every_format_is_told(
    name: str, written: str, options: dict[str, Any], size: tuple[int, int], mode: str
):
    """Whatever its size and colours, an image that a library writes is what it is."""
    Image.init()
    if written not in Image.SAVE:
        pytest.skip(f"Pillow was built without {written}")
    file = io.BytesIO()
    Image.new(mode, size, 7).save(file, written, **options)

    head = file.getvalue()[:HEAD]
    assert image_format(head) == name
    assert image_format(head, PNG) == ("PNG" if name == "PNG" else None)


def test_every_format_is_tried():
    """The table above has all there are."""
    assert set(WRITTEN) == set(IMAGES)


MARKS = [
    "",
    "BM",
    "GIF87a",
    "GIF89a",
    "RIFF....WEBP",
    "RIFF....WEBPVP8 ",
    "....ftypavif",
    "II*",
    "MM",
    "\x89PNG\r\n\x1a\n",
]


@given(
    st.sampled_from(MARKS),
    st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\t\n\r")),
)
def test_text_is_no_image(mark: str, text: str):
    """Even text that begins with the letters of a format's mark."""
    assert image_format((mark + text).encode()[:HEAD]) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0" * HEAD,
        b"%PDF-1.7\n\0",
        b"PK\3\4\0\0",
        b"SQLite format 3\0",
        b"\x7fELF\2\1\1\0",
        b"DDS |\0\0\0",
        b"qoif\0\0\0\1",
    ],
)
def test_other_files_are_no_images(head: bytes):
    """Documents, archives, stores, programs, and pictures that browsers do not show."""
    assert image_format(head.ljust(HEAD, b"\0") if head else head) is None
