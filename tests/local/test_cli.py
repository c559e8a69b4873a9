"""The command `nucleus-local`: what it does not understand, it says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_nucleus.cli.main import main
from airflow_provider_nucleus.local.testing import LocalNucleus


@pytest.mark.parametrize(
    ("command", "option", "value", "accepted"),
    [
        ("demo", "--frames", "3", "a whole number from 4 to 10000"),
        ("demo", "--frames", "many", "a whole number from 4 to 10000"),
        ("demo", "--iou", "1.5", "a number from 0 to 1"),
        ("evaluate", "--iou", "half", "a number from 0 to 1"),
        ("evaluate", "--iou", "nan", "a number from 0 to 1"),
        ("evaluate", "--workers", "0", "a whole number from 1 to 1024"),
        ("serve", "--port", "99999", "a whole number from 0 to 65535"),
        ("serve", "--port", "-1", "a whole number from 0 to 65535"),
    ],
)
def test_bad_values_are_answered_with_what_is_accepted(command, option, value, accepted, capsys):
    """Exit status 2 and a sentence that names option, value and range."""
    with pytest.raises(SystemExit) as caught:
        main([command, f"{option}={value}"])

    assert caught.value.code == 2
    assert f"argument {option}: {value!r} is not {accepted}" in capsys.readouterr().err


def test_a_bad_setting_is_one_sentence(tmp_path, monkeypatch, capsys):
    """Exit status 2; the variable, what it must be and what it is."""
    monkeypatch.setenv("NUCLEUS_LOCAL_JOB_WORKERS", "many")

    status = main(["serve", "--data-dir", str(tmp_path / "data"), "--port", "0"])

    assert status == 2
    assert (
        capsys.readouterr().err
        == "nucleus-local: NUCLEUS_LOCAL_JOB_WORKERS must be of type int, got 'many'\n"
    )


def test_a_store_that_cannot_be_opened_is_one_sentence(tmp_path, capsys):
    """Exit status 2, the file named, and the file left as it was."""
    store = tmp_path / "nucleus.duckdb"
    store.write_bytes(b"no database" * 1000)

    status = main(["serve", "--data-dir", str(tmp_path), "--port", "0", "--api-key", "key"])

    assert status == 2
    assert f"nucleus-local: the store {store} cannot be opened" in capsys.readouterr().err
    assert store.read_bytes() == b"no database" * 1000


def test_serving_says_where_the_pages_are_and_who_may_open_them(tmp_path):
    """The endpoint is no page; a key that was generated earlier is named by its file, a given one not repeated."""
    given = LocalNucleus(tmp_path / "given", api_key="my-own-key")
    with given:
        said = f"Pages: {given.base_url}/ (sign in with the API key)"
        assert said in given.log
        assert "my-own-key" not in given.log

    stored = LocalNucleus(tmp_path / "stored", api_key="")
    for _ in range(2):
        with stored:
            file = stored.data_dir / "api-key"
            assert file.read_text().strip() not in stored.log
            assert f"Pages: {stored.base_url}/ (sign in with the API key in {file})" in stored.log
    assert file.read_text().strip() not in stored.log


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("uvicorn", ["serve", "--data-dir", "data"]),
        ("numpy", ["evaluate", "--ground-truth", "truth.json", "--predictions", "results.json"]),
        ("numpy", ["demo"]),
    ],
)
def test_a_missing_extra_is_named(module, arguments, tmp_path):
    """With the command that installs it, instead of a traceback."""
    without = (
        f"import sys; sys.modules[{module!r}] = None; "
        "from airflow_provider_nucleus.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", without, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert ended.stderr == (
        f"nucleus-local: {arguments[0]} needs {module}, which is not installed: "
        "pip install 'airflow-provider-nucleus[local]'\n"
    )
    assert list(tmp_path.iterdir()) == []
