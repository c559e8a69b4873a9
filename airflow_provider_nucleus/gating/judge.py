"""Judging: a candidate's measurement against a policy and its baselines. Every rule is looked at before anything is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.gating.interval_source import IntervalSource
from airflow_provider_nucleus.gating.policy import policy_digest
from airflow_provider_nucleus.gating.rule_results import results_of
from airflow_provider_nucleus.gating.rule_table import reason_of, worst_first
from airflow_provider_nucleus.gating.sentences import undecided_labels
from airflow_provider_nucleus.gating.sides import Sides
from airflow_provider_nucleus.gating.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.gating.bounds import Interval
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.policy import Policy
    from airflow_provider_nucleus.gating.verdict import RuleResult, VerdictStatus

__all__ = ["judge"]


def judge(
    policy: Policy,
    candidate: Measurement,
    baseline: Measurement | None = None,
    *,
    reference: Measurement | None = None,
    accepted: Measurement | None = None,
    history: Sequence[Measurement] = (),
    intervals: Mapping[tuple[str, str], Interval] | None = None,
    judged_at: str | None = None,
) -> Judgement:
    """Hold *candidate* against *policy* and return the judgement: every result, and pass, fail or inconclusive.

    *baseline* was measured on the same items (the production model), *reference* is the pinned baseline, *accepted* the last accepted
    one; a rule says which it is against. *history* are the last accepted batches, the newest last. *intervals* are of differences from
    *baseline*, had elsewhere (AP, on a server), by metric and subject (`("ap", "overall")`, `("recall", "label person")`).

    Nothing is raised for what the measurements hold: a rule that cannot be decided says so in its result.
    """
    sides = Sides(
        candidate, baseline=baseline, reference=reference, accepted=accepted, history=tuple(history)
    )
    source = IntervalSource(policy, sides, intervals)
    results: list[RuleResult] = []
    for rule in policy.rules:
        results += results_of(rule, policy, sides, source)
    return Judgement(
        candidate=candidate, baseline=baseline, verdict=_verdict(policy, results), judged_at=judged_at
    )


def _verdict(policy: Policy, results: list[RuleResult]) -> Verdict:
    """Return what the results mean together: a failure before what is open, what is open before a pass."""
    deciding = [
        each for each in results if each.counted and (each.severity == "error" or policy.fail_on == "warn")
    ]
    states = {each.status for each in deciding}
    status: VerdictStatus = "pass"
    if states & {"fail", "warn"}:
        status = "fail"
    elif states & {"insufficient", "missing", "error"}:
        status = "inconclusive"
    stopped = policy.fail_on != "never" and (
        status == "fail" or (status == "inconclusive" and policy.on_inconclusive == "fail")
    )
    counted = [each for each in results if each.counted]
    return Verdict(
        status=status,
        stopped=stopped,
        policy=policy.name,
        policy_digest=policy_digest(policy),
        results=results,
        reasons=_reasons(policy, results),
        score=sum(each.status == "pass" for each in counted) / len(counted) if counted else None,
    )


def _reasons(policy: Policy, results: list[RuleResult]) -> list[str]:
    """Return a sentence for each result that is counted and no pass, the worst first, and one a rule for those not counted."""
    reasons = [reason_of(each) for each in worst_first(results) if each.counted and each.status != "pass"]
    for rule in policy.rules:
        listed = [
            each for each in results if each.rule_id == rule.id and not each.counted and each.status != "pass"
        ]
        subjects = list(dict.fromkeys(each.subject for each in listed))
        if subjects:
            reasons.append(undecided_labels(rule, subjects, reason="could not be judged alone"))
    return reasons
