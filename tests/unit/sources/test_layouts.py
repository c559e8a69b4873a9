"""Files of other tools, read as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.sources import RowMapping, open_rows

if TYPE_CHECKING:
    from pathlib import Path

VOC = """<annotation><folder>f</folder><filename>a.jpg</filename><size><width>500</width><height>375</height><depth>3</depth></size>
<object><name>car</name><difficult>1</difficult><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object>
<object><name>bus</name><bndbox><xmin>9</xmin><ymin>20</ymin><xmax>4</xmax><ymax>60</ymax></bndbox></object></annotation>"""
CVAT = """<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>
<image id="0" name="a.jpg" width="500" height="375"><box label="car" xtl="10" ytl="20" xbr="40" ybr="60" occluded="0"/>
<polyline label="lane" points="1,2;3,4"/></image></annotations>"""
LABELME = {
    "version": "5",
    "imagePath": "../images/a.jpg",
    "shapes": [
        {"label": "car", "points": [[40, 60], [10, 20]], "shape_type": "rectangle", "group_id": None},
        {"label": "lane", "points": [[1, 2], [3, 4]], "shape_type": "linestrip"},
    ],
}
VIA = {
    "_via_settings": {},
    "_via_img_metadata": {
        "a.jpg1": {
            "filename": "a.jpg",
            "size": 1,
            "regions": [
                {"shape_attributes": {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40}, "region_attributes": {"type": "car"}},
                {"shape_attributes": {"name": "point", "cx": 10, "cy": 20}, "region_attributes": {"type": "car"}},
            ],
        }
    },
}  # fmt: skip
KITTI = "car 0.00 0 -1.57 10 20 40 60 1.6 1.7 3.9 1.8 1.4 8.4 0.01 0.5\nDontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10\ncar 1 2\n"
YOLO = "0 0.25 0.4 0.3 0.4 0.5\n0 300 2 3 4\n"
FILES = {
    "voc": ("a.xml", VOC),
    "cvat": ("a.xml", CVAT),
    "labelme": ("a.json", json.dumps(LABELME, indent=1)),
    "labelme on one line": ("a.json", json.dumps(LABELME)),
    "via": ("a.json", json.dumps(VIA)),
    "kitti": ("a.txt", KITTI),
    "yolo": ("a.txt", YOLO),
}


@pytest.mark.parametrize("form", FILES)
def test_a_file_of_another_tool_is_recognised_and_read(tmp_path: Path, form: str):
    """As boxes, with the image's name; what is no box is a bad row with its number."""
    name, text = FILES[form]
    path = tmp_path / name
    path.write_text(text)
    mapping = RowMapping(
        image_size=(100, 100) if form == "yolo" else None,
        labels={0: "car"},
        reference_id="{stem}.jpg" if name.endswith(".txt") else None,
    )
    batches = list(open_rows(str(path), kind="predictions", mapping=mapping).batches())
    ((good, problem),) = [(list(batch.rows), list(batch.problems)) for batch in batches]

    (row,) = good
    assert (row["label"], row["type"], row["reference_id"]) == ("car", "box", "a.jpg")
    assert row["geometry"] == pytest.approx({"x": 10, "y": 20, "width": 30, "height": 40})
    assert set(row) <= {"label", "type", "geometry", "reference_id", "metadata", "confidence"}
    assert row.get("confidence", 0.5) == 0.5
    assert problem[0].number == (3 if form == "kitti" else 2)
    assert sum(batches[0].left_out.values()) == (1 if form == "kitti" else 0)


def test_outlines_are_polygons_where_that_is_asked_for(tmp_path: Path):
    """A rectangle is one as well."""
    path = tmp_path / "a.json"
    path.write_text(FILES["labelme"][1])
    row = next(open_rows(str(path), kind="annotations", geometry="polygon"))

    assert row.data["type"] == "polygon"
    assert len(row.data["geometry"]["vertices"]) == 4


def test_yolo_without_a_size_says_what_is_missing(tmp_path: Path):
    """Shares of a side are no pixels."""
    path = tmp_path / "a.txt"
    path.write_text(YOLO)
    with pytest.raises(NucleusConfigError, match="image_size"):
        list(open_rows(str(path), kind="predictions"))


def test_xml_that_declares_entities_is_refused_unread(tmp_path: Path):
    """They may grow without end."""
    path = tmp_path / "a.xml"
    path.write_text('<!DOCTYPE a [<!ENTITY b "bb">]>' + VOC)
    with pytest.raises(NucleusValidationError, match="entities"):
        list(open_rows(str(path), kind="annotations", format="voc"))


@pytest.mark.parametrize("form", ["voc", "cvat", "labelme", "via"])
@pytest.mark.parametrize("text", ["", "{}", "[]", "<a/>", "<annotation/>", "<annotations/>", '{"shapes": 3, "imagePath": 4}', "\ud7ff"])  # fmt: skip
def test_a_file_that_is_not_what_it_is_read_as_is_refused_by_name(tmp_path: Path, form: str, text: str):
    """Never an empty success."""
    path = tmp_path / "a"
    path.write_text(text)
    with pytest.raises(NucleusValidationError, match="a: "):
        list(open_rows(str(path), kind="annotations", format=form))


CVAT_BOX = '<box label="car" xtl="1" ytl="2" xbr="3" ybr="4" {}/>'
BAD_FRAME = CVAT_BOX.format('frame="x"')
DEEP = f"<polygon label='car' points='1'>{'<a>' * 3000}{'</a>' * 3000}</polygon>"
REGION = {"shape_attributes": {"name": "rect", "x": 1, "y": 1, "width": 2, "height": 3}, "region_attributes": {"a": "car"}}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "text", "said"),
    [
        ("cvat", f"<annotations><image>{CVAT_BOX.format('')}</image></annotations>", "its image has no name"),
        ("cvat", f"<annotations><track>{BAD_FRAME}</track></annotations>", "'x', which is no number of a frame"),
        ("cvat", f"<annotations><track>{CVAT_BOX.format('')}</track></annotations>", "no number of a frame"),
        ("cvat", f"<annotations><image name='a'>{DEEP}</image></annotations>", ""),
        ("via", json.dumps({"a": {"filename": "a", "regions": 5}}), "must be an object, got int"),
        ("via", json.dumps({"a": {"filename": None, "regions": [REGION]}}), "reference_id"),
        ("labelme", json.dumps({"imagePath": "a", "shapes": [{"label": "a", "shape_type": "circle", "points": [[0, 0], [10**400, 0]]}]}), ""),
        ("labelme", json.dumps({"imagePath": "a", "shapes": [3]}), ""),
    ],
)  # fmt: skip
def test_an_object_that_cannot_be_read_is_a_bad_row(tmp_path: Path, form: str, text: str, said: str):
    """Whatever is wrong with it: never an error without its file and number, and never the id "None"."""
    path = tmp_path / "a"
    path.write_text(text)
    (row,) = open_rows(str(path), kind="annotations", format=form)

    assert row.number == 1
    assert row.problem is not None
    assert said in row.problem
