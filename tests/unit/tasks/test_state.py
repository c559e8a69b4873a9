"""What a task remembers, and how it tells a retry from a clear."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_nucleus.tasks.state import clear_count, task_identity, task_state


def ti(**changes):
    """Return a task instance as a context holds it."""
    return SimpleNamespace(
        **{"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1, "max_tries": 2}
        | changes
    )


def test_identity_is_stable_over_tries():
    """A retry and a clear are the same task instance."""
    assert task_identity({"ti": ti()}) == task_identity({"ti": ti(try_number=3, max_tries=5)})


@pytest.mark.parametrize("change", [{"dag_id": "x"}, {"run_id": "x"}, {"task_id": "x"}, {"map_index": 0}])
def test_identity_differs_between_task_instances(change):
    """Another DAG, run, task or map index is another identity."""
    assert task_identity({"ti": ti()}) != task_identity({"ti": ti(**change)})


def test_identity_does_not_confuse_neighbouring_fields():
    """The parts of an identity cannot run into each other."""
    assert task_identity({"ti": ti(dag_id="a", run_id="bc")}) != task_identity({
        "ti": ti(dag_id="ab", run_id="c")
    })


def test_clear_changes_generation_and_retry_does_not():
    """Airflow raises max_tries on a clear only."""
    assert clear_count({"ti": ti(try_number=1)}) == clear_count({"ti": ti(try_number=2)})
    assert clear_count({"ti": ti()}) != clear_count({"ti": ti(max_tries=3)})


def test_no_store_below_airflow_3_3():
    """A context without a store gives none, not an error."""
    assert task_state({"ti": ti()}) is None


def test_failing_store_is_not_read_as_no_record():
    """A store that cannot be read raises: taken for empty it would start a job twice."""

    class Broken:
        def get(self, key):
            raise RuntimeError("database is away")

    with pytest.raises(RuntimeError, match="database is away"):
        task_state({"task_state_store": Broken()}).get("job")


def test_records_never_expire():
    """Airflow's default retention of thirty days does not apply to a record a retry depends on."""
    NEVER_EXPIRE = pytest.importorskip("airflow.sdk").NEVER_EXPIRE

    calls = []

    class Store:
        def set(self, key, value, *, retention):
            calls.append((key, value, retention))

    task_state({"task_state_store": Store()}).set("job", {"id": "job_1"})

    assert calls == [("job", {"id": "job_1"}, NEVER_EXPIRE)]
