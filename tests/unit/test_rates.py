"""Rates and the words for those that are undefined: one arithmetic and one wording for engine, server, pages and tasks."""

import ast
from pathlib import Path

import numpy as np
import pytest

import airflow_provider_nucleus
from airflow_provider_nucleus import undefined_reasons
from airflow_provider_nucleus.rates import (
    f1_terms,
    harmonic_mean,
    mean_overlap_terms,
    precision_terms,
    quotient,
    recall_terms,
)

PACKAGE = Path(airflow_provider_nucleus.__file__).parent
COUNTS = [(0, 0, 0), (3, 1, 2), (0, 4, 0), (0, 0, 5), (7, 0, 0), (123_457, 99_991, 1_000_003)]


@pytest.mark.parametrize(("tp", "fp", "fn"), COUNTS)
def test_rates_of_counts_are_those_of_the_definition(tp, fp, fn):
    """Precision, recall and F1 as the field defines them; None over nothing."""
    assert quotient(*precision_terms(tp, tp + fp)) == (tp / (tp + fp) if tp + fp else None)
    assert quotient(*recall_terms(tp, tp + fn)) == (tp / (tp + fn) if tp + fn else None)
    assert quotient(*f1_terms(tp, tp + fp, tp + fn)) == (
        2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None
    )
    assert quotient(*mean_overlap_terms(tp * 0.75, tp)) == (0.75 if tp else None)


def test_columns_give_the_same_numbers_bit_for_bit():
    """The same functions over arrays: what one count gives, a column of counts gives."""
    tp, fp, fn = (np.array(column) for column in zip(*COUNTS[1:], strict=True))

    found = np.divide(*f1_terms(tp, tp + fp, tp + fn))

    assert [quotient(*f1_terms(*map(int, row))) for row in zip(tp, tp + fp, tp + fn, strict=True)] == (
        found.tolist()
    )


@pytest.mark.parametrize(
    ("precision", "recall", "expected"),
    [(None, 0.5, None), (0.5, None, None), (0.0, 0.0, 0.0), (0.5, 1.0, 2 / 3)],
)
def test_the_harmonic_mean_is_undefined_where_either_is(precision, recall, expected):
    """0 and 0 give 0, not a division by zero."""
    assert harmonic_mean(precision, recall) == expected


def test_reasons_are_put_together_in_one_order():
    """Size, label, and whether all of it is ignored."""
    assert undefined_reasons.no_ground_truth() == undefined_reasons.NO_GROUND_TRUTH
    assert (
        undefined_reasons.no_ground_truth(size="large", of_label=True, counted=True)
        == "no ground truth of large size of this label to be found"
    )
    assert undefined_reasons.no_confidence(of_label=True) == "no prediction of this label has a confidence"


def test_reasons_are_written_once():
    """No other module spells one of the reasons out, so that no two answers say the same differently."""
    reasons = {getattr(undefined_reasons, name) for name in undefined_reasons.__all__ if name.isupper()}
    reasons.add(undefined_reasons.no_confidence(of_label=True))
    written = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.value}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "undefined_reasons.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in reasons
    ]

    assert written == []
