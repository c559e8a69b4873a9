"""Heads of requests are bounded: who has no key yet may not have the server keep megabytes for him."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

__all__ = ["HEAD_LIMIT", "bounded_protocol"]

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of a request line and headers, about: what comes in one piece is let through."""

_BODY: Final = b'{"error":"The request line and headers are larger than this server takes."}'
_ANSWER: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
    % (len(_BODY), _BODY)
)


def bounded_protocol() -> Any:
    """Return the protocol for uvicorn: that of httptools, bounded, or of h11, which is."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return "h11"

    class BoundedProtocol(HttpToolsProtocol):
        """HTTP by httptools, which itself collects headers without end."""

        _head = 0
        _reading_head = False
        transport: asyncio.Transport

        def on_message_begin(self) -> None:
            """Begin to count."""
            self._head, self._reading_head = 0, True
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            """Count no longer: a body has limits of its own."""
            self._reading_head = False
            super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            """Take what came, and end the connection if it is still no whole head."""
            super().data_received(data)
            if self._reading_head:
                self._head += len(data)
                if self._head > HEAD_LIMIT and not self.transport.is_closing():
                    self.transport.write(_ANSWER)
                    self.transport.close()

    return BoundedProtocol
