from __future__ import annotations

import sqlite3

import pytest

from airflow_provider_nucleus.demo.task_watch import TaskWatch, WatchedTask, failure_of, task_log

OUTPUT = """\
2026-11-23T06:39:36.100000Z [info     ] [DAG TEST] starting task_id=first map_index=-1 [airflow.sdk.definitions.dag]
hello from the first
2026-11-23T06:39:36.200000Z [info     ] [DAG TEST] end task task_id=first map_index=-1 [airflow.sdk.definitions.dag]
2026-11-23T06:39:36.348192Z [info     ] [DAG TEST] starting task_id=second map_index=-1 [airflow.sdk.definitions.dag]
2026-11-23T06:39:38.411623Z [error    ] Task failed with exception     [task] loc=task_runner.py:1676
Traceback (most recent call last):
  File "/env/lib/python3.11/site-packages/airflow/sdk/execution_time/task_runner.py", line 197, in wrapper
    return f(*inner_args, **inner_kwargs)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "dag.py", line 11, in second
    raise ValueError("no")
          ^^^^^^^^^^^^^^^^
ValueError: no
2026-11-23T06:39:38.413320Z [info     ] ::group::Post Execute          [task] loc=task_runner.py:1677
2026-11-23T06:39:38.442651Z [info     ] [DAG TEST] end task task_id=second map_index=-1 [airflow.sdk.definitions.dag]
2026-11-23T06:39:38.446274Z [info     ] Marking run failed
"""


@pytest.fixture
def database(tmp_path):
    """Airflow's two tables, as far as they are looked at, with an older run."""
    path = tmp_path / "airflow.db"
    connection = sqlite3.connect(path)
    connection.execute("create table dag_run (id integer, dag_id text, run_id text, state text)")
    connection.execute(
        "create table task_instance (dag_id text, run_id text, task_id text, map_index integer, state text, "
        "start_date text, duration real)"
    )
    connection.execute("insert into dag_run values (1, 'd', 'old', 'success')")
    connection.execute("insert into task_instance values ('d', 'old', 't', -1, 'success', '2026', 1.0)")
    connection.commit()
    yield connection, path
    connection.close()


def test_only_runs_that_begin_later_are_seen(database):
    """The tasks of a former run are not reported again."""
    _, path = database
    watch = TaskWatch(path, "d")

    assert watch.changes() == []
    assert watch.run_state() is None


def test_each_change_is_told_once(database):
    """A task is told when it runs and when it has ended, mapped ones with their index."""
    connection, path = database
    watch = TaskWatch(path, "d")
    connection.execute("insert into dag_run values (2, 'd', 'new', 'running')")
    connection.execute("insert into task_instance values ('d', 'new', 't', 0, 'running', '2026-1', null)")
    connection.execute("insert into task_instance values ('d', 'new', 'u', -1, null, null, null)")
    connection.commit()
    first, second = watch.changes(), watch.changes()
    connection.execute(
        "update task_instance set state = 'success', duration = 2.5 where run_id = 'new' and task_id = 't'"
    )
    connection.execute("update dag_run set state = 'success' where id = 2")
    connection.commit()

    assert first == [WatchedTask("t [0]", "running", None)]
    assert second == []
    assert watch.changes() == [WatchedTask("t [0]", "success", 2.5, (("success", 1),))]
    assert watch.run_state() == "success"


def test_instances_of_a_mapped_task_are_one(database):
    """They are reported together, once the last of them has ended, with how many ended how."""
    connection, path = database
    watch = TaskWatch(path, "d")
    connection.execute("insert into dag_run values (2, 'd', 'new', 'running')")
    for index, state, seconds in ((0, "success", 1.0), (1, "running", None), (2, None, None)):
        connection.execute(
            "insert into task_instance values ('d', 'new', 'gate', ?, ?, '2026-1', ?)",
            [index, state, seconds],
        )
    connection.commit()
    first = watch.changes()
    connection.execute("update task_instance set state = 'skipped', duration = 0.5 where map_index = 1")
    connection.commit()
    second = watch.changes()
    connection.execute("update task_instance set state = 'success', duration = 0.25 where map_index = 2")
    connection.commit()

    assert first == [WatchedTask("gate x3", "running", None)]
    assert second == []
    assert watch.changes() == [WatchedTask("gate x3", "skipped", 1.75, (("success", 2), ("skipped", 1)))]


def test_a_locked_database_is_asked_again_later(database):
    """The writer may hold the file for a moment; that is not an error."""
    connection, path = database
    watch = TaskWatch(path, "d")
    connection.execute("pragma locking_mode = exclusive")
    connection.execute("begin exclusive")

    assert watch.changes() == []


def test_the_log_of_a_task_is_cut_out():
    """From its start to its end and no further."""
    part = task_log(OUTPUT, "first")

    assert part.splitlines()[-1] == "hello from the first"
    assert "second" not in part


def test_the_failure_is_the_traceback():
    """What the task raised, without Airflow's frames and the log lines around it."""
    assert failure_of(OUTPUT, "second").splitlines() == [
        "2026-11-23T06:39:38.411623Z [error    ] Task failed with exception",
        "Traceback (most recent call last):",
        '  File "dag.py", line 11, in second',
        '    raise ValueError("no")',
        "ValueError: no",
    ]


def test_without_a_traceback_the_end_of_the_log_is_shown():
    """Killed tasks log no exception."""
    assert failure_of(OUTPUT, "first").endswith("hello from the first")
