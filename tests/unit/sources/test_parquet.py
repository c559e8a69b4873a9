"""Parquet files in the layouts people have."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError, NucleusValidationError
from airflow_provider_nucleus.schema.box_columns import check_box_columns
from airflow_provider_nucleus.sources import RowMapping, open_rows

if TYPE_CHECKING:
    from pathlib import Path

WIRE = [
    {
        "reference_id": f"i{n // 3}",
        "annotation_id": f"a{n}",
        "label": "car",
        "type": "box",
        "geometry": {"x": n + 0.5, "y": 1.0, "width": 2.0, "height": 3.0},
        "confidence": n / 12_000,
    }
    for n in range(12_000)
]


def read(path: Path, **options) -> list:
    return list(open_rows(path, kind="predictions", **options))


def write(tmp_path: Path, table: pa.Table, name: str = "rows.parquet", **options) -> Path:
    pq.write_table(table, tmp_path / name, **options)
    return tmp_path / name


def test_nested_wire_columns_read_back_as_written(tmp_path: Path):
    """Struct columns become objects; rows are numbered over all row groups."""
    rows = read(write(tmp_path, pa.Table.from_pylist(WIRE), row_group_size=3_500))

    assert [row.data for row in rows] == WIRE
    assert list(range(1, 12_001)) == [row.number for row in rows]


def test_flat_columns_need_no_mapping(tmp_path: Path):
    """x, y, width, height or dotted names are enough for boxes."""
    flat = [
        {**{k: v for k, v in row.items() if k not in {"geometry", "type"}}, **row["geometry"]}
        for row in WIRE[:10]
    ]
    dotted = [
        {
            **{k: v for k, v in row.items() if k not in {"geometry", "type"}},
            **{f"geometry.{k}": v for k, v in row["geometry"].items()},
        }
        for row in WIRE[:10]
    ]

    assert WIRE[:10] == [row.data for row in read(write(tmp_path, pa.Table.from_pylist(flat)))]
    assert WIRE[:10] == [row.data for row in read(write(tmp_path, pa.Table.from_pylist(dotted)))]


def test_foreign_columns_are_mapped_column_wise(tmp_path: Path):
    """Names, nested sources, constants, labels and scores; other columns are not even read."""
    table = pa.Table.from_pylist([
        {
            "img": {"name": "a.jpg", "w": 3},
            "cls": "auto",
            "l": 1,
            "t": 2,
            "w": 3,
            "h": 4,
            "p": 50,
            "junk": b"x" * 9,
            "site": "north",
        }
    ])
    mapping = RowMapping(
        fields={"reference_id": "img.name", "label": "cls", "geometry.x": "l", "geometry.y": "t", "geometry.width": "w", "geometry.height": "h", "confidence": "p", "metadata.site": "site", "annotation_id": "=only"},
        labels={"auto": "car"},
        scores=(0, 100),
    )  # fmt: skip
    (row,) = read(write(tmp_path, table), mapping=mapping)

    assert row.data == {
        "reference_id": "a.jpg",
        "label": "car",
        "geometry": {"x": 1, "y": 2, "width": 3, "height": 4},
        "confidence": 0.5,
        "metadata": {"site": "north"},
        "annotation_id": "only",
        "type": "box",
    }


def test_templates_see_the_columns_of_the_file(tmp_path: Path):
    """A template may read columns that are not sent."""
    table = pa.Table.from_pylist([
        {"cam": "left", "frame": 7, "label": "car", "x": 1, "y": 2, "width": 3, "height": 4}
    ])
    (row,) = read(write(tmp_path, table), mapping=RowMapping(reference_id="{cam}/{frame:06d}.jpg"))

    assert row.data == {
        "label": "car",
        "type": "box",
        "geometry": {"x": 1, "y": 2, "width": 3, "height": 4},
        "reference_id": "left/000007.jpg",
    }


def test_a_member_of_a_null_struct_is_absent(tmp_path: Path):
    """Whatever lies in the buffers below a null, it is not a value."""
    names = pa.array(["a", "hidden"])
    image = pa.StructArray.from_arrays([names], ["name"], mask=pa.array([False, True]))
    table = pa.table({"image": image, "label": ["x", "y"]})
    rows = read(write(tmp_path, table), mapping={"reference_id": "image.name", "metadata.none": "image.none"})

    assert [row.data for row in rows] == [
        {"label": "x", "reference_id": "a", "metadata": {}},
        {"label": "y", "metadata": {}},
    ]


def test_types_json_lacks_are_spelled(tmp_path: Path):
    """Times, decimals, bytes, maps and dictionary columns arrive as JSON can carry them; nulls are absent keys."""
    table = pa.table({
        "label": pa.array(["car", "van"]).dictionary_encode(),
        "metadata": pa.array([
            {"at": dt.datetime(2026, 1, 2, 3, 4), "price": decimal.Decimal("1.5"), "raw": b"\x00", "none": None},
            None,
        ]),
        "class_pdf": pa.array([[("car", 0.75), ("van", 0.25)], None], pa.map_(pa.string(), pa.float64())),
        "geometry": pa.array([{"vertices": [{"x": 1.0, "y": 2.0}]}, None]),
    })  # fmt: skip
    first, second = (row.data for row in read(write(tmp_path, table)))

    assert first["metadata"] == {"at": "2026-01-02T03:04:00", "price": 1.5, "raw": "AA=="}
    assert first["class_pdf"] == {"car": 0.75, "van": 0.25}
    assert first["geometry"] == {"vertices": [{"x": 1.0, "y": 2.0}]}
    assert second == {"label": "van"}


def test_json_text_in_columns_is_decoded(tmp_path: Path):
    """Tools that know no nesting write JSON text; a bad cell is that row's problem alone."""
    table = pa.table({
        "label": ["a", "b", "c"],
        "geometry": [json.dumps(WIRE[0]["geometry"]), "{broken", None],
        "class_pdf": [json.dumps({"a": 1.0}), None, ""],
    })
    rows = read(write(tmp_path, table))

    assert [
        row.problem and row.problem.startswith("geometry: is not JSON")
        for row in sorted(rows, key=lambda row: row.number)
    ] == [None, True, None]
    assert rows[1].data == {"label": "b", "geometry": "{broken"}
    assert ({"a": 1.0}, WIRE[0]["geometry"]) == (rows[0].data["class_pdf"], rows[0].data["geometry"])
    assert rows[2].data == {"label": "c"}


def test_a_file_without_usable_columns_says_which_it_has(tmp_path: Path):
    """Rather than a million invalid rows, one error that names the columns."""
    with pytest.raises(NucleusValidationError, match=r"none of its columns \(a, b\)"):
        read(write(tmp_path, pa.table({"a": [1], "b": [2]})))


def test_damaged_files_are_errors(tmp_path: Path):
    """Whether the pages or the footer are broken, or nothing is Parquet."""
    path = write(tmp_path, pa.Table.from_pylist(WIRE[:10]))
    whole = path.read_bytes()
    for broken in (
        whole[:4] + b"x" * 60 + whole[64:],
        whole[:-60] + b"x" * 52 + whole[-8:],
        b"x" * 100,
        b"x",
    ):
        path.write_bytes(broken)
        with pytest.raises(NucleusValidationError, match=r"rows\.parquet: cannot be read as Parquet"):
            read(path)


def test_a_cut_file_may_be_whole_later(tmp_path: Path):
    """The footer is written last."""
    path = write(tmp_path, pa.Table.from_pylist(WIRE[:10]))
    whole = path.read_bytes()
    for size in (0, 4, 20, len(whole) - 20):
        path.write_bytes(whole[:size])
        with pytest.raises(NucleusSourceError, match=r"rows\.parquet: the Parquet file is cut off"):
            read(path)


def test_parquet_is_recognised_without_its_suffix(tmp_path: Path):
    """By its first bytes."""
    assert len(read(write(tmp_path, pa.Table.from_pylist(WIRE[:10]), name="part-0000"))) == 10


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without pyarrow the error says what to install, for Parquet and for zstd."""
    parquet = write(tmp_path, pa.Table.from_pylist(WIRE[:1]))
    packed = tmp_path / "rows.jsonl.zst"
    packed.write_bytes(pa.compress(b'{"a":1}', codec="zstd", asbytes=True))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for path in (parquet, packed):
        with pytest.raises(NucleusConfigError, match=r"needs pyarrow.*\[parquet\]"):
            read(path)


def test_a_value_that_cannot_be_read_is_a_bad_row_with_its_column(tmp_path: Path):
    """Text that is not UTF-8, a time beyond Python's: the row and the column, and the others are read."""
    text = pa.array([b"ok", b"\xff\xfe"], pa.binary()).view(pa.string())
    late = pa.array([1, 2**62], pa.int64()).view(pa.timestamp("us"))
    for name, column in (("label", text), ("metadata.at", late)):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({name: column}), path)
        good, bad = open_rows(str(path), kind="predictions")
        assert good.problem is None
        assert bad.number == 2
        assert bad.problem.startswith(f"{name}: cannot be read")


def test_boxes_in_a_struct_are_checked_by_column(tmp_path: Path):
    """The layout that reads most naturally is not the slow one; rows come out the same."""
    source = write(tmp_path, pa.Table.from_pylist(WIRE[:50]))
    (batch,) = open_rows(source, kind="predictions").batches()

    assert isinstance(batch.rows.columns["geometry"], dict)
    assert check_box_columns(batch.rows.columns, predictions=True) is not None
    assert list(batch.rows) == WIRE[:50]


def test_members_with_dots_in_their_names_stay_together(tmp_path: Path):
    """A path could not find them."""
    rows = [
        {"reference_id": "i", "geometry": {"a.b": 1, "x": None}},
        {"reference_id": "j", "geometry": {"a.b": 2, "x": 1.5}},
    ]
    found = read(write(tmp_path, pa.Table.from_pylist(rows)))

    assert [row.data["geometry"] for row in found] == [{"a.b": 1}, {"a.b": 2, "x": 1.5}]


@pytest.mark.parametrize(
    "mapping",
    [
        RowMapping(fields={"confidence": "scor", "label": "cls"}),
        RowMapping(fields={"metadata.site": "sitee.name", "label": "cls"}),
        RowMapping(reference_id="{folder}/{cls}"),
    ],
)
def test_a_column_the_mapping_reads_must_be_there(tmp_path: Path, mapping: RowMapping):
    """A typo would leave its field unset in every row, and nobody would hear of it."""
    source = write(tmp_path, pa.table({"cls": ["car"], "score": [0.5], "reference_id": ["a"]}))

    with pytest.raises(
        NucleusValidationError, match=r"has no column '(scor|sitee\.name|folder)', .* columns are cls, score"
    ):
        read(source, mapping=mapping)


def test_bytes_are_the_text_they_spell(tmp_path: Path):
    """Some writers mark text as bytes: it is no base64 of a label, and what is no UTF-8 is a bad row. Hashes in metadata stay bytes."""
    table = pa.table({
        "reference_id": [b"a.jpg", b"b.jpg"],
        "label": pa.array([b"car", b"\xff"], pa.large_binary()),
        "metadata": [b'{"site": 1}', b"{}"],
    })
    good, bad = read(write(tmp_path, table))

    assert good.data == {"reference_id": "a.jpg", "label": "car", "metadata": {"site": 1}}
    assert bad.problem
    assert bad.problem.startswith("label: cannot be read")

    table = pa.table({"label": ["car"], "sha": [b"abc"]})
    (row,) = open_rows(
        write(tmp_path, table), kind="annotations", mapping=RowMapping(fields={"metadata.sha": "sha"})
    )
    assert row.data["metadata"] == {"sha": "YWJj"}


def test_two_columns_of_one_name_are_refused(tmp_path: Path):
    """Which of them is meant nobody knows."""
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["label", "label"])

    with pytest.raises(NucleusValidationError, match="several columns of the name 'label'"):
        read(write(tmp_path, table))


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float64()), pa.large_list(pa.float64()), pa.list_(pa.float64(), 2)]
)
def test_lists_keep_their_gaps(tmp_path: Path, kind: pa.DataType):
    """Lists that are absent or hold nothing somewhere, beside those that do not."""
    lists = [[1.0, 2.0], None, [None, 3.5], [4.0, 5.0]]
    if kind.id != pa.list_(pa.float64(), 2).id:
        lists += [[], [6.0]]
    table = pa.table({
        "reference_id": ["i"] * len(lists),
        "class_pdf": pa.array([[{"p": one}] for one in lists], pa.list_(pa.struct([("p", kind)]))),
        "geometry": pa.array(lists, kind),
    })

    try:
        path = write(tmp_path, table)
    except pa.ArrowNotImplementedError as error:
        pytest.skip(f"this PyArrow cannot write such a file: {error}")
    rows = read(path)

    assert [row.data.get("geometry") for row in rows] == lists
    assert [row.data["class_pdf"] for row in rows] == [[{} if one is None else {"p": one}] for one in lists]


def test_texts_that_are_referred_to_are_the_same_as_others(tmp_path: Path):
    """Repeated names, gaps, and names that all differ, in columns with and without a dictionary."""
    count = 9_000
    columns = {
        "reference_id": [f"{'long' * 20}-{n // 4}" for n in range(count)],
        "annotation_id": [f"{'long' * 20}-{n}" for n in range(count)],
        "label": [None if n % 7 == 0 else f"{'name' * 20}-{n % 90}" for n in range(count)],
    }
    written = [
        write(tmp_path, pa.table(columns), f"{dictionary}.parquet", use_dictionary=dictionary)
        for dictionary in (True, False)
    ]

    for kind in (pa.binary(), pa.large_string()):
        table = pa.table(columns)
        table = table.set_column(2, "label", table["label"].cast(kind))
        written.append(write(tmp_path, table, f"{kind}.parquet"))

    with_dictionary, without, *others = ([row.data for row in read(path)] for path in written)

    assert with_dictionary == without
    assert all(other == without for other in others)
    assert [row.get("label") for row in without] == columns["label"]


def test_texts_that_are_referred_to_need_neither_pandas_nor_numpy(tmp_path: Path):
    """PyArrow does without NumPy; pandas, which it imports on the slightest occasion, takes a second."""
    table = pa.table({
        "reference_id": [f"{'long' * 20}-{n // 4}" for n in range(9_000)],
        "label": ["car", None, "bus"] * 3_000,
        "box": [[1.0, 2.0, 3.0, 4.0]] * 9_000,
    })
    path = write(tmp_path, table)
    program = (
        "import sys; sys.modules['numpy'] = sys.modules['pandas'] = None\n"
        "from airflow_provider_nucleus.sources import open_rows\n"
        "mapping = {'fields': {'box': 'box'}, 'box_format': 'xywh'}\n"
        f"print(len(list(open_rows({str(path)!r}, kind='predictions', mapping=mapping))))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.stdout.strip(), done.stderr) == ("9000", "")
