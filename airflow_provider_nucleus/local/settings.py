"""Settings of the embedded server, in one frozen value."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Self

from airflow_provider_nucleus.local.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ASYNC_UPLOAD_LIMIT", "Settings"]

ASYNC_UPLOAD_LIMIT: Final = 0x1FFFFFE8
"""Bytes of one NDJSON upload: the limit the official client checks before it sends."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits and switches; every default is what `nucleus-local serve` uses.

    Sizes are bytes, times are seconds.
    """

    api_key: str = field(repr=False)
    """The key of Basic auth (user name) and of the `x-limited-access-key` header."""
    json_body_limit: int = 64 * 1024 * 1024
    """Largest JSON request body."""
    form_body_limit: int = 1024 * 1024 * 1024
    """Largest multipart request body (ten images or masks)."""
    upload_limit: int = ASYNC_UPLOAD_LIMIT
    """Largest NDJSON body sent to a signed URL."""
    signed_url_lifetime: float = 3600.0
    """Seconds for which a signed URL takes an upload."""
    chunk_bytes: int = 32 * 1024 * 1024
    """NDJSON read, checked and committed in one piece by a job: what bounds its memory and what a crash can repeat."""
    evaluation_rows: int = 200_000
    """Objects of both sides that an evaluation matches in one step: what bounds its memory and what a cancel waits for."""
    job_workers: int = 2
    """Jobs that run at the same time."""
    memory_limit: str = "2GB"
    """Memory that DuckDB may use before it spills to the data directory."""
    fetch_masks: bool = False
    """True when masks behind http(s) addresses and in object stores are fetched before they are compared."""
    file_roots: str = ""
    """Folders of this machine, with colons between them, below which masks may be read that are named by their path."""
    fetch_images: bool = False
    """True when appended remote images are fetched, and rows refused whose image cannot be."""

    @classmethod
    def from_environment(cls, *, api_key: str) -> Self:
        """Return the settings with every `NUCLEUS_LOCAL_<FIELD>` of the environment applied.

        Raises `SettingsError` naming the variable if its value is not of the field's type.
        """
        given: dict[str, Any] = {}
        for entry in fields(cls):
            variable = f"NUCLEUS_LOCAL_{entry.name.upper()}"
            text = os.environ.get(variable, "")
            if entry.name == "api_key" or not text:
                continue
            try:
                given[entry.name] = _READERS[str(entry.type)](text)
            except (KeyError, ValueError) as error:
                raise SettingsError(f"{variable} must be of type {entry.type}, got {text!r}") from error
        return cls(api_key=api_key, **given)


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": lambda text: {"1": True, "true": True, "0": False, "false": False}[text.lower()],
}
