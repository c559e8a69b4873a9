"""Wait for jobs that something else started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, get_args

from airflow.providers.common.compat.sdk import PokeReturnValue

from airflow_provider_nucleus.client.job_outcome import OnPartial, is_gone
from airflow_provider_nucleus.links.nucleus import NucleusJobLink
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.sensors.base import NucleusWaitingSensor
from airflow_provider_nucleus.tasks.arguments import IDS, required
from airflow_provider_nucleus.tasks.labels import short_label
from airflow_provider_nucleus.tasks.results import checked_xcom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink

    from airflow_provider_nucleus.client.waiting import Patience, WaitOutcome
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind
    from airflow_provider_nucleus.triggers.events import WaitEvent

__all__ = ["NucleusJobSensor"]


class NucleusJobSensor(NucleusWaitingSensor):
    """Wait until jobs of the server have ended well.

    Raises NucleusJobFailed or NucleusJobCancelled, with the first row errors, when one has not; `soft_fail` is for the sensor's
    own `timeout` only. Both are the same whether the sensor pokes or is deferred. The sensor did not start the jobs, so it
    never cancels them.

    Returns `{"jobs": {<job id>: <status>}}`.

    :param job_id: the job to wait for, or several of them (templated)
    :param on_partial: whether a job that failed in part, or completed and refused rows, counts as `fail` or `succeed`
    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param ride_out: how long the server may be away while the sensor waits, in seconds or as timedelta; `timeout` still counts
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "job_id": required(IDS),
        **NucleusWaitingSensor.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    operator_extra_links: Sequence[BaseOperatorLink] = (NucleusJobLink(),)

    def __init__(
        self,
        *,
        job_id: str | Sequence[str],
        on_partial: OnPartial = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.on_partial = on_partial
        if on_partial not in get_args(OnPartial):
            raise ValueError(f"on_partial must be one of {get_args(OnPartial)}, not {on_partial!r}")

    @property
    def job_ids(self) -> list[str]:
        """The rendered jobs; raises NucleusConfigError when there are none."""
        self.read_arguments()
        return list(self.job_id)

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        return short_label(self.job_id)

    def ids(self) -> list[str]:
        """Return the jobs."""
        return self.job_ids

    def look(self, object_id: str) -> JobStatus:
        """Look at a job."""
        return self.hook.job_status(object_id)

    def wait_for(
        self, ids: Sequence[str], patience: Patience, *, earlier: WaitOutcome[JobStatus] | None = None
    ) -> WaitOutcome[JobStatus]:
        """Wait for jobs."""
        return self.hook.wait_for_jobs(ids, patience, earlier=earlier)

    def ended(self, event: WaitEvent) -> dict[str, JobStatus]:
        """Return the statuses that came with the event; what vanished is looked at again, for the server's own words."""
        statuses = {job_id: JobStatus.from_wire(status) for job_id, status in event.jobs.items()}
        return {
            job_id: self.look(job_id) if is_gone(status) else status for job_id, status in statuses.items()
        }

    def verdict(self, seen: Mapping[str, JobStatus]) -> PokeReturnValue:
        """Say whether all jobs have ended well; raises as soon as one has not."""
        for job_id, status in seen.items():
            if not status.state.terminal:
                continue
            failure = self.hook.job_failure(job_id, status, on_partial=self.on_partial)
            if failure is not None:
                raise failure
        done = all(status.state.terminal for status in seen.values())
        value = (
            checked_xcom({"jobs": {job_id: status.status for job_id, status in seen.items()}})
            if done
            else None
        )
        return PokeReturnValue(is_done=done, xcom_value=value)
