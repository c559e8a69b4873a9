"""What a task returns: small JSON, checked before it is handed to Airflow."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["MAX_XCOM_BYTES", "checked_xcom", "json_bytes"]

MAX_XCOM_BYTES = 8 * 1024
"""Largest return value of an operator of this package, as JSON. Rows and reports go to files."""


def json_bytes(value: Any) -> bytes:
    """Return *value* as JSON; ValueError for NaN and infinity, which JSON does not have."""
    return json.dumps(value, allow_nan=False).encode()


def checked_xcom(value: dict[str, Any]) -> dict[str, Any]:
    """Return *value* after asserting that it is small JSON without NaN."""
    size = len(json_bytes(value))
    assert size <= MAX_XCOM_BYTES, (
        f"the task's summary has {size} bytes, more than the {MAX_XCOM_BYTES} of an XCom"
    )
    return value
