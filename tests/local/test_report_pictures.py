"""The whole way of a report on a real server: measured, judged, reported, with the places of objects and images that the server has."""

from __future__ import annotations

import http.server
import io
import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from airflow_provider_nucleus.gating.verdict import Judgement
from airflow_provider_nucleus.operators.gate import NucleusGateOperator
from airflow_provider_nucleus.operators.report import NucleusReportOperator
from tests.local.story import annotate, box, calculate, make_model, predict
from tests.unit.operators.fakes import context

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from airflow_provider_nucleus.local.testing import LocalNucleus
    from tests.local.conftest import Api


@pytest.fixture
def images() -> Generator[str]:
    """A host of images; nothing is there but `there.png`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/there.png" else 404)
            self.end_headers()
            if self.path == "/there.png":
                stream = io.BytesIO()
                Image.linear_gradient("L").resize((200, 120)).convert("RGB").save(stream, "PNG")
                self.wfile.write(stream.getvalue())

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_report_shows_what_the_candidate_lost(
    api: Api, nucleus: LocalNucleus, images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The baseline finds two cars that the candidate does not: one has its picture, the other the reason why not."""
    connection = {"conn_type": "nucleus", "password": nucleus.api_key, "extra": {"endpoint": nucleus.url}}
    monkeypatch.setenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", json.dumps(connection))
    dataset = api.ok("POST", "dataset/create", json={"name": "pictures"})["dataset_id"]
    names = {'quoted "a"': "there", "b": "gone"}
    items = [
        {"reference_id": name, "image_url": f"{images}/{file}.png", "metadata": {}}
        for name, file in names.items()
    ]
    api.ok("POST", f"dataset/{dataset}/append", json={"items": items, "update": False})
    annotate(
        api,
        dataset,
        *(box(name, "car", 20.0, width=40) for name in names),
        *(box(name, "van", 90.0) for name in names),
    )
    models = {name: make_model(api, name) for name in ("candidate", "baseline")}
    predict(api, dataset, models["candidate"], *(box(name, "van", 90.0, confidence=0.8) for name in names))
    predict(
        api,
        dataset,
        models["baseline"],
        *(box(name, "car", 24.0, width=40, confidence=0.9) for name in names),
    )
    for model in models.values():
        calculate(api, dataset, model)

    gate = NucleusGateOperator(
        task_id="gate",
        dataset_id=dataset,
        candidate=models["candidate"],
        baseline=models["baseline"],
        policy={
            "name": "p",
            "fail_on": "never",
            "rules": [{"id": "r", "metric": "recall", "max_drop": 0.1, "min_support": 1}],
        },
        judgement=str(tmp_path / "judgement.json.gz"),
    )
    judged = gate.execute(context(gate))
    report = NucleusReportOperator(task_id="report", judgement=judged, folder=str(tmp_path / "r"))
    found = report.execute(context(report))
    written = Judgement.model_validate_json((tmp_path / "r/metrics.json").read_text())
    page = re.sub(r"</?(?:wbr|bdi)>", "", (tmp_path / "r/report.html").read_text())

    assert (written.changes.broken, written.changes.fixed) == (2, 2)
    broken = {each["item"]: each for each in written.extras["changed"] if each["kind"] == "broken"}
    assert set(broken) == set(names)
    assert broken["b"]["truth"]["box"] == [20, 0, 40, 10]
    assert broken["b"]["baseline"]["box"] == [24, 0, 40, 10]
    assert broken["b"]["image"] == f"{images}/gone.png"
    assert found["pictures"] == 2
    assert found["remarks"] == []
    assert page.count("No picture: the server of the image answered 404") == 2
    pages = {link["name"]: link["url"] for link in written.extras["links"]}
    assert f"/dataset/{dataset}/model/{models['baseline']}/evaluation" in pages["Evaluation of the baseline"]
