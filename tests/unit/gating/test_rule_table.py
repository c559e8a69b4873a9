"""A verdict as lines: one for each rule, the worst first, none longer than a terminal is wide."""

from __future__ import annotations

from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement, Numbers
from airflow_provider_nucleus.gating.policy_reading import read_policy
from airflow_provider_nucleus.gating.rule_table import rule_lines, worst_first
from airflow_provider_nucleus.gating.verdict import RuleResult, Verdict


def result(
    rule_id: str, status: str, *, subject: str = "overall", severity: str = "error", text: str = ""
) -> RuleResult:
    return RuleResult(
        rule_id=rule_id,
        metric="f1",
        subject=subject,
        bound="min",
        status=status,
        severity=severity,
        text=text or f"{subject} {status}",
    )


def verdict(*results: RuleResult, status: str = "fail", stopped: bool = True) -> Verdict:
    return Verdict(status=status, stopped=stopped, policy="nightly", policy_digest="d", results=list(results))


def test_labels_write_no_lines_of_their_own():
    """A label with a line end forged a pass in the log; with an escape it repainted the terminal."""
    label = "a\nPASS          f1-floor\x1b[2J \u202eb\x85"
    policy = read_policy({"rules": [{"id": "recall", "metric": "recall", "scope": "per_label", "min": 0.9}]})
    numbers = Numbers(values={"recall": 0.5}, ground_truth=90)
    found = judge(policy, Measurement(fingerprint=Fingerprint(data="d"), per_label={label: numbers})).verdict

    assert found.results[0].subject == f"label {label}"
    for text in [found.results[0].text, *found.reasons, *rule_lines(found)]:
        assert text.isprintable()
    assert r"a\nPASS          f1-floor\x1b[2J \u202eb\x85 is 0.5" in found.reasons[0]
    assert len(rule_lines(verdict(result("a", "fail", text="\r\n\n")))) == 2
    assert all(line.isprintable() for line in rule_lines(verdict(result("a", "fail", text="\r\n\n"))))


def test_the_worst_rule_comes_first():
    """Whatever the order in the policy; a rule that warns after all that stop."""
    found = worst_first([
        result("a", "pass"),
        result("b", "insufficient"),
        result("c", "missing", severity="warn"),
        result("d", "fail"),
        result("e", "warn", severity="warn"),
        result("f", "missing"),
    ])

    assert [each.rule_id for each in found] == ["d", "f", "b", "c", "e", "a"]


def test_one_line_for_each_rule():
    """With its sentence; the headline counts."""
    lines = rule_lines(
        verdict(
            result("recall", "pass", text="recall 0.9 >= 0.8"), result("f1", "fail", text="f1 fell by 0.2")
        )
    )

    assert lines[0] == "Policy nightly: FAIL, stops the pipeline; 2 rules, 2 results: 1 fail, 1 pass"
    assert [line.split(maxsplit=2) for line in lines[1:]] == [
        ["FAIL", "f1", "f1 fell by 0.2"],
        ["PASS", "recall", "recall 0.9 >= 0.8"],
    ]


def test_a_rule_over_labels_shows_what_is_not_a_pass():
    """Ten of them, and how many more."""
    labels = [result("per-class", "fail" if n < 12 else "pass", subject=f"label {n:02}") for n in range(80)]
    lines = rule_lines(verdict(*labels))

    assert lines[1].endswith("80 results: 12 fail, 68 pass")
    assert lines[2].strip() == "- label 00 fail"
    assert len(lines) == 2 + 10 + 1
    assert lines[-1].strip() == "- and 2 more"


def test_undecided_reads_differently_from_fail_and_lines_are_cut():
    """An inconclusive verdict that goes on says both."""
    lines = rule_lines(
        verdict(result("f1", "insufficient", text="x" * 500), status="inconclusive", stopped=False), width=80
    )

    assert lines[0].startswith("Policy nightly: INCONCLUSIVE, goes on")
    assert max(map(len, lines)) == 80
    assert lines[1].endswith("…")


def test_a_policy_without_results_is_one_line():
    """Nothing to show is said."""
    assert rule_lines(verdict(status="pass", stopped=False)) == [
        "Policy nightly: PASS, goes on; 0 rules, 0 results: none"
    ]
