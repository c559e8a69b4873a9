"""The table of the formats of other tools that are read as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.sources.layouts.cvat import read_cvat
from airflow_provider_nucleus.sources.layouts.labelme import read_labelme
from airflow_provider_nucleus.sources.layouts.text_labels import read_kitti, read_yolo
from airflow_provider_nucleus.sources.layouts.via import read_via
from airflow_provider_nucleus.sources.layouts.voc import read_voc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.schema.batches import RowBatch
    from airflow_provider_nucleus.sources.files import SourceFile
    from airflow_provider_nucleus.sources.mapping import RowMapping

__all__ = ["DOCUMENT_FORMATS", "document_mapping", "read_objects_of"]

_READERS = {
    "cvat": read_cvat,
    "kitti": read_kitti,
    "labelme": read_labelme,
    "via": read_via,
    "voc": read_voc,
}
DOCUMENT_FORMATS = frozenset({*_READERS, "yolo"})
"""Names of the formats."""


def read_objects_of(
    source_file: SourceFile, form: str, *, geometry: str, mapping: RowMapping, kind: str
) -> Iterator[RowBatch]:
    """Yield the objects of a file as rows, whose labels and ids the mapping may still change."""
    if kind == "items":
        raise NucleusConfigError(
            f"{source_file.name} is {form}, which says where no image can be fetched: it has annotations only.",
            field="source",
            hint="Append the images from rows with reference_id and image_url, or from COCO.",
        )
    if geometry == "keypoints":
        raise NucleusConfigError(
            f"{source_file.name} is {form}, of which boxes and polygons are read.", field="geometry"
        )
    if form == "yolo":
        return read_yolo(source_file, geometry, mapping.image_size)
    return _READERS[form](source_file, geometry)


def document_mapping(mapping: RowMapping, source_file: SourceFile, form: str) -> RowMapping:
    """Return what of a mapping there is to do for such a file; NucleusConfigError for names of fields, which are known."""
    if mapping.fields or mapping.explode or mapping.makes_box:
        raise NucleusConfigError(
            f"{source_file.name} is {form}, whose fields are known: labels, scores, min_confidence, image_size, patterns and "
            "templates can be mapped.",
            field="mapping",
        )
    # A template drops what the reader offers to templates beside the fields of the wire.
    return replace(mapping, reference_id=mapping.reference_id or "{reference_id}")
