"""Images as bytes: whether they are one, and their perceptual hash.

The hash is the 64 bits that the Python package `imagehash` calls `phash`, as text of 0 and 1: the image in grey at 32 x 32 pixels,
its discrete cosine transform, and of the 8 x 8 lowest frequencies those above their median. Images of one channel of more than 8 bits
(depth, thermal and medical ones) are first brought to the range of a byte, where `imagehash` cuts them off.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from airflow_provider_nucleus.image_bytes import HEAD, IMAGES, image_format

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from numpy.typing import NDArray

__all__ = ["Picture", "examine", "perceptual_hash"]

_SIDE: Final = 32
_LOW: Final = 8
_DECIMALS: Final = 6
"""Digits of a frequency that count: below them is the noise of the transform, which is above the median by chance."""

_DECODERS: Final = {
    "JPEG": ("JPEG",),
    "PNG": ("PNG",),
    "GIF": ("GIF",),
    "WebP": ("WEBP",),
    "BMP": ("BMP",),
    "TIFF": ("TIFF",),
    "JPEG 2000": ("JPEG2000",),
    "HEIF or AVIF": ("AVIF",),
}
"""The decoders of each format of `image_bytes`."""

_ALWAYS: Final = frozenset({"JPEG", "PNG", "GIF", "BMP"})
"""Formats that every build of the library decodes wholly: what it cannot decode of them is damaged."""

_DEEP: Final = frozenset({"I", "F"})
"""Modes of one channel of 32 bits; those of 16 begin with "I;"."""

_LARGEST: Final = 100_000_000
"""Pixels above which an image is not decoded, and has no hash: a small file may stand for any number of them."""

_DECODING: Final = threading.BoundedSemaphore(2)
"""Images that are decoded at the same time, whoever asks: each may take hundreds of megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image that came in: its hash, None where it cannot be decoded here, or a problem."""

    phash: str | None = None
    problem: str | None = None


def examine(source: BinaryIO, formats: Mapping[str, Callable[[bytes], bool]] = IMAGES) -> Picture:
    """Look at the bytes of an image of one of some formats, from the start of a stream that can be rewound."""
    source.seek(0)
    head = source.read(HEAD)
    source.seek(0)
    if not head:
        return Picture(problem="it has no bytes")
    found = image_format(head, formats)
    if found is None:
        other = image_format(head)
        return Picture(problem=f"it has bytes of {other or 'no image format'}")
    try:
        # The decoder of the format that was told, and no other: some of the many are rarely used.
        with _DECODING, Image.open(source, formats=_DECODERS.get(found)) as image:
            if image.width * image.height > _LARGEST:
                return Picture()
            return Picture(phash=perceptual_hash(image))
    except Image.DecompressionBombError:
        return Picture()
    except MemoryError:
        raise
    except Exception as error:  # ruff: ignore[blind-except] - the decoders' own, of any kind
        # Decoders raise whatever they stumble over. A format that needs a library of its own is taken as it is.
        # The library's words for bytes that are none at all name an object in memory.
        reason = "it is none beyond its first bytes" if isinstance(error, UnidentifiedImageError) else error
        return Picture(problem=f"it cannot be decoded: {reason}") if found in _ALWAYS else Picture()
    finally:
        source.seek(0)


def perceptual_hash(image: Image.Image) -> str:
    """Return the hash of an image as 64 characters 0 or 1; raises what decoding raises."""
    # Of more than 8 bits, grey as Pillow makes it is cut off at 255: white all over, and each image like the next.
    grey = _in_byte_range(image) if image.mode in _DEEP or image.mode.startswith("I;") else image.convert("L")
    pixels = np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), dtype=np.float64)
    low = np.round(_COSINES @ pixels @ _COSINES.T, _DECIMALS)
    return "".join("1" if bit else "0" for bit in (low > np.median(low)).ravel())


def _in_byte_range(image: Image.Image) -> Image.Image:
    """Return an image of one deep channel with its least value as 0 and its greatest as 255."""
    values = np.asarray(image, dtype=np.float32)
    known = np.isfinite(values)
    least, greatest = (
        float(edge(values, where=known, initial=start))
        for edge, start in ((np.min, np.inf), (np.max, -np.inf))
    )
    if not least < greatest:
        return Image.new("F", image.size)
    return Image.fromarray(
        np.where(known, (values - least) * (255.0 / (greatest - least)), 0.0).astype(np.float32)
    )


def _cosines() -> NDArray[np.float64]:
    """Return the lowest rows of the matrix of the cosine transform (type II, as SciPy scales it)."""
    frequency, place = np.arange(_LOW)[:, None], np.arange(_SIDE)[None, :]
    return 2 * np.cos(np.pi * frequency * (2 * place + 1) / (2 * _SIDE))


_COSINES: Final = _cosines()
