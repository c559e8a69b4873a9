"""Models and their runs, as methods of the hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.calls import models
from airflow_provider_nucleus.client.model_runs import find_model_run
from airflow_provider_nucleus.hooks.routes.base import Routes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.schema.models import Model

__all__ = ["ModelRoutes"]


class ModelRoutes(Routes):
    """Models, and the runs that hold their predictions."""

    def list_models(self) -> list[Model]:
        """List the models of the account."""
        return self.send(models.list_models())

    def create_model(
        self,
        name: str,
        *,
        reference_id: str,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
    ) -> str:
        """Create a model and return its id; a reference id that is taken raises NucleusRequestError."""
        return self.send(models.create_model(name, reference_id=reference_id, metadata=metadata, tags=tags))

    def get_model(self, model_id: str) -> Model:
        """Return a model; the id of a run stands for its model."""
        return self.send(models.get_model(model_id))

    def delete_model(self, model_id: str) -> dict[str, Any]:
        """Delete a model with its runs and predictions."""
        return self.send(models.delete_model(model_id))

    def find_model_run(self, dataset_id: str, model_id: str) -> str:
        """Return the run that holds the model's predictions on the dataset; raises NucleusMetricsError if there is none."""
        return find_model_run(self.get_conn(), dataset_id, model_id)
