"""The report's task: three files whatever the gate left, and no failure that nobody sees."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.verdict import Judgement
from airflow_provider_nucleus.operators.report import NucleusReportOperator
from airflow_provider_nucleus.tasks.results import MAX_XCOM_BYTES, json_size
from tests.judgements import judgement
from tests.rendered_changes import RenderedJudgement, rendered_judgement
from tests.unit.operators.fakes import context


def run(
    states: dict[str, str] | None = None, *, map_index: int = -1, **arguments: Any
) -> tuple[Any, dict[str, Any]]:
    """Run the task behind tasks of the given states; return what it returned or raised, and its XComs."""
    task = NucleusReportOperator(task_id="report", **arguments)
    surroundings = context(task, map_index=map_index)
    if states:
        task.upstream_task_ids |= set(states)
        surroundings["ti"].get_task_states = lambda **_: {"run": dict(states)}
    try:
        found = task.execute(surroundings)
    except Exception as error:  # ruff: ignore[blind-except] - what is raised is what is tested
        found = error
    return found, surroundings["ti"].xcoms


def document(folder: Path | str) -> Judgement:
    return Judgement.model_validate_json((Path(folder) / "metrics.json").read_text())


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[RenderedJudgement, Path]:
    """A judgement whose matches are at hand, and the folder of its images."""
    folder = tmp_path_factory.mktemp("images")
    return rendered_judgement(folder, frames=3), folder


def test_a_run_of_a_time_zone_has_an_address_that_opens(tmp_path):
    """S3 takes a plus in an address for a blank; ids of runs have one, on both sides of the change to summer time."""
    folder = tmp_path / "scheduled__2026-03-29T03:00:00+02:00"
    given = judgement().model_dump(mode="json", by_alias=True)
    found, _ = run(judgement=given, folder=str(folder), public_url=f"https://reports.example/{folder.name}")

    assert found["url"] == "https://reports.example/scheduled__2026-03-29T03:00:00%2B02:00/report.html"
    assert (folder / "report.html").exists()


def test_three_files_and_what_is_said_of_them(tmp_path: Path):
    """Page, document and summary; the result is small, and the link leads where browsers find the page."""
    given = judgement(labels=300).model_dump(mode="json", by_alias=True)
    found, xcoms = run(judgement=given, folder=str(tmp_path / "r"), public_url="https://reports.example/r/")

    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [
        "metrics.json",
        "report.html",
        "report.md",
    ]
    assert found["verdict"] == "fail"
    assert found["stopped"]
    assert found["url"] == "https://reports.example/r/report.html"
    assert xcoms["_link_NucleusReportLink"] == found["url"]
    assert any("results" in sentence for sentence in found["left_out"])
    assert json_size(found) <= MAX_XCOM_BYTES
    assert document(tmp_path / "r").candidate.subject.model_name == "detector-b"


def test_the_result_of_a_gate_names_its_document(tmp_path: Path, rendered: tuple[RenderedJudgement, Path]):
    """The matches in it give changed objects and operating points, which the gate did not list; the document keeps no rows."""
    place = tmp_path / "judgement.json.gz"
    place.write_bytes(gzip.compress(rendered[0].judgement.model_dump_json(by_alias=True).encode()))
    found, _ = run(
        judgement={"verdict": "fail", "stopped": True, "judgement": str(place)}, folder=str(tmp_path / "r")
    )
    written = document(tmp_path / "r")

    assert found["url"] is None
    assert written.changes is not None
    assert (
        len(written.extras["changed"])
        == written.changes.fixed + written.changes.broken + written.changes.both_miss
    )
    assert written.extras["operating_points"][0]["label"] is None
    assert written.candidate.matches is None
    assert "Changed objects" in (tmp_path / "r/report.html").read_text()


def test_a_gate_that_never_ran_is_said_and_is_no_pass(tmp_path: Path):
    """Without a judgement there is a report that says why, with the state of the gate."""
    found, _ = run({"gate": "upstream_failed"}, judgement=None, folder=str(tmp_path))

    assert found["verdict"] == "inconclusive"
    assert found["stopped"]
    assert "gate: upstream_failed" in document(tmp_path).verdict.reasons[0]


def test_numbers_of_the_candidate_are_in_the_report_of_a_gate_that_never_ran(tmp_path: Path):
    """They were measured, whatever came of the gate."""
    candidate = judgement().candidate.model_dump(mode="json", by_alias=True)
    run({"gate": "failed"}, judgement="", candidate=candidate, folder=str(tmp_path))

    assert document(tmp_path).candidate.overall.values["f1"] == judgement().candidate.overall.values["f1"]


def test_a_judgement_that_is_gone_leaves_what_the_result_says(tmp_path: Path):
    """The file of the gate is on another machine: verdict and rules are in its result."""
    given = judgement()
    result = {
        "verdict": "fail",
        "stopped": True,
        "policy": "nightly",
        "reasons": given.verdict.reasons,
        "judgement": str(tmp_path / "gone.json"),
        "results": [each.model_dump(mode="json") for each in given.verdict.results[:3]],
        "candidate": {"model_name": "detector-b"},
        "baseline": None,
        "changes": None,
    }
    found, _ = run(judgement=result, folder=str(tmp_path / "r"))

    assert found["verdict"] == "fail"
    assert len(document(tmp_path / "r").verdict.results) == 3
    assert "gone.json" in found["remarks"][0]


def test_mapped_instances_have_folders_of_their_own(tmp_path: Path):
    """None replaces the report of another."""
    given = judgement().model_dump(mode="json", by_alias=True)
    for index in (0, 1):
        found, _ = run(judgement=given, folder=str(tmp_path), public_url="https://x.example", map_index=index)

        assert found["url"] == f"https://x.example/map{index}/report.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map0", "map1"]


def test_a_report_on_an_object_store(memory_store: Any):
    """Any URL that Airflow can write."""
    given = judgement().model_dump(mode="json", by_alias=True)
    found, _ = run(judgement=given, folder="memory://bucket/reports")

    assert found["report"] == "memory://bucket/reports/report.html"
    with ObjectStoragePath("memory://bucket/reports/metrics.json").open("r") as file:
        assert json.load(file)["verdict"]["status"] == "fail"


def test_pictures_come_from_a_folder_that_was_named_and_no_other(
    tmp_path: Path, rendered: tuple[RenderedJudgement, Path], monkeypatch: pytest.MonkeyPatch
):
    """Items say where their images are; a file of the worker is read only below `image_folder`."""
    made, images = rendered
    placed = {(each.item, each.truth.id): each for each in made.extras.changed}
    monkeypatch.setattr(
        "airflow_provider_nucleus.hooks.object_places.place_changes",
        lambda changes, *_, **__: ([placed[each.item, each.truth.id] for each in changes], []),
    )
    given = made.judgement.model_copy(
        update={
            "candidate": made.judgement.candidate.model_copy(
                update={"subject": made.judgement.candidate.subject.model_copy(update={"dataset_id": "ds_1"})}
            )
        }
    ).model_dump(mode="json", by_alias=True)
    monkeypatch.setenv(
        "AIRFLOW_CONN_NUCLEUS_DEFAULT",
        json.dumps({"conn_type": "nucleus", "password": "k", "extra": {"endpoint": "http://127.0.0.1:9"}}),
    )
    inside, _ = run(judgement=given, folder=str(tmp_path / "in"), image_folder=str(images))
    outside, _ = run(judgement=given, folder=str(tmp_path / "out"), image_folder=str(tmp_path))
    beside, _ = run(
        judgement=given, folder=str(tmp_path / "beside"), image_folder=str(images), pictures="folder"
    )
    without, _ = run(judgement=given, folder=str(tmp_path / "none"), pictures="none")

    assert inside["pictures"] == beside["pictures"] == len(placed)
    assert outside["pictures"] == without["pictures"] == 0
    assert "leads out of image_folder" in (tmp_path / "out/report.html").read_text().replace("<wbr>", "")
    assert len(list((tmp_path / "beside/crops").iterdir())) == len(placed)


def test_a_server_that_is_away_costs_the_pictures_alone(
    tmp_path: Path, rendered: tuple[RenderedJudgement, Path], monkeypatch: pytest.MonkeyPatch
):
    """The rows are there, and the report says why they have none."""
    made = rendered[0].judgement
    subject = made.candidate.subject.model_copy(update={"dataset_id": "ds_1", "model_run_id": "run_1"})
    given = made.model_copy(update={"candidate": made.candidate.model_copy(update={"subject": subject})})
    monkeypatch.delenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", raising=False)
    found, _ = run(
        judgement=given.model_dump(mode="json", by_alias=True),
        folder=str(tmp_path),
        nucleus_conn_id="no_such",
    )

    assert found["pictures"] == 0
    assert any("no pictures" in remark for remark in found["remarks"])


def test_a_folder_that_cannot_be_written_fails_before_anything(tmp_path: Path):
    """The error names the argument."""
    (tmp_path / "file").write_text("")
    found, _ = run(judgement=None, folder=str(tmp_path / "file"))

    assert isinstance(found, NucleusConfigError)
    assert found.field == "folder"


def test_a_disk_that_is_full_leaves_the_earlier_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All files are written before one is replaced."""
    given = judgement().model_dump(mode="json", by_alias=True)
    run(judgement=given, folder=str(tmp_path))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    real = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "report.html":
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    found, _ = run(judgement=judgement(labels=3).model_dump(mode="json", by_alias=True), folder=str(tmp_path))

    assert isinstance(found, OSError)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_store_that_fails_keeps_nothing_new(memory_store: Any, monkeypatch: pytest.MonkeyPatch):
    """What was put before the failure is taken back."""
    real = ObjectStoragePath.open

    def failing(path: Any, mode: str = "r", **options: Any) -> Any:
        if path.name == "report.html" and "w" in mode:
            raise OSError("503 Slow Down")
        return real(path, mode, **options)

    monkeypatch.setattr(ObjectStoragePath, "open", failing)
    found, _ = run(
        judgement=judgement().model_dump(mode="json", by_alias=True), folder="memory://bucket/taken-back"
    )

    assert isinstance(found, OSError)
    assert not ObjectStoragePath("memory://bucket/taken-back/metrics.json").exists()


def test_the_default_trigger_rule_runs_it_whatever_the_gate_said():
    """And it can be another."""
    assert NucleusReportOperator(task_id="a", folder="f").trigger_rule == "all_done"
    assert (
        NucleusReportOperator(task_id="b", folder="f", trigger_rule="all_success").trigger_rule
        == "all_success"
    )
    begun = NucleusReportOperator.partial(task_id="c", folder="f")
    assert begun.kwargs["trigger_rule"] == "all_done"
    begun.expand(judgement=[])


def test_a_wrong_choice_is_refused_when_the_dag_is_read():
    """Pictures are somewhere or nowhere."""
    with pytest.raises(ValueError, match="pictures must be one of page, folder, none"):
        NucleusReportOperator(task_id="a", folder="f", pictures="everywhere")
