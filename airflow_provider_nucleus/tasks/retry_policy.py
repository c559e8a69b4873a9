"""The default retry policy of our operators on Airflow 3.3: whether a failed task is tried again.

The policy reads the real exception in the worker. It waits as long as the server asked for (`Retry-After`), does not
repeat what cannot succeed (a wrong key, an unknown id, a refused request), and leaves everything else to the task's own
`retries` and `retry_delay`. Below 3.3 there are no retry policies, and the task's own settings decide alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusAPIError,
    NucleusConfigError,
    NucleusError,
    NucleusGateError,
    NucleusPolicyError,
    NucleusValidationError,
)

__all__ = ["DEFAULT_RETRY_POLICY", "HAS_RETRY_POLICIES", "NucleusRetryPolicy", "with_retry_policy"]

HAS_RETRY_POLICIES = True
if TYPE_CHECKING:
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
else:
    try:
        from airflow.providers.common.compat.sdk import RetryDecision, RetryPolicy
    except ImportError:  # Airflow < 3.3
        HAS_RETRY_POLICIES, RetryPolicy = False, object

_NEVER_AGAIN = frozenset({400, 401, 403, 404, 405, 413, 415, 422})
"""Statuses that the same request will meet again; 408 and 409 may pass with time."""


class NucleusRetryPolicy(RetryPolicy):
    """Retry when the server says, fail at once when a retry would only repeat the answer."""

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # ruff: ignore[unused-method-argument] - Airflow's signature
        max_tries: int,  # ruff: ignore[unused-method-argument]
        context: Any = None,  # ruff: ignore[unused-method-argument]
    ) -> RetryDecision:
        """Return what to do about *exception*; pure, it runs after the failure in the worker."""
        if isinstance(exception, NucleusConfigError | NucleusPolicyError | NucleusValidationError):
            return RetryDecision.fail(f"a retry would repeat this: {exception}")
        if isinstance(exception, NucleusGateError):
            return RetryDecision.fail(f"a retry would come to the same verdict: {exception}")
        # Whatever its status, a Nucleus did not give it.
        if isinstance(exception, NucleusAPIError) and not isinstance(exception, NucleusAnswerError):
            if exception.status in _NEVER_AGAIN:
                return RetryDecision.fail(f"HTTP {exception.status}, a retry would repeat it: {exception}")
            if exception.retryable:
                delay = None if exception.retry_after is None else timedelta(seconds=exception.retry_after)
                return RetryDecision.retry(delay, reason=f"HTTP {exception.status} from Nucleus")
        if isinstance(exception, NucleusError) and exception.retryable:
            return RetryDecision.retry(reason=type(exception).__name__)
        return RetryDecision.default()


DEFAULT_RETRY_POLICY = NucleusRetryPolicy() if HAS_RETRY_POLICIES else None
"""The policy of our tasks unless told otherwise; None where Airflow knows no policies."""


def with_retry_policy(arguments: dict[str, Any], policy: Any) -> dict[str, Any]:
    """Return a task's *arguments* with *policy*, left out where Airflow would not know the argument."""
    return arguments | {"retry_policy": policy} if HAS_RETRY_POLICIES else arguments
