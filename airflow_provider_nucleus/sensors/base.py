"""What the sensors share: looking, deferring, and what failed looks and a passed deadline mean."""

from __future__ import annotations

import time
from abc import abstractmethod
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_nucleus.client.polling import may_pass
from airflow_provider_nucleus.client.stalled import StalledJobs
from airflow_provider_nucleus.exceptions import NucleusError, NucleusJobTimeout
from airflow_provider_nucleus.hooks.connection_form import DEFAULT_CONN_ID
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.links.nucleus import RESUMED, persist_links
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.tasks.deferring import DEFERRAL_GRACE, default_deferrable, deferral_timed_out
from airflow_provider_nucleus.tasks.labels import MAP_LABEL
from airflow_provider_nucleus.tasks.retry_policy import DEFAULT_RETRY_POLICY, with_retry_policy
from airflow_provider_nucleus.triggers.events import WaitEvent
from airflow_provider_nucleus.triggers.job import FAILURE_BUDGET, NucleusJobTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

__all__ = ["NucleusWaitingSensor"]

T = TypeVar("T")


class NucleusWaitingSensor(BaseSensorOperator):
    """Base of the sensors: wait for what something else started, and never cancel it.

    A look that fails in a way that may pass (no answer, 429, 5xx, a portal's page) does not fail the task, whether the sensor
    pokes or is deferred, until ten in a row did. A rescheduled sensor counts anew in each process: its own ``timeout`` ends it.

    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    template_fields: Sequence[str] = ("nucleus_conn_id",)
    ui_color: str = "#e8f1ff"
    trigger_class: ClassVar[type[NucleusJobTrigger]] = NucleusJobTrigger
    """What waits in the triggerer."""

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        nucleus_conn_id: str = DEFAULT_CONN_ID,
        retry_policy: Any = DEFAULT_RETRY_POLICY,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **with_retry_policy(kwargs, retry_policy))
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.nucleus_conn_id = nucleus_conn_id
        self._failed_looks = 0

    @property
    @abstractmethod
    def map_label(self) -> str:
        """What a mapped instance is called in the interface."""

    @abstractmethod
    def ids(self) -> list[str]:
        """Return the rendered ids to wait for; raises NucleusConfigError when there are none."""

    @abstractmethod
    def look(self, object_id: str) -> Any:
        """Look once at one of them."""

    @abstractmethod
    def verdict(self, seen: Mapping[str, Any]) -> PokeReturnValue:
        """Say whether all that was seen has ended well, and with what result; raises as soon as one has not."""

    def told(self, event: WaitEvent) -> dict[str, Any]:
        """Return what a wait that is finished saw last; the worker looks again unless a subclass knows better."""
        return {object_id: self.look(object_id) for object_id in event.jobs}

    @cached_property
    def hook(self) -> NucleusHook:
        """The hook of this task's connection."""
        return NucleusHook(self.nucleus_conn_id)

    @cached_property
    def _stalled(self) -> StalledJobs:
        """Why the jobs that are waited for wait themselves."""
        return StalledJobs(self.log)

    def execute(self, context: Context) -> Any:
        """Poke, or look once and defer."""
        ids = self.ids()
        persist_links(context, endpoint=self.hook.config.endpoint, job_id=ids[-1])
        if not self.deferrable:
            return super().execute(context)
        seen = self._unless_never_fail(lambda: self.poke(context))
        if not seen:
            self.defer(
                trigger=self.trigger_class(
                    nucleus_conn_id=self.nucleus_conn_id,
                    job_ids=ids,
                    deadline=time.time() + self.timeout,
                    poll_interval=self.poke_interval,
                    cancel_on_kill=False,
                ),
                method_name="execute_complete",
                timeout=timedelta(seconds=self.timeout) + DEFERRAL_GRACE,
            )
        return seen.xcom_value

    def poke(self, context: Context) -> PokeReturnValue:  # ruff: ignore[unused-method-argument] - Airflow's signature
        """Look at everything once; raises as soon as something has not ended well."""
        return self._looked(self.ids())

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Go on when the triggerer says that the wait is over."""
        waited = WaitEvent.from_payload(event)
        persist_links(context, endpoint=self.hook.config.endpoint, job_id=next(reversed(waited.jobs), None))
        if waited.message:
            self.log.info("%s", waited.message)
        if waited.status == "timeout":
            for job_id, status in waited.jobs.items():
                # Empty when none was ever read.
                if status:
                    self._stalled.note(job_id, JobStatus.from_wire(status).waiting)
            return self._after_the_deadline(list(waited.jobs), waited.message)
        verdict = self._unless_never_fail(
            lambda: self.verdict(
                self.told(waited)
                if waited.status == "finished"
                else {object_id: self.look(object_id) for object_id in waited.jobs}
            )
        )
        if not verdict:
            raise NucleusJobTimeout(
                f"Lost sight of {', '.join(waited.jobs)}: {waited.message}",
                job_id=next(iter(waited.jobs), ""),
                conn_id=self.nucleus_conn_id,
                hint="What was waited for was left as it is; a retry looks at it again.",
            )
        return verdict.xcom_value

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Wake up, in a process that remembers nothing."""
        setattr(self, RESUMED, True)
        if deferral_timed_out(next_method, next_kwargs):
            # No trigger has looked for a while. Airflow applies soft_fail and never_fail to what the method named here raises.
            next_method, next_kwargs = "deferral_ended", {}
        return super().resume_execution(next_method, next_kwargs, context)

    def deferral_ended(self, context: Context) -> Any:  # ruff: ignore[unused-method-argument] - Airflow's signature
        """Go on when the scheduler ended the wait."""
        return self._after_the_deadline(self.ids(), "No triggerer ended the wait.")

    def _after_the_deadline(self, ids: Sequence[str], message: str) -> Any:
        """Look once more: what ended while nobody looked has not timed out."""
        try:
            seen = {object_id: self._look(object_id) for object_id in ids}
        except NucleusError as error:
            self.log.warning("The last look failed: %s", error)
            raise self._timed_out(ids, message) from error
        # Skipping under soft_fail is done by Airflow, in resume_execution as well as while poking.
        verdict = self._unless_never_fail(lambda: self.verdict(seen))
        if not verdict:
            raise self._timed_out(ids, message)
        return verdict.xcom_value

    def _timed_out(self, ids: Sequence[str], message: str) -> AirflowSensorTimeout:
        said = f"Sensor has timed out after {self.timeout:g} s. {message}"
        return AirflowSensorTimeout(self._stalled.completed(said, ids))

    def _look(self, object_id: str) -> Any:
        """Look once, and take note of why a job waits."""
        seen = self.look(object_id)
        if isinstance(seen, JobStatus):
            self._stalled.note(object_id, seen.waiting)
        return seen

    def _looked(self, ids: Iterable[str]) -> PokeReturnValue:
        """Look at each, up to the first look that fails; raises what asking again could not cure, and the eleventh in a row."""
        seen: dict[str, Any] = {}
        for object_id in ids:
            try:
                seen[object_id] = self._look(object_id)
            except NucleusError as error:
                self._failed_looks += 1
                if not may_pass(error) or self._failed_looks > FAILURE_BUDGET:
                    raise
                if self._failed_looks == 1:
                    self.log.warning("A look at %s failed, the wait goes on: %s", object_id, error)
                # One that has ended badly need not wait for the others.
                self.verdict(seen)
                return PokeReturnValue(is_done=False)
        self._failed_looks = 0
        return self.verdict(seen)

    def _unless_never_fail(self, act: Callable[[], T]) -> T:
        """Do what Airflow does about ``never_fail`` while it pokes."""
        try:
            return act()
        except NucleusError as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise
