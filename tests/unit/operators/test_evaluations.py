"""The evaluation operator, before anything is sent."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
from tests.unit.operators.fakes import context


@pytest.mark.parametrize("threshold", [0, "0.0009", "1.5", "half", None])
def test_a_threshold_no_server_reads_at_is_refused_before_the_evaluation(hook, threshold):
    """The charts would refuse it after the evaluation has run; the message has the bounds."""
    task = NucleusEvaluateModelOperator(
        task_id="evaluate", model_id="prj_1", benchmark_id="bm_1", iou_threshold=threshold, deferrable=False
    )

    with pytest.raises(NucleusConfigError, match=r"iou_threshold must be a number from 0\.001 to 1"):
        task.execute(context(task))
