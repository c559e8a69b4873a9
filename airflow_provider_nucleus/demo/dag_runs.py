"""Runs of one DAG, one after the other, each followed task by task on the console."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.demo.airflow_home import tail
from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.demo.task_watch import TaskWatch, failure_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_nucleus.demo.airflow_home import DagRunner
    from airflow_provider_nucleus.demo.console import Console
    from airflow_provider_nucleus.demo.server import Server
    from airflow_provider_nucleus.demo.task_watch import WatchedTask

__all__ = ["DagRuns"]

_LOOK = 0.2
"""Seconds between two looks at the database of Airflow."""
_ALL = "the same tasks"


@dataclass(frozen=True, kw_only=True)
class _Where:
    runner: DagRunner
    database: Path
    server: Server
    console: Console
    verbose: bool = False


class DagRuns:
    """Runs of the DAG in *file*, which is named by its id, against *server*; Airflow is *runner*, its SQLite file *database*."""

    def __init__(self, file: Path, **where: Any) -> None:
        self._file = file
        self._where = _Where(**where)

    def run(
        self,
        conf: Mapping[str, Any],
        *,
        what: str,
        log: Path,
        words: Mapping[str, Mapping[str, str]] | None = None,
        brief: bool = False,
    ) -> None:
        """Run the DAG once; *what* names the run, *words* are states of tasks as they are to be called, *brief* shows one line of all tasks.

        Raises DemoError when it fails.
        """
        where, dag_id = self._where, self._file.stem
        where.console.title(f"Airflow runs {dag_id} for {what}")
        watch = TaskWatch(where.database, dag_id)
        where.runner.begin(
            self._file, conf, endpoint=where.server.endpoint, api_key=where.server.api_key, log=log
        )
        state = self._follow(watch, log, words=words or {}, brief=brief)
        failed = [task for task in watch.states() if task.state == "failed"]
        if failed:
            raise DemoError(
                f"Task {failed[0].name} of {dag_id} failed for {what}. The whole log is {log}.",
                evidence=failure_of(log.read_text(errors="replace"), failed[0].name),
            )
        if state != "success":
            raise DemoError(
                f"{dag_id} did not end well for {what} ({state}). The whole log is {log}.",
                evidence=tail(log),
            )

    def _follow(
        self, watch: TaskWatch, log: Path, *, words: Mapping[str, Mapping[str, str]], brief: bool
    ) -> str:
        """Show what happens until the run ends, and return how."""
        console, printed, began = self._where.console, 0, time.monotonic()
        starting = _ALL if brief else "Airflow starts"
        console.begin(starting)
        while True:
            state = self._where.runner.ended()  # before the last look, so that nothing is missed
            if self._where.verbose:
                text = log.read_text(errors="replace")
                console.raw(text[printed:])
                printed = len(text)
            if brief:
                if state is not None:
                    console.finish(_ALL, state, time.monotonic() - began)
                    return state
                time.sleep(_LOOK)
                continue
            changes = watch.changes()
            if starting and changes:
                console.finish(starting, "ready", time.monotonic() - began)
                starting = ""
            for task in changes:
                name = task.name.rpartition(".")[2]
                if task.ended:
                    console.finish(name, _outcome(task, words.get(name.partition(" ")[0], {})), task.seconds)
                elif " " not in name:
                    # Instances of a mapped task run between others: they have one line, when the last of them has ended.
                    console.begin(name)
            if state is not None:
                return state
            time.sleep(_LOOK)


def _outcome(task: WatchedTask, words: Mapping[str, str]) -> str:
    """Return how a task ended in its own words, with numbers where its instances differ."""
    if len(task.counts) < 2:
        return words.get(task.state, task.state)
    return ", ".join(f"{count} {words.get(state, state)}" for state, count in task.counts)
