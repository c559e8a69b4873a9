"""COCO ground truth and results of any size as wire rows, and COCO images as dataset items.

Ids are made so that sending the same objects again is recognised, in whichever order and file: `coco-<id>` where the file
numbers its annotations, else `coco-<image id>-<digest>` of category, shape and score. Equal objects of one upload are numbered
when it is checked.

What COCO can say and Nucleus cannot:

- a run-length mask is no polygon. A crowd region sent as polygon becomes its box with `iscrowd` in the metadata; any other
  run-length mask is a problem row, because replacing a shape by its box would change what is measured;
- an annotation of several rings becomes one polygon per ring (`coco-7-1`, `coco-7-2` with `part` and `parts` in the
  metadata).

`iscrowd` and `area` (square pixels) of ground truth are kept in the metadata, for keypoints the `bbox` too. A prediction has
them where COCO's tools see another size than that of its shape: that of its box for a polygon, that of its mask for a box. Boxes are `[x, y, width, height]` in pixels from the top left
corner in both worlds.
"""

from __future__ import annotations

import hashlib
import json
import logging
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_nucleus.coco.entries import CocoCategory, CocoImages
from airflow_provider_nucleus.coco.errors import CocoError
from airflow_provider_nucleus.coco.layouts import HEAD, looks_like
from airflow_provider_nucleus.coco.objects import Shape as Geometry
from airflow_provider_nucleus.coco.objects import normal_object, object_ids
from airflow_provider_nucleus.coco.run_lengths import box_of_rle
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.schema.batches import RowBatch
from airflow_provider_nucleus.schema.rows import SourceRow
from airflow_provider_nucleus.sources.coco_index import CocoIndex, image_fields, no_coco, read_index
from airflow_provider_nucleus.sources.coco_truths import CocoTruths
from airflow_provider_nucleus.sources.files import SourceFile, in_folder, open_plain
from airflow_provider_nucleus.sources.json_stream import JsonFile

__all__ = ["CocoReader", "Geometry"]

log = logging.getLogger(__name__)

Row = dict[str, Any]
_CONTENT = ("category_id", "bbox", "segmentation", "keypoints", "score")
_UNKNOWN_SIZE = (None, None)
_packed = struct.Struct("<5d").pack
_canonical_json = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(slots=True)
class CocoReader:
    """Reads the COCO files of one source.

    `geometry` says what an annotation is sent as. `truths` is needed for result files only; a ground truth brings its own.
    `image_folder` (path or URL) is put before file names to find the images; without it `coco_url` or `flickr_url` is used.
    """

    geometry: Geometry = "box"
    truths: CocoTruths | None = None
    image_folder: str | None = None
    reference_id: Callable[[Mapping[str, Any]], str] | None = None
    predictions: bool = False
    _warned: set[str] = field(default_factory=set)

    def objects(self, source_file: SourceFile, *, place: int = 0, places: int = 1) -> Iterator[RowBatch]:
        """Yield annotations or predictions of one file, numbered by their position in it.

        The file is at *place* of *places* of the source: results belong to the ground truth at the same place, where there are several.
        """
        with open_plain(source_file) as stream:
            document = JsonFile(stream, source_file.name)
            opening = document.peek()
            if opening == b"[" and self.truths is not None:
                self._refuse_foreign(source_file)
                truths = self.truths.of_file(source_file, place, places)
                yield from self._batches(
                    document, source_file.name, lambda element: self._object_rows(element, truths)
                )
                document.finish()
                return
        if opening == b"[":
            self._refuse_foreign(source_file)
            raise NucleusConfigError(
                f"{source_file.name} holds COCO results, which name neither images nor categories.",
                field="categories",
                hint="Name the ground truth file: ground_truth= of an upload operator, --ground-truth of `nucleus-local check`, categories= of "
                "open_rows.",
            )
        if opening != b"{":
            raise no_coco(source_file, ["annotations"])
        if self.truths is None:
            own = CocoTruths([read_index(source_file, reference_id=self.reference_id)])
        else:
            own = self.truths.of_file(source_file, place, places)
        yield from self._section(source_file, "annotations", lambda element: self._object_rows(element, own))

    def items(self, source_file: SourceFile) -> Iterator[RowBatch]:
        """Yield the images of one ground truth file as dataset items."""
        images = CocoImages(unique_names=self.reference_id is None)
        yield from self._section(source_file, "images", lambda image: [self._item(image, images)])

    @staticmethod
    def _refuse_foreign(source_file: SourceFile) -> None:
        """Raise for a list that is in the layout of another tool."""
        with open_plain(source_file) as stream:
            likeness = looks_like(stream.read(HEAD))
        if likeness not in {None, "COCO results"}:
            raise NucleusValidationError(
                "",
                f"is no list of COCO results; it looks like {likeness}",
                source=source_file.name,
                hint="COCO results are a list of objects with image_id, category_id, bbox and score.",
            )

    def _section(
        self, source_file: SourceFile, section: str, convert: Callable[[Any], list[Row]]
    ) -> Iterator[RowBatch]:
        found = False
        with open_plain(source_file) as stream:
            document = JsonFile(stream, source_file.name)
            if document.peek() != b"{":
                raise no_coco(source_file, [section])
            for key in document.members():
                if key != section:
                    document.skip()
                    continue
                if document.peek() != b"[":
                    raise NucleusValidationError(section, "must be a list", source=source_file.name)
                found = True
                yield from self._batches(document, source_file.name, convert)
            document.finish()
        if not found:
            raise no_coco(source_file, [section])

    @staticmethod
    def _batches(document: JsonFile, name: str, convert: Callable[[Any], list[Row]]) -> Iterator[RowBatch]:
        number = 0
        for elements in document.batches():
            numbers: list[int] = []
            rows: list[Row] = []
            problems: list[SourceRow] = []
            named = False
            for element in elements:
                number += 1
                try:
                    made = convert(element)
                    named = named or element.get("id") is not None
                except ValueError as error:
                    problems.append(SourceRow(name, number, _excerpt(element), str(error)))
                else:
                    rows.extend(made)
                    numbers.extend([number] * len(made))
            yield RowBatch(name, numbers, rows, problems, made_ids=not named)

    def _object_rows(self, element: Any, truths: CocoTruths) -> list[Row]:
        image_id, category_id = object_ids(element)
        index = truths.index(image_id)
        reference, category = index.reference(image_id), index.category(category_id)
        normal = normal_object(
            element, self.geometry, predicted=self.predictions, image=index.sizes.get(image_id, _UNKNOWN_SIZE)
        )
        row: Row = {
            "label": category.name,
            "type": self.geometry,
            "geometry": None,
            "reference_id": reference,
            "annotation_id": _annotation_id(element, normal),
            "metadata": self._metadata(element, normal),
        }
        if normal.get("score") is not None:
            row["confidence"] = normal["score"]
        if self.geometry == "polygon":
            return _polygons(normal, row)
        if self.geometry == "box":
            row["geometry"] = _box(normal["bbox"])
        else:
            row["geometry"] = self._keypoints(normal["keypoints"], category, index)
        return [row]

    def _metadata(self, element: Mapping[str, Any], normal: Mapping[str, Any]) -> Row:
        if self.predictions:
            # COCO's tools take no notice of the area a result states, and take a polygon's from its box.
            area = normal.get("area")
            if self.geometry == "polygon" and "bbox" in normal:
                area = float(normal["bbox"][2] * normal["bbox"][3])
            return {} if area is None else {"iscrowd": 0, "area": area}
        kept: Row = {"iscrowd": normal["iscrowd"]} if normal["iscrowd"] or "iscrowd" in element else {}
        if "area" in normal:
            kept["area"] = normal["area"]
        # An object without a labelled keypoint is nowhere but in its box.
        if self.geometry == "keypoints" and "bbox" in normal:
            kept["bbox"] = normal["bbox"]
        return kept

    def _keypoints(self, flat: list[Any], category: CocoCategory, index: CocoIndex) -> Row:
        points: list[Row] = []
        for x, y, flag in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
            # Truth: 0 is not labelled, 1 is labelled but hidden, 2 is visible. In results it is no visibility.
            if self.predictions or flag >= 2:
                points.append({"x": x, "y": y, "visible": True})
            elif flag > 0:
                points.append({"x": x, "y": y, "visible": False})
            else:
                points.append({"x": None, "y": None, "visible": False})
        names, skeleton = list(category.keypoints), category.skeleton
        if not points:
            # An object that has none is ignored; it still has to be there.
            points = [{"x": None, "y": None, "visible": False} for _ in names or ("0",)]
        if names and len(names) != len(points):
            self._warn(
                f"{index.name}: category {category.name!r} names {len(names)} keypoints, and objects have {len(points)}: their names and "
                "skeleton are left out"
            )
            names, skeleton = [], ()
        names = names or [str(position) for position in range(len(points))]
        if skeleton and max(map(max, skeleton)) >= len(points):
            self._warn(
                f"{index.name}: the skeleton of category {category.name!r} joins more keypoints than objects have ({len(points)}): it is "
                "left out"
            )
            skeleton = ()
        return {"keypoints": points, "names": names, "skeleton": [list(pair) for pair in skeleton] or None}

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            log.warning("%s", text)

    def _item(self, image: Any, images: CocoImages) -> Row:
        entry = images.add(image, named=True)
        name = str(entry.file_name)
        if self.image_folder:
            address = in_folder(self.image_folder, name.lstrip("/"))
        else:
            address = image.get("coco_url") or image.get("flickr_url") or ""
            if not address:
                raise ValueError("has no coco_url, and no image folder was given")
        metadata = image.get("metadata")
        row: Row = {
            "metadata": dict(metadata) if isinstance(metadata, Mapping) else {},
            "reference_id": name if self.reference_id is None else self.reference_id(image_fields(image)),
            "image_url": address,
        }
        sides = {"width": entry.width, "height": entry.height}
        row.update({side: pixels for side, pixels in sides.items() if pixels is not None})
        return row


def _annotation_id(element: Mapping[str, Any], normal: Mapping[str, Any]) -> str:
    """Return the id that the file gives, else one that the object has wherever it stands.

    A position would not do: shards that are uploaded side by side would give one id to different objects of an image.
    """
    if (number := normal.get("id")) is not None:
        return f"coco-{number}"
    digest = hashlib.blake2b(_content(element), digest_size=8).hexdigest()
    return f"coco-{normal['image_id']}-{digest}"


def _content(element: Mapping[str, Any]) -> bytes:
    """Return what identifies an object of an image; for boxes, which come by the million, without writing their numbers as text."""
    if not element.get("segmentation") and not element.get("keypoints"):
        try:
            return repr(element["category_id"]).encode() + _packed(*element["bbox"], element["score"])
        except (KeyError, TypeError, struct.error):
            pass
    return _canonical_json([element.get(name) for name in _CONTENT]).encode("utf-8", "surrogatepass")


def _box(bbox: list[Any]) -> Row:
    x, y, width, height = bbox
    return {"x": x, "y": y, "width": width, "height": height}


def _polygons(normal: Mapping[str, Any], row: Row) -> list[Row]:
    segmentation = normal.get("segmentation")
    if isinstance(segmentation, Mapping):
        if not normal.get("iscrowd"):
            raise CocoError(
                "segmentation",
                "is a run-length mask, which cannot be sent as polygon; read it with geometry='box'",
            )
        return [{**row, "type": "box", "geometry": _box(box_of_rle(segmentation))}]
    if not segmentation:
        raise CocoError("segmentation", "is missing; read it with geometry='box'")
    rings = [_ring(ring) for ring in segmentation]
    if len(rings) == 1:
        row["geometry"] = {"vertices": rings[0]}
        return [row]
    return [
        {
            **row,
            "geometry": {"vertices": ring},
            "annotation_id": f"{row['annotation_id']}-{number}",
            "metadata": {**row["metadata"], "part": number, "parts": len(rings)},
        }
        for number, ring in enumerate(rings, 1)
    ]


def _ring(flat: list[Any]) -> list[Row]:
    return [{"x": x, "y": y} for x, y in zip(flat[::2], flat[1::2], strict=True)]


def _excerpt(element: Any) -> Row:
    return element if isinstance(element, dict) else {"raw": repr(element)[:10_000]}
