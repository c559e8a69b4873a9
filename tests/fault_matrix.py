"""Every fault, at every step of an upload, in every way of uploading and waiting, followed by a retry or a clear.

A cell of the matrix runs the upload operator as Airflow would, try by try, through a proxy that misbehaves at one step, against
the embedded Nucleus. Whatever happens, in the end: the store holds every valid row exactly once, no job is running, and no more
than one chunk of rows travelled twice. `python -m tests.fault_matrix` runs all cells and writes `docs/fault-matrix.md`;
`make test` runs `SAMPLE`: every fault at every step in every form, each followed by one of the courses in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from unittest import mock

import requests
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_nucleus.client.calls.datasets import create_dataset
from airflow_provider_nucleus.client.calls.items import export_page
from airflow_provider_nucleus.client.calls.jobs import list_jobs
from airflow_provider_nucleus.client.calls.models import create_model
from airflow_provider_nucleus.client.calls.predictions import predictions_export
from airflow_provider_nucleus.client.config import NucleusConfig
from airflow_provider_nucleus.client.sync import NucleusClient
from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)
from airflow_provider_nucleus.triggers.job import NucleusJobTrigger
from tests.airflow.harness import connection_json
from tests.faults import Fault, FaultyNucleus
from tests.preloaded import Nursery, PreloadedNucleus
from tests.unit.operators.fakes import StateStore, context

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from tests.faults import Action

CHUNK = 8
GOOD = 3 * CHUNK - 2
"""Rows that the server takes; two more refer to an item that does not exist, so that there are errors to ask for."""
ROWS = GOOD + 2
FOREVER = 10_000

Course = Literal["once", "retry", "rerun", "reattach"]
COURSES: tuple[Course, ...] = ("once", "retry", "rerun", "reattach")
"""What follows: `once`: the fault strikes once, and a retry follows only if the try fails. Otherwise it strikes until the try
is over, and the task is retried, or cleared with this `on_clear`."""


@dataclass(frozen=True)
class Kind:
    """One way to misbehave. `brief` faults do not end a try however often they strike."""

    name: str
    action: Action
    status: int = 503
    retry_after: str | None = None
    seconds: float = 0.0


FAULTS = (
    Kind("429, Retry-After", "status", status=429, retry_after="0.05"),
    Kind("503, Retry-After", "status", status=503, retry_after="0.05"),
    Kind("503", "status", status=503),
    Kind("500", "status", status=500),
    Kind("502", "status", status=502),
    Kind("connection refused", "refuse"),
    Kind("reset in the request", "cut-request"),
    Kind("done, answer lost", "cut-answer"),
    Kind("done, answer cut", "truncate"),
    Kind("a portal's page", "garbage"),
    Kind("slow", "delay", seconds=0.05),
    Kind("delivered twice", "twice"),
    Kind("server dies before", "crash"),
    Kind("server dies after", "crash-late"),
)

STEPS = {
    "address": (r"GET .*/signedUrl/", 2),
    "file": (r"PUT ", 2),
    "list jobs": (r"POST .*/jobs/$", 1),
    "start job": (r"POST .*async=1", 2),
    "poll": (r"GET .*/job/[^/]+$", 1),
    "job errors": (r"GET .*/job/[^/]+/errors", 1),
    "rows": (r"POST .*/(annotate|uploadPredictions)$", 2),
}
"""The requests of an upload, and which of them the fault strikes first."""

FORMS = {
    "async, waiting": ("address", "file", "list jobs", "start job", "poll", "job errors"),
    "async, deferred": ("address", "file", "list jobs", "start job", "poll", "job errors"),
    "sync, waiting": ("rows",),
    "sync, deferred": ("rows",),
}
"""How rows travel and how the task waits, with the steps there are."""


@dataclass(frozen=True)
class Cell:
    """One combination."""

    form: str
    step: str
    fault: Kind
    course: Course

    @property
    def name(self) -> str:
        """The combination in words."""
        return f"{self.fault.name} / {self.step} / {self.form} / {self.course}"

    @property
    def predictions(self) -> bool:
        """Whether predictions are uploaded, rather than ground truth; it makes no difference, so it alternates."""
        return (FAULTS.index(self.fault) + COURSES.index(self.course)) % 2 == 1


CELLS = [
    Cell(form, step, fault, course)
    for form, steps in FORMS.items()
    for step in steps
    for fault in FAULTS
    for course in COURSES
]

SAMPLE = [
    Cell(form, step, fault, COURSES[(number + place + 2 * turn) % len(COURSES)])
    for turn, (form, steps) in enumerate(FORMS.items())
    for place, step in enumerate(steps)
    for number, fault in enumerate(FAULTS)
]


@dataclass(frozen=True)
class Outcome:
    """What a cell ended with."""

    first: str
    """`ok`, or the error that ended the first try."""
    tries: int
    succeeded: bool
    exact: bool
    """The store holds every valid row exactly once."""
    running: int
    """Jobs that never ended."""
    repeated: int
    """Rows that travelled more than once."""
    jobs: int

    def problems(self, cell: Cell) -> list[str]:
        """Say what is not as it must be."""
        found = []
        if not self.succeeded:
            found.append(f"the task failed: {self.first}")
        if not self.exact:
            found.append("the store does not hold every valid row once")
        if self.running:
            found.append(f"{self.running} jobs still run")
        # A user who clears with "rerun" wants everything to be sent again.
        if self.repeated > CHUNK and cell.course != "rerun":
            found.append(f"{self.repeated} rows travelled twice, a chunk has {CHUNK}")
        extra = self.jobs - ROWS // CHUNK
        if "async" in cell.form and extra > 0 and cell.course != "rerun" and not _starts_twice(cell):
            found.append(f"{extra} jobs too many")
        return found


def _starts_twice(cell: Cell) -> bool:
    """Whether it is the fault itself that starts jobs twice."""
    return cell.fault.action == "twice" and cell.step == "start job"


class Laboratory:
    """A Nucleus that can die and the proxy before it; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._stack = contextlib.ExitStack()
        self._ahead = 0.0

    def __enter__(self) -> Self:
        nursery = self._stack.enter_context(Nursery())
        self.server = PreloadedNucleus(self._folder / "data", nursery=nursery)
        self._stack.enter_context(self.server)
        self.proxy = self._stack.enter_context(FaultyNucleus(lambda: self.server.base_url, keep_bodies=True))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _sleep(self, seconds: float) -> None:
        """Move the clock; rest a little, for jobs to get on."""
        self._ahead += seconds
        time.sleep(min(seconds, 0.003))

    def _restart(self) -> None:
        self.server.kill()
        self.server.start()

    @contextlib.contextmanager
    def _injected(self) -> Generator[None]:
        """Let tasks reach the proxy, sleep by moving the clock, and spread a chunk over two requests."""
        connection = connection_json(endpoint=self.proxy.url, api_key=self.server.api_key)
        client = partial(NucleusClient, sleep=self._sleep, clock=lambda: time.time() + self._ahead)
        with (
            mock.patch.dict(os.environ, AIRFLOW_CONN_NUCLEUS_DEFAULT=connection),
            mock.patch("airflow_provider_nucleus.hooks.nucleus.NucleusClient", client),
            mock.patch("airflow_provider_nucleus.triggers.backoff.MAX_BACK_OFF", 0.01),
            mock.patch("airflow_provider_nucleus.client.uploads.send.requests.LINES_PER_REQUEST", CHUNK // 2),
        ):
            yield

    def run(self, cell: Cell) -> Outcome:
        """Run one cell."""
        trial = _Trial(self, cell, number=next(self._numbers), folder=self._folder)
        pattern, at = STEPS[cell.step]
        lasting = cell.course != "once"
        # A server that dies at every request would be long in dying.
        times = (2 if cell.fault.action.startswith("crash") else FOREVER) if lasting else 1
        headers = {"Retry-After": cell.fault.retry_after} if cell.fault.retry_after else {}
        fault = Fault(
            cell.fault.name, pattern, cell.fault.action, at=at, times=times, status=cell.fault.status,
            headers=headers, seconds=cell.fault.seconds, crash=self._restart,
        )  # fmt: skip
        self.proxy.arm(fault)
        tries = 1
        with self._injected():
            first = last = trial.attempt(clears=0)
            if lasting or first is not None:
                self.proxy.faults = []
                last = trial.attempt(clears=cell.course in {"rerun", "reattach"})
                tries = 2
        return Outcome(
            first="ok" if first is None else type(first).__name__,
            tries=tries,
            succeeded=last is None,
            running=trial.running(),
            exact=trial.stored() == list(range(GOOD)),
            repeated=trial.repeated(),
            jobs=len(trial.jobs()),
        )

    def client(self) -> NucleusClient:
        """Return a client that goes past the proxy."""
        return NucleusClient(NucleusConfig(endpoint=self.server.url, api_key=self.server.api_key))


class _Trial:
    """The task of one cell, and what it leaves on the server."""

    def __init__(self, lab: Laboratory, cell: Cell, *, number: int, folder: Path) -> None:
        self._lab = lab
        self._cell = cell
        self._store = StateStore()
        self._rows = [_row(n, f"item-{n % 4}" if n < GOOD else "nowhere") for n in range(ROWS)]
        self._quarantine = folder / f"bad-{number}.jsonl"
        with lab.client() as client:
            self._dataset = client.send(create_dataset(f"matrix-{number}"))
            self._model = (
                client.send(create_model(name="m", reference_id=f"m-{number}")) if cell.predictions else None
            )
        answer = requests.post(
            f"{lab.server.url}/dataset/{self._dataset}/append",
            json={"items": [{"reference_id": f"item-{n}", "image_url": f"s3://b/{n}.jpg"} for n in range(4)]},
            auth=(lab.server.api_key, ""),
            timeout=30,
        )
        assert answer.ok, answer.text

    def attempt(self, *, clears: int) -> NucleusError | None:
        """Run one try as worker and triggerer would; return what it failed with."""
        made = self._task()
        surroundings = partial(context, store=self._store, max_tries=int(clears))
        try:
            try:
                result = made.execute(surroundings(made))
            except TaskDeferred as deferred:
                _, arguments = deferred.trigger.serialize()
                payload = asyncio.run(_event(NucleusJobTrigger(**json.loads(json.dumps(arguments)))))
                made = self._task()
                resumed = getattr(made, deferred.method_name)
                result = resumed(surroundings(made), event=json.loads(json.dumps(payload)))
        except NucleusError as error:
            return error
        finally:
            made.hook.close()
        assert result["processed"] + result["ignored"] == GOOD, result
        assert result["errored"] == ROWS - GOOD, result
        return None

    def _task(self) -> Any:
        cell = self._cell
        arguments: dict[str, Any] = {
            "task_id": "upload",
            "dataset_id": self._dataset,
            "source": self._rows,
            "asynchronous": "async" in cell.form,
            "deferrable": "deferred" in cell.form,
            "chunk_rows": CHUNK,
            "poll_interval": 0.01,
            # The triggerer's clock is the real one.
            "ride_out": 1.0 if "deferred" in cell.form else 600.0,
            "max_error_rate": 0.5,
            "quarantine": str(self._quarantine),
            "on_clear": cell.course if cell.course in {"rerun", "reattach"} else "rerun",
        }
        if cell.predictions:
            return NucleusUploadPredictionsOperator(model_id=self._model, **arguments)
        return NucleusUploadAnnotationsOperator(**arguments)

    def jobs(self) -> list[Any]:
        with self._lab.client() as client:
            return client.send(list_jobs(dataset_id=self._dataset, show_completed=True))

    def running(self) -> int:
        """Return how many jobs still run after they had their time."""
        deadline = time.monotonic() + 20
        while True:
            running = [job for job in self.jobs() if not job.state.terminal]
            if not running or time.monotonic() > deadline:
                return len(running)
            time.sleep(0.01)

    def stored(self) -> list[int]:
        """Return the numbers of all stored rows; one that comes twice was stored twice."""
        with self._lab.client() as client:
            if self._model is not None:
                groups = client.send(predictions_export(self._dataset, self._model))
                found = [one.to_wire() for group in groups.values() for one in group]
            else:
                rows = client.pages(export_page(self._dataset, page_size=1_000))
                found = [one.to_wire() for row in rows for group in row.objects.values() for one in group]
        return sorted(int(row["annotation_id"]) for row in found)

    def repeated(self) -> int:
        """Return how many rows travelled more than once."""
        seen = self._lab.proxy.requests(f"{STEPS['file'][0]}|{STEPS['rows'][0]}")
        sent = Counter(row for one in seen for row in _rows_in(one.body))
        return sum(count > 1 for count in sent.values())


async def _event(trigger: NucleusJobTrigger) -> Any:
    events = [event async for event in trigger.run()]
    assert len(events) == 1
    return events[0].payload


def _row(number: int, item: str) -> dict[str, Any]:
    return {
        "label": "car",
        "type": "box",
        "geometry": {"x": number, "y": 1, "width": 2, "height": 3},
        "reference_id": item,
        "annotation_id": str(number),
    }


def _rows_in(body: bytes) -> list[str]:
    return [piece.split(b'"', 1)[0].decode() for piece in body.split(b'"annotation_id":"')[1:]]


def table(outcomes: Sequence[tuple[Cell, Outcome]]) -> str:
    """Return the matrix as a Markdown page."""
    cells = {
        (cell.fault.name, cell.form, cell.step, cell.course): (cell, outcome) for cell, outcome in outcomes
    }
    lines = [_INTRODUCTION.format(cells=len(cells), chunk=CHUNK, rows=ROWS)]
    for form, steps in FORMS.items():
        lines += ["", f"## {form.capitalize()}", ""]
        lines += [f"| fault | {' | '.join(steps)} |", f"|---|{'---|' * len(steps)}"]
        for fault in FAULTS:
            entries = [
                _entry([cells.get((fault.name, form, step, course)) for course in COURSES]) for step in steps
            ]
            lines.append(f"| {fault.name} | {' | '.join(entries)} |")
    broken = [(cell, outcome) for cell, outcome in outcomes if outcome.problems(cell)]
    lines += ["", f"{len(outcomes) - len(broken)} of {len(outcomes)} cells hold."]
    lines += [f"- {cell.name}: {'; '.join(outcome.problems(cell))}" for cell, outcome in broken]
    worst = max((outcome.repeated for cell, outcome in outcomes if cell.course != "rerun"), default=0)
    lines += [
        "",
        f"Rows that travelled twice, at most, without a rerun: {worst} of {ROWS} (a chunk has {CHUNK}).",
    ]
    return "\n".join(lines) + "\n"


_INTRODUCTION = """# What faults do to uploads

Written by `python -m tests.fault_matrix`; `make test-stack` runs a quarter of its {cells} cells, every fault at every step
in every form among them. Each cell uploads {rows} rows in chunks of
{chunk} through the operator, with the fault at one step, and checks afterwards that the store holds every valid row exactly once,
that no job is left running, that no second job was started for a chunk, and that at most one chunk of rows travelled twice.

An entry has four marks, one per course: the fault strikes **once**; it lasts for the whole first try and the task is **retried**;
it lasts and the task is cleared with `on_clear="rerun"`; it lasts and the task is cleared with `on_clear="reattach"`.
`·` the first try rode it out, `r` the first try failed and the second completed it, `X` a promise was broken."""


def _entry(found: Sequence[tuple[Cell, Outcome] | None]) -> str:
    marks = []
    for one in found:
        if one is None:
            marks.append(" ")
        elif one[1].problems(one[0]):
            marks.append("X")
        else:
            marks.append("·" if one[1].first == "ok" else "r")
    return "`" + "".join(marks) + "`"


def run_all(cells: Sequence[Cell], say: Callable[[str], object]) -> Iterator[tuple[Cell, Outcome]]:
    """Run cells one after the other, telling about those that break a promise."""
    with tempfile.TemporaryDirectory() as folder, Laboratory(Path(folder)) as laboratory:
        for cell in cells:
            outcome = laboratory.run(cell)
            if found := outcome.problems(cell):
                say(f"{cell.name}: {'; '.join(found)} ({outcome})")
            yield cell, outcome


def main() -> int:
    """Run all cells, print the matrix and write it down."""
    began = time.monotonic()
    outcomes = list(run_all(CELLS, say=print))
    page = table(outcomes)
    print(page)
    print(f"{time.monotonic() - began:.0f} s")
    (Path(__file__).parents[1] / "docs" / "fault-matrix.md").write_text(page)
    return int(any(outcome.problems(cell) for cell, outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
