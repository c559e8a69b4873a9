"""Model runs: what Nucleus calls the predictions of one model on one dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_nucleus.client.calls import datasets, models
from airflow_provider_nucleus.exceptions import NucleusMetricsError

if TYPE_CHECKING:
    from airflow_provider_nucleus.client.sync import NucleusClient

__all__ = ["find_model_run"]


def find_model_run(client: NucleusClient, dataset_id: str, model_id: str) -> str:
    """Return the run that holds the model's predictions on the dataset; raises NucleusMetricsError if there is none."""
    for run_id in client.send(datasets.dataset_model_runs(dataset_id)):
        if client.send(models.get_model(run_id)).id == model_id:
            return run_id
    raise NucleusMetricsError(
        f"Dataset {dataset_id} has no run of model {model_id}.",
        dataset_id=dataset_id,
        model_id=model_id,
        conn_id=client.config.conn_id,
        hint="Upload the model's predictions first.",
    )
