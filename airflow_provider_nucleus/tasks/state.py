"""Memory of a task between its tries, and the mark that tells a retry from a clear.

Airflow 3.3 gives each task instance a small store that survives retries and clears (AIP-103). Below 3.3 there is none:
recovery then rests on idempotent ids alone, and the operators say so in the log.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.schema.texts import storable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OutageRecord", "TaskState", "clear_count", "task_identity", "task_state"]

_OUTAGE_KEY: Final = "nucleus_outage"


class TaskState:
    """Airflow's task state store with the shape that the upload engine asks for.

    A failing store raises: "could not read" must never be taken for "no record", or a job would be started twice. Records
    never expire by age, because a run may be retried after the store's default thirty days.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str) -> Any | None:
        """Return the value under *key*, None when there is none."""
        return self._store.get(key)

    def set(self, key: str, value: Any) -> None:
        """Store JSON-ready *value*, which is not None and may hold texts of answers."""
        from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]  # lazily exported

        self._store.set(key, storable(value), retention=NEVER_EXPIRE)

    def delete(self, key: str) -> None:
        """Forget *key*; nothing happens when it is not there."""
        self._store.delete(key)


class OutageRecord:
    """Since when looks at what a task waits for fail, kept for the next process of the same try.

    A record of an earlier try is none: a retry and a clear ride out an outage anew. Nor is one that is not as it was written.
    """

    def __init__(self, state: TaskState, context: Mapping[str, Any]) -> None:
        self._state = state
        self._try = getattr(context["ti"], "try_number", None)

    def load(self) -> dict[str, float]:
        """Return the time of the first failed look, in seconds since the epoch, by what was looked at."""
        record = self._state.get(_OUTAGE_KEY)
        if not isinstance(record, dict) or record.get("try_number") != self._try:
            return {}
        failing = record.get("failing")
        times = failing.items() if isinstance(failing, dict) else ()
        return {object_id: float(since) for object_id, since in times if isinstance(since, int | float)}

    def replace(self, before: Mapping[str, float], failing: Mapping[str, float]) -> None:
        """Keep new times instead of those of before, none when there are none."""
        if failing == before:
            return
        if failing:
            self._state.set(_OUTAGE_KEY, {"try_number": self._try, "failing": dict(failing)})
        else:
            self._state.delete(_OUTAGE_KEY)


def task_state(context: Mapping[str, Any]) -> TaskState | None:
    """Return the running task's store, None below Airflow 3.3."""
    store = context.get("task_state_store")
    return None if store is None else TaskState(store)


def task_identity(context: Mapping[str, Any]) -> str:
    """Return 32 hex digits that name this task instance, equal in every try of it and after a clear.

    The id of the task instance itself would not do: it changes with every try.
    """
    ti = context["ti"]
    parts = (ti.dag_id, ti.run_id, ti.task_id, str(getattr(ti, "map_index", -1)))
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:32]


def clear_count(context: Mapping[str, Any]) -> int:
    """Return a number that grows with every clear by a user, and is the same for all tries between two of them.

    It is `max_tries`, which Airflow raises when a user clears a finished task, and only then.
    """
    return int(getattr(context["ti"], "max_tries", 0) or 0)
