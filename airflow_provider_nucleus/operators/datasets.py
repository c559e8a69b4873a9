"""Datasets: found by name or created, and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusNotFoundError
from airflow_provider_nucleus.links.nucleus import NucleusDatasetLink
from airflow_provider_nucleus.operators.base import NucleusOperator
from airflow_provider_nucleus.tasks.arguments import FLAG, ID, OBJECT, TEXT, required
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label
from airflow_provider_nucleus.tasks.results import checked_xcom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusCreateDatasetOperator", "NucleusDeleteDatasetOperator"]

OnDuplicate = Literal["fail", "oldest", "newest"]


class NucleusCreateDatasetOperator(NucleusOperator):
    """Return the dataset with a given name, creating it when there is none.

    Nucleus lets several datasets have one name, and two runs starting at once may both create one; `on_duplicate` says what
    to do then. The default is to fail and name them, because uploading to the wrong one is worse.

    Returns `{"dataset_id", "name", "created", "is_scene"}`.

    :param name: name of the dataset (templated)
    :param is_scene: whether it holds scenes instead of single items; cannot be changed later, and a dataset found with
        the other kind is an error (templated)
    :param use_privacy_mode: create it in privacy mode, where image bytes stay with you (templated)
    :param annotation_metadata_schema: schema of the annotations' metadata, for a new dataset (templated)
    :param item_metadata_schema: schema of the items' metadata, for a new dataset (templated)
    :param on_duplicate: what to do when several datasets have the name: `fail`, or take the `oldest` or `newest`
    :param multiple_outputs: whether each key of the result is an XCom of its own, so that another task can take
        `create.output["dataset_id"]`
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "name": required(TEXT),
        "is_scene": FLAG,
        "use_privacy_mode": FLAG,
        "annotation_metadata_schema": OBJECT,
        "item_metadata_schema": OBJECT,
        **NucleusOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "annotation_metadata_schema": "json",
        "item_metadata_schema": "json",
    }
    operator_extra_links: Sequence[BaseOperatorLink] = (NucleusDatasetLink(),)

    def __init__(
        self,
        *,
        name: str,
        is_scene: bool | str = False,
        use_privacy_mode: bool | str = False,
        annotation_metadata_schema: Mapping[str, Any] | None = None,
        item_metadata_schema: Mapping[str, Any] | None = None,
        on_duplicate: OnDuplicate = "fail",
        multiple_outputs: bool = True,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, multiple_outputs=multiple_outputs, **kwargs)
        self.name = name
        self.is_scene = is_scene
        self.use_privacy_mode = use_privacy_mode
        self.annotation_metadata_schema = annotation_metadata_schema
        self.item_metadata_schema = item_metadata_schema
        if on_duplicate not in get_args(OnDuplicate):
            raise ValueError(f"on_duplicate must be one of {get_args(OnDuplicate)}, not {on_duplicate!r}")
        self.on_duplicate = on_duplicate

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        return short_label(self.name)

    def execute(self, context: Context) -> dict[str, Any]:
        """Find or create the dataset."""
        self.read_arguments()
        dataset_id = self._existing()
        created = dataset_id is None
        if dataset_id is None:
            dataset_id = self.hook.create_dataset(
                self.name,
                is_scene=bool(self.is_scene),
                use_privacy_mode=bool(self.use_privacy_mode),
                annotation_metadata_schema=self.annotation_metadata_schema or None,
                item_metadata_schema=self.item_metadata_schema or None,
            )
            self.log.info("Created dataset %s (%r)", dataset_id, self.name)
        else:
            self._same_kind(dataset_id, is_scene=bool(self.is_scene))
            self.log.info("Using dataset %s (%r)", dataset_id, self.name)
        self.link_to(context, dataset_id=dataset_id)
        return checked_xcom({
            "dataset_id": dataset_id,
            "name": self.name,
            "created": created,
            "is_scene": self.is_scene,
        })

    def _existing(self) -> str | None:
        found = [dataset.id for dataset in self.hook.list_datasets() if dataset.name == self.name]
        if len(found) > 1 and self.on_duplicate == "fail":
            raise NucleusConfigError(
                f"{len(found)} datasets are named {self.name!r}: {', '.join(found[:10])}.",
                conn_id=self.nucleus_conn_id,
                field="name",
                hint="Rename or delete all but one, or set on_duplicate to 'oldest' or 'newest'.",
            )
        if not found:
            return None
        # The listing has no times; both kinds of Nucleus list datasets in the order of their creation.
        return found[-1] if self.on_duplicate == "newest" else found[0]

    def _same_kind(self, dataset_id: str, *, is_scene: bool) -> None:
        if self.hook.dataset_is_scene(dataset_id) != is_scene:
            kinds = ("items", "scenes") if is_scene else ("scenes", "items")
            raise NucleusConfigError(
                f"Dataset {dataset_id} ({self.name!r}) exists and holds {kinds[0]}, not {kinds[1]}.",
                conn_id=self.nucleus_conn_id,
                field="is_scene",
                hint="Take another name; the kind of a dataset cannot be changed.",
            )


class NucleusDeleteDatasetOperator(NucleusOperator):
    """Delete a dataset with its items, annotations and predictions.

    Suits a teardown task: a dataset that is gone already is fine. Returns `{"dataset_id", "deleted"}`.

    :param dataset_id: id of the dataset (templated)
    :param missing_ok: whether a dataset that does not exist is fine, rather than an error
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "dataset_id": required(ID),
        **NucleusOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)

    def __init__(
        self,
        *,
        dataset_id: str,
        missing_ok: bool = True,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.dataset_id = dataset_id
        self.missing_ok = missing_ok

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        return short_label(self.dataset_id)

    def execute(self, context: Context) -> dict[str, Any]:  # ruff: ignore[unused-method-argument] - Airflow's signature
        """Delete the dataset."""
        self.read_arguments()
        try:
            self.hook.delete_dataset(self.dataset_id)
        except NucleusNotFoundError:
            if not self.missing_ok:
                raise
            self.log.info("Dataset %s does not exist (any more)", self.dataset_id)
            return {"dataset_id": self.dataset_id, "deleted": False}
        self.log.info("Deletion of dataset %s has begun", self.dataset_id)
        return {"dataset_id": self.dataset_id, "deleted": True}
