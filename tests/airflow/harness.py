"""A private Airflow for the tests: its home, its database, and a process that runs DAGs in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_nucleus.hooks.connection_form import DEFAULT_CONN_ID

REPOSITORY = Path(__file__).resolve().parents[2]


def airflow_environment(home: Path) -> dict[str, str]:
    """Return the environment of an Airflow that lives in *home* and shares nothing with the user's."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("AIRFLOW", "NUCLEUS")) and key != "_AIRFLOW_PARSING_CONTEXT_DAG_ID"
    }
    return kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__FERNET_KEY": "cGxhaW4tdGVzdC1rZXktbm90LWEtc2VjcmV0LTEyMzQ=",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "PYTHONPATH": str(REPOSITORY),
        "NO_COLOR": "1",
    }


def connection_json(*, endpoint: str, api_key: str | None, **extra: Any) -> str:
    """Return a Nucleus connection as `AIRFLOW_CONN_*` wants it."""
    return json.dumps({"conn_type": "nucleus", "password": api_key, "extra": {"endpoint": endpoint, **extra}})


@dataclass(frozen=True)
class TaskResult:
    """What one task instance left behind."""

    state: str
    try_number: int
    label: str | None
    xcoms: dict[str, Any]

    @property
    def value(self) -> Any:
        """The task's return value, None when it returned nothing."""
        return self.xcoms.get("return_value")


@dataclass(frozen=True)
class RunResult:
    """What one DAG run left behind."""

    state: str
    tasks: dict[str, TaskResult]
    log: str


class PrivateAirflow:
    """An Airflow home with a migrated SQLite database."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = airflow_environment(home)
        self._process: subprocess.Popen[str] | None = None
        self._runs = 0

    def migrate(self) -> None:
        """Create the database; seconds of work, done once a session."""
        (self.home / "dags").mkdir(parents=True, exist_ok=True)
        done = self.cli("db", "migrate")
        assert done.returncode == 0, done.stdout + done.stderr

    def cli(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run one `airflow` command to its end."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("airflow")), *arguments],
            env=self.environment | (env or {}),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def run_dag(
        self,
        file: Path,
        dag_id: str,
        *,
        conf: dict[str, Any] | None = None,
        connections: dict[str, str] | None = None,
        env: dict[str, str] | None = None,
    ) -> RunResult:
        """Run a DAG file through `dag.test()` and return states, XComs and everything it logged."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.airflow.runner"],
                env=self.environment,
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self._runs += 1
        log = self.home / f"run-{self._runs}.log"
        variables = {f"AIRFLOW_CONN_{name.upper()}": value for name, value in (connections or {}).items()}
        request = {
            "file": str(file),
            "dag_id": dag_id,
            "conf": conf,
            "env": variables | (env or {}),
            "log": str(log),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        text = log.read_text() if log.exists() else ""
        assert line, f"the DAG runner died:\n{text[-4000:]}"
        answer = json.loads(line)
        assert "error" not in answer, f"{answer['error']}\n{text[-4000:]}"
        tasks = {name: TaskResult(**task) for name, task in answer["tasks"].items()}
        return RunResult(state=answer["state"], tasks=tasks, log=text)

    def close(self) -> None:
        """End the DAG runner."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait(timeout=60)
            self._process.stdout.close()
            self._process = None


__all__ = ["DEFAULT_CONN_ID", "PrivateAirflow", "RunResult", "TaskResult", "connection_json"]
