"""Policies that are read: the same from each source, and refusals that say which rule, which field, and what would be right."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from airflow_provider_nucleus.exceptions import NucleusPolicyError
from airflow_provider_nucleus.gating.policy import Policy, Rule, WindowCondition, policy_digest
from airflow_provider_nucleus.gating.policy_reading import read_policy

TEXT = """\
name: nightly
fail_on: warn
on_missing_baseline: pass
rules:
  - id: f1-floor
    metric: f1
    min: 0.6
  - id: people
    metric: recall
    scope: per_label
    labels: [person, no]
    max_drop: 0.02
    multiplicity: benjamini_hochberg
  - id: steady
    metric: f1
    window: {batches: 7, max_z: 4}
"""
CONTENT = {
    "name": "nightly",
    "fail_on": "warn",
    "on_missing_baseline": "pass",
    "rules": [
        {"id": "f1-floor", "metric": "f1", "min": 0.6},
        {
            "id": "people",
            "metric": "recall",
            "scope": "per_label",
            "labels": ["person", "no"],
            "max_drop": 0.02,
            "multiplicity": "benjamini_hochberg",
        },
        {"id": "steady", "metric": "f1", "window": {"batches": 7, "max_z": 4}},
    ],
}


def test_every_source_gives_the_same_policy(tmp_path):
    """Text, YAML file, JSON file, mapping, typed."""
    (tmp_path / "p.yaml").write_text(TEXT)
    (tmp_path / "p.json").write_text(json.dumps(CONTENT))
    typed = Policy(
        name="nightly",
        fail_on="warn",
        on_missing_baseline="pass",
        rules=[
            Rule(id="f1-floor", metric="f1", min=0.6),
            Rule(
                id="people",
                metric="recall",
                scope="per_label",
                labels=["person", "no"],
                max_drop=0.02,
                multiplicity="benjamini_hochberg",
            ),
            Rule(id="steady", metric="f1", window=WindowCondition(batches=7, max_z=4)),
        ],
    )
    read = [
        read_policy(each) for each in (TEXT, tmp_path / "p.yaml", str(tmp_path / "p.json"), CONTENT, typed)
    ]

    assert [typed] * 5 == read
    assert len({policy_digest(each) for each in read}) == 1


def test_a_file_without_a_name_is_called_by_its_own(tmp_path):
    """Verdicts name the policy."""
    (tmp_path / "release.yaml").write_text("rules: [{id: a, metric: f1, min: 0.5}]")

    assert read_policy(tmp_path / "release.yaml").name == "release"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rules:\n- id: a\n  metric: f1\n  mim: 0.5", r"^p: rule a: there is no field 'mim'. Did you mean 'min'\?$"),
        ("rules:\n- id: a\n  metric: f1\n  x: 0.5", "no field 'x'. The fields are id, metric"),
        ("rulez:\n- id: a", r"p: there is no field 'rulez'. Did you mean 'rules'\?"),
        ("rules:\n- id: a\n  metric: f1", "rule a: it has no bound. Give it one of min, max, max_drop"),
        ("rules:\n- metric: f1\n  min: 1", "rule 1: id: it is missing. Every rule has"),
        ("rules:\n- id: a\n  min: 1", "rule a: metric: it is missing"),
        ("rules:\n- id: a\n  metric: f1\n  min: high", "rule a: min: .*number.* not 'high'"),
        ("rules:\n- id: a\n  metric: f1\n  max_drop: -0.1", "rule a: max_drop: .*greater than or equal to 0, not -0.1"),
        ("rules:\n- id: a\n  metric: f1\n  min: .nan", "rule a: min: .*finite"),
        ("rules:\n- id: a\n  metric: f1\n  severity: fatal\n  min: 0", "severity: .*'error' or 'warn', not 'fatal'"),
        ("rules:\n- {id: a, metric: f1, min: 0}\n- {id: a, metric: f1, max: 1}", "rule a: id: 2 rules have this id"),
        ("rules:\n- id: a\n  metric: f1\n  min: 0.1\n  min: 0.5", "'min' stands there twice, in lines 4 and 5"),
        ("rules:\n- id: a\n  metric: f1\n  min: 0.9\n  max: 0.1", "rule a: min: min 0.9 is above max 0.1"),
        ("rules:\n- id: a\n  metric: percision\n  min: 0", r"metric: 'percision' is no number .* Did you mean 'precision'\?"),
        ("rules:\n- id: a\n  metric: mAP\n  min: 0", r"Did you mean 'ap'\?"),
        ("rules:\n- id: a\n  metric: F1\n  min: 0", r"Did you mean 'f1'\?"),
        (
            "rules:\n- id: a\n  metric: latency\n  scope: supplied\n  max_drop: 0",
            "rule a: direction: max_drop needs to know which way 'latency' is better. Write direction: higher, or direction: lower",
        ),
        ("rules:\n- id: a\n  metric: f1\n  scope: supplied\n  max_drop: 0", "direction: max_drop needs to know"),
        ("rules:\n- id: a\n  metric: f1\n  labels: [x]\n  min: 0", "labels: the rule's scope is overall. Write scope: per_label"),
        ("rules:\n- id: a\n  metric: f1\n  scope: per_slice\n  min: 0", "slice_key: scope per_slice needs it"),
        ("rules:\n- id: a\n  metric: f1\n  slice_key: w\n  min: 0", "slice_key: the rule's scope is overall"),
        ("rules:\n- id: a\n  metric: f1\n  scope: per_label\n  labels: [x, x]\n  min: 0", "labels: 'x' is named twice"),
        ("rules:\n- id: a\n  metric: f1\n  scope: per_label\n  labels: []\n  min: 0", "labels: .*at least 1"),
        ("rules:\n- id: a\n  metric: f1\n  relative_below: 0.1\n  min: 0", "relative_below: there is no relative bound"),
        ("rules:\n- id: a\n  metric: f1\n  window: {batchs: 3}", r"rule a: window: there is no field 'batchs'. Did you mean 'batches'\?"),
        ("rules:\n- id: a\n  metric: f1\n  window: {batches: 3}", "rule a: window: min_batches 5 is more than the 3 batches"),
        ("rules: []\n", "p: rules: there are no rules"),
        ("rules: {a: 1}\n", "p: rules: rules are a list, not a mapping"),
        ("rules: [a]\n", "rule 1: a rule is a mapping, not text"),
        ("- a\n", "a policy is a mapping with rules, not a list"),
        ("\n", "a policy is a mapping with rules, not nothing"),
        ("rules: [\n", "p: it is no YAML: .*line 2"),
        ("rules: !!python/object/apply:os.system ['true']\n", "it is no YAML"),
        ("fail_on: error\nrules:\n- {id: 7, metric: f1, min: 0}", "rule 1: id: .*string, not 7"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_one_sentence(text, sentence):
    """File, rule, field, what is wrong, what would be right."""
    with pytest.raises(NucleusPolicyError, match=sentence) as caught:
        read_policy(text if "\n" in text else text + "\n", name="p")

    assert str(caught.value).startswith("p: ")


def test_a_file_that_is_not_there_is_named(tmp_path):
    """The path is in the sentence."""
    with pytest.raises(NucleusPolicyError, match=r"none\.yaml: the file cannot be read"):
        read_policy(tmp_path / "none.yaml")


def test_typed_rules_are_held_to_the_same():
    """Whoever writes Python gets the same sentence."""
    with pytest.raises(ValidationError, match="it has no bound"):
        Rule(id="a", metric="f1")


def test_names_of_the_user_are_free_where_they_are_the_users():
    """`scope: supplied` takes any name; so does a number that resembles none of ours."""
    read_policy({"rules": [{"id": "a", "metric": "percision", "scope": "supplied", "max": 1}]})
    read_policy({"rules": [{"id": "a", "metric": "depth_error", "direction": "lower", "max_drop": 1}]})


def test_the_digest_is_of_what_is_decided():
    """Order of rules and keys, defaults that are written out, names and descriptions change nothing; a limit does."""
    first = read_policy(CONTENT)
    again = read_policy({
        **CONTENT,
        "name": "another",
        "min_coverage": None,
        "rules": [
            {**rule, "severity": "error", "description": "words"} for rule in reversed(CONTENT["rules"])
        ],
    })
    stricter = read_policy({**CONTENT, "rules": [{"id": "f1-floor", "metric": "f1", "min": 0.7}]})

    assert policy_digest(first) == policy_digest(again)
    assert policy_digest(first) != policy_digest(stricter)
    assert policy_digest(first)[:11] != "sha256:5e0c"


@pytest.mark.parametrize("field", ["min", "max_drop", "min_gain", "min_support", "level"])
def test_a_truth_value_is_no_number(field):
    """`max_drop: true` would be a drop of 1, which every model keeps."""
    with pytest.raises(NucleusPolicyError, match=rf"{field}: it is true"):
        read_policy({"rules": [{"id": "a", "metric": "recall", "min": 0.1, field: True}]})


@pytest.mark.parametrize("field", ["min", "max", "max_drop", "max_relative_drop", "min_gain"])
def test_percentages_of_a_rate_are_refused(field):
    """A drop of 2 is allowed to everybody where a rate lies in 0 to 1; a number of the user's has any unit."""
    with pytest.raises(NucleusPolicyError, match="recall lies in 0 to 1") as caught:
        read_policy({"rules": [{"id": "a", "metric": "recall", field: 2}]})
    assert "0.02 for 2 %" in caught.value.hint
    read_policy({
        "rules": [
            {"id": "a", "metric": "latency", "scope": "supplied", "direction": "lower", field: 2},
            {"id": "b", "metric": "fp", field: 2},
        ]
    })


def test_a_merged_mapping_may_be_changed_where_it_is_merged():
    """What `<<` is for; a key that stands there twice is refused still."""
    text = "rules:\n- &base {id: a, metric: recall, min: 0.1}\n- <<: *base\n  id: b\n  min: 0.2\n"
    assert [(rule.id, rule.min) for rule in read_policy(text).rules] == [("a", 0.1), ("b", 0.2)]
    with pytest.raises(NucleusPolicyError, match="'min' stands there twice"):
        read_policy(text + "  min: 0.3\n")


def test_a_policy_nested_without_end_is_refused():
    """As a policy, not as a crash of the reader."""
    with pytest.raises(NucleusPolicyError, match="nested too deeply"):
        read_policy("rules: " + "[" * 3000 + "\n")
