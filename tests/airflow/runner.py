"""Runs DAGs in real Airflow, one after the other, in one process of its own.

Importing Airflow and starting its in-process execution API takes ten seconds, a run of a small DAG a fraction of one; so
the tests keep one of these processes per session. It reads one JSON request a line and answers each with one line:

request   {"file": ..., "dag_id": ..., "conf": {...}, "env": {...}, "log": <path for everything the run prints>}
answer    {"state": ..., "run_id": ..., "tasks": {"<task_id>" or "<task_id>[<map index>]": {"state", "try_number",
          "label", "xcoms": {...}}}} or {"error": <traceback>}
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from pathlib import Path


def main() -> None:
    """Serve requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    dags = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    for line in sys.stdin:
        request = json.loads(line)
        with Path(request["log"]).open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            try:
                answer = run(request, dags)
            except Exception:  # ruff: ignore[blind-except] - the test that asked gets it
                answer = {"error": traceback.format_exc()}
            sys.stdout.flush()
            sys.stderr.flush()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    # Everything is in the database; the threads of the in-process API would take ten seconds to stop.
    os._exit(0)


def run(request: dict, dags: Path) -> dict:
    """Run one DAG alone in the DAG folder and return what it left in the database."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow < 3
        from airflow.models.dagbag import DagBag

    os.environ.update(request.get("env") or {})
    # With its bytecode, which Python takes for that of a new file of the same name, size and second.
    shutil.rmtree(dags)
    dags.mkdir()
    shutil.copy2(request["file"], dags)
    bag = DagBag(dag_folder=dags)
    if bag.import_errors:
        return {"error": "\n".join(bag.import_errors.values())}
    dag = bag.dags[request["dag_id"]]
    dag_run = dag.test(run_conf=request.get("conf") or None)
    return collect(dag_run)


def collect(dag_run) -> dict:
    """Read states and XComs of a finished run."""
    try:
        from airflow.models.xcom import XComModel
    except ImportError:  # Airflow < 3
        from airflow.models.xcom import XCom as XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        tasks = {}
        for ti in dag_run.get_task_instances(session=session):
            rows = session.query(XComModel).filter_by(
                dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index
            )
            name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
            tasks[name] = {
                "state": str(getattr(ti.state, "value", ti.state)),
                "try_number": ti.try_number,
                "label": ti.rendered_map_index,
                "xcoms": {row.key: decoded(row.value) for row in rows},
            }
        return {"state": str(dag_run.state.value), "run_id": dag_run.run_id, "tasks": tasks}


def decoded(value):
    """Return an XCom as the interface would show it: JSON text is decoded once more."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


if __name__ == "__main__":
    main()
