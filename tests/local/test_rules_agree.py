"""Client and server accept and refuse the same rows, but for the differences that docs/row-rules.md gives reasons for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.local.store import geometry_rules, value_rules
from airflow_provider_nucleus.schema import checks
from tests.local.story import make_model
from tests.odd_rows import GOOD_ROWS, ODD_VALUES, REMOVED, odd_fields, odd_rows, replaced

if TYPE_CHECKING:
    from tests.local.conftest import Api

PAGE = (Path(__file__).parents[2] / "docs/row-rules.md").read_text()


def _patterns(heading: str) -> list[str]:
    """Return the message patterns in the first column of the table under a heading."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (found,) = [each for each in section if each.startswith(heading)]
    return re.findall(r"^\| `([^`]+)` \|", found, re.MULTILINE)


ONLY_CLIENT = _patterns("What only the client refuses")
ONLY_SERVER = _patterns("What only the server refuses")
LOOKED_UP = [each for each in ONLY_SERVER if "JSON" not in each]
CASES = [(kind, name) for kind, rows in GOOD_ROWS.items() for name in rows]


def client_refusal(kind: Any, row: dict[str, Any]) -> str | None:
    """Return why the client refuses a row, None if it would send it."""
    try:
        json.dumps(Encoder(kind, ignore_unknown=True).encode(row).wire, allow_nan=False)
    except NucleusValidationError as error:
        return str(error)
    return None


class Server:
    """A dataset with the items that odd rows name, and a model."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._dataset, self._model = api.dataset("a"), make_model(api)

    def refusals(self, kind: str, rows: list[dict[str, Any]], *, but: list[str] = ONLY_SERVER) -> list[str]:
        """Return the errors of an upload of raw rows, without those that match a pattern."""
        route = {
            "annotations": f"dataset/{self._dataset}/annotate",
            "predictions": f"dataset/{self._dataset}/model/{self._model}/uploadPredictions",
            "items": f"dataset/{self._dataset}/append",
        }[kind]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        job = self._api.upload(self._dataset, route, lines, update=True)
        self._api.wait(job)
        errors = self._api.ok("GET", f"job/{job}/errors")
        return [error for error in errors if not any(re.search(pattern, error) for pattern in but)]

    def accepted(self, kind: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return which of the rows it does not refuse, by halves."""
        refused = len(self.refusals(kind, rows, but=LOOKED_UP)) if rows else 0
        if refused == len(rows):
            return []
        if refused == 0:
            return rows
        half = len(rows) // 2
        return self.accepted(kind, rows[:half]) + self.accepted(kind, rows[half:])


@pytest.fixture
def server(api: Api) -> Server:
    return Server(api)


def _compare(server: Server, kind: str, rows: list[dict[str, Any]]) -> None:
    judged = [(row, client_refusal(kind, row)) for row in rows]
    good = [row for row, refusal in judged if refusal is None]
    bad = [
        row
        for row, refusal in judged
        if refusal and not any(re.search(each, refusal) for each in ONLY_CLIENT)
    ]
    refused = server.refusals(kind, good) if good else []
    accepted = server.accepted(kind, bad)

    assert refused == [], "the client would send these, and the server refuses them"
    assert accepted == [], "the client refuses these, and the server takes them"


@pytest.mark.parametrize(("kind", "name"), CASES, ids=map(" ".join, CASES))
def test_each_odd_value_in_each_field_is_judged_alike(server: Server, kind: str, name: str):
    """All types of annotations, predictions and items: one odd value at a time."""
    _compare(server, kind, odd_rows(kind, name))


NAMED = [
    ("polygon", "embedding_vector", ["a"], "embedding_vector must be a list of numbers"),
    ("box", "label", "", "label must not be empty"),
    ("box", "annotation_id", "", "annotation_id must not be empty"),
    (
        "mask",
        "annotations",
        [{"label": "a", "index": 1}, {"label": "b", "index": "01"}],
        "repeats pixel value 1",
    ),
    ("keypoints", "geometry", {"keypoints": [], "names": [], "skeleton": []}, "keypoints must not be empty"),
    ("cuboid", "geometry.yaw", 1e300, "yaw is too large"),
    ("box", "class_pdf", {"a": 0.5}, "class_pdf must sum to 1"),
]


@pytest.mark.parametrize(("name", "field", "value", "problem"), NAMED, ids=[case[3] for case in NAMED])
def test_what_the_client_refuses_is_not_stored_for_others(
    api: Api, server: Server, name: str, field: str, value: Any, problem: str
):
    """Other clients send rows at once and get the reason of each, not 200 with an object that cannot be."""
    kind = "predictions" if field == "class_pdf" else "annotations"
    row = replaced(GOOD_ROWS[kind][name], tuple(field.split(".")), value)
    dataset, model = api.dataset("a"), make_model(api)
    route = "annotate" if kind == "annotations" else f"model/{model}/uploadPredictions"
    masks = name == "mask"

    answer = api.ok(
        "POST", f"dataset/{dataset}/{route}", json={"segmentations" if masks else "annotations": [row]}
    )

    assert answer[f"{kind}_processed"] == 0
    assert problem in answer["errors"][0]
    assert client_refusal(kind, row) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"reference_id": " "}, {"url": "\u2003"}, {"width": 2**53 + 1}, {"width": True}, {"camera_params": {"fx": 1}},
        {"metadata": {"camera_params": {"fx": 1}}}, {"reference_id": ".."},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_items_of_scenes_have_the_rules_of_items(api: Api, changes: dict[str, Any]):
    """An item is an item, wherever it came in."""
    dataset = api.dataset(is_scene=True)
    frame = {"url": "s3://b/f.jpg", "type": "image", "reference_id": "f", "metadata": {}, **changes}
    scene = {"reference_id": "s", "frame_rate": 1, "frames": [frame]}

    job = api.upload(dataset, f"{dataset}/upload_video_scenes", json.dumps(scene))

    assert api.wait(job)["status"] == "Errored_Partial"
    assert api.ok("GET", f"dataset/{dataset}/scenes_list")["scenes"] == []


@st.composite
def mixed_rows(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """A good row with up to three odd values."""
    name = draw(st.sampled_from(sorted(GOOD_ROWS[kind])))
    row = GOOD_ROWS[kind][name]
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(odd_fields(kind, name)))
        row = replaced(
            row, path, draw(st.sampled_from([*ODD_VALUES, REMOVED]) | st.text(max_size=3) | st.floats())
        )
    return row


@pytest.mark.parametrize("kind", sorted(GOOD_ROWS))
@given(data=st.data())
@settings(
    max_examples=3,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_mixtures_of_odd_values_are_judged_alike(server: Server, kind: str, data: st.DataObject):
    """Several odd values in one row, generated."""
    _compare(server, kind, data.draw(st.lists(mixed_rows(kind), min_size=30, max_size=40)))


def test_every_difference_on_the_page_occurs(server: Server):
    """A difference that was mended leaves the list."""
    rows = [(kind, row) for kind, name in CASES for row in odd_rows(kind, name)]
    refusals = [refusal for kind, row in rows if (refusal := client_refusal(kind, row))]

    assert [each for each in ONLY_CLIENT if not any(re.search(each, refusal) for refusal in refusals)] == []


@pytest.mark.parametrize(("kind", "name"), CASES, ids=map(" ".join, CASES))
def test_a_field_that_is_unknown_is_an_error_of_the_client_alone(server: Server, kind: str, name: str):
    """A misspelt field would be lost in silence; a server meets clients that know more than it does."""
    row = {**GOOD_ROWS[kind][name], "unknown": 1}

    with pytest.raises(NucleusValidationError, match="unknown: is not a field of"):
        Encoder(kind).encode(row)  # type: ignore[arg-type]
    assert server.refusals(kind, [row]) == []


def test_limits_are_the_same_numbers():
    """They are written twice, because neither side imports the other."""
    assert checks.COORDINATE_LIMIT == geometry_rules.COORDINATE_LIMIT
    assert checks.CLASS_PDF_TOLERANCE == value_rules._PDF_TOLERANCE
