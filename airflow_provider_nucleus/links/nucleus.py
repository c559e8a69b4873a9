"""Extra links: from a task in Airflow's interface to the object it worked on in Nucleus.

The task stores the address under the link's own XCom key as soon as it knows the id (:func:`persist_links`), so that the
button works during the wait. Airflow asks every link again when the task process ends, after a deferral in a new process
that remembers nothing; a link therefore answers from that XCom and computes nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

from airflow_provider_nucleus.links.urls import page_urls

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

__all__ = [
    "NucleusDatasetLink",
    "NucleusEvaluationLink",
    "NucleusJobLink",
    "NucleusModelLink",
    "persist_links",
]


class _StoredLink(BaseOperatorLink):
    """A link whose address the task stored."""

    @property
    def xcom_key(self) -> str:
        return f"_link_{type(self).__name__}"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # ruff: ignore[unused-method-argument] - Airflow's signature
        return XCom.get_value(ti_key=ti_key, key=self.xcom_key) or ""


class NucleusDatasetLink(_StoredLink):
    """To the dataset a task worked on."""

    name = "Nucleus dataset"


class NucleusModelLink(_StoredLink):
    """To the model a task created or whose predictions it uploaded."""

    name = "Nucleus model"


class NucleusJobLink(_StoredLink):
    """To the server's job a task started or waited for; the last one when there are several."""

    name = "Nucleus job"


class NucleusEvaluationLink(_StoredLink):
    """To the evaluation of a model on a dataset."""

    name = "Nucleus evaluation"


def persist_links(
    context: Context,
    *,
    endpoint: str,
    dataset_id: str | None = None,
    model_id: str | None = None,
    job_id: str | None = None,
) -> None:
    """Store the addresses of the given objects for those links that the running task has.

    Does nothing for a task with ``do_xcom_push=False``: it asked for silence.
    """
    task: Any = context["task"]
    if not getattr(task, "do_xcom_push", True):
        return
    urls = page_urls(endpoint)
    addresses: dict[type[BaseOperatorLink], str] = {}
    if dataset_id:
        addresses[NucleusDatasetLink] = urls.dataset(dataset_id)
    if model_id:
        addresses[NucleusModelLink] = urls.model(model_id)
    if job_id:
        addresses[NucleusJobLink] = urls.job(job_id)
    if dataset_id and model_id:
        addresses[NucleusEvaluationLink] = urls.evaluation(dataset_id, model_id)
    for link in task.operator_extra_links:
        if address := addresses.get(type(link)):
            context["ti"].xcom_push(key=link.xcom_key, value=address)
