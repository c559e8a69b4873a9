"""A verdict as markdown: the differences that decided, and nothing that a label could make of it."""

from __future__ import annotations

import re

import pytest

from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement, Subject
from airflow_provider_nucleus.gating.verdict import ChangeCounts, Judgement, RuleResult, Verdict
from airflow_provider_nucleus.reporting.extras import Extras
from airflow_provider_nucleus.reporting.markdown import report_markdown
from airflow_provider_nucleus.tasks.verdict_text import verdict_headline, verdict_markdown, web_links


def measured(model: str) -> Measurement:
    """Return a measurement of a model on day 2."""
    return Measurement(
        subject=Subject(model_name=model, dataset_name="street", slice_name="day 2"),
        fingerprint=Fingerprint(data="dataset:ds_1"),
        coverage=Coverage(items=50, with_ground_truth=40, ground_truth=344, predictions=261),
    )


def drop(rule_id: str = "f1", *, status: str = "fail", subject: str = "overall", **more) -> RuleResult:
    """Return a rule that a drop has broken."""
    values = {
        "value": 0.51,
        "baseline": 0.62,
        "difference": -0.11,
        "low": -0.15,
        "high": -0.07,
        "limit": 0.02,
    } | more
    return RuleResult(
        rule_id=rule_id, metric="f1", subject=subject, bound="max_drop", status=status, text="why", **values
    )


def judged(*results: RuleResult, model: str = "detector v3") -> Judgement:
    """Return a judgement of these results."""
    verdict = Verdict(status="fail", stopped=True, policy="street", policy_digest="0", results=list(results))
    return Judgement(
        candidate=measured(model),
        baseline=measured("detector v2"),
        verdict=verdict,
        changes=ChangeCounts(fixed=3, broken=12, both_found=100, both_miss=7),
    )


def test_the_difference_is_shown_with_its_interval_and_its_bound():
    """What was compared, on how much, and by how much it differs."""
    text = verdict_markdown(judged(drop(), drop("recall", status="pass")), links={"report": "https://r/x"})

    assert text.splitlines()[0] == (
        "**fail** by policy street: detector v3 against detector v2, on street, day 2."
    )
    assert (
        "1 of 2 results are no pass. 40 of 50 items have ground truth: 344 objects, 261 predictions." in text
    )
    assert r"| fail | f1 | f1 | 0.510 | 0.620 | −0.110 \[−0.150 to −0.070\] | drop at most 0.02 |" in text
    assert "recall" not in text
    assert "3 fixed, 12 broken, 7 missed by both" in text
    assert text.endswith("[report](https://r/x)")
    assert verdict_headline(judged()) == "fail: detector v3 on street, day 2"


def test_numbers_are_those_of_the_report():
    """One result in the question to people and in the report's summary: the same texts, also where rounding would hide the difference."""
    close = drop(value=0.79964, baseline=0.8, difference=-0.00036, low=None, high=None, limit=0.0001)
    asked, summary = verdict_markdown(judged(close)), report_markdown(judged(close), Extras())

    for number in ("0.7996", "0.8000", "−0.0004", "drop at most 0.0001"):
        assert number in asked
        assert number in summary


def test_a_rule_that_could_not_be_judged_says_why():
    """It has no numbers to show, and is no pass."""
    missing = drop(status="missing", value=None, difference=None, low=None, high=None)

    assert "| missing | f1 | f1 | n/a | 0.620 |  | drop at most 0.02 |" in verdict_markdown(judged(missing))
    assert "\n- why" in verdict_markdown(judged(missing))


def test_the_worst_rules_come_first_and_the_rest_is_counted():
    """Eighty classes do not make a wall of text."""
    results = [drop("warns", status="warn"), *(drop(f"r{n}", subject=f"label {n}") for n in range(80))]
    text = verdict_markdown(judged(*results), most=5)

    assert text.count("| fail |") == 5
    assert "And 76 more." in text
    assert "warn" not in text


HOSTILE = "a|b\n\n# <img src=x onerror=alert(1)> [x](javascript:1) `c` ![](http://evil/p.png) \u202e\x00 @all"


@pytest.mark.parametrize("place", ["model", "rule", "subject", "text"])
def test_names_from_data_are_text(place):
    """No table's edge, heading, link, image or HTML comes out of a label."""
    results = {
        "model": [drop()],
        "rule": [drop(HOSTILE)],
        "subject": [drop(subject=HOSTILE)],
        "text": [drop(status="error", value=None).model_copy(update={"text": HOSTILE})],
    }[place]
    text = verdict_markdown(judged(*results, model=HOSTILE if place == "model" else "m"))
    read = re.sub(r"\\.", "", text)  # what markdown takes for text is out

    for mark in ("<", "](", "`", "\n#", "http:", "\x00", "\u202e", "@all"):
        assert mark not in read
    assert not re.search(r"[\x00\n\u202e]", verdict_headline(judged(model=HOSTILE)))
    rows = [line for line in read.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {8}


def test_links_are_those_that_a_browser_opens():
    """A bucket's address is of no use there, a script is no link, and nothing breaks out of the parentheses."""
    assert web_links({
        "ok": "https://r/a b(1)",
        "bucket": "s3://b/x",
        "script": "javascript:alert(1)",
        "file": "/tmp/x",
    }) == {"ok": "https://r/a%20b%281%29"}
