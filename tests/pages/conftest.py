"""Debian's Chromium, and reports served as strict hosts serve them."""

from __future__ import annotations

import http.server
import os
import shutil
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.reporting.crops import make_crops
from airflow_provider_nucleus.reporting.document import missing_judgement, report_document
from airflow_provider_nucleus.reporting.extras import Extras
from airflow_provider_nucleus.reporting.html import report_html
from tests.judgements import extras, judgement
from tests.rendered_changes import rendered_judgement

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser

POLICY = "sandbox; default-src 'none'; img-src 'self'"
"""What a strict host sends with every file that a job left."""


def chromium() -> str | None:
    """Return the browser of this machine."""
    named = os.environ.get("CHROMIUM")
    return named or shutil.which("chromium-headless-shell") or shutil.which("chromium")


@pytest.fixture(scope="session")
def browser() -> Generator[Browser]:
    """The browser, started once."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is in the group `pages` (make test-pages)"
    )
    path = chromium()
    if path is None:
        pytest.fail(
            "Chromium is missing: run tests/pages/install_chromium.sh as root, or set CHROMIUM to one."
        )
    with playwright.sync_playwright() as run:
        # Root has no sandbox of the browser's own; pages here are ours.
        started = run.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@dataclass(frozen=True)
class Served:
    """A folder on loopback: under the strict policy, and without one."""

    strict: str
    free: str


class _Handler(http.server.SimpleHTTPRequestHandler):
    policy: str | None = None

    def end_headers(self) -> None:
        if self.policy:
            self.send_header("Content-Security-Policy", self.policy)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class _StrictHandler(_Handler):
    policy = POLICY


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """Reports of several sizes: `small`, `one`, `large`, `hostile`, `missing`, `crops` and `folder`, each `<name>.html`."""
    folder = tmp_path_factory.mktemp("reports")
    write_reports(folder)
    servers = [
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
        for handler in (_StrictHandler, _Handler)
    ]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    yield Served(*(f"http://127.0.0.1:{server.server_port}" for server in servers))
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        server.server_close()
        thread.join()


def write_reports(folder: Path) -> None:
    """Write the reports that the tests look at."""
    one = judgement(labels=1, with_baseline=False, status="inconclusive")
    cases = {
        "small": (judgement(), extras()),
        "one": (one, Extras()),
        "large": (judgement(labels=300), extras(changed=300, cuts=300, batches=80)),
        "hostile": (judgement(labels=12, hostile=True), extras(hostile=True)),
        "missing": (missing_judgement("The gate did not run: its state is upstream_failed."), Extras()),
    }
    for name, (given, more) in cases.items():
        (folder / f"{name}.html").write_text(report_html(report_document(given, more), more))
    rendered = rendered_judgement(folder / "images", frames=6)
    document = report_document(rendered.judgement, rendered.extras)
    for name, place in (("crops", None), ("folder", "crops")):
        made = make_crops(rendered.extras.changed or (), _read, folder=place)
        for file in made.files:
            (folder / file.name).parent.mkdir(exist_ok=True)
            (folder / file.name).write_bytes(file.content)
        (folder / f"{name}.html").write_text(report_html(document, rendered.extras, crops=made.pictures))


def _read(place: str) -> bytes:
    return Path(place).read_bytes()
