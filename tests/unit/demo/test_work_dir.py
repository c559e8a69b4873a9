from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.demo.rendered_batch import render
from airflow_provider_nucleus.demo.work_dir import opened, serve_command, usual_folder
from airflow_provider_nucleus.local.datadir import DataDir
from airflow_provider_nucleus.local.disk.belongings import foreign
from airflow_provider_nucleus.local.store.opening import open_store

REPOSITORY = Path(__file__).parents[3]


def made(folder, *names):
    """Put empty files into a folder and return it."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def make_store(folder):
    """Leave a data directory as a server leaves it."""
    with DataDir(folder) as data:
        open_store(data.database, memory_limit="100MB", spill=data.spool / "spill").close()


def test_results_are_replaced_and_the_airflow_database_stays(tmp_path):
    """A second run starts with empty folders, and need not migrate again."""
    with opened(tmp_path / "demo") as work:
        work.airflow.mkdir()
        (work.airflow / "airflow.db").write_text("kept")
        (work.results / "old.json").write_text("{}")
        work.nucleus.mkdir()
    with opened(tmp_path / "demo") as work:
        assert (work.airflow / "airflow.db").read_text() == "kept"
        assert list(work.results.iterdir()) == []
        assert not work.nucleus.exists()


def test_a_folder_of_something_else_is_not_touched(tmp_path):
    """Nothing is deleted in a folder that a demonstration did not make."""
    (tmp_path / "nucleus").mkdir()
    (tmp_path / "nucleus" / "thesis.tex").write_text("years of work")

    with pytest.raises(DemoError, match="--work-dir"), opened(tmp_path):
        pass
    assert (tmp_path / "nucleus" / "thesis.tex").exists()


def test_what_was_put_in_the_place_of_the_results_is_not_deleted(tmp_path):
    """A mark on the folder says nothing of what somebody put into it since; nothing else is deleted then, either."""
    with opened(tmp_path / "demo") as work:
        (work.results / "old.json").write_text("{}")
    work.nucleus.mkdir(exist_ok=True)
    (work.nucleus / "thesis.tex").write_text("years of work")

    with pytest.raises(DemoError, match=r"it holds thesis\.tex.*--work-dir"), opened(tmp_path / "demo"):
        pass
    assert (work.nucleus / "thesis.tex").exists()
    assert (work.results / "old.json").exists()


def test_data_that_a_server_still_serves_is_not_deleted(tmp_path):
    """`make serve` on the last results keeps them; the error says what to do."""
    with opened(tmp_path / "demo") as work:
        data = work.nucleus
    with DataDir(data), pytest.raises(DemoError, match="Stop that server"), opened(tmp_path / "demo"):
        pass
    assert data.exists()


def test_two_demonstrations_do_not_share_a_folder(tmp_path):
    """The second one is told so."""
    with (
        opened(tmp_path / "demo"),
        pytest.raises(DemoError, match="Another demonstration"),
        opened(tmp_path / "demo"),
    ):
        pass


@pytest.mark.parametrize(
    "name",
    [
        "nucleus/photos/x.jpg", "nucleus/nucleus.duckdb.backup", "nucleus/notes.part", "nucleus/blobs/01/x.jpg",
        f"nucleus/not-in-the-store/blobs/01/{'01' * 20}", f"nucleus/evaluations/evalv2_{'e' * 20}.01234567/report.pdf",
        f"nucleus/evaluations/evalv2_{'e' * 20}", f"nucleus/blobs/01/{'02' * 20}", "nucleus/.git/HEAD",
        "scenes/holiday.jpg", "batch/items.csv", "results/my-notes.txt", "results/plots/a.json", "logs/important.txt",
    ],
)  # fmt: skip
def test_no_file_is_deleted_that_a_demonstration_has_not_made(tmp_path, name):
    """Whatever it lies beside: the file is named, and everything is as it was."""
    with opened(tmp_path / "demo") as work:
        make_store(work.nucleus)
        (work.results / "old.json").write_text("{}")
    path = tmp_path / "demo" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("years of work")

    with (
        pytest.raises(DemoError, match=f"{re.escape(str(path))} is nothing .* Move it away"),
        opened(work.root),
    ):
        pass
    assert path.read_text() == "years of work"
    assert (work.results / "old.json").exists()
    assert (work.nucleus / "nucleus.duckdb").exists()


@pytest.mark.parametrize("name", ["nucleus", "nucleus/blobs", "scenes", "results", "results/old.json"])
def test_nothing_is_deleted_behind_a_link(tmp_path, name):
    """A folder that is a link, or a link in it, is somebody's doing."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.json").write_text("{}")
    with opened(tmp_path / "demo") as work:
        work.results.rmdir()
    (work.root / name).parent.mkdir(exist_ok=True)
    (work.root / name).symlink_to(elsewhere)

    with pytest.raises(DemoError, match=r"is a link to|a demonstration has made"), opened(work.root):
        pass
    assert (elsewhere / "a.json").exists()


def test_whatever_a_demonstration_and_its_server_write_is_replaced(tmp_path):
    """Every kind of file, unfinished ones included."""
    digits, token, upload = "89abcdef", "ab" * 20, "t" * 43
    result = f"evalv2_{'e' * 20}.{digits}"
    names = (
        "lock", "api-key", f"api-key.{digits}.part", "nucleus.duckdb", "nucleus.duckdb.wal", f"nucleus.duckdb.{digits}.part",
        f"blobs/ab/{token}", f"blobs/ab/{token}.{digits}.part", f"spool/{upload}.ndjson", f"spool/{upload}.ndjson.{digits}.part",
        "spool/spill/duckdb_temp_storage_DEFAULT-0.tmp", f"evaluations/{result}/about.json", f"evaluations/{result}/truth_image.npy",
        f"evaluations/{result}/columns.bin",
        f"evaluations/{result}.{digits}.part/truth_image.npy.{digits}.part",
    )  # fmt: skip
    assert list(foreign(made(tmp_path / "data", *names))) == []

    with opened(tmp_path / "demo") as work:
        render(work.pictures, frames=4)
        made(work.batch, "items.jsonl", "ground_truth.jsonl", "predictions-fixed-threshold.jsonl")
        made(work.batch, "2026-03-09/items.jsonl", "2026-03-09/predictions-fixed-threshold.jsonl")
        made(work.results, "my model 2.json", "my model 2.json.metrics", "comparison.txt")
        made(
            work.results,
            "2026-03-09/measurement.json.map0.gz",
            "2026-03-09/judgement.json.map1.gz",
            "2026-03-09/report/map1/report.html",
            "2026-03-09/report/map1/metrics.json",
            "2026-03-09/report/map1/report.md",
        )
        made(
            work.logs,
            "nucleus.log",
            "db-migrate.log",
            "airflow-process.log",
            "dag-my model 2.log",
            "airflow/dag_id=d/task_id=t/attempt=1.log",
        )
    with opened(tmp_path / "demo") as work:
        assert not work.pictures.exists()
        assert [path for folder in (work.batch, work.results, work.logs) for path in folder.iterdir()] == []


def test_the_results_on_other_data_are_not_replaced(tmp_path, monkeypatch):
    """The refusal says whose they are and what to do; on the same data they are replaced."""
    monkeypatch.chdir(tmp_path)
    mugs, cups = tmp_path / "mugs", tmp_path / "cups"
    for data in (mugs, mugs):
        with opened(tmp_path / "demo", data=data) as work:
            (work.results / "old.json").write_text("{}")

    for data in (cups, None):
        with (
            pytest.raises(DemoError, match=rf"holds the results on {mugs}, .*--work-dir.*rm -r {work.root}"),
            opened(work.root, data=data),
        ):
            pass
    assert (work.results / "old.json").exists()


def test_each_folder_of_data_has_a_work_folder_of_its_own():
    """A second data set does not meet the first one's results."""
    assert usual_folder(None) == Path(".demo")
    assert usual_folder(Path("/data/my mugs/")) == Path(".demo-my-mugs")


def test_commands_are_those_that_exist_where_they_are_printed(tmp_path, monkeypatch):
    """`make` in a checkout, which has a Makefile; elsewhere the installed command alone."""
    monkeypatch.chdir(tmp_path)
    assert serve_command(Path("my demo")) == "nucleus-local serve --data-dir 'my demo/nucleus'"

    monkeypatch.chdir(REPOSITORY)
    assert serve_command(Path(".demo")) == "make serve, or: nucleus-local serve --data-dir .demo/nucleus"
    assert serve_command(Path("d")).startswith("make serve DEMO_DIR=d, or: ")
