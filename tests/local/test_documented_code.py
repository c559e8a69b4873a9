"""The Python on the pages runs as it is written, against a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nucleus as official
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_nucleus.gating.profile_counts import ProfileCounts
from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
from airflow_provider_nucleus.sources import RowMapping, open_rows
from tests.local.story import annotate, box, make_model

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus
    from tests.local.conftest import Api

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN_HERE = {
    "README.md": 2,
    "docs/batches.md": 1,  # tests/airflow/test_batch_page.py
    "docs/benchmark-evaluations.md": 2,
    "docs/evaluation.md": 1,
    "docs/events-and-approval.md": 2,  # tests/unit/operators/test_approval.py
    "docs/foreign-layouts.md": 2,
    "docs/gating.md": 1,  # tests/unit/gating/test_gating_page.py
    "docs/gating-in-airflow.md": 2,  # tests/unit/operators/test_gate_page.py
    "docs/gating-in-ci.md": 1,  # test_documented_gates.py
    "docs/profile.md": 2,
    "docs/uploads.md": 2,
}


def _blocks(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text())


def _run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, "documentation", "exec"), names)
    return names


def test_every_block_is_run_here():
    """A block that is added to a page gets a test below, or is not added."""
    found = {str(page.relative_to(ROOT)): len(BLOCK.findall(page.read_text())) for page in PAGES}

    assert {page: count for page, count in found.items() if count} == RUN_HERE


def test_the_dag_of_the_readme_goes_from_a_batch_to_its_verdict():
    """The gate comes behind both models' numbers, and promotion and report beside each other behind the gate."""
    dag = _run(_blocks("README.md")[0])["judge_batch"]()

    assert {"metrics_candidate", "metrics_production"} == dag.get_task("gate").upstream_task_ids
    assert {"promote", "report"} == dag.get_task("gate").downstream_task_ids


def test_the_task_of_the_readme_makes_a_slice_with_the_hook(
    api: Api, client: official.NucleusClient, nucleus: LocalNucleus, monkeypatch: pytest.MonkeyPatch
):
    """Items of the night, and no others, through the connection `nucleus_default`."""
    connection = {"conn_type": "nucleus", "password": nucleus.api_key, "extra": {"endpoint": nucleus.url}}
    monkeypatch.setenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", json.dumps(connection))
    dataset = api.ok("POST", "dataset/create", json={"name": "nights"})["dataset_id"]
    items = [
        {"reference_id": light, "image_url": f"s3://b/{light}.jpg", "metadata": {"light": light}}
        for light in ("day", "night")
    ]
    api.ok("POST", f"dataset/{dataset}/append", json={"items": items, "update": False})

    slice_id = _run(_blocks("README.md")[1])["slice_of_the_night"].function(dataset)

    assert [item.reference_id for item in client.get_slice(slice_id).items_generator()] == ["night"]


def test_the_engine_says_what_its_page_says():
    """The comments behind the last two lines are the results."""
    code = _blocks("docs/evaluation.md")[0]
    names = _run(code)
    said = re.findall(r"^(\w+\(.+?)  # ([\d.]+)", code, re.MULTILINE)

    assert [eval(expression, names) for expression, _ in said] == pytest.approx([
        float(value) for _, value in said
    ])
    assert len(said) == 2


def test_the_operator_of_foreign_layouts_is_made():
    """What it says about the layout is checked when it is made."""
    upload = _run(_blocks("docs/foreign-layouts.md")[0])["upload"]

    assert upload.mapping["box_format"] == "xyxy"


def test_the_layouts_of_torchvision_and_hugging_face_are_read():
    """The rows in the comments, as they stand there."""
    code = _blocks("docs/foreign-layouts.md")[1]
    mappings = _run(code)
    boxes = {}
    for name, text in zip(
        ("torchvision", "hugging_face"), re.findall(r"^# (\{.+\}) as", code, re.MULTILINE), strict=True
    ):
        kind: Any = "predictions" if name == "torchvision" else "annotations"
        (row,) = open_rows([json.loads(text)], kind=kind, mapping=mappings[name])
        boxes[name] = (row.data["label"], row.data["geometry"])

    assert boxes["torchvision"] == ("car", {"x": 10, "y": 20, "width": 30, "height": 40})
    assert boxes["hugging_face"][1] == {"x": 10, "y": 20, "width": 30, "height": 40}


def test_the_mapping_maps_a_foreign_row():
    """Renamed, constant, relabelled, rescaled, and named by a template."""
    mapping = eval(_blocks("docs/uploads.md")[0], {"RowMapping": RowMapping})
    foreign = {
        "cls": "automobile",
        "left": 1,
        "top": 2,
        "w": 3,
        "h": 4,
        "confidence": 50,
        "site": "north",
        "image": {"folder": "f", "name": "n.jpg"},
    }

    (row,) = open_rows([foreign], kind="predictions", mapping=mapping)

    assert row.data == {
        "type": "box",
        "label": "car",
        "geometry": {"x": 1, "y": 2, "width": 3, "height": 4},
        "confidence": 0.5,
        "metadata": {"site": "north"},
        "reference_id": "f/n.jpg",
    }


def test_the_script_uploads_predictions(
    api: Api,
    nucleus: LocalNucleus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """With its placeholders filled in; the sentence counts what was stored."""
    dataset, model = api.dataset("a"), make_model(api)
    (tmp_path / "predictions").mkdir()
    pq.write_table(
        pa.Table.from_pylist([box("a", "car", 0, confidence=0.9)]), tmp_path / "predictions/1.parquet"
    )
    monkeypatch.chdir(tmp_path)
    code = _blocks("docs/uploads.md")[1]
    for placeholder, value in {
        'api_key="..."': f"api_key={nucleus.api_key!r}, endpoint={nucleus.url!r}",
        '"ds_..."': repr(dataset),
        '"prj_..."': repr(model),
    }.items():
        assert placeholder in code
        code = code.replace(placeholder, value)

    _run(code)

    assert capsys.readouterr().out.startswith("1 rows read, 0 rejected, 1 sent, 1 processed")


def test_an_evaluation_with_the_official_client(client: official.NucleusClient, api: Api):
    """The three lines of the page, on one found object."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "car", 0))
    found = official.BoxPrediction("car", 0, 0, 10, 10, "a", confidence=0.9, dataset_id=dataset)
    client.get_model(model).upload_predictions([found])

    names = _run(
        _blocks("docs/benchmark-evaluations.md")[0],
        client=client,
        dataset=client.get_dataset(dataset),
        model=client.get_model(model),
    )

    assert names["evaluation"].charts().mapSummary.mapAt5095 == 1


def test_the_operator_that_evaluates_takes_the_arguments_of_the_page():
    """All of them are its own."""
    code = _blocks("docs/benchmark-evaluations.md")[1].replace(
        "NucleusEvaluate", "operator = NucleusEvaluate", 1
    )
    names = _run(
        code,
        NucleusEvaluateModelOperator=NucleusEvaluateModelOperator,
        model_id="prj_1",
        run_id="run_1",
        dataset_id="ds_1",
    )

    assert names["operator"].benchmark == "streets"


def test_the_dag_of_the_profile_uploads_and_judges():
    """The same file runs in a real Airflow, in tests/airflow/test_profiles.py."""
    dag = _run(_blocks("docs/profile.md")[0])["watch_predictions"]()

    assert [task.task_id for task in dag.topological_sort()] == ["upload", "gate"]


def test_profiles_of_shards_are_compared_with_a_reference(capsys: pytest.CaptureFixture[str]):
    """Two shards of one batch, and a reference that had a label more."""
    reference = _profile_of("car", "bus", items=500)
    shards = [
        {"profile": _profile_of("car", items=300)},
        {"profile": _profile_of("car", items=300, first=300)},
    ]

    _run(
        _blocks("docs/profile.md")[1],
        results_of_mapped_uploads=[shard["profile"] for shard in shards],
        reference=reference,
    )

    assert capsys.readouterr().out == "0.0 ['bus']\n"


def _profile_of(*labels: str, items: int, first: int = 0) -> dict[str, Any]:
    """Return the profile of one box of each label on each item."""
    counts = ProfileCounts()
    counts.add_rows(
        box(str(first + item), label, 0, confidence=0.9) for item in range(items) for label in labels
    )
    return counts.profile().to_dict()
