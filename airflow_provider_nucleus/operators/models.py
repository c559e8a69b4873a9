"""Models: found by reference id or created."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_nucleus.exceptions import NucleusAnswerError, NucleusConfigError, NucleusRequestError
from airflow_provider_nucleus.links.nucleus import NucleusModelLink
from airflow_provider_nucleus.operators.base import NucleusOperator
from airflow_provider_nucleus.tasks.arguments import OBJECT, TEXT, TEXTS, required
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label
from airflow_provider_nucleus.tasks.results import checked_xcom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.schema.models import Model
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusCreateModelOperator"]


class NucleusCreateModelOperator(NucleusOperator):
    """Return the model with a given reference id, creating it when there is none.

    A reference id is unique in the account, so two tasks that create it at once end with the same model. An existing
    model is left as it is; its name or metadata may differ from the arguments, which the log says.

    Returns `{"model_id", "reference_id", "name", "created"}`.

    :param reference_id: your own id of the model (version), for example `detector-2026-11-23` (templated)
    :param name: name for a new model; the reference id when not given (templated)
    :param metadata: metadata for a new model, JSON (templated)
    :param tags: tags for a new model (templated)
    :param multiple_outputs: whether each key of the result is an XCom of its own, so that another task can take
        `create.output["model_id"]`
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "reference_id": required(TEXT),
        "name": TEXT,
        "metadata": OBJECT,
        "tags": TEXTS,
        **NucleusOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = {"metadata": "json", "tags": "json"}
    operator_extra_links: Sequence[BaseOperatorLink] = (NucleusModelLink(),)

    def __init__(
        self,
        *,
        reference_id: str,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] | None = None,
        multiple_outputs: bool = True,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, multiple_outputs=multiple_outputs, **kwargs)
        self.reference_id = reference_id
        self.name = name
        self.metadata = metadata
        self.tags = tags

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        return short_label(self.reference_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Find or create the model."""
        self.read_arguments()
        model = self._existing()
        created = model is None
        if model is None:
            model_id, name, created = self._create()
        else:
            model_id, name = model.id, model.name
        self.log.info("%s model %s (%r)", "Created" if created else "Using", model_id, self.reference_id)
        if not created and (existing := model or self._existing()) is not None:
            self._warn_of_differences(existing)
        self.link_to(context, model_id=model_id)
        return checked_xcom({
            "model_id": model_id,
            "reference_id": self.reference_id,
            "name": name,
            "created": created,
        })

    def _warn_of_differences(self, model: Model) -> None:
        """Say what of the arguments the existing model does not have; the contract has no way to change a model's metadata."""
        if self.name and model.name != self.name:
            self.log.warning("The existing model is named %r, not %r", model.name, self.name)
        stored = model.metadata or {}
        differing = sorted(key for key, value in (self.metadata or {}).items() if stored.get(key) != value)
        if differing:
            self.log.warning(
                "The existing model %s keeps its metadata: %s differ from this task's, and cannot be changed. Give the new version "
                "a reference_id of its own",
                model.id,
                ", ".join(differing),
            )

    def _create(self) -> tuple[str, str, bool]:
        """Return id, name, and whether this task created the model or met another that was faster."""
        name = self.name or self.reference_id
        try:
            model_id = self.hook.create_model(
                name,
                reference_id=self.reference_id,
                metadata=dict(self.metadata or {}),
                tags=list(self.tags or ()),
            )
        except (NucleusRequestError, NucleusAnswerError):
            other = self._existing()
            if other is None:
                raise
            return other.id, other.name, False
        return model_id, name, True

    def _existing(self) -> Model | None:
        found = [model for model in self.hook.list_models() if model.reference_id == self.reference_id]
        if len(found) > 1:
            raise NucleusConfigError(
                f"{len(found)} models have the reference id {self.reference_id!r}: "
                f"{', '.join(model.id for model in found[:10])}.",
                conn_id=self.nucleus_conn_id,
                field="reference_id",
                hint="Delete all but one of them; a reference id names one model.",
            )
        return found[0] if found else None
