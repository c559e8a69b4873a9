"""Listings that are fetched while others are read: each by a thread of its own, a few thousand members ahead."""

from __future__ import annotations

import contextvars
import queue
import threading
from itertools import islice
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

__all__ = ["ListingAhead"]

T = TypeVar("T")

_MEMBERS: Final = 2_000
"""Members that are handed over at once."""
_AHEAD: Final = 4
"""Times that many are fetched ahead, beside the page they come from."""


class ListingAhead(Generic[T]):
    """Iterates over *listing* once, which another thread reads from now on; as a context manager it stops that at the end.

    An error of the listing is raised where its member would have come.
    """

    def __init__(self, listing: Iterator[T], *, name: str) -> None:
        self._listing = listing
        self._ready: queue.Queue[list[T] | BaseException | None] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        # What the log says of the task belongs to the lines of its threads as well; a daemon keeps no process alive.
        read = contextvars.copy_context().run
        threading.Thread(target=read, args=(self._read,), name=f"nucleus-list-{name}", daemon=True).start()

    def __iter__(self) -> Iterator[T]:
        while True:
            found = self._ready.get()
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield from found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Fetch no more; a page that is on its way is not waited for."""
        self._stopped.set()

    def _read(self) -> None:
        end: BaseException | None = None
        try:
            while members := list(islice(self._listing, _MEMBERS)):
                if not self._handed(members):
                    return
        except BaseException as error:  # ruff: ignore[blind-except] - the reader raises it
            end = error
        self._handed(end)

    def _handed(self, found: list[T] | BaseException | None) -> bool:
        """Hand over, and return whether anybody still reads."""
        while not self._stopped.is_set():
            try:
                self._ready.put(found, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False
