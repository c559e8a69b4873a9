"""What the official client does to asyncio, undone after every test.

To upload local files the official client (0.22.3) calls `nest_asyncio.apply()`, which patches asyncio for the whole process and
for good: `asyncio.run` then reuses one event loop instead of making one, and leaves its tasks running. A test of ours that
comes later in the same process would see tasks and state of an earlier one. It also never closes the loop it asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

_PATCHED: tuple[Any, ...] = (
    asyncio,
    asyncio.events,
    asyncio.tasks,
    asyncio.futures,
    asyncio.SelectorEventLoop,
    asyncio.DefaultEventLoopPolicy,
)
_BEFORE = [(owner, dict(vars(owner))) for owner in _PATCHED]


@contextlib.contextmanager
def asyncio_unpatched_afterwards() -> Generator[None]:
    """Give the official client an event loop it can use, close that loop, and take back what it patched."""
    # Without this the client would make a loop of its own after any `asyncio.run`, and nobody could close that one.
    asyncio.set_event_loop_policy(None)
    try:
        yield
    finally:
        policy = asyncio.get_event_loop_policy()
        loop = getattr(policy._local, "_loop", None)
        if loop is not None and not loop.is_running():
            loop.close()
        asyncio.set_event_loop_policy(None)
        if hasattr(asyncio, "_nest_patched"):
            for owner, before in _BEFORE:
                _restore(owner, before)


def _restore(owner: Any, before: dict[str, Any]) -> None:
    for name, value in dict(vars(owner)).items():
        if name not in before:
            delattr(owner, name)
        elif value is not before[name]:
            setattr(owner, name, before[name])
