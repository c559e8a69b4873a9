"""Items and scenes, as methods of the hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.calls import items, scenes
from airflow_provider_nucleus.hooks.routes.base import Routes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_nucleus.client.content import Content
    from airflow_provider_nucleus.schema.exports import ExportRow, ItemWithAnnotations
    from airflow_provider_nucleus.schema.items import DatasetItem
    from airflow_provider_nucleus.schema.jobs import Job
    from airflow_provider_nucleus.schema.scenes import LidarScene

__all__ = ["ItemRoutes"]


class ItemRoutes(Routes):
    """Items with their ground truth, and lidar scenes."""

    def iter_items(self, dataset_id: str, *, page_size: int = 10_000) -> Iterator[DatasetItem]:
        """Yield the items in order of insertion, a page at a time."""
        return self.get_conn().pages(items.items_page(dataset_id, page_size=page_size))

    def item_by_index(self, dataset_id: str, index: int) -> ItemWithAnnotations:
        """Return the item inserted as number *index*, from 0, with its ground truth."""
        return self.send(items.item_by_index(dataset_id, index))

    def item_by_reference(self, dataset_id: str, reference_id: str) -> ItemWithAnnotations:
        """Return the item with a reference id, with its ground truth."""
        return self.send(items.item_by_reference(dataset_id, reference_id))

    def item_by_id(self, dataset_id: str, dataset_item_id: str) -> ItemWithAnnotations:
        """Return the item with an id of Nucleus, with its ground truth."""
        return self.send(items.item_by_id(dataset_id, dataset_item_id))

    def delete_item(self, dataset_id: str, reference_id: str) -> Any:
        """Delete an item with its annotations and predictions."""
        return self.send(items.delete_item(dataset_id, reference_id))

    def iter_export(self, dataset_id: str, *, page_size: int = 10_000) -> Iterator[ExportRow]:
        """Yield every item with all its ground truth, a page at a time."""
        return self.get_conn().pages(items.export_page(dataset_id, page_size=page_size))

    def list_scenes(self, dataset_id: str) -> Sequence[dict[str, Any]]:
        """List the scenes of a dataset."""
        return self.send(scenes.list_scenes(dataset_id))

    def lidar_scene(self, dataset_id: str, reference_id: str) -> LidarScene:
        """Return a lidar scene."""
        return self.send(scenes.lidar_scene(dataset_id, reference_id))

    def append_lidar_scenes(self, dataset_id: str, scenes_file: Content, *, update: bool = False) -> Job:
        """Hand over a file of lidar scenes (one wire object a line) and start the job that takes them in."""
        request_id = items.new_request_id()
        self.send(items.put_signed(self.send(items.signed_url(dataset_id, request_id)), scenes_file))
        return self.send(scenes.start_append_lidar_scenes(dataset_id, request_id, update=update))
