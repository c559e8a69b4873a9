"""Digests that the database makes of boxes are those of their listing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import orjson

from airflow_provider_nucleus.gating.fingerprint import listed_object, summed_digests
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.catalog.box_digests import box_digests, other_objects
from airflow_provider_nucleus.local.store.database import Database
from airflow_provider_nucleus.local.store.views.objects import objects_where, parsed_objects

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("a", "ä/ö", "日本 b", "it's", 'a "b"', "back\\slash", "tab\t", "\x7f", "{}", "')", "\u2028")
METADATA = (None, "{}", '{"a": 1}', '{"iscrowd": 1}', '{"ignore": false}', '{"\\u0069scrowd": 1}', "null")


def number(draw: random.Random) -> float:
    """Return a coordinate: of any size, whole or not, as they are written in files."""
    value = draw.choice((
        0.0,
        -0.0,
        draw.uniform(0, 2000),
        round(draw.uniform(0, 2000), 2),
        float(draw.randint(0, 4000)),
    ))
    return draw.choice((value, value, -value, draw.uniform(-1, 1) * 10 ** draw.uniform(-9, 16)))


def test_the_digest_of_a_box_is_that_of_its_listing(tmp_path: Path):
    """By item, whatever stands in names, coordinates and metadata; the plain ones are most of them."""
    draw = random.Random(4)
    db = Database(tmp_path / "x.duckdb", memory_limit="500MB", spill=tmp_path)
    boxes = []
    for n in range(1, 3001):
        strange = draw.random() < 0.1
        names = [draw.choice(NAMES) if strange else f"name {draw.random()}" for _ in range(2)]
        places = [number(draw) if strange else round(draw.uniform(0, 2000), 3) for _ in range(4)]
        metadata = draw.choice(METADATA) if strange else "{}"
        boxes.append([n, n % 50 + 1, f"{names[0]} {n}", names[1], *places, metadata])
    with db.write() as cursor:
        for item in range(1, 51):
            cursor.execute(
                "INSERT INTO items VALUES (?, 1, ?, NULL, NULL, NULL, '{}', NULL, NULL, NULL, NULL, ?, NULL)",
                [item, f"{NAMES[item] if item < len(NAMES) else 'item'} {item}", timestamps.now()],
            )
        cursor.executemany(
            "INSERT INTO objects VALUES (?, 1, ?, ?, NULL, 'box', ?, NULL, ?, ?, ?, ?, NULL, ?, NULL, NULL, NULL)",
            boxes,
        )
    items = list(range(1, 51))
    with db.read() as cursor:
        found = box_digests(cursor, 1, items)
        others = other_objects(cursor, 1, items)
        listed = [
            orjson.loads(orjson.dumps(each))
            for each in objects_where(cursor, "o.set_no = 1", [], truth=True, with_id=True)
        ]
        assert sorted(others) == others
        plain = [each for each in listed if int(each["id"].partition("_")[2], 16) not in set(others)]
        assert len(plain) > 2000
        assert {item for item, _ in parsed_objects(cursor, 1, others)} <= set(items)
    by_item: dict[int, list[tuple[str | None, ...]]] = {}
    for each in plain:
        by_item.setdefault(int(each["dataset_item_id"].partition("_")[2], 16), []).append(listed_object(each))
    assert {item: (count, total % (1 << 256)) for item, (count, total) in found.items()} == {
        item: summed_digests(texts) for item, texts in by_item.items()
    }
    # Coordinates and names of the strange ones are among them too.
    assert any(0 < abs(each["geometry"]["x"]) < 0.01 for each in plain)
    db.close()
