"""Pictures as bytes, for what wants real ones."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["picture", "scene"]


def picture(
    written: str = "PNG", *, size: tuple[int, int] = (4, 3), value: Any = 7, mode: str = "L"
) -> bytes:
    """Return a plain picture in a format of Pillow's."""
    file = io.BytesIO()
    Image.new(mode, size, value).save(file, written)
    return file.getvalue()


def scene(seed: int = 0, *, size: tuple[int, int] = (80, 60), written: str = "PNG") -> bytes:
    """Return a picture of smooth shapes that no other seed has."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize(size, Image.Resampling.BICUBIC).save(file, written)
    return file.getvalue()
