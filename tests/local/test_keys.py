"""Keys with names, read-only ones, and browsers that sign in: through the command, over HTTP, while the server runs."""

from __future__ import annotations

import hashlib
import re
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from airflow_provider_nucleus.local.routes.all_routes import all_routes
from airflow_provider_nucleus.local.server import create_app
from airflow_provider_nucleus.local.settings import Settings
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api, box

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HTML = {"Accept": "text/html,*/*"}


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `nucleus-local` as a process."""
    line = [sys.executable, "-m", "airflow_provider_nucleus.cli.main", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def made(server: LocalNucleus, name: str, *options: str) -> str:
    """Add a key and return it."""
    done = command("keys", "add", name, *options, "--data-dir", server.data_dir)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNucleus]:
    """A server with a generated key."""
    with LocalNucleus(tmp_path_factory.mktemp("keys") / "data", api_key="") as server:
        server.api_key = command("keys", "show", "--data-dir", server.data_dir).stdout.strip()
        yield server


def test_a_read_only_key_reads_and_changes_nothing(own: LocalNucleus):
    """GETs, queries, exports and pages open; every route that changes something is 403, nothing done; removed, it is no key."""
    api = Api(own)
    dataset = api.dataset("a")
    key = made(own, "pages", "--read-only")
    listed = command("keys", "list", "--data-dir", own.data_dir).stdout

    def status(method: str, path: str, **given: Any) -> int:
        return requests.request(method, f"{own.url}/{path}", auth=(key, ""), timeout=60, **given).status_code

    assert "main\teverything" in listed
    assert "pages\treads only" in listed
    assert status("GET", f"dataset/{dataset}/info") == 200
    assert status("POST", f"dataset/{dataset}/queryItemsPage", json={"query": ""}) == 200
    assert status("POST", f"dataset/{dataset}/exportForTrainingPage", json={}) == 200
    assert status("POST", "jobs/", json={}) == 200
    assert requests.get(own.base_url, auth=(key, ""), timeout=60).status_code == 200
    for route in all_routes():
        path = re.sub(r"\{\w+\*?\}", dataset, route.template)
        if route.changes and not route.public:
            assert status(route.method, path, json={}) == 403, (route.method, path)
    assert (
        status("POST", f"dataset/{dataset}/annotate", json={"annotations": [box("a")], "update": False})
        == 403
    )
    assert api.ok("GET", f"dataset/{dataset}/size") == {"count": 1}
    assert key not in (own.data_dir / "keys.json").read_text() + own.log

    assert command("keys", "remove", "pages", "--data-dir", own.data_dir).returncode == 0
    assert status("GET", f"dataset/{dataset}/info") == 401
    api.close()


def test_a_named_key_may_change_what_the_main_one_may(own: LocalNucleus):
    """Without --read-only; a name is taken once, and is one that can be written down."""
    key = made(own, "airflow")

    answer = requests.post(f"{own.url}/dataset/create", json={"name": "d"}, auth=(key, ""), timeout=60)
    twice, odd, main = (
        command("keys", "add", name, "--data-dir", own.data_dir) for name in ("airflow", "a b", "main")
    )
    gone = command("keys", "remove", "nobody", "--data-dir", own.data_dir)

    assert answer.ok
    assert [done.returncode for done in (twice, odd, main, gone)] == [2, 2, 2, 2]
    assert "already" in twice.stderr
    assert "There is no key 'nobody'" in gone.stderr
    assert "Traceback" not in twice.stderr + odd.stderr + main.stderr + gone.stderr


def test_the_main_key_is_replaced_while_the_server_runs(tmp_path: Path):
    """The former one opens nothing from the next request on, nor do the sessions that it began."""
    with LocalNucleus(tmp_path / "data", api_key="") as server:
        former = command("keys", "show", "--data-dir", server.data_dir).stdout.strip()
        browser = requests.Session()
        browser.post(f"{server.base_url}/login", data={"key": former}, timeout=60)
        assert browser.get(server.base_url, timeout=60).ok

        now = command("keys", "rotate", "--data-dir", server.data_dir).stdout.strip()

        codes = [
            requests.get(f"{server.url}/models/", auth=(key, ""), timeout=60).status_code
            for key in (former, now)
        ]
        assert codes == [401, 200]
        assert browser.get(server.base_url, timeout=60).status_code == 401
        assert former not in server.log
        assert now not in server.log


@pytest.mark.parametrize(
    "text",
    [
        '{"keys": [{"name": "a", "read_only": true, "digest": 5}]}',
        '{"keys": [{"name": "a", "read_only": true, "digest": null}]}',
        f'{{"keys": [{{"name": "a", "read_only": null, "digest": "{hashlib.sha256(b"x").hexdigest()}"}}]}}',
        f'{{"keys": [{{"name": "main", "read_only": false, "digest": "{hashlib.sha256(b"x").hexdigest()}"}}]}}',
        "[" * 100_000,
        "not JSON",
    ],
)
def test_a_damaged_file_of_keys_opens_nothing_and_locks_nobody_out(own: LocalNucleus, text: str):
    """The main key goes on, every other one is none, the log says what to do, and so does the command."""
    path = own.data_dir / "keys.json"
    before = path.read_bytes() if path.exists() else b'{"keys": []}'
    path.write_text(text)
    try:
        codes = [
            requests.get(f"{own.url}/models/", auth=(key, ""), timeout=60).status_code
            for key in (own.api_key, "x")
        ]
        listed = command("keys", "list", "--data-dir", own.data_dir)
    finally:
        path.write_bytes(before)

    assert codes == [200, 401]
    assert "Restore it, or delete it and add the keys again" in own.log
    assert listed.returncode == 2
    assert "Traceback" not in listed.stderr


def test_a_damaged_file_of_the_main_key_leaves_the_key_as_it_was(tmp_path: Path):
    """A running server knows it still; one that starts says which file is at fault."""
    with LocalNucleus(tmp_path / "data", api_key="") as server:
        key = command("keys", "show", "--data-dir", server.data_dir).stdout.strip()
        (server.data_dir / "api-key").write_bytes(b"\xff\xfe")

        assert requests.get(f"{server.url}/models/", auth=(key, ""), timeout=60).ok

    again = command("serve", "--data-dir", server.data_dir, "--port", "0")
    assert again.returncode == 2
    assert "api-key cannot be read" in again.stderr
    assert "Traceback" not in again.stderr


def test_the_generated_key_can_be_shown_after_a_start_that_failed(tmp_path: Path):
    """And is in no log: what a server prints is one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        failed = command("serve", "--data-dir", tmp_path / "data", "--port", str(taken.getsockname()[1]))
    shown = command("keys", "show", "--data-dir", tmp_path / "data")

    assert (failed.returncode, shown.returncode) == (2, 0)
    with LocalNucleus(tmp_path / "data", api_key="") as server:
        assert f"nucleus-local keys show --data-dir {server.data_dir}" in server.log
        assert shown.stdout.strip() not in server.log + failed.stdout + failed.stderr
        assert requests.get(f"{server.url}/models/", auth=(shown.stdout.strip(), ""), timeout=60).ok


def test_keys_of_no_data_directory_are_refused(tmp_path: Path):
    """One sentence, and nothing is made."""
    done = command("keys", "add", "x", "--data-dir", tmp_path / "nowhere")
    with LocalNucleus(tmp_path / "given", api_key="given-key") as server:
        show = command("keys", "show", "--data-dir", server.data_dir)

    assert (done.returncode, show.returncode) == (2, 2)
    assert "is no data directory" in done.stderr
    assert "given one with --api-key" in show.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_browser_signs_in_once_and_only_reads(own: LocalNucleus):
    """The form instead of a question for a user name; the cookie cannot be read by scripts, and opens no change."""
    key = made(own, "browser", "--read-only")
    api = Api(own)
    dataset = api.dataset("a")
    page = f"{own.base_url}/dataset/{dataset}"
    browser = requests.Session()
    browser.headers.update(HTML)
    asked = browser.get(page + "?x=1", timeout=60)
    wrong = browser.post(f"{own.base_url}/login", data={"key": "wrong"}, timeout=60)
    entered = browser.post(
        f"{own.base_url}/login",
        data={"key": key, "target": f"/dataset/{dataset}?x=1"},
        timeout=60,
        allow_redirects=False,
    )
    cookie = entered.headers["set-cookie"]

    assert (asked.status_code, "www-authenticate" in asked.headers) == (401, False)
    assert f'name="target" value="/dataset/{dataset}?x=1"' in asked.text
    assert dataset not in asked.text.replace(f"/dataset/{dataset}?x=1", "")
    assert (wrong.status_code, "not a key of this server" in wrong.text) == (401, True)
    assert (entered.status_code, entered.headers["location"]) == (303, f"/dataset/{dataset}?x=1")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert key not in cookie
    for answer in (asked, wrong, entered):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert browser.get(page, timeout=60).status_code == 200
    assert browser.get(f"{own.url}/dataset/{dataset}/info", timeout=60).status_code == 200
    assert browser.post(f"{own.url}/dataset/create", json={"name": "d"}, timeout=60).status_code == 403
    browser.post(f"{own.base_url}/logout", timeout=60)
    assert browser.get(page, timeout=60).status_code == 401
    api.close()


def test_a_session_of_the_main_key_only_reads_too(own: LocalNucleus):
    """What a browser adds to requests by itself is not enough to change something."""
    browser = requests.Session()
    browser.post(f"{own.base_url}/login", data={"key": own.api_key}, timeout=60)

    assert browser.get(own.base_url, timeout=60).ok
    assert browser.post(f"{own.url}/dataset/create", json={"name": "d"}, timeout=60).status_code == 403


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a\nb", "javascript:x", "", "é"]
)
def test_signing_in_leads_to_no_other_site(own: LocalNucleus, target: str):
    """Whatever the form was made to say, it goes on to a page of this server."""
    answer = requests.post(
        f"{own.base_url}/login",
        data={"key": own.api_key, "target": target},
        timeout=60,
        allow_redirects=False,
    )

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_page_of_another_site_signs_nobody_in(own: LocalNucleus, origin: str):
    """403, and no cookie."""
    answer = requests.post(
        f"{own.base_url}/login",
        data={"key": own.api_key},
        headers={"Origin": origin},
        timeout=60,
        allow_redirects=False,
    )

    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c[:-1] + ("0" if c[-1] != "0" else "1"),
        lambda c: "main" + c[c.index(".") :],
        lambda c: c.replace(".", ".9", 1),
    ],
)
def test_a_session_cannot_be_made_up(own: LocalNucleus, change: Any):
    """Another name, a later end, another signature."""
    made_of = made(own, f"k{abs(hash(change)) % 10**9}", "--read-only")
    entered = requests.post(f"{own.base_url}/login", data={"key": made_of}, timeout=60, allow_redirects=False)
    ((name, value),) = entered.cookies.items()

    assert requests.get(own.base_url, cookies={name: value}, timeout=60).status_code == 200
    assert requests.get(own.base_url, cookies={name: change(value)}, timeout=60).status_code == 401


def test_nobody_else_of_the_machine_can_read_anything(tmp_path: Path):
    """The directory, one that was there and open too, and every file and folder in it."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    with LocalNucleus(folder, api_key="") as server:
        server.api_key = (folder / "api-key").read_text().strip()
        made(server, "other")
        api = Api(server)
        dataset = api.dataset()
        picture = {"image": ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png")}
        form = {"items": (None, '[{"reference_id":"p","metadata":{}}]', "application/json"), **picture}
        api("POST", f"dataset/{dataset}/append", files=form)
        api.ok("GET", f"dataset/{dataset}/signedUrl/1")
        api.close()
        found = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}

    assert len(found) > 6
    assert {path: oct(mode) for path, mode in found.items() if mode & 0o077} == {}


@pytest.mark.parametrize(
    ("variable", "value"),
    [("JOB_WORKERS", "0"), ("JOB_WORKERS", "-1"), ("SIGNED_URL_LIFETIME", "nan"), ("SIGNED_URL_LIFETIME", "inf"), ("SIGNED_URL_LIFETIME", "-1"),
     ("CHUNK_BYTES", "0"), ("JSON_BODY_LIMIT", "0"), ("UPLOAD_LIMIT", "-5"), ("EVALUATION_ROWS", "0")],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
):
    """Exit status 2 and the name of the variable, before anything is made."""
    monkeypatch.setenv(f"NUCLEUS_LOCAL_{variable}", value)

    done = command("serve", "--data-dir", tmp_path / "data", "--port", "0", "--api-key", "k")

    assert done.returncode == 2
    assert f"nucleus-local: NUCLEUS_LOCAL_{variable} must be from" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("key", ["a:b", "a b", " a", "schlüssel", "a\tb", "k" * 201])
def test_a_key_that_no_client_could_send_is_refused_at_the_start(tmp_path: Path, key: str):
    """It would never match: one sentence, before anything is made."""
    done = command("serve", "--data-dir", tmp_path / "data", "--port", "0", "--api-key", key)

    assert done.returncode == 2
    assert "the API key must be" in done.stderr
    assert "\n" not in done.stderr.strip()


def test_listening_everywhere_is_said_with_an_address_that_can_be_used(tmp_path: Path):
    """0.0.0.0 is no address to open; who may reach the server is a warning."""
    line = [
        sys.executable,
        "-m",
        "airflow_provider_nucleus.cli.main",
        "serve",
        "--host",
        "0.0.0.0",
        "--port",
        "0",
        "--api-key",
        "k",
    ]
    with subprocess.Popen(
        [*line, "--data-dir", str(tmp_path / "data")], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        listens, warning = server.stdout.readline(), server.stdout.readline()
        server.terminate()

    assert re.fullmatch(r"Nucleus listens on http://127\.0\.0\.1:\d+/v1/nucleus\n", listens)
    assert "Warning: it listens on every address of this machine" in warning
    assert "0.0.0.0" not in warning


def test_a_head_without_end_is_cut_off(own: LocalNucleus):
    """Nobody needs a key to send one."""
    host, port = own.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: ")
        answer, sent = b"", 0
        try:
            while sent < 1 << 26:
                sent += connection.send(b"a" * (1 << 16))
            answer = connection.recv(1000)
        except OSError:
            pass

    assert sent < 1 << 26 or answer.startswith(b"HTTP/1.1 431")
    assert requests.get(f"{own.base_url}/health", timeout=60).ok


def test_signing_in_works_under_a_mount_prefix_and_over_https(tmp_path: Path):
    """The form, where it leads, and the cookie, which goes to no other path and over no plain connection."""
    app = create_app(tmp_path / "data", settings=Settings(api_key="k"))
    mounted = Starlette(routes=[Mount("/some/where", app)], lifespan=app.router.lifespan_context)
    with TestClient(mounted, base_url="https://nucleus.example", follow_redirects=False) as browser:
        form = browser.get("/some/where/", headers=HTML)
        entered = browser.post("/some/where/login", data={"key": "k", "target": "/some/where/?a=1"})
        elsewhere = browser.post("/some/where/login", data={"key": "k", "target": "/other"})
        page = browser.get("/some/where/")

    assert 'action="/some/where/login"' in form.text
    assert entered.headers["location"] == "/some/where/?a=1"
    assert elsewhere.headers["location"] == "/some/where/"
    assert {"Path=/some/where", "Secure", "HttpOnly"} <= set(entered.headers["set-cookie"].split("; "))
    assert page.status_code == 200
