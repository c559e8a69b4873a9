"""Results of tasks: JSON that every database of Airflow stores, and small enough for an XCom."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_nucleus.schema.texts import storable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MAX_XCOM_BYTES", "checked_xcom", "json_size", "shorten_errors", "shrink_to_xcom"]

log = logging.getLogger(__name__)

MAX_XCOM_BYTES = 8 * 1024
"""Largest return value of an operator of this package, as JSON. Rows and reports go to files."""

_ERRORS = 5
_ERROR_CHARS = 300


def json_size(value: Any) -> int:
    """Return the length of *value* as JSON, in bytes; ValueError for NaN and infinity, which JSON does not have."""
    return len(json.dumps(value, allow_nan=False).encode())


def checked_xcom(value: dict[str, Any]) -> dict[str, Any]:
    """Return *value*, which JSON can hold, as every database stores it; a warning says when it is larger than an XCom should be.

    Only lists that the user gave (jobs to wait for, pairs of labels) make it so, and done work does not fail over them.
    """
    if (size := json_size(value)) > MAX_XCOM_BYTES:
        log.warning(
            "The task's result has %d bytes, more than the %d an XCom should hold", size, MAX_XCOM_BYTES
        )
    return cast("dict[str, Any]", storable(value))


def shrink_to_xcom(most: int, build: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """Return what *build* makes of as many parts, *most* or fewer, as an XCom should hold."""
    while True:
        result = build(most)
        if most == 0 or json_size(result) <= MAX_XCOM_BYTES:
            return result
        most = most * 3 // 4


def shorten_errors(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of an upload whose texts fit an XCom; the quarantine file has all of them."""
    reasons = [str(reason)[:_ERROR_CHARS] for reason in summary.get("first_errors", ())][:_ERRORS]
    return dict(summary) | {"first_errors": reasons}
