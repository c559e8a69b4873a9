"""Image formats, detected by the first bytes: what goes out as an image is one, whatever its file is called.

A file is told by its first bytes, without a library that decodes images. A format whose mark is made of letters needs more than the
mark: a zero byte where its numbers are, which text has nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["HEAD", "IMAGES", "PNG", "image_format"]

HEAD: Final = 64
"""Bytes from the start of a file that tell its format."""

_BMP_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_HEIF_BRANDS: Final = frozenset({b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"})


def _starting(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(marks)


def _is_png(head: bytes) -> bool:
    return head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR"


def _is_gif(head: bytes) -> bool:
    return head[:6] in {b"GIF87a", b"GIF89a"} and b"\0" in head[6:]


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP" and head[12:15] == b"VP8" and b"\0" in head[4:]


def _is_bmp(head: bytes) -> bool:
    """Tell a bitmap by its reserved bytes and the size of its second header."""
    header = int.from_bytes(head[14:18], "little")
    return head[:2] == b"BM" and head[6:10] == bytes(4) and header in _BMP_HEADERS


def _is_heif(head: bytes) -> bool:
    return head[:2] == bytes(2) and head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


IMAGES: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "JPEG": _starting(b"\xff\xd8\xff"),
    "PNG": _is_png,
    "GIF": _is_gif,
    "WebP": _is_webp,
    "BMP": _is_bmp,
    "TIFF": _starting(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JPEG 2000": _starting(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "HEIF or AVIF": _is_heif,
}
"""The formats of images, by name, and how each is told by the first `HEAD` bytes of a file."""

PNG: Final[Mapping[str, Callable[[bytes], bool]]] = {"PNG": _is_png}
"""The one format of masks."""


def image_format(head: bytes, formats: Mapping[str, Callable[[bytes], bool]] = IMAGES) -> str | None:
    """Return the name of the format that the first bytes of a file are of, None when they are of none of *formats*."""
    return next((name for name, fits in formats.items() if fits(head)), None)
