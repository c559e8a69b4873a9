"""The wheel in environments of its own: without extras, where each command names what it lacks, and with them, far from a checkout."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
LANE = ".".join(version("apache-airflow").split(".")[:2])

pytestmark = pytest.mark.skipif(not UV.exists(), reason="uv builds the distributions; `make` installs it")


def uv(*arguments: str | Path) -> None:
    done = subprocess.run([UV, *arguments], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr


def build(kind: str, folder: Path) -> Path:
    """Build a distribution with the pinned tools and return its file."""
    constraints = REPOSITORY / "constraints" / "build.txt"
    uv("build", f"--{kind}", "--quiet", "--out-dir", folder, "--build-constraints", constraints, REPOSITORY)
    (made,) = (path for path in folder.iterdir() if path.suffix in {".whl", ".gz"})
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel without extras."""
    return environment(tmp_path_factory.mktemp("bare"), str(wheel))


def environment(folder: Path, requirement: str) -> Path:
    constraints = REPOSITORY / "constraints" / f"airflow-{LANE}.txt"
    uv("venv", "--quiet", "--python", sys.executable, folder)
    uv(
        "pip",
        "install",
        "--quiet",
        "--python",
        folder / "bin" / "python",
        "--constraints",
        constraints,
        requirement,
    )
    return folder / "bin"


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280, check=False)


ARGUMENTS = {
    "serve": ["--data-dir", "data"],
    "evaluate": ["--ground-truth", "truth.json", "--predictions", "results.json"],
    "check": ["rows.parquet"],
    "keys": ["list", "--data-dir", "data"],
    "gate": ["--policy", "policy.json", "--candidate", "measurement.json"],
    "operating-point": ["measurement.json"],
    "baseline": ["show", "record.json"],
}
FILES = {
    "rows.parquet": b"PAR1" + bytes(8) + b"PAR1",
    "policy.json": b'{"rules": [{"id": "floor", "metric": "f1", "min": 0.5}]}',
    "measurement.json": b'{"schema": "nucleus-measurement/1", "fingerprint": {"data": "d"}}',
    "record.json": b'{"schema": "nucleus-baseline/1"}',
}
NEEDS_NO_EXTRA = {"baseline"}


def test_each_command_names_the_extra_that_it_lacks(bare: Path, tmp_path: Path):
    """One sentence, status 2 (64 of a gate, whose 2 is a verdict), and nothing is left behind; help needs no extra."""
    listed = run(bare / "nucleus-local", "--help", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    found = re.search(r"\{([a-z,-]+)\}", listed.stdout)
    assert found is not None
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    said = {}
    for command in found[1].split(","):
        assert run(bare / "nucleus-local", command, "--help", cwd=tmp_path).returncode == 0, command
        done = run(bare / "nucleus-local", command, *ARGUMENTS.get(command, []), cwd=tmp_path)
        if command in NEEDS_NO_EXTRA:
            assert done.returncode == 0, done.stderr
        else:
            said[command] = (done.returncode, done.stderr.strip())

    for command, (status, message) in said.items():
        assert status == (64 if command == "gate" else 2), (command, message)
        assert "\n" not in message, message
        assert "airflow-provider-nucleus[" in message, (command, message)
    assert {"serve", "demo", "evaluate", "gate"} <= said.keys()
    assert {path.name for path in tmp_path.iterdir()} == FILES.keys()


READ = """
import sys
from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.sources.open_rows import open_rows
try:
    list(open_rows(sys.argv[1], kind="items"))
except NucleusConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "head"), [("a.parquet", b"PAR1" + bytes(8) + b"PAR1"), ("a.jsonl.zst", b"\x28\xb5\x2f\xfd")]
)
def test_a_source_names_the_extra_that_it_lacks(bare: Path, tmp_path: Path, name: str, head: bytes):
    """The configuration is at fault, not the file."""
    (tmp_path / name).write_bytes(head)
    done = run(bare / "python", "-c", READ, name, cwd=tmp_path)

    assert "needs pyarrow" in done.stdout, done.stderr
    assert "airflow-provider-nucleus[parquet]" in done.stdout


def test_the_demonstration_runs_from_an_installed_wheel(wheel: Path, tmp_path: Path):
    """In an empty folder: it ends well, and the command that it prints is one that exists there."""
    programs = environment(tmp_path / "environment", f"airflow-provider-nucleus[local] @ {wheel.as_uri()}")
    (folder := tmp_path / "empty").mkdir()
    done = run(programs / "nucleus-local", "demo", "--frames", "4", cwd=folder)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "make " not in done.stdout
    assert "nucleus-local serve --data-dir .demo/nucleus" in done.stdout
    assert (folder / ".demo" / "nucleus" / "api-key").exists()


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path):
    """Modules, templates, the marker of types, the examples; no tests, no bytecode."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    package = [name for name in names if ".dist-info/" not in name]

    assert {name.partition("/")[0] for name in package} == {"airflow_provider_nucleus"}
    assert {Path(name).suffix for name in package} <= {
        ".py",
        ".typed",
        ".html",
        ".css",
        ".js",
        ".svg",
        ".json",
    }
    assert not [name for name in package if "__pycache__" in name or "/tests/" in name]
    assert "airflow_provider_nucleus/demo/dags_examples/nucleus_evaluate_inference_batch.py" in package
    assert "Description-Content-Type: text/markdown" in metadata


def test_the_tests_run_from_an_archive_of_the_sources(tmp_path: Path):
    """All that `make`, the tests and CI need is in it, and nothing that a run has left."""
    with tarfile.open(build("sdist", tmp_path / "dist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path / "sources", filter="data")
    (top,) = (tmp_path / "sources").iterdir()

    assert {
        "Makefile",
        ".ci/run",
        ".gitignore",
        "tests/conftest.py",
        "constraints/lowest.txt",
        "docs/architecture.md",
    } <= names
    assert not [name for name in names if name.endswith(".pyc") or ".demo" in name]
    done = run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/unit/test_rates.py",
        "tests/unit/schema",
        cwd=top,
    )
    assert done.returncode == 0, done.stdout[-2000:]
