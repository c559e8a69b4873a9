"""What operators say of what they found: to their outlets, to lineage, and as gauges."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

from airflow_provider_nucleus.assets.factories import evaluated
from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement, Numbers, Subject
from airflow_provider_nucleus.operators import announcing
from airflow_provider_nucleus.operators.announcing import NucleusAnnouncingOperator
from airflow_provider_nucleus.operators.approval import NucleusApprovalOperator
from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
from airflow_provider_nucleus.operators.gate import NucleusGateOperator
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.report import NucleusReportOperator
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)
from tests.unit.operators.fakes import context

ASSET = evaluated(dataset="street", model="detector")
MEASUREMENT = Measurement(
    subject=Subject(dataset_id="ds_1", model_id="prj_1", url="https://n/1"),
    fingerprint=Fingerprint(data="dataset:ds_1"),
    overall=Numbers(values={"f1": 0.5, "recall": None, "speed of the user": 3.0}),
)


def task() -> NucleusCalculateMetricsOperator:
    """Return a task that calculates."""
    return NucleusCalculateMetricsOperator(task_id="t", dataset_id="ds_1", model_id="prj_1", outlets=[ASSET])


class Accessors:
    """Events by URI, without partitions; an asset cannot be hashed on every Airflow."""

    def __init__(self):
        self.events = {}

    def __getitem__(self, asset):
        return self.events.setdefault(asset.uri, SimpleNamespace(extra={}))


def test_numbers_reach_outlets_lineage_and_gauges(monkeypatch):
    """Gauges are tagged by what is bounded: neither models nor data sets nor batches, and no number of the user's naming."""
    gauges = []
    monkeypatch.setattr(
        announcing, "Stats", SimpleNamespace(gauge=lambda *each, tags: gauges.append((*each, tags)))
    )
    calculate = task()
    made = context(calculate)
    made["outlet_events"] = Accessors()
    calculate.announce_numbers(made, MEASUREMENT, report="/r.json")

    event = made["outlet_events"][ASSET].extra
    assert (event["kind"], event["numbers"]["f1"]) == ("evaluated", 0.5)
    assert event["links"] == {"nucleus": "https://n/1", "report": "/r.json"}
    assert calculate.lineage.results == ("/r.json",)
    assert gauges == [("nucleus.numbers.f1", 0.5, {"dag_id": calculate.dag_id, "task_id": "t"})]


def test_a_task_that_failed_early_has_the_lineage_of_its_arguments(monkeypatch):
    """Without a connection as well: lineage never fails a task."""
    pytest.importorskip("airflow.providers.openlineage.extractors")
    monkeypatch.delenv("AIRFLOW_CONN_NUCLEUS_DEFAULT", raising=False)
    lineage = task().get_openlineage_facets_on_failure(None)

    assert {one.name for one in lineage.inputs} == {"dataset/ds_1", "dataset/ds_1/model/prj_1"}
    assert [one.name for one in lineage.outputs] == ["dataset/ds_1/model/prj_1/numbers"]


def test_a_partition_that_this_airflow_does_not_have_is_refused_before_any_work():
    """Not when the work is done."""
    calculate = task()
    made = context(calculate)
    made["outlet_events"] = Accessors()
    made["ti"].task = calculate
    calculate.pre_execute(made)
    calculate.partition_key = "day 2"

    with pytest.raises(AirflowOptionalProviderFeatureException, match=r"from Airflow 3\.2 on"):
        calculate.pre_execute(made)


@pytest.mark.parametrize(
    "operator",
    [
        NucleusAppendItemsOperator,
        NucleusApprovalOperator,
        NucleusCalculateMetricsOperator,
        NucleusEvaluateModelOperator,
        NucleusGateOperator,
        NucleusReportOperator,
        NucleusUploadAnnotationsOperator,
        NucleusUploadPredictionsOperator,
    ],
)
def test_operators_with_something_to_say_say_it(operator):
    """Each fills its events in code of its own or of its base, and has lineage."""
    sources = [
        inspect.getsource(cls)
        for cls in operator.__mro__
        if issubclass(cls, NucleusAnnouncingOperator) and cls is not NucleusAnnouncingOperator
    ]

    assert issubclass(operator, NucleusAnnouncingOperator)
    assert any("self.announce" in source for source in sources)
    assert any("self.lineage = " in source or "announce_numbers(" in source for source in sources)
