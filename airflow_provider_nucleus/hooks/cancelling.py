"""What became of the wish to cancel a job."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_nucleus.exceptions import NucleusAPIError

if TYPE_CHECKING:
    from airflow_provider_nucleus.exceptions import NucleusError

__all__ = ["Cancellation"]


class Cancellation(StrEnum):
    """How the server answered; the value completes "Job <id> ..."."""

    REQUESTED = "will be cancelled before its next step"
    ENDED = "had already ended"
    UNSUPPORTED = "was left running: this Nucleus has no way to cancel it"

    @classmethod
    def after(cls, error: NucleusError) -> Cancellation | None:
        """Interpret an error of the request to cancel, None when it says nothing about the job."""
        if not isinstance(error, NucleusAPIError):
            return None
        if error.status == 409:
            return cls.ENDED
        return cls.UNSUPPORTED if error.status in {404, 405, 501} else None
