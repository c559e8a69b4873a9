"""Chunks of plain boxes that Arrow reads: never other than what DuckDB's parser makes of their lines."""

from __future__ import annotations

import json

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.local.store.ingest.box_rows import parse_boxes
from airflow_provider_nucleus.local.store.ingest.object_rows import parse_objects, stage_lines

GOOD = {
    "label": "car", "type": "box", "geometry": {"x": 1, "y": -2.5, "width": 3, "height": 4e0}, "reference_id": "i1",
    "annotation_id": "a1", "metadata": {}, "embedding_vector": None, "track_reference_id": "t", "task_id": None,
    "confidence": 0.5,
}  # fmt: skip
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-2, 2),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from([
        "",
        ".",
        "..",
        "é",
        "line",
        '"',
        "\\",
        "\x00",
        2**60,
        10**30,
        10**400,
        [],
        {},
        {"a": 1},
        [1.0],
    ]),
)
NOISE = [
    b"",
    b"\n",
    b"{",
    b"}",
    b"{}\n",
    b"\xff",
    b"[1]\n",
    b'{"label":"a"} ',
    b" ",
    b"\r",
    b"\\ud800",
    b"NaN",
]


@pytest.fixture(scope="module")
def cursor():
    with duckdb.connect() as connection:
        yield connection


def parsed(cursor) -> list[tuple]:
    rows = cursor.execute("SELECT * FROM parsed ORDER BY n").fetchall()
    return [tuple(repr(cell) for cell in row) for row in rows]


def lines(rows: list[dict]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


@given(
    truth=st.booleans(),
    dropped=st.sets(st.sampled_from(sorted(GOOD)), max_size=3),
    changed=st.lists(
        st.tuples(
            st.sampled_from([*GOOD, *GOOD["geometry"], "colour", "item_id", "class_pdf"]),
            st.integers(0, 2),
            ODD,
        ),
        max_size=2,
    ),
    noise=st.none() | st.tuples(st.sampled_from(NOISE), st.integers(0, 700)),
)
@settings(max_examples=400, deadline=None)
def test_what_is_taken_for_plain_boxes_is_what_the_parser_makes_of_it(cursor, truth, dropped, changed, noise):
    """For lines with any mixture of odd fields and stray bytes: the same columns, the same values, and no complaint."""
    rows = [
        {
            key: value
            for key, value in GOOD.items()
            if key not in dropped and not (truth and key == "confidence")
        }
        for _ in range(3)
    ]
    for name, at, value in changed:
        if name in GOOD["geometry"]:
            rows[at]["geometry"] = GOOD["geometry"] | {name: value}
        else:
            rows[at][name] = value
    data = lines(rows)
    if noise is not None:
        data = data[: noise[1]] + noise[0] + data[noise[1] :]

    if parse_boxes(cursor, data, truth=truth, first=7):
        short = parsed(cursor), cursor.execute("DESCRIBE parsed").fetchall()
        stage_lines(cursor, data, first=7)
        parse_objects(cursor, "truth" if truth else "run")
        assert short == (parsed(cursor), cursor.execute("DESCRIBE parsed").fetchall())
        assert cursor.execute("SELECT count(reason) FROM parsed").fetchall() == [(0,)]


@pytest.mark.parametrize("count", [1, 3, 20_000])
@pytest.mark.parametrize("dropped", [set(), {"metadata", "task_id", "confidence"}])
@pytest.mark.parametrize("truth", [True, False])
def test_plain_boxes_take_the_fast_path(cursor, count, dropped, truth):
    """Otherwise the property above would hold for nothing; and in chunks that several threads read, rows keep their numbers."""
    row = {key: value for key, value in GOOD.items() if key not in dropped}
    data = lines([row | {"annotation_id": f"é{number}"} for number in range(count)])

    assert parse_boxes(cursor, data, truth=truth, first=10)
    found = cursor.execute("SELECT n, annotation_id FROM parsed ORDER BY n").fetchall()
    assert found == [(10 + number, f"é{number}") for number in range(count)]


ONE = lines([GOOD])[:-1]


@pytest.mark.parametrize(
    "data",
    [
        ONE + b" " + ONE + b"\n",
        ONE + b"\n" + ONE + b" " + ONE + b"\n",
        ONE.replace(b", ", b",\n", 1) + b"\n",
        ONE + b" " + ONE + b"\n\n",
        ONE + b" " + ONE + b"\n" + ONE.replace(b", ", b",\n", 1) + b"\n",
        b"\n" + ONE + b"\n",
        ONE,
        ONE + b" \n",
        ONE + b"\n" + ONE[:20] + b"\n",
        ONE.replace(b'"label"', b'"label": "a", "label"') + b"\n",
        ONE.replace(b"car", b"c\xff") + b"\n",
        ONE.replace(b"car", b"c\\u0041") + b"\n",
        *(lines([GOOD, GOOD | {"confidence": number}]) for number in (float("nan"), 1.1, -0.1, "0.5", True)),
        *(
            lines([GOOD, GOOD | {"geometry": GOOD["geometry"] | {side: number}}])
            for side in GOOD["geometry"]
            for number in (float("nan"), float("inf"), 1e17, -1e17, None, "1", [])
        ),
        lines([GOOD, GOOD | {"geometry": GOOD["geometry"] | {"width": -1}}]),
        lines([GOOD, GOOD | {"geometry": GOOD["geometry"] | {"height": -1}}]),
        *(lines([GOOD, GOOD | {"metadata": value}]) for value in ({"a": 1}, [], 0, "{}")),
        *(
            lines([GOOD, GOOD | {name: "x"}])
            for name in ("class_pdf", "colour", "mask_url", "geometry", "type")
        ),
        *(lines([GOOD, GOOD | {name: 5}]) for name in ("label", "reference_id", "annotation_id", "item_id")),
        *(lines([GOOD, GOOD | {name: None}]) for name in ("label", "type", "reference_id", "geometry")),
        b"\n",
        b"",
    ],
)
def test_all_else_is_left_to_the_parser(cursor, data):
    """What Arrow would read otherwise, or not complain about, or not keep."""
    assert not parse_boxes(cursor, data, truth=False, first=0)
