"""The base of the sensors: looking, deferring, outages of the server, and deadlines."""

from __future__ import annotations

import time
from abc import abstractmethod
from datetime import timedelta
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_nucleus.client.waiting import RIDE_OUT, Patience, WaitOutcome, log_stall, stall_hint
from airflow_provider_nucleus.exceptions import NucleusError, NucleusJobTimeout
from airflow_provider_nucleus.hooks.connection_form import DEFAULT_CONN_ID
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.links.nucleus import RESUMED, persist_links
from airflow_provider_nucleus.links.urls import page_urls
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.tasks.arguments import TEXT, required
from airflow_provider_nucleus.tasks.deferring import (
    DEFERRAL_GRACE,
    EXECUTION_DEADLINE,
    default_deferrable,
    deferral_timed_out,
    execution_deadline,
    require_execution_time,
    ride_out_seconds,
)
from airflow_provider_nucleus.tasks.labels import MAP_LABEL
from airflow_provider_nucleus.tasks.retry_policy import DEFAULT_RETRY_POLICY, with_retry_policy
from airflow_provider_nucleus.tasks.state import OutageRecord, task_state
from airflow_provider_nucleus.tasks.templates import TemplatedArguments
from airflow_provider_nucleus.triggers.events import WaitEvent
from airflow_provider_nucleus.triggers.job import NucleusJobTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusWaitingSensor"]

T = TypeVar("T")


class NucleusWaitingSensor(TemplatedArguments, BaseSensorOperator):
    """Base of the sensors: wait for what something else started, and never cancel it.

    A look that fails in a way that may pass (no answer, 429, 5xx, a portal's page) does not fail the task, whether the sensor
    pokes, is rescheduled or is deferred, unless such looks have failed for `ride_out` seconds. A rescheduled sensor keeps the
    beginning of an outage in Airflow's task state. Before Airflow 3.3 there is none: each of its pokes begins anew, and only its
    own `timeout` ends it.

    :param ride_out: how long the server may be away while the sensor waits, in seconds or as timedelta; `timeout` still counts
    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {"nucleus_conn_id": required(TEXT)}
    template_fields: Sequence[str] = tuple(templated)
    ui_color: str = "#e8f1ff"
    trigger_class: ClassVar[type[NucleusJobTrigger]] = NucleusJobTrigger
    """The trigger that waits in the triggerer."""

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        ride_out: float | timedelta = RIDE_OUT,
        nucleus_conn_id: str = DEFAULT_CONN_ID,
        retry_policy: Any = DEFAULT_RETRY_POLICY,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **with_retry_policy(kwargs, retry_policy))
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.ride_out = ride_out
        self.nucleus_conn_id = nucleus_conn_id
        ride_out_seconds(ride_out)
        self._pokes: WaitOutcome[Any] = WaitOutcome([])

    @abstractmethod
    def ids(self) -> list[str]:
        """Return the rendered ids to wait for; raises NucleusConfigError when there are none."""

    @abstractmethod
    def look(self, object_id: str) -> Any:
        """Look at one of them, with the retries of any request."""

    @abstractmethod
    def wait_for(
        self, ids: Sequence[str], patience: Patience, *, earlier: WaitOutcome[Any] | None = None
    ) -> WaitOutcome[Any]:
        """Wait for them in this process as long as *patience* lasts; an *earlier* wait goes on."""

    @abstractmethod
    def verdict(self, seen: Mapping[str, Any]) -> PokeReturnValue:
        """Say whether all that was seen has ended well, and with what result; raises as soon as one has not."""

    def ended(self, event: WaitEvent) -> dict[str, Any]:
        """Return how everything ended that the triggerer waited for; the worker looks again unless a subclass knows better."""
        return {object_id: self.look(object_id) for object_id in event.jobs}

    @cached_property
    def hook(self) -> NucleusHook:
        """The hook of this task's connection."""
        return NucleusHook(self.nucleus_conn_id)

    def execute(self, context: Context) -> Any:
        """Poke, or look once and defer."""
        ids = self.ids()
        self._link_to(context, ids[-1])
        if not self.deferrable:
            return super().execute(context)
        seen = self._unless_never_fail(lambda: self.poke(context))
        if not seen:
            ends = execution_deadline(self, {})
            self.defer(
                trigger=self.trigger_class(
                    nucleus_conn_id=self.nucleus_conn_id,
                    job_ids=ids,
                    deadline=min(time.time() + self.timeout, ends.get(EXECUTION_DEADLINE, inf)),
                    resume_payload=ends,
                    poll_interval=self.poke_interval,
                    ride_out=ride_out_seconds(self.ride_out),
                    cancel_on_kill=False,
                ),
                method_name="execute_complete",
                timeout=timedelta(seconds=self.timeout) + DEFERRAL_GRACE,
            )
        return seen.xcom_value

    def _link_to(self, context: Context, job_id: str | None) -> None:
        config = self.hook.config
        persist_links(self, context, urls=page_urls(config.endpoint, config.public_url), job_id=job_id)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at everything once; raises as soon as something has not ended well, and when an outage lasts too long."""
        # Each poke is another process when rescheduled; otherwise they share this object.
        state = task_state(context) if self.mode == "reschedule" and not self.deferrable else None
        record = None if state is None else OutageRecord(state, context)
        if record is not None:
            self._pokes.failing = record.load()
        outcome = self.wait_for(self.ids(), self._one_look, earlier=self._pokes)
        if record is not None:
            record.replace(self._pokes.failing, {} if outcome.error is not None else outcome.failing)
        self._pokes = outcome
        return self._verdict(outcome)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Go on when the triggerer says that the wait is over."""
        waited = WaitEvent.from_payload(event)
        self._link_to(context, next(reversed(waited.jobs), None))
        if waited.message:
            self.log.info("%s", waited.message)
        ids = list(waited.jobs)
        if waited.status == "timeout":
            require_execution_time(self, waited.resume_payload)
            # Empty when one was never seen.
            before = {job_id: JobStatus.from_wire(seen) for job_id, seen in waited.jobs.items() if seen}
            return self._after_the_deadline(ids, waited.message, before)
        if waited.status == "finished":
            verdict = self._unless_never_fail(lambda: self.verdict(self.ended(waited)))
        else:
            # One look from here: either it works again, or it is the last of the outage.
            outage: WaitOutcome[Any] = WaitOutcome([], failing=dict.fromkeys(ids, 0.0))
            verdict = self._unless_never_fail(
                lambda: self._verdict(self.wait_for(ids, self._one_look, earlier=outage))
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
        self.read_arguments()
        setattr(self, RESUMED, True)
        if deferral_timed_out(next_method, next_kwargs):
            # No trigger has looked for a while. Airflow applies soft_fail and never_fail to what the method named here raises.
            next_method, next_kwargs = "deferral_ended", {}
        return super().resume_execution(next_method, next_kwargs, context)

    def deferral_ended(self, context: Context) -> Any:  # ruff: ignore[unused-method-argument] - Airflow's signature
        """Go on when the scheduler ended the wait."""
        return self._after_the_deadline(self.ids(), "No triggerer ended the wait.", {})

    def _after_the_deadline(self, ids: Sequence[str], message: str, before: Mapping[str, JobStatus]) -> Any:
        """Look once more: what ended while nobody looked has not timed out. *before* is how jobs were last seen."""
        seen: dict[str, Any] = {}
        try:
            for object_id in ids:
                seen[object_id] = self.look(object_id)
        except NucleusError as error:
            self.log.warning("The last look failed: %s", error)
            raise self._timed_out(message, {**before, **seen}) from error
        # Skipping under soft_fail is done by Airflow, in resume_execution as well as while poking.
        verdict = self._unless_never_fail(lambda: self.verdict(seen))
        if not verdict:
            raise self._timed_out(message, seen)
        return verdict.xcom_value

    def _timed_out(self, message: str, seen: Mapping[str, Any]) -> AirflowSensorTimeout:
        """Return Airflow's own error; *seen* is what was seen last, and why jobs among it do not get on."""
        text = f"Sensor has timed out after {self.timeout:g} s. {message}"
        reasons = {job_id: one.waiting for job_id, one in seen.items() if isinstance(one, JobStatus)}
        for job_id, reason in reasons.items():
            log_stall(self.log, f"Job {job_id}", None, reason)
        hint = stall_hint(reasons.values())
        return AirflowSensorTimeout(f"{text} {hint}" if hint else text)

    @property
    def _one_look(self) -> Patience:
        """The patience of one look at each. What is waited for was there before: what is not found is gone."""
        return Patience(ride_out=ride_out_seconds(self.ride_out), timeout=0.0, not_found_grace=0.0)

    def _verdict(self, outcome: WaitOutcome[Any]) -> PokeReturnValue:
        """Return the verdict about all objects, not done while one is open; raises what ended the looks."""
        for error in (outcome.error, *outcome.gone.values()):
            if error is not None:
                raise error
        # One that has ended badly need not wait for the others.
        verdict = self.verdict(outcome.seen)
        return PokeReturnValue(is_done=False) if outcome.open else verdict

    def _unless_never_fail(self, act: Callable[[], T]) -> T:
        """Do what Airflow does about `never_fail` while it pokes."""
        try:
            return act()
        except NucleusError as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise
