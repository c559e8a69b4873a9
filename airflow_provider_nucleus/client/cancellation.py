"""Cancelling jobs and evaluations: asked for once, with what the server did about it."""

from __future__ import annotations

import threading
import time
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_nucleus.client.retry import NO_RETRY
from airflow_provider_nucleus.exceptions import NucleusAPIError, NucleusError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.client.aio import AsyncNucleusClient
    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.sync import NucleusClient

__all__ = ["Cancellation", "Outcome", "cancel", "cancel_all", "cancel_async"]

_CONCURRENCY = 8
"""Requests under way at a time."""


class Cancellation(StrEnum):
    """Answer of the server; the value completes "Job <id> ..."."""

    REQUESTED = "will be cancelled before its next step"
    ENDED = "had already ended"
    UNSUPPORTED = "was left running: this Nucleus has no way to cancel it"

    @classmethod
    def after(cls, error: NucleusAPIError) -> Cancellation:
        """Interpret a refusal to cancel; raises *error* again when it says nothing about the job."""
        if error.status == 409:
            return cls.ENDED
        if error.status in {404, 405, 501}:
            return cls.UNSUPPORTED
        raise error


Outcome: TypeAlias = Cancellation | NucleusError | None
"""Outcome of a request: the server's answer, the error that came instead, or None when nothing came in time."""


def cancel(client: NucleusClient, call: Call[Any]) -> Cancellation:
    """Send *call*, which asks for something to be cancelled, once; a NucleusError means that it may still be running."""
    try:
        client.send(call, retry=NO_RETRY)
    except NucleusAPIError as error:
        return Cancellation.after(error)
    return Cancellation.REQUESTED


async def cancel_async(client: AsyncNucleusClient, call: Call[Any]) -> Cancellation:
    """Do the same as `cancel` in the event loop."""
    try:
        await client.send(call, retry=NO_RETRY)
    except NucleusAPIError as error:
        return Cancellation.after(error)
    return Cancellation.REQUESTED


def cancel_all(
    client: NucleusClient, calls: Mapping[str, Call[Any]], *, seconds: float
) -> dict[str, Outcome]:
    """Send many such calls, a few at a time, and return the outcome of each by its name: None where none came in time.

    Returns after *seconds* whatever the server does: threads that still wait for an answer are left behind, and die with
    the process.
    """
    outcomes: dict[str, Outcome] = dict.fromkeys(calls)
    left = deque(calls.items())

    def work() -> None:
        while True:
            try:
                name, call = left.popleft()
            except IndexError:
                return
            try:
                outcomes[name] = cancel(client, call)
            except NucleusError as error:
                outcomes[name] = error

    # A pool's threads would be waited for when the process ends.
    threads = [
        threading.Thread(target=work, name=f"nucleus-cancel-{number}", daemon=True)
        for number in range(min(_CONCURRENCY, len(calls)))
    ]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    left.clear()
    return dict(outcomes)
