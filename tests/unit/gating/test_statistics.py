"""Small simulations of the statistics; the large ones are `benchmarks/gate.py`, with their numbers in `benchmarks/results/gate.md`."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.policy import Policy, Rule
from benchmarks.gate_data import Scenario, simulated_pair

PAIRS = 40


def statuses(policy, scenario):
    """Return how often each rule came to each status, by what it gives to a verdict."""
    found = Counter()
    for seed in range(PAIRS):
        results = judge(policy, *simulated_pair(scenario, seed)).verdict.results
        for rule in policy.rules:
            states = {each.status for each in results if each.rule_id == rule.id and each.counted}
            found[rule.id, next(each for each in ("fail", "insufficient", "pass") if each in states)] += 1
    return found


@pytest.mark.parametrize("heavy", [False, True], ids=["Poisson", "heavy tails, whole items flip"])
def test_nothing_changed_and_no_drop_allowed_is_rarely_an_alarm(heavy):
    """Overall, and with 80 classes under control; without control the eighty alarm several times as often."""
    policy = Policy(
        rules=[
            Rule(id="overall", metric="recall", max_drop=0),
            *(
                Rule(id=control, metric="recall", scope="per_label", max_drop=0, multiplicity=control)
                for control in ("holm", "benjamini_hochberg", "none")
            ),
        ],
        replicates=200,
    )
    found = statuses(policy, Scenario(items=150, heavy=heavy, clustered=heavy))
    alarms = {rule.id: found[rule.id, "fail"] / PAIRS for rule in policy.rules}

    # 5 % is the stated level; 40 pairs are given three standard errors.
    assert alarms["overall"] <= 0.05 + 0.1
    assert alarms["holm"] <= alarms["benjamini_hochberg"] <= 0.05
    assert alarms["none"] > 2 * alarms["holm"]


def test_a_drop_is_seen_and_a_candidate_without_one_gets_through():
    """Recall lower by 0.06 where 0.01 is allowed; and eighty labels that lose nothing pass, though most are too rare alone."""
    policy = Policy(
        rules=[
            Rule(id="overall", metric="recall", max_drop=0.01),
            Rule(id="labels", metric="recall", scope="per_label", max_drop=0.05),
        ],
        replicates=200,
    )
    worse = statuses(policy, Scenario(items=300, drop=0.06))
    same = statuses(policy, Scenario(items=300))

    assert worse["overall", "fail"] >= 0.9 * PAIRS
    assert worse["overall", "pass"] == 0
    assert worse["labels", "pass"] <= 0.1 * PAIRS
    assert same["labels", "pass"] >= 0.95 * PAIRS
    assert same["overall", "fail"] == same["labels", "fail"] == 0


def test_labels_too_rare_to_lose_anything_visibly_are_no_pass():
    """Each of 80 labels is worse by 0.05, which is allowed: of those with 20 to 40 objects, a third shows no change at all."""
    passed = total = 0
    for seed in range(10):
        candidate, baseline = simulated_pair(Scenario(drop=0.05, flips=0.02), seed)
        names = [name for name, each in candidate.per_label.items() if 20 <= (each.ground_truth or 0) < 40]
        policy = Policy(
            rules=[Rule(id="r", metric="recall", scope="per_label", labels=names, max_drop=0.05)],
            replicates=200,
        )
        results = judge(policy, candidate, baseline).verdict.results
        passed += sum(each.status == "pass" for each in results)
        total += len(results)

    assert total > 100
    assert passed / total <= 0.025


def test_one_label_of_eighty_that_loses_much_is_no_pass():
    """Some 70 objects lose 0.25 of their recall where 0.05 is allowed, and the mean over eighty hardly moves."""
    policy = Policy(
        rules=[Rule(id="labels", metric="recall", scope="per_label", max_drop=0.05)], replicates=200
    )
    worse = statuses(policy, Scenario(drop=0.25, only_label=9))

    assert worse["labels", "pass"] <= 0.3 * PAIRS
    assert worse["labels", "fail"] >= 0.3 * PAIRS


@pytest.mark.parametrize("bound", ["max_drop", "max_relative_drop"])
def test_a_label_left_open_says_that_it_has_fallen(bound):
    """It is counted, named with its numbers, and the control that found it is told; those that are only listed are not."""
    opened = []
    for seed in range(6):
        policy = Policy(
            rules=[Rule(id="labels", metric="recall", scope="per_label", **{bound: 0.1})], replicates=200
        )
        verdict = judge(policy, *simulated_pair(Scenario(drop=0.3, only_label=9), seed)).verdict
        found = [each for each in verdict.results if each.status == "insufficient" and each.counted]
        opened += found
        assert all(each.subject == "label label 9" for each in found)
        if found and all(each.status != "fail" for each in verdict.results):
            assert verdict.status == "inconclusive"
            assert verdict.stopped
            assert verdict.reasons[0] == f"labels: {found[0].text}"
    assert opened
    for each in opened:
        assert each.difference < -0.1
        assert "looks like that by chance (Holm over " in each.text
        assert "but not that it is worse at all (Holm over " in each.text
