"""What another task returned is not an id: the error names the argument and how to take the id out."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.operators.datasets import NucleusDeleteDatasetOperator
from airflow_provider_nucleus.operators.evaluations import NucleusEvaluateModelOperator
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.metrics import NucleusCalculateMetricsOperator
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)
from airflow_provider_nucleus.sensors.evaluation import NucleusEvaluationSensor
from airflow_provider_nucleus.sensors.job import NucleusJobSensor
from tests.unit.operators.fakes import context

RETURNED = {"dataset_id": "ds_1", "model_id": "prj_1", "job_id": "job_1"}
EVALUATION = {"model_id": "prj_1", "benchmark_id": "bm_1"}
PREDICTIONS = {"dataset_id": "ds_1", "model_id": "prj_1", "source": []}


@pytest.mark.parametrize(
    ("operator", "arguments", "field"),
    [
        (NucleusAppendItemsOperator, {"source": []}, "dataset_id"),
        (NucleusUploadAnnotationsOperator, {"source": []}, "dataset_id"),
        (NucleusUploadPredictionsOperator, PREDICTIONS, "dataset_id"),
        (NucleusUploadPredictionsOperator, PREDICTIONS, "model_id"),
        (NucleusCalculateMetricsOperator, {"dataset_id": "ds_1"}, "model_id"),
        (NucleusDeleteDatasetOperator, {}, "dataset_id"),
        (NucleusEvaluateModelOperator, EVALUATION, "model_id"),
        (NucleusEvaluateModelOperator, EVALUATION, "benchmark_id"),
        (NucleusEvaluateModelOperator, EVALUATION, "dataset_id"),
        (NucleusJobSensor, {}, "job_id"),
        (NucleusEvaluationSensor, {}, "evaluation_id"),
    ],
)
def test_the_output_of_a_task_is_no_id(hook, operator, arguments, field):
    """Nothing is sent, and the hint says what to write."""
    task = operator(task_id="task", **(arguments | {field: RETURNED}))

    with pytest.raises(NucleusConfigError, match=f"Task 'task': {field} must be an id, not a dict") as raised:
        task.execute(context(task))

    assert f"task.output['{field}']" in str(raised.value)
