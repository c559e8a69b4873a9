"""Pictures of changed objects on a page and beside it.

A page that may show no image from within the file (`img-src 'self'` forbids those) shows a mosaic instead, drawn as shapes. So a picture is
two things in the file: the photograph, and the mosaic that a browser falls back to. In a folder, the photograph is a file beside the page.

Pillow is needed, which comes with the extra `local`; without it, and for every image that cannot be read, the reason stands where the
picture would.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from markupsafe import Markup

from airflow_provider_nucleus.reporting.change_rows import crop_key, spread
from airflow_provider_nucleus.reporting.crop_drawing import draw_crop, open_picture
from airflow_provider_nucleus.reporting.extras import Omission
from airflow_provider_nucleus.reporting.page import CropPictures
from airflow_provider_nucleus.reporting.texts import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_nucleus.reporting.crop_drawing import CropDrawing
    from airflow_provider_nucleus.reporting.extras import ObjectChange

__all__ = ["MOST_CROPS", "CropFile", "Crops", "make_crops"]

MOST_CROPS: Final = 120
CROP_BYTES: Final = 1_600_000
"""Bytes of a page that pictures may take."""
_TRIES_OF_A_STORE: Final = 3
_NO_PILLOW: Final = (
    "There are no pictures of changed objects: Pillow is not installed where the report was made. "
    "It comes with airflow-provider-nucleus[local]."
)


@dataclass(frozen=True, slots=True)
class CropFile:
    """A picture for a folder: its name below the folder of the page, and its bytes."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Crops:
    """The pictures of a report: for the page, and the files beside it."""

    pictures: CropPictures
    files: tuple[CropFile, ...] = ()
    remarks: tuple[str, ...] = ()


def make_crops(
    changes: Sequence[ObjectChange],
    read_image: Callable[[str], bytes],
    *,
    folder: str | None = None,
    most: int = MOST_CROPS,
    most_bytes: int = CROP_BYTES,
) -> Crops:
    """Return the pictures of the most telling changes, as many as *most* and *most_bytes* of a page allow.

    *read_image* gives the bytes of the file at a place, once for each image. With *folder*, photographs become files there (a path
    relative to the page) instead of parts of the page.
    """
    try:
        import PIL.Image  # ruff: ignore[unused-import]
    except ImportError:
        return Crops(CropPictures({}, {}), remarks=(_NO_PILLOW,))
    chosen = spread(changes, most)
    drawings, reasons = _draw(chosen, read_image)
    made: dict[tuple[str, str], Markup] = {}
    files: list[CropFile] = []
    size = 0
    for key, drawing in ((crop_key(change), drawings.get(crop_key(change))) for change in chosen):
        if drawing is None or size > most_bytes:
            continue
        if folder is None:
            made[key] = _in_page(drawing)
        else:
            files.append(CropFile(f"{folder}/{len(files) + 1:04d}.webp", drawing.photograph))
            made[key] = _beside_page(drawing, files[-1].name)
        size += len(made[key])
    return Crops(CropPictures(made, reasons, _left_out(len(changes), made, reasons)), tuple(files))


def _draw(
    changes: Sequence[ObjectChange], read_image: Callable[[str], bytes]
) -> tuple[dict[tuple[str, str], CropDrawing], dict[tuple[str, str], str]]:
    """Return the drawings of objects, and why others have none; image by image, so that each is decoded once and let go."""
    drawings: dict[tuple[str, str], CropDrawing] = {}
    reasons: dict[tuple[str, str], str] = {}
    by_image: defaultdict[str | None, list[ObjectChange]] = defaultdict(list)
    stores = _Stores()
    for change in changes:
        by_image[change.image].append(change)
    for place, group in by_image.items():
        if place is None:
            reasons.update({crop_key(change): "the place of the image is not known" for change in group})
            continue
        if (closed := stores.closed(place)) is not None:
            reasons.update({crop_key(change): closed for change in group})
            continue
        try:
            content = read_image(place)
        except Exception as error:  # ruff: ignore[blind-except]
            reasons.update({crop_key(change): _reason(error) for change in group})
            # A store that says that it has no such file was reached.
            stores.record(place, reached=isinstance(error, FileNotFoundError))
            continue
        stores.record(place, reached=True)
        try:
            image = open_picture(content)
        except Exception as error:  # ruff: ignore[blind-except] - decoders and stores fail in any way on files of strangers
            reasons.update({crop_key(change): _reason(error) for change in group})
            continue
        for change in group:
            try:
                drawings[crop_key(change)] = draw_crop(change, image)
            except Exception as error:  # ruff: ignore[blind-except]
                reasons[crop_key(change)] = _reason(error)
    return drawings, reasons


class _Stores:
    """Stores that images lie in. One that gave none of the first few is left alone: an address out of reach costs a minute each time."""

    def __init__(self) -> None:
        self._failures: defaultdict[str, int] = defaultdict(int)
        self._open: set[str] = set()

    def record(self, place: str, *, reached: bool) -> None:
        """Take in whether the store of an image was reached."""
        if reached:
            self._open.add(_store(place))
        else:
            self._failures[_store(place)] += 1

    def closed(self, place: str) -> str | None:
        """Return why nothing more is read from the store of an image; None where it is tried."""
        store = _store(place)
        if not store or store in self._open or self._failures[store] < _TRIES_OF_A_STORE:
            return None
        return f"not read: none of the first {_TRIES_OF_A_STORE} images of {store} could be"


def _store(place: str) -> str:
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc}" if "://" in place else ""


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shortened(text or type(error).__name__, 200)


def _in_page(drawing: CropDrawing) -> Markup:
    return Markup(
        '<object type="image/webp" data="data:image/webp;base64,{}" width="{}" height="{}" role="img" aria-label="{}">{}</object>'
    ).format(
        base64.b64encode(drawing.photograph).decode(),
        drawing.width,
        drawing.height,
        drawing.alternative,
        drawing.mosaic,
    )


def _beside_page(drawing: CropDrawing, name: str) -> Markup:
    return Markup('<img src="{}" width="{}" height="{}" alt="{}">').format(
        name, drawing.width, drawing.height, drawing.alternative
    )


def _left_out(
    changes: int, made: dict[tuple[str, str], Markup], reasons: dict[tuple[str, str], str]
) -> tuple[Omission, ...]:
    if (left := changes - len(made) - len(reasons)) <= 0:
        return ()
    where = "the images themselves, and the objects in metrics.json"
    return (Omission(what="pictures of changed objects", left=left, of=changes, where=where),)
