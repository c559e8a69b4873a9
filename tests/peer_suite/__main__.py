"""Run the official client's own tests against an embedded server, and list what does not pass in docs/coverage.md.

The tests are those of release 0.18.8, the last that exercises the whole contract. They are upstream's and no part of this project: --source
names a checkout of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import venv
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from airflow_provider_nucleus.local.contract import coverage_page
from airflow_provider_nucleus.local.routes.all_routes import all_routes
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.peer_suite.outcomes import HEADING, read_outcomes, section

RELEASE = "0.18.8"
HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "coverage.md"
PACKAGES = (
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "questionary==1.10.0",
    "boto3",
    "botocore",
    "scale-launch",
)
"""What its tests need beside the client with its extra `metrics`."""
MISSING = f"""Release {RELEASE} of scale-nucleus is not on the package index with its tests. Check it out, then name the folder:
    git clone https://github.com/scaleapi/nucleus-python-client peer     (the commit whose pyproject.toml says {RELEASE})
    make peer-suite PEER=peer"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    """Run the tests, rewrite the page, and return 0 if every difference is one of those that are explained."""
    parser = argparse.ArgumentParser(prog="python -m tests.peer_suite", description=__doc__)
    parser.add_argument("--source", type=Path, help=f"a checkout of scale-nucleus {RELEASE}")
    parser.add_argument(
        "--python", type=Path, help="an interpreter that has it installed (default: a new environment)"
    )
    parser.add_argument("--environment", type=Path, default=Path(".venv-peer"), help="where that is made")
    parser.add_argument(
        "tests", nargs="*", default=["tests"], help="what to run of it; the page is written for all"
    )
    parser.add_argument("--page", action="store_true", help="run nothing: only write the list of routes anew")
    options = parser.parse_args()
    if options.page:
        _write_page(HEADING + PAGE.read_text().partition(HEADING)[2])
        return 0
    with tempfile.TemporaryDirectory() as folder:
        source = (options.source or _downloaded(Path(folder))).resolve()
        if f'version = "{RELEASE}"' not in (source / "pyproject.toml").read_text():
            parser.error(f"{source} is not release {RELEASE}")
        python = options.python or _installed(options.environment, source)
        results = Path(folder) / "results.jsonl"
        _run(source, python.absolute(), results, Path(folder) / "data", options.tests)
        outcomes = read_outcomes(results)
    unexplained = [outcome for outcome in outcomes if not outcome.as_explained]
    for outcome in unexplained:
        print(f"NOT EXPLAINED: {outcome.test}: {outcome.outcome}: {outcome.reason[:300]}")
    passed = sum(outcome.outcome == "passed" for outcome in outcomes)
    print(
        f"{passed} of {len(outcomes)} tests pass, {len(unexplained)} do not for a reason that is not known."
    )
    if options.tests == ["tests"] and not unexplained:
        _write_page(section(outcomes, RELEASE))
    return 1 if unexplained else 0


def _write_page(tests: str) -> None:
    PAGE.write_text(f"{coverage_page(all_routes())}\n{tests}")


def _downloaded(folder: Path) -> Path:
    """Return the unpacked source distribution; exits with what to do if there is none."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-binary",
        ":all:",
    ]
    done = subprocess.run(
        [*command, "--dest", str(folder), f"scale-nucleus=={RELEASE}"], check=False, capture_output=True
    )
    archives = list(folder.glob("*.tar.gz"))
    if done.returncode or not archives:
        raise SystemExit(MISSING)
    subprocess.run(["tar", "xzf", str(archives[0]), "-C", str(folder)], check=True)
    (source,) = (path.parent for path in folder.glob("*/pyproject.toml"))
    if not (source / "tests").is_dir():
        raise SystemExit(MISSING)
    return source


def _installed(environment: Path, source: Path) -> Path:
    """Make an environment with the client and what its tests need; return its interpreter."""
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, with_pip=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--editable", f"{source}[metrics]", *PACKAGES],
            check=True,
        )
    return python


def _run(source: Path, python: Path, results: Path, data: Path, tests: list[str]) -> None:
    files = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(source / "tests" / "testdata"))
    )
    thread = threading.Thread(target=files.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{files.server_port}/"
    try:
        with LocalNucleus(data, environment={"NUCLEUS_LOCAL_FETCH_IMAGES": "1"}) as server:
            environment = {
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("NUCLEUS_", "PYTEST_"))
            }
            environment |= {
                "PYTHONPATH": str(HERE),
                "NUCLEUS_PYTEST_API_KEY": server.api_key,
                "NUCLEUS_ENDPOINT": server.url,
                "PEER_SUITE_FILES": address,
                "PEER_SUITE_RESULTS": str(results),
                "PEER_SUITE_DATASET": _seeded(server, address),
            }
            command = [str(python), "-m", "pytest", "-q", "-n", "4", "--dist", "loadfile", "--timeout", "180"]
            subprocess.run(
                [*command, "-p", "peer_suite_plugin", "-p", "no:cacheprovider", *tests],
                cwd=source,
                env=environment,
                check=False,
            )
    finally:
        files.shutdown()
        thread.join()
        files.server_close()


def _seeded(server: LocalNucleus, files: str) -> str:
    """Make the data set that stands in for those of upstream's account: four images, one with eight boxes."""

    def post(route: str, body: dict[str, object]) -> dict[str, str]:
        answer = requests.post(f"{server.url}/{route}", json=body, auth=(server.api_key, ""), timeout=60)
        answer.raise_for_status()
        found: dict[str, str] = json.loads(answer.text)
        return found

    dataset = post("dataset/create", {"name": "stand-in"})["dataset_id"]
    names = ["arctichare", "baboon", "barbara", "cat"]
    items = [{"reference_id": name, "image_url": f"{files}{name}.jpeg", "metadata": {}} for name in names]
    post(f"dataset/{dataset}/append", {"items": items})
    geometry = {"y": 0, "width": 5, "height": 5}
    boxes = [
        {
            "type": "box",
            "label": "b",
            "reference_id": "cat",
            "annotation_id": str(x),
            "geometry": geometry | {"x": x},
        }
        for x in range(8)
    ]
    post(f"dataset/{dataset}/annotate", {"annotations": boxes})
    return dataset


if __name__ == "__main__":
    sys.exit(main())
