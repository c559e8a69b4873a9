"""What a running task announces: its content is on the outlets of the task that runs, and there may be none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException, Asset, AssetAlias

from airflow_provider_nucleus.assets.announcing import announce, check_partitions, withhold
from airflow_provider_nucleus.assets.factories import accepted, evaluated

try:
    from airflow.sdk.execution_time.context import OutletEventAccessors
except ImportError:  # Airflow 2
    from airflow.utils.context import OutletEventAccessors

EVENT = {
    "dataset": {"id": "ds_1", "name": "street"},
    "model": {"id": "prj_1", "name": None},
    "verdict": "pass",
}
GOOD = accepted(dataset="street", model="detector")


def context_of(*outlets: Any) -> dict[str, Any]:
    """Return the context of a running task with these outlets; on Airflow 3.0 the context has a copy of the task."""
    task, copy = (SimpleNamespace(outlets=list(outlets)) for _ in range(2))
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=2, task=task)
    return {"ti": ti, "task": copy, "outlets": copy.outlets, "outlet_events": OutletEventAccessors()}


def test_every_outlet_gets_the_content_and_who_announced_it():
    """Ours with the kind of their URI, the user's own with that of the announcement."""
    own = Asset(uri="s3://bucket/model")
    context = context_of(GOOD, evaluated(dataset="street", model="detector"), own)

    announce(context, EVENT, kind="accepted")

    events = context["outlet_events"]
    assert events[GOOD].extra == EVENT | {
        "kind": "accepted",
        "run": {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 2},
    }
    assert events[evaluated(dataset="street", model="detector")].extra["kind"] == "evaluated"
    assert events[own].extra["kind"] == "accepted"


def test_what_is_there_already_stays():
    """A task announces twice, or the user has set something of their own."""
    context = context_of(GOOD)
    context["outlet_events"][GOOD].extra["mine"] = 1

    announce(context, EVENT, kind="accepted")
    announce(context, EVENT | {"verdict": "fail"}, kind="accepted")

    assert context["outlet_events"][GOOD].extra["mine"] == 1
    assert context["outlet_events"][GOOD].extra["verdict"] == "fail"


def test_an_alias_gets_the_asset_that_the_event_is_about():
    """For mapped tasks, whose outlets are the same for every model."""
    alias = AssetAlias("judged")
    context = context_of(alias)

    announce(context, EVENT, kind="accepted")

    accessor = context["outlet_events"][alias]
    events = getattr(accessor, "asset_alias_events", None) or accessor.dataset_alias_events
    found = events[0]
    plain = found if isinstance(found, dict) else attrs.asdict(found)
    assert (
        plain.get("dest_dataset_uri", plain.get("dest_asset_key", {}).get("uri"))
        == "nucleus://accepted/street/prj_1"
    )
    assert plain["extra"]["verdict"] == "pass"


def test_a_task_without_outlets_announces_nothing():
    """Nor does one outside of a run, as in a unit test of a user's."""
    context = context_of()
    announce(context, EVENT, kind="accepted")
    announce({"ti": context["ti"]}, EVENT, kind="accepted")
    withhold(context, "nothing to say")

    assert dict(context["outlet_events"]) == {}


def test_withheld_outlets_are_off_the_running_task_and_not_off_the_dag():
    """The task of the DAG shares its list with the copy that runs."""
    context = context_of(GOOD, "not an asset")
    of_the_dag = context["ti"].task.outlets

    withhold(context, "the verdict is fail")

    assert context["ti"].task.outlets == ["not an asset"]
    assert context["task"].outlets == ["not an asset"]
    assert context["outlets"] == []
    assert of_the_dag == [GOOD, "not an asset"]


def test_partition_keys_are_opt_in():
    """None is added unless one is given; below the version that has them the error says what to do."""
    context = context_of(GOOD)
    has_partitions = hasattr(context["outlet_events"][GOOD], "add_partitions")

    announce(context, EVENT, kind="accepted")
    check_partitions(context, None)
    if has_partitions:
        assert context["outlet_events"][GOOD].partition_keys == set()
        announce(context, EVENT, kind="accepted", partition_key="day 2")
        assert context["outlet_events"][GOOD].partition_keys == {"day 2"}
    else:
        with pytest.raises(AirflowOptionalProviderFeatureException, match=r"from Airflow 3\.2 on"):
            check_partitions(context, "day 2")
