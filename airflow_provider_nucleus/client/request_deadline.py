"""The deadline of one request of the blocking transport, for which its sockets know no limit.

Their time-out counts from one byte to the next, so that an answer which drips in never ends. At the deadline the connection is shut
down from another thread, wherever the request is then: in its headers, in its body, or still being sent.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any, Self

import urllib3
import urllib3.connection
import urllib3.connectionpool

__all__ = ["RequestDeadline", "observe_connections"]

_current = threading.local()


class RequestDeadline:
    """Ends a request of this thread `seconds` after it began, and a second later for each `rate` bytes that were moved."""

    def __init__(self, seconds: float, *, rate: int) -> None:
        self.expired = False
        self.moved = 0
        self._seconds = seconds
        self._rate = rate
        self._begun = time.monotonic()
        self._connection: Any = None
        self._socket: Any = None
        self._over = False
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        _current.deadline = self
        self._arm(self._seconds)
        return self

    def __exit__(self, *_: object) -> None:
        _current.deadline = None
        with self._lock:
            self._over = True
            self._connection = self._socket = None
            if self._timer is not None:
                self._timer.cancel()

    def observe(self, connection: Any) -> None:
        """Take note of the connection that carries the request, and of its socket once it has one.

        It gives its socket away when an answer ends with the connection.
        """
        self._connection = connection
        self._socket = connection.sock or self._socket

    def error(self) -> TimeoutError:
        """Return the error of a request that was ended."""
        return TimeoutError(
            f"no complete answer within {time.monotonic() - self._begun:.1f} s, {self.moved:,} bytes moved"
        )

    def _arm(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self._ring)
        timer.daemon = True
        # The interpreter starts no threads while it ends.
        with contextlib.suppress(RuntimeError):
            timer.start()
            self._timer = timer

    def _ring(self) -> None:
        with self._lock:
            if self._over:
                return
            left = self._begun + self._seconds + self.moved / self._rate - time.monotonic()
            if left > 0:
                self._arm(left)
                return
            self.expired = True
            _shut_down(getattr(self._connection, "sock", None) or self._socket)
            # Where it was still connecting there was nothing to shut down yet.
            self._arm(1.0)


def _shut_down(sock: Any) -> None:
    # TLS within TLS wraps the socket; of TLS itself only the socket below is wanted, not its farewell.
    plain = getattr(sock, "socket", sock)
    if isinstance(plain, socket.socket):
        with contextlib.suppress(OSError):
            socket.socket.shutdown(plain, socket.SHUT_RDWR)


def _observed(connection: Any) -> None:
    deadline = getattr(_current, "deadline", None)
    if deadline is not None:
        deadline.observe(connection)


class _Observed:
    """A connection that the deadline of its thread takes note of when it connects and when it is used again."""

    def connect(self) -> None:
        _observed(self)
        super().connect()  # type: ignore[misc]
        _observed(self)

    def putrequest(self, *arguments: Any, **options: Any) -> None:
        _observed(self)
        super().putrequest(*arguments, **options)  # type: ignore[misc]


class _PlainConnection(_Observed, urllib3.connection.HTTPConnection):
    pass


class _SecureConnection(_Observed, urllib3.connection.HTTPSConnection):
    pass


class _PlainPool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def observe_connections(manager: urllib3.PoolManager) -> None:
    """Have the connections of a manager known to the deadline of their thread; those of a SOCKS proxy have a way of their own."""
    if manager.pool_classes_by_scheme.get("http") is urllib3.connectionpool.HTTPConnectionPool:
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
