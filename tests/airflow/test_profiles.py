"""Profile of an upload in a real Airflow: in the XCom, waiting and deferred, and judged by a gate without any ground truth."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.gating.profile_counts import ProfileCounts
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from tests.airflow.harness import REPOSITORY, connection_json
from tests.unit.operators.fakes import run as run_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ITEMS = 400
AIRFLOW_3 = not version("apache-airflow").startswith("2.")

BOTH_FORMS = """
    try:
        from airflow.sdk import dag
    except ImportError:  # Airflow < 3
        from airflow.decorators import dag
    from airflow_provider_nucleus.operators.uploads import NucleusUploadPredictionsOperator

    @dag(dag_id="profiles", schedule=None, params={"dataset_id": "", "model_id": "", "folder": ""})
    def profiles():
        for form, deferrable in (("waiting", False), ("deferred", True)):
            NucleusUploadPredictionsOperator(
                task_id=form,
                dataset_id="{{ params.dataset_id }}",
                model_id="{{ params.model_id }}",
                source="{{ params.folder }}/rows.jsonl",
                items="400",
                profile="{{ params.folder }}/out/" + form + ".json",
                deferrable=deferrable,
                poll_interval=0.2,
                update=True,
            )

    profiles()
"""


def predictions(*, scale: float = 1.0) -> list[dict[str, Any]]:
    """Return eight boxes on each of 350 items, of two labels, with all confidences from 0.30 to 0.99."""
    return [
        {
            "type": "box",
            "label": "car" if number % 3 else "bus",
            "reference_id": f"item-{number // 8}",
            "annotation_id": f"p{number}",
            "geometry": {"x": 0, "y": 0, "width": 40 + number % 60, "height": 30},
            "confidence": round((30 + number * 7 % 70) / 100 * scale, 4),
        }
        for number in range(350 * 8)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def conf(nucleus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> dict[str, str]:
    """A dataset of 400 items, the batch as a slice, and a model."""
    from airflow_provider_nucleus.hooks.nucleus import NucleusHook

    connection = connection_json(endpoint=nucleus.url, api_key=nucleus.api_key)
    monkeypatch.setenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", connection)
    names = [f"item-{number}" for number in range(ITEMS)]
    with NucleusHook() as hook:
        dataset_id = hook.create_dataset(request.node.name)
        rows = [{"reference_id": name, "image_url": f"s3://images/{name}.jpg"} for name in names]
        run_task(NucleusAppendItemsOperator(task_id="items", dataset_id=dataset_id, source=rows))
        return {
            "dataset_id": dataset_id,
            "model_id": hook.create_model("m", reference_id=request.node.name),
            "slice_id": hook.create_slice(dataset_id, "batch", reference_ids=names),
            "folder": str(tmp_path),
        }


def test_the_profile_is_in_the_xcom_waiting_and_deferred(
    run_dag: Callable[..., Any], conf: dict[str, str], tmp_path: Path
) -> None:
    """The same one, whichever process collects; the file has it too."""
    write(tmp_path / "rows.jsonl", predictions())
    counts = ProfileCounts()
    counts.add_rows(predictions())
    expected = counts.profile().model_copy(update={"items": ITEMS}).to_dict()

    done = run_dag(BOTH_FORMS, "profiles", conf=conf)

    assert done.state == "success", done.log[-5000:]
    for form in ("waiting", "deferred"):
        assert expected == done.tasks[form].value["profile"]
        assert done.tasks[form].value["profile_file"] == str(tmp_path / "out" / f"{form}.json")
        assert expected == json.loads((tmp_path / "out" / f"{form}.json").read_text())


@pytest.mark.skipif(not AIRFLOW_3, reason="the page's DAG imports airflow.sdk")
@pytest.mark.parametrize(
    ("rows", "state", "why"),
    [
        (predictions(), "success", ""),
        (predictions(scale=0.8), "failed", "confidence_psi"),
        ([row for row in predictions() if row["label"] == "car"], "failed", "vanished_labels"),
        ([], "failed", "objects"),
    ],
    ids=["as usual", "confidences x 0.8", "no bus", "empty"],
)
def test_the_dag_of_the_page_stops_what_is_not_as_usual(
    run_dag: Callable[..., Any], conf: dict[str, str], tmp_path: Path, rows: Any, state: str, why: str
) -> None:
    """The hour it was predicted, before any label exists."""
    page = (REPOSITORY / "docs" / "profile.md").read_text()
    code = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0]
    counts = ProfileCounts()
    counts.add_rows(predictions())
    usual = counts.profile().model_copy(update={"items": ITEMS})
    (tmp_path / "usual.json").write_text(json.dumps(usual.to_dict()))
    source = write(tmp_path / "rows.jsonl", rows)

    done = run_dag(
        code,
        "watch_predictions",
        conf={**conf, "predictions": str(source), "reference": str(tmp_path / "usual.json")},
    )

    assert done.tasks["upload"].state == "success", done.log[-5000:]
    assert done.tasks["gate"].state == state, done.log[-5000:]
    assert why in "".join(done.tasks["gate"].value["reasons"])


SHARDS = """
    try:
        from airflow.sdk import dag
    except ImportError:  # Airflow < 3
        from airflow.decorators import dag
    from airflow_provider_nucleus.operators.gate import NucleusGateOperator
    from airflow_provider_nucleus.operators.uploads import NucleusUploadPredictionsOperator

    POLICY = {"rules": [{"id": "empty", "scope": "profile", "metric": "empty_share", "max": 0.13},
                        {"id": "confidence", "scope": "profile", "metric": "confidence_psi", "max": 0.2}]}

    @dag(dag_id="shards", schedule=None, params={"dataset_id": "", "model_id": "", "slice_id": "", "folder": ""})
    def shards():
        uploads = NucleusUploadPredictionsOperator.partial(
            task_id="uploads",
            dataset_id="{{ params.dataset_id }}",
            model_id="{{ params.model_id }}",
            slice_id="{{ params.slice_id }}",
        ).expand(source=["{{ params.folder }}/0.jsonl", "{{ params.folder }}/1.jsonl"])
        NucleusGateOperator(
            task_id="gate", candidate=uploads.output, baseline="{{ params.folder }}/usual.json", policy=POLICY
        )

    shards()
"""


def test_the_output_of_mapped_uploads_is_one_batch_to_a_gate(
    run_dag: Callable[..., Any], conf: dict[str, str], tmp_path: Path
) -> None:
    """Two shards of a slice of 400 items, 350 of them with predictions: an eighth is empty, and not nine sixteenths."""
    counts = ProfileCounts()
    counts.add_rows(predictions())
    (tmp_path / "usual.json").write_text(json.dumps(counts.profile().to_dict()))
    for shard in range(2):
        rows = [row for row in predictions() if int(row["reference_id"][5:]) % 2 == shard]
        write(tmp_path / f"{shard}.jsonl", rows)

    done = run_dag(SHARDS, "shards", conf=conf)

    assert done.state == "success", done.log[-5000:]
    results = {one["rule_id"]: one for one in done.tasks["gate"].value["results"]}
    assert results["empty"]["value"] == pytest.approx(50 / 400)
    assert results["confidence"]["status"] == "pass"
