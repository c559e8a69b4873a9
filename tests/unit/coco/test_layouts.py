"""Foreign layouts are known by their first bytes."""

from __future__ import annotations

import json

import pytest

from airflow_provider_nucleus.coco.layouts import looks_like, outline

FOREIGN = [
    ({"version": "5.0", "flags": {}, "shapes": [{"label": "cat", "points": [[1, 2]]}], "imagePath": "a.jpg"}, "labelme"),
    ({"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {}}]}, "GeoJSON"),
    ({"_via_settings": {}, "_via_img_metadata": {}}, "VIA"),
    ({"a.jpg1": {"filename": "a.jpg", "size": 1, "regions": []}}, "VIA"),
    ([{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}], "Label Studio"),
    ([{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {}}]}], "CreateML"),
    ({"info": {}, "categories": {}, "items": []}, "Datumaro"),
    ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}], "COCO results"),
    ({"reference_id": "a", "label": "b"}, "Nucleus"),
]  # fmt: skip


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(("document", "name"), FOREIGN, ids=[name for _, name in FOREIGN])
def test_layouts_are_named(document, name: str, indent):
    """On one line or pretty-printed, with a byte order mark or without."""
    text = json.dumps(document, indent=indent).encode()

    assert name in (looks_like(text) or "")
    assert name in (looks_like(b"\xef\xbb\xbf" + text) or "")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"<annotation><folder>", "Pascal VOC"),
        (b"<?xml version='1.0'?><annotations>", "CVAT"),
        (b"<!DOCTYPE html><html>", "page"),
        (b"version https://git-lfs.github.com/spec/v1", "LFS"),
        ('{"images"'.encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04....", "zip"),
    ],
)
def test_other_bytes_are_named(head: bytes, name: str):
    """What is no JSON is said by its first bytes."""
    assert name in (looks_like(head) or "")


@pytest.mark.parametrize(
    "document",
    [{}, [], {"a": 1}, [1], {"images": [], "annotations": [], "categories": []}, "x", [[{"a": 1}]]],
)
def test_what_is_not_known_has_no_name(document):
    """Nothing is guessed; COCO itself is not foreign."""
    assert looks_like(json.dumps(document).encode()) is None


def test_an_outline_is_read_from_any_part_of_a_document():
    """Names of the top and of the first object inside; a cut document shows fewer, values with brackets do not count."""
    text = json.dumps({"a": "}{[", "b": [{"c": {"d": 1}, "e": 2}, {"f": 3}], "g": 4}).encode()
    whole = outline(text)

    assert (whole.kind, whole.members, whole.inner) == ("object", {"a", "b", "g"}, {"c", "e"})
    for end in range(len(text)):
        cut = outline(text[:end])
        assert cut.members <= whole.members
        assert cut.inner <= whole.inner
