"""Statistics and speed of the gate, by simulation: how often it alarms when nothing changed, how often it sees what did.

Pairs of measurements are simulated on the same items (`gate_data.py` says how) and judged as any other, a thousand for each row.
"False alarm" is a result `fail` where neither model is better; with no drop allowed, the strictest there is. "Wrong pass" is a result
`pass` where the candidate is worse by just as much as is allowed.

"Opened" is a rule over all labels that a label found worse leaves open, though it is not shown to be worse than is allowed.

    OMP_NUM_THREADS=1 python benchmarks/gate.py [--pairs 1000] [--processes 2] [--only alarms opened power labels passes speed]

With 5,000 items a row has a tenth of the pairs, and each point of the curve over labels a tenth, or a twentieth. `--only` takes parts one by one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.multiplicity import adjusted_levels
from airflow_provider_nucleus.gating.policy import Policy, Rule
from airflow_provider_nucleus.gating.resampling import PairedDraws
from benchmarks.gate_data import Scenario, simulated_pair

SCENARIOS = {
    "500 items, Poisson": Scenario(),
    "500 items, heavy-tailed, whole items flip": Scenario(heavy=True, clustered=True),
    "60 items, heavy-tailed, whole items flip": Scenario(items=60, heavy=True, clustered=True),
    "500 items, one object in fifty flips": Scenario(flips=0.02),
    "500 items, three objects in ten flip": Scenario(flips=0.3),
    "5,000 items, Poisson": Scenario(items=5000),
}
NO_DROP = Policy(
    rules=[
        Rule(id="recall", metric="recall", max_drop=0),
        Rule(id="f1", metric="f1", max_drop=0),
        Rule(id="80, Holm", metric="recall", scope="per_label", max_drop=0),
        Rule(id="80, BH", metric="recall", scope="per_label", max_drop=0, multiplicity="benjamini_hochberg"),
        Rule(id="80, none", metric="recall", scope="per_label", max_drop=0, multiplicity="none"),
    ]
)
OVERALL = Policy(rules=[Rule(id="recall", metric="recall", max_drop=0.01)])
LABELS = Policy(
    rules=[
        Rule(id="Holm", metric="recall", scope="per_label", max_drop=0.05),
        Rule(id="BH", metric="recall", scope="per_label", max_drop=0.05, multiplicity="benjamini_hochberg"),
    ]
)
CURVE = [
    *((500, 2, drop) for drop in (0.1, 0.15, 0.2)),
    *((500, 9, drop) for drop in (0.1, 0.15, 0.2, 0.3)),
    *((500, 19, drop) for drop in (0.2, 0.3, 0.4)),
    *((5000, label, drop) for label, drop in ((9, 0.1), (9, 0.15), (39, 0.15), (39, 0.2))),
]
"""Items, the label that loses, by its place among the most frequent, and what it loses."""


def outcomes(policy: Policy, scenario: Scenario, seed: int) -> list[str]:
    """Judge one pair; return `rule: status` of each rule, and of a rule over labels the status it gives to a verdict."""
    candidate, baseline = simulated_pair(scenario, seed)
    results = judge(policy, candidate, baseline).verdict.results
    found = []
    for rule in policy.rules:
        states = {each.status for each in results if each.rule_id == rule.id and each.counted}
        worst = next(each for each in ("fail", "missing", "insufficient", "pass") if each in states)
        found.append(f"{rule.id}: {worst}")
        if worst == "insufficient" and any(
            each.subject.startswith("label ") and each.status == worst and each.counted
            for each in results
            if each.rule_id == rule.id
        ):
            found.append(f"{rule.id}: opened")
    return found


def label_outcomes(drop: float, scenario: Scenario, seed: int) -> list[str]:
    """Judge every label by its name; return `support: status` of each, by ranges of support."""
    candidate, baseline = simulated_pair(scenario, seed)
    names = sorted(candidate.per_label)
    policy = Policy(
        rules=[Rule(id="r", metric="recall", scope="per_label", labels=names, max_drop=drop, min_support=1)]
    )
    found = []
    for each in judge(policy, candidate, baseline).verdict.results:
        low = next((edge for edge in (320, 160, 80, 40, 20) if (each.support or 0) >= edge), 0)
        if low:
            found += [f"{low}: {each.status}", f"{low}: all"]
    return found


def counted(function, scenario: Scenario, options) -> Counter:
    """Return how often each outcome came of many pairs."""
    total: Counter = Counter()
    with multiprocessing.Pool(options.processes) as pool:
        for found in pool.imap_unordered(partial(function, scenario), range(options.pairs), chunksize=10):
            total.update(found)
    return total


def _of_policy(policy: Policy, scenario: Scenario, options) -> Counter:
    return counted(partial(_swapped, outcomes, policy), scenario, options)


def _swapped(function, first, scenario: Scenario, seed: int) -> list[str]:
    return function(first, scenario, seed)


def fewer(scenario: Scenario, options, part: int = 1):
    """Return the options with as many pairs as a row of this scenario has."""
    pairs = options.pairs // (part if scenario.items < 5000 else max(2 * part, 10))
    return argparse.Namespace(**{**vars(options), "pairs": max(1, pairs)})


def share(count: int, pairs: int) -> str:
    """Return a share in percent."""
    return f"{100 * count / max(1, pairs):.1f} %"


def alarms(options) -> None:
    """Print the false alarms of candidates that are not worse."""
    ids = [rule.id for rule in NO_DROP.rules]
    print("\n## False alarms: nothing changed, no drop allowed\n")
    print(f"| pairs | {' | '.join(ids)} |\n|---|{'---|' * len(ids)}")
    for name, scenario in SCENARIOS.items():
        few = fewer(scenario, options)
        found = _of_policy(NO_DROP, scenario, few)
        shares = " | ".join(share(found[f"{each}: fail"], few.pairs) for each in ids)
        print(f"| {name}, {few.pairs:,} pairs | {shares} |", flush=True)


def fallen_labels(scenario: Scenario, seed: int) -> list[str]:
    """Return the controls by which some label of a pair has fallen at all, without drawing anything."""
    candidate, baseline = simulated_pair(scenario, seed)
    draws = PairedDraws(candidate, baseline, replicates=1, seed=0)
    levels = []
    for name, numbers in candidate.per_label.items():
        key = ("label", name, "")
        if (numbers.ground_truth or 0) >= 20 and draws.knows(key) and draws.items_behind("recall", key) >= 5:
            levels.append(draws.tail("recall", key, at=0.0, relative=False, alone=False, above=True))
    controls = ("holm", "benjamini_hochberg", "none")
    return [each for each in controls if min(adjusted_levels(levels, each), default=1.0) <= 0.05]


def opened(options) -> None:
    """Print how often a label of a candidate that is not worse seems to have fallen, and how often one leaves a rule open."""
    print("\n## Nothing changed: some label of eighty seems to have fallen\n")
    print(
        "At most so often a label leaves its rule open, whatever drop is allowed; it must also lie beyond it.\n"
    )
    print("| pairs | Holm | BH | no control |\n|---|---|---|---|")
    for name, scenario in SCENARIOS.items():
        few = fewer(scenario, options)
        found = counted(fallen_labels, scenario, few)
        shares = " | ".join(share(found[each], few.pairs) for each in ("holm", "benjamini_hochberg", "none"))
        print(f"| {name}, {few.pairs:,} pairs | {shares} |", flush=True)
    few = argparse.Namespace(**{**vars(options), "pairs": options.pairs // 10})
    found = _of_policy(LABELS, Scenario(drop=0.03), few)
    print(
        f"\nEvery label loses 0.03 where 0.05 is allowed, {few.pairs} pairs: Holm {share(found['Holm: fail'], few.pairs)} fail, "
        f"{share(found['Holm: opened'], few.pairs)} opened by a label, {share(found['Holm: pass'], few.pairs)} pass, the rest is open "
        "by the interval of the mean."
    )


def power(options) -> None:
    """Print what comes of candidates that are worse by a stated drop."""
    print("\n## Power: all labels lose, a drop of 0.01 is allowed\n")
    print("| items | true drop of recall | fail | inconclusive | pass |\n|---|---|---|---|---|")
    for items, drop in [
        (500, 0),
        (500, 0.02),
        (500, 0.03),
        (500, 0.05),
        (5000, 0),
        (5000, 0.02),
        (5000, 0.03),
    ]:
        few = fewer(Scenario(items=items), options)
        found = _of_policy(OVERALL, Scenario(items=items, drop=drop), few)
        shares = " | ".join(
            share(found[f"recall: {each}"], few.pairs) for each in ("fail", "insufficient", "pass")
        )
        print(f"| {items:,} | {drop} | {shares} |", flush=True)


def labels(options) -> None:
    """Print what comes of candidates of whose eighty labels one is worse, by its objects and by what it loses."""
    print("\n## Power: one label of eighty loses, a drop of 0.05 is allowed\n")
    print(
        "| items | objects of the label | its true drop | pairs | Holm: fail | Holm: inconclusive | Holm: pass | BH: fail | BH: pass |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    whole = sum(1 / place for place in range(1, 81))
    for items, label, drop in CURVE:
        scenario = Scenario(items=items, drop=drop, only_label=label)
        few = fewer(scenario, options, 10)
        found = _of_policy(LABELS, scenario, few)
        kinds = ("Holm: fail", "Holm: insufficient", "Holm: pass", "BH: fail", "BH: pass")
        shares = " | ".join(share(found[each], few.pairs) for each in kinds)
        objects = round(7 * items / whole / (label + 1), -1)
        print(f"| {items:,} | {objects:.0f} | {drop} | {few.pairs} | {shares} |", flush=True)


def passes(options) -> None:
    """Print how often a label passes by its own interval that is worse by just as much as is allowed."""
    print("\n## Wrong passes: every label is worse by just what is allowed\n")
    print("Labels that a rule names, each judged alone; at most 2.5 % is wanted.\n")
    print(
        "| drop allowed and true | 20-39 objects | 40-79 | 80-159 | 160-319 | 320 and more |\n|---|---|---|---|---|---|"
    )
    few = argparse.Namespace(**{**vars(options), "pairs": options.pairs // 5})
    for drop in (0.02, 0.05, 0.1):
        found = counted(partial(_swapped, label_outcomes, drop), Scenario(drop=drop), few)
        shares = [share(found[f"{edge}: pass"], found[f"{edge}: all"]) for edge in (20, 40, 80, 160, 320)]
        print(f"| {drop} | {' | '.join(shares)} |", flush=True)


def speed(options) -> None:  # ruff: ignore[unused-function-argument]
    """Print how long a judgement takes."""
    print("\n## Speed: recall of 80 labels with intervals, 1,000 draws, one process\n")
    print("| items | objects to be found | seconds |\n|---|---|---|")
    policy = Policy(rules=[LABELS.rules[0]])
    for items in (500, 5000, 50_000):
        candidate, baseline = simulated_pair(replace(SCENARIOS["500 items, Poisson"], items=items), 1)
        began = time.perf_counter()
        judge(policy, candidate, baseline)
        seconds = time.perf_counter() - began
        print(f"| {items:,} | {candidate.coverage.ground_truth:,} | {seconds:.2f} |", flush=True)


PARTS = {
    "alarms": alarms,
    "opened": opened,
    "power": power,
    "labels": labels,
    "passes": passes,
    "speed": speed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=list(PARTS))
    options = parser.parse_args()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg()[:2])
    print("# The gate: false alarms, power, speed\n")
    print(
        f"`python benchmarks/gate.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, load average of the last minutes {load}. {options.pairs:,} simulated pairs a row (a tenth "
        "with 5,000 items), level 95 % two-sided, so 2.5 % on the side of an alarm; a share of 2.5 % of 1,000 has a standard error of 0.5."
    )
    for name in options.only:
        PARTS[name](options)


if __name__ == "__main__":
    main()
