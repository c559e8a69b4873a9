"""Routes of models and model runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.call import Call, Refused, path_segment
from airflow_provider_nucleus.client.calls._read import as_is, text_list, text_member
from airflow_provider_nucleus.schema.base import require_object
from airflow_provider_nucleus.schema.models import Model, ModelRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "commit_model_run",
    "create_dataset_model_run",
    "create_model",
    "create_model_run",
    "delete_model",
    "delete_model_run",
    "get_model",
    "list_models",
    "model_run",
    "model_runs",
    "set_trained_slices",
    "tag_model",
    "unset_trained_slices",
    "untag_model",
]


def list_models() -> Call[list[Model]]:
    """List the models of the account."""

    def read(payload: Any) -> list[Model]:
        return [Model.from_wire(each) for each in require_object(payload, "the answer")["models"]]

    return Call("GET", "models/", read, "list models")


def create_model(
    name: str,
    *,
    reference_id: str,
    metadata: Mapping[str, Any] | None = None,
    bundle_name: str | None = None,
    tags: Sequence[str] = (),
    trained_slice_ids: Sequence[str] = (),
) -> Call[str]:
    """Create a model and return its id; a reference id that is taken raises NucleusRequestError."""
    body: dict[str, Any] = {"name": name, "reference_id": reference_id, "metadata": dict(metadata or {})}
    if trained_slice_ids:
        body["trained_slice_ids"] = list(trained_slice_ids)
    if bundle_name:
        body["bundle_name"] = bundle_name
    if tags:
        body["tags"] = list(tags)
    return Call(
        "POST",
        "models/add",
        lambda payload: _created(payload, "model_id"),
        f"create model {name!r} with reference id {reference_id!r}",
        body=body,
        repeatable=False,
    )


def _created(payload: Any, key: str) -> str:
    """Read an id; these routes report refusals in the body of a success."""
    answer = require_object(payload, "the answer")
    if not answer.get(key) and answer.get("error"):
        raise Refused(str(answer["error"]))
    return text_member(key)(answer)


def get_model(model_id: str) -> Call[Model]:
    """Return a model; the id of a run stands for its model."""
    return Call("GET", f"model/{path_segment(model_id)}", Model.from_wire, f"read model {model_id}")


def delete_model(model_id: str) -> Call[dict[str, Any]]:
    """Delete a model with its runs and predictions."""
    return Call("DELETE", f"model/{path_segment(model_id)}", as_is, f"delete model {model_id}", body={})


def tag_model(model_id: str, tags: Sequence[str]) -> Call[Any]:
    """Add tags to a model."""
    return _on_list("POST", model_id, "tag", {"tags": list(tags)}, "tag")


def untag_model(model_id: str, tags: Sequence[str]) -> Call[Any]:
    """Remove tags from a model; NucleusRequestError if it has none of them."""
    return _on_list("DELETE", model_id, "tag", {"tags": list(tags)}, "untag")


def set_trained_slices(model_id: str, slice_ids: Sequence[str]) -> Call[Any]:
    """Record the slices a model was trained on."""
    return _on_list(
        "POST", model_id, "trainedSliceId", {"trained_slice_ids": list(slice_ids)}, "set slices of"
    )


def unset_trained_slices(model_id: str, slice_ids: Sequence[str]) -> Call[Any]:
    """Remove slices from those a model was trained on."""
    return _on_list(
        "DELETE", model_id, "trainedSliceId", {"trained_slice_ids": list(slice_ids)}, "unset slices of"
    )


def _on_list(method: str, model_id: str, leaf: str, body: dict[str, Any], verb: str) -> Call[Any]:
    return Call(
        method, f"model/{path_segment(model_id)}/{leaf}", as_is, f"{verb} model {model_id}", body=body
    )


def model_runs(model_id: str, *, family: bool = False) -> Call[list[str]]:
    """List the ids of a model's runs, with `family` those of all its versions."""
    return Call(
        "GET",
        f"model/{path_segment(model_id)}/modelRun",
        text_list,
        f"list the runs of model {model_id}",
        params={"family": "true"} if family else None,
    )


def create_model_run(
    model_id: str, name: str, *, reference_id: str | None = None, metadata: Mapping[str, Any] | None = None
) -> Call[str]:
    """Create a run that is not tied to a dataset, and return its id."""
    return Call(
        "POST",
        f"model/{path_segment(model_id)}/modelRun/create",
        lambda payload: _created(payload, "model_run_id"),
        f"create run {name!r} of model {model_id}",
        body={"name": name, "reference_id": reference_id, "metadata": dict(metadata or {})},
        repeatable=False,
    )


def create_dataset_model_run(
    dataset_id: str, name: str, *, model_reference_id: str, metadata: Mapping[str, Any] | None = None
) -> Call[str]:
    """Create a run of a model, named by its reference id, on a dataset, and return its id."""
    return Call(
        "POST",
        f"dataset/{path_segment(dataset_id)}/modelRun/create",
        lambda payload: _created(payload, "model_run_id"),
        f"create run {name!r} of model {model_reference_id!r} on dataset {dataset_id}",
        body={"name": name, "reference_id": model_reference_id, "metadata": dict(metadata or {})},
        repeatable=False,
    )


def model_run(model_run_id: str) -> Call[ModelRun]:
    """Return what a run is."""
    path = f"modelRun/{path_segment(model_run_id)}/info"
    return Call("GET", path, ModelRun.from_wire, f"read model run {model_run_id}")


def delete_model_run(model_run_id: str) -> Call[Any]:
    """Delete a run with its predictions."""
    path = f"modelRun/{path_segment(model_run_id)}"
    return Call("DELETE", path, as_is, f"delete model run {model_run_id}", body={})


def commit_model_run(
    model_run_id: str,
    *,
    class_agnostic: bool = False,
    allowed_label_matches: Sequence[Mapping[str, Any]] | None = None,
) -> Call[dict[str, Any]]:
    """Match the predictions of a run with the ground truth, replacing earlier matches."""
    body: dict[str, Any] = {"class_agnostic": class_agnostic}
    if allowed_label_matches:
        body["allowed_label_matches"] = [dict(pair) for pair in allowed_label_matches]
    return Call(
        "POST",
        f"modelRun/{path_segment(model_run_id)}/commit",
        as_is,
        f"commit model run {model_run_id}",
        body=body,
    )
