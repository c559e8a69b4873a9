"""States of the tasks of a running DAG, read from Airflow's own database, and their log lines, from the output."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["ENDED", "TaskWatch", "WatchedTask", "failure_of", "task_log"]

_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")

_WORST_FIRST = ("failed", "upstream_failed", "removed", "skipped", "success")
ENDED = frozenset(_WORST_FIRST)

_QUERY = """
    select ti.task_id, ti.map_index, ti.state, ti.duration
    from task_instance ti join dag_run run on run.dag_id = ti.dag_id and run.run_id = ti.run_id
    where run.dag_id = ? and run.id > ?
    order by coalesce(ti.start_date, '9'), ti.task_id
"""


@dataclass(frozen=True)
class WatchedTask:
    """One task instance, or all of a mapped task: its name, its state and its duration in seconds.

    A name has the map index of a single instance, or says how many there are of several. Where several have ended differently the state is that
    of the worst, and `counts` has all of them.
    """

    name: str
    state: str
    seconds: float | None
    counts: tuple[tuple[str, int], ...] = ()

    @property
    def ended(self) -> bool:
        """True if the state is final."""
        return self.state in ENDED


class TaskWatch:
    """A watch on the runs of *dag_id* that begin after it was made."""

    def __init__(self, database: Path, dag_id: str) -> None:
        self._uri = f"{database.resolve().as_uri()}?mode=ro"
        self._dag_id = dag_id
        rows = self._read("select coalesce(max(id), 0) from dag_run where dag_id = ?", dag_id)
        self._last = int(rows[0][0]) if rows else 0
        self._reported: dict[str, str] = {}

    def states(self) -> list[WatchedTask]:
        """Return all task instances that have a state, in the order in which they began."""
        rows = self._read(_QUERY, self._dag_id, self._last)
        return [
            WatchedTask(
                _instance(task_id, map_index),
                state,
                None if duration is None else float(duration),
            )
            for task_id, map_index, state, duration in rows
            if state
        ]

    def changes(self) -> list[WatchedTask]:
        """Return what is running or has ended since the last call; the instances of a mapped task together, once all of them have ended."""
        groups: dict[str, list[tuple[int, str, float]]] = {}
        for task_id, map_index, state, duration in self._read(_QUERY, self._dag_id, self._last):
            index = -1 if map_index is None else map_index
            groups.setdefault(task_id, []).append((index, state or "", float(duration or 0)))
        found = []
        for task_id, instances in groups.items():
            task = _together(task_id, instances)
            if task is not None and self._reported.get(task_id) != task.state:
                self._reported[task_id] = task.state
                found.append(task)
        return found

    def run_state(self) -> str | None:
        """Return the state of the run, None if there is none yet."""
        rows = self._read(
            "select state from dag_run where dag_id = ? and id > ? order by id desc limit 1",
            self._dag_id,
            self._last,
        )
        return str(rows[0][0]) if rows else None

    def _read(self, query: str, *values: object) -> list[tuple[str, int | None, str, float | None]]:
        try:
            with closing(sqlite3.connect(self._uri, uri=True, timeout=2)) as connection:
                return list(connection.execute(query, values))
        except sqlite3.OperationalError:
            return []  # locked by the writer for a moment: read again at the next look


def _instance(task_id: str, map_index: int | None) -> str:
    return task_id if map_index is None or map_index < 0 else f"{task_id} [{map_index}]"


def _together(task_id: str, instances: list[tuple[int, str, float]]) -> WatchedTask | None:
    """Return the instances of a task as one, None while none of them has begun."""
    name = _instance(task_id, instances[0][0]) if len(instances) == 1 else f"{task_id} x{len(instances)}"
    states = Counter(state for _, state, _ in instances)
    if states.keys() <= ENDED:
        worst = next(state for state in _WORST_FIRST if state in states)
        counts = tuple((state, states[state]) for state in reversed(_WORST_FIRST) if state in states)
        return WatchedTask(name, worst, sum(seconds for *_, seconds in instances), counts)
    busy = states.keys() & {"running", "deferred"}
    return WatchedTask(name, max(busy), None) if busy else None


def task_log(output: str, task: str) -> str:
    """Return the part of the output of `airflow dags test` that belongs to one task, or all of it if there is none."""
    name = re.escape(task.partition(" ")[0])
    begins = [
        found.start() for found in re.finditer(rf"^.*starting task_id={name}\b.*$", output, re.MULTILINE)
    ]
    if not begins:
        return output
    part = output[begins[-1] :]
    following = re.search(r"\n.*(end task task_id=|starting task_id=)", part)
    return part[: following.start()] if following else part


def failure_of(output: str, task: str, *, lines: int = 16) -> str:
    """Return the end of what a failed task logged, cut to a readable width: its traceback where there is one.

    Airflow's own frames are left out of the traceback; they are in the log.
    """
    part = task_log(output, task)
    marks = [found.start() for found in re.finditer(r"^.*Task failed with exception", part, re.MULTILINE)]
    if marks:
        head, *rest = part[marks[-1] :].splitlines()
        trace = takewhile(lambda line: not _LOG_LINE.match(line), rest)
        part = "\n".join([head.partition(" [task]")[0].rstrip(), *_without_airflow_frames(trace)])
    return "\n".join(line[:300] for line in part.splitlines()[-lines:])


def _without_airflow_frames(trace: Iterable[str]) -> Iterator[str]:
    outside_airflow = True
    for line in trace:
        if line.startswith("  File "):
            outside_airflow = "/site-packages/airflow/" not in line
        elif not line.startswith("    "):
            outside_airflow = True
        if outside_airflow and line.strip(" ^~"):
            yield line
