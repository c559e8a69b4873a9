"""Encoding of rows: the fast path equals the schema, identities, ids that stay."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from airflow_provider_nucleus.client.local_files import LocalFiles
from airflow_provider_nucleus.client.uploads.check import encoding
from airflow_provider_nucleus.client.uploads.check.encoding import Encoder, dump_line, stable_id
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.schema.batches import ColumnRows

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-2, 2),
    st.sampled_from([
        "",
        " ",
        "car",
        "é",
        "\ud800",
        float("nan"),
        float("inf"),
        2**60,
        [],
        {},
        {"a": 1.0},
        {"a": 0.5},
        {"a": {"b": float("nan")}},
    ]),
)
GOOD = {
    "label": "car", "type": "box", "geometry": {"x": 1, "y": 2.5, "width": 3, "height": 4}, "reference_id": "i1",
    "annotation_id": "a1", "metadata": {"k": [1, None]}, "confidence": 0.5, "class_pdf": {"car": 0.25, "van": 0.75},
    "track_reference_id": "t", "task_id": None, "embedding_vector": None,
}  # fmt: skip


def thorough(kind: str, row: dict) -> dict | str:
    try:
        return Encoder(kind).encode(row).wire
    except NucleusValidationError as error:
        return str(error)


@given(
    st.sampled_from(["annotations", "predictions"]),
    st.dictionaries(st.sampled_from([*GOOD, "item_id", "dataset_id", "colour"]), ODD, max_size=2),
    st.sets(st.sampled_from(sorted(GOOD)), max_size=4),
    st.dictionaries(st.sampled_from(["x", "y", "width", "height", "z"]), ODD, max_size=1),
)
@settings(max_examples=300, deadline=None)
def test_the_fast_path_is_never_wrong(kind, changed, dropped, corner):
    """For rows with any mixture of odd values: what the fast path builds is byte for byte what the schema builds."""
    row = {key: value for key, value in GOOD.items() if key not in dropped} | changed
    if kind == "annotations":
        row = {key: value for key, value in row.items() if key not in {"confidence", "class_pdf"}}
    if isinstance(row.get("geometry"), dict):
        row["geometry"] = row["geometry"] | corner
    encoder = Encoder(kind)
    fast = encoder._fast_path(row)
    if fast is not None:
        expected = thorough(kind, row)
        assert fast == expected
        assert list(fast) == list(expected)
        assert dump_line(fast) == dump_line(expected)


def test_plain_boxes_take_the_fast_path():
    """Otherwise the property above would hold for nothing."""
    assert Encoder("predictions")._fast_path(GOOD) is not None
    truth = {key: value for key, value in GOOD.items() if key not in {"confidence", "class_pdf"}}
    assert Encoder("annotations")._fast_path(truth | {"task_id": "t"}) is not None
    assert Encoder("items")._fast_path is None


def test_a_batch_reports_the_bad_and_keeps_the_good():
    """Lines in order, one hash each, bad rows by position with field and reason."""
    rows = [
        GOOD,
        GOOD | {"label": ""},
        GOOD | {"annotation_id": "é"},
        GOOD | {"confidence": 2},
        {"type": "box"},
    ]
    batch = Encoder("predictions").encode_batch(rows)

    assert [json.loads(line)["annotation_id"] for line in batch.lines.data.splitlines()] == ["a1", "é"]
    assert batch.lines.rows == 2
    assert len(batch.hashes) == 2
    assert [(bad.at, bad.reason.partition(":")[0]) for bad in batch.bad] == [
        (1, "label"),
        (3, "confidence"),
        (4, batch.bad[2].reason.partition(":")[0]),
    ]


@given(
    kind=st.sampled_from(["annotations", "predictions"]),
    changed=st.dictionaries(st.sampled_from([*GOOD, "colour"]), ODD | st.text(), max_size=2),
    dropped=st.sets(st.sampled_from(["annotation_id", "metadata", "class_pdf", "confidence", "task_id"])),
    numbers=st.lists(st.floats(0, 1) | st.integers(0, 1) | st.floats(), min_size=3, max_size=3),
    lenient=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_it_does_not_show_which_way_a_batch_came(kind, changed, dropped, numbers, lenient):
    """By column, as rows that may become columns, or a row at a time: the same lines, identities and complaints, byte for byte."""
    left_out = dropped | (set() if kind == "predictions" else {"confidence", "class_pdf"})
    good = {key: value for key, value in (GOOD | {"track_reference_id": None}).items() if key not in left_out}
    rows = [
        good | {"geometry": good["geometry"] | {"x": number}, "annotation_id": f'a"{number}'} | changed
        for number in numbers
    ]
    columns = {key: [row[key] for row in rows] for key in rows[0] if key != "geometry"}
    columns["geometry"] = (
        [row["geometry"] for row in rows]
        if "geometry" in changed
        else {side: [row["geometry"][side] for row in rows] for side in GOOD["geometry"]}
    )

    encoder = Encoder(kind, ignore_unknown=lenient)
    for batch in (rows, ColumnRows(columns, 3)):
        whole = encoder.encode_batch(batch)
        by_row = encoder.encode_batch([*batch, {"type": "odd"}])
        assert whole.lines == by_row.lines
        assert whole.hashes == by_row.hashes
        assert whole.bad == by_row.bad[:-1]


@pytest.mark.parametrize("value", [10**5_000, [[10**5_000]], 2**64], ids=["huge", "nested", "65 bits"])
def test_what_json_cannot_write_is_a_bad_row_whichever_way(value):
    """Python refuses to spell integers of thousands of digits: that row is quarantined, the upload goes on."""
    plain = GOOD | {"track_reference_id": None}
    rows = [plain, plain | {"metadata": {"n": value}, "annotation_id": "a2"}]
    whole = Encoder("predictions").encode_batch(rows)
    by_row = Encoder("predictions").encode_batch([*rows, {"type": "odd"}])
    thorough_way = Encoder("predictions").encode_batch([rows[0], rows[1] | {"label": "é"}])

    assert (whole.lines, whole.bad) == (by_row.lines, by_row.bad[:-1])
    assert (
        [bad.at for bad in whole.bad]
        == [bad.at for bad in thorough_way.bad]
        == ([] if value == 2**64 else [1])
    )


def test_both_ways_identify_alike():
    """A duplicate is found no matter which way each of the two rows took."""
    odd = GOOD | {"embedding_vector": [1.0]}
    for kind in ("predictions", "annotations"):
        rows = [
            {k: v for k, v in row.items() if kind == "predictions" or k not in {"confidence", "class_pdf"}}
            for row in (GOOD, odd)
        ]
        short, slow = Encoder(kind).encode_batch(rows).hashes
        assert short == slow


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"annotation_id": "a"}, {"annotation_id": "a", "label": "van"}, True),
        ({"annotation_id": "a"}, {"annotation_id": "b"}, False),
        ({"annotation_id": "a"}, {"annotation_id": "a", "reference_id": "i2"}, False),
        ({"annotation_id": "a"}, {"annotation_id": "a", "task_id": "t"}, False),
        ({"type": "category", "geometry": {}}, {"type": "category", "geometry": {}, "label": "x"}, True),
        (
            {"type": "category", "geometry": {}},
            {"type": "category", "geometry": {}, "taxonomy_name": "x"},
            False,
        ),
        ({"type": "mask"}, {"type": "mask", "mask_url": "http://x/2.png", "annotation_id": "z"}, True),
        ({"type": "mask"}, {"annotation_id": "a"}, False),
    ],
)
def test_identity_is_the_servers(one, other, same):
    """Equal keys are one object to Nucleus."""

    def key(change):
        row = {
            "label": "car",
            "type": "box",
            "geometry": {"x": 1, "y": 2, "width": 3, "height": 4},
            "reference_id": "i1",
        } | change
        if row["type"] == "mask":
            row = {
                "mask_url": "http://x/1.png",
                "annotations": [],
                **{k: v for k, v in row.items() if k not in {"label", "geometry"}},
            }
        if row["type"] == "category":
            row.pop("annotation_id", None)
        return Encoder("annotations").encode(row).key

    assert (key(one) == key(other)) is same


def test_rows_without_an_id_get_one_that_stays():
    """Made from what the object is, so not from its score; boxes keep the official client's rule."""
    polygon = {
        "label": "car",
        "type": "polygon",
        "geometry": {"vertices": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}]},
        "reference_id": "i",
    }
    encoder = Encoder("predictions")
    first, again, moved = (
        encoder.encode(polygon | change) for change in ({}, {"confidence": 0.5}, {"reference_id": "j"})
    )

    assert first.generated_id
    assert first.wire["annotation_id"] == again.wire["annotation_id"] == stable_id(polygon)
    assert first.wire["annotation_id"] != moved.wire["annotation_id"]
    assert encoder.encode(polygon | {"annotation_id": "mine"}).wire["annotation_id"] == "mine"
    assert not encoder.encode({
        key: value for key, value in GOOD.items() if key != "annotation_id"
    }).generated_id
    assert Encoder("predictions", stable_ids=False).encode(polygon).wire["annotation_id"] is None


def test_local_masks_need_requests(tmp_path):
    """A job cannot fetch a file of this machine, and masks are PNG."""
    path = tmp_path / "1 2.png"
    Image.new("L", (4, 4), 1).save(path)
    mask = {"type": "mask", "mask_url": str(path), "annotations": [], "reference_id": "i"}

    files = LocalFiles(tmp_path, masks=True)
    encoder = Encoder("annotations", files=files)
    assert encoder.encode(mask).local_file == str(path)
    assert encoder.encode(mask | {"mask_url": path.as_uri()}).local_file == path.as_uri()
    with pytest.raises(NucleusValidationError, match="asynchronous=False"):
        Encoder("annotations", files=files, by_jobs=True).encode(mask)
    with pytest.raises(NucleusValidationError, match=r"\.png"):
        encoder.encode(mask | {"mask_url": "/masks/1.tif"})
    batch = encoder.encode_batch([mask, mask | {"mask_url": "http://x/1.png"}])
    assert (batch.lines.rows, batch.file_lines.rows, len(batch.hashes)) == (1, 1, 2)


def test_numbers_beyond_64_bits_survive(monkeypatch):
    """Metadata may hold integers the fast encoder refuses."""
    line = dump_line({"n": 2**70})

    assert json.loads(line) == {"n": 2**70}


def test_lines_are_equal_without_orjson():
    """The base install encodes the same values with the standard library."""
    import importlib
    import sys

    value = GOOD | {"label": "é€"}
    quick = dump_line(value)
    kept = sys.modules.get("orjson")
    sys.modules["orjson"] = None
    try:
        slow = importlib.reload(encoding).dump_line(value)
    finally:
        sys.modules["orjson"] = kept
        importlib.reload(encoding)

    assert slow == quick


def test_kinds_are_checked():
    """An upload of something else is refused when it is described."""
    from airflow_provider_nucleus.client.uploads import UploadTarget

    for wrong in (
        ("scenes", "ds", None),
        ("predictions", "ds", None),
        ("annotations", "ds", "prj"),
        ("items", "", None),
    ):
        with pytest.raises(NucleusConfigError):
            UploadTarget(*wrong)
