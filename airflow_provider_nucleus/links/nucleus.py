"""Extra links: from a task in Airflow's interface to the object it worked on in Nucleus.

The task stores the address under the link's own XCom key as soon as it knows the id (`persist_links`), so that the
button works during the wait. Airflow asks every link again when the task process ends, after a deferral in a new process
that remembers nothing; a link therefore answers from that XCom and computes nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

from airflow_provider_nucleus.tasks.templates import BEGUN

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

    from airflow_provider_nucleus.links.urls import PageUrls

__all__ = [
    "RESUMED",
    "NucleusDatasetLink",
    "NucleusEvaluationLink",
    "NucleusJobLink",
    "NucleusModelLink",
    "NucleusReportLink",
    "persist_address",
    "persist_links",
]


_STORED = "_nucleus_links"
"""Attribute of a task with the addresses this process stored; asking the database for the others would log an error each."""

RESUMED = "_nucleus_resumed"
"""Attribute that is true in a process that goes on after a deferral: what it did not store, an earlier one may have."""


class _StoredLink(BaseOperatorLink):
    """A link whose address the task stored."""

    @property
    def xcom_key(self) -> str:
        return f"_link_{type(self).__name__}"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address the task stored, empty when it never came to that."""
        stored = getattr(operator, _STORED, {})
        here = getattr(operator, BEGUN, False) and not getattr(operator, RESUMED, False)
        if self.xcom_key in stored or here or not getattr(operator, "do_xcom_push", True):
            return str(stored.get(self.xcom_key, ""))
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
    """To the evaluation of a model on a dataset, as the task's own calculation found it once that has begun."""

    name = "Nucleus evaluation"


class NucleusReportLink(_StoredLink):
    """To the report of a judgement, where a browser finds it."""

    name = "Nucleus report"


def persist_address(task: Any, context: Context, link: type[BaseOperatorLink], address: str) -> None:
    """Store the address of one link of the running task; nothing for a task with `do_xcom_push=False`."""
    if not getattr(task, "do_xcom_push", True):
        return
    stored: dict[str, str] = getattr(task, _STORED, {})
    key = f"_link_{link.__name__}"
    if stored.get(key) != address:
        context["ti"].xcom_push(key=key, value=address)
        stored[key] = address
    setattr(task, _STORED, stored)


def persist_links(
    task: Any,
    context: Context,
    *,
    urls: PageUrls,
    dataset_id: str | None = None,
    model_id: str | None = None,
    job_id: str | None = None,
    iou_threshold: float | None = None,
    calculation: str | None = None,
) -> None:
    """Store the addresses of the given objects for those links that the running task has.

    An evaluation is addressed at its threshold and calculation (the id of its job). `task` is the operator that runs, which
    Airflow asks at its end. In Airflow 3.0 that of the context is another copy. Does nothing for a task with
    `do_xcom_push=False`: it asked for silence.
    """
    if not getattr(task, "do_xcom_push", True):
        return
    addresses: dict[type[BaseOperatorLink], str] = {}
    if dataset_id:
        addresses[NucleusDatasetLink] = urls.dataset(dataset_id)
    if model_id:
        addresses[NucleusModelLink] = urls.model(model_id)
    if job_id:
        addresses[NucleusJobLink] = urls.job(job_id)
    if dataset_id and model_id:
        addresses[NucleusEvaluationLink] = urls.evaluation(
            dataset_id, model_id, iou_threshold=iou_threshold, calculation=calculation
        )
    stored: dict[str, str] = getattr(task, _STORED, {})
    for link in task.operator_extra_links:
        address = addresses.get(type(link))
        if address and stored.get(link.xcom_key) != address:
            context["ti"].xcom_push(key=link.xcom_key, value=address)
            stored[link.xcom_key] = address
    setattr(task, _STORED, stored)
