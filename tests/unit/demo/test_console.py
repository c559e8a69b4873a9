from __future__ import annotations

import io

from airflow_provider_nucleus.cli.main import main
from airflow_provider_nucleus.demo.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_task_is_one_line():
    """Begin and end of a task share a line; without a terminal there is no colour."""
    out = io.StringIO()
    console = Console(out)
    console.title("Airflow runs")
    console.begin("upload")
    console.finish("upload", "success", 1.25)
    console.finish("skipped at once", "skipped", None)

    assert out.getvalue() == (
        "Airflow runs\n"
        "  upload                  success                   1.2 s\n"
        "  skipped at once         skipped\n"
    )


def test_an_open_line_is_ended_before_anything_else():
    """Another task, or an error, never lands on the line of a task that is still running."""
    out = io.StringIO()
    console = Console(out)
    console.begin("one")
    console.begin("two")
    console.text("stopped")

    assert [line.strip() for line in out.getvalue().splitlines()] == ["one", "two", "stopped"]


def test_colour_on_a_terminal_only(monkeypatch):
    """A terminal gets colour, unless NO_COLOR says otherwise."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = Terminal()
    Console(coloured).finish("task", "failed", 1.0)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    Console(plain).finish("task", "failed", 1.0)

    assert "\x1b[31mfailed" in coloured.getvalue()
    assert "\x1b" not in plain.getvalue()


def test_a_missing_data_folder_is_one_sentence(tmp_path, capsys):
    """Exit status 1, the folder named, and no work folder made."""
    status = main(["demo", "--data", str(tmp_path / "nowhere"), "--work-dir", str(tmp_path / "work")])

    assert status == 1
    assert f"There is no folder {tmp_path / 'nowhere'}" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()
