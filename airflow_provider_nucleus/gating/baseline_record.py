"""Documents of a baseline record: what was accepted, what waits, and who decided what."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

from pydantic import Field

from airflow_provider_nucleus.gating.measurement import Document, Measurement
from airflow_provider_nucleus.gating.verdict import VerdictStatus

__all__ = [
    "BASELINE_SCHEMA",
    "DIGEST",
    "BaselineDecision",
    "BaselineEntry",
    "BaselineError",
    "BaselineRecord",
    "measurement_id",
]

BASELINE_SCHEMA: Final = "nucleus-baseline/1"
DIGEST: Final = "sha256:"
"""Beginning of the ids of measurements that are of no evaluation and no job."""


class BaselineError(ValueError):
    """A step that this record does not allow; nothing was changed."""


class BaselineEntry(Document):
    """A measurement without its matches and details, and where it came from."""

    id: str
    """Of its evaluation or job where it has one, else a digest (`measurement_id`)."""
    measurement: Measurement
    verdict: VerdictStatus | None = None
    evidence: str | None = None
    """Place of the document of the gate."""
    by: str
    at: str
    """ISO 8601 with offset."""
    note: str | None = None
    before: str | None = None
    """Id of what was accepted when this was proposed: what it was held against."""


class BaselineDecision(Document):
    """One step: what was done with which measurement, by whom and when."""

    action: Literal["propose", "confirm", "reject", "pin"]
    id: str
    by: str
    at: str
    evidence: str | None = None
    note: str | None = None


class BaselineRecord(Document):
    """Everything that is remembered of the baseline of one series."""

    schema_: Literal["nucleus-baseline/1"] = Field(default=BASELINE_SCHEMA, alias="schema")
    name: str = ""
    revision: int = Field(default=0, ge=0)
    reference: BaselineEntry | None = None
    accepted: BaselineEntry | None = None
    proposals: list[BaselineEntry] = Field(default_factory=list)
    history: list[BaselineEntry] = Field(default_factory=list)
    passed: list[str] = Field(default_factory=list)
    """Short names of batches that fell out of the history, the last of them: judged again, none of them is taken for a new one."""
    decisions: list[BaselineDecision] = Field(default_factory=list)
    cut: list[str] = Field(default_factory=list)
    """What was left out to keep the record small, a sentence each."""

    @property
    def reference_measurement(self) -> Measurement | None:
        """The pinned measurement."""
        return None if self.reference is None else self.reference.measurement

    @property
    def accepted_measurement(self) -> Measurement | None:
        """The last accepted measurement."""
        return None if self.accepted is None else self.accepted.measurement


def measurement_id(measurement: Measurement) -> str:
    """Return the id of a measurement: that of its evaluation, of its job with its slice, or a digest of its numbers."""
    subject = measurement.subject
    scope = subject.slice_id or measurement.fingerprint.scope
    known = subject.evaluation_id or subject.job_id
    if known is not None:
        return known if scope is None else f"{known}/{scope}"
    numbers = measurement.model_dump_json(include={"fingerprint", "overall", "per_label", "supplied"})
    return f"{DIGEST}{hashlib.sha256(numbers.encode()).hexdigest()[:16]}"
