"""One odd value in an input that is else good: a result or a refusal by name, and one verdict whoever reads.

`python -m tests.fuzz.values --cases 20000 --seed 0`

COCO goes through the command (in this process, now and then as one of its own), through the sources and checks of an upload, and what
these take through the embedded server. JSONL and Parquet go through sources, checks and server. Each case is drawn from a generator of its
own number, so that `--only N` tries number N alone. Verdicts that differ are faults, unless `docs/row-rules.md` gives the reason.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import logging
import random
import re
import resource
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.cli.main import main as command
from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
from airflow_provider_nucleus.exceptions import NucleusError, NucleusValidationError
from airflow_provider_nucleus.local.testing import LocalNucleus
from airflow_provider_nucleus.sources import open_rows
from tests.local.conftest import Api
from tests.odd_rows import GOOD_ROWS, ODD_VALUES, REMOVED, odd_fields, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Outcome", "run"]

ADDRESS_SPACE = 12 << 30
"""Bytes of address space for everything: a case that wants more is a crash here, not of the machine."""
AT_ONCE = 400
PROCESS_EVERY = 2_000
PAGE = Path(__file__).parents[2] / "docs/row-rules.md"

_CLASSES = [
    {"id": 1, "name": "car", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]},
    {"id": 2, "name": "van"},
]
_TRUTH: dict[str, Any] = {
    "info": {"year": 2026},
    "images": [{"id": n, "file_name": f"{n}.jpg", "width": 40, "height": 30} for n in (1, 2)],
    "categories": _CLASSES,
    "annotations": [
        {
            "id": n, "image_id": 1 + n % 2, "category_id": 1, "bbox": [1, 2, 10, 12], "area": 100, "iscrowd": 0,
            "segmentation": [[1, 2, 11, 2, 11, 14, 1, 14]], "keypoints": [3, 4, 2, 8, 9, 1], "num_keypoints": 2,
        }
        for n in (1, 2, 3)
    ],
}  # fmt: skip
_RESULTS: list[dict[str, Any]] = [
    {
        "image_id": n, "category_id": 1, "bbox": [1, 2, 10, 11], "score": 0.5 + n / 10,
        "segmentation": {"size": [30, 40], "counts": [31, 5, 25, 6, 1133]} if n == 1 else [[1, 2, 11, 2, 11, 14]], "keypoints": [3, 4, 2, 8, 9, 1],
    }
    for n in (1, 2)
]  # fmt: skip
_KINDS = {"bbox": "box", "segm": "polygon", "keypoints": "keypoints"}

_ODD: list[Any] = [
    *ODD_VALUES, REMOVED, 3, 10, -5, 2**31, 2**63, 2**64, 2**64 + 1, 2**100 + 1, 1e9, 1e12, 1e16, -1e16, 1e19, 1e300, -1e300, 1e-300, float("-inf"),
    "0", "0.9", "1.0", "01", "true", "car", [1, 2, 10, 12], [1, 2, 10, "12"], [1, 2, 10, True], [1, 2, 10, None], [1, 2, -10, 12], [1, 2, 10], [1, 2, 10, 12, 13],
    [1, 2, 1e9, 12], [1, 2, 1e300, 12], [1, 2, float("nan"), 12], [[1, 2, 10, 12]], [[1, 2], [10, 2], [10, 12]], [[[1, 2], [10, 2], [10, 12]]], [1, 2, 10, 2, 10, 12],
    [[1, 2, 10, 2, 10, 12]], [[1, 2, 10, 2, 10]], [[1, 2, 10, 2, 1e9, 12]], [[1, 2, 10, 2, 1e300, 12]], [[1, 2, 10, 2, 10, "12"]], [[1, 2, 10, 2, 10, None]], [[]],
    [[1, 2, 10, 2, 10, 12], []], [[1, 2, 10, 2, 10, 12], [1, 2, 3, 4]], [[1, 2, 3, 4], [1, 2, 10, 2, 10, 12]], [[1e6, 1e6, 1e7, 1e6, 1e7, 1e7]],
    {"size": [30, 40], "counts": [1200]}, {"size": [30, 40], "counts": [0, 1200]}, {"size": [40, 30], "counts": [1200]}, {"size": [30, 40], "counts": [1199]},
    {"size": [30, 40], "counts": [600.0, 600.0]}, {"size": [30, 40], "counts": ["1200"]}, {"size": [30, 40], "counts": [-1, 1201]}, {"size": [30, 40], "counts": "0"},
    {"size": [30, 40], "counts": "\u00e9"}, {"size": [30, 40], "counts": "oooooooooooooooooo"}, {"size": None, "counts": [1200]}, {"counts": [1200]}, {"size": [30, 40]},
    {"size": [1e9, 1e9], "counts": [10**18]}, {"size": ["30", "40"], "counts": [1200]}, {"size": [30, 40], "counts": [10**30]},
    [3, 4, 2], [3, 4, 2, 8, 9], [3, 4, 0, 8, 9, 0], [3, 4, -1, 8, 9, 3], [[3, 4, 2], [8, 9, 1]], [3, 4, "2", 8, 9, 1], [3, 4, 2, 8, float("inf"), 1], [3, 4, 2, 1e300, 9, 1],
    ["nose"], ["nose", "nose"], ["nose", 1], [[1, 2]], [[0, 1]], [[1, 9]], [["nose", "tail"]], [[1, 2, 3]], [[1]],
]  # fmt: skip


@dataclass
class Outcome:
    """What came of the cases: how often each verdict, and every fault with its number."""

    verdicts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, number: int, text: str) -> None:
        """Keep a fault, and show it at once."""
        self.faults.append(f"case {number}: {text}")
        print(self.faults[-1], flush=True)


@dataclass(frozen=True)
class Case:
    """One changed value: where, what, and how it is looked at."""

    number: int
    path: tuple[Any, ...]
    value: Any
    kind: str

    def __str__(self) -> str:
        value = "removed" if self.value is REMOVED else repr(self.value)[:120]
        return f"{self.kind} {'.'.join(map(str, self.path))} = {value}"


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _paths(member, (*path, key))
    elif isinstance(value, list):
        for at, member in enumerate(value):
            yield from _paths(member, (*path, at))


_COCO_PATHS = [("truth", *path) for path in _paths(_TRUTH)] + [
    ("results", *path) for path in _paths(_RESULTS)
]


def _changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    made = copy.deepcopy(document)
    place = made
    for step in path[:-1]:
        place = place[step]
    if value is REMOVED:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return made


def _odd(draw: random.Random) -> Any:
    """An odd value: mostly from the list, else put together."""
    if draw.random() < 0.8:
        return draw.choice(_ODD)
    return draw.choice([
        lambda: draw.uniform(-1, 1) * 10 ** draw.randint(-320, 308),
        lambda: draw.randint(-(10 ** draw.randint(1, 40)), 10 ** draw.randint(1, 40)),
        lambda: "".join(chr(draw.choice([draw.randint(32, 126), draw.randint(0, 0xD7FF)])) for _ in range(draw.randint(1, 8))),
        lambda: [draw.choice(_ODD[:40]) for _ in range(draw.randint(1, 8))],
        lambda: [draw.uniform(-100, 100) for _ in range(draw.randint(1, 12))],
        lambda: [[draw.uniform(-100, 100) for _ in range(draw.randint(0, 10))] for _ in range(draw.randint(1, 3))],
    ])()  # fmt: skip


class Differences:
    """The differences that the page gives reasons for: patterns of messages by who refuses."""

    def __init__(self) -> None:
        text = PAGE.read_text()
        self.only_uploads = self._patterns(text, "COCO: what only uploads refuse")
        self.only_command = self._patterns(text, "COCO: what only the command refuses")
        self.only_client = self._patterns(text, "What only the client refuses")
        self.only_server = self._patterns(text, "What only the server refuses")

    @staticmethod
    def _patterns(text: str, heading: str) -> list[str]:
        (found,) = [part for part in re.split(r"^##+ ", text, flags=re.MULTILINE) if part.startswith(heading)]
        return re.findall(r"^\| `([^`]+)` \|", found, re.MULTILINE)


def _is_among(message: str, patterns: list[str]) -> bool:
    return any(re.search(pattern, message) for pattern in patterns)


class Server:
    """A dataset of the embedded server that takes what the checks of an upload let through."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._dataset = api.dataset("a", "1.jpg", "2.jpg")
        self._model = str(
            api.ok("POST", "models/add", json={"name": "m", "reference_id": "m", "metadata": {}})["model_id"]
        )
        self._rows: dict[str, list[tuple[str, dict[str, Any]]]] = {
            "annotations": [],
            "predictions": [],
            "items": [],
        }

    def take(self, kind: str, row: dict[str, Any], about: str) -> None:
        """Keep a row for the next request."""
        self._rows[kind].append((about, row))

    def refusals(self, but: list[str]) -> Iterator[str]:
        """Send what there is; yield what is refused and should not be."""
        routes = {
            "annotations": f"dataset/{self._dataset}/annotate",
            "predictions": f"dataset/{self._dataset}/model/{self._model}/uploadPredictions",
            "items": f"dataset/{self._dataset}/append",
        }
        for kind, rows in self._rows.items():
            if not rows:
                continue
            job = self._api.upload(
                self._dataset, routes[kind], "".join(json.dumps(row) + "\n" for _, row in rows), update=True
            )
            self._api.wait(job)
            for error in self._api.ok("GET", f"job/{job}/errors"):
                if not _is_among(error, but):
                    yield f"the client lets pass what the server refuses: {kind}: {error}"
            rows.clear()


@dataclass
class Verdict:
    """What is refused, and why; nothing where all is taken."""

    refusals: list[str] = field(default_factory=list)
    crash: str | None = None

    def beyond(self, patterns: list[str]) -> str | None:
        """Return the first refusal that matches none of the patterns."""
        return next((text for text in self.refusals if not _is_among(text, patterns)), None)


def _by_command(truth: Path, results: Path, kind: str) -> Verdict:
    out, err = io.StringIO(), io.StringIO()
    arguments = ["evaluate", "--ground-truth", str(truth), "--predictions", str(results), "--iou-type", kind]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = command(arguments)
        out.getvalue().encode()
    except (Exception, SystemExit):  # ruff: ignore[blind-except] - a crash of any kind is a fault
        return Verdict(crash=traceback.format_exc(limit=-3))
    if status not in {0, 2}:
        return Verdict(crash=f"status {status}: {err.getvalue()}")
    return Verdict([err.getvalue().strip()] if status else [])


def _by_upload(truth: Path, results: Path, kind: str) -> tuple[Verdict, dict[str, list[dict[str, Any]]]]:
    """Return the verdict of sources and checks, and the rows that would be sent."""
    rows: dict[str, list[dict[str, Any]]] = {"annotations": [], "predictions": []}
    verdict = Verdict()
    try:
        for name, source in (("annotations", truth), ("predictions", results)):
            stream = open_rows(
                source, kind=name, geometry=_KINDS[kind], categories=truth if name == "predictions" else None, format="coco"
            )  # fmt: skip
            encoder = Encoder(name)
            used: set[tuple[Any, Any]] = set()
            for row in stream:
                if row.problem:
                    verdict.refusals.append(row.problem)
                    continue
                try:
                    wire = encoder.encode(row.data).wire
                except NucleusValidationError as error:
                    verdict.refusals.append(str(error))
                    continue
                key = (wire["reference_id"], wire["annotation_id"])
                if name == "annotations" and key in used:
                    verdict.refusals.append("id: is the id of two objects")
                used.add(key)
                rows[name].append(wire)
    except NucleusError as error:
        verdict.refusals.append(str(error))
    except Exception:  # ruff: ignore[blind-except]
        verdict.crash = traceback.format_exc(limit=-3)
    return verdict, rows


def _coco(case: Case, folder: Path, server: Server, known: Differences, outcome: Outcome) -> None:
    document = _TRUTH if case.path[0] == "truth" else _RESULTS
    made = _changed(document, case.path[1:], case.value)
    truth, results = folder / "truth.json", folder / "results.json"
    truth.write_text(json.dumps(made if document is _TRUTH else _TRUTH))
    results.write_text(json.dumps(made if document is _RESULTS else _RESULTS))
    by_command = _by_command(truth, results, case.kind)
    by_upload, rows = _by_upload(truth, results, case.kind)
    for name, verdict in (("command", by_command), ("upload", by_upload)):
        if verdict.crash:
            outcome.fault(case.number, f"{case}: {name} crashed: {verdict.crash}")
            return
    if case.number % PROCESS_EVERY == 0:
        arguments = [
            "evaluate",
            "--ground-truth",
            str(truth),
            "--predictions",
            str(results),
            "--iou-type",
            case.kind,
        ]
        done = subprocess.run(
            [sys.executable, "-m", "airflow_provider_nucleus.cli.main", *arguments],
            capture_output=True,
            check=False,
        )
        if done.returncode != (2 if by_command.refusals else 0):
            outcome.fault(case.number, f"{case}: as a process it ends with {done.returncode}")
    outcome.verdicts[f"coco {'refused' if by_command.refusals else 'taken'}"] += 1
    only = by_upload.beyond(known.only_uploads)
    if not by_command.refusals and only:
        outcome.fault(case.number, f"{case}: the command takes it, an upload says: {only}")
    only = by_command.beyond(known.only_command)
    if only and not by_upload.beyond(known.only_uploads) and not by_upload.refusals:
        outcome.fault(case.number, f"{case}: an upload takes it, the command says: {only}")
    for text in by_command.refusals:
        if not re.search(r"(truth|results)\.json", text):
            outcome.fault(case.number, f"{case}: names no file: {text}")
    for name, wires in rows.items():
        for at, wire in enumerate(wires):
            if wire["reference_id"] in {"1.jpg", "2.jpg"}:
                server.take(name, wire | {"annotation_id": f"{case.number}-{at}"}, str(case))


def _rows(case: Case, folder: Path, server: Server, known: Differences, outcome: Outcome) -> None:
    """A row of JSONL, and the same in Parquet where that can hold it."""
    kind, name = case.kind.split(" ", 1)
    row = replaced(GOOD_ROWS[kind][name], case.path, case.value)
    path = folder / "rows.jsonl"
    try:
        path.write_text(json.dumps(row) + "\n")
    except ValueError:
        return
    verdicts = {"jsonl": _of_rows(path, kind)}
    parquet = _parquet(row, folder / "rows.parquet")
    if parquet is not None:
        verdicts["parquet"] = _of_rows(parquet, kind)
    for form, (verdict, _) in verdicts.items():
        if verdict.crash:
            outcome.fault(case.number, f"{case}: {form} crashed: {verdict.crash}")
            return
    # Text in place of an object or a list is JSON in Parquet, and none where it is blank; null is what is not there.
    if (
        parquet is not None
        and case.value is not None
        and not isinstance(case.value, str)
        and _read_back(parquet) == row
    ):
        told = {form: bool(verdict.refusals) for form, (verdict, _) in verdicts.items()}
        if len(set(told.values())) > 1:
            texts = {form: verdict.refusals for form, (verdict, _) in verdicts.items()}
            outcome.fault(case.number, f"{case}: the formats differ: {texts}")
    outcome.verdicts[f"rows {'refused' if verdicts['jsonl'][0].refusals else 'taken'}"] += 1
    for wire in verdicts["jsonl"][1]:
        wire = dict(wire)
        if wire.get("annotation_id") and isinstance(wire["annotation_id"], str):
            wire["annotation_id"] = f"{case.number}-r"
        server.take(kind, wire, str(case))


def _of_rows(path: Path, kind: str) -> tuple[Verdict, list[dict[str, Any]]]:
    wires: list[dict[str, Any]] = []
    verdict = Verdict()
    try:
        encoder = Encoder(kind, ignore_unknown=True)
        for row in open_rows(path, kind=kind):
            if row.problem:
                verdict.refusals.append(row.problem)
                continue
            try:
                wire = encoder.encode(row.data).wire
                json.dumps(wire, allow_nan=False)
            except NucleusValidationError as error:
                verdict.refusals.append(str(error))
            else:
                wires.append(wire)
    except NucleusError as error:
        verdict.refusals.append(str(error))
    except Exception:  # ruff: ignore[blind-except]
        verdict.crash = traceback.format_exc(limit=-3)
    return verdict, wires


def _parquet(row: dict[str, Any], path: Path) -> Path | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.write_table(pa.Table.from_pylist([row]), path)
    except (pa.ArrowException, OverflowError, UnicodeError, ValueError, TypeError):
        return None  # no column can hold it
    return path


def _read_back(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    return dict(pq.read_table(path).to_pylist()[0])


def _case(number: int, seed: int) -> Case:
    draw = random.Random(f"{seed}-{number}")
    if number % 3:
        return Case(number, draw.choice(_COCO_PATHS), _odd(draw), draw.choice(sorted(_KINDS)))
    kind = draw.choice(sorted(GOOD_ROWS))
    name = draw.choice(sorted(GOOD_ROWS[kind]))
    value = draw.choice([*ODD_VALUES, REMOVED])
    return Case(number, draw.choice(odd_fields(kind, name)), value, f"{kind} {name}")


def run(cases: int, seed: int, *, only: int | None = None) -> Outcome:
    """Try the cases and return what came of them."""
    logging.disable(logging.CRITICAL)
    outcome, known = Outcome(), Differences()
    with tempfile.TemporaryDirectory() as folder, LocalNucleus(Path(folder) / "server") as nucleus:
        server = Server(Api(nucleus))
        files = Path(folder)
        for number in range(cases) if only is None else [only]:
            case = _case(number, seed)
            (_coco if number % 3 else _rows)(case, files, server, known, outcome)
            if (number + 1) % AT_ONCE == 0:
                for text in server.refusals(known.only_server):
                    outcome.fault(number, text)
        for text in server.refusals(known.only_server):
            outcome.fault(cases, text)
    return outcome


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    outcome = run(options.cases, options.seed, only=options.only)
    print(f"{options.cases} cases, {dict(outcome.verdicts)}, {len(outcome.faults)} faults")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
