"""An Airflow of the demonstration's own: its environment, its SQLite database, and the process that runs DAGs in it.

Nothing of the user's Airflow is read or changed: AIRFLOW_HOME lies in the work folder and every AIRFLOW variable of the
environment is left out. The database is migrated once and kept for the next run of the same Airflow version.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.demo.processes import child_environment

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from airflow_provider_nucleus.demo.processes import Children

__all__ = ["EVALUATE_DAG", "GATED_DAG", "AirflowHome", "DagRunner", "find_dags", "tail"]

EVALUATE_DAG = "nucleus_evaluate_inference_batch"
GATED_DAG = "nucleus_gated_batches"


@dataclass(frozen=True)
class AirflowHome:
    """The paths of an Airflow home: its root, its DAGs, its logs and a cache of compiled modules."""

    root: Path
    dags: Path
    logs: Path
    bytecode: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "airflow.db"

    @property
    def migrated(self) -> bool:
        """True if the database is ready for the installed Airflow."""
        return self.database.exists() and self._mark.exists() and self._mark.read_text() == _lane()

    @property
    def migration_log(self) -> Path:
        """The output of the migration."""
        return self.logs / "db-migrate.log"

    @property
    def _mark(self) -> Path:
        return self.root / "migrated-for"

    def start_migration(self, children: Children) -> subprocess.Popen[bytes]:
        """Make the database anew; `finish_migration` must follow when the process has ended."""
        shutil.rmtree(self.root, ignore_errors=True)  # half a migration is worth nothing
        self.root.mkdir(parents=True)
        return children.start(_airflow("db", "migrate"), env=self._environment({}), log=self.migration_log)

    def finish_migration(self, status: int) -> None:
        """Note that the database is ready, or raise DemoError with the end of the log."""
        log = self.migration_log
        if status:
            raise DemoError(
                f"airflow db migrate ended with status {status}; its log is {log}.", evidence=tail(log)
            )
        self._mark.write_text(_lane())

    def start_runner(self, children: Children) -> DagRunner:
        """Start the process that runs DAGs; it gets ready while other things are done."""
        command = [sys.executable, "-m", "airflow_provider_nucleus.demo.dag_process"]
        return DagRunner(
            children.start(
                command, env=self._environment({}), log=self.logs / "airflow-process.log", piped=True
            )
        )

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        return {
            **child_environment(bytecode=self.bytecode),
            "AIRFLOW_HOME": str(self.root.resolve()),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags.resolve()),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database.resolve()}",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str((self.logs / "airflow").resolve()),
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "PYTHONWARNINGS": "ignore",
            "NO_COLOR": "1",
            **extra,
        }


class DagRunner:
    """A process with one Airflow in it, for one run of a DAG after the other: an Airflow takes seconds to start."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._answer = b""

    def begin(self, file: Path, conf: Mapping[str, Any], *, endpoint: str, api_key: str, log: Path) -> None:
        """Have the DAG in *file* run with these parameters, against this Nucleus; its output goes to *log*."""
        connection = {"conn_type": "nucleus", "host": endpoint, "password": api_key}
        request = {
            "file": str(file.resolve()),
            "conf": dict(conf),
            "log": str(log.resolve()),
            "env": {"AIRFLOW_CONN_NUCLEUS_DEFAULT": json.dumps(connection)},
        }
        assert self.process.stdin is not None
        log.touch()
        self._answer = b""
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            # `ended` says with which status.
            return

    def ended(self) -> str | None:
        """Return how the run has ended: a state of Airflow, or what went wrong; None while it runs."""
        assert self.process.stdout is not None
        file = self.process.stdout.fileno()
        while b"\n" not in self._answer and select.select([file], [], [], 0)[0]:
            chunk = os.read(file, 1 << 16)
            if not chunk:
                return f"airflow ended with status {self.process.wait()}"
            self._answer += chunk
        if b"\n" not in self._answer:
            return None
        return str(json.loads(self._answer)["state"])


def find_dags(given: Path | None, *, dag_id: str) -> Path:
    """Return the folder with an example DAG: the one *given*, else that of the package; DemoError when it is not there."""
    here = Path(__file__).resolve()
    # Beside this module in a wheel, at the top of a checkout.
    folders = (
        (here.with_name("dags_examples"), here.parents[2] / "dags_examples") if given is None else (given,)
    )
    for folder in folders:
        if (folder / f"{dag_id}.py").is_file():
            return folder
    raise DemoError(
        f"The example DAG {dag_id}.py is not in {folders[-1]}. Without --dags, the one that comes with the package is run."
    )


def tail(log: Path, *, lines: int = 30) -> str:
    """Return the last lines of a log, cut to a readable width."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(line[:300] for line in text.splitlines()[-lines:])


def _airflow(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *arguments]


def _lane() -> str:
    return f"apache-airflow {version('apache-airflow')}\n"
