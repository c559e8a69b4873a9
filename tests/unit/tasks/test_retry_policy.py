"""Which failures a retry can mend."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_nucleus.exceptions import (
    NucleusAuthError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusGateError,
    NucleusJobFailed,
    NucleusNotFoundError,
    NucleusPolicyError,
    NucleusRateLimitError,
    NucleusRequestError,
    NucleusServerError,
    NucleusSourceError,
    NucleusValidationError,
)
from airflow_provider_nucleus.tasks.retry_policy import DEFAULT_RETRY_POLICY

RetryAction = pytest.importorskip(
    "airflow.sdk.definitions.retry_policy", reason="policies come with Airflow 3.3"
).RetryAction


def decide(error: BaseException):
    """Ask the default policy."""
    policy = DEFAULT_RETRY_POLICY
    assert policy is not None
    return policy.evaluate(error, 1, 3)


@pytest.mark.parametrize(
    "error",
    [
        NucleusAuthError("no", status=401),
        NucleusAuthError("no", status=403),
        NucleusNotFoundError("gone", status=404),
        NucleusRequestError("bad", status=422),
        NucleusConfigError("incomplete"),
        NucleusValidationError("label", "is empty", row=3),
        NucleusGateError("the policy stops the pipeline", verdict="fail"),
        NucleusPolicyError("there are no rules", source="policy.yaml"),
    ],
)
def test_hopeless_failures_are_not_retried(error):
    """A wrong key, an unknown id or a refused request fails at once, with the reason."""
    decision = decide(error)

    assert RetryAction.FAIL is decision.action
    assert str(error) in decision.reason


@pytest.mark.parametrize("kind", [NucleusRateLimitError, NucleusServerError])
def test_retry_after_sets_the_delay(kind):
    """The server's own delay replaces the task's."""
    decision = decide(kind("wait", status=503, retry_after=42.0))

    assert (RetryAction.RETRY, timedelta(seconds=42)) == (decision.action, decision.retry_delay)


@pytest.mark.parametrize(
    "error", [NucleusConnectionError("away"), NucleusSourceError("is cut off", source="s3://b/rows.jsonl.gz")]
)
def test_what_is_out_of_reach_is_retried_with_the_tasks_delay(error):
    """A connection or a file may come; when is the task's own setting."""
    decision = decide(error)

    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, None)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("bug"), NucleusJobFailed("bad rows", job_id="job_1"), NucleusRequestError("x", status=409)],
)
def test_everything_else_is_left_to_the_task(error):
    """What may or may not pass follows the task's own retries."""
    assert RetryAction.DEFAULT is decide(error).action
