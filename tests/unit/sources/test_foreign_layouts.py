"""Layouts of other tools through a mapping: the same rows, whichever format they come in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.schema.batches import ColumnRows
from airflow_provider_nucleus.schema.box_columns import check_box_columns
from airflow_provider_nucleus.sources import RowMapping, open_rows

if TYPE_CHECKING:
    from pathlib import Path

FORMS = ("jsonl", "json", "parquet", "memory")


def written(rows: list[dict[str, Any]], form: str, folder: Path) -> Any:
    """Write the rows in a format and return the source."""
    path = folder / f"rows.{form}"
    if form == "memory":
        return [dict(row) for row in rows]
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif form == "json":
        path.write_text(json.dumps(rows, indent=1))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


@pytest.fixture(params=FORMS)
def read(request: pytest.FixtureRequest, tmp_path: Path):
    """Return good rows, and the problems by row number, of rows in one of the formats."""

    def read(rows: list[dict[str, Any]], kind: str = "predictions", **mapping: Any):
        source = written(rows, request.param, tmp_path)
        found = list(open_rows(source, kind=kind, mapping=RowMapping(**mapping)))
        return [row.data for row in found if row.problem is None], {
            row.number: row.problem for row in found if row.problem is not None
        }

    return read


def box(x: float, y: float, width: float, height: float) -> dict[str, float]:
    return {"x": x, "y": y, "width": width, "height": height}


CORNERS = {
    "path": "s3://b/images/day1/0001.jpg",
    "x1": 10,
    "y1": 20,
    "x2": 40,
    "y2": 60,
    "cls": 1,
    "conf": 0.9,
}


def test_corner_boxes_class_numbers_and_paths(read):
    """The commonest export: four corners by name, a class number, a path, a score."""
    good, bad = read(
        [CORNERS, {**CORNERS, "cls": 0}],
        fields={"label": "cls", "confidence": "conf"},
        box_format="xyxy",
        labels=["car", "bus"],
        reference_id="{path:relative(s3://b/images/)}",
    )

    assert not bad
    assert good == [
        {"type": "box", "geometry": box(10, 20, 30, 40), "label": label, "confidence": 0.9, "reference_id": "day1/0001.jpg"}
        for label in ("bus", "car")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "values", "expected"),
    [
        ("xywh", [10, 20, 30, 40], box(10, 20, 30, 40)),
        ("xyxy", [10, 20, 40, 60], box(10, 20, 30, 40)),
        ("cxcywh", [25, 40, 30, 40], box(10, 20, 30, 40)),
    ],
)
def test_a_box_is_one_list_in_every_format(read, form, values, expected):
    """Whole, or number by number with an index, spelt in either way."""
    names = {"xywh": ("x", "y", "width", "height"), "xyxy": ("x1", "y1", "x2", "y2"), "cxcywh": ("cx", "cy", "width", "height")}[form]  # fmt: skip
    row = {"reference_id": "a", "label": "car", "bbox": values}
    whole, _ = read([row], fields={"box": "bbox"}, box_format=form)
    by_index, _ = read([row], fields={name: f"bbox[{at}]" for at, name in enumerate(names)}, box_format=form)
    by_step, _ = read([row], fields={name: f"bbox.{at}" for at, name in enumerate(names)}, box_format=form)

    assert whole == by_index == by_step
    assert whole[0]["geometry"] == expected


def test_geometry_members_from_a_list(read):
    """The old way to name a box works with lists in every format as well."""
    row = {"reference_id": "a", "label": "car", "bbox": [1, 2, 3, 4]}
    fields = {f"geometry.{side}": f"bbox[{at}]" for at, side in enumerate(("x", "y", "width", "height"))}

    assert read([row], fields=fields)[0][0]["geometry"] == box(1, 2, 3, 4)


@pytest.mark.parametrize("sizes", ["columns", "constant"])
def test_normalised_boxes_need_the_size_of_their_image(read, sizes):
    """From two columns, or one size for all."""
    row = {"reference_id": "a", "label": "car", "bbox": [0.5, 0.5, 0.25, 0.5], "w": 200, "h": 100}
    given = (
        {"fields": {"box": "bbox", "image_width": "w", "image_height": "h"}}
        if sizes == "columns"
        else {"fields": {"box": "bbox"}, "image_size": (200, 100)}
    )
    good, bad = read([row], box_format="cxcywh", normalized=True, **given)

    assert (good[0]["geometry"], bad) == (box(75, 25, 50, 50), {})


@pytest.mark.parametrize(
    ("mapping", "values", "reason"),
    [
        ({"box_format": "xyxy"}, [40, 20, 10, 60], "x2 10 is less than x1 40"),
        ({"box_format": "xyxy"}, [10, 60, 40, 20], "y2 20 is less than y1 60"),
        ({"box_format": "xywh"}, [10, 60, -4, 20], "width is -4"),
        ({"box_format": "cxcywh"}, [10, 60, 4, -20], "height is -20"),
        ({"box_format": "xyxy", "normalized": True, "image_size": (640, 480)}, [0, 0, 300, 1], "x2 is 300"),
        (
            {"box_format": "xywh", "normalized": True, "image_size": (640, 480)},
            [0, 0, 1, 17.5],
            "height is 17.5",
        ),
        ({"box_format": "xywh"}, [1, 2, 3, None], "height is missing"),
        ({"box_format": "xywh"}, [1, 2, 3], "height is missing"),
    ],
)
def test_a_box_that_cannot_be_right_is_refused(read, mapping, values, reason):
    """By row and number; the rows beside it are taken."""
    rows = [{"reference_id": "a", "label": "car", "bbox": row} for row in ([0, 0, 1, 1], values)]
    good, bad = read(rows, fields={"box": "bbox"}, **mapping)

    assert len(good) == 1
    assert list(bad) == [2]
    assert reason in bad[2]


@pytest.mark.parametrize("labels", [{0: "car", 3: "bus"}, {"0": "car", "3": "bus"}, ["car", "-", "-", "bus"]])
def test_class_numbers_get_their_names(read, labels):
    """Keys may be numbers or the text of numbers; so may the classes."""
    rows = [{"reference_id": "a", "label": one, "type": "category"} for one in (0, 3)]

    assert [row["label"] for row in read(rows, labels=labels)[0]] == ["car", "bus"]
    assert [row["label"] for row in read([{**row, "label": str(row["label"])} for row in rows], labels=labels)[0]] == ["car", "bus"]  # fmt: skip


def test_a_number_without_a_name_is_refused_with_the_mapping_that_would_help(read):
    """Where a text would stay as it is."""
    rows = [{"reference_id": "a", "label": one, "type": "category"} for one in (0, 7)]
    good, bad = read(rows, labels={0: "car"})

    assert len(good) == 1
    assert "label: class 7 has no name: labels={7: ...}" in bad[2]


def test_classes_are_named_in_segments_labels_and_distributions(read):
    """A distribution may be a list, a share for each class."""
    good, _ = read(
        [
            {
                "reference_id": "a",
                "labels": [0, 1],
                "annotations": [{"label": 1, "index": 4}],
                "class_pdf": [0.25, 0.75],
                "type": "multicategory",
            }
        ],
        labels=["car", "bus"],
    )

    assert good[0]["labels"] == ["car", "bus"]
    assert good[0]["annotations"] == [{"label": "bus", "index": 4}]
    assert good[0]["class_pdf"] == {"car": 0.25, "bus": 0.75}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("names.txt", "car\nbus\n"),
        ("data.yaml", "path: x\nnames:\n  0: car\n  1: bus\n"),
        ("list.yaml", "nc: 2\nnames: [car, bus]\n"),
        ("coco.json", '{"images": [], "categories": [{"id": 0, "name": "car"}, {"id": 1, "name": "bus"}]}'),
        ("classes.json", '{"0": "car", "1": "bus"}'),
        ("list.json", '["car", "bus"]'),
    ],
)
def test_names_come_from_a_file(tmp_path: Path, name: str, content: str):
    """Of the forms in which tools keep them."""
    path = tmp_path / name
    path.write_text(content)
    (row,) = open_rows([{"reference_id": "a", "label": 1, "type": "category"}], kind="predictions", mapping={"labels": str(path), "fields": {}})  # fmt: skip

    assert row.data["label"] == "bus"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("names.txt", "car\n\nbus\n", "class 1 in .*names.txt is named ''"),
        ("names.txt", "\ncar\nbus\n", "class 0 in .*names.txt is named ''"),
        ("list.json", '["car", "", "bus"]', "class 1 in .*list.json is named ''"),
        ("coco.json", '{"categories": [{"id": [], "name": "car"}]}', "categories without id"),
    ],
)
def test_a_file_of_names_with_a_gap_is_refused(tmp_path: Path, name: str, content: str, said: str):
    """Every name behind a blank line would be that of another class."""
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(NucleusConfigError, match=said):
        open_rows([{"label": 1}], kind="predictions", mapping=RowMapping(labels=str(path)))


def test_one_file_of_names_is_asked_for(tmp_path: Path):
    """Of several none is the right one."""
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text('["car"]')
    with pytest.raises(NucleusConfigError, match="is 2 files"):
        open_rows([{"label": 1}], kind="predictions", mapping=RowMapping(labels=str(tmp_path)))


@pytest.mark.parametrize("mapping", [{}, {"fields": {"label": "cls"}}])
def test_boxes_that_are_shares_are_warned_of(read, mapping: dict[str, Any], caplog: pytest.LogCaptureFixture):
    """In every format, mapped or not; one box in pixels is enough for silence."""
    row = {"reference_id": "a", "label": "car", "cls": "car", "confidence": 0.5, **box(0.1, 0.2, 0.3, 0.4)}
    with caplog.at_level("WARNING"):
        read([row], **mapping)
        assert ["all of its 1 boxes lie within 0 to 1" in record.message for record in caplog.records] == [
            True
        ]
        caplog.clear()
        read([row, {**row, "width": 30.0}], **mapping)
        assert not caplog.records


@pytest.mark.parametrize(
    ("rows", "mapping"),
    [
        (
            [
                {"image": "a.jpg", "site": 3, "boxes": [[0, 0, 2, 2], [1, 1, 3, 4]], "scores": [0.5, 0.75], "labels": [0, 1]},
                {"image": "b.jpg", "site": 3, "boxes": [], "scores": [], "labels": []},
            ],
            {"explode": ["boxes", "scores", "labels"], "fields": {"box": "boxes", "confidence": "scores", "label": "labels", "metadata.site": "site"}},
        ),
        (
            [
                {"image": "a.jpg", "site": 3, "objects": {"bbox": [[0, 0, 2, 2], [1, 1, 3, 4]], "score": [0.5, 0.75], "category": [0, 1]}},
                {"image": "b.jpg", "site": 3, "objects": {"bbox": [], "score": [], "category": []}},
            ],
            {"explode": "objects", "fields": {"box": "objects.bbox", "confidence": "objects.score", "label": "objects.category", "metadata.site": "site"}},
        ),
        (
            [
                {"image": "a.jpg", "site": 3, "found": [{"b": [0, 0, 2, 2], "s": 0.5, "c": 0}, {"b": [1, 1, 3, 4], "s": 0.75, "c": 1}]},
                {"image": "b.jpg", "site": 3, "found": []},
            ],
            {"explode": "found", "fields": {"box": "found.b", "confidence": "found.s", "label": "found.c", "metadata.site": "site"}},
        ),
    ],
    ids=["parallel lists", "object of lists", "list of objects"],
)  # fmt: skip
def test_rows_with_lists_of_objects_are_taken_apart(read, rows, mapping):
    """A row an object, with what belongs to the image; an image without objects gives no row."""
    good, bad = read(rows, box_format="xyxy", labels=["car", "bus"], reference_id="{image:stem}", **mapping)

    assert not bad
    assert good == [
        {"reference_id": "a", "label": label, "confidence": score, "geometry": geometry, "type": "box", "metadata": {"site": 3}}
        for label, score, geometry in (("car", 0.5, box(0, 0, 2, 2)), ("bus", 0.75, box(1, 1, 2, 3)))
    ]  # fmt: skip


def test_lists_of_different_lengths_are_refused_by_row(read):
    """Nobody can tell which entry belongs to which."""
    row = {"reference_id": "a", "boxes": [[0, 0, 2, 2]], "names": ["car"]}
    good, bad = read(
        [row, {**row, "names": ["car", "bus"]}],
        explode=["boxes", "names"],
        fields={"box": "boxes", "label": "names"},
    )

    assert len(good) == 1
    assert bad == {2: "its lists differ in length: boxes has 1, names has 2"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{path:basename}", "0001.jpg"),
        ("{path:stem}", "0001"),
        ("{path:relative(s3://b/images)}", "day1/0001.jpg"),
        ("{path:relative(s3://b/images/)|without_extension}", "day1/0001"),
        ("{path:without_extension}", "s3://b/images/day1/0001"),
        ("{day}-{frame}", "day1-0001"),
    ],
)
def test_ids_come_from_paths(read, template, expected):
    """By name, without what is before it, or by a pattern."""
    good, bad = read(
        [{**CORNERS, "label": "car"}],
        box_format="xyxy",
        reference_id=template,
        patterns={"path": r"/(?P<day>day\d+)/(?P<frame>\d+)\."},
    )

    assert (good[0]["reference_id"], bad) == (expected, {})


def test_a_path_that_does_not_fit_is_refused(read):
    """Rather than half of it taken."""
    rows = [{**CORNERS, "label": "car", "path": path} for path in ("s3://b/1.jpg", "s3://c/1.jpg")]
    _, bad = read(rows, box_format="xyxy", reference_id="{path:relative(s3://b)}")
    assert "does not lie below 's3://b'" in bad[2]

    _, bad = read(rows, box_format="xyxy", reference_id="{n}", patterns={"path": r"s3://b/(?P<n>\d+)"})
    assert "does not match" in bad[2]


def test_a_least_confidence_leaves_rows_out_and_counts_them(tmp_path: Path):
    """They are no bad rows, and a bad box among them is none either."""
    rows = [
        {"reference_id": "a", "label": "car", "bbox": [5, 0, 1, 1], "confidence": score}
        for score in (0.5, 0.1, 0.3)
    ]
    rows[1]["bbox"] = [9, 0, 1, 1]
    for form in FORMS:
        batches = open_rows(
            written([{**row, "bbox": [0, 0, 1, 1]} if at != 1 else row for at, row in enumerate(rows)], form, tmp_path),
            kind="predictions",
            mapping=RowMapping(fields={"box": "bbox"}, box_format="xyxy", min_confidence=0.3),
        ).batches()  # fmt: skip
        batches = list(batches)
        assert [number for batch in batches for number in batch.numbers] == [1, 3]
        assert not [problem for batch in batches for problem in batch.problems]
        assert [batch.left_out for batch in batches if batch.left_out] == [{"confidence below 0.3": 1}]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"box_format": "corners"}, "box_format must be xywh"),
        ({"fields": {"geometry.x": "x1", "geometry.y": "y1", "geometry.width": "x2", "geometry.height": "y2"}}, "'x2', which is a corner"),
        ({"fields": {"x1": "a", "y1": "b", "x2": "c", "y2": "d"}}, "say box_format='xyxy'"),
        ({"fields": {"box": "bbox", "x": "left"}}, "one of them"),
        ({"labels": {0: 1}}, "labels"),
        ({"labels": {0: "car", "0": "bus"}}, "two names"),
        ({"labels": 3}, "labels"),
        ({"min_confidence": 30}, "min_confidence"),
        ({"image_size": (0, 4)}, "image_size"),
        ({"normalized": "yes"}, "normalized"),
        ({"patterns": {"path": r"(\d+)"}}, "named group"),
        ({"patterns": {"path": "("}}, "regular expression"),
        ({"explode": 3}, "explode"),
        ({"fields": {"label": 3}}, "fields"),
        ({"fields": {"box": "b", "image_width": "w"}}, "both image_width and image_height"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_right_is_refused_when_it_is_made(mapping, said):
    """Before any row is read, with the way out."""
    with pytest.raises(NucleusConfigError, match=r"(?s)" + said.replace("(", r"\(")):
        RowMapping(**mapping)


def test_foreign_parquet_is_checked_by_column(tmp_path: Path):
    """Corner boxes, class numbers and paths need no row of Python objects."""
    rows = [{**CORNERS, "bbox": [n, 0, n + 1, 1], "cls": n % 2} for n in range(100)]
    path = written(rows, "parquet", tmp_path)
    mapping = RowMapping(
        fields={"box": "bbox", "label": "cls", "confidence": "conf"},
        box_format="xyxy",
        labels=["car", "bus"],
        reference_id="{path:basename}",
    )
    (batch,) = open_rows(path, kind="predictions", mapping=mapping).batches()

    assert isinstance(batch.rows, ColumnRows)
    assert batch.rows.untouched
    assert check_box_columns(batch.rows.columns, predictions=True) is not None


def test_a_column_that_is_not_there_is_named_with_what_it_is_for(tmp_path: Path):
    """The default names of a format are looked for as those of the mapping are."""
    path = written([{"reference_id": "a", "label": "car", "bbox": [1, 2, 3, 4]}], "parquet", tmp_path)
    with pytest.raises(
        NucleusValidationError, match="has no column 'x1', which the mapping reads for boxes as xyxy"
    ):
        list(open_rows(path, kind="predictions", mapping=RowMapping(box_format="xyxy")))


@pytest.mark.parametrize("value", [2**64, 2**100, -(2**63) - 1, 2**64 - 1, -(2**63)])
def test_whole_numbers_of_any_size_arrive_as_they_are(tmp_path: Path, value: int):
    """In metadata and in ids made of them; not as the nearest float."""
    row = {"reference_id": "a", "label": "car", "type": "category", "metadata": {"phash": value}, "n": value}
    for form in ("jsonl", "json"):
        (read,) = open_rows(
            written([row], form, tmp_path), kind="predictions", mapping=RowMapping(annotation_id="{n}")
        )
        assert (read.data["metadata"]["phash"], read.data["annotation_id"]) == (value, str(value))


def test_decimals_of_parquet_stay_exact_or_are_refused(tmp_path: Path):
    """A whole one is a whole number; one with more digits than a float has is a bad row with its column."""
    from decimal import Decimal

    path = tmp_path / "rows.parquet"
    values = [Decimal(2**100), Decimal("1.5"), Decimal("12345678901234567890123.25")]
    pq.write_table(
        pa.table({"reference_id": ["a"] * 3, "metadata.n": pa.array(values, pa.decimal128(38, 2))}), path
    )
    whole, fraction, lost = open_rows(str(path), kind="predictions")

    assert [row.data["metadata"]["n"] for row in (whole, fraction)] == [2**100, 1.5]
    assert "metadata.n" in lost.problem


def test_foreign_results_are_read_by_names(tmp_path: Path):
    """A list that looks like COCO results is what the mapping says: no ground truth is needed for names."""
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps([{"image_id": "0001", "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]))
    (row,) = open_rows(
        str(path),
        kind="predictions",
        mapping=RowMapping(
            fields={"box": "bbox", "label": "category_id", "confidence": "score"},
            labels=["car", "bus"],
            reference_id="{image_id}.jpg",
        ),
    )

    assert row.data == {"type": "box", "geometry": box(1, 2, 3, 4), "label": "bus", "confidence": 0.5, "reference_id": "0001.jpg"}  # fmt: skip


FLAT = {"reference_id": "a", "label": "car", "confidence": 0.5, "x": 1, "y": 2, "width": 3, "height": 4}


@pytest.mark.parametrize(
    ("row", "mapping", "reason"),
    [
        ({"confidence": 10**400}, {"scores": (0, 100)}, None),
        ({"confidence": 10**400}, {"scores": "logit"}, None),
        ({"x1": 10**400, "y1": 0, "x2": 1, "y2": 1}, {"box_format": "xyxy"}, "x1 is too large for a number"),
    ],
)
@pytest.mark.parametrize("form", ["memory", "jsonl", "json"])
def test_whole_numbers_beyond_every_double_are_bad_rows(
    row: dict[str, Any], mapping: dict[str, Any], reason: str | None, form: str, tmp_path: Path
):
    """A number of 400 digits is the trouble of its row; the row beside it goes on."""
    good = {**FLAT, "confidence": 0, "x1": 0, "y1": 0, "x2": 1, "y2": 1}
    source = written([{**good, **row}, good], form, tmp_path)
    found = {one.number: one for one in open_rows(source, kind="predictions", mapping=RowMapping(**mapping))}

    assert found[2].problem is None
    if reason is None:
        with pytest.raises(NucleusValidationError, match=r"confidence.*too large for a number"):
            Encoder("predictions", ignore_unknown=True).encode(found[1].data)
    else:
        assert reason in found[1].problem


def test_class_distributions_in_columns_get_their_names(tmp_path: Path):
    """A struct in Parquet, and JSON text, are objects like any other: class numbers are named, and the shares of merged classes add up."""
    path = tmp_path / "rows.parquet"
    for pdf in ({"0": 0.5, "1": 0.5}, json.dumps({"0": 0.5, "1": 0.5})):
        pq.write_table(pa.Table.from_pylist([{**FLAT, "class_pdf": pdf}]), path)
        (row,) = open_rows(path, kind="predictions", mapping=RowMapping(labels={0: "car", 1: "car"}))

        assert row.data["class_pdf"] == {"car": 1.0}


def test_text_of_lists_in_columns_is_read_before_it_is_mapped(tmp_path: Path):
    """Segments as JSON text get their names, also when a mapping names their column."""
    path = tmp_path / "rows.parquet"
    segments = json.dumps([{"index": 1, "label": 0}])
    pq.write_table(
        pa.Table.from_pylist([{"reference_id": "a", "mask_url": "s3://a/b.png", "s": segments}]), path
    )
    (row,) = open_rows(
        path, kind="predictions", mapping=RowMapping(fields={"annotations": "s"}, labels=["car"])
    )

    assert row.data["annotations"] == [{"index": 1, "label": "car"}]


def test_text_of_a_number_is_a_class_without_a_name(read):
    """`1.0`, as data frames write classes once one is missing, is no label."""
    good, bad = read([{**FLAT, "label": "1.0"}, {**FLAT, "label": "0"}], labels=["car", "bus"])

    assert [row["label"] for row in good] == ["car"]
    assert "class 1.0 has no name" in bad[1]


def test_a_reference_id_is_made_of_text_and_numbers(read):
    """NaN stands for nothing, and a list is not an id."""
    rows = [{**FLAT, "frame": 1.5, "parts": ["a"]}, {**FLAT, "frame": float("nan"), "parts": ["a"]}]

    good, bad = read(rows, reference_id="{frame}")
    assert [row["reference_id"] for row in good] == ["1.5"]
    assert "needs 'frame', which this row lacks" in bad[2]
    _, bad = read(rows, reference_id="{parts}")
    assert "'parts' is a list and no text or number" in bad[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"explode": ["boxes", "boxes"]},
        {"explode": [""]},
        {"reference_id": "{path:99999999999}"},
    ],
)
def test_what_cannot_be_carried_out_is_refused_when_a_mapping_is_made(wrong: dict[str, Any]):
    """One list taken apart twice, a list without a name, text of gigabytes."""
    with pytest.raises(NucleusConfigError, match=r"names each list once|999 characters"):
        RowMapping(**wrong)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.array])
@pytest.mark.parametrize("fields", [{}, {"label": "cls"}])
def test_numbers_of_numpy_are_numbers(kind: Any, fields: dict[str, str]):
    """Scores of a model in memory are spread and compared like those of files."""
    rows = [{**FLAT, "cls": "car", "confidence": kind(score)} for score in (0.125, 0.375)]
    mapping = RowMapping(fields=fields, scores=(0, 0.5), min_confidence=0.5)

    assert [row.data["confidence"] for row in open_rows(rows, kind="predictions", mapping=mapping)] == [0.75]
