"""Every error this package raises on purpose, in one tree.

::

    NucleusError
    ├── NucleusConfigError            the connection is incomplete or contradicts itself
    ├── NucleusValidationError        one object is wrong; also a ValueError
    ├── NucleusSourceError            a file of the input is missing, out of reach or cut off
    ├── NucleusConnectionError        no usable answer: host unreachable, reset, timeout
    │   └── NucleusCertificateError   the server's certificate is not trusted
    ├── NucleusAPIError               an answer that is not a usable success
    │   ├── NucleusAuthError          401, 403
    │   ├── NucleusNotFoundError      404, in the words of a Nucleus
    │   ├── NucleusRequestError       400, 409, 413, 422 and every other 4xx
    │   ├── NucleusRateLimitError     429
    │   ├── NucleusServerError        5xx; 408 and 425
    │   └── NucleusAnswerError        not a Nucleus' answer: a page of a proxy or portal, a redirect, a body without what it must have
    ├── NucleusJobError               a job of the server did not end well
    │   ├── NucleusJobFailed          it ended in one of the Errored statuses
    │   ├── NucleusJobCancelled       it was cancelled or superseded
    │   └── NucleusJobTimeout         we stopped waiting; the job may still be running
    ├── NucleusUploadError            an upload as a whole was refused, given up or incomplete
    ├── NucleusMetricsError           metrics are missing, not calculable or not comparable
    ├── NucleusGateError              a policy stops the pipeline: the verdict is fail, or inconclusive where that stops as well
    ├── NucleusPolicyError            a policy of a gate cannot be read, or says nothing that could be decided
    └── NucleusEventError             the triggerer handed over an event that no trigger of this package sends

The classes are cut by what a caller does next: correct the input (config, validation, request), wait and retry
(source, connection, rate limit, server), or look at the job. `retryable` says which. An error names its object and carries a
`hint`: the next action, printed after the message. Errors survive pickling, because Airflow moves them between
processes, and never hold a key: whoever raises one passes text that is already free of secrets.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "NucleusAPIError",
    "NucleusAnswerError",
    "NucleusAuthError",
    "NucleusCertificateError",
    "NucleusConfigError",
    "NucleusConnectionError",
    "NucleusError",
    "NucleusEventError",
    "NucleusGateError",
    "NucleusJobCancelled",
    "NucleusJobError",
    "NucleusJobFailed",
    "NucleusJobTimeout",
    "NucleusMetricsError",
    "NucleusNotFoundError",
    "NucleusPolicyError",
    "NucleusRateLimitError",
    "NucleusRequestError",
    "NucleusServerError",
    "NucleusSourceError",
    "NucleusUploadError",
    "NucleusValidationError",
]


class NucleusError(Exception):
    """Base of all; catches exactly what this package raises on purpose."""

    retryable: ClassVar[bool] = False
    """True when the same attempt, unchanged and later, may succeed."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def message(self) -> str:
        """The message without the hint."""
        return str(self.args[0]) if self.args else ""

    def add_hint(self, text: str) -> None:
        """Add sentences to the hint."""
        self.hint = " ".join(filter(None, (self.hint, text)))

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        stop = "" if self.message.endswith((".", "!", "?", ":")) else "."
        return f"{self.message}{stop} {self.hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with `args` alone and lose every keyword-only attribute.
        return _revive, (type(self), self.args, dict(self.__dict__))


def _revive(cls: type[NucleusError], args: tuple[Any, ...], state: dict[str, Any]) -> NucleusError:
    """Rebuild a pickled error without running its constructor."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class NucleusConfigError(NucleusError):
    """The connection or an argument is incomplete or contradicts itself; retrying cannot help."""

    def __init__(
        self, message: str, *, conn_id: str | None = None, field: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.conn_id = conn_id
        self.field = field


class NucleusValidationError(NucleusError, ValueError):
    """One object breaks a rule: `field` (dotted path, e.g. `geometry.vertices.2.x`) because of `reason`.

    `row` is the 1-based number of the object in its source, `source` the name of that source, both None when unknown.
    """

    def __init__(
        self,
        field: str,
        reason: str,
        *,
        row: int | None = None,
        source: str | None = None,
        hint: str | None = None,
    ) -> None:
        where = "".join((
            f"{source}: " if source else "",
            f"row {row}: " if row is not None else "",
            f"{field}: " if field else "",
        ))
        super().__init__(f"{where}{reason}", hint=hint)
        self.field = field
        self.reason = reason
        self.row = row
        self.source = source

    def at(self, *, row: int, source: str | None = None) -> NucleusValidationError:
        """Return the same error placed at a row of a source."""
        return NucleusValidationError(self.field, self.reason, row=row, source=source, hint=self.hint)


class NucleusSourceError(NucleusError):
    """A file of the input, `source`, cannot be read as it is now: missing, out of reach, or still being written."""

    retryable = True

    def __init__(self, reason: str, *, source: str, hint: str | None = None) -> None:
        super().__init__(f"{source}: {reason}", hint=hint)
        self.source = source


class NucleusConnectionError(NucleusError):
    """The host gave no usable answer in `attempts` tries; whether the last request took effect is unknown."""

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        url: str = "",
        method: str = "",
        attempts: int = 1,
        conn_id: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.url = url
        self.method = method
        self.attempts = attempts
        self.conn_id = conn_id


class NucleusCertificateError(NucleusConnectionError):
    """The server's certificate is not trusted: nothing was sent, and waiting does not help."""

    retryable = False


class NucleusAPIError(NucleusError):
    """The server answered, but not with a usable success.

    `body` is the server's text (shortened), `retry_after` the seconds to wait that it gave, `attempts` the number of
    requests made.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        method: str = "",
        url: str = "",
        body: str = "",
        retry_after: float | None = None,
        conn_id: str | None = None,
        attempts: int = 1,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.method = method
        self.url = url
        self.body = body
        self.retry_after = retry_after
        self.conn_id = conn_id
        self.attempts = attempts


class NucleusAuthError(NucleusAPIError):
    """401 or 403: the key is missing, wrong, or may not do this."""


class NucleusNotFoundError(NucleusAPIError):
    """404 in the words of a Nucleus: the object does not exist for this key."""


class NucleusRequestError(NucleusAPIError):
    """Any other 4xx: the server refuses this request as it stands."""


class NucleusRateLimitError(NucleusAPIError):
    """429: too many requests; `retry_after` says for how long when the server did."""

    retryable = True


class NucleusServerError(NucleusAPIError):
    """5xx, 408 or 425: the server failed; nothing is known to be wrong with the request."""

    retryable = True


class NucleusAnswerError(NucleusAPIError):
    """An answer that is not a Nucleus': of a proxy, gateway or portal, a redirect, or a 2xx that lacks what the route promises.

    It says nothing about the object of the request, which may have taken effect if `status` is 2xx.
    """


class NucleusJobError(NucleusError):
    """A job of the server did not end well.

    `status` is the last status on the wire, `job_message` the server's message about it, `errors` the first row errors
    that could be fetched.
    """

    def __init__(
        self,
        message: str,
        *,
        job_id: str,
        status: str = "",
        job_message: Any = None,
        errors: list[str] | None = None,
        conn_id: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.job_id = job_id
        self.status = status
        self.job_message = job_message
        self.errors = list(errors or ())
        self.conn_id = conn_id


class NucleusJobFailed(NucleusJobError):  # ruff: ignore[error-suffix-on-exception-name] - named after the job's state, like its siblings
    """The job ended in one of the Errored statuses."""


class NucleusJobCancelled(NucleusJobError):  # ruff: ignore[error-suffix-on-exception-name]
    """The job was cancelled, or superseded by a retry of the server."""


class NucleusJobTimeout(NucleusJobError):  # ruff: ignore[error-suffix-on-exception-name]
    """We stopped waiting; the job was left as it is and may still be running."""

    retryable = True


class NucleusUploadError(NucleusError):
    """An upload was refused as a whole, was given up, or left rows behind.

    `summary` is the JSON-ready count of what happened, `quarantine` where the rejected rows were written, `job_ids` the
    server's jobs that belong to it.
    """

    def __init__(
        self,
        message: str,
        *,
        summary: dict[str, Any] | None = None,
        quarantine: str | None = None,
        job_ids: list[str] | None = None,
        conn_id: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.summary = dict(summary or {})
        self.quarantine = quarantine
        self.job_ids = list(job_ids or ())
        self.conn_id = conn_id


class NucleusMetricsError(NucleusError):
    """Metrics are missing, could not be calculated, or cannot be compared."""

    def __init__(
        self,
        message: str,
        *,
        dataset_id: str | None = None,
        model_id: str | None = None,
        evaluation_id: str | None = None,
        conn_id: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.dataset_id = dataset_id
        self.model_id = model_id
        self.evaluation_id = evaluation_id
        self.conn_id = conn_id


class NucleusGateError(NucleusError):
    """A policy stops the pipeline; a retry would come to the same verdict.

    `verdict` is `fail` or `inconclusive`, `reasons` the sentences of what was not a pass, the worst first, and `judgement` the place
    of the whole evidence, None where none was written.
    """

    def __init__(
        self,
        message: str,
        *,
        verdict: str,
        reasons: list[str] | None = None,
        judgement: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.verdict = verdict
        self.reasons = list(reasons or ())
        self.judgement = judgement


class NucleusPolicyError(NucleusError, ValueError):
    """A policy is wrong: `field` of the rule `rule` because of `reason`; what would be right is the hint.

    `source` is the file or the name of the policy, `rule` the id of the rule (or `rule 3`, when it has none), each None when it
    is not about one.
    """

    def __init__(
        self,
        reason: str,
        *,
        source: str | None = None,
        rule: str | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        where = "".join(f"{part}: " for part in (source, rule, field) if part)
        super().__init__(f"{where}{reason}", hint=hint)
        self.reason = reason
        self.source = source
        self.rule = rule
        self.field = field


class NucleusEventError(NucleusError):
    """An event came back from the triggerer that no trigger of this package sends; the task fails rather than guess."""
