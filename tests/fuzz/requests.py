"""Odd requests to every route of the embedded server: none may be an error of the server, and the store stays whole.

`python -m tests.fuzz.requests --cases 100000 --seed 0`

Routes come from the server's own tables, so a new one is sent to by itself. Every position takes its share: path, query, headers, bodies
of every type, rows in them. Each request is drawn from a generator of its own number, so that `--only N` sends number N
alone (beside the world it was drawn from).
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import random
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

from airflow_provider_nucleus.local.openapi import openapi_document
from airflow_provider_nucleus.local.routes.all_routes import all_routes
from airflow_provider_nucleus.local.routes.diagnostics import DIAGNOSTICS_PREFIX
from airflow_provider_nucleus.local.routes.diagnostics import ROUTES as DIAGNOSTICS
from airflow_provider_nucleus.local.server import API_PREFIX
from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.fuzz.consistency import store_problems
from tests.fuzz.world import EXTREMES, QUERIES, ROWS, Ids, world
from tests.local.conftest import Api

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_nucleus.local.routes.routing import Route

PEAK_MEGABYTES = 1_500
"""Memory that a server may have taken in the end; its store may use 512 MB of it."""
LONGEST_SECONDS = 60
WORLD_CASES = 2_500
"""Requests after which everything that was deleted is made anew."""

_TABLES = {API_PREFIX: all_routes(), DIAGNOSTICS_PREFIX: DIAGNOSTICS}
_ROUTES: list[tuple[str, Route]] = [(prefix, route) for prefix, table in _TABLES.items() for route in table]
_PAGES = ("/", "/dataset/{ds}", "/dataset/{ds}/model/{m}/evaluation", "/model/{m}", "/job/{job}", "/static/nucleus.css", "/health", "/openapi.json", "/login", "/logout", "/{name}")  # fmt: skip
_DOCUMENT = openapi_document(_TABLES, root="")
_SCHEMAS = _DOCUMENT["components"]["schemas"]

_VALUES: list[Any] = [
    *EXTREMES, False, 0, 1, 2, 2**31, 2**32, -(2**63) - 1, 2**64, 2**64 + 1, 2**127, 2**128, 10**30, 10**310, -(10**310), 1.5, -0.0, 0.1,
    5e-324, float("nan"), float("inf"), "\ud800", "\U0010ffff", "a\nb", "a/b", ".", "..", "%2e", "x" * 20_000, "1", "true", "null", "NaN", "1e999",
    "2020-13-01", "not an id", "ds_", "job_00000000000000000000", "é", "\u202e", " ", "\t", [], [None], [{}], [[1]], [1, "a"], ["a", "a"],
    ["a"] * 1_000, [1e308, -1e308], {"a": None}, {"": 1}, {"a": {"b": {"c": []}}}, {"$ref": "#"}, {"x": 1, "y": 2}, {"min": 1, "max": 0},
    [{"x": 1e308, "y": -1e308}] * 3, {"__class__": 1}, {"type": "box"}, {"value": 10**310}, [2**64] * 3, {"a" * 5_000: "b" * 5_000},
]  # fmt: skip
_TEXTS = [
    "", "0", "1", "-1", "1.5", "1e3", "1e999", "nan", "inf", "9" * 19, "9" * 40, "9" * 400, "-" + "9" * 40, "0x10", "1_0", "\u0663", "true", "TRUE", "null", "[]",
    "{}", "[1]", '["a"]', '{"a":1}', "[" * 300, '"', "'", "a,b", "a;b", "..", ".", "/", "//", "%", "%zz", "%00", "\x00", "\n", "\r\n", "é", "\ud83d\ude00",
    "x" * 3_000, "*", "?", "#", "&", "=", " ", "+", "' OR 1=1 --", "{{7*7}}", "${a}", "<script>", "2020-01-01", "9999-12-31T23:59:59Z",
]  # fmt: skip
_RAW_PATHS = ["", "%2e", "%2e%2e", "%2F", "%00", "%ff", "%c3%28", "%", "%zz", "%0a", "..;", "a%20b", "%25", "%3f", "%23", "*", "~", "x" * 3_000, "%F0%9F%98%80", "-1", "9" * 40]  # fmt: skip
_RAW_BODIES = [
    b"", b" ", b"null", b"true", b"0", b"-", b"[]", b"[[]]", b"{}", b'""', b'"x"', b"{", b"}", b"[", b'{"a":1,}', b'{"a":1 "b":2}', b"{'a':1}", b"NaN",
    b'{"a":NaN}', b'{"a":1e999}', b'{"a":-Infinity}', b'{"a":01}', b'{"a":%d}' % 10**310, b"%d" % 10**310, b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"\\u0000":1}', b"\xef\xbb\xbf{}",
    '{"name":"x"}'.encode("utf-16"), '{"name":"x"}'.encode("utf-32"), b"\x00", b"\x00" * 1_000, b"\xff" * 1_000, b"a=1&b=2", b"<xml/>", b'{"a":1}{"b":2}', b'{"a":1}\n{"b":2}\n', b"[" * 900 + b"]" * 900,
    b"[" * 100_000, b'{"a":' * 990 + b"1" + b"}" * 990, b'{"name":"a","name":"b"}', b'{"annotations":[{"metadata":' + b"[" * 400 + b"]" * 400 + b"}]}",
]  # fmt: skip
_TYPES = [
    "application/json", "application/json; charset=utf-16", "APPLICATION/JSON", "text/plain", "application/x-ndjson", "application/x-www-form-urlencoded",
    "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=b", "multipart/form-data; boundary=" + "b" * 300, "multipart/mixed; boundary=b", "multipart/",
    "image/png", "", "x", "application/json; boundary=\xff",
]  # fmt: skip
_HEADERS = [
    ("Accept", "text/html"), ("Accept", "\xff"), ("Content-Encoding", "gzip"), ("Content-Encoding", ""), ("Range", "bytes=0-"), ("Range", "bytes=-1"), ("Range", "bytes=9-1"),
    ("Range", "bytes=" + "0-0," * 500), ("Range", "x"), ("If-Modified-Since", "x"), ("If-None-Match", "*"), ("If-Range", '"x"'), ("Origin", "null"), ("Origin", "http://[::1"),
    ("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site"), ("Host", ""), ("Host", "\xff"), ("Host", "evil.example:99999"), ("Host", "[::1"), ("X-Forwarded-Proto", "x"),
    ("X-Forwarded-For", "x" * 100), ("Forwarded", "for=x"), ("Expect", "100-continue"), ("Cookie", "a=b; =; nucleus_session=x"), ("Cookie", "nucleus_session=" + "x" * 3_000),
    ("Cookie", "\xff"), ("X-Limited-Access-Key", ""), ("X-Limited-Access-Key", "\xe9"), ("X-Limited-Access-Key", "wrong"), ("Authorization", "Basic"), ("Authorization", "Basic \xff"),
    ("Authorization", "Basic " + "A" * 5_000), ("Authorization", "Basic " + base64.b64encode(b"\xff:\xff").decode()), ("Authorization", "Bearer x"), ("Authorization", ""), ("Upgrade", "websocket"),
    ("Connection", "Upgrade"), ("X-" + "y" * 200, "z" * 2_000), ("Accept-Encoding", "gzip"), ("Accept-Language", "\xff"), ("Referer", "x"),
]  # fmt: skip
_ROW_FIELDS = ("annotations", "segmentations", "items", "metadata", "scenes", "predictions")


@dataclass(frozen=True)
class OddRequest:
    """A request as it goes over the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes | None

    def __str__(self) -> str:
        headers = [
            (name, value[:60])
            for name, value in self.headers
            if name != "Authorization" or value[:7] != "Basic d"
        ]
        return f"{self.method} {self.target[:300]} {headers} {(self.body or b'')[:400]!r}"


@dataclass
class Outcome:
    """The answers to a run, by status, and what was wrong."""

    statuses: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    peak: int = 0
    longest: float = 0.0


class Drawing:
    """Draws requests for the objects of one world."""

    def __init__(self, ids: Ids, key: str) -> None:
        self._ids = ids
        self._key = key

    def request(self, dice: random.Random) -> OddRequest:
        """Return the next request of a generator."""
        if dice.random() < 0.06:
            path = dice.choice(_PAGES)
            method = dice.choice(("GET", "GET", "GET", "POST", "HEAD", "DELETE"))
            route, prefix = None, ""
        else:
            prefix, route = dice.choice(_ROUTES)
            path, method = f"{prefix}/{route.template}", route.method
            if dice.random() < 0.03:
                method = dice.choice((
                    "GET",
                    "POST",
                    "PUT",
                    "PATCH",
                    "DELETE",
                    "HEAD",
                    "OPTIONS",
                    "TRACE",
                    "FOO",
                ))
        target = self._path(dice, path, spare=method == "DELETE") + self._query(dice, route)
        body, content_type = (
            (None, None) if method in {"GET", "HEAD"} and dice.random() < 0.97 else self._body(dice, route)
        )
        headers = (
            []
            if dice.random() < 0.01
            else [("Authorization", "Basic " + base64.b64encode(f"{self._key}:".encode()).decode())]
        )
        if content_type is not None:
            headers.append(("Content-Type", content_type))
        if dice.random() < 0.08:
            headers += dice.choices(_HEADERS, k=dice.choice((1, 1, 2)))
        return OddRequest(method, target, headers, body)

    def _path(self, dice: random.Random, template: str, *, spare: bool) -> str:
        parts = []
        for part in template.split("/"):
            if not (part.startswith("{") and part.endswith("}")):
                parts.append(part)
                continue
            name = part.strip("{}*")
            # Most deletions are of what is not there: the world has to last for thousands of requests.
            if dice.random() < (0.02 if spare and name in {"ds", "m", "bm", "r", "p"} else 0.85):
                parts.append(quote(dice.choice(self._ids.get(name, ["x"])), safe=""))
            elif dice.random() < 0.5:
                parts.append(dice.choice(_RAW_PATHS))
            else:
                known = dice.choice([*self._ids.values(), _TEXTS])
                parts.append(
                    quote(
                        dice.choice(known).encode("utf-8", "surrogatepass"),
                        safe="" if dice.random() < 0.8 else "/",
                    )
                )
        path = "/".join(parts)
        return (
            path
            if dice.random() > 0.02
            else path + dice.choice(("/", "//", "/.", "/..", "/x", "%00", "?", "#"))
        )

    def _query(self, dice: random.Random, route: Route | None) -> str:
        names = [] if route is None or route.query is None else list(route.query.model_fields)
        chosen = [name for name in names if dice.random() < 0.5]
        if dice.random() < 0.05:
            chosen += dice.choices(
                ["x", "", "async", "limit", "offset", "page", "query", "iou", "\xff", *names], k=2
            )
        if not chosen:
            return ""
        pairs = []
        for name in chosen:
            known = [*QUERIES] if name == "query" else self._ids.get(name, _TEXTS)
            value = dice.choice(known if dice.random() < 0.4 else _TEXTS)
            if dice.random() < 0.1:
                value = json.dumps(dice.choice(_VALUES))[:3_000]
            key = (
                name
                if dice.random() < 0.5
                else "".join(p.title() if n else p for n, p in enumerate(name.split("_")))
            )
            pairs.append(
                f"{quote_plus(key)}={quote_plus(value.encode('utf-8', 'surrogatepass')) if dice.random() < 0.95 else '%ff'}"
            )
        return "?" + "&".join(pairs)

    def _body(self, dice: random.Random, route: Route | None) -> tuple[bytes | None, str | None]:
        kind = dice.choice(_TYPES) if dice.random() < 0.06 else "application/json"
        if route is not None and route.raw is not None:
            return self._lines(dice), route.raw if dice.random() < 0.9 else kind
        if route is None or route.body is None:
            return (None, None) if dice.random() < 0.8 else (dice.choice(_RAW_BODIES), kind)
        if dice.random() < 0.05:
            return dice.choice(_RAW_BODIES), kind
        value = self._object(dice, _SCHEMAS[route.body.__name__], least=dice.random() < 0.5)
        for _ in range(dice.choice((0, 1, 1, 1, 2, 3))):
            value = _changed(dice, value)
        if route.form is not None and dice.random() < 0.25:
            return self._form(dice, route, value)
        text = json.dumps(value)
        return text.encode()[: len(text) if dice.random() < 0.99 else dice.randrange(len(text) + 1)], kind

    def _object(self, dice: random.Random, schema: dict[str, Any], *, least: bool) -> Any:
        """Return a body that most often is taken."""
        schema = self._resolved(schema)
        required = set(schema.get("required", ()))
        found = {}
        for name, kind in schema.get("properties", {}).items():
            if name in required or (not least and dice.random() < 0.4):
                found[name] = self._value(dice, name, kind)
        return found

    def _value(self, dice: random.Random, name: str, kind: dict[str, Any]) -> Any:
        kind = self._resolved(kind)
        if name in _ROW_FIELDS and kind.get("type") == "array":
            return [self._row(dice) for _ in range(dice.choice((0, 1, 1, 2, 5)))]
        if "enum" in kind:
            return dice.choice(kind["enum"])
        if "const" in kind:
            return kind["const"]
        known = self._ids.get(name, ["x", "a", "car"])
        match kind.get("type"):
            case "array":
                if name in self._ids:
                    return dice.choices(known, k=dice.choice((0, 1, 2)))
                return [self._value(dice, "", kind.get("items", {})) for _ in range(dice.choice((0, 1, 2)))]
            case "object":
                return (
                    self._object(dice, kind, least=False)
                    if "properties" in kind
                    else dice.choice(({}, {"a": 1}))
                )
            case "integer" | "number":
                return dice.choice((0, 1, 5, 0.5 if kind["type"] == "number" else 2))
            case "boolean":
                return dice.random() < 0.5
        return dice.choice(QUERIES if name == "query" else known)

    def _resolved(self, kind: dict[str, Any]) -> dict[str, Any]:
        for one in (kind, *kind.get("anyOf", ()), *kind.get("oneOf", ())):
            if "$ref" in one:
                return dict(_SCHEMAS[one["$ref"].rpartition("/")[2]])
        options = [one for one in kind.get("anyOf", ()) if one != {"type": "null"}]
        return {**kind, **options[0]} if options else kind

    def _row(self, dice: random.Random) -> Any:
        row = json.loads(json.dumps(dice.choice(ROWS)))
        for _ in range(dice.choice((0, 0, 1, 1, 2))):
            row = _changed(dice, row)
        return row

    def _lines(self, dice: random.Random) -> bytes:
        if dice.random() < 0.2:
            return dice.choice(_RAW_BODIES)
        lines = [json.dumps(self._row(dice)).encode() for _ in range(dice.choice((0, 1, 3, 10)))]
        if dice.random() < 0.3:
            lines.append(dice.choice(_RAW_BODIES))
        return dice.choice((b"\n", b"\n", b"\r\n", b"\n\n", b"\r")).join(lines)

    def _form(self, dice: random.Random, route: Route, value: Any) -> tuple[bytes, str]:
        assert route.form is not None
        part = (
            value
            if route.form.field is None
            else value.get(route.form.field)
            if isinstance(value, dict)
            else value
        )
        files = [(route.form.files, dice.choice(("image/png", "image/jpeg", "text/html", "")), dice.choice((b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0", b"x")))
                 for _ in range(dice.choice((0, 1, 2, 11)))]  # fmt: skip
        text = json.dumps(part).encode() if dice.random() < 0.95 else dice.choice(_RAW_BODIES)
        named = [(route.form.json if dice.random() < 0.95 else "x", "application/json", text), *files]
        dice.shuffle(named)
        chunks = [
            b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\nContent-Type: %s\r\n\r\n%s\r\n'
            % (
                name.encode(),
                b"" if kind == "application/json" else b'; filename="f"',
                kind.encode(),
                content,
            )
            for name, kind, content in named
        ]
        return b"".join(chunks) + (
            b"--b--\r\n" if dice.random() < 0.95 else b""
        ), "multipart/form-data; boundary=b"


def _changed(dice: random.Random, value: Any) -> Any:
    """Return a value in which one place, at any depth, is another."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        name = dice.choice(list(value))
        match dice.randrange(12):
            case 0:
                return {key: entry for key, entry in value.items() if key != name}
            case 1:
                return {
                    **value,
                    dice.choice((
                        name.upper(),
                        name + "s",
                        "",
                        "x",
                        "id",
                        "__proto__",
                        "metadata",
                    )): dice.choice(_VALUES),
                }
            case _:
                return {**value, name: _changed(dice, value[name])}
    if isinstance(value, list) and value and dice.random() < 0.8:
        at = dice.randrange(len(value))
        match dice.randrange(10):
            case 0:
                return [*value, value[at]]
            case 1:
                return value * 50
            case _:
                return [*value[:at], _changed(dice, value[at]), *value[at + 1 :]]
    return dice.choice(_VALUES)


class _AsItIs(http.client.HTTPConnection):
    """A connection that sends what it is told to, however odd."""

    def _validate_path(self, url: str) -> None:
        """Let everything through."""

    def _validate_host(self, host: str) -> None:
        """Let everything through."""


class Fuzzer:
    """Sends requests to one server and keeps what was wrong."""

    def __init__(self, server: LocalNucleus, *, seed: int, say: Callable[[str], None]) -> None:
        self._server = server
        self._seed = seed
        self._say = say
        self._lock = threading.Lock()
        self.outcome = Outcome()

    def run(self, cases: int, *, only: int | None = None, workers: int = 2) -> None:
        """Send the requests of numbers 0 to *cases*, or the one of number *only*."""
        for first in range(0, cases, WORLD_CASES):
            api = Api(self._server)
            drawing = Drawing(world(api) | {"token": self._tokens(api)}, self._server.api_key)
            api.close()
            last = min(first + WORLD_CASES, cases)
            if only is not None:
                if first <= only < last:
                    self._send_all(drawing, [only])
                continue
            threads = [
                threading.Thread(target=self._send_all, args=(drawing, range(first + n, last, workers)))
                for n in range(workers)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self._say(
                f"{last} of {cases}: {dict(sorted(self.outcome.statuses.items()))}, {len(self.outcome.problems)} problems, {self._peak()} MB"
            )
            if len(self.outcome.problems) > 50:
                return

    def _tokens(self, api: Api) -> list[str]:
        dataset = api.dataset("a")
        return [
            api.ok("GET", f"dataset/{dataset}/signedUrl/{n}")["signed_url"].rpartition("/")[2]
            for n in range(40)
        ]

    def _send_all(self, drawing: Drawing, numbers: Any) -> None:
        place = urlsplit(self._server.base_url)
        assert place.hostname is not None
        with contextlib.closing(_AsItIs(place.hostname, place.port, timeout=LONGEST_SECONDS)) as connection:
            for number in numbers:
                request = drawing.request(random.Random(f"{self._seed} {number}"))
                began = time.monotonic()
                problem, status = self._sent(connection, request)
                with self._lock:
                    self.outcome.statuses[status] += 1
                    self.outcome.longest = max(self.outcome.longest, time.monotonic() - began)
                    if problem is not None:
                        self.outcome.problems.append(f"number {number}: {problem}: {request}")
                        self._say(self.outcome.problems[-1])

    def _sent(self, connection: http.client.HTTPConnection, request: OddRequest) -> tuple[str | None, int]:
        """Send a request; returns what is wrong with the answer, or None, and its status."""
        for attempt in (1, 2):
            try:
                given = {name.lower() for name, _ in request.headers}
                connection.putrequest(
                    request.method, request.target, skip_host="host" in given, skip_accept_encoding=True
                )
                if request.body is not None:
                    connection.putheader("Content-Length", str(len(request.body)))
                for name, value in request.headers:
                    connection.putheader(name, value.encode("latin-1", "replace"))
                connection.endheaders(request.body)
                with connection.getresponse() as answer:
                    text = answer.read()
                break
            except (http.client.HTTPException, OSError) as error:
                connection.close()
                # A kept connection may have been closed meanwhile, after a request that was none.
                if attempt == 2 or isinstance(error, TimeoutError):
                    return f"no answer ({error!r})", 0
        return self._problem(request, answer, text), answer.status

    def _problem(self, request: OddRequest, answer: http.client.HTTPResponse, text: bytes) -> str | None:
        told = f"{answer.status} {text[:300]!r}"
        # The answer to HEAD has no text that could say so.
        named = b"embedded Nucleus" in text or request.method == "HEAD"
        if answer.status >= 500 and not (answer.status == 501 and named):
            return f"an error of the server ({told})"
        if str(self._server.data_dir).encode() in text or b"Traceback" in text:
            return f"an answer with what is nobody's business ({told})"
        if answer.headers.get("content-type") == "application/json" and request.method != "HEAD":
            try:
                json.loads(text)
            except ValueError:
                return f"an answer that is no JSON ({told})"
        return None

    def finish(self) -> Outcome:
        """Wait for the jobs, look after the server and its store, and return how it went; the server is stopped."""
        api = Api(self._server)
        found, problems = self.outcome, self.outcome.problems
        deadline = time.monotonic() + 300
        while running := [
            job["job_id"]
            for job in api.ok("POST", "jobs/", json={"show_completed": False})
            if job.get("job_last_known_status") == "Running"
        ]:
            if time.monotonic() > deadline:
                problems.append(f"jobs that do not end: {running[:5]}")
                break
            time.sleep(0.1)
        dataset = api.dataset("a", "b")
        if api.ok("GET", f"dataset/{dataset}/size") != {"count": 2}:
            problems.append("rows that were sent last are not there")
        found.peak = self._peak()
        if found.peak > PEAK_MEGABYTES:
            problems.append(f"the server has taken {found.peak} MB")
        api.close()
        if self._server.stop(timeout=60) != 0:
            problems.append("the server does not end when it is told to")
        problems += [f"in the log: {line}" for line in _tracebacks(self._server.log)]
        problems += store_problems(self._server.data_dir)
        return found

    def _peak(self) -> int:
        status = Path(f"/proc/{self._server.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024


def _tracebacks(log: str) -> list[str]:
    """Return the beginnings of errors that the server had not expected."""
    lines = log.splitlines()
    return [
        " / ".join(lines[max(0, n - 1) : n + 1])
        + " ... "
        + next((line for line in lines[n + 1 :] if line[:1].strip()), "")
        for n, line in enumerate(lines)
        if line.startswith("Traceback")
    ][:20]


def fuzz(
    folder: Path, *, cases: int, seed: int, only: int | None = None, say: Callable[[str], None] = print
) -> Outcome:
    """Send *cases* odd requests to a server of its own in *folder*."""
    with LocalNucleus(folder / "data", environment={"NUCLEUS_LOCAL_MEMORY_LIMIT": "512MB"}) as server:
        resource.prlimit(server.pid, resource.RLIMIT_AS, (16 << 30, 16 << 30))
        fuzzer = Fuzzer(server, seed=seed, say=say)
        fuzzer.run(cases, only=only)
        return fuzzer.finish()


def main() -> int:
    """Run the fuzzer from the command line; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="number of the one request to send")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = fuzz(
            Path(folder),
            cases=options.cases,
            seed=options.seed,
            only=options.only,
            say=lambda text: print(text, flush=True),
        )
    print(
        f"{sum(outcome.statuses.values())} requests, {time.monotonic() - began:.0f} s, seed {options.seed}: {dict(sorted(outcome.statuses.items()))}"
    )
    print(f"peak {outcome.peak} MB, longest answer {outcome.longest:.1f} s, {len(outcome.problems)} problems")
    for problem in outcome.problems:
        print(problem)
    return int(bool(outcome.problems))


if __name__ == "__main__":
    sys.exit(main())
