"""A task's surroundings without Airflow's database: context, XComs, state store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.client.cancellation import Cancellation
from airflow_provider_nucleus.client.waiting import WaitOutcome
from tests.virtual_time import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_nucleus.exceptions import NucleusError


class TaskInstance:
    """What operators use of a task instance; keeps XComs."""

    dag_id = "dag"
    run_id = "run"

    def __init__(self, task_id: str, max_tries: int, map_index: int) -> None:
        self.task_id = task_id
        self.map_index = map_index
        self.max_tries = max_tries
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep a value, as JSON would."""
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str) -> Any:
        """Return a value that was kept."""
        assert task_ids == self.task_id
        return self.xcoms.get(key)


class StateStore:
    """Airflow's task state store as a dict of JSON texts; skips the calling test where Airflow has none."""

    def __init__(self) -> None:
        pytest.importorskip("airflow.sdk", reason="task state comes with Airflow 3.3")
        self.values: dict[str, str] = {}

    def get(self, key: str) -> Any:
        """Return a value, None when there is none."""
        return json.loads(self.values[key]) if key in self.values else None

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        """Keep a value."""
        assert retention is not None
        self.values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        """Forget a value."""
        self.values.pop(key, None)


def context(
    task: Any, *, store: StateStore | None = None, max_tries: int = 0, map_index: int = -1
) -> dict[str, Any]:
    """Return the context of one try of *task*; without *store* it is an Airflow before 3.3."""
    made: dict[str, Any] = {"task": task, "ti": TaskInstance(task.task_id, max_tries, map_index)}
    if store is not None:
        made["task_state_store"] = store
    return made


def cancelling(
    monkeypatch: pytest.MonkeyPatch, outcome: Cancellation | NucleusError | None = Cancellation.REQUESTED
) -> list[str]:
    """Let every wish to cancel have *outcome* without asking a server; return the jobs, as they are asked for."""
    asked: list[str] = []

    def cancel_all(_: Any, calls: Any, *, seconds: float) -> dict[str, Any]:
        asked.extend(calls)
        return dict.fromkeys(calls, outcome)

    monkeypatch.setattr("airflow_provider_nucleus.hooks.nucleus.cancel_all", cancel_all)
    return asked


def looks(monkeypatch: pytest.MonkeyPatch, task: Any, look: Callable[[str], Any]) -> Clock:
    """Let every look of *task* at a job or an evaluation be a call of *look*; other requests go to the server.

    Pauses between looks last no time, but on the clock that is returned.
    """
    client = task.hook.get_conn()
    real, clock = client.send, Clock()

    def send(call: Any, **options: Any) -> Any:
        kind, _, object_id = call.path.partition("/")
        looked = call.method == "GET" and kind in {"job", "evaluationsV2"} and "/" not in object_id
        return look(object_id) if looked else real(call, **options)

    monkeypatch.setattr(client, "send", send)
    monkeypatch.setattr(client, "clock", clock)
    monkeypatch.setattr(client, "sleep", clock.sleep)
    return clock


def unseen(monkeypatch: pytest.MonkeyPatch, task: Any) -> None:
    """Let the wait of *task* in the worker be over before anything was seen."""
    monkeypatch.setattr(task, "wait_for", lambda job_ids, *_, **__: WaitOutcome(list(job_ids)))


def run(task, **surroundings):
    """Execute a task once, without deferral."""
    return task.execute(context(task, **surroundings))


def losing(lines):
    """Let files lose their last lines on the way."""
    return lambda body: b"".join(body.splitlines(keepends=True)[:-lines])
