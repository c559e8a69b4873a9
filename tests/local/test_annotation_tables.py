"""Every type of annotation has its place everywhere: what is forgotten is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import nucleus as official
import pytest

from airflow_provider_nucleus import schema
from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
from airflow_provider_nucleus.local import annotation_table as stored
from airflow_provider_nucleus.local.engine.shape_families import SHAPE_FAMILIES
from airflow_provider_nucleus.local.engine.shapes import OUTLINES
from airflow_provider_nucleus.local.store import geometry_rules
from airflow_provider_nucleus.schema import annotation_table as sent
from airflow_provider_nucleus.schema.annotations import AnyAnnotation
from airflow_provider_nucleus.schema.exports import predictions_by_type
from airflow_provider_nucleus.schema.predictions import AnyPrediction
from tests.annotation_examples import EXAMPLES, NOT_OFFICIAL, prediction
from tests.local.story import annotate, make_model, predict
from tests.local.test_evaluation_geometries import evaluate, own
from tests.unit.schema.test_official_parity import OURS

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus
    from tests.local.conftest import Api

SENT = {kind.name: kind for kind in sent.ANNOTATION_TABLE}
STORED = {kind.name: kind for kind in stored.STORED_TYPES}
PAGE = (Path(__file__).parents[2] / "docs/annotation-types.md").read_text()
DOCUMENTED = {
    name: [cell.strip() for cell in cells.split("|")]
    for name, cells in re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE, re.MULTILINE)
}
NAMES = sorted(SENT.keys() | STORED.keys() | EXAMPLES.keys() | DOCUMENTED.keys())


def _forgotten(name: str) -> list[str]:
    """Return the places that lack a type."""
    places = {
        "schema/annotation_table.py: ANNOTATION_TABLE": name in SENT,
        "local/annotation_table.py: STORED_TYPES": name in STORED,
        "tests/annotation_examples.py: EXAMPLES": name in EXAMPLES,
        "docs/annotation-types.md": name in DOCUMENTED,
    }
    if name in SENT:
        places |= _places_of_classes(name)
    if name in STORED:
        places |= _places_of_server(name)
    return [place for place, there in places.items() if not there]


def _classes(name: str) -> list[type]:
    kind = SENT[name]
    every = (kind.annotation, kind.prediction, kind.scene_annotation, kind.scene_prediction)
    return [each for each in every if each is not None]


def _places_of_classes(name: str) -> dict[str, bool]:
    kind, names = SENT[name], [each.__name__ for each in _classes(name)]
    unions = {*get_args(AnyAnnotation), *get_args(AnyPrediction)}
    return {
        "schema/__init__.py: __all__": all(each in schema.__all__ for each in names),
        "schema/annotations.py: AnyAnnotation": kind.annotation in unions,
        "schema/predictions.py: AnyPrediction": kind.prediction is None or kind.prediction in unions,
        "schema classes: type": all(each.type == name for each in _classes(name)),
        "the official client (or tests/annotation_examples.py: NOT_OFFICIAL)": (
            name in NOT_OFFICIAL or all(hasattr(official, each) for each in names)
        ),
        "tests/unit/schema/test_official_parity.py: cases": (
            name in NOT_OFFICIAL or set(_classes(name)) <= {type(each) for each in OURS.values()}
        ),
    }


def _places_of_server(name: str) -> dict[str, bool]:
    kind = STORED[name]
    outlined = kind.family != "area" or bool(kind.columns) or name in OUTLINES
    shaped = kind.family is None or kind.table != "objects" or kind.family in SHAPE_FAMILIES
    return {
        "local/store/geometry_rules.py: _CHECKS": name not in stored.GEOMETRY_TYPES
        or name in geometry_rules._CHECKS,
        "local/annotation_table.py: FAMILIES": kind.family is None or kind.family in stored.FAMILY_NAMES,
        "local/engine/shapes.py: OUTLINES": outlined,
        "local/engine/shape_families.py: SHAPE_FAMILIES": shaped,
    }


@pytest.mark.parametrize("name", NAMES)
def test_no_place_forgets_a_type(name: str):
    """Tables of client and server, classes, checks, shapes, examples, parity with the official client, documentation."""
    assert f"{name} is missing in: {'; '.join(_forgotten(name))}" == f"{name} is missing in: "


@pytest.mark.parametrize("name", sorted(SENT.keys() & STORED.keys()))
def test_client_and_server_say_the_same_of_a_type(name: str):
    """And so does the page."""
    client, server = SENT[name], STORED[name]
    identity = {"objects": "annotation id", "masks": "item", "categories": "taxonomy"}[server.table]

    said = (client.export_key, client.run_free, client.prediction is not None, client.identity)
    assert (server.export_key, server.run_free, server.predicted, identity) == said
    assert [
        ", ".join(f"`{each.__name__}`" for each in _classes(name)),
        f"`{server.export_key or name}`",
        "yes" if server.predicted else "no",
        "yes" if server.run_free else "no",
        server.family or "-",
    ] == DOCUMENTED[name]


def test_every_family_has_types():
    """A family without types would be computed for nothing."""
    assert {kind.family for kind in stored.STORED_TYPES} - {None} == set(stored.FAMILY_NAMES)
    assert SHAPE_FAMILIES.keys() == set(stored.RANKED_FAMILIES)


def _wire(row: dict[str, Any], kind: Any) -> dict[str, Any]:
    return Encoder(kind).encode(row).wire


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_row_of_each_type_goes_in_and_comes_back_equal(api: Api, name: str):
    """Checked and spelled by the client, stored by the server, exported, and read by the client."""
    dataset = api.dataset("a")
    wire = _wire(EXAMPLES[name], "annotations")
    annotate(api, dataset, wire)

    (row,) = api.ok("GET", f"dataset/{dataset}/exportForTraining")["exportedRows"]

    assert schema.ExportRow.from_wire(row).objects == {
        STORED[name].export_key or name: [schema.parse_annotation(wire)]
    }


@pytest.mark.parametrize("name", sorted(name for name in EXAMPLES if SENT[name].prediction is not None))
def test_a_prediction_of_each_type_goes_in_and_is_compared(api: Api, nucleus: LocalNucleus, name: str):
    """A prediction of the very ground truth is a true positive of its family, or named among what is not evaluated."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, _wire(EXAMPLES[name], "annotations"))
    wire = _wire(prediction(EXAMPLES[name]), "predictions")
    run = predict(api, dataset, model, wire)

    read = api.ok("GET", f"dataset/{dataset}/model/{model}/export")
    assert predictions_by_type(read) == {STORED[name].export_key or name: [schema.parse_prediction(wire)]}
    if name == "mask":  # whose bytes are elsewhere: an evaluation of nothing else fails and says so
        with pytest.raises(AssertionError, match=r"None of the masks of 1 items could be compared"):
            evaluate(api, run)
        return
    about = own(nucleus, f"evaluations/{evaluate(api, run)}/provenance")
    left_out = {entry["objects"] for entry in about["not_evaluated"]}
    compared = {family for family, sides in about["families"].items() if sides["predictions"]}
    if STORED[name].family is None:
        assert (STORED[name].export_key or name) in left_out
    else:
        assert (compared, left_out) == ({STORED[name].family}, set())
