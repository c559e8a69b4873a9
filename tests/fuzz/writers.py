"""Ten kinds of writers that work on one dataset at once, and a ledger of what the server has acknowledged to them.

Numbers of rows are given out once, so whatever is found later is one writer's, of one request.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
import requests

from tests.fuzz.consistency import store_problems

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = 50
"""Rows of one synchronous request."""
JOB_ROWS = 400
_ITEMS = [f"base-{number}" for number in range(50)]
"""Items that boxes are spread over: an evaluation looks at every pair on one."""
ENDED = frozenset({"Completed", "Errored_User", "Errored_Server", "Errored_Partial", "Cancelled"})


@dataclass
class Ledger:
    """What became of every request, by kind of row: numbers of rows, or ids."""

    acknowledged: dict[str, list[range]] = field(default_factory=lambda: defaultdict(list))
    unanswered: dict[str, list[range]] = field(default_factory=lambda: defaultdict(list))
    """Requests without an answer: stored whole or not at all."""
    jobs: dict[str, tuple[str, range]] = field(default_factory=dict)
    """Jobs whose start was answered, with their rows."""
    made: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Ids of benchmarks, evaluations, slices and models that were answered."""
    deleted: list[str] = field(default_factory=list)
    """Reference ids of items whose deletion was answered."""
    problems: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """Acknowledged rows, those of jobs among them."""
        return sum(
            map(len, itertools.chain(*self.acknowledged.values(), (rows for _, rows in self.jobs.values())))
        )


class Refused(Exception):
    """A request that was answered, and not with success."""


class Writers:
    """Writers of every kind to a server, in a world of their own that is made at once."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self._key = url, key
        self.ledger = Ledger()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.dataset = str(self.ok("POST", "dataset/create", json={"name": "writers"})["dataset_id"])
        rows = [{"reference_id": name, "image_url": f"s3://b/{name}.jpg"} for name in ("a", "b", *_ITEMS)]
        self.ok("POST", f"dataset/{self.dataset}/append", json={"items": rows, "update": False})
        body = {"name": "m", "reference_id": f"model-{self.dataset}"}
        self.model = str(self.ok("POST", "models/add", json=body)["model_id"])
        self.ok(
            "POST", f"dataset/{self.dataset}/annotate", json={"annotations": [_box("t")], "update": False}
        )
        self.run_id = str(
            self.ok(
                "POST",
                f"dataset/{self.dataset}/model/{self.model}/uploadPredictions",
                json={"annotations": [], "update": False},
            )["model_run_id"]
        )
        free = {"annotations": [_box("f", confidence=0.5, dataset_id=self.dataset)], "update": False}
        self.ok("POST", f"model/{self.model}/predictions", json=free)
        made = self.ok("POST", "benchmarks", json={"name": "b", "dataset_id": self.dataset})
        self.benchmark = str(made["benchmark_id"])
        self.wait(made["job_id"])

    def ok(self, method: str, path: str, **given: Any) -> Any:
        """Send a request; raises `Refused` for an answer that is no success."""
        answer = requests.request(method, f"{self.url}/{path}", auth=(self._key, ""), timeout=60, **given)
        if answer.ok:
            return answer.json()
        with self._lock:
            self.ledger.refused[answer.status_code] += 1
            if answer.status_code >= 500 and answer.status_code != 507:
                self.ledger.problems.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:300]}")

    def wait(self, job: str) -> None:
        """Return when a job has ended; raises AssertionError after two minutes."""
        deadline = time.monotonic() + 120
        while self.ok("GET", f"job/{job}")["status"] not in ENDED:
            assert time.monotonic() < deadline, f"{job} does not end"
            time.sleep(0.01)

    def begin(self) -> None:
        """Start a thread of every kind."""
        kinds = (
            self._items, self._items_as_job, self._annotations, self._annotations_as_job, self._predictions, self._predictions_as_job,
            self._run_free, self._evaluations, self._deletions, self._slices,
        )  # fmt: skip
        self._threads = [threading.Thread(target=self._repeat, args=(work,), daemon=True) for work in kinds]
        for thread in self._threads:
            thread.start()

    def wait_for(self, met: Callable[[Ledger], bool], *, seconds: float) -> None:
        """Return when the ledger is as it should be, or the time is over."""
        deadline = time.monotonic() + seconds
        while not met(self.ledger) and time.monotonic() < deadline:
            time.sleep(0.01)

    def end(self) -> None:
        """Let every writer finish its request."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except Refused:
                time.sleep(0.02)
            except requests.RequestException:
                # The server is gone.
                return

    def _take(self, count: int) -> range:
        with self._lock:
            first = next(self._numbers)
            for _ in range(count - 1):
                next(self._numbers)
        return range(first, first + count)

    def _sync(self, kind: str, method: str, path: str, rows: range, body: dict[str, Any]) -> None:
        try:
            self.ok(method, path, json=body)
        except requests.RequestException:
            self.ledger.unanswered[kind].append(rows)
            raise
        self.ledger.acknowledged[kind].append(rows)

    def _as_job(self, kind: str, path: str, rows: range, lines: list[dict[str, Any]]) -> None:
        request_id = f"{kind}-{rows.start}"
        address = self.ok("GET", f"dataset/{self.dataset}/signedUrl/{request_id}")["signed_url"]
        data = "".join(json.dumps(line) + "\n" for line in lines)
        put = requests.put(address, data=data, timeout=60)
        if not put.ok:
            if put.status_code >= 500 and put.status_code != 507:
                self.ledger.problems.append(f"PUT: {put.status_code} {put.text[:300]}")
            raise Refused(put.text)
        try:
            job = self.ok("POST", f"{path}?async=1", json={"requestId": request_id, "update": False})[
                "job_id"
            ]
        except requests.RequestException:
            self.ledger.unanswered[f"{kind} of a job"].append(rows)
            raise
        self.ledger.jobs[job] = kind, rows

    def _items(self) -> None:
        rows = self._take(ROWS)
        self._sync(
            "items",
            "POST",
            f"dataset/{self.dataset}/append",
            rows,
            {"items": [_item(n) for n in rows], "update": False},
        )

    def _items_as_job(self) -> None:
        rows = self._take(JOB_ROWS)
        self._as_job("items", f"dataset/{self.dataset}/append", rows, [_item(n) for n in rows])

    def _annotations(self) -> None:
        rows = self._take(ROWS)
        body = {"annotations": [_box(n) for n in rows], "update": False}
        self._sync("truth", "POST", f"dataset/{self.dataset}/annotate", rows, body)

    def _annotations_as_job(self) -> None:
        rows = self._take(JOB_ROWS)
        self._as_job("truth", f"dataset/{self.dataset}/annotate", rows, [_box(n) for n in rows])

    def _predictions(self) -> None:
        rows = self._take(ROWS)
        body = {"annotations": [_box(n, confidence=0.5) for n in rows], "update": False}
        self._sync(
            "run", "POST", f"dataset/{self.dataset}/modelRun/{self.run_id}/uploadPredictions", rows, body
        )

    def _predictions_as_job(self) -> None:
        rows = self._take(JOB_ROWS)
        path = f"dataset/{self.dataset}/modelRun/{self.run_id}/uploadPredictions"
        self._as_job("run", path, rows, [_box(n, confidence=0.5) for n in rows])

    def _run_free(self) -> None:
        rows = self._take(ROWS)
        boxes = [_box(n, confidence=0.5, dataset_id=self.dataset) for n in rows]
        self._sync(
            "model", "POST", f"model/{self.model}/predictions", rows, {"annotations": boxes, "update": False}
        )

    def _evaluations(self) -> None:
        made = self.ok("POST", f"benchmarks/{self.benchmark}/evaluationsV2", json={"model_id": self.model})
        self.ledger.made["evaluation"].append(made["evaluation_id"])
        self.wait(made["workflow_id"])
        self.ok("POST", f"evaluationsV2/{made['evaluation_id']}/charts", json={})
        made = self.ok("POST", "benchmarks", json={"name": "b", "dataset_id": self.dataset})
        self.ledger.made["benchmark"].append(made["benchmark_id"])
        self.ok("POST", f"dataset/{self.dataset}/model/{self.model}/calculateEvaluationMetrics", json={})

    def _deletions(self) -> None:
        (number,) = self._take(1)
        name = f"gone-{number}"
        row = {"reference_id": name, "image_url": "s3://b/x.jpg"}
        self.ok("POST", f"dataset/{self.dataset}/append", json={"items": [row], "update": False})
        self.ok("DELETE", f"dataset/{self.dataset}/refloc/{name}")
        self.ledger.deleted.append(name)

    def _slices(self) -> None:
        (number,) = self._take(1)
        body = {"name": f"slice-{number}", "reference_ids": ["a"]}
        made = self.ok("POST", f"dataset/{self.dataset}/create_slice", json=body)["slice_id"]
        self.ledger.made["slice"].append(made)
        self.ok("POST", f"slice/{made}/append", json={"reference_ids": ["b"]})
        self.ledger.made["slice of two"].append(made)

    def check_jobs(self) -> list[str]:
        """Wait until every job has ended, and return what is wrong with the account of those that were started."""
        problems = []
        deadline = time.monotonic() + 180
        while running := [
            job["job_id"]
            for job in self.ok("POST", "jobs/", json={"show_completed": True, "limit": 10_000})
            if job["job_last_known_status"] not in ENDED
        ]:
            if time.monotonic() > deadline:
                problems.append(f"jobs that do not end: {running[:5]}")
                break
            time.sleep(0.05)
        for job, (kind, rows) in self.ledger.jobs.items():
            found = self.ok("GET", f"job/{job}")
            if found["status"] != "Completed" or found["completed_steps"] != len(rows):
                problems.append(
                    f"a job of {len(rows)} rows of {kind}: {found['status']}, {found['completed_steps']} steps, {found['message']}"
                )
        return problems

    def check_store(self, data_dir: Path) -> list[str]:
        """Return what is wrong in the store of the stopped server: lost, doubled, torn, undeleted."""
        ledger, problems = self.ledger, store_problems(data_dir)
        with duckdb.connect(str(data_dir / "nucleus.duckdb"), read_only=True) as store:

            def texts(sql: str, *parameters: Any) -> list[str]:
                return [row[0] for row in store.execute(sql, list(parameters)).fetchall()]

            (dataset,) = texts("SELECT dataset_no FROM datasets WHERE dataset_id = ?", self.dataset)
            names = texts("SELECT reference_id FROM items WHERE dataset_no = ?", dataset)
            found = {"items": Counter(names)}
            for role in ("truth", "run", "model"):
                sql = "SELECT annotation_id FROM objects JOIN object_sets USING (set_no) WHERE dataset_no = ? AND role = ?"
                found[role] = Counter(texts(sql, dataset, role))
            ids = {
                "evaluation": set(texts("SELECT evaluation_id FROM evaluations WHERE status = 'succeeded'")),
                "benchmark": set(texts("SELECT benchmark_id FROM benchmarks WHERE status = 'ready'")),
                "slice": set(texts("SELECT slice_id FROM slices")),
                "slice of two": set(
                    texts(
                        "SELECT slice_id FROM slices JOIN slice_items USING (slice_no) GROUP BY ALL HAVING count(*) = 2"
                    )
                ),
            }
        for kind, stored in found.items():
            done = [*ledger.acknowledged[kind], *(rows for one, rows in ledger.jobs.values() if one == kind)]
            if lost := [n for rows in done for n in rows if not stored[str(n)]]:
                problems.append(f"{len(lost)} acknowledged rows of {kind} are lost: {lost[:5]}")
            if twice := [name for name, count in stored.items() if count > 1]:
                problems.append(f"{len(twice)} rows of {kind} are there twice: {twice[:5]}")
            if torn := [
                rows for rows in ledger.unanswered[kind] if len({bool(stored[str(n)]) for n in rows}) > 1
            ]:
                problems.append(f"requests of {kind} without an answer are stored in part: {torn[:3]}")
        if left := set(ledger.deleted) & set(names):
            problems.append(f"items whose deletion was answered are there: {sorted(left)[:5]}")
        for kind, made in ledger.made.items():
            if missing := set(made) - ids[kind]:
                problems.append(
                    f"{kind}: {len(missing)} of {len(made)} that were answered are not there, or not as they should be: {sorted(missing)[:3]}"
                )
        return [*ledger.problems, *problems]


def _item(number: int) -> dict[str, Any]:
    return {"reference_id": str(number), "image_url": f"s3://b/{number}.jpg", "metadata": {"n": number}}


def _box(number: int | str, **more: Any) -> dict[str, Any]:
    return {
        "label": "car", "type": "box", "geometry": {"x": 10 * number if isinstance(number, int) else 1, "y": 1, "width": 2, "height": 3}, "reference_id": _ITEMS[number % 50] if isinstance(number, int) else "a",
        "annotation_id": str(number), "metadata": {}, **more,
    }  # fmt: skip
