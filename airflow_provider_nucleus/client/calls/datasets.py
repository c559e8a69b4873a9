"""Routes of datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.call import Call, addressable, path_segment
from airflow_provider_nucleus.client.calls._read import as_is, list_of, member, text_list, text_member
from airflow_provider_nucleus.schema.models import Dataset, DatasetInfo, Slice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "add_taxonomy",
    "create_dataset",
    "dataset_class_labels",
    "dataset_info",
    "dataset_is_scene",
    "dataset_label_schema",
    "dataset_model_runs",
    "dataset_name",
    "dataset_size",
    "dataset_slices",
    "dataset_tags",
    "dataset_uses_privacy_mode",
    "delete_dataset",
    "delete_taxonomy",
    "list_datasets",
    "tag_dataset",
    "untag_dataset",
]


def list_datasets() -> Call[list[Dataset]]:
    """List the datasets this key can see."""
    return Call("GET", "dataset/details", list_of(Dataset.from_wire), "list datasets")


def create_dataset(
    name: str,
    *,
    is_scene: bool = False,
    use_privacy_mode: bool = False,
    annotation_metadata_schema: Mapping[str, Any] | None = None,
    item_metadata_schema: Mapping[str, Any] | None = None,
) -> Call[str]:
    """Create a dataset and return its id. Names need not be unique, so repeating this makes another dataset."""
    body = {
        "name": name,
        "is_scene": is_scene,
        "use_privacy_mode": use_privacy_mode,
        "annotation_metadata_schema": annotation_metadata_schema,
        "item_metadata_schema": item_metadata_schema,
    }
    return Call(
        "POST",
        "dataset/create",
        text_member("dataset_id"),
        f"create dataset {name!r}",
        body=body,
        repeatable=False,
    )


def delete_dataset(dataset_id: str) -> Call[dict[str, Any]]:
    """Delete a dataset with its items, annotations and predictions."""
    return Call(
        "DELETE", f"dataset/{path_segment(dataset_id)}", as_is, f"delete dataset {dataset_id}", body={}
    )


def dataset_name(dataset_id: str) -> Call[str]:
    """Return the name of a dataset."""
    return _get(dataset_id, "name", text_member("name"))


def dataset_is_scene(dataset_id: str) -> Call[bool]:
    """Say whether a dataset holds scenes instead of items."""
    return _get(dataset_id, "is_scene", lambda payload: bool(member("is_scene")(payload)))


def dataset_uses_privacy_mode(dataset_id: str) -> Call[bool]:
    """Say whether the images stay with the customer; items then need width and height."""
    return _get(dataset_id, "use_privacy_mode", lambda payload: bool(member("use_privacy_mode")(payload)))


def dataset_info(dataset_id: str) -> Call[DatasetInfo]:
    """Return a dataset in numbers."""
    return _get(dataset_id, "info", DatasetInfo.from_wire)


def dataset_size(dataset_id: str) -> Call[int]:
    """Return the number of items."""
    return _get(dataset_id, "size", lambda payload: int(member("count")(payload)))


def dataset_model_runs(dataset_id: str) -> Call[list[str]]:
    """List the ids of the model runs on a dataset."""
    return _get(dataset_id, "model_runs", text_list)


def dataset_slices(
    dataset_id: str, *, name: str | None = None, slice_type: str | None = None
) -> Call[list[Slice]]:
    """List the slices of a dataset."""
    params = {key: value for key, value in (("name", name), ("type", slice_type)) if value is not None}
    path = f"dataset/{path_segment(dataset_id)}/slices"
    read = list_of(Slice.from_wire)
    return Call("GET", path, read, f"list the slices of dataset {dataset_id}", params=params)


def dataset_label_schema(dataset_id: str) -> Call[dict[str, Any]]:
    """Return the labels in use: `{"gt_labels": [...], "prediction_labels": [...]}`."""
    return _get(dataset_id, "labelSchema", as_is)


def dataset_class_labels(dataset_id: str) -> Call[list[str]]:
    """List the distinct labels of the ground truth."""
    return _get(dataset_id, "class_labels", lambda payload: text_list(member("data")(payload)))


def dataset_tags(dataset_id: str) -> Call[list[str]]:
    """List the tags of a dataset."""
    return _get(dataset_id, "tags", _tags)


def tag_dataset(dataset_id: str, tags: Sequence[str]) -> Call[list[str]]:
    """Add tags and return all of them; those already there stay."""
    body = {"tags": list(tags)}
    return Call(
        "POST", f"dataset/{path_segment(dataset_id)}/tags", _tags, f"tag dataset {dataset_id}", body=body
    )


def untag_dataset(dataset_id: str, tags: Sequence[str]) -> Call[list[str]]:
    """Remove tags and return the remaining ones; absent ones are ignored."""
    body = {"tags": list(tags)}
    return Call(
        "DELETE", f"dataset/{path_segment(dataset_id)}/tags", _tags, f"untag dataset {dataset_id}", body=body
    )


def add_taxonomy(
    dataset_id: str,
    taxonomy_name: str,
    *,
    taxonomy_type: str = "category",
    labels: Sequence[str],
    update: bool = False,
) -> Call[dict[str, Any]]:
    """Create a taxonomy, or with `update` add labels to it."""
    # What could not be deleted again is not made.
    taxonomy_name = addressable(taxonomy_name, "taxonomy_name")
    body = {"taxonomy_name": taxonomy_name, "type": taxonomy_type, "labels": list(labels), "update": update}
    name = f"add taxonomy {taxonomy_name!r} to dataset {dataset_id}"
    return Call("POST", f"dataset/{path_segment(dataset_id)}/add_taxonomy", as_is, name, body=body)


def delete_taxonomy(dataset_id: str, taxonomy_name: str) -> Call[dict[str, Any]]:
    """Delete a taxonomy with its annotations and predictions."""
    path = f"dataset/{path_segment(dataset_id)}/taxonomy/{path_segment(taxonomy_name, 'taxonomy_name')}"
    return Call("DELETE", path, as_is, f"delete taxonomy {taxonomy_name!r} of dataset {dataset_id}", body={})


def _tags(payload: Any) -> list[str]:
    return text_list(member("tags")(payload))


def _get(dataset_id: str, leaf: str, parse: Any) -> Call[Any]:
    return Call(
        "GET", f"dataset/{path_segment(dataset_id)}/{leaf}", parse, f"read {leaf} of dataset {dataset_id}"
    )
