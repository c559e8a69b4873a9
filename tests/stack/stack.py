"""A whole Airflow for tests: API server, scheduler with LocalExecutor, DAG processor, triggerer, each its own process.

`airflow standalone` would start the same parts, but as one tree; here each can be killed and restarted alone. Tests
talk to it as a user does, through `/api/v2`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import psutil
import requests

from tests.airflow.harness import airflow_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
_FINISHED = {"success", "failed", "skipped", "upstream_failed", "removed"}
_MIGRATED: list[Path] = []
"""The database of the first stack, as it was before anything ran."""


class AirflowStack:
    """A running Airflow in *home*; a context manager. *environment* is added to every process's environment."""

    def __init__(self, home: Path, *, dags: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = (
            airflow_environment(home)
            | {
                "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
                "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
                "AIRFLOW__CORE__PARALLELISM": "6",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
                "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
                "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
                "AIRFLOW__API__PORT": str(self.port),
                "AIRFLOW__API__HOST": "127.0.0.1",
                "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(_free_port()),
                "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(_free_port()),
                "AIRFLOW__API__WORKERS": "1",
                "AIRFLOW__API__ENABLE_XCOM_DESERIALIZE_SUPPORT": "True",  # asked for by 3.0 only
                "AIRFLOW__API__SECRET_KEY": "stack-test-secret",
                "AIRFLOW__API_AUTH__JWT_SECRET": "stack-test-jwt-secret-of-sufficient-length-000000000000000000000000",
                "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
                # A worker that died is noticed in seconds here, not in the minutes of a production default.
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
                # What watches over a task notices its end within this many seconds; the default of 5 holds up everything.
                "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
                "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
                "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
                "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
            }
            | dict(environment)
        )
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    # ---- life -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        self._migrate()
        for part in _PARTS:
            self.start(part)
        self.until(self._healthy, timeout=180, what="a healthy Airflow")
        return self

    def __exit__(self, *exc: object) -> None:
        for process in self._processes.values():
            _signal_group(process.pid, signal.SIGTERM)
        # Nothing that they would still write is looked at; an API server waits for its clients much longer.
        deadline = time.monotonic() + 5
        for part, process in list(self._processes.items()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            self.stop(part, kill=True)

    def _migrate(self) -> None:
        """Make the database; those of further stacks of this session are copies of the first."""
        if _MIGRATED:
            shutil.copy(_MIGRATED[0], self.home / "airflow.db")
            return
        migrated = subprocess.run(
            [*_airflow(), "db", "migrate"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert migrated.returncode == 0, migrated.stdout + migrated.stderr
        _MIGRATED.append(self.home / "migrated.db")
        shutil.copy(self.home / "airflow.db", _MIGRATED[0])

    def start(self, part: str) -> None:
        """Start one part in a process group of its own."""
        with (self.home / f"{part}.log").open("ab") as log:
            self._processes[part] = subprocess.Popen(
                [*_airflow(), part], env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self, part: str, *, kill: bool = False) -> None:
        """End one part with everything it started; *kill* as a crash would."""
        process = self._processes.pop(part)
        _signal_group(process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()

    def _healthy(self) -> bool:
        try:
            health = requests.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (requests.exceptions.RequestException, ValueError):
            return False
        return all(
            health[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor")
        )

    # ---- what a user does -----------------------------------------------------------------------------------------

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run and return its id; waits until the DAG processor has seen the DAG."""

        def attempt() -> str | None:
            answer = self._call(
                "POST", f"dags/{dag_id}/dagRuns", {"conf": dict(conf or {}), "logical_date": None}
            )
            return str(answer.json()["dag_run_id"]) if answer.ok else None

        return self.until(attempt, timeout=90, what=f"DAG {dag_id} to appear")

    def runs(self, dag_id: str, run_type: str) -> list[str]:
        """Return the ids of the runs of this type, such as `asset_triggered`."""
        found = self._call("GET", f"dags/{dag_id}/dagRuns").json()["dag_runs"]
        return [str(run["dag_run_id"]) for run in found if run["run_type"] == run_type]

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Return the task instance as the API shows it."""
        return dict(self._call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}").json())

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return all task instances of a run by name, mapped ones with their index in brackets."""
        found = self._call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=1000").json()
        return {
            one["task_id"] if one["map_index"] < 0 else f"{one['task_id']}[{one['map_index']}]": dict(one)
            for one in found["task_instances"]
        }

    def wait_for(
        self, dag_id: str, run_id: str, task_id: str, *states: str, timeout: float = 120
    ) -> dict[str, Any]:
        """Wait until the task is in one of *states* (default: any finished one)."""
        wanted = set(states) or _FINISHED

        def reached() -> dict[str, Any] | None:
            task = self.task(dag_id, run_id, task_id)
            return task if task.get("state") in wanted else None

        return self.until(
            reached, timeout=timeout, what=f"{dag_id}.{task_id} to be {' or '.join(sorted(wanted))}"
        )

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, **more: Any) -> None:
        """Answer the question of a task instance (`task/<map index>`), as the page of required actions does."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/hitlDetails"
        answer = self._call("PATCH", path, {"chosen_options": [option], "params_input": more})
        assert answer.ok, answer.text

    def question(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Return the question of a task instance (`task/<map index>`)."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/hitlDetails"
        return dict(self._call("GET", path).json())

    def asset_events(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the asset events of a run, with their `uri`."""
        query = f"source_dag_id={dag_id}&source_run_id={quote(run_id)}"
        return list(self._call("GET", f"assets/events?{query}").json()["asset_events"])

    def wait_for_run(self, dag_id: str, run_id: str) -> None:
        """Wait until the whole run has ended: the scheduler writes that down a little after the last task's state."""

        def ended() -> bool:
            return self._call("GET", f"dags/{dag_id}/dagRuns/{run_id}").json()["state"] in _FINISHED

        self.until(ended, timeout=60, what=f"run {run_id} of {dag_id} to end")

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Set a task's state by hand, as the button "Mark as" does."""
        body = {"new_state": state}
        answer = self._call("PATCH", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", body)
        assert answer.ok, answer.text

    def clear(self, dag_id: str, run_id: str, *task_ids: str) -> None:
        """Clear tasks, as the button "Clear" does."""
        body = {"dry_run": False, "task_ids": [*task_ids], "dag_run_id": run_id, "only_failed": False}
        answer = self._call("POST", f"dags/{dag_id}/clearTaskInstances", body)
        assert answer.ok, answer.text

    def kill_worker(self, dag_id: str, run_id: str, task_id: str) -> None:
        """End the process of a running task and the worker that watches over it, as a machine that is lost would."""
        pid = int(self.task(dag_id, run_id, task_id)["pid"])
        worker = psutil.Process(pid).parent()
        assert worker is not None
        title = " ".join(worker.cmdline())
        assert "LocalExecutor" in title, f"process {worker.pid} is no worker: {title}"
        # The worker first, or it would report the death of its task as a failure.
        for victim in (worker.pid, pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1
    ) -> Any:
        """Return one XCom, of a mapped instance by its index."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}?deserialize=true&map_index={map_index}"
        return self._call("GET", path).json()["value"]

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return everything the task's tries and triggers logged; `*` is every task."""
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}"
        files = sorted(folder.glob(f"task_id={task_id}/**/*.log*"))
        return "\n".join(file.read_text(errors="replace") for file in files)

    def until(self, probe: Callable[[], Any], *, timeout: float, what: str) -> Any:
        """Ask *probe* until it answers something true; fails with the logs' tails after *timeout* seconds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if found := probe():
                return found
            time.sleep(0.25)
        raise AssertionError(f"waited {timeout:.0f} s for {what}\n{self.tails()}")

    def tails(self) -> str:
        """Return the last lines that each part has logged."""
        return "\n".join(f"--- {part}\n{_tail(self.home / f'{part}.log')}" for part in _PARTS)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        return requests.request(
            method,
            f"{self.url}/api/v2/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self._token()}"},
            timeout=30,
        )

    def _token(self) -> str:
        if not hasattr(self, "_cached_token"):
            self._cached_token = str(
                requests.get(f"{self.url}/auth/token", timeout=30).json()["access_token"]
            )
        return self._cached_token


def _airflow() -> list[str]:
    return [sys.executable, "-m", "airflow"]


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(path: Path, lines: int = 30) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"
