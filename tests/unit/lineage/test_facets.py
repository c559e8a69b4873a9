"""Lineage in OpenLineage's own classes: what its listener gets, and that it can be sent."""

from __future__ import annotations

import builtins
import json

import pytest

from airflow_provider_nucleus.assets.factories import accepted
from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement, Numbers, Subject
from airflow_provider_nucleus.gating.verdict import Judgement, RuleResult, Verdict
from airflow_provider_nucleus.lineage.facets import operator_lineage
from airflow_provider_nucleus.lineage.facts import evaluation_facts, judgement_facts, upload_facts

NAMESPACE = "nucleus://n"
MEASUREMENT = Measurement(
    subject=Subject(dataset_id="ds_1", model_id="prj_1", slice_id="slc_1"),
    fingerprint=Fingerprint(data="dataset:ds_1"),
    coverage=Coverage(items=50, with_ground_truth=40),
    iou_threshold=0.5,
    overall=Numbers(values={"f1": 0.51, "recall": None}),
)


def rule(rule_id: str, status: str, subject: str = "overall", **more) -> RuleResult:
    """Return a result."""
    values = {"limit": 0.02, "value": 0.51, "baseline": 0.6} | more
    return RuleResult(
        rule_id=rule_id,
        metric="f1",
        subject=subject,
        bound="max_drop",
        status=status,
        text=f"{rule_id} {status}",
        **values,
    )


def judged(*results: RuleResult) -> Judgement:
    """Return a judgement."""
    verdict = Verdict(status="fail", stopped=True, policy="p", policy_digest="0", results=list(results))
    return Judgement(candidate=MEASUREMENT, verdict=verdict)


def named(datasets) -> dict[str, object]:
    """Return datasets by their names."""
    return {one.name: one for one in datasets}


@pytest.fixture(autouse=True)
def openlineage():
    """Everything here needs it."""
    return pytest.importorskip("openlineage.client")


def test_an_upload_says_how_many_rows_it_stored():
    """Of its output; files are inputs."""
    facts = upload_facts(
        "predictions", {"dataset_id": "ds_1", "model_id": "prj_1", "processed": 7}, sources=("/a",)
    )
    lineage = operator_lineage(facts, namespace=NAMESPACE)

    assert named(lineage.inputs).keys() == {"/a"}
    (output,) = lineage.outputs
    assert (output.namespace, output.name) == (NAMESPACE, "dataset/ds_1/model/prj_1")
    assert output.outputFacets["outputStatistics"].rowCount == 7


def test_a_calculation_says_its_numbers_and_of_how_many_items():
    """Data set, slice and predictions are its inputs."""
    lineage = operator_lineage(evaluation_facts(MEASUREMENT), namespace=NAMESPACE)
    inputs = named(lineage.inputs)

    assert inputs.keys() == {"dataset/ds_1", "dataset/ds_1/slice/slc_1", "dataset/ds_1/model/prj_1"}
    assert inputs["dataset/ds_1/model/prj_1"].inputFacets["dataQualityMetrics"].rowCount == 50
    assert lineage.run_facets["nucleus_numbers"].numbers == {"f1": 0.51, "recall": None}
    assert "test" not in lineage.run_facets


RESULTS = [
    rule("a", "pass"),
    rule("b", "warn", severity="warn"),
    rule("c", "insufficient", value=None),
    rule("d", "missing", value=None),
    *(rule("labels", "pass", f"label {n}") for n in range(79)),
    rule("labels", "fail", "label car"),
]


def test_a_gate_has_one_assertion_for_each_rule():
    """About the predictions; whatever is no pass is no success. The asset of its outlet is its output."""
    lineage = operator_lineage(
        judgement_facts(judged(*RESULTS)),
        namespace=NAMESPACE,
        outlets=[accepted(dataset="street", model="detector"), "no asset"],
    )
    facets = named(lineage.inputs)["dataset/ds_1/model/prj_1"].inputFacets
    assertions = facets["dataQualityAssertions"].assertions
    names = [getattr(one, "name", None) or one.assertion for one in assertions]

    assert sorted(names) == ["a", "b", "c", "d", "labels"]
    assert [name for name, one in zip(names, assertions, strict=True) if one.success] == ["a"]
    assert [(one.namespace, one.name) for one in lineage.outputs] == [("nucleus", "accepted/street/detector")]


def test_a_gate_has_one_test_for_each_rule():
    """In OpenLineage's words, with the worst result of a rule over many labels, and our own word beside it."""
    pytest.importorskip("openlineage.client.generated.test_run", reason="older clients know no test runs")
    lineage = operator_lineage(judgement_facts(judged(*RESULTS)), namespace=NAMESPACE)
    tests = {one.name: one for one in lineage.run_facets["test"].tests}

    assert {name: one.status for name, one in tests.items()} == {
        "a": "pass", "b": "fail", "c": "skip", "d": "fail", "labels": "fail",
    }  # fmt: skip
    assert (tests["b"].severity, tests["labels"].severity) == ("warn", "error")
    assert (tests["labels"].expected, tests["labels"].actual) == ("max_drop 0.02", "0.51")
    assert tests["labels"].params["subject"] == "label car"
    assert (tests["labels"].params["results"], tests["labels"].params["not_passed"]) == (80, 1)
    assert tests["c"].params["status"] == "insufficient"


def test_what_is_made_can_be_sent():
    """OpenLineage's own serializer takes it whole."""
    from openlineage.client.serde import Serde

    lineage = operator_lineage(judgement_facts(judged(rule("a", "fail"))), namespace=NAMESPACE)
    for part in (*lineage.inputs, *lineage.outputs, *lineage.run_facets.values()):
        assert json.loads(Serde.to_json(part))


def test_without_openlineage_there_is_no_lineage_and_no_error(monkeypatch):
    """It is an extra."""
    true_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith(("openlineage", "airflow.providers.openlineage")):
            raise ImportError(name)
        return true_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)

    assert operator_lineage(judgement_facts(judged(rule("a", "fail"))), namespace=NAMESPACE) is None
