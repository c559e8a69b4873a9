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
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.schema.batches import RowBatch
from airflow_provider_nucleus.schema.rows import SourceRow
from airflow_provider_nucleus.sources.coco_index import CocoCategory, CocoIndex, image_fields, load_index
from airflow_provider_nucleus.sources.files import SourceFile, in_folder, open_plain
from airflow_provider_nucleus.sources.json_stream import JsonFile
from airflow_provider_nucleus.sources.rle import area_of_rle, box_of_rle

__all__ = ["CocoReader", "Geometry"]

Geometry = Literal["box", "polygon", "keypoints"]
Row = dict[str, Any]
_CONTENT = ("category_id", "bbox", "segmentation", "keypoints", "score")
_packed = struct.Struct("<5d").pack
_canonical_json = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(slots=True)
class CocoReader:
    """Reads the COCO files of one source.

    `geometry` says what an annotation is sent as. `index` is needed for result files only; a ground truth brings its own.
    `image_folder` (path or URL) is put before file names to find the images; without it `coco_url` or `flickr_url` is used.
    """

    geometry: Geometry = "box"
    index: CocoIndex | None = None
    image_folder: str | None = None
    reference_id: Callable[[Mapping[str, Any]], str] | None = None
    predictions: bool = False

    def objects(self, source_file: SourceFile) -> Iterator[RowBatch]:
        """Yield annotations or predictions of one file, numbered by their position in it."""
        index = self.index
        with open_plain(source_file) as stream:
            document = JsonFile(stream, source_file.name)
            is_results = document.peek() == b"["
            if is_results and index is not None:
                yield from self._batches(
                    document, source_file.name, lambda element: self._object_rows(element, index)
                )
                return
        if is_results:
            raise NucleusConfigError(
                f"{source_file.name} holds COCO results, which name neither images nor categories.",
                field="categories",
                hint="Name the ground truth file: ground_truth= of an upload operator, categories= of open_rows.",
            )
        own = index or load_index(source_file.path, reference_id=self.reference_id)
        yield from self._section(source_file, "annotations", lambda element: self._object_rows(element, own))

    def items(self, source_file: SourceFile) -> Iterator[RowBatch]:
        """Yield the images of one ground truth file as dataset items."""
        yield from self._section(source_file, "images", lambda image: [self._item(image)])

    def _section(
        self, source_file: SourceFile, section: str, convert: Callable[[Any], list[Row]]
    ) -> Iterator[RowBatch]:
        with open_plain(source_file) as stream:
            document = JsonFile(stream, source_file.name)
            for key in document.members():
                if key == section:
                    yield from self._batches(document, source_file.name, convert)
                else:
                    document.skip()

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
                except (KeyError, TypeError, AttributeError) as error:
                    problems.append(SourceRow(name, number, _excerpt(element), _malformed(error)))
                else:
                    rows.extend(made)
                    numbers.extend([number] * len(made))
            yield RowBatch(name, numbers, rows, problems, made_ids=not named)

    def _metadata(self, element: Mapping[str, Any]) -> Row:
        if self.predictions:
            # COCO's tools take no notice of the area a result states.
            area = _seen_area(element, self.geometry)
            return {} if area is None else {"iscrowd": 0, "area": area}
        # An object without a labelled keypoint is nowhere but in its box.
        kept = ("iscrowd", "area", "bbox") if self.geometry == "keypoints" else ("iscrowd", "area")
        return {name: element[name] for name in kept if name in element}

    def _object_rows(self, element: Mapping[str, Any], index: CocoIndex) -> list[Row]:
        image_id = element["image_id"]
        category = index.category(element["category_id"])
        row: Row = {
            "label": category.name,
            "type": self.geometry,
            "geometry": None,
            "reference_id": index.reference(image_id),
            "annotation_id": _annotation_id(element),
            "metadata": self._metadata(element),
        }
        if "score" in element:
            row["confidence"] = element["score"]
        if self.geometry == "polygon":
            return _polygons(element, row)
        row["geometry"] = (
            _box(element)
            if self.geometry == "box"
            else _keypoints(element, category, predicted=self.predictions)
        )
        return [row]

    def _item(self, image: Mapping[str, Any]) -> Row:
        name = str(image["file_name"])
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
        row.update({side: image[side] for side in ("width", "height") if image.get(side) is not None})
        return row


def _annotation_id(element: Mapping[str, Any]) -> str:
    """Return the id that the file gives, else one that the object has wherever it stands.

    A position would not do: shards that are uploaded side by side would give one id to different objects of an image.
    """
    if (number := element.get("id")) is not None:
        return f"coco-{number}"
    digest = hashlib.blake2b(_content(element), digest_size=8).hexdigest()
    return f"coco-{element['image_id']}-{digest}"


def _content(element: Mapping[str, Any]) -> bytes:
    """Return what identifies an object of an image; for boxes, which come by the million, without writing their numbers as text."""
    if not element.get("segmentation") and not element.get("keypoints"):
        try:
            return repr(element["category_id"]).encode() + _packed(*element["bbox"], element["score"])
        except (KeyError, TypeError, struct.error):
            pass
    return _canonical_json([element.get(name) for name in _CONTENT]).encode("utf-8", "surrogatepass")


def _box(element: Mapping[str, Any]) -> Row:
    if "bbox" in element:
        x, y, width, height = _numbers(element["bbox"], "bbox", 4)
    elif isinstance(element.get("segmentation"), Mapping):
        x, y, width, height = box_of_rle(element["segmentation"])
    elif element.get("segmentation"):
        corners = [_ring(ring) for ring in element["segmentation"]]
        xs = [point["x"] for ring in corners for point in ring]
        ys = [point["y"] for ring in corners for point in ring]
        x, y = min(xs), min(ys)
        width, height = max(xs) - x, max(ys) - y
    else:
        other = "; it has keypoints: read it with geometry='keypoints'" if "keypoints" in element else ""
        raise ValueError(f"has neither bbox nor segmentation{other}")
    return {"x": x, "y": y, "width": width, "height": height}


def _seen_area(element: Mapping[str, Any], geometry: Geometry) -> float | None:
    """Return the area COCO's tools give a result where that is not the area of the shape that is sent."""
    if geometry == "polygon" and element.get("bbox"):
        _, _, width, height = _numbers(element["bbox"], "bbox", 4)
        return float(width * height)
    if geometry == "box" and not element.get("bbox") and isinstance(element.get("segmentation"), Mapping):
        return area_of_rle(element["segmentation"])
    return None


def _polygons(element: Mapping[str, Any], row: Row) -> list[Row]:
    segmentation = element.get("segmentation")
    if isinstance(segmentation, Mapping):
        if not element.get("iscrowd"):
            raise ValueError("its run-length mask cannot be sent as polygon; read it with geometry='box'")
        return [{**row, "type": "box", "geometry": _box(element)}]
    if not segmentation:
        raise ValueError("has no segmentation; read it with geometry='box'")
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


def _ring(flat: Any) -> list[Row]:
    if not isinstance(flat, list) or len(flat) < 6 or len(flat) % 2:
        raise ValueError("a ring of its segmentation is not a list of at least three x, y pairs")
    return [{"x": x, "y": y} for x, y in zip(flat[::2], flat[1::2], strict=True)]


def _keypoints(element: Mapping[str, Any], category: CocoCategory, *, predicted: bool) -> Row:
    flat = element.get("keypoints")
    if not flat:
        raise ValueError("has no keypoints")
    values = _numbers(flat, "keypoints", len(flat) - len(flat) % 3)
    points: list[Row] = []
    for x, y, flag in zip(values[::3], values[1::3], values[2::3], strict=True):
        # Truth: 0 is not labelled, 1 is labelled but hidden, 2 is visible. Results carry a score there instead.
        seen = flag > 0 if predicted else flag >= 2
        points.append({"x": x, "y": y, "visible": True} if seen else _hidden(x, y, flag))
    names = list(category.keypoints) or [str(position) for position in range(len(points))]
    return {
        "keypoints": points,
        "names": names,
        "skeleton": [list(pair) for pair in category.skeleton] or None,
    }


def _hidden(x: float, y: float, flag: float) -> Row:
    return {"x": x, "y": y, "visible": False} if flag > 0 else {"x": None, "y": None, "visible": False}


def _numbers(values: Any, name: str, count: int) -> list[Any]:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"{name} must be a list of {count} numbers")
    return values


def _excerpt(element: Any) -> Row:
    return element if isinstance(element, dict) else {"raw": repr(element)[:10_000]}


def _malformed(error: Exception) -> str:
    return f"lacks {error}" if isinstance(error, KeyError) else f"is malformed: {error}"
