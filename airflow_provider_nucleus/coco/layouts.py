"""Layouts of annotation files that are not COCO, known by their first bytes: `looks_like` names the one a document has.

A layout is a line of `_OBJECTS` (the document is an object) or `_LISTS` (it is a list of objects). It lists the members that
must be there, all of them, and what a message calls such a file. The first that fits is taken, so the more particular come first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["HEAD", "DocumentOutline", "looks_like", "outline"]

HEAD: Final = 1 << 16
"""Bytes of a document that are looked at."""

_OBJECTS: Final[tuple[tuple[frozenset[str], str], ...]] = tuple(
    (frozenset(members.split()), name)
    for members, name in (
        ("shapes imagePath", "a labelme file, one image each"),
        ("shapes imageData", "a labelme file, one image each"),
        ("features type", "GeoJSON"),
        ("_via_img_metadata", "a project of the VGG Image Annotator (VIA)"),
        ("_via_settings", "a project of the VGG Image Annotator (VIA)"),
        ("project config attribute file metadata view", "a project of the VGG Image Annotator (VIA 3)"),
        ("openlabel", "ASAM OpenLABEL"),
        ("vcd", "a video content description (VCD, OpenLABEL's forerunner)"),
        ("info categories items", "a Datumaro file"),
        ("metainfo data_list", "an annotation file of OpenMMLab"),
        ("data_row projects", "an export of Labelbox"),
        ("item annotations version", "a Darwin file of V7"),
        ("dataset image annotations", "a Darwin file of V7"),
        ("objects size tags", "a Supervisely file, one image each"),
        ("imgHeight imgWidth objects", "a Cityscapes file, one image each"),
        ("samples", "an export of FiftyOne"),
        ("classes labels", "labels as FiftyOne exports them"),
        ("source-ref", "a manifest of SageMaker Ground Truth"),
        ("frames config", "a Scalabel file (BDD100K)"),
        ("boxes scores labels", "predictions of one image as lists of boxes, scores and labels"),
        ("bboxes scores labels", "predictions of one image as OpenMMLab writes them"),
        ("image_id category_id", "one COCO result; results are a list of them, in [ ]"),
        ("reference_id", "a row in Nucleus' own form"),
        ("image annotations", "labels of one image (CreateML's are a list of such)"),
    )
)

_LISTS: Final[tuple[tuple[frozenset[str], str], ...]] = tuple(
    (frozenset(members.split()), name)
    for members, name in (
        ("image_id category_id", "COCO results"),
        ("reference_id", "rows in Nucleus' own form"),
        ("data annotations", "an export of Label Studio"),
        ("data predictions", "an export of Label Studio"),
        ("image label", "an export of Label Studio (its short form)"),
        ("image annotations", "a CreateML file"),
        ("imagefilename annotation", "a CreateML file"),
        ("file_name annotations", "a list of detectron2's records"),
        ("data_row projects", "an export of Labelbox"),
        ("uuid dataRow", "annotations to import into Labelbox"),
        ("source-ref", "a manifest of SageMaker Ground Truth"),
        ("name labels", "a Scalabel file (BDD100K)"),
        ("filename regions", "annotations of the VGG Image Annotator (VIA)"),
        ("boxes scores labels", "predictions as lists of boxes, scores and labels of each image"),
        ("bboxes labels", "predictions as lists of boxes and labels of each image"),
        ("filename detections", "detections by file"),
        ("shapes imagePath", "labelme files joined to a list"),
    )
)

_LABELBOX: Final = "Labeled Data"
_VIA_IMAGE: Final = frozenset({"filename", "regions"})
_COCO: Final = frozenset({"images", "annotations"})

_STARTS: Final = (
    (re.compile(rb"<\?xml|<annotation"), None),
    (re.compile(rb"<!doctype html|<html", re.IGNORECASE), "a page of the web (a login or an error page?)"),
    (re.compile(rb"version https://git-lfs"), "a pointer of Git LFS: the file itself was not fetched"),
    (re.compile(rb"PK\x03\x04"), "a zip archive: unpack it"),
    (re.compile(rb"PAR1"), "Parquet"),
    (re.compile(rb"\x89HDF"), "an HDF5 file"),
    (re.compile(rb"\x89PNG|\xff\xd8\xff"), "an image"),
    (re.compile(rb"\x80[\x02-\x05]"), "a Python pickle"),
)

_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]')


@dataclass(frozen=True, slots=True)
class DocumentOutline:
    """The top of a JSON document as far as its head shows it.

    *kind* is `object`, `list` or `other`; *members* are those of the object itself, or of the first object in the list;
    *inner* those of the first object inside of either.
    """

    kind: Literal["object", "list", "other"]
    members: frozenset[str]
    inner: frozenset[str]


def outline(head: bytes) -> DocumentOutline:
    """Read the names of members from the first bytes of a document, whole or cut anywhere."""
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head[:1] not in {b"{", b"["}:
        return DocumentOutline("other", frozenset(), frozenset())
    depth = 0
    levels: list[int] = []  # of the outer object and the first one inside of it
    names: tuple[set[str], set[str]] = (set(), set())
    inside = False
    last: bytes | None = None
    for token in _TOKEN.finditer(head):
        sign = token[0]
        if sign in {b"{", b"["}:
            depth += 1
            if sign == b"{" and len(levels) < 2:
                levels.append(depth)
                inside = len(levels) == 2
        elif sign in {b"}", b"]"}:
            if inside and depth == levels[1]:
                inside = False
            depth -= 1
            if levels and depth < levels[0]:
                break
        elif sign == b":" and last is not None and levels:
            if depth == levels[0]:
                names[0].add(last[1:-1].decode("utf-8", "replace"))
            elif inside and depth == levels[1]:
                names[1].add(last[1:-1].decode("utf-8", "replace"))
        last = sign if sign[:1] == b'"' else None
    return DocumentOutline("object" if head[:1] == b"{" else "list", frozenset(names[0]), frozenset(names[1]))


def looks_like(head: bytes) -> str | None:
    """Return what the document that begins with *head* looks like, as a noun with its article; None when that is not known.

    A COCO ground truth, which this is not asked about, is None as well.
    """
    head = head[:HEAD]
    if head.startswith(_UTF16):
        return "text in UTF-16"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, name in _STARTS:
        if pattern.match(start):
            return name or _xml(start)
    found = outline(start)
    if found.kind == "object" and found.members >= _COCO:
        return "a COCO panoptic file" if "segments_info" in found.inner else None
    if found.kind == "object" and found.inner >= _VIA_IMAGE:
        return "annotations of the VGG Image Annotator (VIA)"
    if found.kind == "list" and _LABELBOX in found.members:
        return "an export of Labelbox"
    layouts = {"object": _OBJECTS, "list": _LISTS, "other": ()}[found.kind]
    return next((name for members, name in layouts if found.members >= members), None)


def _xml(start: bytes) -> str:
    if b"<annotations" in start:
        return "XML of CVAT"
    return "Pascal VOC's XML, one image each" if b"<annotation" in start else "XML"
