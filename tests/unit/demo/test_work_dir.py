from __future__ import annotations

import pytest

from airflow_provider_nucleus.local.datadir import DataDir
from airflow_provider_nucleus.local.demo.errors import DemoError
from airflow_provider_nucleus.local.demo.work_dir import opened


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
