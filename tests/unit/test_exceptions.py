"""The tree of errors: drawn, exported, picklable, helpful."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from airflow_provider_nucleus import exceptions

CLASSES = [each for _, each in inspect.getmembers(exceptions, inspect.isclass) if issubclass(each, Exception)]

ERRORS = [
    exceptions.NucleusError("a", hint="b"),
    exceptions.NucleusConfigError("a", conn_id="c", field="f"),
    exceptions.NucleusValidationError("x", "is wrong", row=3, source="s", hint="h"),
    exceptions.NucleusSourceError("is cut off", source="rows.jsonl.gz", hint="h"),
    exceptions.NucleusConnectionError("a", url="http://x", method="GET", attempts=3, conn_id="c"),
    exceptions.NucleusCertificateError("a", url="http://x", method="GET", attempts=1, conn_id="c"),
    *[
        getattr(exceptions, name)(
            "a", status=429, method="GET", url="u", body="b", retry_after=2.5, conn_id="c", hint="h"
        )
        for name in exceptions.__all__
        if issubclass(getattr(exceptions, name), exceptions.NucleusAPIError)
    ],
    *[
        getattr(exceptions, name)(
            "a", job_id="job_1", status="Errored", job_message={"a": 1}, errors=["e"], conn_id="c"
        )
        for name in exceptions.__all__
        if issubclass(getattr(exceptions, name), exceptions.NucleusJobError)
    ],
    exceptions.NucleusUploadError("a", summary={"rows": 1}, quarantine="q", job_ids=["job_1"]),
    exceptions.NucleusMetricsError("a", dataset_id="ds_1", model_id="prj_1", evaluation_id="evalv2_1"),
    exceptions.NucleusGateError("a", verdict="fail", reasons=["f1 fell"], judgement="j.json", hint="h"),
    exceptions.NucleusPolicyError("a", source="policy.yaml", rule="rule r", field="min", hint="h"),
    exceptions.NucleusEventError("a", hint="b"),
]


def test_every_error_is_exported_and_has_a_case_here():
    """A new class needs both."""
    assert sorted(exceptions.__all__) == sorted(each.__name__ for each in CLASSES)
    assert {type(error) for error in ERRORS} == set(CLASSES)


def test_the_tree_in_the_docstring_is_the_tree_in_the_code():
    """Names and indentation."""
    drawn = {}
    path: list[str] = []
    for line in inspect.getdoc(exceptions).splitlines():
        found = re.match(r"^([ │├└─]*)(Nucleus\w+)", line)
        if not found:
            continue
        depth = len(found.group(1)) // 4 - 1
        path = [*path[:depth], found.group(2)]
        drawn[found.group(2)] = path[-2] if len(path) > 1 else "Exception"

    assert {each.__name__: each.__bases__[0].__name__ for each in CLASSES} == drawn


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "copied", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy]
)
def test_an_error_survives_the_way_between_processes(error, copied):
    """With all it carries."""
    again = copied(error)

    assert type(error) is type(again)
    assert str(error) == str(again)
    assert error.__dict__ == again.__dict__


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_hint_follows_the_message(error):
    """What happened, then what to do, each a sentence."""
    message = error.message if error.message.endswith(".") else f"{error.message}."
    assert str(error) == (f"{message} {error.hint}" if error.hint else error.message)


def test_retryable_says_whether_the_same_attempt_may_succeed_later():
    """The base of retry policies."""
    retryable = {each.__name__ for each in CLASSES if each.retryable}

    assert {
        "NucleusConnectionError",
        "NucleusRateLimitError",
        "NucleusServerError",
        "NucleusSourceError",
        "NucleusJobTimeout",
    } == retryable
