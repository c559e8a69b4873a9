"""Datasets, as methods of the hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.calls import datasets
from airflow_provider_nucleus.hooks.routes.base import Routes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.schema.models import Dataset, DatasetInfo

__all__ = ["DatasetRoutes"]


class DatasetRoutes(Routes):
    """Datasets: make, describe and delete them."""

    def list_datasets(self) -> list[Dataset]:
        """List the datasets this key can see, in order of creation."""
        return self.send(datasets.list_datasets())

    def create_dataset(
        self,
        name: str,
        *,
        is_scene: bool = False,
        use_privacy_mode: bool = False,
        annotation_metadata_schema: Mapping[str, Any] | None = None,
        item_metadata_schema: Mapping[str, Any] | None = None,
    ) -> str:
        """Create a dataset, whether or not another has its name, and return its id."""
        return self.send(
            datasets.create_dataset(
                name,
                is_scene=is_scene,
                use_privacy_mode=use_privacy_mode,
                annotation_metadata_schema=annotation_metadata_schema,
                item_metadata_schema=item_metadata_schema,
            )
        )

    def delete_dataset(self, dataset_id: str) -> dict[str, Any]:
        """Delete a dataset with everything in it."""
        return self.send(datasets.delete_dataset(dataset_id))

    def dataset_name(self, dataset_id: str) -> str:
        """Return the name of a dataset."""
        return self.send(datasets.dataset_name(dataset_id))

    def dataset_is_scene(self, dataset_id: str) -> bool:
        """Say whether a dataset holds scenes instead of items."""
        return self.send(datasets.dataset_is_scene(dataset_id))

    def dataset_uses_privacy_mode(self, dataset_id: str) -> bool:
        """Say whether the images stay with the customer."""
        return self.send(datasets.dataset_uses_privacy_mode(dataset_id))

    def dataset_info(self, dataset_id: str) -> DatasetInfo:
        """Return a dataset in numbers."""
        return self.send(datasets.dataset_info(dataset_id))

    def dataset_size(self, dataset_id: str) -> int:
        """Return the number of items."""
        return self.send(datasets.dataset_size(dataset_id))

    def dataset_model_runs(self, dataset_id: str) -> list[str]:
        """List the ids of the model runs on a dataset."""
        return self.send(datasets.dataset_model_runs(dataset_id))
