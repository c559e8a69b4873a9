"""Facts as OpenLineage has them: datasets with statistics, data-quality assertions and a test run, one test for each rule.

Nothing here is imported before OpenLineage's own listener asks for it; without its packages there is no lineage and no error.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import attrs
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_nucleus.assets.lineage import to_openlineage
from airflow_provider_nucleus.assets.uris import SCHEME
from airflow_provider_nucleus.gating.rule_table import worst_first
from airflow_provider_nucleus.lineage.names import input_names, output_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_nucleus.gating.verdict import RuleResult, RuleStatus, Verdict
    from airflow_provider_nucleus.lineage.facts import LineageFacts

__all__ = ["operator_lineage"]

log = logging.getLogger(__name__)

_OUTCOME: Final[dict[RuleStatus, str]] = {
    "pass": "pass",
    "warn": "fail",
    "fail": "fail",
    "missing": "fail",
    "insufficient": "skip",
    "error": "skip",
}
"""Outcome of a test in OpenLineage's words: `skip` was not executed, which is no pass; `params` has our own word."""

_TEXT_CHARS: Final = 400
_MOST_RULES: Final = 200


def operator_lineage(
    facts: LineageFacts, *, namespace: str, outlets: Iterable[Any] = ()
) -> OperatorLineage[Any, Any] | None:
    """Return the lineage of a task, None where OpenLineage is not installed.

    *outlets* are those of a task that succeeded: our assets among them are outputs as well.
    """
    try:
        from airflow.providers.common.compat.openlineage.facet import (
            Dataset,
            InputDataset,
            OutputDataset,
            OutputStatisticsOutputDatasetFacet,
        )
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError as error:
        log.debug("No lineage: %s", error)
        return None
    inputs: list[Dataset] = []
    for each, name in input_names(facts, namespace):
        is_subject = name == _subject_of_tests(facts)
        inputs.append(
            InputDataset(namespace=each, name=name, inputFacets=_quality_facets(facts) if is_subject else {})
        )
    outputs: list[Dataset] = [
        OutputDataset(
            namespace=each,
            name=name,
            outputFacets={"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=facts.rows)}
            if facts.rows is not None and each == namespace
            else {},
        )
        for each, name in output_names(facts, namespace)
    ]
    assets = (one for one in outlets if isinstance(one, Asset) and one.uri.startswith(f"{SCHEME}://"))
    outputs.extend(to_openlineage(outlet, None) for outlet in assets)
    return OperatorLineage(inputs=inputs, outputs=outputs, run_facets=_run_facets(facts))


def _subject_of_tests(facts: LineageFacts) -> str | None:
    """Return the name of the input that the rules are about: the predictions of the model, else the whole data set."""
    if facts.dataset_id is None:
        return None if facts.benchmark_id is None else f"benchmark/{facts.benchmark_id}"
    return f"dataset/{facts.dataset_id}" + (f"/model/{facts.model_id}" if facts.model_id else "")


def _quality_facets(facts: LineageFacts) -> dict[str, Any]:
    from openlineage.client.generated.data_quality_assertions_dataset import (
        Assertion,
        DataQualityAssertionsDatasetFacet,
    )
    from openlineage.client.generated.data_quality_metrics_input_dataset import (
        DataQualityMetricsInputDatasetFacet,
    )

    facets: dict[str, Any] = {}
    if facts.items is not None:
        facets["dataQualityMetrics"] = DataQualityMetricsInputDatasetFacet(
            rowCount=facts.items, columnMetrics={}
        )
    if facts.judgement is not None:
        assertions = [
            _known(
                Assertion,
                {
                    # A client without names knows a rule by its id alone.
                    "assertion": worst.bound if hasattr(Assertion, "name") else worst.rule_id,
                    "success": worst.status == "pass",
                    "severity": worst.severity,
                    "name": worst.rule_id,
                    "description": worst.text[:_TEXT_CHARS],
                    "expected": _expected(worst),
                    "actual": _actual(worst),
                    "params": _params(worst, results),
                },
            )
            for worst, results in _rules(facts.judgement.verdict)
        ]
        facets["dataQualityAssertions"] = DataQualityAssertionsDatasetFacet(assertions=assertions)
    return facets


def _run_facets(facts: LineageFacts) -> dict[str, Any]:
    facets: dict[str, Any] = {}
    if facts.numbers:
        facets["nucleus_numbers"] = _numbers_facet(facts)
    if facts.judgement is None:
        return facets
    try:
        from openlineage.client.generated.test_run import TestExecution, TestRunFacet
    except ImportError:  # an older client: the assertions remain
        return facets
    facets["test"] = TestRunFacet(
        tests=[
            TestExecution(
                name=worst.rule_id,
                status=_OUTCOME[worst.status],
                severity=worst.severity,
                type=worst.bound,
                description=worst.text[:_TEXT_CHARS],
                expected=_expected(worst),
                actual=_actual(worst),
                params=_params(worst, results),
            )
            for worst, results in _rules(facts.judgement.verdict)
        ]
    )
    return facets


def _numbers_facet(facts: LineageFacts) -> Any:
    from openlineage.client.generated.base import RunFacet

    @attrs.define(kw_only=True)
    class NucleusNumbersRunFacet(RunFacet):
        """Numbers of the run's model, by name; null where one is not defined."""

        numbers: dict[str, float | None]
        iouThreshold: float | None = None  # ruff: ignore[mixed-case-variable-in-class-scope] - OpenLineage's spelling

    return NucleusNumbersRunFacet(numbers=dict(facts.numbers), iouThreshold=facts.iou_threshold)


def _rules(verdict: Verdict) -> list[tuple[RuleResult, list[RuleResult]]]:
    """Return every rule by its worst result, with all of them."""
    by_rule: dict[str, list[RuleResult]] = {}
    counted = [one for one in verdict.results if one.counted]
    alone = [
        one
        for one in verdict.results
        if not one.counted and all(one.rule_id != each.rule_id for each in counted)
    ]
    for result in worst_first([*counted, *alone]):
        by_rule.setdefault(result.rule_id, []).append(result)
    return [(results[0], results) for results in by_rule.values()][:_MOST_RULES]


def _expected(result: RuleResult) -> str | None:
    return None if result.limit is None else f"{result.bound} {result.limit:g}"


def _actual(result: RuleResult) -> str | None:
    return None if result.value is None else f"{result.value:g}"


def _params(worst: RuleResult, results: list[RuleResult]) -> dict[str, Any]:
    """Return what has no place of its own: our word for the outcome, the evidence, and how many results the rule has."""
    evidence = {
        "status": worst.status,
        "metric": worst.metric,
        "subject": worst.subject,
        "baseline": worst.baseline,
        "difference": worst.difference,
        "low": worst.low,
        "high": worst.high,
        "level": worst.level,
        "support": worst.support,
        "results": len(results),
        "not_passed": sum(one.status != "pass" for one in results),
    }
    return {name: value for name, value in evidence.items() if value is not None}


def _known(facet: Any, values: dict[str, Any]) -> Any:
    """Return *facet* with those of *values* that this client knows."""
    names = {each.name for each in attrs.fields(facet)}
    return facet(**{name: value for name, value in values.items() if name in names})
