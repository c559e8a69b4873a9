"""The normal form of one annotation or result: every field that is looked at, judged, and spelt in one way.

`normal_object` is what all readers agree on. What it returns is plain JSON again: ids in normal form, `iscrowd` 0 or 1, `bbox` four
numbers, `segmentation` a list of flat rings or a run-length mask, `keypoints` a flat list. A field that is not looked at (the mask of an
object that is compared as a box and has one) is not judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from airflow_provider_nucleus.coco.errors import CocoError, excerpt
from airflow_provider_nucleus.coco.fields import area_of, box_of, crowd_of, flat_keypoints, rings_of, score_of
from airflow_provider_nucleus.coco.ids import id_of, normal_id
from airflow_provider_nucleus.coco.run_lengths import area_of_rle, box_of_rle, runs_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Shape", "normal_object", "object_ids"]

Shape: TypeAlias = Literal["box", "polygon", "keypoints"]
Size: TypeAlias = tuple[int | None, int | None]

_UNKNOWN: Size = (None, None)


def object_ids(row: Any) -> tuple[int | str, int | str]:
    """Return image id and category id of an annotation or result."""
    if type(row) is not dict:
        raise CocoError("", f"must be an object, got {excerpt(row)}; correct the file, or leave it out")
    return id_of(row, "image_id"), id_of(row, "category_id")


def normal_object(
    row: dict[str, Any], shape: Shape, *, predicted: bool, image: Size = _UNKNOWN
) -> dict[str, Any]:
    """Return an object in its normal form, with what is needed to look at it as *shape*; raises CocoError.

    *image* is height and width of its image, as far as they are known. Of ground truth the result has `iscrowd`, and `area` where given;
    of a prediction `score`, and `area` where COCO's tools see another size than that of the shape (a box made from a mask has the mask's).
    Keypoints of results are all there, whatever their third number is; those of ground truth with `num_keypoints` 0 are not labelled.
    """
    image_id, category_id = object_ids(row)
    normal: dict[str, Any] = {"image_id": image_id, "category_id": category_id}
    if (number := row.get("id")) is not None:
        normal["id"] = normal_id(number)
    if predicted:
        normal["score"] = score_of(row.get("score"))
    else:
        normal["iscrowd"] = crowd_of(row.get("iscrowd"))
        if (area := area_of(row.get("area"))) is not None:
            normal["area"] = area
    box = row.get("bbox")
    if shape == "box":
        _add_box(normal, row, box, predicted=predicted, image=image)
    elif shape == "polygon":
        if (segmentation := _segmentation(row.get("segmentation"), image)) is not None:
            normal["segmentation"] = segmentation
        if box is not None and box != [] and predicted:
            normal["bbox"] = box_of(box)
    else:
        normal["keypoints"] = _keypoints(row, predicted=predicted)
        if not predicted and box is not None and box != []:
            normal["bbox"] = box_of(box)
    return normal


def _add_box(
    normal: dict[str, Any], row: Mapping[str, Any], box: Any, *, predicted: bool, image: Size
) -> None:
    if box is not None and box != []:
        normal["bbox"] = box_of(box)
        return
    segmentation = _segmentation(row.get("segmentation"), image)
    if segmentation is None:
        other = "; it has keypoints: compare those" if row.get("keypoints") else ""
        raise CocoError("bbox", f"is missing, and there is no segmentation to take it from{other}")
    if isinstance(segmentation, dict):
        normal["bbox"] = box_of_rle(segmentation)
        if predicted:
            normal["area"] = area_of_rle(segmentation)
        return
    xs = [x for ring in segmentation for x in ring[::2]]
    ys = [y for ring in segmentation for y in ring[1::2]]
    left, top = min(xs), min(ys)
    normal["bbox"] = box_of([left, top, max(xs) - left, max(ys) - top])


def _segmentation(value: Any, image: Size) -> Any:
    """Return rings, or a run-length mask with its size; None where nothing is drawn."""
    if value is None:
        return None
    if isinstance(value, dict):
        height, width, _ = runs_of(value, image)
        return {"size": [height, width], "counts": value["counts"]}
    return rings_of(value) or None


def _keypoints(row: Mapping[str, Any], *, predicted: bool) -> list[Any]:
    flat = flat_keypoints(row.get("keypoints"))
    if predicted:
        if not flat:
            raise CocoError("keypoints", "is missing")
        return flat
    labelled = row.get("num_keypoints")
    if labelled is not None and (
        type(labelled) not in {int, float} or labelled < 0 or labelled != labelled // 1
    ):
        raise CocoError("num_keypoints", f"must be a whole number from 0, got {excerpt(labelled)}")
    if not flat and labelled:
        raise CocoError("keypoints", f"is missing, and num_keypoints says {labelled}")
    if labelled == 0:
        # Not labelled, whatever stands there.
        return [0 if at % 3 == 2 else value for at, value in enumerate(flat)]
    return flat
