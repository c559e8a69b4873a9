"""What a distribution holds: a wheel can do all that the command promises, an archive of the sources lacks no page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")

pytestmark = pytest.mark.skipif(not UV.exists(), reason="uv builds the distributions; `make` installs it")

DEMO_SCRIPT = """
import runpy, sys
from airflow_provider_nucleus.demo.airflow_home import GATED_DAG, find_dags

folder = find_dags(None, dag_id=GATED_DAG)
runpy.run_path(str(folder / f"{GATED_DAG}.py"))
print(folder)
print(sys.modules["airflow_provider_nucleus.operators.uploads"].__file__)
"""


def build(kind: str, folder: Path) -> Path:
    """Build a distribution with the pinned tools and return its file."""
    command = [UV, "build", f"--{kind}", "--quiet", "--out-dir", folder]
    command += ["--build-constraints", REPOSITORY / "constraints" / "build.txt", REPOSITORY]
    subprocess.run(command, check=True, timeout=120)
    (made,) = (path for path in folder.iterdir() if path.suffix in {".whl", ".gz"})
    return made


def test_an_installed_wheel_brings_the_dag_of_the_demonstration(tmp_path: Path) -> None:
    """From an empty folder, without a checkout: the DAG is found in the package, and its imports are the package's."""
    wheel, target, empty = build("wheel", tmp_path / "dist"), tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--no-deps", "--target", target, wheel], check=True, timeout=120
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", DEMO_SCRIPT],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(target), "AIRFLOW_HOME": str(tmp_path / "airflow")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    folder, operators = done.stdout.split()[-2:]
    assert folder == str(target / "airflow_provider_nucleus" / "demo" / "dags_examples")
    assert operators.startswith(str(target))


def test_an_archive_of_the_sources_has_what_the_readme_links_to(tmp_path: Path) -> None:
    """Documents, results of benchmarks, examples: a link into nothing is a promise not kept."""
    with tarfile.open(build("sdist", tmp_path / "dist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    linked = {
        link.rstrip("/")
        for link in re.findall(r"\]\(([^):#]+)[^):]*\)", (REPOSITORY / "README.md").read_text())
    }
    missing = {
        link for link in linked if not any(name == link or name.startswith(f"{link}/") for name in names)
    }

    assert linked
    assert missing == set()
    assert {"LICENSE", "Makefile", "constraints/build.txt"} <= names
