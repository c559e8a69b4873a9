"""Field mapping, labels, scores and templates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.sources import RowMapping, open_rows


def mapped(row: dict, mapping: RowMapping | dict | None = None) -> dict:
    (only,) = open_rows([row], kind="predictions", mapping=mapping)
    assert only.problem is None
    return only.data


def test_fields_are_renamed_and_foreign_ones_dropped():
    """Wire names that are not mapped pass; everything else the row has is not sent."""
    row = {"img": "a", "class": "car", "box": [1, 2, 3, 4], "confidence": 0.5, "junk": 1, "meta.x": 9}
    mapping = {
        "reference_id": "img",
        "label": "class",
        "geometry.x": "box.0",
        "geometry.y": "box.1",
        "geometry.width": "box.2",
        "geometry.height": "box.3",
        "metadata.dotted": "meta.x",
        "metadata.gone": "nowhere.at.all",
    }

    assert mapped(row, mapping) == {
        "reference_id": "a",
        "label": "car",
        "geometry": {"x": 1, "y": 2, "width": 3, "height": 4},
        "confidence": 0.5,
        "metadata": {"dotted": 9},
        "type": "box",
    }


def test_a_wire_name_used_as_a_source_is_not_sent_twice():
    """A column called `label` that holds the item's name moves, it is not copied."""
    assert mapped({"label": "a"}, {"reference_id": "label", "type": "=category"}) == {
        "reference_id": "a",
        "type": "category",
    }


def test_labels_are_mapped_everywhere_they_occur():
    """In label, labels, segments and class_pdf, where merged classes add up."""
    row = {
        "label": "a",
        "labels": ["a", "c"],
        "annotations": [{"label": "b", "index": 1}, "odd"],
        "class_pdf": {"a": 0.25, "b": 0.5, "c": 0.25},
        "type": "mask",
    }
    result = mapped(row, RowMapping(labels={"a": "x", "b": "x"}))

    assert (
        result["label"],
        result["labels"],
        result["annotations"],
    ) == ("x", ["x", "c"], [{"label": "x", "index": 1}, "odd"])
    assert result["class_pdf"] == {"x": 0.75, "c": 0.25}


@pytest.mark.parametrize(
    ("scores", "value", "expected"),
    [((0, 100), 25, 0.25), ((-1, 1), 0, 0.5), ((0, 40), 41, 1.025), ("logit", 0, 0.5), ("logit", -800, 0.0), ("logit", 800, 1.0), ((0, 100), "high", "high")],
)  # fmt: skip
def test_scores_are_brought_to_the_unit_range(scores, value, expected):
    """Values outside the stated range stay outside, so that validation sees them; so does what is no number."""
    result = mapped({"confidence": value, "type": "box"}, RowMapping(scores=scores))["confidence"]

    assert result == expected if isinstance(expected, str) else math.isclose(result, expected, abs_tol=1e-12)


def test_templates_read_the_source_row():
    """With format specifications; a row that lacks a field is a problem that names it."""
    mapping = RowMapping(
        fields={"label": "cls"}, reference_id="{cam}/{meta.frame:04d}", annotation_id="{cls}-{n}"
    )

    assert mapped({"cls": "car", "cam": "l", "meta": {"frame": 7}, "n": 1}, mapping) == {
        "label": "car",
        "reference_id": "l/0007",
        "annotation_id": "car-1",
    }
    lacking, wrong = open_rows(
        [{"cls": "car", "n": 1}, {"cls": "car", "cam": "l", "n": 1, "meta": {"frame": "x"}}],
        kind="predictions",
        mapping=mapping,
    )
    assert "'cam'" in lacking.problem
    assert "reference_id template: 'meta.frame'" in wrong.problem


@pytest.mark.parametrize("template", ["{", "{}", "{a!r}", "{a:relative()}", "{a:stem|nothing}"])
def test_malformed_templates_are_refused_at_once(template: str):
    """Before any row is read; nothing but plain fields is allowed."""
    with pytest.raises(NucleusConfigError, match="template"):
        RowMapping(reference_id=template)


@pytest.mark.parametrize("scores", [(1, 0), (1, 1), "percent", (1,)])
def test_malformed_scores_are_refused_at_once(scores):
    """Before any row is read."""
    with pytest.raises(NucleusConfigError, match="scores"):
        RowMapping(scores=scores)


@pytest.mark.parametrize(
    ("row", "kind"),
    [({"mask_url": "m.png"}, "mask"), ({"geometry": {"keypoints": []}}, "keypoints"), ({"geometry": {"position": {}}}, "cuboid"), ({"x": 1, "y": 2}, "box"), ({"geometry": {"vertices": []}}, None)],
)  # fmt: skip
def test_the_type_follows_from_the_geometry_where_it_can(row: dict, kind: str | None):
    """Vertices could be a line or a polygon, so they stay undecided and validation says so."""
    assert kind == mapped(row).get("type")


def test_a_path_that_no_row_has_is_warned_about(tmp_path, caplog):
    """Rows of JSON need not have every field, but a field that none has is a typo; constants and fields of some rows are not."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"cls": "car", "score": 0.5}\n{"cls": "van"}\n')
    rules = RowMapping(fields={"label": "cls", "confidence": "scor", "type": "=box", "metadata.s": "score"})

    with caplog.at_level("WARNING"):
        list(open_rows(path, kind="predictions", mapping=rules))

    assert [record.message for record in caplog.records] == [
        "No row has 'scor', which the mapping reads for confidence; check its spelling"
    ]


@pytest.mark.parametrize("kind", [float, np.float32, np.float64, np.array])
@pytest.mark.parametrize("fields", [{}, {"label": "label"}])
def test_confidences_of_any_type_are_scaled_and_compared(kind, fields):
    """What a model returns are scalars of NumPy: they are left out below the least confidence, and scaled, like numbers."""
    rows = [
        {"reference_id": "a", "label": "car", "type": "box", "confidence": kind(value)}
        for value in (12.5, 50.0)
    ]
    mapping = RowMapping(fields=fields, scores=(0, 100), min_confidence=0.25)
    (batch,) = open_rows(rows, kind="predictions", mapping=mapping).batches()

    assert batch.left_out == {"confidence below 0.25": 1}
    assert [row["confidence"] for row in batch.rows] == [0.5]


@pytest.mark.parametrize("fields", [{}, {"label": "label"}])
def test_a_confidence_beyond_all_numbers_is_left_to_the_check(fields):
    """A whole number of 400 digits is one bad row, and no error of the whole upload."""
    row = {"reference_id": "a", "label": "car", "type": "box", "confidence": 10**400}
    assert mapped(row, RowMapping(fields=fields, scores=(0, 100)))["confidence"] == 10**400


def test_arguments_and_fields_alone_are_told_apart():
    """`reference_id` names a field and an argument: what holds a template is the argument."""
    row = {"path": "a/b.jpg", "image": "c", "label": "car", "type": "box", "x1": 1, "y1": 2, "x2": 4, "y2": 6}

    assert mapped(dict(row), {"reference_id": "{path:stem}"})["reference_id"] == "b"
    assert mapped(dict(row), {"reference_id": "image"})["reference_id"] == "c"
    assert mapped(dict(row), {"box_format": "xyxy"})["geometry"] == {"x": 1, "y": 2, "width": 3, "height": 4}
