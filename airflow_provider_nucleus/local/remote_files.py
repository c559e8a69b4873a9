"""Files behind addresses that clients send: read where the server is told that it may, bounded in size and time.

Three kinds of places: the web (http, https), object stores (s3, gs and whatever else fsspec knows), and files of this machine below
folders that the server's settings name.
"""

from __future__ import annotations

import io
import ipaddress
import socket
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.error import URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

__all__ = ["RemoteFile", "RemoteFileError", "RemoteFiles", "SlowFileError", "read_web"]

_TIMEOUT: Final = 10.0
"""Longest silence of a host, in seconds."""
_DEADLINE: Final = 60.0
"""Seconds after which a file that still comes in is given up, the head of its answer included."""
_BLOCK: Final = 1 << 16
_SENT_AS_IS: Final = "%/:?#[]@!$&'()*+,;=~|"
"""Characters of paths and queries that mean something, or that escape others, as they came."""
_STORES: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})


class RemoteFileError(Exception):
    """A file that was not read, and why; the address is the caller's to name."""


class SlowFileError(RemoteFileError):
    """A file that did not come in time."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as it came, with the type that its host gave it, if it gave one."""

    data: bytes
    content_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFiles:
    """Places that files may be read from; `roots` are folders of this machine, and nothing outside of them is read."""

    web: bool = False
    stores: bool = False
    roots: tuple[Path, ...] = ()

    def read(self, address: str, *, limit: int, stopped: Callable[[], bool] = lambda: False) -> bytes:
        """Return the bytes behind an address, at most `limit`; raises `RemoteFileError`, also soon after `stopped` says so."""
        try:
            parts = urlsplit(address)
        except ValueError as error:
            raise RemoteFileError(f"it is no address: {error}") from None
        scheme = parts.scheme.lower() if "://" in address else ""
        if scheme in {"http", "https"}:
            if not self.web:
                raise RemoteFileError(
                    "the server does not fetch from the web (see NUCLEUS_LOCAL_FETCH_MASKS)"
                )
            return read_web(address, limit=limit, stopped=stopped).data
        if scheme in _STORES:
            if not self.stores:
                raise RemoteFileError(
                    "the server does not fetch from object stores (see NUCLEUS_LOCAL_FETCH_MASKS)"
                )
            return _read_store(address, limit=limit, stopped=stopped)
        if scheme in {"", "file"}:
            return self._read_file(address, limit=limit)
        raise RemoteFileError(f"the server reads no {scheme} addresses")

    def _read_file(self, address: str, *, limit: int) -> bytes:
        text = unquote(urlsplit(address).path) if address.startswith("file:") else address
        if not self.roots:
            raise RemoteFileError(
                "the server reads no files of its own machine (NUCLEUS_LOCAL_FILE_ROOTS names folders that it may read)"
            )
        try:
            path = Path(text).resolve()
        except (OSError, ValueError, RuntimeError):
            raise RemoteFileError("it is no path of a file") from None
        if not Path(text).is_absolute() or not any(
            path.is_relative_to(root.resolve()) for root in self.roots
        ):
            raise RemoteFileError("it is in none of the folders of NUCLEUS_LOCAL_FILE_ROOTS")
        if not path.is_file():
            raise RemoteFileError("there is no such file")
        try:
            with path.open("rb") as file:
                return _bounded(file, limit=limit)
        except OSError as error:
            raise RemoteFileError(f"it cannot be read: {error.strerror}") from error


def read_web(url: str, *, limit: int, stopped: Callable[[], bool] = lambda: False) -> RemoteFile:
    """Fetch an http(s) address, wholly; raises `RemoteFileError`, also soon after `stopped` says so."""
    end = time.monotonic() + _DEADLINE

    def check() -> None:
        if stopped() or time.monotonic() > end:
            raise TimeoutError(f"it did not come within {_DEADLINE:.0f} seconds")

    _fetching.check = check
    try:
        with _WEB.open(_request(url), timeout=_TIMEOUT) as response:
            data = _bounded(response, limit=limit, stopped=stopped)
            # What the answer has declared and not sent: the library returns what came as if it were all.
            missing = response.length or 0
            content_type = response.headers.get_content_type()
    except (URLError, HTTPException, OSError, ValueError) as error:
        slow = isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)
        raise (SlowFileError if slow else RemoteFileError)(str(error)) from error
    finally:
        del _fetching.check
    if missing:
        raise RemoteFileError(f"the connection ended {missing} bytes before its end")
    return RemoteFile(data, content_type)


def _request(url: str) -> Request:
    """Return the request for an address; raises URLError for a host that is never asked."""
    request = Request(_escaped(url), headers={"User-Agent": "airflow-provider-nucleus"})  # ruff: ignore[suspicious-url-open-usage] - http(s) only
    _refuse_link_local(request.host)
    return request


def _escaped(url: str) -> str:
    """Return an address as browsers and other clients send it, where blanks and letters beyond ASCII may stand as they are."""
    parts = urlsplit(url.strip())
    return urlunsplit((
        parts.scheme,
        parts.netloc,
        quote(parts.path, safe=_SENT_AS_IS),
        quote(parts.query, safe=_SENT_AS_IS),
        "",
    ))


def _refuse_link_local(host: str) -> None:
    """Raise URLError for a host with an address of the link: no image is there, but the keys of cloud machines are."""
    name = urlsplit(f"//{host}").hostname
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM) if name else []
    except OSError:
        # Opening it says why.
        return
    if any(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_link_local for entry in found):
        raise URLError(f"{name} is an address of the local link, where nothing is fetched from")


class _WebOnly(HTTPRedirectHandler):
    """Follows redirects to http and https alone: the library would go on to ftp as well."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """Return the request to go on with; raises URLError when it would leave the web."""
        if urlsplit(newurl).scheme not in {"http", "https"}:
            raise URLError("it redirects to an address that is not http or https")
        _refuse_link_local(urlsplit(newurl).netloc)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_fetching = threading.local()
"""The `check` of what this thread fetches, which raises once there is no more time for it."""


class _CheckedReads(io.RawIOBase):
    """Reads from a connection, each after a look at the time: a host that sends a byte now and then, be it of the head, has no more time than others."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has come, if there is still time for it."""
        _fetching.check()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the connection's side as well."""
        self._raw.close()
        super().close()


class _CheckedResponse(HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp: Any = io.BufferedReader(_CheckedReads(self.fp.detach()))


class _CheckedConnection(HTTPConnection):
    response_class = _CheckedResponse


class _CheckedTlsConnection(HTTPSConnection):
    response_class = _CheckedResponse


class _CheckedHttp(HTTPHandler):
    def http_open(self, req: Request) -> Any:
        return self.do_open(_CheckedConnection, req)


class _CheckedHttps(HTTPSHandler):
    def https_open(self, req: Request) -> Any:
        return self.do_open(_CheckedTlsConnection, req, context=self._context)  # type: ignore[attr-defined]


_WEB: Final = build_opener(_WebOnly, _CheckedHttp, _CheckedHttps)


def _read_store(address: str, *, limit: int, stopped: Callable[[], bool]) -> bytes:
    try:
        import fsspec
    except ImportError:
        raise RemoteFileError("object stores need the package fsspec, and s3fs or gcsfs") from None
    try:
        with fsspec.open(address, "rb") as file:
            return _bounded(file, limit=limit, stopped=stopped)
    except RemoteFileError:
        raise
    except Exception as error:
        # The libraries of the stores raise errors of their own kinds.
        raise RemoteFileError(f"{type(error).__name__}: {error}") from error


def _bounded(file: BinaryIO, *, limit: int, stopped: Callable[[], bool] = lambda: False) -> bytes:
    """Read a file of at most `limit` bytes, within the deadline."""
    end = time.monotonic() + _DEADLINE
    data = bytearray()
    read = getattr(file, "read1", file.read)
    while block := read(_BLOCK):
        data += block
        if len(data) > limit:
            raise RemoteFileError(f"it is larger than {limit} bytes")
        if stopped() or time.monotonic() > end:
            raise SlowFileError(f"it did not come within {_DEADLINE:.0f} seconds")
    return bytes(data)
