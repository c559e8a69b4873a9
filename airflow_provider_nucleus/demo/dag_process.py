"""Process of the demonstration that runs DAGs in real Airflow, one after the other, with `dag.test()` as `airflow dags test` does.

It reads one JSON request a line, `{"file", "conf", "env", "log"}`, and answers each with one line, `{"state"}`. What a run prints goes to its log.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Serve requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    dag_bag()  # what takes seconds is done before the first request is here
    for line in sys.stdin:
        request = json.loads(line)
        with Path(request["log"]).open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            try:
                state = run(request)
            except Exception as error:  # ruff: ignore[blind-except] - the log has it, and who reads the answer says where
                traceback.print_exc()
                state = f"{type(error).__name__}: {error}"
            sys.stdout.flush()
            sys.stderr.flush()
        answers.write(json.dumps({"state": state}) + "\n")
        answers.flush()
    # Everything is in the database; the threads of the in-process API would take ten seconds to stop.
    os._exit(0)


def dag_bag() -> Any:
    """Return Airflow's class of collections of DAGs."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow < 3
        from airflow.models.dagbag import DagBag  # type: ignore[no-redef]
    return DagBag


def run(request: dict[str, Any]) -> str:
    """Run the one DAG of a file and return the state of the run."""
    os.environ.update(request["env"])
    bag = dag_bag()(dag_folder=request["file"])
    if bag.import_errors:
        sys.stderr.write("\n".join(bag.import_errors.values()) + "\n")
        return "a DAG that cannot be imported"
    (dag,) = bag.dags.values()
    found = dag.test(run_conf=request["conf"])
    return str(getattr(found.state, "value", found.state))


if __name__ == "__main__":
    main()
