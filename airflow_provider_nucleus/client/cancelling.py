"""Asking once for a job or an evaluation to be cancelled, and what became of the wish."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.retry import NO_RETRY
from airflow_provider_nucleus.exceptions import NucleusAPIError

if TYPE_CHECKING:
    from airflow_provider_nucleus.client.aio import AsyncNucleusClient
    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.sync import NucleusClient

__all__ = ["Cancellation", "cancel", "cancel_async"]


class Cancellation(StrEnum):
    """How the server answered; the value completes "Job <id> ..."."""

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
