"""The environment of the demonstration's children: the user's, without what would change what they do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["child_environment"]


def child_environment(*, bytecode: Path) -> dict[str, str]:
    """Return the environment without any setting of Airflow or Nucleus, and with loopback kept from proxies.

    Airflow consists of two thousand modules. Where PYTHONDONTWRITEBYTECODE would have them compiled at every start, they
    are compiled into the folder *bytecode* instead: still nothing is written beside the sources, and starts get faster.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "_AIRFLOW", "NUCLEUS_"))
    }
    loopback = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), "127.0.0.1,localhost"]))
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept["PYTHONPYCACHEPREFIX"] = str(bytecode.resolve())
    return {**kept, "NO_PROXY": loopback, "no_proxy": loopback}
