"""The errors of the embedded server, each of which is one HTTP answer.

ApiError                     base: a status and one sentence
  BadRequestError       400  the request cannot be understood or breaks a rule
  UnauthorizedError     401  no key, or the wrong one
  ForbiddenError        403  the right key, used by a web page of another site; or one that only reads
  NotFoundError         404  no such dataset, item, model, run, job ...
  MethodNotAllowedError 405  the route exists, not with this method
  ConflictError         409  the state of the object forbids the call
  GoneError             410  a signed URL that has expired
  TooLargeError         413  the body is larger than the server takes
  UnsupportedEncodingError 415  the body is compressed
  NotImplementedRoute   501  a route of the contract that the embedded server does not have
  MemoryLimitError      503  the store has no memory left for this, beside what else is going on
  FullDiskError         507  a disk of the server is full
DataDirError                 not HTTP: the data directory cannot be used (locked, not writable, not ours, newer version)
  DataDirBusyError           another server is using it
KeyFileError                 not HTTP: the keys of a data directory cannot be read, or not be changed as asked
SettingsError                not HTTP: a variable of the environment holds what its setting cannot be
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ApiError",
    "BadRequestError",
    "ConflictError",
    "DataDirBusyError",
    "DataDirError",
    "ForbiddenError",
    "FullDiskError",
    "GoneError",
    "KeyFileError",
    "MemoryLimitError",
    "MethodNotAllowedError",
    "NotFoundError",
    "NotImplementedRoute",
    "SettingsError",
    "TooLargeError",
    "UnauthorizedError",
    "UnsupportedEncodingError",
]


class ApiError(Exception):
    """An answer that is not a success; `str()` is the text the client sees under `error`."""

    status: ClassVar[int] = 500

    @property
    def headers(self) -> dict[str, str]:
        """Extra response headers."""
        return {}


class BadRequestError(ApiError):
    """The request cannot be understood or breaks a rule of the contract."""

    status = 400


class UnauthorizedError(ApiError):
    """The key is missing or wrong."""

    status = 401

    @property
    def headers(self) -> dict[str, str]:
        """Headers with which a browser asks for the key."""
        return {"WWW-Authenticate": 'Basic realm="nucleus"'}


class ForbiddenError(ApiError):
    """The key only reads, or a browser that knows it was made to call by a page of another site."""

    status = 403


class NotFoundError(ApiError):
    """An id in the path or body names nothing."""

    status = 404


class MethodNotAllowedError(ApiError):
    """The route exists, but not with this method."""

    status = 405

    def __init__(self, text: str, *, allowed: list[str]) -> None:
        super().__init__(text)
        self.allowed = allowed

    @property
    def headers(self) -> dict[str, str]:
        """The methods that would work."""
        return {"Allow": ", ".join(sorted(self.allowed))}


class ConflictError(ApiError):
    """The state of the object forbids the call."""

    status = 409


class GoneError(ApiError):
    """A signed URL whose time has passed."""

    status = 410


class TooLargeError(ApiError):
    """The body is larger than the server takes; nothing of it was kept."""

    status = 413


class UnsupportedEncodingError(ApiError):
    """The body is compressed."""

    status = 415


class NotImplementedRoute(ApiError):  # ruff: ignore[error-suffix-on-exception-name] - named after the HTTP status
    """A route the embedded server does not have; the text names it."""

    status = 501


class MemoryLimitError(ApiError):
    """The store has no memory left for this beside what else is going on; nothing of it was stored."""

    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The server has no memory left for this beside what else it does; nothing of it was stored. Try again in a moment; if "
            "that does not help, ask for less, or start the server with a higher NUCLEUS_LOCAL_MEMORY_LIMIT."
        )

    @property
    def headers(self) -> dict[str, str]:
        """Seconds until another try."""
        return {"Retry-After": "1"}


class FullDiskError(ApiError):
    """A disk of the server is full; what the request began was undone. Reads go on, jobs wait for room."""

    status = 507

    def __init__(self) -> None:
        super().__init__(
            "The disk of this Nucleus server is full; nothing of this request was stored. "
            "Make room on it, then send the request again."
        )


class DataDirError(Exception):
    """The data directory cannot be used; the text says why and what to do."""


class DataDirBusyError(DataDirError):
    """Another server is using the data directory; the text names its process."""


class KeyFileError(Exception):
    """The keys of a data directory cannot be read, or not be changed as asked; the text says why and what to do."""


class SettingsError(ValueError):
    """A variable of the environment holds what its setting cannot be; the text names both."""
