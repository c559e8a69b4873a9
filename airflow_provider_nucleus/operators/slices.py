"""Slices: the batches of a dataset, found by name or created, and filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.links.nucleus import NucleusDatasetLink
from airflow_provider_nucleus.operators.base import NucleusOperator
from airflow_provider_nucleus.operators.rows import RowSource, as_path, check_mapping
from airflow_provider_nucleus.sources.mapping import as_mapping
from airflow_provider_nucleus.tasks.arguments import ID, IDS, MAPPING, SOURCE, TEXT, required
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label
from airflow_provider_nucleus.tasks.rendered_values import is_blank
from airflow_provider_nucleus.tasks.results import checked_xcom

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusCreateSliceOperator"]

_SOURCES: Final = ("source", "reference_ids", "query", "from_slice_id")


class NucleusCreateSliceOperator(NucleusOperator):
    """Return the slice of a dataset with a given name, creating it when there is none, with the given items in it.

    A slice is how a batch is kept apart in a dataset that grows: give each batch a name of its own, for example of its day. Items that
    the slice lacks are added, those it has stay; nothing is taken out of it. A retry, and several tasks at once, end with one slice.

    The items are named by exactly one of `source` (the file that the items were appended from, or any other whose rows have a
    `reference_id`), `reference_ids`, `query` and `from_slice_id`. Ids that the dataset does not have are an error. An empty
    list makes an empty slice.

    Returns `{"slice_id", "slice_name", "dataset_id", "items", "added", "created"}`.

    :param dataset_id: id of the dataset (templated)
    :param name: name of the slice, unique in its dataset (templated)
    :param source: path or URL of a file of rows with a `reference_id`, a folder or a glob, or a list of them; the images of a COCO
        file; or a short list of rows (templated)
    :param format: `jsonl`, `json`, `coco` or `parquet`; `auto` finds out per file (templated)
    :param mapping: how rows of another layout become ours, as for `NucleusAppendItemsOperator` (templated)
    :param reference_ids: list of reference ids (templated)
    :param query: items that Nucleus' query language selects, for example `metadata.day = "2026-12-01"` (templated)
    :param from_slice_id: id of another slice of the dataset, whose items are taken (templated)
    :param multiple_outputs: whether each key of the result is an XCom of its own, so that another task can take
        `create.output["slice_id"]`
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "dataset_id": required(ID),
        "name": required(TEXT),
        "source": SOURCE,
        "format": TEXT,
        "mapping": MAPPING,
        "reference_ids": IDS,
        "query": TEXT,
        "from_slice_id": ID,
        **NucleusOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = {"mapping": "json", "reference_ids": "json"}
    operator_extra_links: Sequence[BaseOperatorLink] = (NucleusDatasetLink(),)

    def __init__(
        self,
        *,
        dataset_id: str,
        name: str,
        source: Any = None,
        format: str = "auto",  # ruff: ignore[builtin-argument-shadowing] - the word users expect
        mapping: Mapping[str, Any] | None = None,
        reference_ids: Sequence[str] | None = None,
        query: str | None = None,
        from_slice_id: str | None = None,
        multiple_outputs: bool = True,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, multiple_outputs=multiple_outputs, **kwargs)
        self.dataset_id = dataset_id
        self.name = name
        self.source = source
        self.format = format
        self.mapping = mapping
        self.reference_ids = reference_ids
        self.query = query
        self.from_slice_id = from_slice_id
        check_mapping(self.mapping, kind="items")

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        return short_label(self.name)

    def execute(self, context: Context) -> dict[str, Any]:
        """Find or create the slice, and add what it lacks."""
        # An empty list is an empty batch, and not nothing.
        given = [name for name in _SOURCES if not is_blank(getattr(self, name))]
        self.read_arguments()
        if len(given) != 1:
            raise NucleusConfigError(
                f"Task {self.task_id!r}: give exactly one of {', '.join(_SOURCES[:-1])} and {_SOURCES[-1]}, not "
                f"{' and '.join(given) or 'none'}.",
                conn_id=self.nucleus_conn_id,
                field=given[-1] if given else _SOURCES[0],
                hint="If it is a template, look at what it renders to in the task's Rendered tab.",
            )
        self.link_to(context, dataset_id=self.dataset_id)
        made = self.hook.ensure_slice(self.dataset_id, self.name, self._references(given[0]))
        return checked_xcom({
            "slice_id": made.slice_id,
            "slice_name": self.name,
            "dataset_id": self.dataset_id,
            "items": made.items,
            "added": made.added,
            "created": made.created,
        })

    def _references(self, given: str) -> Iterable[str]:
        if given == "reference_ids":
            return self.reference_ids or ()
        if given == "source":
            rows = RowSource(
                source=as_path(self.source),
                kind="items",
                format=self.format or "auto",
                mapping=as_mapping(self.mapping),
            )
            return rows.reference_ids()
        if given == "query":
            found = self.hook.iter_queried_items(self.dataset_id, str(self.query))
        else:
            found = self.hook.iter_slice_items(str(self.from_slice_id))
        return (str(item.reference_id) for item in found)
