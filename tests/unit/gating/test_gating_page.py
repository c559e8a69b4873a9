"""The page on policies: its example is a policy with every kind of rule, its Python runs, its sentences are those that come."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from airflow_provider_nucleus.exceptions import NucleusPolicyError
from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.policy import BOUNDS, Policy
from airflow_provider_nucleus.gating.policy_reading import read_policy
from tests.unit.gating.measurements import measurement, numbers

PAGE = Path(__file__).resolve().parents[3] / "docs/gating.md"
(EXAMPLE,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)


def test_the_example_has_every_scope_and_every_bound():
    """And it is read from a file as it stands."""
    policy = read_policy(EXAMPLE, name="page")

    assert {"overall", "per_label", "per_slice", "profile", "supplied"} == {
        rule.scope for rule in policy.rules
    }
    assert [bound for bound in BOUNDS if all(getattr(rule, bound) is None for rule in policy.rules)] == []


def test_the_example_judges():
    """A candidate that lost people in the fog is stopped, by the rules that are about that."""

    def side(people, fog, **options):
        return measurement(
            overall=numbers(120, recall=0.7, f1=0.7, precision=0.7, ap=0.5),
            labels={"person": numbers(150, recall=people), "cyclist": numbers(150, recall=0.8)},
            slices={"weather": {"fog": numbers(60, f1=fog), "rain": numbers(60, f1=0.6)}},
            supplied={"latency_ms": 20},
            **options,
        )

    verdict = judge(read_policy(EXAMPLE), side(0.7, 0.5), side(0.8, 0.6), reference=side(0.8, 0.6)).verdict

    assert {"people", "fog", "no-class-drops"} == {
        each.rule_id for each in verdict.results if each.status == "fail"
    }
    assert verdict.status == "fail"


def test_the_python_of_the_page_prints_what_it_says():
    """The comment behind the first line is the output."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "documentation", "exec"), {"__name__": "page"})

    first, second = printed.getvalue().splitlines()
    assert f"# {first}" in code
    assert second.startswith(
        "recall-drop: recall fell by 0.05, from 0.75 to 0.7; a drop of 0.02 is allowed: broken"
    )


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            {"id": "f1-drop", "metric": "f1", "max_dorp": 0.01},
            "policy.yaml: rule f1-drop: there is no field 'max_dorp'",
        ),
        (
            {"id": "latency", "metric": "latency_ms", "scope": "supplied", "max_drop": 1},
            "policy.yaml: rule latency: direction",
        ),
    ],
)
def test_refusals_on_the_page_are_those_that_come(rule, sentence):
    """Whole lines of the page."""
    with pytest.raises(NucleusPolicyError) as caught:
        read_policy({"rules": [rule]}, name="policy.yaml")

    assert str(caught.value).startswith(sentence)
    assert str(caught.value) in PAGE.read_text()


def test_every_field_of_a_policy_is_on_the_page():
    """By its name, in quotes."""
    text = PAGE.read_text()

    assert [field for field in Policy.model_fields if f"`{field}`" not in text] == []
