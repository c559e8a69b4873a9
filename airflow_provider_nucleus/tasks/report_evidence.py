"""Evidence of a report from around its task: states of what came before, the batches before, the DAG run, what the gate said."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus import __version__
from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.gating.baseline import accepted_before
from airflow_provider_nucleus.tasks.baselines import ASSET_PLACE, FileBaseline
from airflow_provider_nucleus.tasks.judgements import links_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.verdict import Judgement
    from airflow_provider_nucleus.reporting.extras import ReportLink, ReportOrigin

__all__ = [
    "earlier_batches",
    "hides_failure",
    "missing_reason",
    "report_links",
    "report_origin",
    "upstream_states",
]

log = logging.getLogger(__name__)

_ENDED_BADLY: Final = frozenset({"failed", "upstream_failed"})
_GREEN_ANYWAY: Final = frozenset({
    "all_done",
    "always",
    "one_done",
    "all_done_setup_success",
    "all_done_min_one_success",
})
"""Trigger rules of tasks that may succeed whatever came of those before."""


def upstream_states(task: Any, context: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the states of the tasks right before *task*, by their ids; None where Airflow does not say.

    In a mapped group they are those of this task's own map index.
    """
    ids = sorted(getattr(task, "upstream_task_ids", ()))
    if not ids:
        return {}
    try:
        found = _states(ids, context)
    except Exception as error:  # ruff: ignore[blind-except] - a report is made whatever the database of Airflow says
        log.warning("The states of %s are not known: %s", ", ".join(ids), type(error).__name__)
        found = {}
    return {task_id: found.get(task_id) for task_id in ids}


def _states(ids: list[str], context: Mapping[str, Any]) -> dict[str, str | None]:
    ti = context["ti"]
    index = int(getattr(ti, "map_index", -1))
    if hasattr(ti, "get_task_states"):
        listed = ti.get_task_states(dag_id=ti.dag_id, task_ids=ids, run_ids=[ti.run_id])
        states = listed.get(ti.run_id, {})
        # Instances of mapped tasks are listed as `<task id>_<map index>`.
        return {task_id: _worded(states.get(f"{task_id}_{index}", states.get(task_id))) for task_id in ids}
    found: dict[str, str | None] = {}
    for other in context["dag_run"].get_task_instances():  # Airflow 2
        if other.task_id in ids and other.map_index in {-1, index}:
            found[other.task_id] = _worded(other.state)
    return found


def _worded(state: Any) -> str | None:
    return None if state is None else str(getattr(state, "value", state))


def missing_reason(states: Mapping[str, str | None]) -> str:
    """Return why there is no judgement, in a sentence."""
    named = ", ".join(f"{task_id}: {state or 'not known'}" for task_id, state in states.items())
    return (
        f"There is no judgement: the gate left none. State of the tasks before: {named or 'there are none'}."
    )


def hides_failure(task: Any, states: Mapping[str, str | None]) -> str | None:
    """Return the task before that ended badly where the DAG run would be a success all the same, else None.

    A run is as its last tasks are. If this task is one, and none of the others comes after what failed, nobody would see it. Teardowns
    are none, and do not count as what comes after a task: where the report is one, the gate itself is the last.
    """
    failed = [task_id for task_id, state in states.items() if state in _ENDED_BADLY]
    dag = getattr(task, "dag", None) if getattr(task, "has_dag", lambda: False)() else None
    if not failed or dag is None or not _is_last(dag, task):
        return None
    for task_id in failed:
        after = dag.get_task(task_id).get_flat_relative_ids(upstream=False)
        ends = [
            dag.get_task(other)
            for other in after
            if other != task.task_id and _is_last(dag, dag.get_task(other))
        ]
        if not any(
            str(getattr(end.trigger_rule, "value", end.trigger_rule)) not in _GREEN_ANYWAY for end in ends
        ):
            return task_id
    return None


def _is_last(dag: Any, task: Any) -> bool:
    """Return whether the state of a DAG run depends on this task, as Airflow has it."""

    def is_ignored(one: Any) -> bool:
        return one.is_teardown and not one.on_failure_fail_dagrun

    return not is_ignored(task) and all(is_ignored(dag.get_task(after)) for after in task.downstream_task_ids)


def earlier_batches(result: Any, judgement: Judgement) -> list[Measurement]:
    """Return the accepted measurements before this one, of the baseline record that the result of the gate names."""
    place = result.get("baseline_record") if isinstance(result, dict) else None
    if not isinstance(place, str) or place.startswith(ASSET_PLACE):
        return []
    try:
        record = FileBaseline(place).read()
    except NucleusError as error:
        log.warning("No earlier batches: %s", error)
        return []
    return accepted_before(record, judgement.candidate)


def report_links(result: Any, judgement: Judgement, given: Mapping[str, str]) -> list[ReportLink]:
    """Return the links of a report: those that were given, those of the gate, the pages of both measurements."""
    from airflow_provider_nucleus.reporting.extras import ReportLink

    sides = (("candidate", judgement.candidate), ("baseline", judgement.baseline))
    titles = {side: f"Evaluation of the {side}" for side, _ in sides}
    named = {titles.get(name, name): url for name, url in links_of(result).items()} | dict(given)
    for side, measurement in sides:
        if (
            measurement is not None
            and measurement.subject.url
            and measurement.subject.url not in named.values()
        ):
            named.setdefault(titles[side], measurement.subject.url)
    return [ReportLink(name=name, url=url) for name, url in named.items()]


def report_origin(context: Mapping[str, Any], states: Mapping[str, str | None]) -> ReportOrigin:
    """Return the DAG run and the task that makes the report."""
    from airflow_provider_nucleus.reporting.extras import ReportOrigin

    ti = context["ti"]
    index = int(getattr(ti, "map_index", -1))
    when = context.get("logical_date")
    return ReportOrigin(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=None if index < 0 else index,
        logical_date=when.isoformat() if isinstance(when, dt.datetime) else None,
        try_number=getattr(ti, "try_number", None),
        gate_state=", ".join(f"{task_id}: {state}" for task_id, state in states.items() if state) or None,
        made_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        provider_version=f"airflow-provider-nucleus {__version__}",
    )
